/*
 * The epoch: a number that grows with each start after an unclean stop, because
 * then records may be gone that subscribers have.  Kept in
 * `<directory>/<name>.epoch`, with what was in the day's file when each began:
 *
 *   3 open                 the running one ("clean" after a clean stop)
 *   2 9820 2026.11.20 104  what is kept of the past: epoch, day, records
 *   3 9822 2026.11.22 511
 */
#ifndef RINGTICK_EPOCH_H
#define RINGTICK_EPOCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EPOCHS_KEPT = 64 };

struct epoch_begin {
	uint64_t epoch;
	int32_t day;	  /* of the file that it began in ... */
	uint64_t records; /* ... and what was left in it */
};

struct epochs {
	uint64_t now;
	struct epoch_begin begins[EPOCHS_KEPT]; /* oldest first */
	unsigned cnt;
};

/*
 * Begins a run in the file of `day`, with so many records in it: the next
 * epoch if the last run did not end well.  false with err and errno.
 */
bool epoch_begin(struct epochs *e, const char *directory, const char *name,
		 int32_t day, uint64_t records, bool *out_was_clean, char *err,
		 size_t err_len);

/* The run has ended well. 0 or -errno. */
int epoch_end(const struct epochs *e, const char *directory, const char *name);

/*
 * How many records of a day's file, of which it has `records` now, are those
 * that it had in an epoch.  0 where that is not known any more.
 */
uint64_t epoch_sure_records(const struct epochs *e, uint64_t epoch, int32_t day,
			    uint64_t records);

#endif
