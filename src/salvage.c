#include "config.h"

#include "salvage.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util.h"

enum {
	TAILS_MAX = 10000,
	COPY_BUFFER_BYTES = 1 << 20,
};

static int
fail(const char *path, int err, const char *why)
{
	fprintf(stderr, "ringtick log: %s: %s\n", path, why);
	return err;
}

/* The entry of a new file: without it the bytes on the disk have no name. */
static int
sync_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *name = slash == NULL   ? strdup(".")
		     : slash == path ? strdup("/")
				     : strndup(path, (size_t)(slash - path));
	int err = 0, fd;

	if (name == NULL)
		return -ENOMEM;
	fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		err = -errno;
	if (fd >= 0)
		close(fd);
	free(name);
	return err;
}

/* ---- repair ---- */

/*
 * A lease for writing is given only to who is the only one to have the file
 * open.  Where there are no leases nobody knows, and we go on.
 */
static bool
is_in_use(int fd)
{
	if (fcntl(fd, F_SETLEASE, F_WRLCK) < 0)
		return errno == EAGAIN;
	(void)fcntl(fd, F_SETLEASE, F_UNLCK);
	return false;
}

/* Creates the side file; its name is in path.  A descriptor or -errno. */
static int
create_side(char *path, size_t path_len, const struct mapping *m)
{
	for (unsigned n = 1; n <= TAILS_MAX; n++) {
		int len = snprintf(path, path_len, "%s.torn.%u", m->path, n);
		int fd;

		if (len < 0 || (size_t)len >= path_len)
			return -ENAMETOOLONG;
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
			  m->mode);
		if (fd >= 0)
			return fd;
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

static int
write_all(int fd, const uint8_t *bytes, uint64_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, min_u64(len, COPY_BUFFER_BYTES));

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			bytes += n;
			len -= (uint64_t)n;
		}
	}
	return 0;
}

int
salvage_cut(struct mapping *m, const struct journal_check *torn)
{
	uint64_t tail_len = m->len - torn->good_bytes;
	char path[PATH_MAX];
	int fd, err;

	CHECK(torn->verdict == JOURNAL_TORN && tail_len > 0);
	if (is_in_use(m->fd))
		return fail(m->path, -EBUSY,
			    "another process has it open; stop the "
			    "tickerplant and its readers first");
	/* What came since is not in the copy, and must not be cut. */
	err = mapping_grow(m);
	if (err != 0)
		return fail(m->path, err < 0 ? err : -ESTALE,
			    "it is being changed; stop the tickerplant first");
	fd = create_side(path, sizeof(path), m);
	if (fd < 0) {
		fprintf(stderr,
			"ringtick log: %s.torn.N cannot be created: %s\n",
			m->path, strerror(-fd));
		return fd;
	}
	err = write_all(fd, m->bytes + torn->good_bytes, tail_len);
	if (err == 0 && fsync(fd) < 0)
		err = -errno;
	close(fd);
	if (err == 0)
		err = sync_directory(path);
	if (err < 0) {
		(void)unlink(path);
		return fail(path, err, strerror(-err));
	}
	if (ftruncate(m->fd, (off_t)torn->good_bytes) < 0 || fsync(m->fd) < 0)
		return fail(m->path, -errno, strerror(errno));
	printf("repair result=cut records=%llu bytes=%llu tail_bytes=%llu "
	       "tail=%s\n",
	       (unsigned long long)torn->records,
	       (unsigned long long)torn->good_bytes,
	       (unsigned long long)tail_len, path);
	return 0;
}

/* ---- filter ---- */

int
salvage_open(struct salvage_copy *c, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	int err;

	*c = (struct salvage_copy){ .path = path };
	if (fd < 0) {
		err = -errno;
		return fail(path, err,
			    err == -EEXIST ? "there is such a file; it is not "
					     "overwritten"
					   : strerror(-err));
	}
	c->out = fdopen(fd, "w");
	if (c->out == NULL) {
		err = -errno;
		close(fd);
		(void)unlink(path);
		return fail(path, err, strerror(-err));
	}
	(void)setvbuf(c->out, NULL, _IOFBF, COPY_BUFFER_BYTES);
	if (fwrite(journal_header, JOURNAL_HEADER_BYTES, 1, c->out) != 1)
		return salvage_close(c, -errno);
	c->bytes = JOURNAL_HEADER_BYTES;
	return 0;
}

int
salvage_add(struct salvage_copy *c, const struct journal_record *record)
{
	if (fwrite(record->at, 1, record->len, c->out) != record->len)
		return -errno;
	c->records++;
	c->bytes += record->len;
	return 0;
}

int
salvage_close(struct salvage_copy *c, int err)
{
	if (c->path == NULL || c->out == NULL)
		return err;
	if (err == 0 && (fflush(c->out) != 0 || fsync(fileno(c->out)) < 0))
		err = -errno;
	if (fclose(c->out) != 0 && err == 0)
		err = -errno;
	c->out = NULL;
	if (err == 0)
		err = sync_directory(c->path);
	if (err < 0) {
		(void)unlink(c->path);
		return fail(c->path, err, strerror(-err));
	}
	return 0;
}
