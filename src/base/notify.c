#include "config.h"

#include "base/notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"

/*
 * Not by sd_notify, which waits while the socket's queue is full: systemd may
 * be slow, or stuck.  Once clients are served, flags is MSG_DONTWAIT, and a
 * note for which there is no room is lost; the next one comes soon.
 */
static void
tell(const char *text, int flags)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len = path == NULL ? 0 : strlen(path);
	int fd;

	if (len < 2 || len > sizeof(to.sun_path))
		return;
	memcpy(to.sun_path, path, len);
	if (path[0] == '@') /* an abstract name */
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	(void)sendto(fd, text, strlen(text), flags | MSG_NOSIGNAL,
		     (const struct sockaddr *)&to,
		     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	(void)close(fd);
}

void
notify_status(const char *format, ...)
{
	char text[512] = "STATUS=";
	size_t at = strlen(text);
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text + at, sizeof(text) - at, format, args);
	va_end(args);
	tell(text, MSG_DONTWAIT);
}

void
notify_still_starting(const char *what, unsigned percent)
{
	char text[512];

	(void)snprintf(text, sizeof(text),
		       "EXTEND_TIMEOUT_USEC=60000000\nSTATUS=%s, %u %%", what,
		       percent);
	tell(text, 0);
}

void
notify_ready(const char *status)
{
	char text[512];

	(void)snprintf(text, sizeof(text), "READY=1\nSTATUS=%s", status);
	tell(text, 0);
}

void
notify_reloading(void)
{
	char text[80];

	(void)snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%lld",
		       (long long)(clock_monotonic_ns() / NS_PER_US));
	tell(text, MSG_DONTWAIT);
}

void
notify_reloaded(void)
{
	tell("READY=1", MSG_DONTWAIT);
}

void
notify_stopping(void)
{
	tell("STOPPING=1\nSTATUS=stopping", MSG_DONTWAIT);
}

void
notify_alive(void)
{
	tell("WATCHDOG=1", MSG_DONTWAIT);
}

int64_t
notify_watchdog_ns(void)
{
	uint64_t period_us = 0;

	if (sd_watchdog_enabled(0, &period_us) <= 0)
		return 0;
	return (int64_t)period_us * NS_PER_US / 2;
}

int
notify_sockets(void)
{
	int n = sd_listen_fds(1);

	return n > 0 ? n : 0;
}
