#include "config.h"

#include "tools/sequence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct sequence q;

static int
set_up(void **state)
{
	(void)state;
	memset(&q, 0, sizeof(q));
	return 0;
}

static void
add_range(int64_t from, int64_t to)
{
	for (int64_t i = from; i < to; i++)
		sequence_add(&q, i);
}

static void
test_no_rows_prove_nothing(void **state)
{
	(void)state;
	assert_false(sequence_is_good(&q));
}

static void
test_joins_late(void **state)
{
	(void)state;
	add_range(500, 1500);
	assert_true(sequence_is_good(&q));
	assert_int_equal(q.rows, 1000);
}

static void
test_feeds_take_turns(void **state)
{
	(void)state;
	for (int64_t i = 0; i < 1000; i++)
		for (int64_t feed = 0; feed < SEQUENCE_FEEDS_MAX; feed++)
			sequence_add(&q, feed * SEQUENCE_FEED + i);
	assert_true(sequence_is_good(&q));
	sequence_add(&q, SEQUENCE_FEEDS_MAX * SEQUENCE_FEED);
	assert_int_equal(q.strange, 1);
	assert_false(sequence_is_good(&q));
}

/* A null and both infinities are numbers of no row. */
static void
test_no_number(void **state)
{
	(void)state;
	add_range(0, 10);
	sequence_add(&q, INT64_MIN);
	sequence_add(&q, -INT64_MAX);
	sequence_add(&q, INT64_MAX);
	assert_int_equal(q.strange, 3);
	assert_int_equal(q.missing, 0);
}

static void
test_missing(void **state)
{
	(void)state;
	add_range(0, 10);
	add_range(13, 20);
	assert_int_equal(q.missing, 3);
	assert_int_equal(q.doubled + q.late + q.strange, 0);
	assert_false(sequence_is_good(&q));
}

static void
test_doubled(void **state)
{
	(void)state;
	add_range(0, 10);
	add_range(8, 12);
	assert_int_equal(q.doubled, 2);
	assert_int_equal(q.missing + q.late + q.strange, 0);
	assert_false(sequence_is_good(&q));
}

/* A number that comes late is not missing; if it comes twice, it is doubled. */
static void
test_late_then_doubled(void **state)
{
	(void)state;
	add_range(0, 10);
	add_range(20, 30);
	assert_int_equal(q.missing, 10);
	sequence_add(&q, 15);
	sequence_add(&q, 10);
	sequence_add(&q, 19);
	assert_int_equal(q.late, 3);
	assert_int_equal(q.missing, 7);
	sequence_add(&q, 15);
	assert_int_equal(q.doubled, 1);
	add_range(11, 15);
	add_range(16, 19);
	assert_int_equal(q.missing, 0);
	assert_int_equal(q.late, 10);
	assert_false(sequence_is_good(&q));
}

static void
test_more_gaps_than_are_kept(void **state)
{
	const int64_t gaps = 2 * SEQUENCE_GAPS_MAX;

	(void)state;
	for (int64_t i = 0; i <= gaps; i++)
		sequence_add(&q, 2 * i);
	assert_int_equal(q.missing, gaps);
	sequence_add(&q, 1); /* its gap has been replaced */
	assert_int_equal(q.doubled, 1);
	sequence_add(&q, 2 * gaps - 1);
	assert_int_equal(q.late, 1);
	assert_int_equal(q.missing, gaps - 1);
}

static void
test_nulls_are_strange(void **state)
{
	(void)state;
	sequence_add(&q, 0);
	sequence_add(&q, INT64_MIN);
	sequence_add(&q, 1);
	assert_int_equal(q.strange, 1);
	assert_int_equal(q.missing + q.doubled + q.late, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_no_rows_prove_nothing, set_up),
		cmocka_unit_test_setup(test_joins_late, set_up),
		cmocka_unit_test_setup(test_feeds_take_turns, set_up),
		cmocka_unit_test_setup(test_no_number, set_up),
		cmocka_unit_test_setup(test_missing, set_up),
		cmocka_unit_test_setup(test_doubled, set_up),
		cmocka_unit_test_setup(test_late_then_doubled, set_up),
		cmocka_unit_test_setup(test_more_gaps_than_are_kept, set_up),
		cmocka_unit_test_setup(test_nulls_are_strange, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
