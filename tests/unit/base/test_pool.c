#include "config.h"

#include "base/pool.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"

enum { BUFFERS = 5, BYTES = 10000 };

static uint8_t *
take(struct pool *p)
{
	return pool_take(p, (struct pool_hold){ .holder = p });
}

/* Every buffer is handed out once, none overlaps another, and then no buffer is
 * left. */
static void
test_take_all(void **state)
{
	uint8_t *taken[BUFFERS];
	struct pool p;

	(void)state;
	assert_int_equal(pool_open(&p, BUFFERS, BYTES), 0);
	for (unsigned i = 0; i < BUFFERS; i++) {
		taken[i] = take(&p);
		assert_non_null(taken[i]);
		memset(taken[i], (int)i + 1, BYTES);
	}
	assert_null(take(&p));
	assert_null(take(&p));
	for (unsigned i = 0; i < BUFFERS; i++)
		for (size_t k = 0; k < BYTES; k++)
			assert_int_equal(taken[i][k], i + 1);
	pool_close(&p);
}

static void
test_give_back(void **state)
{
	uint8_t *a, *b;
	struct pool p;

	(void)state;
	assert_int_equal(pool_open(&p, 2, BYTES), 0);
	a = take(&p);
	b = take(&p);
	assert_null(take(&p));
	pool_give(&p, NULL);
	assert_null(take(&p));
	pool_give(&p, a);
	assert_ptr_equal(take(&p), a);
	assert_null(take(&p));
	pool_give(&p, b);
	pool_give(&p, a);
	assert_int_equal(p.free_cnt, 2);
	assert_true(take(&p) != take(&p));
	pool_close(&p);
}

static void
test_failure_and_close(void **state)
{
	struct pool p;

	(void)state;
	memset(&p, 0xa5, sizeof(p));
	assert_int_equal(pool_open(&p, 4, (size_t)1 << 60), -ENOMEM);
	assert_null(take(&p));
	pool_close(&p);
	assert_null(p.memory);
	pool_close(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_take_all),
		cmocka_unit_test(test_give_back),
		cmocka_unit_test(test_failure_and_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
