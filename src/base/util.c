#include "config.h"

#include "base/util.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
write_line(const char *line, size_t len)
{
	(void)!write(STDERR_FILENO, line, len);
}

void (*check_say)(const char *line, size_t len) = write_line;

void
check_failed(const char *cond, const char *file, int line)
{
	char text[512];
	int n = snprintf(text, sizeof(text),
			 "<2>event=bug check=\"%s\" file=%s line=%d\n", cond,
			 file, line);

	check_say(text, min_u64((size_t)n, sizeof(text) - 1));
	abort();
}

bool
fail_with(int error, char *err, size_t err_len, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(err, err_len, format, args);
	va_end(args);
	errno = error;
	return false;
}

size_t
sorted_count(const struct sorted_fields *f, uint64_t value)
{
	size_t low = 0, high = f->cnt;

	/* the first `low` are at or before it, those from `high` on after it */
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		size_t place = (f->begin + middle) % f->capacity;
		uint64_t at;

		memcpy(&at, f->first + place * f->stride, sizeof(at));
		if ((int64_t)(at - value) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}
