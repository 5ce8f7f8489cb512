/*
 * Time: the monotonic clock for intervals, the wall clock for stamps, and the
 * local day.  These clocks are read without a system call (vDSO).
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

/* What this thread has had of a CPU; a system call. */
int64_t clock_cpu_ns(void);

/*
 * What something may take of the CPU.  A thread that is not running uses up
 * nothing; but the CPU's time is a system call.  So it is asked for only when
 * the monotonic clock says that a tenth may be over, which of nearly all
 * things never is, and from then on only when the rest may be.
 */
struct cpu_limit {
	int64_t (*clock_ns)(void); /* NULL: without a limit */
	int64_t (*cpu_ns)(void);
	int64_t look_ns;      /* on clock_ns: before, it cannot be over */
	int64_t limit_ns;     /* of the CPU, in all */
	int64_t cpu_until_ns; /* on cpu_ns; INT64_MAX: not asked for yet */
};

void cpu_limit_begin(struct cpu_limit *l, int64_t limit_ns);

/* What the CPU has had when it is asked first counts as a tenth. */
bool cpu_limit_is_over(struct cpu_limit *l);

/* UTC, ns since 2000.01.01. */
int64_t clock_utc_ns(void);

/*
 * The zone in which days end.  The local offset is looked up again only when
 * a quarter of an hour has passed: offsets change only on such boundaries,
 * and the look-up is far too slow for each update.
 */
struct zone {
	bool is_local;
	int64_t offset_ns;    /* east of UTC */
	int64_t valid_from_ns; /* UTC; local only */
	int64_t valid_until_ns;
};

void zone_init(struct zone *z, bool is_local, int64_t offset_ns);

/* utc_ns moved into the zone. */
int64_t zone_local_ns(struct zone *z, int64_t utc_ns);

/* Days since 2000.01.01 of a time in ns; rounds down before 2000 too. */
int32_t clock_day(int64_t ns);

/* The day that the CLOCK_DATE_BYTES at `text` are the date of, as
 * clock_date_text writes it, of a year from 1000 on; false if they are none. */
bool clock_read_date(const char *text, int32_t *out_day);

/* "2026.11.22" into buf, which has at least 16 bytes. Returns buf. */
const char *clock_date_text(char *buf, int32_t day);

#endif
