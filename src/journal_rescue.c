#include "config.h"

#include "journal_rescue.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* 0, or -1 with errno. */
static int
copy_file(int from_fd, int to_fd, uint64_t len)
{
	off_t from = 0, to = 0;

	while (len > 0) {
		ssize_t n =
			copy_file_range(from_fd, &from, to_fd, &to, len, 0);

		if (n == 0)
			errno = EIO;
		if (n <= 0)
			return -1;
		len -= (uint64_t)n;
	}
	return 0;
}

static enum rescue_result
copy_back(const char *path, int fd, uint64_t len, bool must_sync)
{
	int to = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	int err;

	if (to < 0)
		return RESCUE_FAILED;
	if (flock(to, LOCK_EX | LOCK_NB) != 0 ||
	    copy_file(fd, to, len) != 0 ||
	    (must_sync && fdatasync(to) != 0) ||
	    /* Who reads by this number goes on in the copy. */
	    dup3(to, fd, O_CLOEXEC) < 0) {
		err = errno;
		(void)unlink(path);
		(void)close(to);
		errno = err;
		return RESCUE_FAILED;
	}
	(void)close(to);
	return RESCUE_COPIED;
}

static enum rescue_result
link_back(const char *path, int fd)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, name, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0
		       ? RESCUE_LINKED
		       : RESCUE_FAILED;
}

enum rescue_result
journal_rescue(const char *path, int fd, uint64_t len, bool must_sync)
{
	struct stat file, named;

	if (fstat(fd, &file) != 0)
		return RESCUE_FAILED;
	if (stat(path, &named) == 0 && named.st_ino == file.st_ino &&
	    named.st_dev == file.st_dev)
		return RESCUE_NOT_NEEDED;
	return file.st_nlink > 0 ? link_back(path, fd)
				 : copy_back(path, fd, len, must_sync);
}

bool
journal_is_deleted(int fd)
{
	struct stat file;

	return fstat(fd, &file) == 0 && file.st_nlink == 0;
}
