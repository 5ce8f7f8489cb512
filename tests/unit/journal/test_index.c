#include "config.h"

#include "journal/index.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../frames.h"
#include "base/util.h"

enum {
	GAP_BYTES = 256 << 10,
	RECENT = JOURNAL_INDEX_ENTRIES / 2, /* are never thinned out */
	OLD_GAPS = RECENT / 4,
	RECORD_MAX = 100000,
};

static struct journal_index x;

/* The record that was added last, and how. */
static struct journal_index_entry last;
static uint64_t gap_max; /* between two records that got an entry each */

static int
start(void **state)
{
	(void)state;
	memset(&x, 0, sizeof(x));
	last = (struct journal_index_entry){ 0 };
	gap_max = 0;
	return 0;
}

/* The next record: a number of bytes after the last one.  Positions are those
 * of frames, which are longer. */
static void
add(uint64_t bytes, int64_t ns)
{
	last.off += bytes;
	last.pos += bytes + 30;
	last.record++;
	last.time_ns += ns;
	journal_index_add(&x, last);
	if (x.entries[x.cnt - 1].off == last.off && x.cnt > 1)
		gap_max = max_u64(gap_max, last.off - x.entries[x.cnt - 2].off);
}

static void
test_empty(void **state)
{
	(void)state;
	assert_null(journal_index_find_pos(&x, 0));
	assert_null(journal_index_find_record(&x, UINT64_MAX));
}

static void
test_gaps_are_exact(void **state)
{
	(void)state;
	add(8, 5);
	assert_int_equal(x.cnt, 1);
	add(GAP_BYTES - 1, NS_PER_S - 1);
	assert_int_equal(x.cnt, 1);
	add(1, 0);
	assert_int_equal(x.cnt, 2);
	add(1, NS_PER_S - 1);
	assert_int_equal(x.cnt, 2);
	add(1, 1);
	assert_int_equal(x.cnt, 3);
	assert_memory_equal(&x.entries[2], &last, sizeof(last));
	assert_ptr_equal(journal_index_find_record(&x, last.record - 1),
			 &x.entries[1]);
	assert_ptr_equal(journal_index_find_record(&x, last.record),
			 &x.entries[2]);
	assert_ptr_equal(journal_index_find_pos(&x, last.pos - 1),
			 &x.entries[1]);
	assert_ptr_equal(journal_index_find_pos(&x, last.pos), &x.entries[2]);
	assert_null(journal_index_find_record(&x, 0));
}

/* Every member of an entry is greater than in the entry before; the first entry
 * is the first record. */
static void
check_order(void)
{
	assert_int_equal(x.entries[0].record, 1);
	for (size_t i = 1; i < x.cnt; i++) {
		const struct journal_index_entry *e = &x.entries[i];

		assert_true(e->off > e[-1].off && e->pos > e[-1].pos);
		assert_true(e->record > e[-1].record);
		assert_true(e->time_ns >= e[-1].time_ns);
	}
}

/* Recent records are close to an entry, the other entries are spread evenly. */
static void
check_gaps(void)
{
	size_t old_cnt = x.cnt > RECENT ? x.cnt - RECENT : 0;
	uint64_t old_gap =
		(x.entries[old_cnt].off - x.entries[0].off) / OLD_GAPS;

	for (size_t i = 1; i < x.cnt; i++) {
		uint64_t gap = x.entries[i].off - x.entries[i - 1].off;

		assert_true(gap <= (i < old_cnt ? max_u64(old_gap, gap_max)
						: gap_max) ||
			    i == old_cnt);
	}
}

static void
fill(uint64_t bytes_max, int64_t ns_max, unsigned records)
{
	struct chance chance = chance_start("journal index");
	size_t before;

	for (unsigned i = 0; i < records; i++) {
		before = x.cnt;
		add(chance_between(&chance, 30, bytes_max),
		    (int64_t)chance_below(&chance, (uint64_t)ns_max));
		assert_true(x.cnt <= JOURNAL_INDEX_ENTRIES);
		if (x.cnt >= before)
			continue;
		/* Thinned out: there is room for long. */
		assert_int_equal(before, JOURNAL_INDEX_ENTRIES);
		assert_true(x.cnt <= RECENT + 2 * OLD_GAPS + 3);
		check_order();
		check_gaps();
	}
	check_order();
	check_gaps();
}

/* Tens of gigabytes in a day. */
static void
test_many_bytes(void **state)
{
	(void)state;
	fill(2 * RECORD_MAX, 1000, 500000);
	assert_true(last.off > (UINT64_C(40) << 30));
	/* the oldest half is even: none of its gaps is much above the mean */
	assert_true(x.entries[RECENT].off - x.entries[0].off >
		    (UINT64_C(10) << 30));
}

/* A record each second or two for a week. */
static void
test_many_seconds(void **state)
{
	(void)state;
	fill(200, 2 * NS_PER_S, 600000);
}

/* ---- lookups, against a search from one end to the other ---- */

static const struct journal_index_entry *
find_slowly(uint64_t pos, uint64_t record)
{
	const struct journal_index_entry *found = NULL;

	for (size_t i = 0; i < x.cnt; i++)
		if (x.entries[i].pos <= pos && x.entries[i].record <= record)
			found = &x.entries[i];
	return found;
}

static void
test_lookups(void **state)
{
	struct chance chance = chance_start("journal index lookups");

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		uint64_t pos, record;

		add(chance_between(&chance, 30, RECORD_MAX),
		    (int64_t)chance_below(&chance, NS_PER_S / 4));
		if (i % 64 != 0)
			continue;
		pos = chance_below(&chance, last.pos + 100);
		record = chance_below(&chance, last.record + 2);
		assert_ptr_equal(journal_index_find_pos(&x, pos),
				 find_slowly(pos, UINT64_MAX));
		assert_ptr_equal(journal_index_find_record(&x, record),
				 find_slowly(UINT64_MAX, record));
	}
	assert_true(last.record > 2 * JOURNAL_INDEX_ENTRIES);
}

/* Positions of the stream may wrap, and begin anywhere. */
static void
test_positions_wrap(void **state)
{
	(void)state;
	last.pos = UINT64_MAX - 5 * GAP_BYTES;
	for (unsigned i = 0; i < 10; i++) {
		add(GAP_BYTES, 0);
		assert_ptr_equal(journal_index_find_pos(&x, last.pos),
				 &x.entries[i]);
		assert_ptr_equal(journal_index_find_pos(&x, last.pos + 1),
				 &x.entries[i]);
	}
	assert_ptr_equal(journal_index_find_pos(&x, x.entries[2].pos - 1),
			 &x.entries[1]);
	assert_null(journal_index_find_pos(&x, x.entries[0].pos - 1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_empty, start),
		cmocka_unit_test_setup(test_gaps_are_exact, start),
		cmocka_unit_test_setup(test_many_bytes, start),
		cmocka_unit_test_setup(test_many_seconds, start),
		cmocka_unit_test_setup(test_lookups, start),
		cmocka_unit_test_setup(test_positions_wrap, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
