#include "config.h"

#include "client/shares.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"

enum { CONNECTIONS = 50 };

#define S NS_PER_S

static struct shares shares;

static int
set_up(void **state)
{
	(void)state;
	return shares_open(&shares, CONNECTIONS, 7);
}

static int
tear_down(void **state)
{
	(void)state;
	shares_close(&shares);
	return 0;
}

static struct share *
join(const char *name, unsigned max)
{
	return shares_join(&shares, shares_of_user(&shares, name), max);
}

/* The key of an address. */
static uint64_t
of(const char *text)
{
	struct peer_address from = { .at.sa.sa_family = AF_INET };

	if (inet_pton(AF_INET, text, &from.at.v4.sin_addr) == 1)
		return shares_of_address(&shares, &from);
	from.at.sa.sa_family = AF_INET6;
	assert_int_equal(inet_pton(AF_INET6, text, &from.at.v6.sin6_addr), 1);
	return shares_of_address(&shares, &from);
}

static uint64_t
of_uid(uid_t uid)
{
	struct peer_address from = { .at.sa.sa_family = AF_UNIX, .uid = uid };

	return shares_of_address(&shares, &from);
}

/* Each has its own limit, which is there again when one has gone. */
static void
test_connections(void **state)
{
	struct share *first = join("rdb", 2);

	(void)state;
	assert_non_null(first);
	assert_ptr_equal(join("rdb", 2), first);
	assert_null(join("rdb", 2));
	assert_null(join("rdb", 1));
	assert_non_null(join("feed", 1));
	assert_null(join("feed", 1));
	shares_leave(&shares, first);
	assert_ptr_equal(join("rdb", 2), first);
	assert_null(join("rdb", 2));
	/* Without a limit, and with a larger one after a reload. */
	assert_ptr_equal(join("rdb", 0), first);
	assert_ptr_equal(join("rdb", 4), first);
	assert_null(join("rdb", 4));
	shares_leave(&shares, NULL);
}

static void
test_keys(void **state)
{
	(void)state;
	assert_true(of("10.0.0.1") != of("10.0.0.2"));
	assert_true(of("10.0.0.1") == of("::ffff:10.0.0.1"));
	assert_true(of("2001:db8::1") == of("2001:db8::2:3:4:5"));
	assert_true(of("2001:db8::1") != of("2001:db8:0:1::1"));
	assert_true(of_uid(0) != of_uid(1000));
	assert_true(of_uid(0) != of("0.0.0.0"));
	assert_true(shares_of_user(&shares, "a") !=
		    shares_of_user(&shares, "b"));
}

/* As many as there can be, over and over: every connection is counted, and
 * every count comes to its end. */
static void
test_many(void **state)
{
	struct share *all[2 * CONNECTIONS];
	char name[16];

	(void)state;
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < ARRAY_LEN(all); i++) {
			(void)snprintf(name, sizeof(name), "%u.%u",
				       round % 3, i);
			all[i] = join(name, 1);
			assert_non_null(all[i]);
			assert_null(join(name, 1));
		}
		for (unsigned i = round % 2; i < ARRAY_LEN(all); i += 2)
			shares_leave(&shares, all[i]);
		for (unsigned i = 1 - round % 2; i < ARRAY_LEN(all); i += 2)
			shares_leave(&shares, all[i]);
	}
}

/* A second's requests may come at once; who connects again gets no more, as
 * long as no other needs the row. */
static void
test_requests(void **state)
{
	struct share *one = join("gui", 0);
	int64_t now_ns = 1000 * S;

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		assert_true(share_may_ask(one, 10, now_ns));
		share_note_request(one, 10, now_ns);
	}
	assert_false(share_may_ask(one, 10, now_ns));
	shares_leave(&shares, one);
	assert_ptr_equal(join("gui", 0), one);
	assert_false(share_may_ask(one, 10, now_ns + S / 10 - 1));
	assert_true(share_may_ask(one, 10, now_ns + S / 10));
	share_note_request(one, 10, now_ns + S / 10);
	assert_false(share_may_ask(one, 10, now_ns + S / 10));
	/* Unused seconds are not saved up. */
	now_ns += 3600 * S;
	for (unsigned i = 0; i < 10; i++)
		share_note_request(one, 10, now_ns);
	assert_false(share_may_ask(one, 10, now_ns));
	/* One a second is the least. */
	one = join("slow", 0);
	assert_true(share_may_ask(one, 1, now_ns));
	share_note_request(one, 1, now_ns);
	assert_false(share_may_ask(one, 1, now_ns + S - 1));
	assert_true(share_may_ask(one, 1, now_ns + S));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_connections, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_keys, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_requests, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
