/*
 * publish_by_template has the same effect on a block of frames as
 * dispatch_frame on each: two tickerplants get the same frames, one of them
 * frame by frame.
 */
#include "config.h"

#include "tick/dispatch.h"
#include "tick/publish_by_template.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../everybody.h"
#include "../frames.h"
#include "base/util.h"

enum {
	RING_BYTES = 65536,
	MESSAGE_MAX = 16384,
	BLOCK_BYTES = 32768,
	FRAME_BYTES_MAX = 4096, /* of what is made here */
	TODAY = 9822,
};

#define NOW ((int64_t)TODAY * NS_PER_DAY + 34200 * NS_PER_S)

struct plant {
	struct streams streams;
	struct counters counters;
	struct tick tick;
	struct tick_client client;
	struct cursor reader;
	uint64_t repeated; /* frames */
};

static struct settings settings;
static const struct journal_state no_journal;
static struct history no_history;
static struct plant one_by_one, repeating;
static struct chance chance;

static void
open_plant(struct plant *p)
{
	*p = (struct plant){ 0 };
	streams_open_at(&p->streams, &settings.tables, RING_BYTES, 0, 0, 0);
	assert_int_equal(tick_open(&p->tick, &settings, &p->streams,
				   &p->counters, &no_journal, &no_history),
			 0);
	p->client.rights = &everybody;
	p->client.may = everybody.may;
	p->client.reply = malloc(p->tick.reply_max);
	p->client.reply_max = p->tick.reply_max;
	assert_non_null(p->client.reply);
	cursor_attach(&p->reader, &p->streams.main, 0);
	p->tick.day = TODAY;
	assert_true(tick_set_time(&p->tick, NOW, 1));
}

static void
close_plant(struct plant *p)
{
	streams_detach(&p->reader);
	free(p->client.reply);
	tick_close(&p->tick);
	streams_close(&p->streams);
}

static int
start(void **state)
{
	(void)state;
	settings = (struct settings){
		.message.max = MESSAGE_MAX,
		.schema.check = CHECK_TYPES,
	};
	schema_of(&settings.tables,
		  "trade:([]time:`timespan$();sym:`symbol$();n:`long$())\n"
		  "quote:([]time:`timespan$();sym:`symbol$();bid:`float$();"
		  "ask:`float$())\n");
	history_init(&no_history);
	open_plant(&one_by_one);
	open_plant(&repeating);
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	close_plant(&one_by_one);
	close_plant(&repeating);
	schema_fini(&settings.tables);
	return 0;
}

/* ---- the feeds' frames ---- */

static void
put_row(struct wire_writer *w, bool is_trade)
{
	bool has_time = chance_below(&chance, 4) > 0;

	wire_put_list(w, KT_LIST, KA_NONE,
		      (is_trade ? 2 : 3) + (has_time ? 1u : 0u));
	if (has_time) {
		wire_put_u8(w, (uint8_t)-KT_TIMESPAN);
		wire_put_u64(w, chance_bits(&chance));
	}
	wire_put_symbol(w, chance_below(&chance, 2) ? "VOD.L" : "A_LONG_NAME");
	for (unsigned i = 0; i < (is_trade ? 1 : 2); i++) {
		wire_put_u8(w, (uint8_t) - (is_trade ? KT_LONG : KT_FLOAT));
		wire_put_u64(w, chance_bits(&chance));
	}
}

static void
put_columns(struct wire_writer *w)
{
	uint32_t rows = (uint32_t)chance_below(&chance, 100);

	wire_put_list(w, KT_LIST, KA_NONE, 3);
	wire_put_list(w, KT_TIMESPAN, KA_NONE, rows);
	for (uint32_t i = 0; i < rows; i++)
		wire_put_u64(w, i);
	wire_put_list(w, KT_SYMBOL, KA_NONE, rows);
	for (uint32_t i = 0; i < rows; i++)
		wire_put_bytes(w, "AB", 3);
	wire_put_list(w, KT_LONG, KA_NONE, rows);
	for (uint32_t i = 0; i < rows; i++)
		wire_put_u64(w, chance_bits(&chance));
}

/* Mostly good rows of two tables; wrong, unknown and empty ones, and ones that
 * a client waits for, are among them. */
static size_t
put_frame(uint8_t *at)
{
	struct wire_writer w = wire_writer(at, FRAME_BYTES_MAX);
	unsigned roll = (unsigned)chance_below(&chance, 40);
	bool is_trade = chance_below(&chance, 3) > 0;
	size_t header =
		wire_begin_frame(&w, roll == 0 ? WIRE_SYNC : WIRE_ASYNC);

	wire_put_list(&w, KT_LIST, KA_NONE, 3);
	wire_put_symbol(&w, ".u.upd");
	wire_put_symbol(&w, roll == 1		    ? "nowhere"
			    : is_trade || roll == 2 ? "trade"
						    : "quote");
	if (roll < 8 && is_trade)
		put_columns(&w);
	else
		put_row(&w, is_trade);
	wire_end_frame(&w, header);
	assert_false(w.is_full);
	return wire_written(&w);
}

static size_t
make_block(uint8_t *at)
{
	size_t len = 0;

	while (len + FRAME_BYTES_MAX <= BLOCK_BYTES)
		len += put_frame(at + len);
	return len;
}

/* ---- both ways ---- */

/* The reader reads everything when a frame finds no room. */
static size_t
handle_next(struct plant *p, const uint8_t *at, size_t avail)
{
	struct wire_header header;
	struct tick_outcome out;
	const char *why;

	assert_int_equal(wire_read_header(at, avail, UINT32_MAX, &header, &why),
			 WIRE_OK);
	if (dispatch_frame(&p->tick, &p->client, &header, at, &out) ==
	    TICK_WAIT) {
		p->reader.pos = p->streams.main.head_pos;
		assert_int_equal(
			dispatch_frame(&p->tick, &p->client, &header, at, &out),
			TICK_DONE);
	}
	return header.len;
}

static void
feed(struct plant *p, const uint8_t *block, size_t len, bool repeats)
{
	size_t at = 0;

	while (at < len) {
		uint64_t records = 0;
		size_t taken = 0;

		if (repeats)
			taken = publish_by_template(&p->tick, &everybody,
						    block + at, len - at,
						    &records);
		assert_int_equal(records > 0, taken > 0);
		p->repeated += records;
		at += taken;
		if (at < len)
			at += handle_next(p, block + at, len - at);
	}
}

static void
compare_from(uint64_t pos)
{
	const struct stream *a = &one_by_one.streams.main;
	const struct stream *b = &repeating.streams.main;
	uint64_t len = a->head_pos - pos;

	assert_int_equal(a->head_pos, b->head_pos);
	assert_int_equal(a->visible_pos, b->visible_pos);
	assert_int_equal(a->records, b->records);
	assert_memory_equal(ring_at(&a->ring, pos), ring_at(&b->ring, pos),
			    len);
	assert_memory_equal(&one_by_one.counters, &repeating.counters,
			    sizeof(struct counters));
	for (unsigned i = 0; i < settings.tables.tables_cnt; i++) {
		assert_int_equal(one_by_one.streams.tables[i].records,
				 repeating.streams.tables[i].records);
		assert_int_equal(one_by_one.streams.tables[i].bytes,
				 repeating.streams.tables[i].bytes);
	}
	/* Places are found within messages that were committed together. */
	for (unsigned i = 0; i < 20; i++) {
		uint64_t at = pos + chance_below(&chance, len);

		assert_int_equal(stream_locate(a, at).record,
				 stream_locate(b, at).record);
		assert_int_equal(stream_locate(a, at).frame_pos,
				 stream_locate(b, at).frame_pos);
	}
}

static void
test_walk(void **state)
{
	static uint8_t block[BLOCK_BYTES];

	(void)state;
	chance = chance_start("repeat");
	for (unsigned n = 0; n < 300; n++) {
		uint64_t from = one_by_one.streams.main.head_pos;
		size_t len = make_block(block);

		/* Room enough for some, not for all. */
		if (n % 2 == 0) {
			one_by_one.reader.pos = from;
			repeating.reader.pos = from;
		}
		feed(&one_by_one, block, len, false);
		feed(&repeating, block, len, true);
		compare_from(from);
	}
	assert_true(repeating.repeated > repeating.counters.in_records / 2);
}

/* Neither a part of a frame, nor any frame while feeds are held, is taken. */
static void
test_nothing_too_early(void **state)
{
	uint8_t frame[FRAME_BYTES_MAX];
	struct wire_writer w = wire_writer(frame, sizeof(frame));
	size_t header = wire_begin_frame(&w, WIRE_ASYNC), len;
	struct plant *p = &repeating;
	uint64_t records;

	(void)state;
	chance = (struct chance){ 1 };
	wire_put_list(&w, KT_LIST, KA_NONE, 3);
	wire_put_symbol(&w, ".u.upd");
	wire_put_symbol(&w, "trade");
	put_row(&w, true);
	wire_end_frame(&w, header);
	len = wire_written(&w);
	(void)handle_next(p, frame, len);
	for (size_t n = 0; n < len; n++)
		assert_int_equal(publish_by_template(&p->tick, &everybody,
						     frame, n, &records),
				 0);
	p->tick.is_held = true;
	assert_int_equal(
		publish_by_template(&p->tick, &everybody, frame, len, &records),
		0);
	p->tick.is_held = false;
	/* a long one goes the other way, where it may have to wait */
	p->streams.long_bytes = 1;
	assert_int_equal(
		publish_by_template(&p->tick, &everybody, frame, len, &records),
		0);
	p->streams.long_bytes = UINT64_MAX;
	assert_int_equal(
		publish_by_template(&p->tick, &everybody, frame, len, &records),
		len);
	assert_int_equal(records, 1);
	/* Without room no wish is noted: dispatch_frame notes the bytes
	 * needed. */
	while (publish_by_template(&p->tick, &everybody, frame, len, &records) >
	       0)
		;
	assert_int_equal(p->streams.main.wanted_bytes, 0);
}

/* An asynchronous update of `rows` rows without their time, which is added.
 * Returns the length of its published frame. */
static size_t
put_timeless(uint8_t *at, uint32_t rows, size_t *out_len)
{
	const struct schema_table *t = schema_named(&settings.tables, "trade");
	struct wire_writer w = wire_writer(at, 2 * MESSAGE_MAX);
	size_t header = wire_begin_frame(&w, WIRE_ASYNC), start;

	wire_put_list(&w, KT_LIST, KA_NONE, 3);
	wire_put_symbol(&w, ".u.upd");
	wire_put_symbol(&w, "trade");
	start = wire_written(&w);
	wire_put_list(&w, KT_LIST, KA_NONE, 2);
	wire_put_list(&w, KT_SYMBOL, KA_NONE, rows);
	for (uint32_t i = 0; i < rows; i++)
		wire_put_bytes(&w, "A", 2);
	wire_put_list(&w, KT_LONG, KA_NONE, rows);
	for (uint32_t i = 0; i < rows; i++)
		wire_put_u64(&w, i);
	wire_end_frame(&w, header);
	assert_false(w.is_full);
	*out_len = wire_written(&w);
	/* The prefix ends with the list's header; the time has one, too. */
	return t->publish_prefix_len + *out_len - start + rows * 8;
}

/* message.max bounds what is published, also if the time makes it longer than
 * what came: neither way publishes more, and dispatch_frame says so. */
static void
test_no_longer_than_a_message(void **state)
{
	static uint8_t frame[2 * MESSAGE_MAX];
	struct plant *p = &repeating;
	uint64_t records = 0;
	size_t len, published = 0, longest = 0, max = 4096;

	(void)state;
	/* the ring has room for much more */
	settings.message.max = max;
	(void)put_timeless(frame, 10, &len);
	(void)handle_next(p, frame, len);
	for (uint32_t rows = 100; published <= max + 100; rows++) {
		uint64_t from = p->streams.main.head_pos;
		uint64_t refused = p->counters.rejected;

		p->reader.pos = from;
		published = put_timeless(frame, rows, &len);
		assert_true(len < max);
		if (publish_by_template(&p->tick, &everybody, frame, len,
					&records) == 0)
			(void)handle_next(p, frame, len);
		if (published <= max)
			longest = p->streams.main.head_pos - from;
		assert_int_equal(p->streams.main.head_pos - from,
				 published <= max ? published : 0);
		assert_int_equal(p->counters.rejected - refused,
				 published > max);
	}
	assert_true(longest > max - 20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_walk, start, stop),
		cmocka_unit_test_setup_teardown(test_nothing_too_early, start,
						stop),
		cmocka_unit_test_setup_teardown(test_no_longer_than_a_message,
						start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
