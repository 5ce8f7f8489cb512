/*
 * The log: one logfmt line per call on stderr.  With a systemd journal or a
 * pipe behind it each line starts with the priority "<6>"; on a terminal the
 * lines are plain text with the time of day.
 *
 * Promise: never blocks, whoever made the pipe, socket or terminal.  A line
 * that the receiver does not take at once is dropped and counted; the next line
 * that passes says how many were lost.  A file on a disk is written as it is:
 * it is as fast as its file system.
 */
#ifndef RINGTICK_BASE_LOG_H
#define RINGTICK_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/exits.h"

enum log_level { LOG_ERROR = 3, LOG_WARN = 4, LOG_NOTE = 5, LOG_INFO = 6 };

void log_open(void);

/*
 * Writes `event=EVENT ` and the formatted rest, which is `key=value` pairs
 * by house rule.  At most 1 KiB; longer lines are cut.
 */
void log_line(enum log_level level, const char *event, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Writes "ringtickd: " and the sentence to stderr and exits with a status. The
 * receiver has a second to take it. */
_Noreturn void die(enum exit_status status, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Lines dropped since the start. */
uint64_t log_dropped(void);

/*
 * Makes a name from outside (user, symbol) safe as a logfmt value: printable
 * ASCII without spaces, quotes and '='; everything else becomes '?'; an empty
 * one becomes "-".  Returns buf.
 */
const char *log_value(char *buf, size_t buf_len, const char *s, size_t len);

/* The same for a value between quotes: spaces and '=' stay, '\' and '"' become
 * '?', and an empty one stays empty. */
const char *log_text(char *buf, size_t buf_len, const char *s, size_t len);

/*
 * A text from outside that is shown as it is (a path, a sentence with one in
 * it) as a logfmt value: in quotes with \" and \\ where it would not be one
 * value otherwise, without control characters, cut where it is too long.
 * Returns buf.
 */
const char *log_quote(char *buf, size_t buf_len, const char *text);

/* The same for one call: good until the end of the block that it stands in. */
enum { LOG_QUOTED_BYTES = 640 };
#define LOG_QUOTED(text)                                                       \
	log_quote((char[LOG_QUOTED_BYTES]){ 0 }, LOG_QUOTED_BYTES, text)

/*
 * Lets at most one line a second through for each limiter; *out_suppressed is
 * how many were held back since the last one that passed.
 */
struct log_limit {
	int64_t last_ns;
	uint64_t held;
};
bool log_may(struct log_limit *limit, int64_t now_ns,
	     uint64_t *out_suppressed);

#endif
