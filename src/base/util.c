#include "config.h"

#include "base/util.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
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
