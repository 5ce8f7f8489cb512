#include "config.h"

#include "journal/unsynced.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/ringtick-test-XXXXXX";
static char note[64], aside[64];

static int
set_up(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(note, sizeof(note), "%s/sym.unsynced", folder);
	snprintf(aside, sizeof(aside), "%s/sym.unsynced.new", folder);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	return rmdir(folder);
}

static int
remove_note(void **state)
{
	(void)state;
	(void)unlink(note);
	(void)rmdir(aside);
	return 0;
}

static int
doubt(const char *file, uint64_t off, uint64_t record)
{
	char path[128];

	snprintf(path, sizeof(path), "/any/where/%s", file);
	return journal_unsynced_note(folder, "sym", path, off, record);
}

static void
put(const char *text)
{
	FILE *f = fopen(note, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void
check(const char *text)
{
	char is[512];
	FILE *f = fopen(note, "r");

	assert_non_null(f);
	is[fread(is, 1, sizeof(is) - 1, f)] = '\0';
	(void)fclose(f);
	assert_string_equal(is, text);
	assert_int_not_equal(access(aside, F_OK), 0);
}

/* A doubt is never narrowed by a later one, nor lost for another file's. */
static void
test_doubts_add_up(void **state)
{
	(void)state;
	assert_int_equal(doubt("sym2026.11.22", 500, 5), 0);
	check("ringtick unsynced 2\n500 5 sym2026.11.22\n");
	assert_int_equal(doubt("sym2026.11.22", 900, 9), 0);
	check("ringtick unsynced 2\n500 5 sym2026.11.22\n");
	assert_int_equal(doubt("sym2026.11.23", 8, 0), 0);
	assert_int_equal(doubt("sym2026.11.22", 100, 1), 0);
	check("ringtick unsynced 2\n100 1 sym2026.11.22\n8 0 sym2026.11.23\n");
}

static void
test_note_of_one_file(void **state)
{
	(void)state;
	put("ringtick unsynced 1\n300 3 sym2026.11.22\n");
	assert_int_equal(doubt("sym2026.11.23", 8, 0), 0);
	check("ringtick unsynced 2\n300 3 sym2026.11.22\n8 0 sym2026.11.23\n");
}

/* Doubts that cannot be read are not replaced by the one that is known. */
static void
test_spoilt_note_stays(void **state)
{
	static const char *const spoilt[] = {
		"",
		"ringtick unsynced 2\n",
		"ringtick unsynced 3\n8 0 sym2026.11.22\n",
		"ringtick unsynced 2\n8 0 sym2026.11.22\n9 sym2026.11.23\n",
		"ringtick unsynced 2\n8 0 sym2026.11.22\n9 1 sym2026.11.2",
		"ringtick unsynced 2\n8 0 ../sym2026.11.22\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(spoilt) / sizeof(spoilt[0]); i++) {
		put(spoilt[i]);
		assert_int_equal(doubt("sym2026.11.23", 8, 0), -EBADMSG);
		check(spoilt[i]);
	}
}

/* A disk on which the new note cannot be written keeps the older one. */
static void
test_note_cannot_be_written(void **state)
{
	(void)state;
	assert_int_equal(doubt("sym2026.11.22", 500, 5), 0);
	assert_int_equal(mkdir(aside, 0700), 0);
	assert_int_equal(doubt("sym2026.11.23", 8, 0), -EISDIR);
	assert_int_equal(rmdir(aside), 0);
	check("ringtick unsynced 2\n500 5 sym2026.11.22\n");
}

/* More files than a run can have: it is told, and none is dropped. */
static void
test_too_many_files(void **state)
{
	char file[] = "sym2026.11.00";
	unsigned n;

	(void)state;
	for (n = 0; n < 60; n++) {
		snprintf(file + 11, 3, "%02u", n);
		if (doubt(file, 8, 0) != 0)
			break;
	}
	assert_in_range(n, 4, 59);
	assert_int_equal(doubt(file, 8, 0), -E2BIG);
	assert_int_equal(doubt("sym2026.11.01", 8, 0), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_doubts_add_up, remove_note),
		cmocka_unit_test_teardown(test_note_of_one_file, remove_note),
		cmocka_unit_test_teardown(test_spoilt_note_stays, remove_note),
		cmocka_unit_test_teardown(test_note_cannot_be_written,
					  remove_note),
		cmocka_unit_test_teardown(test_too_many_files, remove_note),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
