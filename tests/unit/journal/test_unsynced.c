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

#include "../side_file.h"

static int
set_up(void **state)
{
	(void)state;
	return open_side("sym.unsynced");
}

static int
doubt(const char *file, uint64_t off, uint64_t record)
{
	char path[128];

	snprintf(path, sizeof(path), "/any/where/%s", file);
	return journal_unsynced_note(side_dir, "sym", path, off, record);
}

/* A doubt is never narrowed by a later one, nor lost for another file's. */
static void
test_doubts_add_up(void **state)
{
	(void)state;
	assert_int_equal(doubt("sym2026.11.22", 500, 5), 0);
	assert_side("ringtick unsynced 2\n500 5 sym2026.11.22\n");
	assert_int_equal(doubt("sym2026.11.22", 900, 9), 0);
	assert_side("ringtick unsynced 2\n500 5 sym2026.11.22\n");
	assert_int_equal(doubt("sym2026.11.23", 8, 0), 0);
	assert_int_equal(doubt("sym2026.11.22", 100, 1), 0);
	assert_side("ringtick unsynced 2\n100 1 sym2026.11.22\n"
		    "8 0 sym2026.11.23\n");
}

static void
test_note_of_one_file(void **state)
{
	(void)state;
	put_side("ringtick unsynced 1\n300 3 sym2026.11.22\n");
	assert_int_equal(doubt("sym2026.11.23", 8, 0), 0);
	assert_side("ringtick unsynced 2\n300 3 sym2026.11.22\n"
		    "8 0 sym2026.11.23\n");
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
		put_side(spoilt[i]);
		assert_int_equal(doubt("sym2026.11.23", 8, 0), -EBADMSG);
		assert_side(spoilt[i]);
	}
}

/* A disk on which the new note cannot be written keeps the older one. */
static void
test_note_cannot_be_written(void **state)
{
	(void)state;
	assert_int_equal(doubt("sym2026.11.22", 500, 5), 0);
	assert_int_equal(mkdir(side_aside, 0700), 0);
	assert_int_equal(doubt("sym2026.11.23", 8, 0), -EISDIR);
	assert_int_equal(rmdir(side_aside), 0);
	assert_side("ringtick unsynced 2\n500 5 sym2026.11.22\n");
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
		cmocka_unit_test_teardown(test_doubts_add_up, remove_side),
		cmocka_unit_test_teardown(test_note_of_one_file, remove_side),
		cmocka_unit_test_teardown(test_spoilt_note_stays, remove_side),
		cmocka_unit_test_teardown(test_note_cannot_be_written,
					  remove_side),
		cmocka_unit_test_teardown(test_too_many_files, remove_side),
	};

	return cmocka_run_group_tests(tests, set_up, close_side);
}
