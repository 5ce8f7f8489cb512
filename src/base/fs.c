#include "config.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

int
fs_write_all(int fd, const void *bytes, size_t len)
{
	const char *at = bytes;

	while (len > 0) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int
fs_write_file(const char *path, const void *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	int err;

	if (fd < 0)
		return -errno;
	err = fs_write_all(fd, bytes, len);
	if (err == 0 && fsync(fd) != 0)
		err = -errno;
	if (close(fd) != 0 && err == 0)
		err = -errno;
	return err;
}

int
fs_rename_new(const char *from, const char *to)
{
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	/* the file system has no RENAME_NOREPLACE (NFS) */
	if (link(from, to) != 0)
		return -errno;
	(void)unlink(from);
	return 0;
}

int
fs_sync_directory_of(const char *path)
{
	char copy[PATH_MAX];
	int len = snprintf(copy, sizeof(copy), "%s", path);
	int err = 0, fd;

	if (len < 0 || (size_t)len >= sizeof(copy))
		return -ENAMETOOLONG;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* EINVAL: the file system cannot sync a directory; there is nothing
	 * more to do. */
	if (fsync(fd) != 0 && errno != EINVAL)
		err = -errno;
	(void)close(fd);
	return err;
}
