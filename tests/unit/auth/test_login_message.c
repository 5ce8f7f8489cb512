#include "config.h"

#include "auth/login_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static bool
is_good(const struct login_request *r)
{
	return login_request_is_good(r, sizeof(*r));
}

static void
test_requests(void **state)
{
	struct login_request r;

	(void)state;
	memset(&r, 0xff, sizeof(r));
	login_write_check(&r, 7, "rdb", "secret", 6, "10.0.0.5:4711");
	assert_true(is_good(&r));
	assert_true(r.id == 7 && r.kind == LOGIN_CHECK);
	assert_string_equal(r.user, "rdb");
	assert_string_equal(r.password, "secret");
	assert_string_equal(r.peer, "10.0.0.5:4711");
	/* nothing of what was there before is sent */
	assert_int_equal(r.user[127], 0);
	assert_int_equal(r.password[511], 0);
	assert_false(login_request_is_good(&r, sizeof(r) - 1));
	assert_false(login_request_is_good(&r, sizeof(r) + 1));
	assert_false(login_request_is_good(&r, 0));

	memset(&r, 0xff, sizeof(r));
	login_write_account(&r, UINT64_MAX, "");
	assert_true(is_good(&r));
	assert_true(r.id == UINT64_MAX && r.kind == LOGIN_ACCOUNT);
	assert_int_equal(r.password[0], 0);
}

static void
test_longest(void **state)
{
	char user[USER_BYTES_MAX + 1] = "", password[600], peer[100] = "";
	struct login_request r;

	(void)state;
	memset(user, 'u', USER_BYTES_MAX);
	memset(password, 'p', sizeof(password));
	memset(peer, 'q', sizeof(peer) - 1);
	login_write_check(&r, 1, user, password, PASSWORD_BYTES_MAX, peer);
	assert_true(is_good(&r));
	assert_int_equal(strlen(r.user), USER_BYTES_MAX);
	assert_int_equal(strlen(r.password), PASSWORD_BYTES_MAX);
	assert_int_equal(strlen(r.peer), LOGIN_PEER_BYTES_MAX);
	assert_int_equal(r.is_too_long, 0);
	login_write_check(&r, 1, user, password, PASSWORD_BYTES_MAX + 1, peer);
	assert_true(is_good(&r));
	assert_int_equal(r.is_too_long, 1);
	assert_int_equal(r.password[0], 0);
}

static void
test_bad_requests(void **state)
{
	struct login_request good, r;

	(void)state;
	login_write_check(&good, 1, "u", "p", 1, "unix");
	r = good;
	r.kind = 0;
	assert_false(is_good(&r));
	r.kind = 3;
	assert_false(is_good(&r));
	r = good;
	memset(r.user, 'x', sizeof(r.user));
	assert_false(is_good(&r));
	r = good;
	memset(r.password, 'x', sizeof(r.password));
	assert_false(is_good(&r));
	r = good;
	memset(r.peer, 'x', sizeof(r.peer));
	assert_false(is_good(&r));
	r = good;
	r.is_too_long = 1; /* with a password */
	assert_false(is_good(&r));
	r.password[0] = '\0';
	assert_true(is_good(&r));
	r.is_too_long = 2;
	assert_false(is_good(&r));
	login_write_account(&r, 1, "u");
	r.password[0] = 'p';
	assert_false(is_good(&r));
	login_write_account(&r, 1, "u");
	r.is_too_long = 1;
	assert_false(is_good(&r));
}

static void
test_answers(void **state)
{
	struct login_answer a;

	(void)state;
	memset(&a, 0xff, sizeof(a));
	login_write_ready(&a, 100000, 8192);
	assert_true(login_answer_is_good(&a, sizeof(a)));
	assert_true(a.users_cnt == 100000 && a.id == 0);
	assert_true(a.memory_kb == 8192);
	a.id = 1;
	assert_false(login_answer_is_good(&a, sizeof(a)));

	for (uint32_t kind = LOGIN_YES; kind <= LOGIN_UNKNOWN; kind++) {
		memset(&a, 0xff, sizeof(a));
		login_write_answer(&a, 9, kind);
		assert_true(login_answer_is_good(&a, sizeof(a)));
		assert_true(a.id == 9 && a.kind == kind);
		a.users_cnt = 1;
		assert_false(login_answer_is_good(&a, sizeof(a)));
		a.users_cnt = 0;
		a.memory_kb = 1;
		assert_false(login_answer_is_good(&a, sizeof(a)));
		a.memory_kb = 0;
		a.text[0] = 'x';
		assert_false(login_answer_is_good(&a, sizeof(a)));
	}
	login_write_answer(&a, 9, LOGIN_YES);
	assert_false(login_answer_is_good(&a, sizeof(a) - 1));
	a.kind = 0;
	assert_false(login_answer_is_good(&a, sizeof(a)));
	a.kind = LOGIN_UNKNOWN + 1;
	assert_false(login_answer_is_good(&a, sizeof(a)));
}

static void
test_failures(void **state)
{
	char text[1000];
	struct login_answer a;

	(void)state;
	login_write_failed(&a, "users:3: a\nb\x7f");
	assert_true(login_answer_is_good(&a, sizeof(a)));
	assert_string_equal(a.text, "users:3: a?b?");
	a.text[3] = '\n';
	assert_false(login_answer_is_good(&a, sizeof(a)));
	memset(a.text, 'x', sizeof(a.text));
	assert_false(login_answer_is_good(&a, sizeof(a)));
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	login_write_failed(&a, text);
	assert_true(login_answer_is_good(&a, sizeof(a)));
	assert_int_equal(strlen(a.text), LOGIN_TEXT_BYTES_MAX);
	login_write_failed(&a, "");
	assert_true(login_answer_is_good(&a, sizeof(a)));
}

static void
test_addresses(void **state)
{
	static const char *const cases[][2] = {
		{ "10.0.0.5:4711", "10.0.0.5" },
		{ "10.0.0.5", "10.0.0.5" },
		{ "[::1]:5010", "::1" },
		{ "[fe80::1%eth0]:5010", "fe80::1%eth0" },
		{ "::1", "::1" },
		{ "[::ffff:10.0.0.5]:5010", "10.0.0.5" },
		{ "[::ffff:1:2]:5010", "::ffff:1:2" },
		{ "unix", "unix" },
		{ "", "" },
		{ ":", "" },
		{ "]:", "]" },
		{ "[]:", "" },
		{ "[:", "[" },
		{ "::ffff:.", "." },
	};
	char buf[LOGIN_PEER_BYTES_MAX + 1], longest[200];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(login_peer_address(buf, cases[i][0]),
				    cases[i][1]);
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(strlen(login_peer_address(buf, longest)),
			 LOGIN_PEER_BYTES_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_bad_requests),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
