/*
 * How much room the journal's disk has: looked up by a job, since no operation
 * of io_uring tells it and a disk that hangs must not hold the turn.  So a
 * report has the figure of the report before.
 */
#ifndef RINGTICK_JOURNAL_SPACE_H
#define RINGTICK_JOURNAL_SPACE_H

#include <stddef.h>
#include <stdint.h>

#include "io/file_jobs.h"

struct journal_space {
	struct file_job job;
	const char *directory;
	int64_t found_bytes; /* the job's; -1: it cannot be told */
	int64_t free_bytes;  /* that it found last; -1: not known yet */
};

/* The directory must outlive it. */
void journal_space_init(struct journal_space *sp, const char *directory);

/* Looks, unless the last look has not come back yet. */
void journal_space_look(struct journal_space *sp, struct file_jobs *fj);

/* Figures of the report: free MB, and the hours that they last at so many bytes
 * a second; "-" for what is not known. Returns buf. */
const char *journal_space_text(const struct journal_space *sp,
			       double bytes_per_s, char *buf, size_t buf_len);

#endif
