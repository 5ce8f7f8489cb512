/*
 * Disk space kept back: `<directory>/<name>.reserve`, a file of as many bytes
 * as can be accepted and not be written yet.  It is given up if a stop finds
 * the disk full: the accepted updates fit in its place.
 *
 * Made at the start, before any client is served; given up by a job of its own.
 */
#ifndef RINGTICK_JOURNAL_RESERVE_H
#define RINGTICK_JOURNAL_RESERVE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/settings.h"
#include "io/file_jobs.h"

struct journal_reserve {
	struct file_job job;
	char path[PATH_MAX];
	uint64_t bytes; /* 0: no reserve */
};

/* The size of the ring in which records wait for their write. */
size_t journal_staging_bytes(const struct settings *settings);

/* The most that can be accepted and not in the file, and a little more: the
 * size of the reserve.  0 if the settings want none. */
uint64_t journal_reserve_bytes(const struct settings *settings);

/* Whether `bytes` fit into the folder beside what else needs room, with what
 * the reserve has already.  Writes nothing.  0 or -errno. */
int journal_reserve_foresee(const char *directory, const char *name,
			    uint64_t bytes);

/* Makes the file, or keeps it if it exists; bytes 0 removes it.  Logs why it
 * cannot be made: if it does not fit twice, it would itself fill the disk. */
void journal_reserve_open(struct journal_reserve *r, const char *directory,
			  const char *name, uint64_t bytes);

/* Logs that the reserve is used, and removes the file by a job.  Without a
 * reserve it does nothing. */
void journal_reserve_give_up(struct journal_reserve *r, struct file_jobs *fj);

/* The same at once, on the thread of the jobs.  Returns whether there was a
 * reserve. */
bool journal_reserve_give_up_now(struct journal_reserve *r);

#endif
