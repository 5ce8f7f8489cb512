#include "config.h"

#include "journal/epoch.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../frames.h"
#include "../side_file.h"
#include "base/util.h"

static int
set_up(void **state)
{
	(void)state;
	return open_side("sym.epoch");
}

enum {
	SETTINGS = 0xabc,
	AT_LEAST = 1000, /* an epoch if the last is not known */
};

static bool is_changed;

static enum epoch_found
begin_run(struct epochs *e, const struct epoch_run *run)
{
	enum epoch_found found;
	char err[256] = "";

	/* The earlier contents do not matter. */
	memset(e, 0xa5, sizeof(*e));
	assert_true(epoch_load(e, side_dir, "sym", &found, err, sizeof(err)));
	assert_true(epoch_begin(e, side_dir, "sym", found, run, &is_changed,
				err, sizeof(err)));
	assert_string_equal(err, "");
	return found;
}

/* The file of a day, with a number of records of 10 bytes each. */
static struct epoch_run
run_in(int32_t day, uint64_t records)
{
	return (struct epoch_run){
		.settings = SETTINGS,
		.at_least = AT_LEAST,
		.day = INT32_MIN,
		.files = { { .day = day,
			     .records = records,
			     .bytes = 8 + 10 * records } },
		.files_cnt = 1,
	};
}

/* Returns whether the run before ended well. */
static bool
begin(struct epochs *e, int32_t day, uint64_t records)
{
	const struct epoch_run run = run_in(day, records);
	enum epoch_found found = begin_run(e, &run);

	return found == EPOCH_NONE || found == EPOCH_CLEAN;
}

static void
end(const struct epochs *e)
{
	assert_int_equal(epoch_end(e, side_dir, "sym"), 0);
}

/* ---- the file ---- */

#define HEAD "ringtick-epochs 3\n"
#define SET  "settings 0000000000000abc\n"

/* Protects the count over restarts: the first run is epoch 0, a clean stop
 * keeps the epoch, an unclean stop begins the next; the records that the files
 * had then are stored, in the form that the header shows. */
static void
test_runs(void **state)
{
	struct epochs e;

	(void)state;
	assert_true(begin(&e, 9819, 0));
	assert_int_equal(e.now, 0);
	assert_int_equal(e.begins_cnt, 0);
	assert_side(HEAD "epoch 0 open\n" SET "file 9819 2026.11.19 0 8 0 0\n"
			 "end\n");
	e.files[0].records = 5;
	e.files[0].bytes = 58;
	e.day = 9819;
	end(&e);
	assert_side(HEAD "epoch 0 clean\nday 9819 2026.11.19\n" SET
			 "file 9819 2026.11.19 5 58 0 0\nend\n");
	assert_true(begin(&e, 9820, 7));
	assert_int_equal(e.now, 0);
	assert_false(begin(&e, 9820, 104));
	assert_int_equal(e.now, 1);
	assert_side(HEAD "epoch 1 open\n" SET
			 "file 9820 2026.11.20 104 1048 0 0\n"
			 "begin 1 9820 2026.11.20 104\nend\n");
	end(&e);
	assert_true(begin(&e, 9822, 1));
	assert_int_equal(e.now, 1);
	assert_false(begin(&e, 9822, 511));
	assert_int_equal(e.now, 2);
	assert_int_equal(e.begins_cnt, 2);
	assert_int_equal(e.begins[1].epoch, 2);
	assert_int_equal(e.begins[1].day, 9822);
	assert_int_equal(e.begins[1].records, 511);
}

/* Protects an upgrade: the file of the release before is read, and the facts
 * that it does not have are not known. */
static void
test_the_first_version(void **state)
{
	struct epochs e;

	(void)state;
	put_side("2 clean\n1 9820 2026.11.20 104\n2 9822 2026.11.22 511\n");
	assert_true(begin(&e, 9822, 600));
	/* What was sent in epoch 2 is not known. */
	assert_int_equal(e.now, 3);
	assert_int_equal(e.begins_cnt, 3);
	assert_int_equal(e.files[0].since, 600);
	assert_int_equal(e.files[0].since_epoch, 3);
	end(&e);
	put_side("2 open\n1 9820 2026.11.20 104\n2 9822 2026.11.22 511\n");
	assert_false(begin(&e, 9822, 600));
	assert_int_equal(e.now, 3);
	assert_int_equal(e.begins_cnt, 3);
}

/* The same of the version without since_epoch: no claim of its epochs is older
 * than `since`. */
static void
test_the_second_version(void **state)
{
	struct epochs e;

	(void)state;
	put_side("ringtick-epochs 2\nepoch 5 clean\n" SET
	    "file 9830 2026.11.30 77 800 20\nend\n");
	assert_true(begin(&e, 9830, 80));
	assert_int_equal(e.now, 5);
	assert_int_equal(e.files[0].since, 20);
	assert_int_equal(e.files[0].since_epoch, 6);
}

/* Protects a downgrade: an older release does not guess at facts that it cannot
 * know. */
static void
test_a_newer_version(void **state)
{
	struct epochs e;
	enum epoch_found found;
	char err[512];

	(void)state;
	put_side("ringtick-epochs 4\nepoch of another kind\n");
	assert_false(epoch_load(&e, side_dir, "sym", &found, err, sizeof(err)));
	assert_non_null(strstr(err, side_path));
	assert_non_null(strstr(err, "newer ringtickd (version 4"));
	assert_side("ringtick-epochs 4\nepoch of another kind\n");
}

/* Protects the range of numbers: days before 2000, many records. */
static void
test_extremes(void **state)
{
	struct epochs e;

	(void)state;
	put_side("18446744073709551613 open\n");
	assert_false(begin(&e, -1, UINT64_MAX / 20));
	end(&e);
	assert_true(begin(&e, -1, UINT64_MAX / 20));
	assert_true(e.now == UINT64_MAX - 1);
	assert_int_equal(e.begins[0].day, -1);
	assert_true(e.begins[0].records == UINT64_MAX / 20);
}

/* Protects from a file that grows for ever: the oldest beginnings are removed,
 * and epochs that need them are not known any more. */
static void
test_many_crashes(void **state)
{
	enum { RUNS = EPOCHS_KEPT + 20 };
	uint64_t sure;
	struct epochs e;

	(void)state;
	for (unsigned i = 0; i <= RUNS; i++)
		assert_true(begin(&e, 9820, i) == (i == 0));
	assert_int_equal(e.now, RUNS);
	assert_int_equal(e.begins_cnt, EPOCHS_KEPT);
	for (uint64_t epoch = 0; epoch < RUNS; epoch++) {
		bool is_known =
			epoch_sure_records(&e, epoch, 9820, 5000, &sure);

		assert_int_equal(is_known, epoch > RUNS - EPOCHS_KEPT);
		if (is_known)
			assert_int_equal(sure, 1 + epoch);
	}
	assert_true(epoch_sure_records(&e, RUNS, 9820, 5000, &sure));
	assert_int_equal(sure, 5000);
}

/* Protects from a file that is not whole, or missing: the lines that can be
 * read are kept, and the new epoch is later than all earlier ones. */
static void
test_spoilt_files(void **state)
{
	static const struct {
		const char *text;
		uint64_t now;
		unsigned cnt;
	} files[] = {
		{ "", AT_LEAST + 1, 1 },
		{ "\n", AT_LEAST + 1, 1 },
		{ "hello", AT_LEAST + 1, 1 },
		{ "5000", 5001, 1 },
		{ "3 cle", AT_LEAST + 1, 1 },
		{ "3 cleaner", AT_LEAST + 1, 1 },
		{ "3 a-word-that-is-too-long-to-be-one", AT_LEAST + 1, 1 },
		{ "3 open\n2", AT_LEAST + 1, 1 },
		{ "3 open\n2 9820 2026.11.20", AT_LEAST + 1, 1 },
		{ "3 clean\n2 9820 2026.11.20 10\n3 98", AT_LEAST + 1, 2 },
		{ "3 open\n2 9820 2026.11.20 10\nwhat\n3 9821 2026.11.21 1\n",
		  AT_LEAST + 1, 3 },
		{ "ringtick-epochs", AT_LEAST + 1, 1 },
		{ HEAD, AT_LEAST + 1, 1 },
		{ HEAD "epoch 5 clean\n", AT_LEAST + 1, 1 },
		{ HEAD "epoch 5000 clean\nday 1 2000.01.02\n", 5001, 1 },
		{ HEAD "epoch 5 clean\nwhat\nend\n", AT_LEAST + 1, 1 },
		{ HEAD "epoch 5 clean\nend", AT_LEAST + 1, 1 },
		{ HEAD "end\n", AT_LEAST + 1, 1 },
	};
	struct epochs e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		const struct epoch_run run = run_in(9830, 77);

		put_side(files[i].text);
		assert_int_equal(begin_run(&e, &run), EPOCH_SPOILT);
		assert_int_equal(e.now, files[i].now);
		assert_int_equal(e.begins_cnt, files[i].cnt);
		assert_int_equal(e.begins[e.begins_cnt - 1].epoch, e.now);
		assert_int_equal(e.begins[e.begins_cnt - 1].records, 77);
		/* Who begins anew is believed; no old claim can be taken for
		 * that. */
		assert_int_equal(e.files[0].since,
				 e.now == AT_LEAST + 1 ? 0 : 77);
		end(&e);
		assert_true(begin(&e, 9830, 80));
		assert_int_equal(e.now, files[i].now);
	}
	/* The file was deleted: there are records of other epochs. */
	assert_int_equal(unlink(side_path), 0);
	assert_true(begin(&e, 9830, 80));
	assert_int_equal(e.now, AT_LEAST + 1);
}

/* Protects from a journal that was cut or replaced while the daemon was down:
 * no client has the records in it. */
static void
test_changed_files(void **state)
{
	struct epochs e;
	struct epoch_run run = run_in(9830, 50);
	uint64_t sure;

	(void)state;
	assert_true(begin(&e, 9830, 0));
	e.files[0] = run.files[0];
	end(&e);
	assert_true(begin(&e, 9830, 50));
	end(&e);
	assert_int_equal(e.now, 0);
	assert_true(begin(&e, 9830, 60));
	assert_int_equal(e.now, 0);
	end(&e);
	assert_true(begin(&e, 9830, 59));
	assert_true(is_changed);
	assert_int_equal(e.now, 1);
	assert_true(epoch_sure_records(&e, 0, 9830, 59, &sure));
	assert_int_equal(sure, 0);
	end(&e);
	run = run_in(9830, 59);
	run.files[0].bytes++;
	(void)begin_run(&e, &run);
	assert_true(is_changed);
	assert_int_equal(e.now, 2);
}

/* Protects the count of messages: it means the same from the first record on
 * with which all runs had the same settings. */
static void
test_since(void **state)
{
	struct epochs e;
	struct epoch_run run = run_in(9830, 0);

	(void)state;
	(void)begin_run(&e, &run);
	assert_int_equal(e.files[0].since, 0);
	e.files[0].records = 10;
	end(&e);
	run = run_in(9830, 10);
	(void)begin_run(&e, &run);
	assert_int_equal(e.files[0].since, 0);
	end(&e);
	run.settings++;
	(void)begin_run(&e, &run);
	assert_int_equal(e.files[0].since, 10);
	/* Who begins anew can be told from who has the messages of before. */
	assert_int_equal(e.now, 2);
	assert_int_equal(e.files[0].since_epoch, 2);
	/* A crash takes a few; the next day's file was not noted. */
	run.files[0].records = 8;
	run.files[1] = (struct epoch_file){ .day = 9831, .records = 30 };
	run.files_cnt = 2;
	(void)begin_run(&e, &run);
	assert_int_equal(e.now, 3);
	assert_int_equal(e.files[0].since, 8);
	assert_int_equal(e.files[0].since_epoch, 2);
	assert_int_equal(e.files[1].since, 0);
	end(&e);
	run.settings--;
	(void)begin_run(&e, &run);
	assert_int_equal(e.files[0].since, 8);
	assert_int_equal(e.files[1].since, 30);
	assert_int_equal(e.now, 4);
	assert_int_equal(e.files[0].since_epoch, 4);
	assert_int_equal(e.files[1].since_epoch, 4);
	/* A file that others had begun when the run came to it. */
	e.files[1].since_epoch = EPOCH_NEVER;
	end(&e);
	(void)begin_run(&e, &run);
	assert_int_equal(e.now, 4);
	assert_int_equal(e.files[0].since_epoch, 4);
	assert_int_equal(e.files[1].since_epoch, 5);
}

/* Protects the operator: if the file cannot be written the start is refused,
 * and the error names the file and the true reason; the old file stays. */
static void
test_no_place(void **state)
{
	struct epochs e = { .now = 7, .day = INT32_MIN };
	const struct epoch_run run = run_in(1, 1);
	char err[256] = "";
	bool changed;

	(void)state;
	assert_false(epoch_begin(&e, "/nowhere/at/all", "sym", EPOCH_NONE, &run,
				 &changed, err, sizeof(err)));
	assert_string_equal(err, "/nowhere/at/all/sym.epoch cannot be written: "
				 "No such file or directory");
	assert_int_equal(epoch_end(&e, "/nowhere/at/all", "sym"), -ENOENT);
	put_side("7 open\n");
	assert_int_equal(mkdir(side_aside, 0700), 0);
	assert_false(epoch_begin(&e, side_dir, "sym", EPOCH_OPEN, &run,
				 &changed, err, sizeof(err)));
	assert_int_equal(epoch_end(&e, side_dir, "sym"), -EISDIR);
	assert_int_equal(rmdir(side_aside), 0);
	assert_side("7 open\n");
	/* A full disk is named as the reason. */
	assert_int_equal(symlink("/dev/full", side_aside), 0);
	assert_int_equal(epoch_end(&e, side_dir, "sym"), -ENOSPC);
}

/* ---- sure records ---- */

static void
assert_sure(const struct epochs *e, uint64_t epoch, int32_t day,
	    uint64_t records, uint64_t wanted)
{
	uint64_t sure = 0;

	assert_true(epoch_sure_records(e, epoch, day, records, &sure));
	assert_int_equal(sure, wanted);
}

static void
assert_unknown(const struct epochs *e, uint64_t epoch, int32_t day)
{
	uint64_t sure = 0;

	assert_false(epoch_sure_records(e, epoch, day, 500, &sure));
}

static void
test_sure_records(void **state)
{
	static const struct epochs e = {
		.now = 5,
		.begins = { { 3, 10, 100 },
			    { 4, 10, 80 },
			    { 5, 10, 85 },
			    { 5, 11, 20 } },
		.begins_cnt = 4,
	};
	static const struct epochs none = { .now = 5 };

	(void)state;
	/* the running epoch, and later ones */
	assert_sure(&e, 5, 11, 500, 500);
	assert_sure(&e, 5, 12, 500, 500);
	assert_unknown(&e, 6, 11);
	assert_unknown(&e, INT64_MAX, 11);
	assert_unknown(&e, UINT64_MAX, 11);
	/* the epoch before, on the days of the crash and on others */
	assert_sure(&e, 4, 11, 500, 20);
	assert_sure(&e, 4, 11, 15, 15);
	assert_sure(&e, 4, 10, 500, 85);
	assert_unknown(&e, 4, 12);
	/* over more than one crash; and if one is not known any more */
	assert_sure(&e, 3, 10, 500, 80);
	assert_unknown(&e, 3, 11);
	assert_sure(&e, 2, 10, 500, 80);
	assert_unknown(&e, 1, 10);
	assert_sure(&none, 5, 10, 500, 500);
	assert_unknown(&none, 4, 10);
	assert_unknown(&none, 0, 10);
}

/*
 * A model of the files: the records in each now, and those that were in them
 * when each epoch ended.  Every record has its own number.
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

/* The promise: the sure records of a day are those that the epoch had. */
static void
check_all(const struct epochs *e)
{
	for (unsigned epoch = 0; epoch < e->now; epoch++)
		for (int32_t day = 0; day < DAYS; day++) {
			const struct content *was = &ended[epoch][day];
			uint64_t sure;

			if (!epoch_sure_records(e, epoch, day, now[day].len,
						&sure))
				continue;
			assert_true(sure <= now[day].len);
			/* No client has a record of a day without a run. */
			if (was->len == 0)
				continue;
			assert_true(sure <= was->len);
			assert_memory_equal(was->records, now[day].records,
					    sure * sizeof(unsigned));
		}
}

/* A run that begins in a day's file and may go on into the next ones.  Returns
 * its last day. */
static int32_t
run(struct epochs *e, int32_t day, unsigned *useful)
{
	uint64_t sure;

	(void)begin(e, day, now[day].len);
	assert_true(e->now < EPOCHS_MAX);
	if (e->now > 0 &&
	    epoch_sure_records(e, e->now - 1, day, now[day].len, &sure) &&
	    sure > 0)
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

/* Protects subscribers from other records in the place of theirs: whatever the
 * runs, days, crashes and clocks, a record that is called sure was there. */
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
		(void)unlink(side_path);
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
		cmocka_unit_test_teardown(test_runs, remove_side),
		cmocka_unit_test_teardown(test_extremes, remove_side),
		cmocka_unit_test_teardown(test_many_crashes, remove_side),
		cmocka_unit_test_teardown(test_the_first_version, remove_side),
		cmocka_unit_test_teardown(test_a_newer_version, remove_side),
		cmocka_unit_test_teardown(test_spoilt_files, remove_side),
		cmocka_unit_test_teardown(test_changed_files, remove_side),
		cmocka_unit_test_teardown(test_the_second_version,
					  remove_side),
		cmocka_unit_test_teardown(test_since, remove_side),
		cmocka_unit_test_teardown(test_no_place, remove_side),
		cmocka_unit_test(test_sure_records),
		cmocka_unit_test_teardown(test_against_a_model, remove_side),
	};

	return cmocka_run_group_tests(tests, set_up, close_side);
}
