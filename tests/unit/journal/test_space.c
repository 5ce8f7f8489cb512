#include "config.h"

#include "journal/space.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void
check_text(int64_t free_bytes, double bytes_per_s, const char *expected)
{
	struct journal_space space;
	char text[80];

	journal_space_init(&space, "/nowhere");
	if (free_bytes >= 0)
		space.free_bytes = free_bytes;
	assert_string_equal(journal_space_text(&space, bytes_per_s, text,
					       sizeof(text)),
			    expected);
}

/* An alert needs these figures: megabytes, and for how long they last. */
static void
test_text(void **state)
{
	(void)state;
	check_text(-1, 5e6, " journal_free_mb=- journal_free_hours=-");
	check_text(72000000000, 0, " journal_free_mb=72000 "
				   "journal_free_hours=-");
	check_text(72000000000, 5e6, " journal_free_mb=72000 "
				     "journal_free_hours=4.0");
	check_text(72000000000, 1e9, " journal_free_mb=72000 "
				     "journal_free_hours=0.0");
	check_text(0, 5e6, " journal_free_mb=0 journal_free_hours=0.0");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
