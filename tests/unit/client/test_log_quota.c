#include "config.h"

#include "client/log_quota.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"

static struct peers peers;

static const struct peers_line scanner = { "10.0.0.9:1", "-", "disconnect",
					   "bad_handshake" };

static unsigned
passed(const struct peers_line *line, unsigned tries, int64_t now_ns)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < tries; i++)
		cnt += peers_may(&peers, line, now_ns);
	return cnt;
}

/* A burst, then one line per second; after a pause the whole burst again. */
static void
test_burst(void **state)
{
	int64_t t = 1000 * NS_PER_S;

	(void)state;
	peers_init(&peers, 1, 7);
	assert_int_equal(passed(&scanner, 1000, t), PEERS_BURST_MIN);
	assert_int_equal(passed(&scanner, 1000, t + NS_PER_S - 1), 0);
	assert_int_equal(passed(&scanner, 1000, t + NS_PER_S), 1);
	assert_int_equal(passed(&scanner, 1000, t + 11 * NS_PER_S), 10);
	t += 1000 * NS_PER_S;
	assert_int_equal(passed(&scanner, 1000, t), PEERS_BURST_MIN);
	peers_init(&peers, 200, 7);
	assert_int_equal(passed(&scanner, 1000, t), 200);
	peers_init(&peers, UINT64_MAX, 7);
	assert_int_equal(passed(&scanner, 10000, t), PEERS_BURST_MAX);
}

/* A client on another port is the same; with another name, address, event or
 * reason it is another. */
static void
test_who(void **state)
{
	static const struct peers_line others[] = {
		{ "10.0.0.8:1", "-", "disconnect", "bad_handshake" },
		{ "10.0.0.9:1", "rdb", "disconnect", "bad_handshake" },
		{ "10.0.0.9:1", "-", "connect", "" },
		{ "10.0.0.9:1", "-", "disconnect", "http" },
		{ "[::1]:1", "-", "disconnect", "bad_handshake" },
		{ "unix", "-", "disconnect", "bad_handshake" },
	};
	struct peers_line same = scanner;
	int64_t t = NS_PER_S;

	(void)state;
	peers_init(&peers, 1, 12345);
	assert_int_equal(passed(&scanner, 1000, t), PEERS_BURST_MIN);
	same.peer = "10.0.0.9:60000";
	assert_int_equal(passed(&same, 1000, t), 0);
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		assert_int_equal(passed(&others[i], 1000, t), PEERS_BURST_MIN);
}

/* Names are chosen freely: the names of one address share the lines of four,
 * and few rows hold the rest. */
static void
test_names(void **state)
{
	unsigned cnt = 0, sums = 0, idx = 0;
	struct peers_held held;
	int64_t t = NS_PER_S;

	(void)state;
	peers_init(&peers, 1, 4711);
	for (unsigned i = 0; i < 100000; i++) {
		char user[32];
		struct peers_line line = scanner;

		(void)snprintf(user, sizeof(user), "u%u", i);
		line.user = user;
		cnt += peers_may(&peers, &line, t);
	}
	assert_int_equal(cnt, PEERS_NAMES * PEERS_BURST_MIN);
	while (peers_next_held(&peers, &idx, t, true, &held)) {
		assert_int_equal(held.lines, 100000 - cnt);
		assert_true(held.has_others);
		sums++;
	}
	assert_int_equal(sums, 1);
}

/* Lines held back are summed up once: at the end of the burst, or in
 * between. */
static void
test_sums(void **state)
{
	struct peers_held held;
	int64_t t = 50 * NS_PER_S;
	unsigned idx = 0;

	(void)state;
	peers_init(&peers, 1, 7);
	(void)passed(&scanner, PEERS_BURST_MIN, t);
	assert_false(peers_next_held(&peers, &idx, t, true, &held));
	(void)passed(&scanner, 30, t);
	idx = 0;
	assert_false(peers_next_held(&peers, &idx, t, false, &held));
	idx = 0;
	assert_true(peers_next_held(&peers, &idx, t + NS_PER_S, false, &held));
	assert_int_equal(held.lines, 30);
	assert_string_equal(held.address, "10.0.0.9");
	assert_string_equal(held.reason, "bad_handshake");
	assert_false(held.has_others);
	assert_false(peers_next_held(&peers, &idx, t + NS_PER_S, true, &held));
	for (unsigned i = 0; i < 1000; i++)
		(void)peers_may(&peers, &scanner, t + i * NS_PER_S / 100);
	idx = 0;
	assert_true(
		peers_next_held(&peers, &idx, t + 10 * NS_PER_S, false, &held));
	assert_int_equal(held.lines, 1000 - 9);
}

/* The log is bounded for any number of clients. */
static void
test_many(void **state)
{
	unsigned cnt = 0, sums = 0, idx = 0;
	struct peers_held held;
	uint64_t lines = 0;

	(void)state;
	peers_init(&peers, 1, 99);
	for (unsigned i = 0; i < 100000; i++) {
		char peer[32];
		struct peers_line line = scanner;

		(void)snprintf(peer, sizeof(peer), "[2001:db8::%x]:1", i);
		line.peer = peer;
		cnt += peers_may(&peers, &line, NS_PER_S);
	}
	assert_int_equal(cnt, PEERS_ROWS * PEERS_BURST_MIN);
	while (peers_next_held(&peers, &idx, NS_PER_S, true, &held)) {
		assert_true(held.has_others);
		lines += held.lines;
		sums++;
	}
	assert_int_equal(sums, PEERS_ROWS);
	assert_int_equal(lines, 100000 - cnt);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_burst),
		cmocka_unit_test(test_who),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
