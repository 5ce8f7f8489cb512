/*
 * What systemd is told (sd_notify) and what it hands over (sockets).
 * Everything is a no-op when not started by systemd.
 */
#ifndef RINGTICK_BASE_NOTIFY_H
#define RINGTICK_BASE_NOTIFY_H

#include <stdint.h>

/* STATUS=, from a printf format. */
void notify_status(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

/* A start that takes long, and how far it is: systemd waits for another minute
 * from now on. */
void notify_still_starting(const char *what, unsigned percent);

/* READY=1 together with a status line. */
void notify_ready(const char *status);

void notify_stopping(void);

/* To be called at least every notify_watchdog_ns(). */
void notify_alive(void);

/* Half of WatchdogSec, in ns; 0 when there is no watchdog. */
int64_t notify_watchdog_ns(void);

/* Listening sockets passed by a .socket unit: they are fds 3 .. 3 + n - 1,
 * with close-on-exec set. */
int notify_sockets(void);

#define NOTIFY_SOCKETS_START 3

#endif
