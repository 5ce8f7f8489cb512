#include "config.h"

#include "ring/streams.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../frames.h"
#include "base/util.h"

enum {
	RING_BYTES = 16384,
	FILTERED_BYTES = 8192,
	FILTERED_MAX = 3,
	FRAME_MAX = 2048,
	QUOTE = 0,
	REF,
	TRADE,
	MARK,
};

/* Starting positions of streams: no code may depend on small positions. */
static const uint64_t starts[] = {
	0,
	(UINT64_C(1) << 32) - 5000,
	(UINT64_C(1) << 63) - 5000,
	UINT64_MAX - 5000,
};

static struct streams all;
static uint64_t number; /* of the next frame */
static int64_t now;

static void
start_at(uint64_t pos)
{
	streams_open_at(&all, &schema, RING_BYTES, FILTERED_MAX, FILTERED_BYTES,
			pos);
	number = 0;
	now = 1;
}

static int
start(void **state)
{
	(void)state;
	start_at(0);
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	streams_close(&all);
	return 0;
}

/* NULL: a mark */
static const struct schema_table *
table_of(unsigned table)
{
	return table == MARK ? NULL : &schema.tables[table];
}

/* Whether there was room for it. */
static bool
put(unsigned table, size_t len)
{
	if (!frame_put(&all.main, table_of(table), number, len, now))
		return false;
	number++;
	return true;
}

static struct selection
select_tables(const char *which)
{
	struct selection s = { 0 };

	for (; *which != '\0'; which++)
		selection_add(&s, *which == 'q'	  ? QUOTE
				  : *which == 'r' ? REF
						  : TRADE);
	return s;
}

static struct stream *
find(const char *which)
{
	struct selection s = select_tables(which);

	return streams_find(&all, &s, 0);
}

/* ---- open and close ---- */

static void
test_open(void **state)
{
	struct selection everything = selection_all(&schema);

	(void)state;
	assert_true(all.main.is_main);
	assert_int_equal(all.main.id, 0);
	assert_int_equal(all.main.ring.size, RING_BYTES);
	assert_ptr_equal(streams_find(&all, &everything, 0), &all.main);
	assert_int_equal(all.filtered_cnt, FILTERED_MAX);
	for (unsigned i = 0; i < FILTERED_MAX; i++) {
		assert_false(all.filtered[i].is_main);
		assert_int_equal(all.filtered[i].id, i + 1);
		assert_int_equal(all.filtered[i].ring.size, FILTERED_BYTES);
	}
	assert_true(streams_is_level(&all, &all.main));
}

static void
test_close_half_opened(void **state)
{
	struct streams none = { 0 };

	(void)state;
	streams_close(&none);
	/* the filtered rings do not fit the address space */
	struct streams_options options = {
		.main_bytes = RING_BYTES,
		.filtered_max = 2,
		.filtered_bytes = (size_t)1 << 47,
	};

	assert_int_equal(streams_open(&none, &schema, &options), -ENOMEM);
	streams_close(&none);
	assert_null(none.main.ring.base);
}

static void
test_no_filtered_streams(void **state)
{
	struct selection s = select_tables("t");
	struct streams few;

	(void)state;
	assert_int_equal(streams_open(&few, &schema,
				      &(struct streams_options){
					      .main_bytes = RING_BYTES,
					      .symbols_max = 1,
					      .sets_max = 1 }),
			 0);
	assert_null(streams_find(&few, &s, 0));
	streams_close(&few);
}

/* ---- frames ---- */

static void
test_frames(void **state)
{
	uint8_t frame[FRAME_MAX];

	(void)state;
	for (unsigned i = 0; i < schema.tables_cnt; i++) {
		frame_make(frame, &schema.tables[i], i, 500 + i);
		assert_int_equal(stream_frame_len(frame), 500 + i);
		assert_true(stream_frame_is_record(frame));
	}
	frame_make(frame, NULL, 1, 0);
	assert_int_equal(stream_frame_len(frame), FRAME_MARK_BYTES);
	assert_false(stream_frame_is_record(frame));
}

/* ---- room ---- */

/* Without readers there is always room, for the whole ring at once. */
static void
test_room_without_readers(void **state)
{
	(void)state;
	assert_true(stream_has_room(&all.main, RING_BYTES));
	for (unsigned i = 0; i < 1000; i++)
		assert_true(put(TRADE, 1000));
	assert_true(stream_has_room(&all.main, RING_BYTES));
	assert_false(stream_has_room(&all.main, RING_BYTES + 1));
}

/* One reader that stands still: the ring fills to its last byte and then
 * refuses, until the reader moves. */
static void
test_room_with_a_reader(void **state)
{
	struct cursor c = { 0 };

	(void)state;
	cursor_attach(&c, &all.main, all.main.head_pos);
	for (unsigned i = 0; i < RING_BYTES / 1024; i++)
		assert_true(put(TRADE, 1024));
	assert_int_equal(cursor_lag(&c), RING_BYTES);
	assert_false(put(TRADE, FRAME_RECORD_MIN));
	assert_int_equal(all.main.wanted_bytes, FRAME_RECORD_MIN);
	assert_true(stream_is_in_the_way(&all.main, c.pos));
	assert_false(stream_is_in_the_way(&all.main, all.main.head_pos));
	c.pos += 1024;
	assert_false(stream_is_in_the_way(&all.main, c.pos));
	assert_true(put(TRADE, 1024));
	assert_int_equal(all.main.wanted_bytes, 0);
	assert_false(stream_is_in_the_way(&all.main, c.pos));
	streams_detach(&c);
	assert_true(stream_has_room(&all.main, RING_BYTES));
	streams_detach(&c);
}

/* The start of a half-sent frame is still needed. */
static void
test_a_torn_frame_is_kept(void **state)
{
	struct cursor c = { 0 };
	struct stream_place place;

	(void)state;
	cursor_attach(&c, &all.main, all.main.head_pos);
	for (unsigned i = 0; i < RING_BYTES / 2048; i++)
		assert_true(put(TRADE, 2048));
	c.pos += 2047;
	assert_false(stream_has_room(&all.main, 1));
	place = stream_locate(&all.main, c.pos);
	assert_int_equal(place.frame_pos, 0);
	assert_int_equal(place.frame_end, 2048);
	c.pos++;
	assert_true(stream_has_room(&all.main, 2048));
	streams_detach(&c);
}

static void
test_may_be_slow(void **state)
{
	struct cursor c = { 0 };

	(void)state;
	cursor_attach(&c, &all.main, all.main.head_pos);
	for (unsigned i = 0; i < 6; i++)
		assert_true(put(TRADE, 1024));
	assert_false(streams_may_be_slow(&all, 50));
	assert_true(streams_may_be_slow(&all, 30));
	c.pos = all.main.head_pos;
	assert_false(streams_may_be_slow(&all, 30));
	/* A writer waits: the reader is slow, wherever the mark is. */
	assert_false(stream_has_room(&all.main, RING_BYTES + 1));
	assert_true(streams_may_be_slow(&all, 99));
	assert_true(stream_has_room(&all.main, 1));
	assert_false(streams_may_be_slow(&all, 99));
	streams_detach(&c);
}

/* ---- a random walk over one stream, against a list of its frames ---- */

enum { LOG_MAX = 1 << 15, CURSORS = 5 };

static struct kept {
	uint64_t pos;
	uint64_t number;
	uint64_t record; /* records before it */
	size_t len;
	unsigned table;
	int64_t time_ns;
} log_of[LOG_MAX];
static size_t log_cnt;

static void
check_frame(const struct stream *s, const struct kept *k)
{
	uint8_t expected[FRAME_MAX];

	frame_make(expected, table_of(k->table), k->number, k->len);
	assert_memory_equal(ring_at(&s->ring, k->pos), expected, k->len);
}

static void
walk_put(struct chance *chance)
{
	unsigned table = (unsigned)chance_below(chance, 12) == 0
				 ? MARK
				 : (unsigned)chance_below(chance, 3);
	struct kept k = {
		.pos = all.main.head_pos,
		.number = number,
		.record = all.main.records,
		.len = table == MARK ? FRAME_MARK_BYTES
				     : chance_between(chance, FRAME_RECORD_MIN,
						      FRAME_MAX),
		.table = table,
		.time_ns = now,
	};
	uint64_t records = all.main.records;

	if (!put(table, k.len)) {
		assert_int_equal(all.main.head_pos, k.pos);
		return;
	}
	assert_int_equal(all.main.head_pos, k.pos + k.len);
	assert_int_equal(all.main.records, records + (table != MARK));
	assert_true(log_cnt < LOG_MAX);
	log_of[log_cnt++] = k;
}

/* The first frame that ends after pos; log_cnt at the head. */
static size_t
frame_at(uint64_t pos)
{
	size_t i = log_cnt;

	while (i > 0 &&
	       (int64_t)(log_of[i - 1].pos + log_of[i - 1].len - pos) > 0)
		i--;
	return i;
}

static void
check_place(uint64_t pos)
{
	struct stream_place place = stream_locate(&all.main, pos);
	size_t i = frame_at(pos);
	const struct kept *k = &log_of[i];

	if (i == log_cnt) {
		assert_int_equal(place.frame_pos, pos);
		assert_int_equal(place.frame_end, pos);
		assert_int_equal(place.record, all.main.records);
		return;
	}
	assert_int_equal(place.frame_pos, k->pos);
	assert_int_equal(place.frame_end,
			 pos == k->pos ? pos : k->pos + k->len);
	assert_int_equal(place.record, k->record);
	/* The time of the frame or one before it. */
	assert_true(place.time_ns <= k->time_ns && place.time_ns > 0);
}

static void
walk_cursors(struct chance *chance, struct cursor *cursors)
{
	struct cursor *c = &cursors[chance_below(chance, CURSORS)];

	if (c->stream == NULL)
		cursor_attach(c, &all.main, all.main.head_pos);
	else if (chance_below(chance, 200) == 0)
		streams_detach(c);
	else if (chance_below(chance, 10) == 0)
		c->pos = all.main.head_pos;
	else if (cursor_lag(c) > 0)
		c->pos += chance_between(chance, 1,
					 min_u64(cursor_lag(c), 2 * FRAME_MAX));
}

static uint64_t
longest_lag(const struct cursor *cursors)
{
	uint64_t longest = 0;

	for (size_t i = 0; i < CURSORS; i++)
		longest = max_u64(longest, cursor_lag(&cursors[i]));
	return longest;
}

/* Everything at or after a cursor's frame is what was written there. */
static void
check_kept(const struct cursor *cursors)
{
	uint64_t longest = longest_lag(cursors);
	uint64_t from = all.main.head_pos - longest;

	assert_true(all.main.head_pos - all.main.tail_pos >= longest);
	assert_true(all.main.head_pos - all.main.tail_pos <= RING_BYTES);
	for (size_t i = frame_at(from); longest > 0 && i < log_cnt; i++)
		check_frame(&all.main, &log_of[i]);
}

/* A refusal has a reason: a cursor whose walk starts so far back. */
static void
check_refusal(struct chance *chance, const struct cursor *cursors)
{
	uint64_t len = chance_between(chance, 1, RING_BYTES);
	bool is_blamed = false;

	if (stream_has_room(&all.main, len)) {
		assert_true(longest_lag(cursors) + len <= RING_BYTES);
		return;
	}
	for (size_t i = 0; i < CURSORS; i++)
		if (cursors[i].stream != NULL &&
		    stream_is_in_the_way(&all.main, cursors[i].pos))
			is_blamed = true;
	assert_true(is_blamed);
	/* What the index costs: at most a gap, and the frame across it. */
	assert_true(longest_lag(cursors) + len + RING_BYTES / 16 +
			    2 * FRAME_MAX >
		    RING_BYTES);
}

static void
walk(struct chance *chance, uint64_t start_pos)
{
	struct cursor cursors[CURSORS] = { 0 };

	start_at(start_pos);
	log_cnt = 0;
	for (unsigned i = 0; i < 25000; i++) {
		now += (int64_t)chance_below(chance, 4 * NS_PER_MS);
		if (chance_below(chance, 3) == 0)
			walk_put(chance);
		else
			walk_cursors(chance, cursors);
		if (i % 8 == 0) {
			check_kept(cursors);
			check_refusal(chance, cursors);
		}
		for (size_t k = 0; k < CURSORS; k++)
			if (cursors[k].stream != NULL)
				check_place(cursors[k].pos);
	}
	assert_true(log_cnt > 1000);
	for (size_t i = 0; i < CURSORS; i++)
		streams_detach(&cursors[i]);
	streams_close(&all);
}

static void
test_random_walk(void **state)
{
	struct chance chance = chance_start("stream walk");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(starts); i++)
		walk(&chance, starts[i]);
}

/* stream_locate is right for each byte of a full ring, wherever the seam is. */
static void
test_locate_every_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
		struct cursor c = { 0 };

		start_at(starts[i]);
		log_cnt = 0;
		for (unsigned k = 0; k < 30; k++)
			assert_true(put(QUOTE, 1000));
		cursor_attach(&c, &all.main, all.main.head_pos);
		for (unsigned k = 0; k < 13; k++) {
			log_of[log_cnt++] = (struct kept){
				.pos = all.main.head_pos,
				.record = all.main.records,
				.len = k % 4 == 3 ? FRAME_MARK_BYTES : 1200 + k,
				.time_ns = now
			};
			assert_true(put(k % 4 == 3 ? MARK : TRADE, 1200 + k));
			now += NS_PER_MS;
		}
		for (uint64_t pos = c.pos; pos != all.main.head_pos; pos++)
			check_place(pos);
		check_place(all.main.head_pos);
		streams_detach(&c);
		streams_close(&all);
	}
}

/* The time of a new message is at most 10 ms old. */
static void
test_time_of_a_place(void **state)
{
	struct cursor c = { 0 };
	uint64_t pos;

	(void)state;
	cursor_attach(&c, &all.main, all.main.head_pos);
	for (unsigned i = 0; i < 100; i++) {
		now += 3 * NS_PER_MS;
		pos = all.main.head_pos;
		assert_true(put(TRADE, FRAME_RECORD_MIN));
		assert_true(stream_locate(&all.main, pos).time_ns <= now);
		assert_true(stream_locate(&all.main, pos).time_ns >
			    now - 10 * NS_PER_MS);
	}
	streams_detach(&c);
}

/* ---- filtered streams ---- */

static void
test_equal_selections_share(void **state)
{
	struct cursor a = { 0 }, b = { 0 }, c = { 0 };
	struct stream *quotes, *trades;

	(void)state;
	quotes = find("q");
	cursor_attach(&a, quotes, quotes->head_pos);
	assert_ptr_equal(find("q"), quotes);
	cursor_attach(&b, quotes, quotes->head_pos);
	trades = find("t");
	assert_ptr_not_equal(trades, quotes);
	cursor_attach(&c, trades, trades->head_pos);
	/* the same set in another order is the same set */
	streams_detach(&c);
	trades = find("tq");
	cursor_attach(&c, trades, trades->head_pos);
	assert_ptr_equal(find("qt"), trades);
	/* and all tables are the main stream, however named */
	assert_ptr_equal(find("tqr"), &all.main);
	streams_detach(&a);
	assert_ptr_equal(find("q"), quotes);
	streams_detach(&b);
	streams_detach(&c);
}

/* The last reader frees a stream: it no longer holds the main ring, and another
 * selection may have it, without any bytes of the earlier one. */
static void
test_freed_and_used_again(void **state)
{
	struct cursor cursors[FILTERED_MAX] = { 0 };
	static const char *const sets[] = { "q", "t", "qt" };
	struct stream *freed;

	(void)state;
	for (size_t i = 0; i < FILTERED_MAX; i++) {
		struct stream *s = find(sets[i]);

		assert_non_null(s);
		cursor_attach(&cursors[i], s, s->head_pos);
	}
	assert_null(find("r"));
	assert_true(put(TRADE, 500));
	streams_feed(&all, now);
	freed = cursors[1].stream;
	assert_int_equal(cursor_lag(&cursors[1]), 500);
	streams_detach(&cursors[1]);
	assert_null(freed->fed.stream);
	assert_true(put(REF, 300));
	assert_ptr_equal(find("r"), freed);
	cursor_attach(&cursors[1], freed, freed->head_pos);
	/* It starts at the head: no reader gets earlier bytes. */
	streams_feed(&all, now);
	assert_int_equal(cursor_lag(&cursors[1]), 0);
	assert_true(put(REF, 200));
	assert_true(put(TRADE, 500));
	streams_feed(&all, now);
	assert_int_equal(cursor_lag(&cursors[1]), 200);
	for (size_t i = 0; i < FILTERED_MAX; i++)
		streams_detach(&cursors[i]);
	assert_true(stream_has_room(&all.main, RING_BYTES));
}

/* A stream is level from the moment it is given out. */
static void
test_level(void **state)
{
	struct cursor c = { 0 };
	struct stream *s;

	(void)state;
	assert_true(put(TRADE, 500));
	s = find("t");
	cursor_attach(&c, s, s->head_pos);
	assert_true(streams_is_level(&all, s));
	/* messages that it does not want are looked at too */
	assert_true(put(QUOTE, 500));
	assert_false(streams_is_level(&all, s));
	streams_feed(&all, now);
	assert_true(streams_is_level(&all, s));
	assert_int_equal(cursor_lag(&c), 0);
	streams_detach(&c);
}

/* Compares what a cursor reads with frames of the wanted tables and marks,
 * from *next on; returns how many there were. */
static unsigned
read_frames(struct cursor *c, const unsigned *tables, size_t cnt,
	    const struct selection *wanted, uint64_t *next)
{
	unsigned seen = 0;

	for (; *next < cnt && cursor_lag(c) > 0; ++*next) {
		unsigned table = tables[*next];
		uint8_t expected[FRAME_MAX];
		size_t len;

		if (table != MARK && !selection_has(wanted, table))
			continue;
		len = frame_make(expected, table_of(table), *next,
				 FRAME_RECORD_MIN + *next % 700);
		assert_true(cursor_lag(c) >= len);
		assert_memory_equal(ring_at(&c->stream->ring, c->pos), expected,
				    len);
		c->pos += len;
		seen++;
	}
	return seen;
}

/* Each filtered stream has its tables, whole, in order, and every mark. */
static void
test_feed(void **state)
{
	static const char *const sets[FILTERED_MAX] = { "q", "rt", "r" };
	struct chance chance = chance_start("feed");
	struct cursor cursors[FILTERED_MAX] = { 0 };
	uint64_t next[FILTERED_MAX] = { 0 };
	unsigned tables[3000];
	size_t cnt = 0;

	(void)state;
	stop(NULL);
	start_at(UINT64_MAX - 20000);
	for (size_t i = 0; i < FILTERED_MAX; i++) {
		struct stream *s = find(sets[i]);

		cursor_attach(&cursors[i], s, s->head_pos);
	}
	while (cnt < ARRAY_LEN(tables)) {
		tables[cnt] = (unsigned)chance_below(&chance, 4);
		if (put(tables[cnt], FRAME_RECORD_MIN + cnt % 700))
			cnt++;
		if (chance_below(&chance, 5) > 0)
			continue;
		streams_feed(&all, now);
		for (size_t i = 0; i < FILTERED_MAX; i++) {
			struct selection wanted = select_tables(sets[i]);

			read_frames(&cursors[i], tables, cnt, &wanted,
				    &next[i]);
		}
	}
	streams_feed(&all, now);
	for (size_t i = 0; i < FILTERED_MAX; i++) {
		struct selection wanted = select_tables(sets[i]);
		uint64_t records = 0;

		read_frames(&cursors[i], tables, cnt, &wanted, &next[i]);
		assert_int_equal(cursor_lag(&cursors[i]), 0);
		for (size_t k = 0; k < cnt; k++)
			records += tables[k] != MARK &&
				   selection_has(&wanted, tables[k]);
		assert_int_equal(cursors[i].stream->records, records);
		streams_detach(&cursors[i]);
	}
}

/* Messages that do not fit into a full filtered ring stay in the main ring;
 * then that is full as well, and the one reader is named as the reason. */
static void
test_a_full_filtered_ring_holds_the_main_ring(void **state)
{
	struct cursor c = { 0 };
	struct stream *s = find("t");
	unsigned put_cnt = 0, got_cnt = 0;

	(void)state;
	cursor_attach(&c, s, s->head_pos);
	do
		streams_feed(&all, now);
	while (put(TRADE, 1024) && ++put_cnt < 100);
	assert_int_equal(put_cnt, (RING_BYTES + FILTERED_BYTES) / 1024);
	assert_false(streams_is_level(&all, s));
	assert_int_equal(s->wanted_bytes, 1024);
	assert_true(stream_is_in_the_way(s, c.pos));
	assert_true(stream_is_in_the_way(&all.main, s->fed.pos));
	assert_true(streams_may_be_slow(&all, 99));

	/* One frame read is one frame of room, down the whole chain. */
	c.pos += 1024;
	streams_feed(&all, now);
	assert_true(put(TRADE, 1024));
	put_cnt++;
	/* and no frame was lost */
	for (got_cnt = 1; cursor_lag(&c) > 0; got_cnt++) {
		uint8_t expected[1024];

		frame_make(expected, &schema.tables[TRADE], got_cnt, 1024);
		assert_memory_equal(ring_at(&s->ring, c.pos), expected, 1024);
		c.pos += 1024;
		streams_feed(&all, now);
	}
	assert_int_equal(got_cnt, put_cnt);
	assert_true(streams_is_level(&all, s));
	streams_detach(&c);
}

/* The reader that is in the way goes: both rings are free at once. */
static void
test_a_full_filtered_ring_is_let_go(void **state)
{
	struct cursor c = { 0 };
	struct stream *s = find("t");

	(void)state;
	cursor_attach(&c, s, s->head_pos);
	do
		streams_feed(&all, now);
	while (put(TRADE, 1024));
	assert_false(streams_is_level(&all, s));
	streams_detach(&c);
	/* and no writer waits for it any more */
	assert_true(streams_is_level(&all, s));
	assert_true(put(TRADE, 1024));
	assert_false(streams_may_be_slow(&all, 50));
	/* used again, it starts empty */
	assert_ptr_equal(find("q"), s);
	cursor_attach(&c, s, s->head_pos);
	assert_true(put(QUOTE, 1024));
	streams_feed(&all, now);
	assert_int_equal(cursor_lag(&c), 1024);
	assert_int_equal(s->wanted_bytes, 0);
	streams_detach(&c);
}

/* ---- selections ---- */

static void
test_selection(void **state)
{
	struct selection s = { 0 }, t;
	char buf[64];

	(void)state;
	assert_true(selection_is_equal(&s, &(struct selection){ 0 }));
	assert_string_equal(selection_text(&s, NULL, &schema, buf, sizeof(buf)),
			    "");
	for (unsigned i = 0; i < SCHEMA_TABLES_MAX; i++) {
		assert_false(selection_has(&s, i));
		selection_add(&s, i);
		assert_true(selection_has(&s, i));
		selection_add(&s, i);
		assert_false(selection_is_equal(&s, &(struct selection){ 0 }));
		t = s;
		assert_true(selection_is_equal(&s, &t));
	}
	s = select_tables("tq");
	assert_string_equal(selection_text(&s, NULL, &schema, buf, sizeof(buf)),
			    "quote,trade");
	s = selection_all(&schema);
	assert_string_equal(selection_text(&s, NULL, &schema, buf, sizeof(buf)),
			    "quote,ref,trade");
	for (size_t len = 8; len < sizeof(buf); len++) {
		memset(buf, '#', sizeof(buf));
		selection_text(&s, NULL, &schema, buf, len);
		assert_true(strlen(buf) < len);
		assert_int_equal(buf[len], '#');
	}
	assert_string_equal(selection_text(&s, NULL, &schema, buf, 12),
			    "quote...");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
		TEST(test_open),
		TEST(test_close_half_opened),
		TEST(test_no_filtered_streams),
		TEST(test_frames),
		TEST(test_room_without_readers),
		TEST(test_room_with_a_reader),
		TEST(test_a_torn_frame_is_kept),
		TEST(test_may_be_slow),
		cmocka_unit_test(test_random_walk),
		cmocka_unit_test(test_locate_every_byte),
		TEST(test_time_of_a_place),
		TEST(test_equal_selections_share),
		TEST(test_freed_and_used_again),
		TEST(test_level),
		TEST(test_feed),
		TEST(test_a_full_filtered_ring_holds_the_main_ring),
		TEST(test_a_full_filtered_ring_is_let_go),
		TEST(test_selection),
	};

	return cmocka_run_group_tests(tests, schema_open_three, schema_close);
}
