/*
 * A point in time as a journal has it, in a time column of any type, and as
 * people write it.  Pure.
 *
 * Called by log.c and log_replay.c.
 */
#ifndef RINGTICK_TOOLS_QTIME_H
#define RINGTICK_TOOLS_QTIME_H

#include <stdbool.h>
#include <stdint.h>

struct qtime {
	bool has_date;
	int64_t ns; /* since 2000.01.01 with a date, else since midnight */
};

/*
 * 09:30, 09:30:00.5, 0D09:30, 2026.11.22, 2026.11.22D09:30 and the like; false
 * if text is something else.
 */
bool qtime_parse(const char *text, struct qtime *out);

/* An item of a vector of that type. False: no time, or the null. */
bool qtime_read(int type, const uint8_t *item, struct qtime *out);

/*
 * Whether item comes before limit.  A limit without a date is a time of each
 * day; one with a date asks for an item that has one.
 */
bool qtime_is_before(struct qtime item, struct qtime limit);

#endif
