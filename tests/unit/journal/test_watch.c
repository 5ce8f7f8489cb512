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

/* A file that was cut is noticed with the batch after: nothing more is written
 * to it, and it is looked at thoroughly, without waiting for the clock. */
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
	model_turn(0);
	disk_write_all();
	/* The journal does not wait for a look that takes its time. */
	model_put_many(1);
	model_turn(0);
	disk_write_all();
	assert_int_equal(m.written, 4);
	disk_look();
	model_turn(0);
	assert_non_null(m.look_at); /* there was more since: another one */
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

/* The same for a file whose name is another's by now. */
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

/* Under load a cut could hide in what is written meanwhile: after 100 ms the
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
		/* What was written when the look began is not all that is
		 * written when it ends. */
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

/* A stop looks at the file when all else is done, once; also where the look
 * before had found something wrong, that may be mended since. */
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
		TEST(test_one_look_at_a_stop),
	};

	return cmocka_run_group_tests(tests, model_open, model_close);
}
