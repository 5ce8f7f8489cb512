#include "config.h"

#include "ring/index.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../frames.h"
#include "base/util.h"

enum {
	RING_BYTES = 64 << 10,
	GAP_BYTES = RING_BYTES / 16,
	MESSAGES_MAX = 1 << 16,
};

#define MS NS_PER_MS

/* ---- the model: every message, and a search from one end to the other ---- */

static struct index_entry messages[MESSAGES_MAX];
static size_t messages_cnt, oldest; /* of the messages still in the ring */
static uint64_t tail; /* never thinned out: earlier bytes may be gone */
static struct index x;
static struct index_entry *entries;

static int
set_up(void **state)
{
	(void)state;
	entries = calloc(index_capacity(RING_BYTES, 0), sizeof(*entries));
	return entries == NULL ? -1 : 0;
}

static int
tear_down(void **state)
{
	(void)state;
	free(entries);
	return 0;
}

static int
start(void **state)
{
	(void)state;
	index_init(&x, entries, RING_BYTES, 0);
	messages_cnt = oldest = 0;
	tail = 0;
	return 0;
}

/* As in a stream that has every second byte of the main one. */
static uint64_t
main_pos_of(uint64_t pos)
{
	return 2 * pos;
}

static void
add(uint64_t pos, uint64_t record, int64_t time_ns)
{
	struct index_entry e = { pos, record, time_ns, main_pos_of(pos),
				 record };

	assert_true(messages_cnt < MESSAGES_MAX);
	messages[messages_cnt++] = e;
	index_add(&x, e, tail);
	assert_true(x.cnt <= x.capacity);
}

static bool
is_at_or_before(uint64_t a, uint64_t b)
{
	return (int64_t)(b - a) >= 0;
}

/* An entry of the index is one of the messages, all values of it. */
static void
check_is_message(const struct index_entry *e)
{
	for (size_t i = oldest; i < messages_cnt; i++) {
		if (messages[i].pos != e->pos)
			continue;
		assert_int_equal(messages[i].record, e->record);
		assert_int_equal(messages[i].time_ns, e->time_ns);
		assert_int_equal(messages[i].main_pos, e->main_pos);
		return;
	}
	fail_msg("an entry at %llu, where no message starts",
		 (unsigned long long)e->pos);
}

/* The expected answer, by a look at each entry. */
static const struct index_entry *
find_slowly(uint64_t pos)
{
	const struct index_entry *found = NULL;

	for (size_t i = 0; i < x.cnt; i++) {
		const struct index_entry *e =
			&x.entries[(x.first_idx + i) % x.capacity];

		if (is_at_or_before(e->pos, pos))
			found = e;
	}
	return found;
}

static const struct index_entry *
find_next_slowly(uint64_t pos)
{
	for (size_t i = 0; i < x.cnt; i++) {
		const struct index_entry *e =
			&x.entries[(x.first_idx + i) % x.capacity];

		if (is_at_or_before(pos, e->pos))
			return e;
	}
	return NULL;
}

static const struct index_entry *
find_later_slowly(uint64_t main_pos)
{
	for (size_t i = 0; i < x.cnt; i++) {
		const struct index_entry *e =
			&x.entries[(x.first_idx + i) % x.capacity];

		if (is_at_or_before(main_pos, e->main_pos))
			return e;
	}
	return NULL;
}

static const struct index_entry *
entry(size_t i)
{
	assert_true(i < x.cnt);
	return &x.entries[(x.first_idx + i) % x.capacity];
}

/* ---- when an entry is made ---- */

static void
test_empty(void **state)
{
	(void)state;
	assert_null(index_find(&x, 0));
	assert_null(index_find(&x, UINT64_MAX));
	assert_null(index_find_next(&x, 0));
	assert_null(index_find_main(&x, 0));
	index_trim(&x, 1000);
	assert_int_equal(x.cnt, 0);
}

/* The first message always gets an entry: there is none before it to walk
 * from. */
static void
test_first_message(void **state)
{
	(void)state;
	add(500, 7, 3);
	assert_int_equal(x.cnt, 1);
	assert_null(index_find(&x, 499));
	assert_int_equal(index_find(&x, 500)->record, 7);
	assert_int_equal(index_find(&x, 501)->time_ns, 3);
	assert_int_equal(index_find_next(&x, 499)->pos, 500);
	assert_int_equal(index_find_next(&x, 500)->pos, 500);
	assert_null(index_find_next(&x, 501));
	assert_int_equal(index_find_main(&x, 999)->pos, 500);
	assert_int_equal(index_find_main(&x, 1000)->pos, 500);
	assert_null(index_find_main(&x, 1001));
}

static void
test_one_entry_per_gap(void **state)
{
	(void)state;
	for (uint64_t pos = 0; pos < RING_BYTES; pos += 64)
		add(pos, pos / 64, 1);
	assert_int_equal(x.cnt, RING_BYTES / GAP_BYTES);
	for (size_t i = 0; i < x.cnt; i++)
		assert_int_equal(entry(i)->pos, i * GAP_BYTES);
}

/* The edge: one byte below the gap is no entry, the gap is. */
static void
test_gap_is_exact(void **state)
{
	(void)state;
	add(0, 0, 1);
	add(GAP_BYTES - 1, 1, 1);
	assert_int_equal(x.cnt, 1);
	add(GAP_BYTES, 2, 1);
	assert_int_equal(x.cnt, 2);
}

static void
test_one_entry_per_10_ms(void **state)
{
	(void)state;
	for (int64_t ms = 0; ms < 100; ms++)
		add((uint64_t)ms, (uint64_t)ms, ms * MS);
	assert_int_equal(x.cnt, 10);
	for (size_t i = 0; i < 10; i++)
		assert_int_equal(entry(i)->time_ns, (int64_t)i * 10 * MS);
	add(200, 100, 100 * MS - 1);
	assert_int_equal(x.cnt, 10);
	add(201, 101, 100 * MS);
	assert_int_equal(x.cnt, 11);
}

/* A ring of 1 MiB and more has entries each 64 KiB, not fewer. */
static void
test_gap_of_large_rings(void **state)
{
	size_t bytes = 64 << 20;
	struct index_entry *many =
		calloc(index_capacity(bytes, 0), sizeof(*many));
	struct index big;

	(void)state;
	assert_non_null(many);
	index_init(&big, many, bytes, 0);
	for (uint64_t pos = 0; pos < bytes; pos += 4096)
		index_add(&big, (struct index_entry){ .pos = pos }, 0);
	assert_int_equal(big.cnt, bytes / (64 << 10));
	free(many);
}

/* ---- thinning ---- */

/* The longest walk from an entry to a position. */
static void
check_gaps(uint64_t message_max)
{
	for (size_t i = 1; i < x.cnt; i++)
		assert_true(entry(i)->pos - entry(i - 1)->pos <=
			    GAP_BYTES + message_max);
}

/* Rare messages over hours: the array never overflows; entries get coarser in
 * time, never in bytes, and the newer half of the array and the oldest stay: a
 * reader that has just fallen behind is not told an old age. */
static void
test_trickle(void **state)
{
	uint64_t newest = x.capacity / 2 - 2;

	(void)state;
	for (uint64_t i = 0; i < 60000; i++) {
		add(i, i, (int64_t)i * 10 * MS);
		assert_int_equal(entry(0)->pos, 0);
		for (uint64_t n = 0; n <= min_u64(i, newest); n++)
			assert_int_equal(entry(x.cnt - 1 - n)->pos, i - n);
		if (i % 64 == 0)
			check_gaps(1);
	}
}

/* Thinning frees a quarter of the array, else it would be needed at each
 * message. */
static void
test_thinning_is_rare(void **state)
{
	size_t last = 0, thinned = 0;

	(void)state;
	for (uint64_t i = 0; i < 60000; i++) {
		add(i, i, (int64_t)i * 10 * MS);
		if (x.cnt <= last) {
			thinned++;
			assert_true(x.cnt <= 3 * x.capacity / 4 + 1);
		}
		last = x.cnt;
	}
	assert_true(thinned > 10 && thinned < 60000 / 32);
}

/* The entry at the tail stays, through any number of thinnings: the walk to
 * the slowest reader may start nowhere before it. */
static void
test_the_tail_is_not_thinned_out(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 60000; i++) {
		add(i, i, (int64_t)i * 10 * MS);
		/* held for a while, then let go for the newest */
		if (i - tail == 9000)
			tail = i;
		assert_int_equal(index_find(&x, tail)->pos, tail);
		assert_int_equal(entry(0)->pos, 0);
	}
	check_gaps(1);
}

/* ---- find and trim ---- */

static void
test_trim(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 10; i++)
		add(i * GAP_BYTES, i, 1);
	index_trim(&x, 3 * GAP_BYTES);
	assert_int_equal(entry(0)->pos, 3 * GAP_BYTES);
	assert_null(index_find(&x, 3 * GAP_BYTES - 1));
	index_trim(&x, 3 * GAP_BYTES + 1);
	assert_int_equal(entry(0)->pos, 4 * GAP_BYTES);
	index_trim(&x, 100 * GAP_BYTES);
	assert_int_equal(x.cnt, 0);
	/* and as after index_init */
	add(100 * GAP_BYTES + 5, 10, 2);
	assert_int_equal(x.cnt, 1);
	assert_int_equal(index_find(&x, 100 * GAP_BYTES + 5)->record, 10);
}

/*
 * As a stream does it: entries are kept while their bytes are; the tail is one
 * of them, or the head, and leaves room for len bytes.
 */
static void
follow(struct chance *chance, uint64_t head_pos, uint64_t len)
{
	const struct index_entry *e;
	uint64_t keep;

	index_trim(&x, head_pos - RING_BYTES);
	while (oldest < messages_cnt &&
	       !is_at_or_before(head_pos - RING_BYTES, messages[oldest].pos))
		oldest++;
	if (head_pos + len - tail <= RING_BYTES &&
	    chance_below(chance, 200) != 0)
		return;
	keep = chance_below(chance,
			    min_u64(RING_BYTES - len, head_pos - tail) + 1);
	e = index_find(&x, head_pos - keep);
	assert_non_null(e);
	tail = e->pos;
	/* the entry before may be too far back to leave room */
	if (head_pos + len - tail > RING_BYTES) {
		index_trim(&x, head_pos);
		oldest = messages_cnt;
		tail = head_pos;
	}
}

static void
check_tail(uint64_t head_pos)
{
	if (tail != head_pos)
		assert_int_equal(index_find(&x, tail)->pos, tail);
}

static void
check_finds(struct chance *chance, uint64_t head_pos)
{
	uint64_t first, held;

	if (x.cnt == 0)
		return;
	first = entry(0)->pos;
	held = head_pos - first;
	assert_null(index_find(&x, first - 1));
	assert_ptr_equal(index_find_main(&x, main_pos_of(first) - 1), entry(0));
	assert_null(index_find_main(&x, main_pos_of(head_pos)));
	for (unsigned i = 0; i < 4; i++) {
		uint64_t pos = first + chance_below(chance, held + 1);
		const struct index_entry *found = index_find(&x, pos);

		assert_ptr_equal(found, find_slowly(pos));
		assert_non_null(found);
		assert_ptr_equal(index_find_next(&x, pos),
				 find_next_slowly(pos));
		assert_ptr_equal(index_find_main(&x, main_pos_of(pos)),
				 find_later_slowly(main_pos_of(pos)));
		assert_ptr_equal(index_find_main(&x, main_pos_of(pos) + 1),
				 find_later_slowly(main_pos_of(pos) + 1));
		check_is_message(found);
		/* the walk from there is short */
		assert_true(pos - found->pos < GAP_BYTES + 2 * 3000);
	}
}

static void
walk(struct chance *chance, uint64_t pos)
{
	int64_t now = 1;
	uint64_t record = 0, message_max = 3000;
	unsigned mood = 0;

	start(NULL);
	tail = pos;
	for (unsigned i = 0; i < MESSAGES_MAX; i++) {
		uint64_t len = chance_between(chance, 27, message_max);

		/* trickles of small messages, bursts of long ones */
		if (chance_below(chance, 300) == 0)
			mood = (unsigned)chance_below(chance, 3);
		if (mood == 0) {
			len = chance_between(chance, 27, 60);
			now += (int64_t)chance_below(chance, 40) * MS;
		} else if (mood == 1) {
			now += (int64_t)chance_below(chance, 1000);
		}
		add(pos, record++, now);
		pos += len;
		follow(chance, pos, message_max);
		check_tail(pos);
		if (i % 16 == 0) {
			check_gaps(message_max);
			check_finds(chance, pos);
		}
	}
}

static void
test_random_walk(void **state)
{
	struct chance chance = chance_start("index walk");

	(void)state;
	walk(&chance, 0);
	walk(&chance, UINT64_MAX - (1 << 20));
	walk(&chance, (UINT64_C(1) << 63) - (1 << 20));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_empty, start),
		cmocka_unit_test_setup(test_first_message, start),
		cmocka_unit_test_setup(test_one_entry_per_gap, start),
		cmocka_unit_test_setup(test_gap_is_exact, start),
		cmocka_unit_test_setup(test_one_entry_per_10_ms, start),
		cmocka_unit_test_setup(test_gap_of_large_rings, start),
		cmocka_unit_test_setup(test_trickle, start),
		cmocka_unit_test_setup(test_thinning_is_rare, start),
		cmocka_unit_test_setup(test_the_tail_is_not_thinned_out, start),
		cmocka_unit_test_setup(test_trim, start),
		cmocka_unit_test_setup(test_random_walk, start),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
