#include "config.h"

#include "journal/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "../frames.h"
#include "../journal_model.h"
#include "base/util.h"

enum { FDS = 64 }; /* more than are open */

#define MINUTE_NS   (60 * NS_PER_S)
#define RETRY_NS    MODEL_RETRY_NS
#define INTERVAL_NS MODEL_INTERVAL_NS

/* ---- a disk that writes less than it was asked for ---- */

static void
test_short_writes(void **state)
{
	size_t len = 1;

	(void)state;
	model_start(SYNC_NONE, AFTER_JOURNAL);
	for (size_t n = 1; n <= len; n++) {
		model_put_many(3);
		model_turn(0);
		len = disk_asked();
		if (n < len)
			disk_write(n, (int32_t)n);
		assert_int_equal(disk_asked(), n < len ? len - n : len);
		disk_write_all();
	}
	model_put_many(3);
	model_turn(0);
	while (disk_asked() > 0)
		disk_write(1, 1);
	disk_drain();
	assert_int_equal(model_said("journal_failing"), 0);
}

/* The same write is asked for again, at once. */
static void
test_interrupted(void **state)
{
	static const int32_t results[] = { -EINTR, -EAGAIN };

	(void)state;
	model_start(SYNC_NONE, AFTER_JOURNAL);
	model_put_many(3);
	model_turn(0);
	while (disk_asked() > 0) {
		size_t len = disk_asked();

		for (size_t i = 0; i < ARRAY_LEN(results); i++) {
			disk_complete(OP_WRITE, results[i]);
			assert_int_equal(disk_asked(), len);
		}
		disk_write(1, 1);
	}
	disk_drain();
	assert_int_equal(model_said("journal_failing"), 0);
}

/* ---- a disk that fails ---- */

/* Fails at every byte of a batch; every other time the disk reports the bytes
 * before. */
static void
test_disk_full(void **state)
{
	static const int32_t results[] = { -ENOSPC, -EIO, -EDQUOT, 0 };

	(void)state;
	model_start(SYNC_NONE, AFTER_JOURNAL);
	for (size_t n = 0, len = 1; n < len; n++) {
		model_put_many(3);
		model_turn(0);
		len = disk_asked();
		if (n % 2 == 1 && n < len)
			disk_write(n, (int32_t)n);
		disk_write(disk_asked() < len ? 0 : n, results[n / 2 % 4]);
		/* records that come meanwhile go with it */
		model_put_many(1);
		model_turn(RETRY_NS - 1);
		assert_int_equal(disk_asked(), 0);
		model_turn(1);
		assert_true(disk_asked() > len);
		disk_drain();
	}
}

/* A failure is logged at once, every minute, and when it is over; the ring
 * keeps the accepted records. */
static void
test_disk_full_for_long(void **state)
{
	(void)state;
	model_start(SYNC_BATCH, AFTER_JOURNAL);
	while (model_put(300))
		continue;
	model_turn(0);
	for (int64_t ns = 0; ns < 3 * MINUTE_NS; ns += RETRY_NS) {
		disk_write(1000, -ENOSPC);
		assert_int_equal(model_said("journal_failing"),
				 1 + ns / MINUTE_NS);
		assert_false(model_put(300));
		model_turn(RETRY_NS);
	}
	assert_int_equal(model_said("journal_mended"), 0);
	disk_drain();
	assert_int_equal(model_said("journal_mended"), 1);
}

/* Records fill the staging ring, then the main ring; then the feeds wait.
 * Staged records stay until the whole write has succeeded. */
static void
test_disk_hangs(void **state)
{
	(void)state;
	model_start(SYNC_NONE, AFTER_RING);
	do {
		while (model_put(MODEL_RING_BYTES / 5))
			continue;
		model_turn(0);
	} while (model_put(MODEL_RING_BYTES / 5));
	assert_in_range(model_bytes(), MODEL_STAGING_BYTES,
			MODEL_STAGING_BYTES + MODEL_RING_BYTES);
	assert_int_equal(m.written, 0);
	assert_int_equal(journal_due_ns(&m.journal), INT64_MAX);
	model_turn(NS_PER_S);
	model_turn(MINUTE_NS);
	assert_int_equal(model_said("journal_slow"), 2);
	disk_write(disk_asked() - 1, (int32_t)disk_asked() - 1);
	model_turn(0);
	disk_write(0, -EIO);
	disk_drain();
	assert_int_equal(model_said("journal_kept_up"), 1);
}

/* The file has its name again within a second, with all its records. */
static void
test_file_deleted(void **state)
{
	(void)state;
	model_start(SYNC_BATCH, AFTER_SYNC);
	model_put_many(3);
	disk_drain();
	assert_int_equal(unlink(model_path(m.today)), 0);
	model_put_many(1);
	disk_drain();
	model_turn(NS_PER_S);
	assert_int_equal(access(model_path(m.today), F_OK), 0);
	assert_int_equal(model_said("journal_brought_back"), 1);
	model_put_many(1);
	assert_true(model_end_day(0));
	disk_drain();
}

/* A job that hangs, whatever it does, holds up neither writing nor visibility;
 * only the work that needs the job waits. */
static void
test_job_hangs(void **state)
{
	(void)state;
	model_start(SYNC_BATCH, AFTER_SYNC);
	model_put_many(1);
	disk_drain();
	m.are_jobs_held = true;
	model_turn(NS_PER_S);
	assert_int_equal(m.jobs_cnt, 1); /* a look at the file */
	m.local_ns = (m.today + 1) * NS_PER_DAY - NS_PER_S;
	model_turn(NS_PER_S);
	assert_int_equal(m.jobs_cnt, 2); /* and the next day's file */
	for (unsigned i = 0; i < 3; i++) {
		model_put_many(2);
		model_turn(NS_PER_S);
		disk_write_all();
		model_turn(0);
		disk_complete(OP_SYNC, 0);
		assert_int_equal(m.synced, m.records);
	}
	assert_true(model_end_day(0));
	model_put_many(1);
	model_turn(NS_PER_S);
	assert_int_equal(m.rolled, 0);
	assert_int_equal(journal_due_ns(&m.journal), INT64_MAX);
	assert_int_equal(m.jobs_cnt, 2);
	assert_true(m.journal.state.is_file_stuck);
	assert_int_equal(model_said("journal_slow"), 1);
	m.are_jobs_held = false;
	disk_drain();
	model_turn(0);
	assert_false(m.journal.state.is_file_stuck);
	assert_int_equal(model_said("journal_failing"), 0);
	assert_int_equal(model_said("journal_kept_up"), 1);
}

/* Nothing is written after the remains of a failed write: first they are cut
 * off. */
static void
test_cut_hangs(void **state)
{
	(void)state;
	model_start(SYNC_NONE, AFTER_JOURNAL);
	model_put_many(3);
	model_turn(0);
	m.are_jobs_held = true;
	disk_write(10, -EIO);
	model_put_many(1);
	model_turn(MINUTE_NS);
	assert_int_equal(m.ops_cnt, 0);
	assert_int_equal(journal_due_ns(&m.journal), INT64_MAX);
	m.are_jobs_held = false;
	disk_drain();
}

/* An interrupted operation is asked for again. */
static void
test_sync_interrupted(void **state)
{
	(void)state;
	for (unsigned i = SYNC_INTERVAL; i <= SYNC_BATCH; i++) {
		model_start((enum journal_sync)i, AFTER_SYNC);
		model_put_many(1);
		model_turn(0);
		disk_write_all();
		model_turn(INTERVAL_NS);
		for (unsigned tries = 0; tries < 3; tries++) {
			disk_complete(OP_SYNC, -EINTR);
			assert_int_equal(m.synced, 0);
			model_turn(0);
		}
		disk_complete(OP_SYNC, 0);
		assert_int_equal(m.synced, 1);
		assert_int_equal(m.journal.syncs, 1);
		assert_int_equal(model_stop(state), 0);
	}
}

/* A copy is made in rounds while the file is written on. */
static void
test_copy_while_writing(void **state)
{
	(void)state;
	model_start(SYNC_BATCH, AFTER_SYNC);
	model_put_many(3);
	disk_drain();
	m.are_jobs_held = true;
	assert_int_equal(unlink(model_path(m.today)), 0);
	model_turn(NS_PER_S);
	disk_do_job(); /* the look */
	assert_int_equal(m.jobs_cnt, 1);
	model_put_many(3);
	model_turn(0);
	disk_write_all(); /* meanwhile */
	disk_do_job();	  /* the copy, of the first three */
	model_turn(0);
	assert_int_equal(access(model_path(m.today), F_OK), -1);
	/* the written records are copied before more are written */
	model_put_many(1);
	model_turn(0);
	assert_int_equal(m.ops_cnt, 0);
	assert_int_equal(m.jobs_cnt, 1);
	m.are_jobs_held = false;
	disk_drain();
	assert_int_equal(model_said("journal_brought_back"), 1);
	assert_int_equal(access(model_path(m.today), F_OK), 0);
}

static unsigned syncs;

int
fdatasync(int fd)
{
	syncs++;
	return fsync(fd);
}

/* Files of the folder that are open and have no name. */
static unsigned
nameless(void)
{
	unsigned cnt = 0;

	for (unsigned fd = 0; fd < FDS; fd++) {
		char link[64], path[256] = "";

		(void)snprintf(link, sizeof(link), "/proc/self/fd/%u", fd);
		(void)!readlink(link, path, sizeof(path) - 1);
		cnt += strstr(path, "/ringtick-test-") != NULL &&
		       strstr(path, " (deleted)") != NULL;
	}
	return cnt;
}

/* While a copy takes the file's place nothing is written, so what takes long is
 * done before it and after it: syncing the copy, closing the file. */
static void
test_copy_takes_the_place(void **state)
{
	(void)state;
	model_start(SYNC_BATCH, AFTER_RING);
	model_put_many(3);
	disk_drain();
	m.are_jobs_held = true;
	assert_int_equal(unlink(model_path(m.today)), 0);
	model_turn(NS_PER_S);
	disk_do_job(); /* the look */
	syncs = 0;
	disk_do_job(); /* the copy */
	assert_int_equal(syncs, 1);
	model_turn(0);
	disk_do_job(); /* it takes the place */
	assert_int_equal(model_said("journal_brought_back"), 1);
	assert_int_equal(syncs, 1);
	assert_int_equal(nameless(), 1);
	model_put_many(1);
	model_turn(NS_PER_S);
	disk_do_job(); /* the next look */
	assert_int_equal(m.jobs_cnt, 1);
	disk_write_all(); /* before the file is closed */
	disk_do_job();
	assert_int_equal(nameless(), 0);
	m.are_jobs_held = false;
	disk_drain();
}

/* ---- on disk, and visible ---- */

/* The rule that every step of every test checks, here in numbers: the records
 * visible when two were committed, begun, written, and synced. */
static void
test_visible(void **state)
{
	static const unsigned seen[][4] = {
		[AFTER_RING] = { 2, 2, 2, 2 },
		[AFTER_JOURNAL] = { 0, 0, 2, 2 },
		[AFTER_SYNC] = { 0, 0, 0, 2 },
	};
	const uint64_t *pos = &m.all.main.visible_pos;

	for (unsigned i = AFTER_RING; i <= AFTER_SYNC; i++) {
		model_start(SYNC_BATCH, (enum publish_after)i);
		model_put_many(2);
		assert_int_equal(*pos, model_pos(seen[i][0]));
		model_turn(0);
		disk_write(disk_asked() - 1, (int32_t)disk_asked() - 1);
		assert_int_equal(*pos, model_pos(seen[i][1]));
		disk_write_all();
		model_turn(0);
		assert_int_equal(*pos, model_pos(seen[i][2]));
		disk_complete(OP_SYNC, 0);
		assert_int_equal(*pos, model_pos(seen[i][3]));
		/* a mark, with the roll */
		assert_true(model_end_day(0));
		assert_int_equal(*pos, i == AFTER_RING ? m.all.main.head_pos
						       : model_pos(2));
		model_turn(0);
		assert_int_equal(*pos, m.all.main.head_pos);
		assert_int_equal(model_stop(state), 0);
	}
}

/* A sync after each write, and nothing is written before it is done. */
static void
test_sync_batch(void **state)
{
	(void)state;
	model_start(SYNC_BATCH, AFTER_SYNC);
	for (unsigned i = 1; i < 5; i++) {
		model_put_many(2);
		model_turn(0);
		disk_write(10, 10);
		assert_null(disk_op(OP_SYNC));
		disk_write_all();
		model_turn(0);
		model_put_many(2);
		model_turn(NS_PER_S);
		assert_int_equal(m.ops_cnt, 1);
		disk_complete(OP_SYNC, 0);
		assert_int_equal(m.journal.syncs, 2 * i - 1);
		disk_drain();
		assert_int_equal(m.journal.syncs, 2 * i);
	}
}

/* A sync that has begun, with a record after it in the ring. */
static void
start_sync(void)
{
	model_start(SYNC_INTERVAL, AFTER_SYNC);
	model_put_many(1);
	model_turn(0);
	disk_write_all();
	model_put_many(1);
	journal_run(&m.journal, m.today, m.local_ns, m.now_ns);
	assert_non_null(disk_op(OP_SYNC));
}

/* A sync when it is due, not before; never without something written. */
static void
test_sync_interval(void **state)
{
	int64_t due;

	(void)state;
	start_sync();
	disk_complete(OP_SYNC, 0);
	due = m.now_ns + INTERVAL_NS;
	for (unsigned i = 0; i < 3; i++) {
		model_turn(INTERVAL_NS / 4);
		disk_write_all();
		model_turn(0);
		assert_int_equal(journal_due_ns(&m.journal), due);
		model_put_many(1);
	}
	model_turn(due - m.now_ns - 1);
	disk_write_all();
	model_turn(0);
	assert_int_equal(m.ops_cnt, 0);
	m.now_ns++;
	journal_run(&m.journal, m.today, m.local_ns, m.now_ns);
	disk_complete(OP_SYNC, 0);
	assert_int_equal(m.synced, m.records);
	model_turn(5 * INTERVAL_NS);
	assert_int_equal(m.ops_cnt, 0);
	assert_int_equal(m.journal.syncs, 2);
}

/* Due while the disk is at work: a completion starts the turn, no timer. */
static void
test_sync_interval_passes(void **state)
{
	(void)state;
	start_sync();
	model_turn(2 * INTERVAL_NS);
	disk_complete(OP_SYNC, 0);
	model_turn(0);
	assert_int_equal(disk_op(OP_WRITE)->upto, 2);
	disk_write_all();
	model_put_many(1);
	model_turn(0);
	assert_int_equal(disk_op(OP_WRITE)->upto, 3);
	model_turn(2 * INTERVAL_NS);
	disk_drain();
}

static bool
failed_sync_kills(void)
{
	if (setjmp(m.death) != 0)
		return true;
	disk_complete(OP_SYNC, -EIO);
	return false;
}

static const char *
note_path(void)
{
	static char path[160];

	(void)snprintf(path, sizeof(path), "%.*s/sym.unsynced",
		       (int)(strrchr(model_path(0), '/') - model_path(0)),
		       model_path(0));
	return path;
}

static bool
is_noted(void)
{
	return access(note_path(), F_OK) == 0;
}

/* Three records are on the disk, two are written and never will be. */
static void
lose_two(void)
{
	model_start(SYNC_BATCH, AFTER_SYNC);
	model_put_many(3);
	disk_drain();
	model_put_many(2);
	model_turn(0);
	disk_write_all();
	model_turn(0);
	assert_true(failed_sync_kills());
}

/* The last log line names the file and the first record that may be lost; that
 * record never becomes visible. */
static void
test_sync_fails(void **state)
{
	(void)state;
	lose_two();
	assert_int_equal(m.journal.state.synced_records, 3);
	assert_int_equal(m.all.main.visible_pos, model_pos(3));
	assert_int_equal(m.last_status, EXIT_DISK);
	assert_non_null(strstr(m.last_words, model_path(m.today)));
	assert_non_null(strstr(m.last_words, strerror(EIO)));
	assert_non_null(strstr(m.last_words, "records from 3 on"));
	assert_int_equal(model_said("journal_unsynced"), 1);
	assert_int_equal(model_said("unsynced_not_noted"), 0);
	assert_true(is_noted());
}

/* A file that has lost its name would end with the process: it is copied before
 * that. */
static void
test_sync_fails_without_a_name(void **state)
{
	(void)state;
	model_start(SYNC_BATCH, AFTER_SYNC);
	model_put_many(3);
	disk_drain();
	assert_int_equal(unlink(model_path(m.today)), 0);
	model_put_many(2);
	model_turn(0);
	disk_write_all();
	model_turn(0);
	assert_true(failed_sync_kills());
	assert_int_equal(model_said("journal_unnamed"), 1);
}

/* If it cannot be noted for the next start, the log has to do. */
static void
test_sync_fails_and_no_note(void **state)
{
	(void)state;
	model_start(SYNC_BATCH, AFTER_SYNC);
	assert_int_equal(mkdir(note_path(), 0700), 0);
	model_put_many(1);
	model_turn(0);
	disk_write_all();
	model_turn(0);
	assert_true(failed_sync_kills());
	assert_int_equal(model_said("journal_unsynced"), 1);
	assert_int_equal(model_said("unsynced_not_noted"), 1);
}

/* The page cache still has the bytes that the disk has not: they are written
 * anew. */
static void
test_sync_fails_and_restart(void **state)
{
	char err[1024];

	(void)state;
	lose_two();
	m.lost_off = m.journal.synced_off;
	m.does_disk_heal = true;
	assert_true(model_rise(err, sizeof(err)));
	assert_int_equal(m.lost_off, 0);
	assert_int_equal(model_said("journal_rewritten"), 1);
	assert_int_equal(m.journal.state.records, 5);
	assert_false(is_noted());
	/* that was all: the next start has nothing to mend */
	model_put_many(1);
	disk_drain();
	model_restart();
	assert_int_equal(model_said("journal_rewritten"), 0);
}

/* A disk that does not take the bytes then either is not believed, at any
 * start, until the operator has looked. */
static void
test_disk_lies_again(void **state)
{
	char err[1024], *note;

	(void)state;
	lose_two();
	m.lost_off = m.journal.synced_off;
	m.does_disk_heal = false;
	for (unsigned i = 0; i < 2; i++) {
		assert_false(model_rise(err, sizeof(err)));
		assert_int_equal(exit_status_of(errno), EXIT_DISK);
		assert_non_null(strstr(err, model_path(m.today)));
		assert_true(is_noted());
	}
	note = strstr(err, "remove ") + strlen("remove ");
	note[strcspn(note, " ")] = '\0';
	assert_int_equal(unlink(note), 0);
	assert_true(model_rise(err, sizeof(err)));
	assert_int_equal(model_said("journal_rewritten"), 0);
	m.lost_off = 0;
}

/* ---- the end of a day ---- */

/* With records and without, all of them waiting. */
static void
test_roll(void **state)
{
	for (unsigned i = SYNC_NONE; i <= SYNC_BATCH; i++) {
		model_start((enum journal_sync)i, AFTER_JOURNAL);
		model_put_many(3);
		assert_true(model_end_day(0));
		model_put_many(2);
		assert_true(model_end_day(3));
		assert_true(model_end_day(0));
		model_put_many(1);
		disk_drain();
		assert_int_equal(model_said("journal_rolled"), 3);
		assert_int_equal(m.journal.state.records, 1);
		assert_int_equal(model_stop(state), 0);
	}
}

/* As if enough had been written for pages to be given back. */
static void
pretend_much_written(void)
{
	m.journal.dropped_off = 0 - 2 * (uint64_t)MODEL_RECYCLE_BYTES;
}

/* The file stays open until all operations on it are done. */
static void
test_roll_waits(void **state)
{
	(void)state;
	model_start(SYNC_BATCH, AFTER_JOURNAL);
	model_put_many(1);
	assert_true(model_end_day(0));
	model_put_many(1);
	model_turn(0);
	pretend_much_written();
	disk_write_all();
	assert_int_equal(disk_op(OP_RECYCLE)->len, MODEL_RECYCLE_BYTES);
	model_turn(0);
	disk_complete(OP_SYNC, 0);
	model_turn(NS_PER_S);
	assert_int_equal(journal_due_ns(&m.journal), INT64_MAX);
	assert_int_equal(m.rolled, 0);
	/* it was only advice: its failure has no effect */
	disk_complete(OP_RECYCLE, -EIO);
	model_turn(0);
	assert_int_equal(m.rolled, 1);
	disk_drain();
	assert_int_equal(model_said("journal_failing"), 0);
}

/* Whether this process has the file open. */
static bool
is_open(int32_t date)
{
	struct stat wanted, found;

	if (stat(model_path(date), &wanted) != 0)
		return false;
	for (int fd = 0; fd < FDS; fd++)
		if (fstat(fd, &found) == 0 && found.st_ino == wanted.st_ino &&
		    found.st_dev == wanted.st_dev)
			return true;
	return false;
}

static void
turn_without_opening(void)
{
	struct rlimit before, limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit = (struct rlimit){ 0, before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	journal_run(&m.journal, m.today, m.local_ns, m.now_ns);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	model_turn(0);
}

/* Opened a minute before it is needed, not earlier, and not then. */
static void
test_next_file(void **state)
{
	(void)state;
	model_start(SYNC_NONE, AFTER_JOURNAL);
	m.local_ns = (m.today + 1) * NS_PER_DAY - MINUTE_NS - 1;
	model_turn(0);
	assert_int_equal(access(model_path(m.today + 1), F_OK), -1);
	m.local_ns++;
	model_turn(0);
	assert_true(is_open(m.today + 1));
	model_turn(MINUTE_NS);
	assert_int_equal(model_said("journal_next"), 1);
	assert_true(model_end_day(0));
	model_put_many(1);
	turn_without_opening();
	assert_int_equal(m.rolled, 1);
	assert_int_equal(model_said("journal_failing"), 0);
	/* the file of a day that does not come is closed */
	m.local_ns = (m.today + 1) * NS_PER_DAY - 1;
	model_turn(MINUTE_NS);
	assert_true(is_open(m.today + 1));
	assert_true(model_end_day(2));
	model_put_many(1);
	disk_drain();
	assert_false(is_open(m.today - 2));
}

/* Logged while there is time to mend it, once a minute; later records wait. */
static void
test_next_file_fails(void **state)
{
	(void)state;
	model_start(SYNC_NONE, AFTER_JOURNAL);
	assert_int_equal(mkdir(model_path(m.today + 1), 0700), 0);
	m.local_ns = (m.today + 1) * NS_PER_DAY - NS_PER_S;
	model_turn(0);
	model_turn(MINUTE_NS - 1);
	assert_int_equal(model_said("journal_next_failed"), 1);
	model_turn(1);
	assert_int_equal(model_said("journal_next_failed"), 2);
	assert_true(model_end_day(0));
	model_put_many(2);
	model_turn(0);
	model_turn(RETRY_NS);
	assert_int_equal(journal_due_ns(&m.journal), m.now_ns + RETRY_NS);
	assert_int_equal(model_said("journal_roll_failed"), 1);
	assert_int_equal(rmdir(model_path(m.today)), 0);
	disk_drain();
	assert_int_equal(model_said("journal_mended"), 1);
}

/* ---- a random walk through all of it ---- */

enum { WALK_STEPS = 4000, WALK_RUNS = 3 };

static bool
one_in(struct chance *c, unsigned n)
{
	return chance_below(c, n) == 0;
}

static void
walk_write(struct chance *c, bool is_full)
{
	static const int32_t errors[] = { -ENOSPC, -EIO, 0 };
	size_t some = chance_below(c, disk_asked() + 1);

	if (is_full || one_in(c, 10))
		disk_write(some, errors[chance_below(c, ARRAY_LEN(errors))]);
	else if (one_in(c, 10))
		disk_complete(OP_WRITE, one_in(c, 2) ? -EINTR : -EAGAIN);
	else if (some > 0 && one_in(c, 4))
		disk_write(some, (int32_t)some);
	else
		disk_write_all();
}

/* The disk's mood lasts for some time. */
struct mood {
	unsigned pace; /* in how many of ten steps it does something */
	bool is_full;
};

static void
walk_disk(struct chance *c, struct mood *mood)
{
	enum op_kind kind;

	if (one_in(c, 200))
		*mood = (struct mood){ (unsigned)chance_below(c, 11),
				       one_in(c, 4) };
	if (m.ops_cnt == 0 || chance_below(c, 10) >= mood->pace)
		return;
	kind = m.ops[chance_below(c, m.ops_cnt)].kind;
	if (kind == OP_WRITE)
		walk_write(c, mood->is_full);
	else
		disk_complete(kind,
			      kind == OP_RECYCLE && one_in(c, 2) ? -EIO : 0);
}

static void
walk_step(struct chance *c, struct mood *mood)
{
	if (!one_in(c, 3))
		(void)model_put(chance_below(c, one_in(c, 20) ? 2000 : 200));
	if (one_in(c, 150))
		m.local_ns = (m.today + 1) * NS_PER_DAY - NS_PER_S;
	if (one_in(c, 150))
		(void)model_end_day(one_in(c, 4) ? 2 : 0);
	if (one_in(c, 1000))
		(void)unlink(m.journal.state.path);
	if (one_in(c, 200))
		pretend_much_written();
	walk_disk(c, mood);
	model_turn((int64_t)chance_below(c, 20 * NS_PER_MS));
}

static void
test_walk(void **state)
{
	const unsigned *how = *state;
	struct chance chance = chance_start("walk");

	model_start((enum journal_sync)how[0], (enum publish_after)how[1]);
	for (unsigned run = 0; run < WALK_RUNS; run++) {
		struct mood mood = { .pace = 5 };

		for (unsigned i = 0; i < WALK_STEPS; i++)
			walk_step(&chance, &mood);
		disk_drain();
		model_restart();
	}
}

/* ---- all ---- */

int
main(void)
{
	static unsigned how[][2] = {
		{ SYNC_NONE, AFTER_RING },     { SYNC_NONE, AFTER_JOURNAL },
		{ SYNC_INTERVAL, AFTER_RING }, { SYNC_INTERVAL, AFTER_JOURNAL },
		{ SYNC_INTERVAL, AFTER_SYNC }, { SYNC_BATCH, AFTER_RING },
		{ SYNC_BATCH, AFTER_JOURNAL }, { SYNC_BATCH, AFTER_SYNC },
	};
	const struct CMUnitTest tests[] = {
#define TEST(test) cmocka_unit_test_teardown(test, model_stop)
		TEST(test_short_writes),    TEST(test_interrupted),
		TEST(test_disk_full),	    TEST(test_disk_full_for_long),
		TEST(test_disk_hangs),	    TEST(test_file_deleted),
		TEST(test_job_hangs),	    TEST(test_cut_hangs),
		TEST(test_copy_while_writing), TEST(test_copy_takes_the_place),
		TEST(test_visible),	    TEST(test_sync_batch),
		TEST(test_sync_interval),   TEST(test_sync_interval_passes),
		TEST(test_sync_interrupted), TEST(test_sync_fails),
		TEST(test_sync_fails_without_a_name),
		TEST(test_sync_fails_and_no_note),
		TEST(test_sync_fails_and_restart), TEST(test_disk_lies_again),
		TEST(test_roll),	    TEST(test_roll_waits),
		TEST(test_next_file),	    TEST(test_next_file_fails),
#define WALK(what, i) \
	{ "test_walk: " what, test_walk, NULL, model_stop, how[i] }
		WALK("none, ring", 0),	    WALK("none, journal", 1),
		WALK("interval, ring", 2),  WALK("interval, journal", 3),
		WALK("interval, sync", 4),  WALK("batch, ring", 5),
		WALK("batch, journal", 6),  WALK("batch, sync", 7),
	};

	return cmocka_run_group_tests(tests, model_open, model_close);
}
