/*
 * Disk space kept back: `<directory>/<name>.reserve`, a file of as many bytes
 * as can be accepted and not be written yet.  It is given up where a stop finds
 * the disk full: what was accepted fits in its place.
 *
 * Made at the start, before anybody is served; given up by a job of its own.
 */
#ifndef RINGTICK_JOURNAL_RESERVE_H
#define RINGTICK_JOURNAL_RESERVE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "io/file_jobs.h"

struct journal_reserve {
	struct file_job job;
	char path[PATH_MAX];
	uint64_t bytes; /* 0: there is none */
};

/* Makes it, or keeps what is there; bytes 0 removes it. Logs why there is
 * none: where it does not fit twice, it would itself fill the disk. */
void journal_reserve_open(struct journal_reserve *r, const char *directory,
			  const char *name, uint64_t bytes);

/* Harmless a second time. */
void journal_reserve_give_up(struct journal_reserve *r, struct file_jobs *fj);

#endif
