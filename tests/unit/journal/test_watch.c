/*
 * The journal's look at its file with each batch (journal/watch.c): on the disk
 * of journal_model.h, which looks when the test says so.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "../journal_model.h"

/* A cut is noticed with the next batch: nothing more is written to the file,
 * and it is looked at thoroughly, without waiting for the clock. */
static void
test_cut(void **state)
{
	uint64_t len;

	(void)state;
	model_start(SYNC_NONE, AFTER_RING);
	model_put_many(2);
	model_turn(0);
	disk_write_all();
	model_turn(0);
	assert_int_equal(m.journal.mend.seen_off, m.journal.written.off);
	m.are_looks_held = m.are_jobs_held = true;
	model_put_many(1);
	model_turn(NS_PER_MS);
	disk_write_all();
	/* The journal does not wait for a slow look. */
	model_put_many(1);
	model_turn(0);
	disk_write_all();
	assert_int_equal(m.written, 4);
	disk_look();
	model_turn(NS_PER_MS);
	assert_non_null(m.look_at); /* more was written since: another look */
	assert_int_equal(m.jobs_cnt, 0);
	len = m.journal.written.off;
	assert_int_equal(ftruncate(m.journal.state.fd, (off_t)len - 3), 0);
	disk_look();
	model_put_many(1);
	journal_run(&m.journal, m.today, m.local_ns, m.now_ns);
	assert_int_equal(disk_asked(), 0);
	assert_int_equal(m.jobs_cnt, 1);
	assert_int_equal(m.journal.mend.step, MEND_LAST);
	disk_do_job();
	disk_do_job();
	assert_int_equal(model_said("journal_cut"), 1);
	assert_false(m.journal.history.is_doubted);
}

/* The same if another file has the name by now. */
static void
test_moved(void **state)
{
	char moved[JOURNAL_PATH_MAX + 8];

	(void)state;
	model_start(SYNC_NONE, AFTER_RING);
	model_turn(0);
	m.are_looks_held = m.are_jobs_held = true;
	model_put_many(1);
	model_turn(0);
	disk_write_all();
	model_turn(NS_PER_MS);
	(void)snprintf(moved, sizeof(moved), "%s.moved",
		       m.journal.state.path);
	assert_int_equal(rename(m.journal.state.path, moved), 0);
	disk_look();
	model_turn(0);
	assert_int_equal(m.jobs_cnt, 1);
	disk_do_job();
	disk_do_job();
	assert_int_equal(model_said("journal_brought_back"), 1);
	assert_int_equal(unlink(moved), 0);
}

/* Under load, bytes written meanwhile could make up for a cut: after 100 ms the
 * next write waits for the look, however long that takes. */
static void
test_waited_for(void **state)
{
	unsigned writes = 0;

	(void)state;
	model_start(SYNC_NONE, AFTER_RING);
	model_turn(0);
	m.are_looks_held = true;
	for (;;) {
		model_put_many(1);
		model_turn(10 * NS_PER_MS);
		if (disk_asked() == 0)
			break;
		/* When the look ends, more is written than when it
		 * began. */
		if (m.look_at != NULL)
			disk_look();
		disk_write_all();
		assert_true(writes++ < 20);
	}
	assert_in_range(writes, 10, 15);
	assert_int_equal(journal_due_ns(&m.journal), INT64_MAX);
	disk_look();
	model_turn(0);
	assert_int_not_equal(disk_asked(), 0);
	m.are_looks_held = false;
	disk_drain();
}

/* Batches that follow one another closely share a look; the last batch gets one
 * too, by the timer. */
static void
test_shared(void **state)
{
	unsigned looks = 0;

	(void)state;
	model_start(SYNC_NONE, AFTER_RING);
	model_turn(NS_PER_S);
	m.are_looks_held = true;
	for (unsigned i = 0; i < 10; i++) {
		model_put_many(1);
		model_turn(NS_PER_MS / 10);
		disk_write_all();
		model_turn(0);
		if (m.look_at != NULL) {
			looks++;
			disk_look();
		}
	}
	assert_int_equal(looks, 1);
	assert_int_not_equal(m.journal.mend.seen_off, m.journal.written.off);
	m.are_looks_held = false;
	model_turn(journal_due_ns(&m.journal) - m.now_ns);
	assert_int_equal(m.journal.mend.seen_off, m.journal.written.off);
	assert_int_equal(journal_due_ns(&m.journal), INT64_MAX);
}

/* Cuts during the mending make it begin once more, and at last fail: then
 * nothing is written after the cut until it is mended, since the records in
 * memory are needed for that. */
static void
test_cut_while_mended(void **state)
{
	unsigned keeps = 0;

	(void)state;
	model_start(SYNC_NONE, AFTER_RING);
	model_put_many(100);
	model_turn(0);
	disk_write_all();
	model_turn(0);
	m.are_jobs_held = true;
	model_put_many(1);
	m.journal.history.is_doubted = true;
	assert_int_equal(ftruncate(m.journal.state.fd,
				   (off_t)m.journal.written.off - 1),
			 0);
	journal_run(&m.journal, m.today, m.local_ns, m.now_ns);
	while (m.jobs_cnt > 0) {
		if (m.journal.mend.what == MEND_KEEP)
			assert_int_equal(ftruncate(m.journal.state.fd,
						   (off_t)m.journal.written.off
							   - 2 - ++keeps),
					 0);
		disk_do_job();
		journal_run(&m.journal, m.today, m.local_ns, m.now_ns);
		assert_int_equal(disk_asked(), 0);
	}
	assert_in_range(keeps, 2, 50);
	assert_int_equal(model_said("journal_failing"), 1);
	assert_int_equal(model_said("journal_cut"), 0);
	m.now_ns = journal_due_ns(&m.journal);
	assert_in_range(m.now_ns, 1, INT64_MAX - 1);
	for (unsigned i = 0; i < 5; i++) {
		journal_run(&m.journal, m.today, m.local_ns, m.now_ns);
		assert_int_equal(disk_asked(), 0);
		if (m.jobs_cnt > 0)
			disk_do_job();
		if (model_said("journal_cut") > 0)
			break;
	}
	assert_int_equal(model_said("journal_cut"), 1);
	/* A reader sees the next cut before anything is written. */
	assert_int_not_equal(m.journal.history.tail.len, 0);
	/* The last record that was cut is written once more. */
	assert_int_equal(m.journal.state.stream_records, 99);
	m.written = m.synced = 99;
	m.are_jobs_held = false;
	disk_drain();
	assert_int_equal(m.written, 101);
	assert_int_equal(model_said("journal_mended"), 1);
}

/* A stop looks at the file when all else is done, once; also if the last look
 * found something wrong, which may be mended since. */
static void
test_one_look_at_a_stop(void **state)
{
	unsigned looks = 0;

	(void)state;
	model_start(SYNC_NONE, AFTER_RING);
	model_put_many(2);
	model_turn(0);
	disk_drain();
	for (unsigned has_failed = 0; has_failed < 2; has_failed++) {
		m.are_jobs_held = true;
		m.now_ns += 2 * NS_PER_S;
		m.journal.mend.has_failed = has_failed != 0;
		m.journal.mend.next_ns = m.now_ns + has_failed * NS_PER_S;
		journal_stop(&m.journal);
		model_turn(0);
		while (!journal_may_close(&m.journal, m.now_ns)) {
			assert_int_equal(m.jobs_cnt, 1);
			assert_true(looks++ < 10);
			disk_do_job();
			model_turn(0);
		}
		assert_int_equal(m.jobs_cnt, 0);
		assert_int_equal(looks, has_failed + 1);
		m.journal.is_stopping = false;
		m.journal.mend.is_asked = false;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(test) cmocka_unit_test_teardown(test, model_stop)
		TEST(test_cut),
		TEST(test_moved),
		TEST(test_waited_for),
		TEST(test_shared),
		TEST(test_cut_while_mended),
		TEST(test_one_look_at_a_stop),
	};

	return cmocka_run_group_tests(tests, model_open, model_close);
}
