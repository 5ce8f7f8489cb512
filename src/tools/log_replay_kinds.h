/*
 * Kinds of records: a tickerplant's answer to a record depends on its table,
 * the types of its columns, whether these are of one length, and the record's
 * length.  One record of each kind is sent synchronously; its answer holds for
 * the others.
 *
 * Owns fixed memory.  Reads only records that journal_next accepted.  Called by
 * log_replay.c; no I/O.
 */
#ifndef RINGTICK_TOOLS_LOG_REPLAY_KINDS_H
#define RINGTICK_TOOLS_LOG_REPLAY_KINDS_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/log_payload.h"

enum { KINDS_MAX = 512, KINDS_ERROR_BYTES = 160 };

struct kind {
	uint64_t hash; /* 0: free */
	uint64_t taken_max; /* length of the longest record taken; 0: none
			       yet */
	uint64_t refused_min; /* length of the shortest record refused;
				 UINT64_MAX: none */
	uint64_t refused; /* how many */
	uint64_t first; /* number of the first refused record */
	char error[KINDS_ERROR_BYTES];
};

struct kinds {
	struct kind all[KINDS_MAX];
};

enum kind_answer {
	KIND_UNKNOWN, /* must be sent synchronously */
	KIND_TAKEN,   /* will be taken */
	KIND_REFUSED,
};

/*
 * The record's kind, or NULL if the table of kinds is full. *out_len becomes
 * the record's length in bytes once atoms are extended to columns.
 */
struct kind *kinds_find(struct kinds *k, const struct journal_record *record,
			const struct log_payload *payload, uint64_t *out_len);

enum kind_answer kind_foresee(const struct kind *kind, uint64_t len);

void kind_taken(struct kind *kind, uint64_t len);

/* The record was refused with `error`, or would be (NULL). */
void kind_refused(struct kind *kind, uint64_t len, uint64_t number,
		  const char *error);

#endif
