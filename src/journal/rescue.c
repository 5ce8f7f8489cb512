#include "config.h"

#include "journal/rescue.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/util.h"

enum {
	COPIES_MAX = 10000,
	COPY_BYTES = 1 << 30, /* in one go */
};

/* ---- its name ---- */

struct rescue_look
rescue_look(const char *path, int fd)
{
	struct rescue_look look = { .name = RESCUE_UNKNOWN };
	struct stat file, named;
	int err;

	if (fstat(fd, &file) != 0) {
		look.err = errno;
		return look;
	}
	look.is_linked = file.st_nlink > 0;
	look.size = (uint64_t)file.st_size;
	look.device = file.st_dev;
	look.inode = file.st_ino;
	err = stat(path, &named) == 0 ? 0 : errno;
	if (err != 0 && err != ENOENT)
		look.err = err;
	else if (err == ENOENT)
		look.name = look.is_linked ? RESCUE_MOVED : RESCUE_DELETED;
	else if (named.st_ino == file.st_ino && named.st_dev == file.st_dev)
		look.name = RESCUE_NAMED;
	else
		look.err = EEXIST;
	return look;
}

int
rescue_link(const char *path, int fd)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, name, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0
		       ? 0
		       : -errno;
}

/* ---- a copy ---- */

static int
copy_begin(struct rescue_copy *c, const char *path)
{
	for (unsigned n = 1; n <= COPIES_MAX; n++) {
		int len = snprintf(c->path, sizeof(c->path), "%s.rescue.%u",
				   path, n);

		if (len < 0 || (size_t)len >= sizeof(c->path))
			return -ENAMETOOLONG;
		c->fd = open(c->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
			     0640);
		c->len = 0;
		if (c->fd >= 0)
			return 0;
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

static int
copy_on(struct rescue_copy *c, int fd, uint64_t len)
{
	while (c->len < len) {
		off_t from = (off_t)c->len, to = (off_t)c->len;
		size_t wanted = min_u64(len - c->len, COPY_BYTES);
		ssize_t n = copy_file_range(fd, &from, c->fd, &to, wanted, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0) /* it was cut */
			break;
		c->len += (uint64_t)n;
	}
	return 0;
}

void
rescue_copy_drop(struct rescue_copy *c)
{
	if (c->fd < 0)
		return;
	(void)unlink(c->path);
	(void)close(c->fd);
	c->fd = -1;
}

int
rescue_copy(struct rescue_copy *c, const char *path, int fd, uint64_t len)
{
	int err = c->fd < 0 ? copy_begin(c, path) : 0;

	if (err == 0)
		err = copy_on(c, fd, len);
	if (err != 0)
		rescue_copy_drop(c);
	return err;
}

int
rescue_copy_finish(struct rescue_copy *c, const char *path, int fd,
		   bool must_sync)
{
	int err = rescue_copy(c, path, fd, INT64_MAX);

	if (err != 0)
		return err;
	if (must_sync && fdatasync(c->fd) != 0)
		err = -errno;
	/* As the file that it takes the place of (open.h). */
	(void)flock(c->fd, LOCK_EX | LOCK_NB);
	if (err == 0)
		err = fs_rename_new(c->path, path);
	if (err != 0) {
		rescue_copy_drop(c);
		return err;
	}
	/* From here on it has the name: what fails now leaves no less. */
	if (dup3(c->fd, fd, O_CLOEXEC) < 0)
		err = -errno;
	(void)close(c->fd);
	c->fd = -1;
	return err == 0 && must_sync ? fs_sync_directory_of(path) : err;
}
