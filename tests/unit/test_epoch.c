#include "config.h"

#include "epoch.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "frames.h"
#include "util.h"

static char folder[] = "/tmp/ringtick-test-XXXXXX";
static char path[64], aside[80];

static int
set_up(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/sym.epoch", folder);
	snprintf(aside, sizeof(aside), "%s.new", path);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	return rmdir(folder);
}

static int
remove_files(void **state)
{
	(void)state;
	(void)unlink(path);
	(void)unlink(aside);
	return 0;
}

static void
put(const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* What is in the file; no other is left beside it. */
static void
assert_file(const char *text)
{
	char found[8192] = "";
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	(void)fread(found, 1, sizeof(found) - 1, f);
	assert_int_equal(fclose(f), 0);
	assert_string_equal(found, text);
	assert_int_equal(access(aside, F_OK), -1);
}

static bool
begin(struct epochs *e, int32_t day, uint64_t records)
{
	char err[256] = "";
	bool was_clean;

	/* Nothing of what was there before is relied on. */
	memset(e, 0xa5, sizeof(*e));
	assert_true(epoch_begin(e, folder, "sym", day, records, &was_clean, err,
				sizeof(err)));
	assert_string_equal(err, "");
	return was_clean;
}

static void
end(const struct epochs *e)
{
	assert_int_equal(epoch_end(e, folder, "sym"), 0);
}

/* ---- the file ---- */

/* Protects the count over restarts: the first run is epoch 0, a clean stop
 * leaves it, an unclean one begins the next; what was in the file then is kept,
 * in the form that the header shows. */
static void
test_runs(void **state)
{
	struct epochs e;

	(void)state;
	assert_true(begin(&e, 9819, 5));
	assert_int_equal(e.now, 0);
	assert_int_equal(e.cnt, 0);
	assert_file("0 open\n");
	end(&e);
	assert_file("0 clean\n");
	assert_true(begin(&e, 9820, 7));
	assert_int_equal(e.now, 0);
	assert_false(begin(&e, 9820, 104));
	assert_int_equal(e.now, 1);
	assert_file("1 open\n1 9820 2026.11.20 104\n");
	end(&e);
	assert_true(begin(&e, 9822, 1));
	assert_int_equal(e.now, 1);
	assert_false(begin(&e, 9822, 511));
	assert_int_equal(e.now, 2);
	assert_int_equal(e.cnt, 2);
	assert_int_equal(e.begins[1].epoch, 2);
	assert_int_equal(e.begins[1].day, 9822);
	assert_int_equal(e.begins[1].records, 511);
	end(&e);
	assert_file("2 clean\n1 9820 2026.11.20 104\n2 9822 2026.11.22 511\n");
}

/* Protects what numbers can be: days before 2000, many records. */
static void
test_extremes(void **state)
{
	struct epochs e;

	(void)state;
	put("18446744073709551613 open\n");
	assert_false(begin(&e, -1, UINT64_MAX));
	assert_file("18446744073709551614 open\n18446744073709551614 -1 "
		    "1999.12.31 18446744073709551615\n");
	end(&e);
	assert_true(begin(&e, -1, 0));
	assert_true(e.now == UINT64_MAX - 1);
	assert_int_equal(e.begins[0].day, -1);
	assert_true(e.begins[0].records == UINT64_MAX);
}

/* Protects from a file that grows for ever: the oldest beginnings are
 * forgotten, and nothing is said of epochs that need them. */
static void
test_many_crashes(void **state)
{
	enum { RUNS = EPOCHS_KEPT + 20 };
	struct epochs e;

	(void)state;
	for (unsigned i = 0; i <= RUNS; i++)
		assert_true(begin(&e, 9820, 100 + i) == (i == 0));
	assert_int_equal(e.now, RUNS);
	assert_int_equal(e.cnt, EPOCHS_KEPT);
	assert_int_equal(e.begins[0].epoch, RUNS - EPOCHS_KEPT + 1);
	assert_int_equal(e.begins[EPOCHS_KEPT - 1].epoch, RUNS);
	for (uint64_t epoch = 0; epoch < RUNS; epoch++)
		assert_int_equal(epoch_sure_records(&e, epoch, 9820, 5000),
				 epoch < RUNS - EPOCHS_KEPT ? 0 : 101 + epoch);
	assert_int_equal(epoch_sure_records(&e, RUNS, 9820, 5000), 5000);
}

/* Protects the start from a file that is not whole, or is none: it counts as
 * an unclean stop, and what can be read of it is kept. */
static void
test_damaged_files(void **state)
{
	static const struct {
		const char *text;
		uint64_t now;
		unsigned cnt;
	} files[] = {
		{ "", 1, 1 },
		{ "\n", 1, 1 },
		{ "hello", 1, 1 },
		{ "3", 4, 1 },
		{ "3 cle", 4, 1 },
		{ "3 cleaner", 4, 1 },
		{ "3 a-word-that-is-too-long-to-be-one", 4, 1 },
		{ "3 open\n2", 4, 1 },
		{ "3 open\n2 9820 2026.11.20", 4, 1 },
		{ "3 open\n2 9820 2026.11.20 10\n3 98", 4, 2 },
		{ "3 open\n2 9820 2026.11.20 10\nwhat\n3 9821 2026.11.21 1\n",
		  4, 2 },
		{ "3 open\n2 9820 2026.11.20 10\n3 9821 2026.11.21 1\n", 4, 3 },
	};
	struct epochs e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		put(files[i].text);
		assert_false(begin(&e, 9830, 77));
		assert_int_equal(e.now, files[i].now);
		assert_int_equal(e.cnt, files[i].cnt);
		assert_int_equal(e.begins[e.cnt - 1].epoch, e.now);
		assert_int_equal(e.begins[e.cnt - 1].records, 77);
		end(&e);
		assert_true(begin(&e, 9830, 80));
		assert_int_equal(e.now, files[i].now);
	}
}

/* Protects the operator: where it cannot be written the start is refused and
 * the file named; at the end it is an error; what was there stays. */
static void
test_no_place(void **state)
{
	struct epochs e = { .now = 7 };
	char err[256] = "";
	bool was_clean;

	(void)state;
	assert_false(epoch_begin(&e, "/nowhere/at/all", "sym", 1, 1, &was_clean,
				 err, sizeof(err)));
	assert_string_equal(err, "/nowhere/at/all/sym.epoch cannot be written: "
				 "No such file or directory");
	assert_int_equal(epoch_end(&e, "/nowhere/at/all", "sym"), -ENOENT);
	put("7 open\n");
	assert_int_equal(mkdir(aside, 0700), 0);
	assert_false(epoch_begin(&e, folder, "sym", 1, 1, &was_clean, err,
				 sizeof(err)));
	assert_int_equal(epoch_end(&e, folder, "sym"), -EISDIR);
	assert_int_equal(rmdir(aside), 0);
	assert_file("7 open\n");
}

/* ---- what is sure ---- */

static void
test_sure_records(void **state)
{
	static const struct epochs e = {
		.now = 5,
		.begins = { { 3, 10, 100 }, { 4, 10, 80 }, { 5, 11, 20 } },
		.cnt = 3,
	};
	static const struct epochs none = { .now = 5 };

	(void)state;
	/* the running one, and those to come */
	assert_int_equal(epoch_sure_records(&e, 5, 11, 500), 500);
	assert_int_equal(epoch_sure_records(&e, 5, 12, 500), 500);
	assert_int_equal(epoch_sure_records(&e, 6, 11, 500), 0);
	assert_int_equal(epoch_sure_records(&e, INT64_MAX, 11, 500), 0);
	/* the one before, in the day of the crash and in others */
	assert_int_equal(epoch_sure_records(&e, 4, 11, 500), 20);
	assert_int_equal(epoch_sure_records(&e, 4, 11, 15), 15);
	assert_int_equal(epoch_sure_records(&e, 4, 12, 500), 0);
	assert_int_equal(epoch_sure_records(&e, 4, 10, 500), 0);
	/* over more than one crash; and where one is not known any more */
	assert_int_equal(epoch_sure_records(&e, 3, 11, 500), 0);
	assert_int_equal(epoch_sure_records(&e, 2, 11, 500), 0);
	assert_int_equal(epoch_sure_records(&e, 1, 10, 500), 0);
	assert_int_equal(epoch_sure_records(&none, 5, 10, 500), 500);
	assert_int_equal(epoch_sure_records(&none, 4, 10, 500), 0);
	assert_int_equal(epoch_sure_records(&none, 0, 10, 500), 0);
}

/*
 * A model of the files: what is in each now, and what was in them when each
 * epoch ended.  Every record has its own number.
 */
enum { DAYS = 6, LEN_MAX = 64, EPOCHS_MAX = 200 };

struct content {
	unsigned len;
	unsigned records[LEN_MAX];
};

static struct content now[DAYS], ended[EPOCHS_MAX][DAYS];
static unsigned records_made;
static struct chance chance;

static void
write_some(struct content *file)
{
	for (uint64_t n = chance_below(&chance, 8);
	     n > 0 && file->len < LEN_MAX; n--)
		file->records[file->len++] = ++records_made;
}

/* The promise: these records are the same now, and all of the epoch's that
 * could be meant. */
static void
check_all(const struct epochs *e)
{
	for (unsigned epoch = 0; epoch < e->now; epoch++)
		for (int32_t day = 0; day < DAYS; day++) {
			const struct content *was = &ended[epoch][day];
			uint64_t sure =
				epoch_sure_records(e, epoch, day, now[day].len);

			assert_true(sure <= now[day].len);
			/* Nobody can have a record of a day that was not. */
			if (was->len == 0)
				continue;
			assert_true(sure <= was->len);
			assert_memory_equal(was->records, now[day].records,
					    sure * sizeof(unsigned));
		}
}

/* A run from a day's file on, maybe into the next ones. Returns its last. */
static int32_t
run(struct epochs *e, int32_t day, unsigned *useful)
{
	(void)begin(e, day, now[day].len);
	assert_true(e->now < EPOCHS_MAX);
	if (e->now > 0 &&
	    epoch_sure_records(e, e->now - 1, day, now[day].len) > 0)
		++*useful;
	for (;; day++) {
		write_some(&now[day]);
		check_all(e);
		if (day == DAYS - 1 || chance_below(&chance, 4) != 0)
			break;
	}
	memcpy(ended[e->now], now, sizeof(now));
	return day;
}

/* Protects subscribers from records that others have in the place of theirs:
 * whatever the runs, days, crashes and clocks, what is called sure was there.
 */
static void
test_against_a_model(void **state)
{
	struct epochs e;
	unsigned useful = 0;

	(void)state;
	chance = chance_start("epochs");
	for (unsigned game = 0; game < 10; game++) {
		int32_t day = 0;

		memset(now, 0, sizeof(now));
		memset(ended, 0, sizeof(ended));
		(void)unlink(path);
		for (unsigned n = 0; n < 80; n++) {
			uint64_t lost = chance_below(&chance, 6);

			if (chance_below(&chance, 10) ==
			    0) /* a clock set back */
				day = 0;
			else if (chance_below(&chance, 3) == 0 &&
				 day < DAYS - 1)
				day++;
			day = run(&e, day, &useful);
			if (chance_below(&chance, 2) == 0)
				end(&e);
			else if (lost <= now[day].len)
				now[day].len -= (unsigned)lost;
		}
	}
	assert_true(useful > 150);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_runs, remove_files),
		cmocka_unit_test_teardown(test_extremes, remove_files),
		cmocka_unit_test_teardown(test_many_crashes, remove_files),
		cmocka_unit_test_teardown(test_damaged_files, remove_files),
		cmocka_unit_test_teardown(test_no_place, remove_files),
		cmocka_unit_test(test_sure_records),
		cmocka_unit_test_teardown(test_against_a_model, remove_files),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
