/*
 * Messages to systemd (sd_notify(3)), and the sockets that it hands over.
 * Every function does nothing if the process was not started by systemd.  Only
 * those for the start wait for a reader that is slow.
 */
#ifndef RINGTICK_BASE_NOTIFY_H
#define RINGTICK_BASE_NOTIFY_H

#include <stdint.h>

/* STATUS= and the formatted text, cut at 511 bytes in all. */
void notify_status(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

/* Reports the progress of a start that takes long; systemd then waits for
 * another minute from now. */
void notify_still_starting(const char *what, unsigned percent);

/* READY=1 together with a status line. */
void notify_ready(const char *status);

/* The configuration is read again, and that is over. */
void notify_reloading(void);
void notify_reloaded(void);

void notify_stopping(void);

/* Must be called at least every notify_watchdog_ns(). */
void notify_alive(void);

/* Half of WatchdogSec, in ns; 0 when there is no watchdog. */
int64_t notify_watchdog_ns(void);

/* The number n of listening sockets passed by a .socket unit: they are
 * descriptors NOTIFY_SOCKETS_START .. NOTIFY_SOCKETS_START + n - 1, with
 * close-on-exec set.  0 if there are none. */
int notify_sockets(void);

#define NOTIFY_SOCKETS_START 3

#endif
