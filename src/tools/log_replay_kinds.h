/*
 * What a tickerplant's answer to a record depends on: table, types of the
 * columns, whether they are of one length, and how long the record is.  One of
 * each kind is sent synchronously; what it was answered holds for the others.
 *
 * Owns fixed memory.  Reads only records that journal_next accepted.  Called
 * by log_replay.c; no I/O.
 */
#ifndef RINGTICK_TOOLS_LOG_REPLAY_KINDS_H
#define RINGTICK_TOOLS_LOG_REPLAY_KINDS_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/log_payload.h"

enum { KINDS_MAX = 512, KINDS_ERROR_BYTES = 160 };

struct kind {
	uint64_t hash; /* 0: free */
	uint64_t taken_max; /* the longest that was taken; 0: none yet */
	uint64_t refused_min; /* the shortest refused; UINT64_MAX: none */
	uint64_t refused; /* how many */
	uint64_t first; /* number of the first of them */
	char error[KINDS_ERROR_BYTES];
};

struct kinds {
	struct kind all[KINDS_MAX];
};

enum kind_answer {
	KIND_UNKNOWN, /* ask */
	KIND_TAKEN,   /* by what is known */
	KIND_REFUSED,
};

/*
 * The record's kind, NULL if there is no room for another one, and how long it
 * is once columns are extended.
 */
struct kind *kinds_find(struct kinds *k, const struct journal_record *record,
			const struct log_payload *payload, uint64_t *out_len);

enum kind_answer kind_foresee(const struct kind *kind, uint64_t len);

void kind_taken(struct kind *kind, uint64_t len);

/* It was refused, or would be: error as it was answered, NULL the latter. */
void kind_refused(struct kind *kind, uint64_t len, uint64_t number,
		  const char *error);

#endif
