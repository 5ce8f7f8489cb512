#include "config.h"

#include "client/publishers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"

enum {
	SLOTS = 1024,
	HERE = 1, /* addresses */
	THERE = 2,
};

#define S NS_PER_S

static struct publishers publishers;

static int
set_up(void **state)
{
	(void)state;
	publishers = (struct publishers){ 0 };
	return 0;
}

/* A client publishes, and leaves after for_ns. */
static void
visit(const char *name, uint64_t address, int64_t at_ns, int64_t for_ns)
{
	publishers_came(&publishers, name, address, at_ns);
	publishers_left(&publishers, name, address, at_ns + for_ns);
}

/* The number of slots that a stranger cannot have. */
static unsigned
kept(int64_t now_ns)
{
	unsigned free_cnt = 0;

	while (!publishers_may_stay(&publishers, "stranger", THERE, true,
				    free_cnt, SLOTS, now_ns))
		free_cnt++;
	return free_cnt;
}

/* It may have the last slot although another publisher is expected then. */
static bool
is_known(const char *name, uint64_t address, int64_t now_ns)
{
	assert_true(kept(now_ns) > 0);
	return publishers_may_stay(&publishers, name, address, true, 0,
				   SLOTS, now_ns);
}

/* A publisher is not awaited while it is connected, nor for longer than it
 * was. */
static void
test_awaited(void **state)
{
	(void)state;
	publishers_came(&publishers, "feed", HERE, 1 * S);
	publishers_came(&publishers, "feed", HERE, 500 * S);
	publishers_left(&publishers, "feed", HERE, 900 * S);
	assert_int_equal(kept(950 * S), 0);
	publishers_left(&publishers, "feed", HERE, 1001 * S);
	assert_int_equal(kept(2000 * S), 1);
	assert_true(is_known("feed", HERE, 2000 * S));
	assert_false(is_known("feed", THERE, 2000 * S));
	assert_false(is_known("fee", HERE, 2000 * S));
	assert_int_equal(kept(2001 * S), 0);
	visit("feed", HERE, 10000 * S, 9000 * S);
	/* A later short visit does not shorten the time. */
	visit("feed", HERE, 19001 * S, 1 * S);
	assert_int_equal(kept(22599 * S), 1);
	assert_int_equal(kept(22600 * S), 0);
}

/* Names are chosen freely: the names of one address displace each other. */
static void
test_invented_names(void **state)
{
	char name[16];

	(void)state;
	visit("feed", HERE, 0, 3600 * S);
	visit("other", THERE, 0, 3600 * S);
	for (unsigned i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof(name), "n%u", i);
		visit(name, HERE, 3601 * S, 0);
	}
	assert_true(is_known("feed", HERE, 3611 * S));
	assert_true(is_known("other", THERE, 3611 * S));
	assert_int_equal(kept(3610 * S), PUBLISHERS_OF_ADDRESS + 1);
	assert_int_equal(kept(3611 * S), 2);
	/* Connected publishers keep their rows, up to the share of an
	 * address. */
	for (unsigned i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof(name), "m%u", i);
		publishers_came(&publishers, name, HERE, 3612 * S);
	}
	assert_true(is_known("m0", HERE, 3613 * S));
	assert_false(is_known("m999", HERE, 3613 * S));
	visit("new", THERE, 3613 * S, 0);
	assert_true(is_known("new", THERE, 3614 * S));
	assert_true(is_known("other", THERE, 3614 * S));
}

/* A full table drops the publisher whose time ends first. */
static void
test_full(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < PUBLISHERS_MAX; i++)
		visit("feed", 100 + i, 0, (int64_t)(1000 - i) * S);
	visit("feed", HERE, 1000 * S, 0);
	assert_true(is_known("feed", HERE, 900 * S));
	assert_false(is_known("feed", 100 + PUBLISHERS_MAX - 1, 900 * S));
	assert_true(is_known("feed", 100 + PUBLISHERS_MAX - 2, 900 * S));
	publishers_left(&publishers, "nobody", HERE, 1000 * S);
}

/* The last eighth is for those who may publish, expected or not. */
static void
test_who_may_not_publish(void **state)
{
	unsigned share = SLOTS / PUBLISHERS_SHARE;

	(void)state;
	for (unsigned left = 0; left < 2 * share; left++)
		assert_int_equal(publishers_may_stay(&publishers, "gui", HERE,
						     false, left, SLOTS, 0),
				 left >= share);
	assert_true(publishers_may_stay(&publishers, "feed", HERE, true, 0,
					SLOTS, 0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_awaited, set_up),
		cmocka_unit_test_setup(test_invented_names, set_up),
		cmocka_unit_test_setup(test_full, set_up),
		cmocka_unit_test_setup(test_who_may_not_publish, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
