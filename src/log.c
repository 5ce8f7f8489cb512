#include "config.h"

#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "util.h"

enum { LINE_MAX_BYTES = 1024 };

static struct {
	int fd;		   /* non-blocking; 2 itself where it is a socket */
	bool is_socket;	   /* the journal's stream: send() with DONTWAIT */
	bool is_terminal;
	uint64_t dropped;  /* since the start */
	uint64_t unnoted;  /* of them, not yet told in a line */
} out = { .fd = STDERR_FILENO };

/*
 * O_NONBLOCK belongs to the open file, which we share with whoever started
 * us: setting it on 2 would change the caller's terminal.  So the same file
 * is opened once more.
 */
void
log_open(void)
{
	int fd = open("/proc/self/fd/2",
		      O_WRONLY | O_NONBLOCK | O_APPEND | O_CLOEXEC);

	out.is_terminal = isatty(STDERR_FILENO);
	out.is_socket = fd < 0;
	if (fd >= 0)
		out.fd = fd;
}

static bool
write_line(const char *line, size_t len)
{
	ssize_t n;

	if (out.is_socket)
		n = send(out.fd, line, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	else
		n = -1;
	if (n < 0 && (!out.is_socket || errno == ENOTSOCK))
		n = write(out.fd, line, len);
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
	if (out.unnoted > 0 && len < sizeof(line) - 40) {
		n = snprintf(line + len, sizeof(line) - len,
			     " log_lines_lost=%llu",
			     (unsigned long long)out.unnoted);
		len += (size_t)n;
	}
	line[len++] = '\n';
	if (write_line(line, len)) {
		out.unnoted = 0;
	} else {
		out.dropped++;
		out.unnoted++;
	}
}

void
die(enum exit_status status, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%sringtickd: ", out.is_terminal ? "" : "<3>");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit((int)status);
}

uint64_t
log_dropped(void)
{
	return out.dropped;
}

const char *
log_value(char *buf, size_t buf_len, const char *s, size_t len)
{
	size_t n = 0;

	CHECK(buf_len >= 2);
	for (; n < len && n < buf_len - 1; n++) {
		unsigned char c = (unsigned char)s[n];

		buf[n] = (char)c;
		if (c <= ' ' || c >= 127 || c == '"' || c == '=')
			buf[n] = '?';
	}
	if (n == 0)
		buf[n++] = '-';
	buf[n] = '\0';
	return buf;
}

bool
log_may(struct log_limit *limit, int64_t now_ns, uint64_t *out_suppressed)
{
	if (limit->last_ns != 0 && now_ns - limit->last_ns < NS_PER_S) {
		limit->held++;
		return false;
	}
	*out_suppressed = limit->held;
	limit->held = 0;
	limit->last_ns = now_ns;
	return true;
}
