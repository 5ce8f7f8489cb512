#include "config.h"

#include "tools/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/cli.h"
#include "tools/log_next_day.h"

int
log_file_open(struct log_file *m, const char *path, bool is_writable)
{
	struct stat st;
	int err = 0;

	*m = LOG_FILE_CLOSED;
	m->path = path;
	/* O_NONBLOCK: a fifo must not block here; it is refused below. */
	m->fd = open(path, (is_writable ? O_RDWR : O_RDONLY) | O_CLOEXEC |
				   O_NONBLOCK | O_NOCTTY);
	if (m->fd < 0)
		return -errno;
	if (fstat(m->fd, &st) < 0)
		err = -errno;
	else if (!S_ISREG(st.st_mode))
		err = -EINVAL;
	if (err < 0) {
		log_file_close(m);
		return err;
	}
	m->window = journal_window_open(m->fd, (uint64_t)st.st_size);
	return 0;
}

void
log_file_close(struct log_file *m)
{
	journal_window_close(&m->window);
	if (m->fd >= 0)
		close(m->fd);
	if (m->watch_fd >= 0)
		close(m->watch_fd);
	*m = LOG_FILE_CLOSED;
}

int
log_file_grow(struct log_file *m)
{
	uint64_t *len = &m->window.bytes.len;
	struct stat st;

	if (fstat(m->fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size < *len)
		return -ESTALE;
	if ((uint64_t)st.st_size == *len)
		return st.st_nlink == 0 ? -ENOENT : 0;
	*len = (uint64_t)st.st_size;
	m->window.bytes.avail = 0; /* half a record may be written anew */
	return 1;
}

/* Watches the open file, even if its name now belongs to another, and the
 * folder for the next day's file. */
static int
watch_file(struct log_file *m)
{
	char path[PATH_MAX];

	m->watch_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (m->watch_fd < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", m->fd);
	m->own_watch =
		inotify_add_watch(m->watch_fd, path, IN_MODIFY | IN_ATTRIB);
	if (m->own_watch < 0)
		return -errno;
	m->has_days = m->is_folder_new = log_next_day_has_date(m->path);
	if (!m->has_days)
		return 0;
	log_next_day_folder(m->path, path, sizeof(path));
	return inotify_add_watch(m->watch_fd, path, IN_CREATE | IN_MOVED_TO) < 0
		       ? -errno
		       : 0;
}

/* Takes all events.  They only wake the wait: fstat tells what has happened. */
static void
take_events(struct log_file *m)
{
	_Alignas(struct inotify_event) char events[4096];
	const struct inotify_event *e;
	ssize_t n;

	while ((n = read(m->watch_fd, events, sizeof(events))) > 0)
		for (const char *at = events; at < events + n;
		     at += sizeof(*e) + e->len) {
			e = (const struct inotify_event *)(const void *)at;
			if (e->wd != m->own_watch)
				m->is_folder_new = true;
		}
}

/* Called before the file is looked at, so that no growth is missed. */
static void
watch_day(void *data, const char *path)
{
	const struct log_file *m = data;

	(void)inotify_add_watch(m->watch_fd, path, IN_MODIFY | IN_ATTRIB);
}

/*
 * Whether the next day's file has records.  It is made a minute before the day
 * ends, with a header only; once it has records, none are added to the old one.
 */
static bool
next_has_begun(struct log_file *m)
{
	if (!m->has_days || !m->is_folder_new)
		return false;
	m->is_folder_new = false;
	return log_next_day_find(m->path, m->next, sizeof(m->next), watch_day,
				 m);
}

/* 1, 0 or -errno as from log_file_wait; -EAGAIN: nothing has happened. */
static int
look_again(struct log_file *m)
{
	int got;

	if (cli_stopped())
		return -EINTR;
	got = log_file_grow(m);
	if ((got != 0 && got != -ENOENT) || !next_has_begun(m))
		return got == 0 ? -EAGAIN : got;
	/* Takes what was written before the next day's records. */
	m->is_folder_new = true; /* so that the next call finds that file
				    again */
	got = log_file_grow(m);
	return got == -ENOENT ? 0 : got;
}

int
log_file_wait(struct log_file *m)
{
	struct pollfd pollfd = { .events = POLLIN };
	sigset_t ends, before;
	int got = m->watch_fd < 0 ? watch_file(m) : 0;

	if (got < 0)
		return got;
	pollfd.fd = m->watch_fd;
	/* Blocked until ppoll, so that a signal that comes before it interrupts
	 * it too. */
	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &ends, &before);
	/* After the watch began, so that no growth is missed. */
	while ((got = look_again(m)) == -EAGAIN) {
		(void)ppoll(&pollfd, 1, NULL, &before);
		take_events(m);
	}
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	return got;
}
