#include "config.h"

#include "tools/log_repair.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/util.h"
#include "journal/torn_tail.h"

enum { COPY_BUFFER_BYTES = 1 << 20 };

static int
fail(const char *path, int err, const char *why)
{
	fprintf(stderr, "ringtick log: %s: %s\n", path, why);
	return err;
}

/* ---- repair ---- */

/*
 * A daemon locks each file that it has open; this function keeps the lock, so
 * that no daemon begins to use the file meanwhile.  A write lease is granted
 * only if no other process has the file open, so it detects readers too, where
 * the file system has leases and this user may take one.
 */
static bool
is_in_use(int fd)
{
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		return true;
	if (fcntl(fd, F_SETLEASE, F_WRLCK) < 0)
		return errno == EAGAIN;
	(void)fcntl(fd, F_SETLEASE, F_UNLCK);
	return false;
}

int
log_repair_cut(struct log_file *m, const struct journal_check *torn)
{
	uint64_t len = m->window.bytes.len;
	char side[PATH_MAX];
	int err;

	CHECK(torn->verdict == JOURNAL_TORN);
	if (is_in_use(m->fd))
		return fail(m->path, -EBUSY,
			    "another process has it open; stop the "
			    "tickerplant and its readers first");
	err = torn_tail_cut(m->fd, m->path, torn->good_bytes, len, side,
			    sizeof(side));
	if (err == 0 && fsync(m->fd) != 0)
		err = -errno;
	if (err == -ESTALE)
		return fail(m->path, err,
			    "it is being changed; stop the tickerplant first");
	if (err < 0) {
		fprintf(stderr,
			"ringtick log: %s: its torn tail cannot be moved to "
			"%s.torn.N: %s\n",
			m->path, m->path, strerror(-err));
		return err;
	}
	printf("repair result=cut records=%llu bytes=%llu tail_bytes=%llu "
	       "tail=%s\n",
	       (unsigned long long)torn->records,
	       (unsigned long long)torn->good_bytes,
	       (unsigned long long)(len - torn->good_bytes), side);
	if (torn->tail_records > 0)
		fprintf(stderr,
			"ringtick log: %s has %llu whole records at its end: a "
			"count before them is damaged, which no crash does. "
			"Save them with `(head -c 8 %s; tail -c +%llu %s) "
			">BEHIND`\n",
			side, (unsigned long long)torn->tail_records,
			m->path,
			(unsigned long long)(torn->tail_records_off -
					     torn->good_bytes + 1),
			side);
	return 0;
}

/* ---- filter ---- */

int
log_repair_open_copy(struct log_copy *c, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	int err;

	*c = (struct log_copy){ .path = path };
	if (fd < 0) {
		err = -errno;
		return fail(path, err,
			    err == -EEXIST ? "the file exists; it is not "
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
		return log_repair_close_copy(c, -errno);
	c->bytes = JOURNAL_HEADER_BYTES;
	return 0;
}

int
log_repair_add_record(struct log_copy *c, const struct journal_record *record)
{
	if (fwrite(record->at, 1, record->len, c->out) != record->len)
		return -errno;
	c->records++;
	c->bytes += record->len;
	return 0;
}

int
log_repair_close_copy(struct log_copy *c, int err)
{
	if (c->path == NULL || c->out == NULL)
		return err;
	if (err == 0 && (fflush(c->out) != 0 || fsync(fileno(c->out)) < 0))
		err = -errno;
	if (fclose(c->out) != 0 && err == 0)
		err = -errno;
	c->out = NULL;
	if (err == 0)
		err = fs_sync_directory_of(c->path);
	if (err < 0) {
		(void)unlink(c->path);
		return fail(c->path, err, strerror(-err));
	}
	return 0;
}
