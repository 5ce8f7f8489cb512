#include "config.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/ringtick-test-XXXXXX";
static char one[64], two[64];

static int
set_up(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(one, sizeof(one), "%s/one", folder);
	snprintf(two, sizeof(two), "%s/two", folder);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	(void)unlink(one);
	(void)unlink(two);
	return rmdir(folder);
}

static void
put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fs_write_all(fd, text, strlen(text)), 0);
	assert_int_equal(close(fd), 0);
}

static void
check(const char *path, const char *text)
{
	char buf[64];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	assert_true(fd >= 0);
	n = read(fd, buf, sizeof(buf));
	assert_int_equal(n, strlen(text));
	assert_memory_equal(buf, text, (size_t)n);
	assert_int_equal(close(fd), 0);
}

static void
test_write_all(void **state)
{
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	put(one, "some bytes");
	check(one, "some bytes");
	assert_int_equal(fs_write_all(-1, "x", 1), -EBADF);
	assert_true(full >= 0);
	assert_int_equal(fs_write_all(full, "x", 1), -ENOSPC);
	assert_int_equal(close(full), 0);
}

/* An existing file is never overwritten. */
static void
test_rename_new(void **state)
{
	(void)state;
	put(one, "1");
	put(two, "2");
	assert_int_equal(fs_rename_new(one, two), -EEXIST);
	check(one, "1");
	check(two, "2");
	assert_int_equal(unlink(two), 0);
	assert_int_equal(fs_rename_new(one, two), 0);
	check(two, "1");
	assert_int_equal(fs_rename_new(one, two), -ENOENT);
}

static void
test_sync_directory(void **state)
{
	char name[PATH_MAX + 1];

	(void)state;
	put(one, "1");
	assert_int_equal(fs_sync_directory_of(one), 0);
	/* in this folder, and in the root */
	assert_int_equal(fs_sync_directory_of("journal"), 0);
	assert_int_equal(fs_sync_directory_of("/journal"), 0);
	snprintf(name, sizeof(name), "%s/none/journal", folder);
	assert_int_equal(fs_sync_directory_of(name), -ENOENT);
	snprintf(name, sizeof(name), "%s/none", one);
	assert_int_equal(fs_sync_directory_of(name), -ENOTDIR);
	memset(name, 'n', PATH_MAX);
	name[PATH_MAX] = '\0';
	assert_int_equal(fs_sync_directory_of(name), -ENAMETOOLONG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_write_all),
		cmocka_unit_test(test_rename_new),
		cmocka_unit_test(test_sync_directory),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
