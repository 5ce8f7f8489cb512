#include "config.h"

#include "util.h"

#include <stdio.h>
#include <stdlib.h>

void
check_failed(const char *cond, const char *file, int line)
{
	fprintf(stderr, "<2>event=bug check=\"%s\" file=%s line=%d\n", cond,
		file, line);
	abort();
}
