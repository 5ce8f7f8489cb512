/*
 * The parts machine, against a model that knows nothing of rings and
 * positions: for each consumer the list of frames and replies that it is owed,
 * in order.  What the "kernel" accepts must be that list, byte for byte.
 */
#include "config.h"

#include "consumer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "frames.h"

enum {
	RING_BYTES = 16384,
	FILTERED_BYTES = 8192,
	FILTERED_MAX = 2,
	FRAME_MAX = 1800,
	REPLY_MAX = 600,
	CONSUMERS = 6,
	OWED_MAX = 1024,
	STEPS = 150000,
	MARK = -1,
};

/* A frame or a reply that a consumer is owed. */
struct owed {
	bool is_reply;
	int table; /* of a frame, or MARK */
	uint64_t number;
	size_t len;
	uint64_t main_pos; /* of a frame: where it is in the main stream */
	const struct stream *stream; /* that brings it */
	int64_t time_ns;
};

struct reader {
	struct consumer c;
	uint8_t reply[REPLY_MAX];
	uint8_t rest[FRAME_MAX];
	bool is_rest_taken;
	unsigned laziness; /* 0: reads at once; else one try in so many */

	/* the model */
	struct owed owed[OWED_MAX];
	size_t first, cnt;
	size_t sent; /* bytes of owed[first] */
	bool is_cut; /* owed[first] is the rest of a frame left by a skip */
	const struct stream *stream; /* NULL: not subscribed */
	struct selection selection;
	uint64_t sent_bytes;
	uint64_t skips, skipped;

	/* the write in flight */
	struct span span;
};

static struct schema schema;
static struct streams all;
static struct reader readers[CONSUMERS];
static struct chance chance;
static uint64_t number;
static int64_t now;
static uint64_t refusals, torn_skips, stream_changes, seams;

static int
set_up(void **state)
{
	(void)state;
	schema_of_three(&schema);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	schema_fini(&schema);
	return 0;
}

static void
start_reader(struct reader *r)
{
	memset(r, 0, sizeof(*r));
	consumer_init(&r->c, r->reply, SLOW_SKIP);
	r->laziness = (unsigned)chance_below(&chance, 4) * 3;
}

static void
start_at(uint64_t pos)
{
	streams_open_at(&all, &schema, RING_BYTES, FILTERED_MAX, FILTERED_BYTES,
			pos);
	for (size_t i = 0; i < CONSUMERS; i++)
		start_reader(&readers[i]);
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

/* ---- the model ---- */

static struct owed *
owed_at(struct reader *r, size_t i)
{
	return &r->owed[(r->first + i) % OWED_MAX];
}

static void
owe(struct reader *r, struct owed o)
{
	assert_true(r->cnt < OWED_MAX);
	*owed_at(r, r->cnt++) = o;
}

/* NULL: a mark */
static const struct schema_table *
table_of(int table)
{
	return table == MARK ? NULL : &schema.tables[table];
}

static void
make_owed(const struct owed *o, uint8_t *at)
{
	if (o->is_reply)
		bytes_make(at, o->number, o->len);
	else
		frame_make(at, table_of(o->table), o->number, o->len);
}

/* Whether a frame that is owed has reached the stream that brings it. */
static bool
is_in_stream(const struct owed *o)
{
	return o->stream->is_main || o->stream->fed.stream == NULL ||
	       (int64_t)(o->main_pos - o->stream->fed.pos) < 0;
}

static void
owe_frame(int table, size_t len, uint64_t main_pos)
{
	for (size_t i = 0; i < CONSUMERS; i++) {
		struct reader *r = &readers[i];

		if (r->stream == NULL)
			continue;
		if (table != MARK &&
		    !selection_has(&r->selection, (unsigned)table))
			continue;
		owe(r, (struct owed){ .table = table,
				      .number = number,
				      .len = len,
				      .main_pos = main_pos,
				      .stream = r->stream,
				      .time_ns = now });
	}
}

/* The next `len` bytes of what is owed are those at `at`. */
static void
check_bytes(struct reader *r, const uint8_t *at, size_t len)
{
	size_t off = r->sent;

	for (size_t i = 0; len > 0; i++) {
		uint8_t expected[FRAME_MAX];
		const struct owed *o = owed_at(r, i);
		size_t n;

		if (i == r->cnt)
			fail_msg("%zu bytes more than owed", len);
		make_owed(o, expected);
		n = min_u64(len, o->len - off);
		assert_memory_equal(at, expected + off, n);
		at += n;
		len -= n;
		off = 0;
	}
}

static void
pay(struct reader *r, size_t len)
{
	r->sent_bytes += len;
	for (r->sent += len; r->cnt > 0; r->cnt--) {
		if (r->sent < owed_at(r, 0)->len)
			return;
		r->sent -= owed_at(r, 0)->len;
		r->first++;
		r->is_cut = false;
	}
	assert_int_equal(r->sent, 0);
}

/* Drops what a skip drops; returns the records among it. */
static uint64_t
forgive(struct reader *r)
{
	size_t kept = r->sent > 0 || r->is_cut;
	uint64_t records = 0;

	r->is_cut = kept > 0 && !owed_at(r, 0)->is_reply;
	for (size_t i = kept; i < r->cnt; i++) {
		const struct owed *o = owed_at(r, i);

		if (o->is_reply || !is_in_stream(o))
			*owed_at(r, kept++) = *o;
		else
			records += o->table != MARK;
	}
	r->cnt = kept;
	return records;
}

/* ---- what can happen ---- */

static bool
put(int table, size_t len)
{
	uint64_t pos = all.main.head_pos;

	if (!frame_put(&all.main, table_of(table), number, len, now))
		return false;
	owe_frame(table, all.main.head_pos - pos, pos);
	number++;
	return true;
}

/* As delivery.c does it. */
static bool
submit(struct reader *r, size_t span_max)
{
	struct span *span = &r->span;

	if (r->c.writing != PART_NONE || !consumer_next(&r->c, span_max, span))
		return false;
	assert_true(span->len > 0);
	if (span->part == PART_STREAM) {
		const struct ring *ring = &r->c.here.stream->ring;

		assert_true(span->len <= span_max);
		assert_int_equal(span->is_in_main_ring,
				 r->c.here.stream->is_main);
		assert_true(span->at >= ring->base &&
			    span->at + span->len <=
				    ring->base + 2 * ring->size);
		seams += span->at + span->len > ring->base + ring->size;
	} else {
		assert_false(span->is_in_main_ring);
	}
	check_bytes(r, span->at, span->len);
	r->c.writing = span->part;
	r->c.writing_len = span->len;
	return true;
}

static void
complete(struct reader *r, size_t accepted)
{
	uint64_t before = r->c.here.pos;
	bool was_rest = r->c.writing == PART_REST;
	uint8_t *given;

	/* Until now the kernel may have read any of it. */
	check_bytes(r, r->span.at, r->span.len);
	given = consumer_written(&r->c, accepted);
	pay(r, accepted);
	if (given != NULL) {
		assert_true(was_rest);
		assert_ptr_equal(given, r->rest);
		r->is_rest_taken = false;
	} else if (was_rest) {
		assert_non_null(r->c.rest);
	}
	if (accepted == 0 && r->c.here.stream != NULL)
		assert_int_equal(r->c.here.pos, before);
	assert_int_equal(r->c.sent_bytes, r->sent_bytes);
}

/* stream and selection: NULL leaves what is read as it is. */
static void
queue(struct reader *r, size_t len, struct stream *stream,
      const struct selection *selection)
{
	assert_false(consumer_is_busy(&r->c));
	bytes_make(r->reply, ++number, len);
	consumer_queue(&r->c, len, stream, (struct reply_gate){ 0 });
	if (len > 0)
		owe(r, (struct owed){ .is_reply = true,
				      .number = number,
				      .len = len });
	if (stream != NULL) {
		r->stream = stream;
		r->selection = *selection;
	}
}

static void
skip_ahead(struct reader *r)
{
	const struct owed *o = owed_at(r, 0);
	size_t torn = consumer_torn_bytes(&r->c), expected = 0;
	uint64_t records;
	uint8_t *buffer = NULL;

	if (r->sent > 0 && !o->is_reply && !r->is_cut)
		expected = o->len - r->sent;
	assert_int_equal(torn, expected);
	if (torn > 0) {
		assert_false(r->is_rest_taken);
		r->is_rest_taken = true;
		memset(r->rest, 0xee, sizeof(r->rest));
		buffer = r->rest;
		torn_skips++;
	}
	records = consumer_skip(&r->c, buffer);
	assert_int_equal(records, forgive(r));
	r->skips++;
	r->skipped += records;
	assert_int_equal(r->c.skips, r->skips);
	assert_int_equal(r->c.skipped_records, r->skipped);
}

static void
leave(struct reader *r)
{
	uint8_t *given = consumer_fini(&r->c);

	assert_ptr_equal(given, r->is_rest_taken ? r->rest : NULL);
	assert_false(consumer_is_subscribed(&r->c));
	assert_null(r->c.here.stream);
	start_reader(r);
}

/* ---- what it says of itself ---- */

static void
check_counters(struct reader *r)
{
	uint64_t bytes = 0, records = 0, lag, ring, told;
	int64_t oldest = 0, age;

	for (size_t i = 0; i < r->cnt; i++) {
		const struct owed *o = owed_at(r, i);

		if (o->is_reply || !is_in_stream(o))
			continue;
		bytes += o->len - (i == 0 ? r->sent : 0);
		records += o->table != MARK || (i == 0 && r->is_cut);
		/* A filtered stream counts from when it was fed. */
		if (oldest == 0 && !(i == 0 && r->is_cut))
			oldest = o->stream->is_main ? o->time_ns : now;
	}
	assert_int_equal(consumer_lag_bytes(&r->c), bytes);
	assert_true(r->c.high_bytes >= bytes);
	consumer_lag_records(&r->c, now, &told, &age);
	assert_int_equal(told, records);
	if (oldest == 0)
		assert_int_equal(age, 0);
	else
		assert_true(age >= now - oldest);
	consumer_ring_lag(&r->c, &lag, &ring);
	assert_true(lag <= ring);
	assert_int_equal(consumer_is_subscribed(&r->c), r->stream != NULL);
	assert_int_equal(ring > 0, r->stream != NULL);
}

/* The main ring is full: somebody is in the way of it, or of the filtered
 * stream that holds it, and is told so. */
static void
check_refusal(void)
{
	bool is_blamed = false;

	refusals++;
	for (size_t i = 0; i < CONSUMERS; i++) {
		uint64_t lag, ring;

		consumer_ring_lag(&readers[i].c, &lag, &ring);
		is_blamed |= ring > 0 && lag == ring;
	}
	assert_true(is_blamed);
}

/* ---- the walk ---- */

static void
walk_put(void)
{
	int table = (int)chance_below(&chance, 4);
	size_t len =
		chance_between(&chance, FRAME_RECORD_MIN,
			       chance_below(&chance, 3) == 0 ? FRAME_MAX : 200);

	streams_feed(&all, now);
	if (!put(table == 3 ? MARK : table, len)) {
		streams_feed(&all, now);
		(void)stream_has_room(&all.main, len);
		if (all.main.wanted_bytes > 0)
			check_refusal();
	}
}

static size_t
some_of(size_t len)
{
	switch (chance_below(&chance, 4)) {
	case 0:
		return 0;
	case 1:
		return chance_between(&chance, 0, len);
	default:
		return len;
	}
}

static void
walk_write(struct reader *r)
{
	size_t span_max = chance_below(&chance, 3) == 0
				  ? chance_between(&chance, 1, 300)
				  : 6000;

	if (r->laziness > 0 && chance_below(&chance, r->laziness) > 0)
		return;
	if (r->c.writing != PART_NONE)
		complete(r, some_of(r->span.len));
	else
		(void)submit(r, span_max);
}

static void
walk_queue(struct reader *r)
{
	static const unsigned sets[] = { 7, 7, 1, 2, 6 };
	unsigned set = sets[chance_below(&chance, 5)];
	struct selection selection = { .tables = { set } };
	size_t len = chance_below(&chance, 4) == 0
			     ? 0
			     : chance_between(&chance, 10, REPLY_MAX);
	struct stream *stream = NULL;

	if (consumer_is_busy(&r->c))
		return;
	/* tick.c waits for this: a reply stands behind what was committed. */
	streams_feed(&all, now);
	if (r->stream != NULL && !streams_is_level(&all, r->stream))
		return;
	if (chance_below(&chance, 3) == 0) {
		stream = streams_find(&all, &selection);
		if (stream != NULL && !streams_is_level(&all, stream))
			return;
	}
	stream_changes +=
		stream != NULL && r->stream != NULL && stream != r->stream;
	queue(r, len, stream, &selection);
}

static void
step(void)
{
	struct reader *r = &readers[chance_below(&chance, CONSUMERS)];
	uint64_t what = chance_below(&chance, 1000);

	now += (int64_t)chance_below(&chance, NS_PER_MS);
	if (what < 300)
		walk_put();
	else if (what < 900)
		walk_write(r);
	else if (what < 960)
		walk_queue(r);
	else if (what < 985 && r->c.writing != PART_STREAM)
		skip_ahead(r);
	else if (what < 988 && r->c.writing == PART_NONE)
		leave(r);
	else if (what < 991)
		r->laziness = (unsigned)chance_below(&chance, 6) * 6;
	check_counters(r);
}

/* Everybody reads to the end: nothing is missing. */
static void
drain(void)
{
	bool is_any = true;

	while (is_any) {
		is_any = false;
		streams_feed(&all, now);
		for (size_t i = 0; i < CONSUMERS; i++) {
			struct reader *r = &readers[i];

			if (r->c.writing == PART_NONE && !submit(r, 5000))
				continue;
			complete(r, r->span.len);
			is_any = true;
		}
	}
	for (size_t i = 0; i < CONSUMERS; i++) {
		assert_int_equal(readers[i].cnt, 0);
		assert_false(consumer_is_busy(&readers[i].c));
		assert_false(readers[i].is_rest_taken);
		check_counters(&readers[i]);
	}
}

static void
walk(uint64_t pos)
{
	start_at(pos);
	refusals = torn_skips = stream_changes = seams = 0;
	for (unsigned i = 0; i < STEPS; i++) {
		step();
		if (i % 20000 == 19999)
			drain();
	}
	drain();
	for (size_t i = 0; i < CONSUMERS; i++)
		leave(&readers[i]);
	assert_true(stream_has_room(&all.main, RING_BYTES));
	/* It went where it hurts. */
	assert_true(refusals > 50 && torn_skips > 50);
	assert_true(stream_changes > 50 && seams > 50);
	streams_close(&all);
}

static void
test_random_walk(void **state)
{
	(void)state;
	chance = chance_start("consumer walk");
	walk(0);
	walk(UINT64_MAX - 100000);
}

/* ---- single steps, for what a walk reaches but does not explain ---- */

static struct selection
everything(void)
{
	return selection_all(&schema);
}

/* Nothing to do is no write of 0 bytes. */
static void
test_nothing_to_do(void **state)
{
	struct reader *r = &readers[0];
	struct selection s = everything();

	(void)state;
	assert_false(submit(r, 1000));
	queue(r, 0, NULL, NULL);
	assert_false(consumer_is_busy(&r->c));
	assert_false(submit(r, 1000));
	queue(r, 0, &all.main, &s);
	assert_false(consumer_is_busy(&r->c));
	assert_true(consumer_is_subscribed(&r->c));
	assert_false(submit(r, 1000));
	leave(r);
}

/* Invariant 4: the reply behind what was committed before, in front of what
 * comes later; and busy until its last byte was accepted. */
static void
test_a_reply_has_its_place(void **state)
{
	struct reader *r = &readers[0];
	struct selection s = everything();

	(void)state;
	queue(r, 0, &all.main, &s);
	assert_true(put(0, 100));
	queue(r, 50, NULL, NULL);
	assert_true(put(1, 200));
	assert_true(submit(r, 1000));
	assert_int_equal(r->c.writing, PART_STREAM);
	assert_int_equal(r->span.len, 100);
	assert_true(put(1, 200));
	complete(r, 100);
	assert_true(submit(r, 1000));
	assert_int_equal(r->c.writing, PART_REPLY);
	complete(r, 49);
	assert_true(consumer_is_busy(&r->c));
	assert_true(submit(r, 1000));
	assert_int_equal(r->span.len, 1);
	complete(r, 1);
	assert_false(consumer_is_busy(&r->c));
	assert_true(submit(r, 1000));
	assert_int_equal(r->span.len, 400);
	complete(r, 400);
	leave(r);
}

/* Invariant 3: a cancelled write moved nothing, and is tried again. */
static void
test_a_cancelled_write(void **state)
{
	struct reader *r = &readers[0];
	struct selection s = everything();

	(void)state;
	queue(r, 0, &all.main, &s);
	assert_true(put(0, 300));
	assert_true(submit(r, 1000));
	r->c.is_cancelled = true;
	complete(r, 0);
	assert_false(r->c.is_cancelled);
	assert_true(submit(r, 1000));
	assert_int_equal(r->span.len, 300);
	complete(r, 300);
	leave(r);
}

/* Invariant 2: a span in flight is not overwritten, however long it takes. */
static void
test_a_span_in_flight_holds_the_ring(void **state)
{
	struct reader *r = &readers[0];
	struct selection s = everything();

	(void)state;
	queue(r, 0, &all.main, &s);
	assert_true(put(0, 300));
	assert_true(submit(r, 1000));
	while (put(0, 300))
		;
	assert_true(cursor_lag(&r->c.here) <= RING_BYTES);
	complete(r, 300);
	assert_true(submit(r, 3000));
	assert_false(put(0, 3000));
	complete(r, 3000);
	assert_true(put(0, 300));
	leave(r);
}

/* A skip in the middle of a frame: its rest comes, then what is new. */
static void
test_skip_mid_frame(void **state)
{
	struct reader *r = &readers[0];
	struct selection s = everything();

	(void)state;
	queue(r, 0, &all.main, &s);
	for (int i = 0; i < 3; i++)
		assert_true(put(i, 200));
	assert_true(put(MARK, 0));
	assert_true(submit(r, 150));
	complete(r, 150);
	skip_ahead(
		r); /* loses two records and a mark, of which records count */
	assert_int_equal(r->c.skipped_records, 2);
	assert_true(put(2, 500));
	/* and a second time, while the rest still waits */
	skip_ahead(r);
	assert_int_equal(r->c.skipped_records, 3);
	assert_true(put(1, 400));
	assert_true(submit(r, 1000));
	assert_int_equal(r->c.writing, PART_REST);
	assert_int_equal(r->span.len, 50);
	complete(r, 20);
	assert_true(submit(r, 1000));
	/* and a third time, while the rest is in flight */
	skip_ahead(r);
	assert_int_equal(r->c.skipped_records, 4);
	complete(r, 30);
	assert_false(submit(r, 1000));
	assert_true(put(1, 400));
	assert_true(submit(r, 1000));
	complete(r, 400);
	assert_int_equal(r->cnt, 0);
	leave(r);
}

/* A reply is never skipped, and it comes where it can: behind the rest. */
static void
test_skip_with_a_reply(void **state)
{
	struct reader *r = &readers[0];
	struct selection s = everything();

	(void)state;
	queue(r, 0, &all.main, &s);
	assert_true(put(0, 200));
	assert_true(put(0, 200));
	queue(r, 60, NULL, NULL);
	assert_true(put(0, 200));
	assert_true(submit(r, 100));
	complete(r, 100);
	skip_ahead(r);
	assert_int_equal(r->c.skipped_records, 2);
	assert_true(put(0, 300));
	assert_true(submit(r, 1000));
	assert_int_equal(r->c.writing, PART_REST);
	complete(r, 100);
	assert_true(submit(r, 1000));
	assert_int_equal(r->c.writing, PART_REPLY);
	complete(r, 60);
	assert_true(submit(r, 1000));
	assert_int_equal(r->c.writing, PART_STREAM);
	assert_int_equal(r->span.len, 300);
	complete(r, 300);
	leave(r);
}

/* What a reply holds back is lag as well: in bytes, records and time. */
static void
test_lag_behind_a_reply(void **state)
{
	struct reader *r = &readers[0];
	struct selection s = everything();
	uint64_t records;
	int64_t age;

	(void)state;
	queue(r, 0, &all.main, &s);
	queue(r, 50, NULL, NULL);
	assert_true(put(0, 200));
	assert_true(put(1, 300));
	now += NS_PER_S;
	assert_int_equal(consumer_lag_bytes(&r->c), 500);
	assert_int_equal(r->c.high_bytes, 500);
	consumer_lag_records(&r->c, now, &records, &age);
	assert_int_equal(records, 2);
	assert_int_equal(age, NS_PER_S);
	leave(r);
}

/* From a filtered stream to the main one and back: what is new after the
 * request comes by the new stream, once, also while the old one lags. */
static void
test_change_of_stream(void **state)
{
	struct reader *r = &readers[0];
	struct selection one = { .tables = { 1 } }, s = everything();
	struct stream *filtered = streams_find(&all, &one);

	(void)state;
	queue(r, 30, filtered, &one);
	assert_true(put(0, 200));
	assert_true(put(1, 300));
	streams_feed(&all, now);
	assert_true(submit(r, 1000));
	complete(r, 30);
	queue(r, 40, &all.main, &s);
	assert_true(put(0, 250));
	assert_true(put(1, 350));
	streams_feed(&all, now);
	assert_int_equal(consumer_lag_bytes(&r->c), 200 + 250 + 350);
	assert_true(submit(r, 1000));
	assert_int_equal(r->span.len, 200);
	complete(r, 200);
	/* still held, by the reply that waits */
	assert_non_null(filtered->fed.stream);
	assert_true(submit(r, 1000));
	complete(r, 40);
	assert_null(filtered->fed.stream);
	assert_true(submit(r, 1000));
	assert_int_equal(r->span.len, 600);
	complete(r, 600);
	leave(r);
}

/* A skip while a change of stream waits: nothing holds the old stream, and
 * the new one is still come to. */
static void
test_skip_during_a_change(void **state)
{
	struct reader *r = &readers[0];
	struct selection one = { .tables = { 1 } }, s = everything();
	struct stream *filtered = streams_find(&all, &one);

	(void)state;
	queue(r, 0, filtered, &one);
	assert_true(put(0, 200));
	assert_true(put(0, 200));
	streams_feed(&all, now);
	queue(r, 40, &all.main, &s);
	assert_true(put(1, 350));
	assert_true(submit(r, 120));
	complete(r, 120);
	skip_ahead(r);
	assert_int_equal(r->c.skipped_records, 2);
	assert_null(filtered->fed.stream);
	assert_true(put(2, 360));
	assert_true(submit(r, 1000));
	assert_int_equal(r->c.writing, PART_REST);
	complete(r, 80);
	assert_true(submit(r, 1000));
	assert_int_equal(r->c.writing, PART_REPLY);
	complete(r, 40);
	assert_true(submit(r, 1000));
	assert_int_equal(r->span.len, 360);
	assert_true(r->span.is_in_main_ring);
	complete(r, 360);
	leave(r);
}

/* Of two rings the one that is fuller counts. */
static void
test_ring_lag(void **state)
{
	struct reader *r = &readers[0];
	struct selection one = { .tables = { 1 } }, s = everything();
	struct stream *filtered = streams_find(&all, &one);
	uint64_t lag, ring;

	(void)state;
	consumer_ring_lag(&r->c, &lag, &ring);
	assert_int_equal(lag, 0);
	assert_int_equal(ring, 0);
	queue(r, 0, filtered, &one);
	for (unsigned i = 0; i < 4; i++)
		assert_true(put(0, 1024));
	streams_feed(&all, now);
	queue(r, 10, &all.main, &s);
	consumer_ring_lag(&r->c, &lag, &ring);
	assert_int_equal(lag, 4096);
	assert_int_equal(ring, FILTERED_BYTES);
	for (unsigned i = 0; i < 9; i++)
		assert_true(put(1, 1024));
	consumer_ring_lag(&r->c, &lag, &ring);
	assert_int_equal(lag, 9 * 1024);
	assert_int_equal(ring, RING_BYTES);
	/* In the way of a message: as if it held everything. */
	assert_false(put(1, 8000));
	consumer_ring_lag(&r->c, &lag, &ring);
	assert_int_equal(lag, RING_BYTES);
	leave(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
		TEST(test_nothing_to_do),
		TEST(test_a_reply_has_its_place),
		TEST(test_a_cancelled_write),
		TEST(test_a_span_in_flight_holds_the_ring),
		TEST(test_skip_mid_frame),
		TEST(test_skip_with_a_reply),
		TEST(test_lag_behind_a_reply),
		TEST(test_change_of_stream),
		TEST(test_skip_during_a_change),
		TEST(test_ring_lag),
		cmocka_unit_test(test_random_walk),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
