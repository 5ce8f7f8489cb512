#include "config.h"

#include "tools/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct histogram h;

static int
set_up(void **state)
{
	(void)state;
	memset(&h, 0, sizeof(h));
	return 0;
}

static void
test_empty_histogram(void **state)
{
	(void)state;
	assert_int_equal(histogram_percentile(&h, 50), 0);
	assert_int_equal(histogram_percentile(&h, 100), 0);
}

static void
test_small_values_are_exact(void **state)
{
	(void)state;
	for (uint64_t i = 1; i <= 100; i++)
		histogram_add(&h, i);
	assert_int_equal(histogram_percentile(&h, 50), 50);
	assert_int_equal(histogram_percentile(&h, 99), 99);
	assert_int_equal(histogram_percentile(&h, 100), 100);
	assert_int_equal(histogram_percentile(&h, 0), 1);
}

/* Every power of two and its neighbours: never below, at most 1/64 above. */
static void
test_error_is_bounded(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < 64; bit++)
		for (int around = -1; around <= 1; around++) {
			uint64_t v = (UINT64_C(1) << bit) + (uint64_t)around;
			uint64_t got;

			set_up(NULL);
			histogram_add(&h, v);
			histogram_add(&h, UINT64_MAX);
			got = histogram_percentile(&h, 50);
			assert_true(got >= v && got - v <= v / 64);
			assert_true(histogram_percentile(&h, 100) ==
				    UINT64_MAX);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_empty_histogram, set_up),
		cmocka_unit_test_setup(test_small_values_are_exact, set_up),
		cmocka_unit_test_setup(test_error_is_bounded, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
