/*
 * The way back to the rings, and the streams' totals: a random walk over
 * streams whose readers come and go at any position that was ever in the main
 * stream, against the plain list of its frames.
 */
#include "config.h"

#include "ring/streams.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../frames.h"
#include "../stream_walk.h"
#include "base/util.h"

enum {
	RING_BYTES = 16384,
	FILTERED_BYTES = 4096,
	FILTERED_MAX = 2,
	FRAME_MAX = 1000,
	READERS = 6,
	STEPS = 100000,
};

struct frame {
	const struct schema_table *table; /* NULL: a mark */
	uint64_t number;
	size_t len;
};

struct reader {
	struct cursor c;
	struct selection selection;
	size_t next; /* the frame to be read next, if it is wanted, ... */
	size_t sent; /* ... except these bytes */
	bool is_asleep;
};

static const struct streams_options options = {
	.main_bytes = RING_BYTES,
	.filtered_max = FILTERED_MAX,
	.filtered_bytes = FILTERED_BYTES,
	.symbols_max = 1,
	.sets_max = 1,
	.message_max = RING_BYTES / 4,
};

static struct frame frames[WALK_FRAMES_MAX];
static struct reader readers[READERS];
static bool is_trickle;

/* Counts of the rare cases. */
static unsigned refusals, main_returns, joined, begun, behind_tail,
	rare_returns, thinned;

static int64_t fed_ns[WALK_FRAMES_MAX];
static size_t fed_cnt;

static void
start(uint64_t pos, bool is_gated)
{
	walk_open(&options, pos, is_gated);
	memset(readers, 0, sizeof(readers));
	is_trickle = false;
	refused = (struct refused){ 0 };
	refusals = main_returns = joined = begun = 0;
	fed_cnt = 0;
	behind_tail = rare_returns = thinned = 0;
}

/* ---- the list ---- */

static bool
is_wanted(const struct selection *s, const struct frame *f)
{
	return f->table == NULL || selection_has(s, f->table->idx);
}

/* The first wanted frame from i on; frames_cnt: none. */
static size_t
wanted_from(const struct selection *s, size_t i)
{
	while (i < frames_cnt && !is_wanted(s, &frames[i]))
		i++;
	return i;
}

/* A selection's total in the frames [from, to). */
static struct stream_total
total_of(const struct selection *s, size_t from, size_t to)
{
	struct stream_total total = { 0 };

	for (size_t i = from; i < to; i++) {
		if (!is_wanted(s, &frames[i]))
			continue;
		total.records += frames[i].table != NULL;
		total.bytes += frames[i].len;
	}
	return total;
}

/* ---- reading ---- */

/* The reader's next `len` bytes are the right ones, and it has read them. */
static void
read_bytes(struct reader *r, uint64_t len)
{
	uint8_t expected[FRAME_MAX];

	while (len > 0) {
		size_t n;

		r->next = wanted_from(&r->selection, r->next);
		assert_true(r->next < visible_cnt);
		n = min_u64(len, frames[r->next].len - r->sent);
		frame_make(expected, frames[r->next].table,
			   frames[r->next].number, frames[r->next].len);
		assert_memory_equal(ring_at(&r->c.stream->ring, r->c.pos),
				    expected + r->sent, n);
		r->c.pos += n;
		r->sent += n;
		len -= n;
		if (r->sent == frames[r->next].len) {
			r->next++;
			r->sent = 0;
		}
	}
}

/* Checks the bytes that the reader has not read, without reading them. */
static void
check_unread(const struct reader *r)
{
	struct reader copy = *r;

	read_bytes(&copy, cursor_lag(&r->c));
}

/* ---- where a cursor is ---- */

/* Feeds the streams.  No later stream may take frames for younger than that. */
static void
feed(void)
{
	streams_feed(&all, now);
	while (fed_cnt < visible_cnt)
		fed_ns[fed_cnt++] = now;
}

static void
check_main_place(const struct reader *r)
{
	struct stream_source place;
	uint64_t main_pos, skip_bytes, oldest = streams_oldest_pos(&all);
	size_t next = wanted_from(&r->selection, r->next);
	struct stream_total skipped;
	size_t i;

	if (r->c.pos != r->c.stream->head_pos)
		assert_int_equal(stream_locate(r->c.stream, r->c.pos).frame_pos,
				 r->c.pos - r->sent);
	if (r->c.pos != r->c.stream->head_pos && next < fed_cnt)
		assert_true(stream_locate(r->c.stream, r->c.pos).time_ns <=
			    fed_ns[next]);
	place = stream_main_place(r->c.stream, r->c.pos);
	main_pos = place.main_pos;
	skip_bytes = place.skip_bytes;
	assert_true(!is_before(main_pos, oldest));
	i = walk_frame_at(main_pos);
	assert_true(i <= next);
	skipped = total_of(&r->selection, i, next);
	assert_int_equal(skip_bytes, skipped.bytes + r->sent);
}

static void
check_stream(const struct stream *s)
{
	struct stream_total lacks = { 0 }, unfed;

	if (!is_in_use(s))
		return;
	assert_true(s->head_pos - s->tail_pos <= s->ring.size);
	if (!s->is_main)
		lacks = total_of(&s->selection, walk_frame_at(s->fed.pos),
				 visible_cnt);
	unfed = streams_unfed(&all, s);
	assert_int_equal(unfed.records, lacks.records);
	assert_int_equal(unfed.bytes, lacks.bytes);
}

static void
check_totals(void)
{
	struct selection s = { .tables = { chance_below(&chance, 8) } };
	struct stream_total told = streams_total(&all, &s);
	struct stream_total total = total_of(&s, 0, visible_cnt);

	assert_int_equal(told.records, total.records);
	assert_int_equal(told.bytes, total.bytes);
}

static void
check(void)
{
	check_totals();
	check_stream(&all.main);
	for (unsigned i = 0; i < FILTERED_MAX; i++)
		check_stream(&all.filtered[i]);
	for (size_t i = 0; i < READERS; i++) {
		if (readers[i].c.stream == NULL)
			continue;
		check_unread(&readers[i]);
		check_main_place(&readers[i]);
	}
}

/* ---- coming back ---- */

/* The stream in use that has the selection; NULL: none. */
static const struct stream *
stream_in_use(const struct selection *s)
{
	if (selection_is_equal(s, &all.main.selection))
		return &all.main;
	return filtered_in_use(s);
}

/* Bytes of a ring are gone for a returning reader if the index entry before
 * them is gone. */
static uint64_t
kept_bytes(uint64_t ring_bytes)
{
	return ring_bytes - ring_bytes / 16 - FRAME_MAX;
}

/* Whether a return to the frames from i on may be refused. */
static bool
may_refuse(const struct selection *selection, const struct stream *s, size_t i)
{
	struct stream_total behind;

	if (walk_may_refuse(s, i, kept_bytes(RING_BYTES)))
		return true;
	if (s == NULL || s->is_main)
		return false;
	behind = total_of(selection, i, walk_frame_at(s->fed.pos));
	return behind.bytes > kept_bytes(FILTERED_BYTES) &&
	       ++refused.filtered_gone;
}

/* Counts the kinds of returns. */
static void
note_return(const struct reader *r, const struct stream *before, size_t i,
	    uint64_t tail_pos)
{
	const struct stream *s = r->c.stream;
	size_t last = i;

	main_returns += s->is_main;
	joined += !s->is_main && before != NULL;
	behind_tail += before != NULL && is_before(r->c.pos, tail_pos);
	if (before == NULL) {
		begun++;
		begun_at[s->id - 1] = i;
		return;
	}
	/* The last wanted frame before is no longer in the main ring. */
	while (last > 0 && !is_wanted(&r->selection, &frames[last - 1]))
		last--;
	rare_returns += !s->is_main && last > 0 &&
			all.main.head_pos - starts[last - 1] > RING_BYTES;
}

static void
come_back(struct reader *r)
{
	static const unsigned sets[] = { 7, 1, 2, 4, 6 };
	size_t far = chance_below(&chance, min_u64(visible_cnt, 120) + 1);
	size_t i = visible_cnt - far;
	const struct stream *s;
	uint64_t tail_pos = 0;

	r->selection = (struct selection){
		.tables = { sets[chance_below(&chance, 5)] }
	};
	r->next = i;
	r->sent = 0;
	s = stream_in_use(&r->selection);
	if (s != NULL)
		tail_pos = s->tail_pos;
	/* Overwritten bytes are no frames any more. */
	if (all.main.head_pos - starts[i] > 2 * RING_BYTES)
		return;
	if (!streams_resume(&all, &r->selection, 0, starts[i], &r->c)) {
		assert_null(r->c.stream);
		assert_true(may_refuse(&r->selection, s, i));
		return;
	}
	if (s != NULL)
		assert_ptr_equal(r->c.stream, s);
	assert_true(selection_is_equal(&r->c.stream->selection, &r->selection));
	note_return(r, s, i, tail_pos);
}

/* A new subscriber begins with the first frame that is not visible yet. */
static void
subscribe(struct reader *r)
{
	struct selection selection = { .tables = { chance_between(&chance, 1,
								  7) } };
	const struct stream *before = stream_in_use(&selection);
	struct stream *s = streams_find(&all, &selection, 0);

	if (s == NULL)
		return;
	if (!s->is_main && before == NULL)
		begun_at[s->id - 1] = visible_cnt;
	if (!streams_is_level(&all, s))
		return;
	cursor_attach(&r->c, s, s->visible_pos);
	r->selection = selection;
	r->next = visible_cnt;
	r->sent = 0;
}

/* ---- the walk ---- */

static void
walk_put(void)
{
	/* ref is rare */
	unsigned table = chance_below(&chance, 60) == 0
				 ? 1
				 : 2 * (unsigned)chance_below(&chance, 2);
	struct frame f = { .table = &schema.tables[table],
			   .number = frames_cnt,
			   .len = chance_between(&chance, FRAME_RECORD_MIN,
						 FRAME_MAX) };
	size_t cnt_before = all.main.index.cnt;

	if (is_trickle)
		f.len = chance_between(&chance, FRAME_RECORD_MIN, 110);
	if (chance_below(&chance, 100) == 0) {
		f.table = NULL;
		f.len = FRAME_MARK_BYTES;
	}
	assert_true(frames_cnt < WALK_FRAMES_MAX);
	if (!streams_put(&all, f.table, f.number, f.len, now)) {
		refusals++;
		return;
	}
	frames[frames_cnt] = f;
	walk_note_frame();
	thinned += all.main.index.cnt + 10 < cnt_before;
}

static void
walk_reader(struct reader *r)
{
	/* One stands still until the ring is full, and longer. */
	if (r == &readers[0] && r->c.stream != NULL &&
	    walk_nap(&r->is_asleep, 20, 6))
		return;
	if (r->c.stream == NULL) {
		if (chance_below(&chance, 3) > 0)
			come_back(r);
		else
			subscribe(r);
	} else if (chance_below(&chance, 20) == 0) {
		streams_detach(&r->c);
	} else {
		read_bytes(r, walk_part(cursor_lag(&r->c), 2));
	}
}

static void
step(void)
{
	uint64_t what = chance_below(&chance, 100);

	now += is_trickle ? (int64_t)chance_below(&chance, 40 * NS_PER_MS)
			  : (int64_t)chance_below(&chance, NS_PER_MS);
	if (chance_below(&chance, 2000) == 0)
		is_trickle = !is_trickle;
	if (what < 50)
		walk_put();
	else if (what < 60)
		walk_show();
	else if (what < 80)
		feed();
	else
		walk_reader(&readers[chance_below(&chance, READERS)]);
}

static void
walk(uint64_t pos, bool is_gated)
{
	start(pos, is_gated);
	for (unsigned i = 0; i < STEPS; i++) {
		step();
		if (i % 16 == 0)
			check();
	}
	for (size_t i = 0; i < READERS; i++)
		streams_detach(&readers[i].c);
	assert_true(main_returns > 50 && joined > 50 && begun > 20);
	assert_true(behind_tail > 30 && rare_returns > 2 && thinned > 20);
	assert_true(refused.main_gone > 50 && refused.filtered_gone > 5);
	assert_true(refused.not_fed > 3 && refused.too_early > 0);
	assert_true(refused.none_free > 50 && refusals > 1000);
	walk_close();
}

static void
test_random_walk(void **state)
{
	(void)state;
	chance = chance_start("resume walk");
	walk(0, false);
	walk(UINT64_MAX - 100000, false);
}

static void
test_random_walk_gated(void **state)
{
	(void)state;
	chance = chance_start("gated resume walk");
	walk(0, true);
	walk((UINT64_C(1) << 63) - 100000, true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_walk),
		cmocka_unit_test(test_random_walk_gated),
	};

	return cmocka_run_group_tests(tests, schema_open_three, schema_close);
}
