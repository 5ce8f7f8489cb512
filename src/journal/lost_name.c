#include "config.h"

#include "journal/lost_name.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/util.h"

enum {
	NAMES_MAX = 10000,
	/* Copied and synced at a time: a sync of the journal that runs beside
	 * it has to wait for as much. */
	PIECE_BYTES = 8 << 20,
};

/* ---- the name ---- */

struct lost_name_look
lost_name_look(const char *path, int fd)
{
	struct lost_name_look look = { .name = NAME_UNKNOWN };
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
	/* A dangling link has the name, too. */
	err = stat(path, &named) == 0 || lstat(path, &named) == 0 ? 0 : errno;
	if (err == 0 && named.st_ino == file.st_ino &&
	    named.st_dev == file.st_dev)
		look.name = NAME_KEPT;
	else if (err == 0 || err == ENOENT)
		look.name = look.is_linked ? NAME_MOVED : NAME_DELETED;
	else
		look.err = err;
	return look;
}

int
lost_name_put_aside(const char *path, struct lost_name_aside *a)
{
	int err = -EEXIST;

	a->path[0] = '\0';
	if (!a->is_allowed)
		return err;
	for (unsigned n = 1; n <= NAMES_MAX && err == -EEXIST; n++) {
		int len = snprintf(a->path, sizeof(a->path), "%s.aside.%u",
				   path, n);

		err = len < 0 || (size_t)len >= sizeof(a->path)
			      ? -ENAMETOOLONG
			      : fs_rename_new(path, a->path);
	}
	if (err != 0)
		a->path[0] = '\0';
	return err == -ENOENT ? 0 : err;
}

/* Puts aside whatever has the name.  give() gives the name to `from` if it is
 * free. */
static int
take_name(int (*give)(const char *from, const char *path), const char *from,
	  const char *path, struct lost_name_aside *aside)
{
	int err;

	aside->path[0] = '\0';
	err = give(from, path);
	if (err != -EEXIST)
		return err;
	err = lost_name_put_aside(path, aside);
	return err == 0 ? give(from, path) : err;
}

static int
give_link(const char *from, const char *path)
{
	return linkat(AT_FDCWD, from, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0
		       ? 0
		       : -errno;
}

int
lost_name_link(const char *path, int fd, bool must_sync,
	       struct lost_name_aside *aside)
{
	char from[64];
	int err;

	(void)snprintf(from, sizeof(from), "/proc/self/fd/%d", fd);
	err = take_name(give_link, from, path, aside);
	return err == 0 && must_sync ? fs_sync_directory_of(path) : err;
}

/* ---- a copy ---- */

static int
copy_begin(struct lost_name_copy *c, const char *path)
{
	for (unsigned n = 1; n <= NAMES_MAX; n++) {
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
copy_on(struct lost_name_copy *c, int fd, uint64_t len, bool must_sync)
{
	while (c->len < len) {
		off_t from = (off_t)c->len, to = (off_t)c->len;
		size_t wanted = min_u64(len - c->len, PIECE_BYTES);
		ssize_t n = copy_file_range(fd, &from, c->fd, &to, wanted, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0) /* the end of fd */
			break;
		if (must_sync && fdatasync(c->fd) != 0)
			return -errno;
		c->len += (uint64_t)n;
		c->steps++;
	}
	return 0;
}

void
lost_name_release(struct lost_name_copy *c)
{
	if (c->old_fd >= 0)
		(void)close(c->old_fd);
	c->old_fd = -1;
}

/* Removes a copy that is not needed any more.  Accepts one with fd -1. */
static void
drop_copy(struct lost_name_copy *c)
{
	if (c->fd < 0)
		return;
	(void)unlink(c->path);
	(void)close(c->fd);
	c->fd = -1;
}

int
lost_name_copy(struct lost_name_copy *c, const char *path, int fd, uint64_t len,
	       bool must_sync)
{
	int err = c->fd < 0 ? copy_begin(c, path) : 0;

	if (err == 0)
		err = copy_on(c, fd, len, must_sync);
	if (err != 0)
		drop_copy(c);
	return err;
}

int
lost_name_copy_finish(struct lost_name_copy *c, const char *path, int fd,
		      uint64_t len, bool must_sync,
		      struct lost_name_aside *aside)
{
	int err = lost_name_copy(c, path, fd, INT64_MAX, must_sync);

	if (err != 0)
		return err;
	/* Locked as the file that it replaces (open.h). */
	(void)flock(c->fd, LOCK_EX | LOCK_NB);
	err = take_name(fs_rename_new, c->path, path, aside);
	if (err != 0) {
		/* ENOENT: others have removed the copy. */
		if (err == -ENOENT || c->len != len)
			drop_copy(c);
		return err;
	}
	/* It has the name: a failure from here on loses no record. */
	lost_name_release(c);
	c->old_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (dup3(c->fd, fd, O_CLOEXEC) < 0)
		err = -errno;
	(void)close(c->fd);
	c->fd = -1;
	return err == 0 && must_sync ? fs_sync_directory_of(path) : err;
}
