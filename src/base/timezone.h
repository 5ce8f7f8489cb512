/*
 * Whether the system knows the time zone that it is told to be in.  libc does
 * not say: what it does not know is UTC to it, silently.
 *
 * Reads TZ, /etc/localtime and the files of zones; prints nothing.  Called at
 * the start only.
 */
#ifndef RINGTICK_BASE_TIMEZONE_H
#define RINGTICK_BASE_TIMEZONE_H

#include <stdbool.h>
#include <stddef.h>

/* false with one line in err. */
bool timezone_is_known(char *err, size_t err_len);

/* Whether text, without a colon in front, is a zone with its rules, such as
 * "CET-1CEST,M3.5.0,M10.5.0/3" (POSIX). */
bool timezone_is_rule(const char *text);

/* Where the zone is from: what TZ says, or the file that /etc/localtime is a
 * link to.  Returns buf. */
const char *timezone_source(char *buf, size_t buf_len);

#endif
