#include "config.h"

#include "client/log_quota.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"

static struct peers peers;

static const struct peers_line scanner = { "10.0.0.9:1", "-",
					   PEERS_DISCONNECT, "bad_handshake",
					   false };

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
		{ "10.0.0.8:1", "-", PEERS_DISCONNECT, "bad_handshake", false },
		{ "10.0.0.9:1", "rdb", PEERS_DISCONNECT, "bad_handshake",
		  false },
		{ "10.0.0.9:1", "-", PEERS_CONNECT, "", false },
		{ "10.0.0.9:1", "-", PEERS_DISCONNECT, "http", false },
		{ "[::1]:1", "-", PEERS_DISCONNECT, "bad_handshake", false },
		{ "unix", "-", PEERS_DISCONNECT, "bad_handshake", false },
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

/* One line of each of cnt addresses.  Returns how many passed. */
static unsigned
passed_of_many(struct peers_line line, unsigned cnt, int64_t now_ns)
{
	unsigned all = 0;

	for (unsigned i = 0; i < cnt; i++) {
		char peer[32];

		(void)snprintf(peer, sizeof(peer), "[2001:db8::%x]:1", i);
		line.peer = peer;
		all += peers_may(&peers, &line, now_ns);
	}
	return all;
}

/* The log is bounded for any number of addresses; what was held back is one sum
 * with their number. */
static void
test_many(void **state)
{
	unsigned burst = PEERS_ALL * PEERS_BURST_MIN, idx = 0;
	int64_t t = 1000 * NS_PER_S;
	struct peers_held held;

	(void)state;
	peers_init(&peers, 1, 99);
	assert_int_equal(passed_of_many(scanner, 50000, t), burst);
	assert_int_equal(passed_of_many(scanner, 50000, t + NS_PER_S),
			 PEERS_ALL);
	assert_true(peers_next_held(&peers, &idx, t + 2 * NS_PER_S, false,
				    &held));
	assert_int_equal(held.lines, 100000 - burst - PEERS_ALL);
	assert_true(held.has_others);
	assert_true(held.addresses > 45000 && held.addresses < 55000);
	assert_false(peers_next_held(&peers, &idx, t, true, &held));
}

/* A flood of one event leaves the lines of other events, and of those who
 * publish or subscribe, who may cause as many again. */
static void
test_flood_hides_nobody(void **state)
{
	struct peers_line known = scanner, other = scanner;
	int64_t t = NS_PER_S;

	(void)state;
	known.is_known = true;
	other.event = PEERS_CONNECT;
	peers_init(&peers, 1, 99);
	(void)passed_of_many(scanner, 10000, t);
	assert_int_equal(passed_of_many(scanner, 10000, t), 0);
	assert_true(peers_may(&peers, &known, t));
	assert_true(peers_may(&peers, &other, t));
	assert_in_range(passed_of_many(known, 10000, t),
			PEERS_ALL * PEERS_BURST_MIN - 1,
			PEERS_ALL * PEERS_BURST_MIN + PEERS_ROWS);
}

/* Others that publish or subscribe, of many addresses, do not hide all lines of
 * one: it has a line a minute, and all together have few. */
static void
test_sure_lines(void **state)
{
	struct peers_line good = scanner, evil = scanner;
	unsigned good_cnt = 0, cnt = 0;

	(void)state;
	good.is_known = evil.is_known = true;
	peers_init(&peers, 1, 99);
	for (int64_t t = NS_PER_S; t < 641 * NS_PER_S; t += NS_PER_S) {
		cnt += passed_of_many(evil, 40, t);
		good_cnt += peers_may(&peers, &good, t);
	}
	assert_in_range(good_cnt, 8, 20);
	assert_true(cnt < PEERS_ALL * (PEERS_BURST_MIN + 640) +
				  11 * PEERS_ROWS);
}

/* Of two faults in turns each has a line at once, then one a second; any number
 * of faults is bounded. */
static void
test_faults(void **state)
{
	struct faults f = { .told_cnt = 0 };
	int64_t t = NS_PER_S;
	unsigned cnt = 0;

	(void)state;
	assert_true(fault_hash("ab", "c") != fault_hash("a", "bc"));
	for (uint64_t i = 0; i < 2000; i++) {
		bool may = faults_may(&f, i % 2, t + (int64_t)i * NS_PER_MS);

		if (may)
			faults_note(&f, i % 2);
		if (i < 2)
			assert_true(may);
		cnt += may;
	}
	assert_int_equal(cnt, 2 + 2);
	for (uint64_t i = 10; i < 1000; i++)
		if (faults_may(&f, i, t + 3 * NS_PER_S)) {
			faults_note(&f, i);
			cnt++;
		}
	assert_int_equal(cnt, 2 + 2 + FAULTS_TOLD - 2 + 1);
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
		cmocka_unit_test(test_flood_hides_nobody),
		cmocka_unit_test(test_sure_lines),
		cmocka_unit_test(test_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
