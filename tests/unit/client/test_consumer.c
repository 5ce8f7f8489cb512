/*
 * The parts machine: single steps, and a random walk over everything at once
 * (consumer_model.h).
 */
#include "config.h"

#include "client/consumer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../consumer_model.h"
#include "../frames.h"
#include "base/util.h"

enum { STEPS = 100000 };

static struct chance chance;
static uint64_t mark_pos; /* end of the last mark */
static bool are_asking;	  /* some readers get the past: then lags are not
			     exact */

static int
set_up(void **state)
{
	(void)state;
	model_open();
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	model_close();
	return 0;
}

static int
start(void **state)
{
	(void)state;
	model_start(0, false);
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	model_stop();
	return 0;
}

/* ---- the walk ---- */

/* The main ring is full: a consumer is in the way of a message, or of the
 * filtered stream that holds the ring, and is reported. */
static void
check_refusal(void)
{
	bool is_blamed = m.journal.pos != m.all.main.head_pos;

	m.refusals++;
	for (size_t i = 0; i < READERS; i++) {
		uint64_t lag, ring;

		consumer_ring_lag(&m.readers[i].c, &lag, &ring);
		is_blamed |= ring > 0 && lag == ring;
	}
	assert_true(is_blamed);
}

static void
walk_put(void)
{
	int table = (int)chance_below(&chance, 3);
	size_t len =
		chance_between(&chance, FRAME_RECORD_MIN,
			       chance_below(&chance, 3) == 0 ? FRAME_MAX : 200);

	/* Two marks are farther apart than the length of a ring. */
	if (m.all.main.head_pos - mark_pos > 2 * RING_BYTES &&
	    chance_below(&chance, 10) == 0)
		table = MARK;
	streams_feed(&m.all, m.now);
	if (put(table, len)) {
		if (table == MARK)
			mark_pos = m.all.main.head_pos;
	} else {
		streams_feed(&m.all, m.now);
		(void)stream_has_room(&m.all.main, len);
		if (m.all.main.wanted_bytes > 0)
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

/* A reply, or a subscription, in the order that tick/dispatch.c allows. */
static void
walk_queue(struct reader *r)
{
	static const unsigned sets[] = { 7, 7, 1, 2, 6 };
	unsigned set = sets[chance_below(&chance, 5)];
	struct selection selection = { .tables = { set } };
	bool is_change = chance_below(&chance, 3) == 0;
	bool has_gate = chance_below(&chance, 4) == 0;
	size_t len = chance_below(&chance, 4) == 0 && !has_gate
			     ? 0
			     : chance_between(&chance, 10, REPLY_MAX);
	const struct stream *here = r->c.here.stream;
	struct stream *stream = NULL;

	if (consumer_is_busy(&r->c))
		return;
	/* A reply comes after the committed frames. */
	streams_feed(&m.all, m.now);
	if (here != NULL && !streams_is_level(&m.all, here))
		return;
	if (is_change && r->c.state != CONSUMER_JOURNAL) {
		stream = streams_find(&m.all, &selection, 0);
		if (stream == NULL || !streams_is_level(&m.all, stream))
			return;
		m.stream_changes += here != NULL && stream != here;
	}
	queue(r, len, stream, is_change ? &selection : NULL, has_gate);
}

/* subfrom and rejoin, in the order that tick/dispatch.c allows: not while the
 * file changes. */
static void
walk_ask(struct reader *r)
{
	static const unsigned sets[] = { 7, 1, 6 };
	struct selection selection = {
		.tables = { sets[chance_below(&chance, 3)] }
	};
	struct history_file *file = history_last(&m.history);
	uint64_t records, first, skipped = 0;

	for (size_t i = m.written_cnt; i < m.published_cnt; i++)
		if (m.published[i].table == MARK)
			return;
	streams_feed(&m.all, m.now);
	if (consumer_is_busy(&r->c) ||
	    (r->c.here.stream != NULL &&
	     !streams_is_level(&m.all, r->c.here.stream)))
		return;
	if (chance_below(&chance, 3) == 0)
		file = container_of(m.history.files.next, struct history_file,
				    node);
	records =
		file->is_ended ? file->written_records : visible_records(file);
	first = chance_between(&chance, 0, records);
	if (chance_below(&chance, 2) == 0)
		skipped = chance_below(&chance, 4);
	ask(r, chance_below(&chance, 3) == 0 ? 0 : 50, file, first, skipped,
	    &selection);
}

/* A slow reader leaves or skips; sometimes one that is not slow. */
static void
walk_slow(struct reader *r)
{
	uint64_t lag, ring;

	consumer_ring_lag(&r->c, &lag, &ring);
	if (ring == 0 || (lag < ring / 2 && chance_below(&chance, 10) != 0))
		return;
	/* its write is cancelled first */
	if (r->c.writing == PART_STREAM)
		complete(r, some_of(r->span.len));
	else if (r->c.policy == SLOW_SPILL)
		(void)spill(r);
	else
		skip_ahead(r);
}

/* A reader of the past continues there, or returns to the ring. */
static void
walk_past(struct reader *r)
{
	enum serving how = SERVE_WHOLE;

	if (!consumer_needs_read(&r->c))
		return;
	if (chance_below(&chance, 3) == 0 && come_back(r))
		return;
	if (chance_below(&chance, 6) == 0)
		how = chance_below(&chance, 2) == 0 ? SERVE_REST : SERVE_PIECE;
	serve(r, chance_below(&chance, 12), how);
}

/* Changes how fast it reads. */
static void
walk_mood(struct reader *r)
{
	r->laziness = 0;
	if (chance_below(&chance, 3) == 0)
		r->laziness = 20 * (unsigned)chance_between(&chance, 1, 4);
}

static void
step(void)
{
	struct reader *r = &m.readers[chance_below(&chance, READERS)];
	uint64_t what = chance_below(&chance, 1000);

	m.now += (int64_t)chance_below(&chance, NS_PER_MS);
	if (chance_below(&chance, 500) == 0)
		m.now += (int64_t)chance_below(&chance, 3 * NS_PER_S);
	if (what < 150)
		walk_put();
	else if (what < 550)
		for (size_t i = 0; i < READERS; i++)
			walk_write(&m.readers[i]);
	else if (what < 595)
		walk_queue(r);
	else if (what < 600 && are_asking)
		walk_ask(r);
	else if (what < 700)
		walk_slow(r);
	else if (what < 850)
		for (size_t i = 0; i < READERS; i++)
			walk_past(&m.readers[i]);
	else if (what < 930)
		journal_write(chance_below(&chance, 8));
	else if (what < 932 && r->c.writing == PART_NONE)
		vanish(r);
	else if (what < 950)
		walk_mood(r);
	for (size_t i = 0; i < READERS; i++)
		check_reader(&m.readers[i]);
}

/* All rare cases have occurred.  Each limit is far below what chance gives:
 * less than half of the least in 60 walks. */
static void
check_reach(void)
{
	assert_true(m.refusals > 20 && m.seams > 50 && m.trims > 50);
	assert_true(m.torn_skips > 2 && m.read_skips > 2 &&
		    m.stream_changes > 10);
	assert_true(m.spills > 30 && m.torn_spills > 5);
	assert_true(m.busy_spills > 5 && m.change_spills > 0);
	assert_true(m.far_spills > 20 && m.marks > 50);
	assert_true(m.past_changes > 20 && m.past_replies > 50);
	assert_true(m.rests > 50 && m.pieces > 50);
	assert_true(m.returns > 30 && m.filtered_returns > 10);
	assert_true(m.gate_waits > 50);
	if (are_asking)
		assert_true(m.requests > 50 && m.old_requests > 5);
}

static void
walk(uint64_t pos, bool is_gated)
{
	model_start(pos, is_gated);
	mark_pos = pos;
	are_asking = pos != 0;
	for (unsigned i = 0; i < STEPS; i++) {
		step();
		if (i % 20000 == 19999)
			drain();
	}
	drain();
	check_reach();
	model_stop();
}

static void
test_random_walk(void **state)
{
	(void)state;
	chance = chance_start("consumer walk");
	walk(0, false);
	walk(UINT64_MAX - 100000, false);
}

/* Consumers see only frames that are in the journal. */
static void
test_random_walk_gated(void **state)
{
	(void)state;
	chance = chance_start("gated consumer walk");
	walk(0, true);
	walk(UINT64_MAX - 100000, true);
}

/* ---- single steps: cases that the walk reaches but does not explain ---- */

static struct selection
everything(void)
{
	return selection_all(&m.schema);
}

/* With nothing to do there is no write, not one of 0 bytes. */
static void
test_nothing_to_do(void **state)
{
	struct reader *r = &m.readers[0];
	struct selection s = everything();

	(void)state;
	assert_false(submit(r, 1000));
	queue(r, 0, NULL, NULL, false);
	assert_false(consumer_is_busy(&r->c));
	assert_false(submit(r, 1000));
	queue(r, 0, &m.all.main, &s, false);
	assert_false(consumer_is_busy(&r->c));
	assert_true(consumer_is_subscribed(&r->c));
	assert_false(submit(r, 1000));
	vanish(r);
}

/* Invariant 4: the reply comes after the frames committed before, and before
 * later ones; the consumer is busy until its last byte was accepted. */
static void
test_a_reply_has_its_place(void **state)
{
	struct reader *r = &m.readers[0];
	struct selection s = everything();

	(void)state;
	queue(r, 0, &m.all.main, &s, false);
	assert_true(put(0, 100));
	queue(r, 50, NULL, NULL, false);
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
	vanish(r);
}

/* The journal's file may be cut: a gate that was open stays open for the whole
 * reply. */
static void
test_a_gate_falls(void **state)
{
	struct reader *r = &m.readers[0];
	struct selection s = everything();
	uint64_t reached = m.all.main.head_pos;

	(void)state;
	queue(r, 0, &m.all.main, &s, false);
	consumer_queue(&r->c, 50, NULL,
		       (struct reply_gate){ .reached = &reached,
					    .pos = reached + 100 });
	assert_false(consumer_next(&r->c, 1000, &r->span));
	assert_true(consumer_waits_for_gate(&r->c));
	reached += 100;
	assert_true(consumer_next(&r->c, 1000, &r->span));
	reached -= 100;
	assert_true(consumer_next(&r->c, 1000, &r->span));
	assert_int_equal(r->span.part, PART_REPLY);
	assert_false(consumer_waits_for_gate(&r->c));
	vanish(r);
}

/* Invariant 3: a cancelled write moved nothing, and is tried again. */
static void
test_a_cancelled_write(void **state)
{
	struct reader *r = &m.readers[0];
	struct selection s = everything();

	(void)state;
	queue(r, 0, &m.all.main, &s, false);
	assert_true(put(0, 300));
	assert_true(submit(r, 1000));
	assert_true(consumer_cancel(&r->c));
	assert_false(consumer_cancel(&r->c));
	complete(r, 0);
	assert_int_equal(r->c.state, CONSUMER_LIVE);
	assert_true(submit(r, 1000));
	assert_int_equal(r->span.len, 300);
	complete(r, 300);
	vanish(r);
}

/* Invariant 2: a span in flight is not overwritten, however long it takes. */
static void
test_a_span_in_flight_holds_the_ring(void **state)
{
	struct reader *r = &m.readers[0];
	struct selection s = everything();

	(void)state;
	queue(r, 0, &m.all.main, &s, false);
	assert_true(put(0, 300));
	assert_true(submit(r, 1000));
	while (put(0, 300))
		journal_write(1);
	assert_true(cursor_lag(&r->c.here) <= RING_BYTES);
	complete(r, 300);
	assert_true(submit(r, 3000));
	assert_false(put(0, 3000));
	complete(r, 3000);
	assert_true(put(0, 300));
	vanish(r);
}

/* Three records, and a mark if that is wanted; most of the first one is
 * sent. */
static void
send_part_of_three(struct reader *r, bool wants_mark)
{
	struct selection s = everything();

	queue(r, 0, &m.all.main, &s, false);
	for (int i = 0; i < 3; i++)
		assert_true(put(i, 200));
	if (wants_mark)
		assert_true(put(MARK, 0));
	assert_true(submit(r, 150));
	complete(r, 150);
}

/* A skip in the middle of a frame: its rest comes, then new frames. */
static void
test_skip_mid_frame(void **state)
{
	struct reader *r = &m.readers[0];

	(void)state;
	send_part_of_three(r, true);
	skip_ahead(r); /* loses two records; the mark is kept for later */
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
	assert_true(submit(r, 1000));
	assert_int_equal(r->c.writing, PART_NOTICE);
	complete(r, 20);
	/* a half-sent notice is finished, and a second one follows */
	assert_true(put(MARK, 0));
	skip_ahead(r);
	assert_true(submit(r, 1000));
	complete(r, MARK_BYTES - 20);
	assert_true(submit(r, 1000));
	assert_int_equal(r->c.writing, PART_NOTICE);
	complete(r, MARK_BYTES);
	assert_false(submit(r, 1000));
	assert_true(put(1, 400));
	assert_true(submit(r, 1000));
	complete(r, 400);
	assert_int_equal(r->cnt, 0);
	vanish(r);
}

/* The places of lost records are of the running day: those of the day before
 * are not told after its end. */
static void
test_skips_before_and_after_a_mark(void **state)
{
	struct reader *r = &m.readers[0];

	(void)state;
	send_part_of_three(r, false);
	skip_ahead(r);
	consumer_tell_skip(&r->c, 1, 3, 0);
	assert_true(put(MARK, 0));
	assert_true(put(0, 200));
	skip_ahead(r);
	consumer_tell_skip(&r->c, 0, 1, 1);
	assert_int_equal(r->c.notice.from_record, 0);
	assert_int_equal(r->c.notice.to_record, 1);
	/* and without a later record */
	assert_true(put(MARK, 0));
	skip_ahead(r);
	consumer_tell_skip(&r->c, 0, 0, 2);
	assert_true(submit(r, 1000));
	assert_int_equal(r->c.writing, PART_REST);
	complete(r, 50);
	assert_true(submit(r, 1000));
	assert_int_equal(r->c.writing, PART_NOTICE);
	assert_int_equal(r->span.len, MARK_BYTES);
	complete(r, MARK_BYTES);
	assert_false(submit(r, 1000));
	vanish(r);
}

/* When the journal loses records, later ones get lower numbers: a notice that
 * waits is numbered anew, unless it is of another day than the loss. */
static void
test_skips_before_a_loss(void **state)
{
	static const struct {
		struct journal_loss loss;
		uint64_t from, to;
	} rows[] = {
		{ { .marks = 1, .record = 0, .cnt = 9 }, 30, 50 },
		{ { .marks = 0, .record = 60, .cnt = 9 }, 30, 50 },
		{ { .marks = 0, .record = 40, .cnt = 3 }, 30, 47 },
		{ { .marks = 0, .record = 40, .cnt = 100 }, 30, 40 },
		{ { .marks = 0, .record = 20, .cnt = 5 }, 25, 45 },
		{ { .marks = 0, .record = 20, .cnt = 15 }, 20, 35 },
		{ { .marks = 0, .record = 20, .cnt = 100 }, 20, 20 },
	};
	struct reader *r = &m.readers[0];

	(void)state;
	send_part_of_three(r, false);
	skip_ahead(r);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		r->c.notice.has_range = false;
		consumer_tell_skip(&r->c, 30, 50, 0);
		consumer_renumber_skips(&r->c, &rows[i].loss);
		assert_int_equal(r->c.notice.from_record, rows[i].from);
		assert_int_equal(r->c.notice.to_record, rows[i].to);
		assert_int_equal(r->c.notice.has_range,
				 rows[i].from < rows[i].to);
	}
	vanish(r);
}

/* A reply is never skipped; it comes after the rest. */
static void
test_skip_with_a_reply(void **state)
{
	struct reader *r = &m.readers[0];
	struct selection s = everything();

	(void)state;
	queue(r, 0, &m.all.main, &s, false);
	assert_true(put(0, 200));
	assert_true(put(0, 200));
	queue(r, 60, NULL, NULL, false);
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
	vanish(r);
}

/* Frames that wait for a reply are lag as well: in bytes, records and time. */
static void
test_lag_behind_a_reply(void **state)
{
	struct reader *r = &m.readers[0];
	struct selection s = everything();
	uint64_t records;
	int64_t age;

	(void)state;
	queue(r, 0, &m.all.main, &s, false);
	queue(r, 50, NULL, NULL, false);
	assert_true(put(0, 200));
	assert_true(put(1, 300));
	m.now += NS_PER_S;
	assert_int_equal(consumer_lag_bytes(&r->c), 550);
	assert_int_equal(r->c.high_bytes, 550);
	consumer_lag_records(&r->c, m.now, &records, &age);
	assert_int_equal(records, 2);
	assert_int_equal(age, NS_PER_S);
	vanish(r);
}

/* From a filtered stream to the main one and back: frames after the request
 * come by the new stream, once, also while the old one lags. */
static void
test_change_of_stream(void **state)
{
	struct reader *r = &m.readers[0];
	struct selection one = { .tables = { 1 } }, s = everything();
	struct stream *filtered = streams_find(&m.all, &one, 0);

	(void)state;
	queue(r, 30, filtered, &one, false);
	assert_true(put(0, 200));
	assert_true(put(1, 300));
	streams_feed(&m.all, m.now);
	assert_true(submit(r, 1000));
	complete(r, 30);
	queue(r, 40, &m.all.main, &s, false);
	assert_true(put(0, 250));
	assert_true(put(1, 350));
	streams_feed(&m.all, m.now);
	assert_int_equal(consumer_lag_bytes(&r->c), 200 + 40 + 250 + 350);
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
	vanish(r);
}

/* A skip while a change of stream waits: no cursor holds the old stream, and
 * the change still takes place. */
static void
test_skip_during_a_change(void **state)
{
	struct reader *r = &m.readers[0];
	struct selection one = { .tables = { 1 } }, s = everything();
	struct stream *filtered = streams_find(&m.all, &one, 0);

	(void)state;
	queue(r, 0, filtered, &one, false);
	assert_true(put(0, 200));
	assert_true(put(0, 200));
	streams_feed(&m.all, m.now);
	queue(r, 40, &m.all.main, &s, false);
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
	vanish(r);
}

/* The fuller of two rings counts. */
static void
test_ring_lag(void **state)
{
	struct reader *r = &m.readers[0];
	struct selection one = { .tables = { 1 } }, s = everything();
	struct stream *filtered = streams_find(&m.all, &one, 0);
	uint64_t lag, ring;

	(void)state;
	consumer_ring_lag(&r->c, &lag, &ring);
	assert_int_equal(lag, 0);
	assert_int_equal(ring, 0);
	queue(r, 0, filtered, &one, false);
	for (unsigned i = 0; i < 4; i++)
		assert_true(put(0, 1024));
	streams_feed(&m.all, m.now);
	queue(r, 10, &m.all.main, &s, false);
	consumer_ring_lag(&r->c, &lag, &ring);
	assert_int_equal(lag, 4096);
	assert_int_equal(ring, FILTERED_BYTES);
	for (unsigned i = 0; i < 9; i++)
		assert_true(put(1, 1024));
	consumer_ring_lag(&r->c, &lag, &ring);
	assert_int_equal(lag, 9 * 1024);
	assert_int_equal(ring, RING_BYTES);
	/* A reader in the way of a message counts as lagging the whole ring. */
	assert_false(put(1, 8000));
	consumer_ring_lag(&r->c, &lag, &ring);
	assert_int_equal(lag, RING_BYTES);
	vanish(r);
}

/* ---- single steps in the past ---- */

/* Sends a part, which must have len bytes. */
static void
expect(struct reader *r, enum consumer_part part, size_t len)
{
	assert_true(submit(r, 10000));
	assert_int_equal(r->c.writing, part);
	assert_int_equal(r->span.len, len);
	complete(r, len);
	check_reader(r);
}

/* A half-sent frame continues at its next byte, from the journal; new frames
 * come from the ring again. */
static void
test_leave_mid_frame(void **state)
{
	struct reader *r = &m.readers[SKIPPERS];
	struct selection s = everything();

	(void)state;
	queue(r, 0, &m.all.main, &s, false);
	for (int i = 0; i < 3; i++)
		assert_true(put(i, 200));
	assert_true(submit(r, 250));
	complete(r, 250);
	/* The next record is not in the journal yet: no consumer leaves. */
	assert_false(spill(r));
	journal_write(1);
	assert_false(spill(r));
	journal_write(1);
	assert_true(spill(r));
	check_reader(r);
	serve(r, 10, SERVE_WHOLE);
	expect(r, PART_JOURNAL, 150);
	assert_false(submit(r, 1000));
	journal_write(1);
	assert_true(put(0, 300));
	serve(r, 10, SERVE_WHOLE);
	expect(r, PART_JOURNAL, 200);
	assert_true(come_back(r));
	expect(r, PART_STREAM, 300);
	assert_int_equal(r->c.past.served_records, 2);
	vanish(r);
}

/* Invariant 4, in the past: the reply comes after the frames committed
 * before. */
static void
test_a_reply_in_the_past(void **state)
{
	struct reader *r = &m.readers[SKIPPERS];
	struct selection s = everything();

	(void)state;
	queue(r, 0, &m.all.main, &s, false);
	assert_true(put(0, 100));
	queue(r, 50, NULL, NULL, false);
	assert_true(put(1, 200));
	journal_write(2);
	assert_true(spill(r));
	assert_false(submit(r, 1000));
	serve(r, 10, SERVE_WHOLE);
	expect(r, PART_JOURNAL, 100);
	assert_false(come_back(r));
	expect(r, PART_REPLY, 50);
	serve(r, 10, SERVE_WHOLE);
	expect(r, PART_JOURNAL, 200);
	vanish(r);
}

/* It leaves while its reply is half sent, and its stream has only later frames:
 * these are not sent first. */
static void
test_leave_behind_the_limit(void **state)
{
	struct reader *r = &m.readers[SKIPPERS];
	struct selection one = { .tables = { 1 } };

	(void)state;
	queue(r, 0, streams_find(&m.all, &one, 0), &one, false);
	assert_true(put(1, 100));
	streams_feed(&m.all, m.now);
	queue(r, 50, NULL, NULL, false);
	assert_true(submit(r, 1000));
	complete(r, 20);
	assert_true(put(2, 200));
	assert_true(put(0, 300));
	streams_feed(&m.all, m.now);
	journal_write(3);
	assert_true(spill(r));
	serve(r, 10, SERVE_WHOLE);
	expect(r, PART_REPLY, 30);
	serve(r, 10, SERVE_WHOLE);
	expect(r, PART_JOURNAL, 300);
	vanish(r);
}

/* A subscription without a reply, after frames that are not wanted: no
 * completion of a write will end it. */
static void
test_a_change_without_bytes(void **state)
{
	struct reader *r = &m.readers[SKIPPERS];
	struct selection one = { .tables = { 1 } }, two = { .tables = { 2 } };

	(void)state;
	queue(r, 0, streams_find(&m.all, &one, 0), &one, false);
	assert_true(put(0, 100));
	streams_feed(&m.all, m.now);
	journal_write(1);
	assert_true(spill(r));
	assert_true(put(1, 200));
	queue(r, 0, NULL, &two, false);
	assert_true(put(1, 300));
	journal_write(2);
	serve(r, 1, SERVE_WHOLE);
	expect(r, PART_JOURNAL, 100);
	assert_true(consumer_is_busy(&r->c));
	serve(r, 10, SERVE_WHOLE);
	assert_false(submit(r, 1000));
	assert_true(consumer_advance(&r->c));
	assert_false(consumer_is_busy(&r->c));
	check_reader(r);
	serve(r, 10, SERVE_WHOLE);
	expect(r, PART_JOURNAL, 300);
	vanish(r);
}

/* A client that claims more records than there are is detected before any byte
 * is sent to it. */
static void
test_claims_too_much(void **state)
{
	struct reader *r = &m.readers[SKIPPERS];
	struct selection one = { .tables = { 1 } };
	struct past_request request = { .skip_records = 3,
					.epoch_limit = 4,
					.end_record = 4 };

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_true(put(i % 2, 100));
	journal_write(4);
	request.place = history_find_record(history_last(&m.history), 0);
	consumer_queue_past(&r->c, 0, &one, &request, (struct reply_gate){ 0 },
			    m.now);
	assert_false(consumer_claims_too_much(&r->c));
	serve(r, 3, SERVE_WHOLE);
	assert_false(consumer_claims_too_much(&r->c));
	serve(r, 1, SERVE_WHOLE);
	assert_true(consumer_claims_too_much(&r->c));
	assert_false(submit(r, 1000));
	assert_false(come_back(r));
	vanish(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
		TEST(test_nothing_to_do),
		TEST(test_a_reply_has_its_place),
		TEST(test_a_gate_falls),
		TEST(test_a_cancelled_write),
		TEST(test_a_span_in_flight_holds_the_ring),
		TEST(test_skip_mid_frame),
		TEST(test_skips_before_and_after_a_mark),
		TEST(test_skips_before_a_loss),
		TEST(test_skip_with_a_reply),
		TEST(test_lag_behind_a_reply),
		TEST(test_change_of_stream),
		TEST(test_skip_during_a_change),
		TEST(test_ring_lag),
		TEST(test_leave_mid_frame),
		TEST(test_a_reply_in_the_past),
		TEST(test_leave_behind_the_limit),
		TEST(test_a_change_without_bytes),
		TEST(test_claims_too_much),
		cmocka_unit_test(test_random_walk),
		cmocka_unit_test(test_random_walk_gated),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
