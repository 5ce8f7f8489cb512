/*
 * The way back to the rings, and what is counted of them: a random walk over
 * streams whose readers come and go at any position that was ever in the main
 * stream, against the plain list of its frames.
 */
#include "config.h"

#include "ring/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../frames.h"
#include "base/util.h"

enum {
	RING_BYTES = 16384,
	FILTERED_BYTES = 4096,
	FILTERED_MAX = 2,
	FRAME_MAX = 1000,
	FRAMES_MAX = 1 << 17,
	READERS = 6,
	STEPS = 100000,
};

struct frame {
	const struct schema_table *table; /* NULL: a mark */
	uint64_t number;
	size_t len;
	uint64_t pos;
};

struct reader {
	struct cursor c;
	struct selection selection;
	size_t next; /* the frame that it is to read, if it is wanted, ... */
	size_t sent; /* ... but for these bytes */
	bool is_asleep;
};

static struct schema schema;
static struct streams all;
static struct frame frames[FRAMES_MAX];
static size_t frames_cnt, visible_cnt;
static struct reader readers[READERS];
static struct cursor shown; /* as the journal's: keeps what is not visible */
static uint64_t begun_pos[FILTERED_MAX]; /* where each filtered stream began */
static struct chance chance;
static int64_t now;
static bool is_trickle;

/* How often it went where it hurts. */
static unsigned refusals, main_returns, joined, begun, main_gone, filtered_gone,
	not_fed, too_early, none_free, behind_tail, rare_returns, thinned;

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
start(uint64_t pos, bool is_gated)
{
	streams_open_at(&all, &schema, RING_BYTES, FILTERED_MAX, FILTERED_BYTES,
			pos);
	all.main.is_gated = is_gated;
	if (is_gated)
		cursor_attach(&shown, &all.main, all.main.visible_pos);
	memset(readers, 0, sizeof(readers));
	frames_cnt = visible_cnt = 0;
	now = 1;
	is_trickle = false;
	main_returns = joined = begun = main_gone = filtered_gone = 0;
	not_fed = too_early = none_free = behind_tail = 0;
	rare_returns = thinned = refusals = 0;
}

static bool
is_before(uint64_t a, uint64_t b)
{
	return (int64_t)(a - b) < 0;
}

/* ---- the list ---- */

/* Start of a frame, or the head. */
static uint64_t
pos_of(size_t i)
{
	return i == frames_cnt ? all.main.head_pos : frames[i].pos;
}

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

/* The frame at a position, which is one's start; or frames_cnt. */
static size_t
frame_at(uint64_t pos)
{
	size_t i = frames_cnt;

	while (i > 0 && !is_before(frames[i - 1].pos, pos))
		i--;
	assert_int_equal(pos_of(i), pos);
	return i;
}

/* Of a selection, what is in the frames [from, to). */
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

/* All that is there for it is what it is to read: and stays unread. */
static void
check_unread(const struct reader *r)
{
	struct reader copy = *r;

	read_bytes(&copy, cursor_lag(&r->c));
}

/* ---- where a cursor is ---- */

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
	place = stream_main_place(r->c.stream, r->c.pos);
	main_pos = place.main_pos;
	skip_bytes = place.skip_bytes;
	assert_true(!is_before(main_pos, oldest));
	i = frame_at(main_pos);
	assert_true(i <= next);
	skipped = total_of(&r->selection, i, next);
	assert_int_equal(skip_bytes, skipped.bytes + r->sent);
}

static void
check_stream(const struct stream *s)
{
	struct stream_total lacks = { 0 }, unfed;

	if (!s->is_main && s->fed.stream == NULL)
		return;
	assert_true(s->head_pos - s->tail_pos <= s->ring.size);
	if (!s->is_main)
		lacks = total_of(&s->selection, frame_at(s->fed.pos),
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
	for (unsigned i = 0; i < FILTERED_MAX; i++)
		if (all.filtered[i].fed.stream != NULL &&
		    selection_is_equal(s, &all.filtered[i].selection))
			return &all.filtered[i];
	return NULL;
}

static bool
is_any_free(void)
{
	for (unsigned i = 0; i < FILTERED_MAX; i++)
		if (all.filtered[i].fed.stream == NULL)
			return true;
	return false;
}

/* Bytes that a ring holds are gone for who comes back if the index entry before
 * them is gone. */
static uint64_t
kept_bytes(uint64_t ring_bytes)
{
	return ring_bytes - ring_bytes / 16 - FRAME_MAX;
}

/* Whether there is a reason for not coming back to the frames from i on. */
static bool
may_refuse(const struct selection *selection, const struct stream *s, size_t i)
{
	struct stream_total behind;

	if (all.main.head_pos - pos_of(i) > kept_bytes(RING_BYTES))
		return ++main_gone;
	if (s == NULL)
		return !is_any_free() && ++none_free;
	if (s->is_main)
		return false;
	if (is_before(s->fed.pos, pos_of(i)))
		return ++not_fed;
	if (is_before(pos_of(i), begun_pos[s->id - 1]))
		return ++too_early;
	behind = total_of(selection, i, frame_at(s->fed.pos));
	return behind.bytes > kept_bytes(FILTERED_BYTES) && ++filtered_gone;
}

/* Counts what kind of return it was. */
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
		begun_pos[s->id - 1] = pos_of(i);
		return;
	}
	/* The last one before is no longer in the main ring. */
	while (last > 0 && !is_wanted(&r->selection, &frames[last - 1]))
		last--;
	rare_returns += !s->is_main && last > 0 &&
			all.main.head_pos - frames[last - 1].pos > RING_BYTES;
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
	/* What was overwritten is no frame any more. */
	if (all.main.head_pos - pos_of(i) > 2 * RING_BYTES)
		return;
	if (!streams_resume(&all, &r->selection, 0, pos_of(i), &r->c)) {
		assert_null(r->c.stream);
		assert_true(may_refuse(&r->selection, s, i));
		return;
	}
	if (s != NULL)
		assert_ptr_equal(r->c.stream, s);
	assert_true(selection_is_equal(&r->c.stream->selection, &r->selection));
	note_return(r, s, i, tail_pos);
}

/* A new subscriber: begins with what is not visible yet. */
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
		begun_pos[s->id - 1] = all.main.visible_pos;
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
						 FRAME_MAX),
			   .pos = all.main.head_pos };
	size_t cnt_before = all.main.index.cnt;

	if (is_trickle)
		f.len = chance_between(&chance, FRAME_RECORD_MIN, 110);
	if (chance_below(&chance, 100) == 0) {
		f.table = NULL;
		f.len = FRAME_MARK_BYTES;
	}
	assert_true(frames_cnt < FRAMES_MAX);
	if (!streams_put(&all, f.table, f.number, f.len, now)) {
		refusals++;
		return;
	}
	frames[frames_cnt++] = f;
	thinned += all.main.index.cnt + 10 < cnt_before;
	if (!all.main.is_gated)
		visible_cnt = frames_cnt;
}

static void
walk_show(void)
{
	if (!all.main.is_gated)
		return;
	visible_cnt += chance_below(&chance, frames_cnt - visible_cnt + 1);
	stream_show(&all.main, pos_of(visible_cnt), now);
	shown.pos = all.main.visible_pos;
}

static void
walk_reader(struct reader *r)
{
	uint64_t lag = cursor_lag(&r->c);

	/* One stands still until the ring is full, and longer. */
	if (r == &readers[0] && r->c.stream != NULL &&
	    chance_below(&chance, r->is_asleep ? 6 : 20) == 0)
		r->is_asleep = !r->is_asleep;
	if (r->is_asleep)
		return;
	if (r->c.stream == NULL) {
		if (chance_below(&chance, 3) > 0)
			come_back(r);
		else
			subscribe(r);
	} else if (chance_below(&chance, 20) == 0) {
		cursor_detach(&r->c);
	} else {
		read_bytes(r, chance_below(&chance, 2) == 0
				      ? lag
				      : chance_below(&chance, lag + 1));
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
		streams_feed(&all, now);
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
		cursor_detach(&readers[i].c);
	if (is_gated)
		cursor_detach(&shown);
	assert_true(main_returns > 50 && joined > 50 && begun > 20);
	assert_true(behind_tail > 30 && rare_returns > 5 && thinned > 20);
	assert_true(main_gone > 50 && filtered_gone > 5 && none_free > 50);
	assert_true(not_fed > 3 && too_early > 0 && refusals > 1000);
	streams_close(&all);
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

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
