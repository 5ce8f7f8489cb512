/*
 * The log: one logfmt line per call on stderr.  To anything but a terminal each
 * line starts with its priority, such as "<6>"; on a terminal it starts with
 * the time of day instead.
 *
 * Promise: never blocks, whoever made the pipe, socket or terminal.  A line
 * that the receiver does not take at once is dropped and counted; the next line
 * that gets through says how many were lost.  A file on a disk is written in
 * the plain way: it is as fast as its file system.
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
 * Writes `event=EVENT ` and the formatted rest, which is `key=value` pairs by
 * house rule.  Lines longer than 2 KiB are cut.  Any thread may call this.
 */
void log_line(enum log_level level, const char *event, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Writes "ringtickd: " and the sentence to stderr, and exits with the status.
 * The receiver has a second to take the line. */
_Noreturn void die(enum exit_status status, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Makes a name from outside (user, symbol) safe as a logfmt value: printable
 * ASCII without spaces, quotes and '='; every other byte becomes '?'; an empty
 * name becomes "-".  Returns buf.
 */
const char *log_value(char *buf, size_t buf_len, const char *s, size_t len);

/* The same for a value that is written between quotes: spaces and '=' stay, '\'
 * and '"' become '?', and an empty value stays empty. */
const char *log_text(char *buf, size_t buf_len, const char *s, size_t len);

/*
 * Makes a logfmt value of a text from outside that is to be shown as it is (a
 * path, or a sentence with a path in it): in quotes, with \" and \\, if it
 * would not be one value otherwise; control characters become '?'; cut where it
 * is too long.  buf_len is at least 5.  Returns buf.
 */
const char *log_quote(char *buf, size_t buf_len, const char *text);

/* The same without a buffer of the caller's: valid until the end of the
 * enclosing block. */
enum { LOG_QUOTED_BYTES = 640 };
#define LOG_QUOTED(text)                                                       \
	log_quote((char[LOG_QUOTED_BYTES]){ 0 }, LOG_QUOTED_BYTES, text)

/*
 * Lets at most one line a second through for each limiter; *out_suppressed
 * becomes the number of lines held back since the last one that passed.
 */
struct log_limit {
	int64_t last_ns;
	uint64_t held;
};
bool log_may(struct log_limit *limit, int64_t now_ns,
	     uint64_t *out_suppressed);

#endif
