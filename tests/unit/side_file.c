#include "config.h"

#include "side_file.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

char side_dir[] = "/tmp/ringtick-test-XXXXXX";
char side_path[64], side_aside[80];

int
open_side(const char *name)
{
	if (mkdtemp(side_dir) == NULL)
		return -1;
	snprintf(side_path, sizeof(side_path), "%s/%s", side_dir, name);
	snprintf(side_aside, sizeof(side_aside), "%s.new", side_path);
	return 0;
}

int
close_side(void **state)
{
	(void)state;
	return rmdir(side_dir);
}

int
remove_side(void **state)
{
	(void)state;
	(void)unlink(side_path);
	(void)unlink(side_aside);
	(void)rmdir(side_aside);
	return 0;
}

void
put_side(const char *text)
{
	FILE *f = fopen(side_path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

void
assert_side(const char *text)
{
	char found[8192];
	FILE *f = fopen(side_path, "r");

	assert_non_null(f);
	found[fread(found, 1, sizeof(found) - 1, f)] = '\0';
	assert_int_equal(fclose(f), 0);
	assert_string_equal(found, text);
	assert_int_equal(access(side_aside, F_OK), -1);
}
