#include "config.h"

#include "base/notify.h"

#include <stdarg.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>

#include "base/util.h"

void
notify_status(const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	(void)sd_notifyf(0, "STATUS=%s", text);
}

void
notify_still_starting(const char *what, unsigned percent)
{
	(void)sd_notifyf(0, "EXTEND_TIMEOUT_USEC=60000000\nSTATUS=%s, %u %%",
			 what, percent);
}

void
notify_ready(const char *status)
{
	(void)sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

void
notify_stopping(void)
{
	(void)sd_notify(0, "STOPPING=1\nSTATUS=stopping");
}

void
notify_alive(void)
{
	(void)sd_notify(0, "WATCHDOG=1");
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
