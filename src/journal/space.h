/*
 * The free space on the journal's disk: looked up by a job, since io_uring has
 * no operation for it and a disk that hangs must not hold the turn.  So a
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
	int64_t found_bytes; /* result of the job; -1: statvfs failed */
	int64_t free_bytes;  /* last known result; -1: not known */
};

/* The directory must outlive it. */
void journal_space_init(struct journal_space *sp, const char *directory);

/* Starts a look, unless the last one is still under way. */
void journal_space_look(struct journal_space *sp, struct file_jobs *fj);

/* Figures of the report: free MB, and the hours that these last at bytes_per_s;
 * "-" for a figure that is not known.  Returns buf. */
const char *journal_space_text(const struct journal_space *sp,
			       double bytes_per_s, char *buf, size_t buf_len);

#endif
