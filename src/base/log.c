#include "config.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"

enum {
	LINE_MAX_BYTES = 2048,
	LAST_LINE_BYTES = 4096, /* PIPE_BUF: a pipe takes it whole or not at
				   all */
	LAST_TRIES = 20,	/* 50 ms apart */
};

/* How a write is kept from waiting. */
enum log_way {
	WAY_OWN,      /* O_NONBLOCK on our own open file; or a file on a disk,
			 whose writes do not wait for a reader */
	WAY_SOCKET,   /* systemd's journal: MSG_DONTWAIT */
	WAY_BORROWED, /* a pipe or terminal that may not be opened again */
};

static struct {
	int fd;
	enum log_way way;
	bool is_terminal;
	bool is_torn;	  /* half a line was taken: the next begins anew */
	uint64_t unnoted; /* dropped, but not yet reported in a line */
} out = { .fd = STDERR_FILENO };

/* File jobs (io/file_jobs.h) log too, on a thread of their own. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/*
 * A pipe or terminal of another user.  RWF_NOWAIT affects this one write alone,
 * but kernels before 6.4 do not have it for pipes.  There O_NONBLOCK is set for
 * the time of the write: room that poll has seen is not enough, since others
 * may write to the pipe too.
 */
static ssize_t
write_borrowed(const char *line, size_t len)
{
	const struct iovec piece = { .iov_base = (void *)(uintptr_t)line,
				     .iov_len = len };
	struct pollfd room = { .fd = out.fd, .events = POLLOUT };
	ssize_t n = pwritev2(out.fd, &piece, 1, -1, RWF_NOWAIT);
	int flags;

	if (n >= 0 || (errno != EOPNOTSUPP && errno != EINVAL &&
		       errno != ESPIPE && errno != ENOSYS))
		return n;
	if (poll(&room, 1, 0) != 1 || (room.revents & POLLOUT) == 0)
		return -1;
	flags = fcntl(out.fd, F_GETFL);
	if (flags < 0 || fcntl(out.fd, F_SETFL, flags | O_NONBLOCK) != 0)
		return -1;
	n = write(out.fd, line, len);
	(void)fcntl(out.fd, F_SETFL, flags);
	return n;
}

static ssize_t
write_some(const char *line, size_t len)
{
	switch (out.way) {
	case WAY_OWN:
		return write(out.fd, line, len);
	case WAY_SOCKET:
		return send(out.fd, line, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	case WAY_BORROWED:
		return write_borrowed(line, len);
	}
	return -1;
}

/* Whether the whole line was taken at once. */
static bool
write_line(const char *line, size_t len)
{
	ssize_t n;

	if (out.is_torn && write_some("\n", 1) != 1)
		return false;
	out.is_torn = false;
	n = write_some(line, len);
	out.is_torn = n > 0 && n < (ssize_t)len;
	return n == (ssize_t)len;
}

static size_t
line_start(char *line, size_t size, enum log_level level)
{
	struct timespec now;
	struct tm tm;
	size_t len;

	if (!out.is_terminal)
		return (size_t)snprintf(line, size, "<%d>", (int)level);
	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &tm);
	len = strftime(line, size, "%H:%M:%S", &tm);
	return len + (size_t)snprintf(line + len, size - len, ".%03ld ",
				      (long)(now.tv_nsec / NS_PER_MS));
}

void
log_line(enum log_level level, const char *event, const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	size_t len = line_start(line, sizeof(line), level);
	va_list args;
	int n;

	n = snprintf(line + len, sizeof(line) - len, "event=%s ", event);
	len += (size_t)n;
	va_start(args, format);
	n = vsnprintf(line + len, sizeof(line) - len, format, args);
	va_end(args);
	len = (size_t)min_u64(len + (n > 0 ? (size_t)n : 0), sizeof(line) - 1);
	(void)pthread_mutex_lock(&mutex);
	if (out.unnoted > 0 && len < sizeof(line) - 40) {
		n = snprintf(line + len, sizeof(line) - len,
			     " log_lines_lost=%llu",
			     (unsigned long long)out.unnoted);
		len += (size_t)n;
	}
	line[len++] = '\n';
	if (write_line(line, len))
		out.unnoted = 0;
	else
		out.unnoted++;
	(void)pthread_mutex_unlock(&mutex);
}

/* The last line before the end is worth a second of waiting, but not more: a
 * process that waits for this one to end must not wait for the reader of the
 * log. */
static void
write_last(const char *line, size_t len)
{
	for (int tries = 0; !write_line(line, len) && tries < LAST_TRIES;
	     tries++)
		(void)nanosleep(&(struct timespec){ .tv_nsec = 50000000 },
				NULL);
}

/*
 * O_NONBLOCK belongs to the open file, which is shared with the process that
 * started this one: setting it on descriptor 2 would change the caller's
 * terminal.  So the same file is opened once more, if its owner permits that.
 */
void
log_open(void)
{
	struct stat about = { 0 };
	int fd;

	check_say = write_last;
	out.fd = STDERR_FILENO;
	out.way = WAY_OWN;
	out.is_terminal = isatty(STDERR_FILENO);
	(void)fstat(STDERR_FILENO, &about);
	if (S_ISSOCK(about.st_mode)) {
		out.way = WAY_SOCKET;
		return;
	}
	fd = open("/proc/self/fd/2",
		  O_WRONLY | O_NONBLOCK | O_APPEND | O_CLOEXEC);
	if (fd >= 0)
		out.fd = fd;
	else if (!S_ISREG(about.st_mode))
		out.way = WAY_BORROWED;
}

void
die(enum exit_status status, const char *format, ...)
{
	char line[LAST_LINE_BYTES];
	va_list args;
	size_t len;
	int n = snprintf(line, sizeof(line), "%sringtickd: ",
			 out.is_terminal ? "" : "<3>");

	len = (size_t)n;
	va_start(args, format);
	n = vsnprintf(line + len, sizeof(line) - len, format, args);
	va_end(args);
	len = (size_t)min_u64(len + (n > 0 ? (size_t)n : 0), sizeof(line) - 1);
	line[len++] = '\n';
	write_last(line, len);
	exit((int)status);
}
