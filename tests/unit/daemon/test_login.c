/*
 * Who is asked about, and when: logins on a double of the engine, whose time is
 * a number.  The test reads the requests, and answers.
 */
#include "config.h"

#include "daemon/login.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "../engine_double.h"
#include "auth/login_message.h"
#include "base/clock.h"

enum { GUESSES = 40, CLIENTS = 200, SHARE = 16, FREE = 3, DEBT_MAX = 32 };
enum { HOME = 1, OTHER = 2 }; /* addresses */

static struct server s; /* nothing but its logins */
static struct connection guesses[GUESSES], clients[CLIENTS], one;
static int end; /* of ringtick-login */
static uint64_t open_ids[LOGIN_OUTSTANDING_MAX]; /* ids without an answer */
static unsigned open_cnt;

static void
init_connection(struct connection *c, uint64_t address, const char *name)
{
	*c = (struct connection){ .state = CONNECTION_CHECKING };
	c->consumer.address = address;
	(void)snprintf(c->name, sizeof(c->name), "%s", name);
}

static int
start(void **state)
{
	char name[16];
	int fds[2];

	(void)state;
	s = (struct server){ .now_ns = 1000 * NS_PER_S };
	open_cnt = 0;
	login_init(&s.login);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds), 0);
	end = fds[1];
	login_use(&s, fds[0]);
	for (unsigned i = 0; i < GUESSES; i++) {
		(void)snprintf(name, sizeof(name), "x%u", i);
		init_connection(&guesses[i], HOME, name);
	}
	init_connection(&one, OTHER, "one");
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	login_close(&s);
	(void)close(end);
	return 0;
}

/* Reads what was asked; returns how many wait for an answer. */
static unsigned
read_requests(void)
{
	struct login_request r;

	while (recv(end, &r, sizeof(r), 0) > 0) {
		assert_true(login_request_is_good(&r, sizeof(r)));
		assert_true(open_cnt < LOGIN_OUTSTANDING_MAX);
		open_ids[open_cnt++] = r.id;
	}
	return open_cnt;
}

/* Answers the oldest.  Returns whom it was about. */
static struct connection *
answer(enum login_answer_kind kind)
{
	struct ticket ticket = { .slot = (uint16_t)s.login.channel,
				 .kind = ENGINE_LOGIN };
	struct login_answer *a = &s.login.answers[s.login.channel];
	struct connection *c;

	assert_true(read_requests() > 0);
	asked_cnt = 0; /* by the engine's double */
	login_write_answer(a, open_ids[0], kind);
	memmove(open_ids, open_ids + 1, --open_cnt * sizeof(open_ids[0]));
	assert_int_equal(login_completed(&s, ticket, sizeof(*a), &c),
			 kind == LOGIN_YES  ? VERDICT_YES
			 : kind == LOGIN_NO ? VERDICT_NO
					    : VERDICT_UNKNOWN);
	login_run(&s);
	return c;
}

static void
ask_all(void)
{
	for (unsigned i = 0; i < GUESSES; i++)
		login_ask(&s, &guesses[i]);
}

/* Of an address some are asked about at a time, and who comes from another is
 * not behind the rest. */
static void
test_nobody_is_behind_guesses(void **state)
{
	(void)state;
	ask_all();
	assert_int_equal(read_requests(), SHARE);
	login_ask(&s, &one);
	assert_int_equal(read_requests(), SHARE + 1);
	for (unsigned i = 0; i < SHARE; i++)
		(void)answer(LOGIN_NO);
	assert_ptr_equal(answer(LOGIN_YES), &one);
	/* After a failure one at a time. */
	assert_int_equal(read_requests(), 1);
}

/* Whatever the names are, an address fails so often, and then once in two
 * seconds; when it has paid, it is as before. */
static void
test_debts(void **state)
{
	(void)state;
	ask_all();
	for (unsigned i = 0; i < DEBT_MAX; i++) {
		assert_false(login_is_barred(&s, &guesses[GUESSES - 1]));
		(void)answer(LOGIN_NO);
	}
	assert_true(login_is_barred(&s, &guesses[GUESSES - 1]));
	assert_false(login_is_barred(&s, &one));
	assert_int_equal(read_requests(), 0);
	s.now_ns += 1;
	login_run(&s);
	(void)answer(LOGIN_NO);
	assert_int_equal(read_requests(), 0);
	s.now_ns += 2 * NS_PER_S - 1;
	login_run(&s);
	assert_int_equal(read_requests(), 0);
	s.now_ns += 1;
	login_run(&s);
	(void)answer(LOGIN_NO);
	assert_int_equal(read_requests(), 0);
	s.now_ns += (2 * DEBT_MAX + 2) * NS_PER_S;
	login_run(&s);
	assert_int_equal(read_requests(), GUESSES - DEBT_MAX - 2);
}

/* Guesses at one name are not asked about while it is barred, though they came
 * before its first failure. */
static void
test_one_name(void **state)
{
	unsigned cnt;

	(void)state;
	for (unsigned i = 0; i < GUESSES; i++)
		init_connection(&guesses[i], HOME, "feed");
	ask_all();
	for (cnt = 0; read_requests() > 0; cnt++)
		(void)answer(LOGIN_NO);
	assert_int_equal(cnt, SHARE);
	assert_true(cnt > FREE && login_is_barred(&s, &guesses[0]));
	init_connection(&one, HOME, "one");
	assert_false(login_is_barred(&s, &one));
	login_ask(&s, &one);
	assert_ptr_equal(answer(LOGIN_YES), &one);
}

/* Failures of so many addresses that there is no row for each do not bar one
 * that has not failed. */
static void
test_many_addresses(void **state)
{
	(void)state;
	for (uint64_t address = 10; address < 1000; address++) {
		init_connection(&guesses[0], address, "x");
		login_ask(&s, &guesses[0]);
		assert_ptr_equal(answer(LOGIN_NO), &guesses[0]);
	}
	assert_false(login_is_barred(&s, &one));
	assert_int_equal(s.counters.login_failures, 990);
}

/* Whether a user may stay is asked until there is an answer, once a second. */
static void
test_asked_later(void **state)
{
	(void)state;
	one.state = CONNECTION_OPEN;
	login_ask(&s, &one);
	for (unsigned i = 0; i < 3; i++) {
		assert_ptr_equal(answer(LOGIN_UNKNOWN), &one);
		assert_int_equal(read_requests(), 0);
		login_run_each_second(&s);
	}
	assert_ptr_equal(answer(LOGIN_YES), &one);
	login_run_each_second(&s);
	assert_int_equal(read_requests(), 0);
	login_ask(&s, &one);
	(void)answer(LOGIN_UNKNOWN);
	login_forget(&s, &one);
	login_run_each_second(&s);
	assert_int_equal(read_requests(), 0);
}

/* After a reload, with many clients, a newcomer is not behind all of them, nor
 * are they behind newcomers. */
static void
test_newcomers_and_accounts(void **state)
{
	unsigned cnt = 1;

	(void)state;
	for (unsigned i = 0; i < CLIENTS; i++) {
		init_connection(&clients[i], HOME, "client");
		clients[i].state = CONNECTION_OPEN;
		login_ask(&s, &clients[i]);
	}
	login_ask(&s, &one);
	while (answer(LOGIN_YES) != &one)
		cnt++;
	assert_true(cnt <= LOGIN_OUTSTANDING_MAX + 2);
	while (cnt++ < CLIENTS + 1)
		(void)answer(LOGIN_YES);
	assert_int_equal(read_requests(), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nobody_is_behind_guesses,
						start, stop),
		cmocka_unit_test_setup_teardown(test_debts, start, stop),
		cmocka_unit_test_setup_teardown(test_one_name, start, stop),
		cmocka_unit_test_setup_teardown(test_many_addresses, start,
						stop),
		cmocka_unit_test_setup_teardown(test_asked_later, start, stop),
		cmocka_unit_test_setup_teardown(test_newcomers_and_accounts,
						start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
