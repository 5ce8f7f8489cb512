/*
 * Time: the monotonic clock for intervals, the wall clock for stamps, and the
 * local day.  Both clocks are read without a system call (vDSO).
 *
 * kdb+ counts from 2000.01.01: timestamps in ns, dates in days.
 */
#ifndef RINGTICK_BASE_CLOCK_H
#define RINGTICK_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define CLOCK_KDB_EPOCH_S 946684800ll /* 2000.01.01 in Unix time */
#define NS_PER_DAY (86400ll * 1000000000ll)

enum { CLOCK_DATE_BYTES = 10 }; /* 2026.11.22 */

int64_t clock_monotonic_ns(void);

/* CPU time that this thread has used, in ns; costs a system call. */
int64_t clock_cpu_ns(void);

/*
 * A limit on the CPU time that one piece of work may use.  A thread that is not
 * running uses none; but reading the CPU time is a system call.  So it is first
 * read when the monotonic clock says that a tenth of the limit may be used up,
 * which almost never happens, and after that only when the rest may be used up.
 */
struct cpu_limit {
	int64_t (*clock_ns)(void); /* NULL: no limit */
	int64_t (*cpu_ns)(void);
	int64_t look_ns;      /* by clock_ns: the limit cannot be reached
				 earlier */
	int64_t limit_ns;     /* CPU time allowed in all */
	int64_t cpu_until_ns; /* by cpu_ns; INT64_MAX: not read yet */
};

void cpu_limit_begin(struct cpu_limit *l, int64_t limit_ns);

/* Whether the limit is reached.  When the CPU time is first read, a tenth of
 * the limit counts as used. */
bool cpu_limit_is_over(struct cpu_limit *l);

/* UTC, ns since 2000.01.01. */
int64_t clock_utc_ns(void);

/*
 * The zone that says when a day ends.  The local offset is looked up again only
 * when a quarter of an hour has passed: offsets change only on such boundaries,
 * and the look-up is far too slow to be made for each update.
 */
struct zone {
	bool is_local;
	int64_t offset_ns;    /* east of UTC */
	int64_t valid_from_ns; /* UTC; local only */
	int64_t valid_until_ns;
};

void zone_init(struct zone *z, bool is_local, int64_t offset_ns);

/* Local time in the zone at utc_ns; ns since 2000.01.01. */
int64_t zone_local_ns(struct zone *z, int64_t utc_ns);

/* The day of a time in ns, in days since 2000.01.01; rounded down, also before
 * 2000. */
int32_t clock_day(int64_t ns);

/* Reads the CLOCK_DATE_BYTES at `text` as a date in the form that
 * clock_date_text writes, from the year 1000 on; false if they are not a
 * date. */
bool clock_read_date(const char *text, int32_t *out_day);

/* Writes the date as "2026.11.22" into buf, which has at least 16 bytes.
 * Returns buf. */
const char *clock_date_text(char *buf, int32_t day);

#endif
