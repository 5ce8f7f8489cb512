/*
 * `ringtick log --repair` and `--filter`: they change or make a journal.
 *
 * Invariant: no byte of a journal is removed before its copy is on the disk,
 * and no file is overwritten.  Each failure is reported on stderr.  Called by
 * log.c.
 */
#ifndef RINGTICK_TOOLS_LOG_REPAIR_H
#define RINGTICK_TOOLS_LOG_REPAIR_H

#include <stdint.h>
#include <stdio.h>

#include "journal/file.h"
#include "tools/log_file.h"

/*
 * Moves the bytes after the good ones of a torn journal, opened for writing,
 * into the first free PATH.torn.N.  0 or -errno.
 */
int log_repair_cut(struct log_file *m, const struct journal_check *torn);

/* A new journal; path is NULL before it is opened. */
struct log_copy {
	const char *path;
	FILE *out;
	uint64_t records, bytes;
};

/* Makes a new journal at path, which must outlive c.  0 or -errno; -EEXIST if
 * there is such a file. */
int log_repair_open_copy(struct log_copy *c, const char *path);

int log_repair_add_record(struct log_copy *c,
			  const struct journal_record *record);

/* If err is 0, syncs the file to the disk; otherwise, or if that fails, removes
 * the file.  0 or -errno. */
int log_repair_close_copy(struct log_copy *c, int err);

#endif
