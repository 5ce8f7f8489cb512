/*
 * Whether the system knows the time zone that it is told to use. libc does not
 * say: it silently takes an unknown zone for UTC.
 *
 * Reads TZ, /etc/localtime and the zone files; prints nothing.  Called at the
 * start only.
 */
#ifndef RINGTICK_BASE_TIMEZONE_H
#define RINGTICK_BASE_TIMEZONE_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the zone of TZ, or without TZ that of /etc/localtime, is known; if
 * not, err gets one line that says how to mend it. */
bool timezone_is_known(char *err, size_t err_len);

/* Whether text, without a leading colon, is a POSIX zone with its rules, such
 * as "CET-1CEST,M3.5.0,M10.5.0/3". */
bool timezone_is_rule(const char *text);

/* Where the zone comes from: the value of TZ, or the file that /etc/localtime
 * links to, or "none".  Returns buf. */
const char *timezone_source(char *buf, size_t buf_len);

#endif
