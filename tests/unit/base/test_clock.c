#include "config.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/util.h"

#define HOUR_NS (3600 * NS_PER_S)

/* UTC of a moment, ns since 2000.01.01, from the C library's calendar. */
static int64_t
utc(int year, int month, int day, int hour, int minute)
{
	struct tm tm = { .tm_year = year - 1900,
			 .tm_mon = month - 1,
			 .tm_mday = day,
			 .tm_hour = hour,
			 .tm_min = minute };

	return ((int64_t)timegm(&tm) - 946684800) * NS_PER_S;
}

static void
test_clocks_run(void **state)
{
	int64_t before = clock_monotonic_ns();
	int64_t unix_ns = (int64_t)time(NULL) * NS_PER_S;

	(void)state;
	assert_true(clock_monotonic_ns() >= before);
	assert_true(llabs(clock_utc_ns() + 946684800 * NS_PER_S - unix_ns) <
		    60 * NS_PER_S);
}

/* Days of the years 1000 to 9999, every day of present years, and texts that
 * are not dates. */
static void
test_dates_are_read(void **state)
{
	static const char *const bad[] = {
		"2026.02.29", "2100.02.29", "2026.00.01", "2026.13.01",
		"2026.01.00", "2026.04.31", "2026.01.32", "2026-01.01",
		"2026.01-01", "202a.01.01", "2026. 1.01", "0999.12.31",
		"2026.01.0:", "2026.0/.01",
	};
	char text[CLOCK_DATE_BYTES + 6];
	int32_t day;

	(void)state;
	for (int32_t i = -365242; i < 2921940;
	     i += i > -1000 && i < 40000 ? 1 : 23) {
		clock_date_text(text, i);
		assert_int_equal(strlen(text), CLOCK_DATE_BYTES);
		assert_true(clock_read_date(text, &day));
		assert_int_equal(day, i);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(clock_read_date(bad[i], &day));
}

static int64_t wall_ns, cpu_ns;
static unsigned cpu_looks;

static int64_t
wall(void)
{
	return wall_ns;
}

static int64_t
cpu(void)
{
	cpu_looks++;
	return cpu_ns;
}

static void
run_for(int64_t ns)
{
	wall_ns += ns;
	cpu_ns += ns;
}

/* Time in which the thread does not run, before or after the first look, does
 * not count; CPU time does, within a tenth, and a short piece of work makes no
 * system call. */
static void
test_cpu_limit(void **state)
{
	enum { LIMIT = 1000 };
	struct cpu_limit l = { .clock_ns = wall, .cpu_ns = cpu };

	(void)state;
	wall_ns = 5 * NS_PER_S;
	cpu_limit_begin(&l, LIMIT);
	run_for(LIMIT / 10 - 1);
	assert_false(cpu_limit_is_over(&l));
	assert_int_equal(cpu_looks, 0);
	wall_ns += NS_PER_S;
	assert_false(cpu_limit_is_over(&l));
	wall_ns += NS_PER_S;
	run_for(LIMIT * 9 / 10 - 1);
	assert_false(cpu_limit_is_over(&l));
	wall_ns += NS_PER_S;
	assert_false(cpu_limit_is_over(&l));
	run_for(1);
	assert_true(cpu_limit_is_over(&l));
	assert_true(cpu_limit_is_over(&l));
	cpu_limit_begin(&l, LIMIT);
	assert_false(cpu_limit_is_over(&l));
	/* many questions about short work read the CPU's clock rarely */
	cpu_looks = 0;
	for (unsigned i = 0; i < LIMIT - 1; i++) {
		run_for(1);
		assert_false(cpu_limit_is_over(&l));
	}
	assert_in_range(cpu_looks, 1, 3);
	run_for(1);
	assert_true(cpu_limit_is_over(&l));
	l.clock_ns = NULL;
	cpu_limit_begin(&l, LIMIT);
	assert_false(cpu_limit_is_over(&l));
}

/* The last and the first ns of days; also before 2000 it rounds down. */
static void
test_day(void **state)
{
	(void)state;
	assert_int_equal(clock_day(0), 0);
	assert_int_equal(clock_day(NS_PER_DAY - 1), 0);
	assert_int_equal(clock_day(NS_PER_DAY), 1);
	assert_int_equal(clock_day(-1), -1);
	assert_int_equal(clock_day(-NS_PER_DAY), -1);
	assert_int_equal(clock_day(-NS_PER_DAY - 1), -2);
	/* tick-contract.md section 7 */
	assert_int_equal(clock_day(utc(2024, 8, 30, 23, 59)), 0x2330);
}

static void
test_date_text(void **state)
{
	char buf[16];

	(void)state;
	assert_string_equal(clock_date_text(buf, 0), "2000.01.01");
	assert_string_equal(clock_date_text(buf, -1), "1999.12.31");
	assert_string_equal(clock_date_text(buf, 59), "2000.02.29");
	assert_string_equal(
		clock_date_text(buf, clock_day(utc(2026, 11, 22, 1, 0))),
		"2026.11.22");
}

static void
test_fixed_offset(void **state)
{
	struct zone z;

	(void)state;
	zone_init(&z, false, 9 * HOUR_NS);
	assert_int_equal(zone_local_ns(&z, 5), 9 * HOUR_NS + 5);
	zone_init(&z, false, -5 * HOUR_NS);
	assert_int_equal(clock_day(zone_local_ns(&z, 5 * HOUR_NS - 1)), -1);
	assert_int_equal(clock_day(zone_local_ns(&z, 5 * HOUR_NS)), 0);
}

static void
local_zone(struct zone *z, const char *tz)
{
	assert_int_equal(setenv("TZ", tz, 1), 0);
	zone_init(z, true, 0);
}

/* Clocks go forward and back at 01:00 UTC: the new offset applies from the
 * first ns on, whichever offset was remembered, and also when the clock is set
 * back. */
static void
test_local_offset_changes(void **state)
{
	int64_t forward = utc(2026, 3, 29, 1, 0);
	int64_t back = utc(2026, 10, 25, 1, 0);
	struct zone z;

	(void)state;
	local_zone(&z, "CET-1CEST,M3.5.0,M10.5.0/3");
	assert_int_equal(zone_local_ns(&z, forward - 1), forward - 1 + HOUR_NS);
	assert_int_equal(zone_local_ns(&z, forward), forward + 2 * HOUR_NS);
	assert_int_equal(zone_local_ns(&z, forward - 1), forward - 1 + HOUR_NS);
	assert_int_equal(zone_local_ns(&z, back - 1), back - 1 + 2 * HOUR_NS);
	assert_int_equal(zone_local_ns(&z, back), back + HOUR_NS);
}

/* Offsets of half and quarter hours; and dates before 2000. */
static void
test_local_odd_offsets(void **state)
{
	struct zone z;

	(void)state;
	local_zone(&z, "NPT-5:45");
	for (int64_t t = utc(2026, 1, 1, 0, 0); t < utc(2026, 1, 1, 2, 0);
	     t += 7 * 60 * NS_PER_S)
		assert_int_equal(zone_local_ns(&z, t),
				 t + 5 * HOUR_NS + 45 * 60 * NS_PER_S);
	assert_int_equal(zone_local_ns(&z, -HOUR_NS + 1),
			 4 * HOUR_NS + 45 * 60 * NS_PER_S + 1);
	local_zone(&z, "EST5");
	assert_int_equal(clock_day(zone_local_ns(&z, utc(2026, 7, 2, 4, 59))),
			 clock_day(utc(2026, 7, 1, 0, 0)));
	assert_int_equal(clock_day(zone_local_ns(&z, utc(2026, 7, 2, 5, 0))),
			 clock_day(utc(2026, 7, 2, 0, 0)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clocks_run),
		cmocka_unit_test(test_cpu_limit),
		cmocka_unit_test(test_day),
		cmocka_unit_test(test_date_text),
		cmocka_unit_test(test_dates_are_read),
		cmocka_unit_test(test_fixed_offset),
		cmocka_unit_test(test_local_offset_changes),
		cmocka_unit_test(test_local_odd_offsets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
