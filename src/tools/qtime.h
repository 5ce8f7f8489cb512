/*
 * A point in time, read from an item of a time column of any type, or from text
 * as people write it.  Pure.
 *
 * Called by log.c and log_replay.c.
 */
#ifndef RINGTICK_TOOLS_QTIME_H
#define RINGTICK_TOOLS_QTIME_H

#include <stdbool.h>
#include <stdint.h>

struct qtime {
	bool has_date;
	int64_t ns; /* since 2000.01.01 with a date, otherwise since midnight */
};

/*
 * Reads times such as 09:30, 09:30:00.5, 0D09:30, 2026.11.22 or
 * 2026.11.22D09:30; false if text is none of these.
 */
bool qtime_parse(const char *text, struct qtime *out);

/* Reads an item of a vector of that type.  false: not a time, or null. */
bool qtime_read(int type, const uint8_t *item, struct qtime *out);

/*
 * Whether item is before limit.  A limit without a date is a time of each day;
 * a limit with a date needs an item with one.
 */
bool qtime_is_before(struct qtime item, struct qtime limit);

#endif
