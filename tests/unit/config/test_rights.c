#include "config.h"

#include "config/rights.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool
may_have(const struct rights *r, unsigned table_idx, const char *symbol)
{
	return rights_may_have(r, table_idx, symbol, strlen(symbol));
}

/* A user with these symbols of table 3. */
static struct rights
some(const char *name, const char *const *symbols)
{
	struct rights r;

	assert_true(rights_init(&r, name));
	for (; *symbols != NULL; symbols++)
		assert_true(rights_give_symbol(&r, 3, *symbols));
	rights_finish(&r);
	return r;
}

static void
test_nothing_at_first(void **state)
{
	struct rights r;

	(void)state;
	assert_true(rights_init(&r, "a"));
	rights_finish(&r);
	for (unsigned i = 0; i < SCHEMA_TABLES_MAX; i++)
		assert_false(rights_may_see(&r, i));
	assert_int_equal(r.may, 0);
	assert_false(rights_may_feed(&r));
	assert_false(may_have(&r, 3, ""));
	rights_fini(&r);
}

static void
test_symbols(void **state)
{
	static const char *const symbols[] = { "MSFT", "",    "IBM",
					       "IB",   "IBM", NULL };
	struct rights r = some("a", symbols);
	const struct symbol_right *all;
	unsigned cnt;

	(void)state;
	assert_true(rights_may_subscribe(&r, 3));
	assert_true(rights_is_restricted(&r, 3));
	assert_true(may_have(&r, 3, "IBM"));
	assert_true(may_have(&r, 3, "IB"));
	assert_true(may_have(&r, 3, ""));
	assert_false(may_have(&r, 3, "I"));
	assert_false(may_have(&r, 3, "IBMX"));
	assert_false(may_have(&r, 2, "IBM"));
	assert_false(may_have(&r, 4, "IBM"));
	/* A symbol from the wire has a length, and may have a NUL. */
	assert_false(rights_may_have(&r, 3, "IBM\0x", 5));
	all = rights_symbols(&r, 3, &cnt);
	assert_int_equal(cnt, 4); /* each once */
	assert_string_equal(all[0].symbol, "");
	assert_string_equal(all[3].symbol, "MSFT");
	(void)rights_symbols(&r, 2, &cnt);
	assert_int_equal(cnt, 0);
	(void)rights_symbols(&r, 4, &cnt);
	assert_int_equal(cnt, 0);
	rights_fini(&r);
}

static void
test_roles_add_up(void **state)
{
	static const char *const first[] = { "A", "B", NULL };
	static const char *const second[] = { "B", "C", NULL };
	struct rights one = some("one", first), two = some("two", second);
	struct rights whole, user;

	(void)state;
	bits_set(one.publish, 1, true);
	one.may = RIGHT_ASK;
	two.may = RIGHT_PAST;
	two.policy = 2;
	two.spill_limit = 7;
	one.limits[LIMIT_REQUESTS] = 5;
	two.limits[LIMIT_REQUESTS] = 6;
	two.limits[LIMIT_SYMBOLS] = 9;
	assert_true(rights_init(&whole, "whole"));
	rights_give_table(&whole, 3);
	assert_true(rights_init(&user, "u"));
	assert_true(rights_add_role(&user, &one));
	assert_true(rights_add_role(&user, &two));
	rights_finish(&user);
	assert_int_equal(user.may, RIGHT_ASK | RIGHT_PAST);
	assert_int_equal(user.policy, 2);
	assert_int_equal(user.spill_limit, 7);
	assert_int_equal(user.limits[LIMIT_REQUESTS], 5);
	assert_int_equal(user.limits[LIMIT_SYMBOLS], 9);
	assert_int_equal(user.limits[LIMIT_CONNECTIONS], 0);
	assert_true(rights_may_feed(&user));
	assert_true(rights_may_publish(&user, 1));
	assert_true(may_have(&user, 3, "A") && may_have(&user, 3, "B") &&
		    may_have(&user, 3, "C"));
	assert_int_equal(user.symbols_cnt, 3);
	/* One of the roles has the whole table: before and after the others. */
	assert_true(rights_add_role(&user, &whole));
	assert_false(rights_is_restricted(&user, 3));
	assert_int_equal(user.symbols_cnt, 0);
	assert_true(rights_add_role(&user, &one));
	rights_finish(&user);
	assert_false(rights_is_restricted(&user, 3));
	assert_true(rights_may_subscribe(&user, 3));
	/* A setting that is there stays. */
	one.policy = 1;
	assert_true(rights_add_role(&user, &one));
	assert_int_equal(user.policy, 2);
	rights_fini(&user);
	rights_fini(&whole);
	rights_fini(&one);
	rights_fini(&two);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_at_first),
		cmocka_unit_test(test_symbols),
		cmocka_unit_test(test_roles_add_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
