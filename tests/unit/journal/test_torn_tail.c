#include "config.h"

#include "journal/torn_tail.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"

enum { LEN_MAX = 300000 };

static char folder[] = "/tmp/ringtick-test-XXXXXX";
static char path[64], side[PATH_MAX];
static uint8_t bytes[LEN_MAX];
static int fd;

static int
set_up(void **state)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	(void)state;
	for (size_t i = 0; i < LEN_MAX; i++)
		bytes[i] = (uint8_t)(i * 2654435761u >> 24);
	(void)umask(022);
	/* so that a file over the limit is an error, not a signal */
	if (sigaction(SIGXFSZ, &ignore, NULL) != 0 || mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/journal", folder);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	return rmdir(folder);
}

static const char *
side_path(unsigned n)
{
	static char at[sizeof(path) + 32];

	snprintf(at, sizeof(at), "%s.torn.%u", path, n);
	return at;
}

static int
start(void **state)
{
	(void)state;
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	return fd < 0 ? -1 : 0;
}

static int
stop(void **state)
{
	(void)state;
	(void)close(fd);
	(void)unlink(path);
	for (unsigned n = 1; n <= 3; n++)
		(void)unlink(side_path(n));
	return 0;
}

/* The journal has this many of the bytes. */
static void
fill(size_t len)
{
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(pwrite(fd, bytes, len, 0), len);
}

static void
check_file(const char *name, const uint8_t *expected, size_t len)
{
	static uint8_t found[LEN_MAX + 1];
	int at = open(name, O_RDONLY | O_CLOEXEC);

	assert_true(at >= 0);
	assert_int_equal(read(at, found, sizeof(found)), len);
	(void)close(at);
	assert_memory_equal(found, expected, len);
}

static void
check_untouched(size_t len)
{
	check_file(path, bytes, len);
	assert_int_equal(access(side_path(1), F_OK), -1);
	assert_int_equal(errno, ENOENT);
}

static int
cut(uint64_t good, uint64_t len)
{
	return torn_tail_cut(fd, path, good, len, side, sizeof(side));
}

/* Tails shorter and longer than a buffer; each one gets a file of its own. */
static void
test_cut(void **state)
{
	(void)state;
	fill(1005);
	assert_int_equal(cut(1000, 1005), 0);
	assert_string_equal(side, side_path(1));
	check_file(side, bytes + 1000, 5);
	check_file(path, bytes, 1000);

	fill(LEN_MAX);
	assert_int_equal(cut(8, LEN_MAX), 0);
	assert_string_equal(side, side_path(2));
	check_file(side, bytes + 8, LEN_MAX - 8);
	check_file(path, bytes, 8);

	fill(100);
	assert_int_equal(cut(0, 100), 0);
	check_file(side_path(3), bytes, 100);
	check_file(path, bytes, 0);
	check_file(side_path(1), bytes + 1000, 5);
}

/* A user who may not read the journal may not read its tail. */
static void
test_mode(void **state)
{
	static const mode_t modes[] = { 0600, 0640, 0400 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		struct stat st;

		fill(10);
		assert_int_equal(fchmod(fd, modes[i]), 0);
		assert_int_equal(cut(9, 10), 0);
		assert_int_equal(stat(side, &st), 0);
		assert_int_equal(st.st_mode & 0777, modes[i]);
		assert_int_equal(fchmod(fd, 0600), 0);
	}
}

/* Also when the copy breaks off in the middle. */
static void
test_no_room(void **state)
{
	static const rlim_t rooms[] = { 0, 4096, LEN_MAX - 101 };

	(void)state;
	fill(LEN_MAX);
	for (size_t i = 0; i < ARRAY_LEN(rooms); i++) {
		struct rlimit before, limit;
		int err;

		assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
		limit = (struct rlimit){ rooms[i], before.rlim_max };
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
		err = cut(100, LEN_MAX);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
		assert_int_equal(err, -EFBIG);
		check_untouched(LEN_MAX);
	}
}

static void
test_no_name(void **state)
{
	char nowhere[PATH_MAX], longest[NAME_MAX + 1];

	(void)state;
	fill(100);
	assert_int_equal(torn_tail_cut(fd, path, 50, 100, side, strlen(path)),
			 -ENAMETOOLONG);
	check_untouched(100);
	memset(longest, 'n', NAME_MAX);
	longest[NAME_MAX] = '\0';
	snprintf(nowhere, sizeof(nowhere), "%s/%s", folder, longest);
	assert_int_equal(
		torn_tail_cut(fd, nowhere, 50, 100, side, sizeof(side)),
		-ENAMETOOLONG);
	check_untouched(100);
	snprintf(nowhere, sizeof(nowhere), "%s/none/journal", folder);
	assert_int_equal(
		torn_tail_cut(fd, nowhere, 50, 100, side, sizeof(side)),
		-ENOENT);
	check_untouched(100);
}

/* Bytes that are not in the copy are not cut off. */
static void
test_changed(void **state)
{
	(void)state;
	fill(100);
	assert_int_equal(cut(50, 99), -ESTALE);
	check_untouched(100);
	assert_int_equal(cut(50, 101), -ESTALE);
	check_untouched(100);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(cut(50, 100), -ESTALE);
	assert_int_equal(access(side_path(1), F_OK), -1);
}

/* A journal that cannot be cut keeps its tail, and no side file is left. */
static void
test_only_readable(void **state)
{
	int err, writable = fd;

	(void)state;
	fill(100);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	err = cut(50, 100);
	(void)close(fd);
	fd = writable;
	assert_true(err == -EINVAL || err == -EBADF);
	check_untouched(100);
}

/* No tail, nothing to cut: the call is a bug of the caller. */
static void
test_no_tail(void **state)
{
	struct rlimit no_core = { 0 };
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		(void)setrlimit(RLIMIT_CORE, &no_core);
		(void)close(STDERR_FILENO);
		(void)cut(100, 100);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
		TEST(test_cut),
		TEST(test_mode),
		TEST(test_no_room),
		TEST(test_no_name),
		TEST(test_changed),
		TEST(test_only_readable),
		TEST(test_no_tail),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
