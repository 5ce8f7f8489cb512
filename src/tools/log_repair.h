/*
 * `ringtick log --repair` and `--filter`: what changes or makes a journal.
 *
 * Invariant: no byte of a journal is gone before its copy is on the disk, and
 * no file is overwritten.  What fails is told on stderr.  Called by log.c.
 */
#ifndef RINGTICK_TOOLS_LOG_REPAIR_H
#define RINGTICK_TOOLS_LOG_REPAIR_H

#include <stdint.h>
#include <stdio.h>

#include "journal/file.h"
#include "tools/mapped_file.h"

/*
 * Moves what is behind the good bytes of a torn journal, opened for writing,
 * into the first free PATH.torn.N.  0 or -errno.
 */
int log_repair_cut(struct mapped_file *m, const struct journal_check *torn);

/* A new journal; path NULL when closed. */
struct log_copy {
	const char *path;
	FILE *out;
	uint64_t records, bytes;
};

/* 0 or -errno; -EEXIST if there is such a file. */
int log_repair_open_copy(struct log_copy *c, const char *path);

int log_repair_add_record(struct log_copy *c,
			  const struct journal_record *record);

/* Unless err is not 0, makes sure that all is on the disk; else, or if that
 * fails, removes the file.  0 or -errno. */
int log_repair_close_copy(struct log_copy *c, int err);

#endif
