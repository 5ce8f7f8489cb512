#include "config.h"

#include "base/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"

static void
check_value(const char *s, size_t len, size_t buf_len, const char *expected)
{
	char buf[64];

	memset(buf, '#', sizeof(buf));
	assert_ptr_equal(log_value(buf, buf_len, s, len), buf);
	assert_string_equal(buf, expected);
	for (size_t i = buf_len; i < sizeof(buf); i++)
		assert_int_equal(buf[i], '#');
}

/* No name that a client gives itself can break the form of the line. */
static void
test_value(void **state)
{
	(void)state;
	check_value("rdb", 3, 16, "rdb");
	check_value("", 0, 16, "-");
	check_value(NULL, 0, 16, "-");
	check_value("a b=c\"d\ne\t\x7f", 11, 16, "a?b?c?d?e??");
	check_value("\xc3\xa4", 2, 16, "??");
	check_value("a\0b", 3, 16, "a?b");
	check_value("~!'\\", 4, 16, "~!'\\");
	check_value("abcdef", 6, 4, "abc");
	check_value("abcdef", 3, 16, "abc");
	check_value("", 0, 2, "-");
	check_value("xy", 2, 2, "x");
}

static void
check_quote(const char *text, size_t buf_len, const char *expected)
{
	char buf[64];

	memset(buf, '#', sizeof(buf));
	assert_ptr_equal(log_quote(buf, buf_len, text), buf);
	assert_string_equal(buf, expected);
	for (size_t i = buf_len; i < sizeof(buf); i++)
		assert_int_equal(buf[i], '#');
}

/* Paths stay readable, and each is one value. */
static void
test_quote(void **state)
{
	(void)state;
	check_quote("/var/sym2026.11.22", 32, "/var/sym2026.11.22");
	check_quote("", 16, "\"\"");
	check_quote("a b", 16, "\"a b\"");
	check_quote("a=b", 16, "\"a=b\"");
	check_quote("a\"b\\", 16, "\"a\\\"b\\\\\"");
	check_quote("a\nb\x7f", 16, "\"a?b?\"");
	check_quote("\xc3\xa4", 16, "\"\xc3\xa4\"");
	check_quote("abcdef", 8, "abcd");
	check_quote("ab def", 8, "\"ab \"");
	check_quote("\"\"\"\"", 8, "\"\\\"\\\"\"");
}

static void
test_limit(void **state)
{
	struct log_limit limit = { 0 };
	int64_t t = 5 * NS_PER_S;
	uint64_t held = 99;

	(void)state;
	assert_true(log_may(&limit, t, &held));
	assert_int_equal(held, 0);
	held = 99;
	for (unsigned i = 0; i < 10; i++)
		assert_false(log_may(&limit, t + i, &held));
	assert_false(log_may(&limit, t + NS_PER_S - 1, &held));
	assert_int_equal(held, 99);
	assert_true(log_may(&limit, t + NS_PER_S, &held));
	assert_int_equal(held, 11);
	/* counted from the line that passed */
	assert_false(log_may(&limit, t + 2 * NS_PER_S - 1, &held));
	assert_true(log_may(&limit, t + 2 * NS_PER_S, &held));
	assert_int_equal(held, 1);
}

/* ---- lines, with a pipe in place of stderr ---- */

static int pipe_fd;
static int real_stderr;

static int
log_into(const int fds[2])
{
	pipe_fd = fds[0];
	real_stderr = dup(STDERR_FILENO);
	if (real_stderr < 0 || dup2(fds[1], STDERR_FILENO) < 0)
		return -1;
	close(fds[1]);
	log_open();
	return fcntl(pipe_fd, F_SETFL, O_NONBLOCK);
}

static int
open_pipe(void **state)
{
	int fds[2];

	(void)state;
	return pipe(fds) != 0 ? -1 : log_into(fds);
}

/* A socket as systemd's journal uses it. */
static int
open_socket(void **state)
{
	int fds[2];

	(void)state;
	return socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0 ? -1
							     : log_into(fds);
}

static int
close_pipe(void **state)
{
	(void)state;
	close(pipe_fd);
	return dup2(real_stderr, STDERR_FILENO) < 0 || close(real_stderr) != 0;
}

static void
check_read(const char *expected)
{
	char got[2048];
	ssize_t n = read(pipe_fd, got, sizeof(got) - 1);

	got[n > 0 ? n : 0] = '\0';
	assert_string_equal(got, expected);
}

static void
test_line(void **state)
{
	(void)state;
	log_line(LOG_INFO, "ready", "port=%d", 5010);
	check_read("<6>event=ready port=5010\n");
	log_line(LOG_ERROR, "stop", "%s", "");
	check_read("<3>event=stop \n");
}

/* A long line is cut and stays one line. */
static void
test_long_line(void **state)
{
	char text[3000], got[4096];
	ssize_t n;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_line(LOG_INFO, "long", "%s", text);
	n = read(pipe_fd, got, sizeof(got));
	assert_true(n > 2000 && n <= 2048);
	assert_ptr_equal(memchr(got, '\n', (size_t)n), got + n - 1);
}

/* A pipe or socket without a reader: the log does not block, and later says how
 * many lines were lost. */
static void
test_full_pipe(void **state)
{
	enum { LINES = 20000 };
	char got[65536], lost[80];
	unsigned taken = 0;
	ssize_t n;

	(void)state;
	for (unsigned i = 0; i < LINES; i++)
		log_line(LOG_INFO, "many", "i=%0500u", i);
	while ((n = read(pipe_fd, got, sizeof(got))) > 0)
		for (ssize_t i = 0; i < n; i++)
			taken += got[i] == '\n';
	assert_in_range(taken, 1, LINES - 1);
	log_line(LOG_INFO, "after", "a=1");
	(void)snprintf(lost, sizeof(lost),
		       "<6>event=after a=1 log_lines_lost=%u\n", LINES - taken);
	check_read(lost);
	log_line(LOG_INFO, "after", "a=2");
	check_read("<6>event=after a=2\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_value),
		cmocka_unit_test(test_quote),
		cmocka_unit_test(test_limit),
		cmocka_unit_test_setup_teardown(test_line, open_pipe,
						close_pipe),
		cmocka_unit_test_setup_teardown(test_long_line, open_pipe,
						close_pipe),
		cmocka_unit_test_setup_teardown(test_full_pipe, open_pipe,
						close_pipe),
		cmocka_unit_test_setup_teardown(test_full_pipe, open_socket,
						close_pipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
