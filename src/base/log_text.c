/* The pure part of the log: values made safe, and how often a line may be
 * written. */
#include "config.h"

#include "base/log.h"

#include "base/util.h"

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

const char *
log_text(char *buf, size_t buf_len, const char *s, size_t len)
{
	size_t n = 0;

	CHECK(buf_len > 0);
	for (; n < len && n < buf_len - 1; n++) {
		char c = s[n];

		buf[n] = c < ' ' || c > '~' || c == '"' || c == '\\' ? '?' : c;
	}
	buf[n] = '\0';
	return buf;
}

const char *
log_quote(char *buf, size_t buf_len, const char *text)
{
	bool is_bare = text[0] != '\0';
	size_t n = 0;

	CHECK(buf_len >= 5);
	for (const char *c = text; *c != '\0'; c++)
		is_bare = is_bare && *c > ' ' && *c != 127 && *c != '"' &&
			  *c != '=' && *c != '\\';
	if (!is_bare)
		buf[n++] = '"';
	/* leaves room for an escape, the quote and the NUL */
	for (const char *c = text; *c != '\0' && n < buf_len - 4; c++) {
		if (*c == '"' || *c == '\\')
			buf[n++] = '\\';
		buf[n++] = (unsigned char)*c < ' ' || *c == 127 ? '?' : *c;
	}
	if (!is_bare)
		buf[n++] = '"';
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
