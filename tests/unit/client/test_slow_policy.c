#include "config.h"

#include "client/slow_policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/util.h"

/* A ring of 1000 bytes: leave above 750, return below 500. */
enum { RING = 1000 };

static const struct lag_limits limits = {
	.leave_percent = 75,
	.return_percent = 50,
	.block_limit_ns = 5 * NS_PER_S,
};
static struct lag_state lag;

static int
start(void **state)
{
	(void)state;
	lag = (struct lag_state){ 0 };
	return 0;
}

static enum lag_action
judge(enum slow_policy policy, uint64_t lag_bytes, int64_t now_ns)
{
	return lag_judge(&lag, &limits, policy, lag_bytes, RING, now_ns);
}

static void
test_below_the_mark_nothing_happens(void **state)
{
	static const enum slow_policy policies[] = {
		SLOW_SPILL, SLOW_DISCONNECT, SLOW_SKIP, SLOW_BLOCK
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(policies); i++)
		for (uint64_t bytes = 0; bytes <= 750; bytes++)
			assert_int_equal(judge(policies[i], bytes, 1),
					 LAG_NOTHING);
	assert_false(lag.is_slow);
}

/* The mark itself may be reached; one byte more is slow. */
static void
test_policies_above_the_mark(void **state)
{
	(void)state;
	assert_int_equal(judge(SLOW_DISCONNECT, 750, 1), LAG_NOTHING);
	assert_int_equal(judge(SLOW_DISCONNECT, 751, 1), LAG_DISCONNECT);
	start(NULL);
	assert_int_equal(judge(SLOW_SPILL, 750, 1), LAG_NOTHING);
	assert_int_equal(judge(SLOW_SPILL, 751, 1), LAG_LEAVE);
	start(NULL);
	assert_int_equal(judge(SLOW_SKIP, 751, 1), LAG_SKIP);
	start(NULL);
	assert_int_equal(judge(SLOW_BLOCK, 751, 1), LAG_HOLD);
	assert_true(lag.is_slow);
	assert_int_equal(lag.slow_since_ns, 1);
}

/* Between the marks it stays what it was: no flapping. */
static void
test_two_marks(void **state)
{
	(void)state;
	assert_int_equal(judge(SLOW_BLOCK, 600, 1), LAG_NOTHING);
	assert_int_equal(judge(SLOW_BLOCK, 800, 2), LAG_HOLD);
	assert_int_equal(judge(SLOW_BLOCK, 600, 3), LAG_HOLD);
	assert_int_equal(judge(SLOW_BLOCK, 750, 4), LAG_HOLD);
	assert_int_equal(judge(SLOW_BLOCK, 500, 5), LAG_HOLD);
	assert_int_equal(judge(SLOW_BLOCK, 499, 6), LAG_NOTHING);
	assert_false(lag.is_slow);
	assert_int_equal(judge(SLOW_BLOCK, 600, 7), LAG_NOTHING);
	assert_int_equal(judge(SLOW_BLOCK, 750, 8), LAG_NOTHING);
	assert_int_equal(judge(SLOW_BLOCK, 751, 9), LAG_HOLD);
}

/* If the journal lags, no consumer can leave: the verdict is repeated until it
 * can, or is under the return mark by itself. */
static void
test_leaving_is_told_until_it_is_done(void **state)
{
	(void)state;
	assert_int_equal(judge(SLOW_SPILL, 800, 1), LAG_LEAVE);
	assert_int_equal(judge(SLOW_SPILL, 700, 2), LAG_LEAVE);
	assert_int_equal(judge(SLOW_SPILL, 500, 3600 * NS_PER_S), LAG_LEAVE);
	assert_int_equal(judge(SLOW_SPILL, 499, 3600 * NS_PER_S), LAG_NOTHING);
	assert_int_equal(judge(SLOW_SPILL, 700, 3601 * NS_PER_S), LAG_NOTHING);
}

/* Feeds are held for at most block_limit after the consumer became slow. */
static void
test_block_has_a_limit(void **state)
{
	int64_t since = 77;

	(void)state;
	assert_int_equal(judge(SLOW_BLOCK, 900, since), LAG_HOLD);
	assert_int_equal(judge(SLOW_BLOCK, 1000, since + 5 * NS_PER_S - 1),
			 LAG_HOLD);
	assert_int_equal(judge(SLOW_BLOCK, 600, since + 5 * NS_PER_S - 1),
			 LAG_HOLD);
	assert_int_equal(judge(SLOW_BLOCK, 600, since + 5 * NS_PER_S),
			 LAG_EXPEL);
}

/* Coming back starts the time anew. */
static void
test_block_time_starts_anew(void **state)
{
	(void)state;
	assert_int_equal(judge(SLOW_BLOCK, 900, 1), LAG_HOLD);
	assert_int_equal(judge(SLOW_BLOCK, 10, 4 * NS_PER_S), LAG_NOTHING);
	assert_int_equal(judge(SLOW_BLOCK, 900, 6 * NS_PER_S), LAG_HOLD);
	assert_int_equal(judge(SLOW_BLOCK, 900, 11 * NS_PER_S - 1), LAG_HOLD);
	assert_int_equal(judge(SLOW_BLOCK, 900, 11 * NS_PER_S), LAG_EXPEL);
}

/* A full ring is above every mark that settings allow, in every ring. */
static void
test_a_full_ring_is_slow(void **state)
{
	(void)state;
	for (unsigned bits = 12; bits <= 29; bits++) {
		uint64_t ring = UINT64_C(1) << bits;

		for (unsigned percent = 10; percent <= 75; percent++) {
			struct lag_limits l = { percent, 5, 1 };
			uint64_t mark = ring * percent / 100;

			start(NULL);
			assert_int_equal(
				lag_judge(&lag, &l, SLOW_SKIP, mark, ring, 1),
				LAG_NOTHING);
			assert_int_equal(lag_judge(&lag, &l, SLOW_SKIP,
						   mark + 1, ring, 1),
					 LAG_SKIP);
			start(NULL);
			assert_int_equal(
				lag_judge(&lag, &l, SLOW_SKIP, ring, ring, 1),
				LAG_SKIP);
		}
	}
}

/* 100 % is a mark that cannot be passed; it must not wrap to 0 either. */
static void
test_a_mark_of_100_percent(void **state)
{
	struct lag_limits l = { 100, 100, NS_PER_S };
	uint64_t ring = UINT64_C(1) << 62;

	(void)state;
	assert_int_equal(lag_judge(&lag, &l, SLOW_SKIP, ring, ring, 1),
			 LAG_NOTHING);
	assert_int_equal(lag_judge(&lag, &l, SLOW_SKIP, ring + 1, ring, 1),
			 LAG_SKIP);
	assert_int_equal(lag_judge(&lag, &l, SLOW_SKIP, ring, ring, 2),
			 LAG_SKIP);
	assert_int_equal(lag_judge(&lag, &l, SLOW_SKIP, ring - 1, ring, 3),
			 LAG_NOTHING);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_below_the_mark_nothing_happens,
				       start),
		cmocka_unit_test_setup(test_policies_above_the_mark, start),
		cmocka_unit_test_setup(test_two_marks, start),
		cmocka_unit_test_setup(test_leaving_is_told_until_it_is_done,
				       start),
		cmocka_unit_test_setup(test_block_has_a_limit, start),
		cmocka_unit_test_setup(test_block_time_starts_anew, start),
		cmocka_unit_test_setup(test_a_full_ring_is_slow, start),
		cmocka_unit_test_setup(test_a_mark_of_100_percent, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
