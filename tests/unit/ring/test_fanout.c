/*
 * Streams whose selections filter by symbol: a random walk whose readers come
 * and go, lag, and fill their small rings, against the plain list of messages
 * and a filter that goes through the rows one by one.
 */
#include "config.h"

#include "ring/streams.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../frames.h"
#include "../messages.h"
#include "../stream_walk.h"
#include "base/util.h"

enum {
	RING_BYTES = 16384,
	FILTERED_BYTES = 4096,
	FILTERED_MAX = 5,
	ROWS_MAX = 10,
	FRAME_MAX = 1024,
	MESSAGES_MAX = 1 << 15,
	READERS = 8,
	STEPS = 40000,
};

struct reader {
	struct cursor c;
	struct kind kind;
	size_t next; /* the message to be read next, if it is wanted, ... */
	size_t sent; /* ... except these bytes */
	bool is_asleep;
};

static const struct streams_options options = {
	.main_bytes = RING_BYTES,
	.filtered_max = FILTERED_MAX,
	.filtered_bytes = FILTERED_BYTES,
	.symbols_max = MESSAGE_TABLES * MESSAGE_SYMBOLS,
	.sets_max = KINDS + READERS + FILTERED_MAX + 1,
	.message_max = FRAME_MAX,
};

static struct message messages[MESSAGES_MAX];
static struct reader readers[READERS];
static uint32_t number;
static unsigned cuts;

/* Counts of the rare cases. */
static unsigned refusals, waits, main_returns, joined, begun, shared;

/* ---- kinds ---- */

/* ---- the list ---- */

static size_t
wanted_len(const struct wants *w, size_t i)
{
	uint8_t frame[FRAME_MAX];

	return wants_frame(w, &messages[i], frame);
}

/* The first wanted message from i on; frames_cnt: none. */
static size_t
wanted_from(const struct wants *w, size_t i)
{
	while (i < frames_cnt && wanted_len(w, i) == 0)
		i++;
	return i;
}

/* The wanted part of the messages [from, to). */
static uint64_t
wanted_bytes(const struct wants *w, size_t from, size_t to)
{
	uint64_t bytes = 0;

	for (size_t i = from; i < to; i++)
		bytes += wanted_len(w, i);
	return bytes;
}

/* ---- reading ---- */

/* The reader's next `len` bytes are the right ones, and it has read them. */
static void
read_bytes(struct reader *r, uint64_t len)
{
	uint8_t expected[FRAME_MAX];

	while (len > 0) {
		size_t n, whole;

		r->next = wanted_from(&r->kind.wants, r->next);
		assert_true(r->next < visible_cnt);
		whole = wants_frame(&r->kind.wants, &messages[r->next],
				    expected);
		n = min_u64(len, whole - r->sent);
		assert_memory_equal(ring_at(&r->c.stream->ring, r->c.pos),
				    expected + r->sent, n);
		r->c.pos += n;
		r->sent += n;
		len -= n;
		if (r->sent == whole) {
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
	size_t to;

	read_bytes(&copy, cursor_lag(&r->c));
	assert_int_equal(copy.sent, 0);
	/* ... and these are all that the stream was fed. */
	to = r->c.stream->is_main ? visible_cnt
				  : walk_frame_at(r->c.stream->fed.pos);
	assert_true(wanted_from(&r->kind.wants, copy.next) >= to);
	assert_true(copy.next <= to);
}

/* ---- where a cursor is ---- */

static void
check_main_place(const struct reader *r)
{
	struct stream_source place = stream_main_place(r->c.stream, r->c.pos);
	size_t next = wanted_from(&r->kind.wants, r->next);
	size_t i = walk_frame_at(place.main_pos);
	uint64_t records = 0;

	if (r->c.pos != r->c.stream->head_pos)
		assert_int_equal(stream_locate(r->c.stream, r->c.pos).frame_pos,
				 r->c.pos - r->sent);
	assert_false(is_before(place.main_pos, streams_oldest_pos(&all)));
	assert_true(i <= next);
	assert_int_equal(place.skip_bytes,
			 wanted_bytes(&r->kind.wants, i, next) + r->sent);
	for (size_t k = 0; k < i; k++)
		records += messages[k].t != NULL;
	assert_int_equal(place.main_record, records);
}

/* ---- streams ---- */

static const struct kind *
kind_of(const struct stream *s)
{
	for (size_t i = 0; i < READERS; i++)
		if (readers[i].c.stream == s)
			return &readers[i].kind;
	fail_msg("stream %u has no reader", s->id);
	return NULL;
}

static struct stream_total
total_of(const struct selection *s, size_t from, size_t to)
{
	struct stream_total total = { 0 };

	for (size_t i = from; i < to; i++) {
		const struct message *m = &messages[i];

		if (m->t != NULL && !selection_has(s, m->t->idx))
			continue;
		total.records += m->t != NULL;
		total.bytes += m->len;
	}
	return total;
}

/* The messages that a stream is known to lack; with a filter by symbols, those
 * that it has to look at. */
static void
check_unfed(const struct stream *s)
{
	struct stream_total unfed = streams_unfed(&all, s), lacks;
	const struct kind *k = kind_of(s);
	const struct selection *of = k->selection.symbols == NULL
					     ? &k->selection
					     : &all.main.selection;

	assert_true(selection_is_equal(&s->selection, &k->selection));
	assert_int_equal(streams_can_count(&all, &s->selection),
			 k->selection.symbols == NULL);
	lacks = total_of(of, walk_frame_at(s->fed.pos), visible_cnt);
	assert_int_equal(unfed.records, lacks.records);
	assert_int_equal(unfed.bytes, lacks.bytes);
	assert_int_equal(streams_is_level(&all, s),
			 s->fed.pos == starts[visible_cnt]);
}

static uint64_t
longest_lag(const struct stream *s)
{
	uint64_t longest = 0;

	for (size_t i = 0; i < READERS; i++)
		if (readers[i].c.stream == s)
			longest = max_u64(longest, cursor_lag(&readers[i].c));
	return longest;
}

/* A stream that was not fed to the end has a reader in the way of a message. */
static void
check_fed(void)
{
	for (unsigned i = 0; i < FILTERED_MAX; i++) {
		const struct stream *s = &all.filtered[i];
		size_t len;

		if (!is_in_use(s) || streams_is_level(&all, s))
			continue;
		len = wanted_len(&kind_of(s)->wants, walk_frame_at(s->fed.pos));
		assert_int_equal(s->wanted_bytes, len);
		assert_true(len > 0);
		assert_true(longest_lag(s) + len + FILTERED_BYTES / 16 +
				    FRAME_MAX >
			    FILTERED_BYTES);
		waits++;
	}
}

static void
check(void)
{
	for (unsigned i = 0; i < FILTERED_MAX; i++)
		if (is_in_use(&all.filtered[i]))
			check_unfed(&all.filtered[i]);
	for (size_t i = 0; i < READERS; i++) {
		if (readers[i].c.stream == NULL)
			continue;
		check_unread(&readers[i]);
		check_main_place(&readers[i]);
	}
}

/* ---- coming and going ---- */

/* The stream in use for this selection; NULL: none. */
static const struct stream *
stream_in_use(const struct kind *k)
{
	if (selection_is_equal(&k->selection, &all.main.selection))
		return &all.main;
	for (unsigned i = 0; i < FILTERED_MAX; i++)
		if (is_in_use(&all.filtered[i]) &&
		    memcmp(&kind_of(&all.filtered[i])->wants, &k->wants,
			   sizeof(k->wants)) == 0)
			return &all.filtered[i];
	return NULL;
}

/* Bytes of a ring are gone for a returning reader if the index entry before
 * them is gone, or is overwritten by a half-written message. */
static uint64_t
kept_bytes(uint64_t ring_bytes)
{
	unsigned frames = clock_ns != NULL ? 2 : 1;

	return ring_bytes - ring_bytes / 16 - frames * FRAME_MAX;
}

/* Whether a return to the messages from i on may be refused. */
static bool
may_refuse(const struct kind *k, const struct stream *s, size_t i)
{
	if (walk_may_refuse(s, i, kept_bytes(RING_BYTES)))
		return true;
	return s != NULL && !s->is_main &&
	       wanted_bytes(&k->wants, i, walk_frame_at(s->fed.pos)) >
		       kept_bytes(FILTERED_BYTES) &&
	       ++refused.filtered_gone;
}

static void
note_begin(const struct reader *r, const struct stream *before)
{
	const struct stream *s = r->c.stream;

	if (before != NULL)
		assert_ptr_equal(s, before);
	assert_true(selection_is_equal(&s->selection, &r->kind.selection));
	if (!s->is_main && before == NULL)
		begun_at[s->id - 1] = r->next;
	begun += before == NULL;
	shared += before != NULL && !s->is_main;
}

static void
come_back(struct reader *r)
{
	size_t far = chance_below(&chance, min_u64(visible_cnt, 80) + 1);
	const struct stream *s = stream_in_use(&r->kind);

	r->next = visible_cnt - far;
	/* Overwritten bytes are no messages any more. */
	if (all.main.head_pos - starts[r->next] > 2 * RING_BYTES)
		return;
	if (!streams_resume(&all, &r->kind.selection, 0, starts[r->next],
			    &r->c)) {
		assert_null(r->c.stream);
		assert_true(may_refuse(&r->kind, s, r->next));
		return;
	}
	main_returns += r->c.stream->is_main;
	joined += !r->c.stream->is_main && s != NULL;
	note_begin(r, s);
}

/* Begins with the first message that is not visible yet. */
static void
subscribe(struct reader *r)
{
	const struct stream *before = stream_in_use(&r->kind);
	struct stream *s = streams_find(&all, &r->kind.selection, 0);

	if (s == NULL) {
		assert_false(is_any_free());
		return;
	}
	if (!streams_is_level(&all, s))
		return;
	cursor_attach(&r->c, s, s->visible_pos);
	r->next = visible_cnt;
	note_begin(r, before);
}

static void
begin(struct reader *r)
{
	kind_keep(&r->kind, &kinds[chance_below(&chance, KINDS)]);
	r->sent = 0;
	if (chance_below(&chance, 3) > 0)
		come_back(r);
	else
		subscribe(r);
	if (r->c.stream == NULL)
		selection_drop(symbols(), &r->kind.selection);
}

static void
end(struct reader *r)
{
	streams_detach(&r->c);
	selection_drop(symbols(), &r->kind.selection);
}

/* ---- the walk ---- */

static void
walk_put(void)
{
	struct message *m = &messages[frames_cnt];
	unsigned table = (unsigned)chance_below(&chance, MESSAGE_TABLES);

	/* ref is rare */
	if (table == 2 && chance_below(&chance, 10) > 0)
		table = 0;
	assert_true(frames_cnt + 1 < MESSAGES_MAX);
	if (chance_below(&chance, 100) == 0)
		message_make_mark(m, (int32_t)number);
	else
		message_make(m, &schema.tables[table], ROWS_MAX, number,
			     &chance);
	assert_true(m->len <= FRAME_MAX);
	if (!message_put(&all, m, now)) {
		message_free(m);
		refusals++;
		return;
	}
	number += m->cnt;
	walk_note_frame();
}

static void
walk_reader(struct reader *r)
{
	/* Two stand still until a ring is full, and longer. */
	if (r < &readers[2] && r->c.stream != NULL &&
	    walk_nap(&r->is_asleep, 6, 12))
		return;
	if (r->c.stream == NULL)
		begin(r);
	else if (chance_below(&chance, 8) == 0)
		end(r);
	else
		read_bytes(r, walk_part(cursor_lag(&r->c), 2));
}

/* The sum of the bytes that all streams in use lack. */
static uint64_t
lack(void)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < FILTERED_MAX; i++)
		if (is_in_use(&all.filtered[i]))
			bytes += all.main.visible_pos -
				 all.filtered[i].fed.pos;
	return bytes;
}

/* The place up to which the last, or the first, stream has been fed. */
static size_t
fed_up_to(bool is_most)
{
	size_t found = is_most ? 0 : visible_cnt;

	for (unsigned i = 0; i < FILTERED_MAX; i++) {
		const struct stream *s = &all.filtered[i];
		size_t fed;

		if (!is_in_use(s))
			continue;
		fed = walk_frame_at(s->fed.pos);
		if (is_most ? fed > found : fed < found)
			found = fed;
	}
	return found;
}

/* No message is looked at in vain: only those that a stream gets, and for each
 * stream the one that it has no room for. */
static void
feed(void)
{
	uint64_t looks = all.filter.looks;
	size_t from = fed_up_to(false);

	streams_feed(&all, now);
	looks = all.filter.looks - looks;
	if (looks > 0)
		assert_true(from + looks <= fed_up_to(true) + FILTERED_MAX);
}

/* Changes with each piece of work on a long message. */
static uint64_t
pieces_done(void)
{
	const struct filter *f = &all.long_filter;
	uint64_t done = f->looks + f->picks;

	done = done * 1009 + f->looked_cnt;
	done = done * 1009 + f->writing.column;
	done = done * 1009 + f->writing.done;
	done = done * 1009 + (f->writing.type == 0);
	for (unsigned i = 0; i < FILTERED_MAX; i++)
		done = done * 1009 + all.filtered[i].wants_pos +
		       all.filtered[i].wants_len;
	return done;
}

/* Each call makes progress, and feeding comes to an end; sometimes readers come
 * and go in between. */
static void
walk_feed(void)
{
	for (unsigned left = 10000; left > 0; left--) {
		uint64_t before = lack(), done = pieces_done();

		feed();
		if (!all.is_cut)
			break;
		cuts++;
		assert_true(lack() < before || pieces_done() != done);
		assert_true(left > 1);
		check();
		if (chance_below(&chance, 3) == 0)
			return;
	}
	check_fed();
}

static void
step(void)
{
	uint64_t what = chance_below(&chance, 100);

	now += (int64_t)chance_below(&chance, NS_PER_MS);
	if (what < 45) {
		walk_put();
	} else if (what < 55) {
		walk_show();
	} else if (what < 75) {
		walk_feed();
	} else if (what < 98) {
		walk_reader(&readers[chance_below(&chance, READERS)]);
	} else {
		kind_change(&kinds[chance_below(&chance, KINDS)]);
	}
}

static void
start(uint64_t pos, bool is_gated)
{
	walk_open(&options, pos, is_gated);
	all.piece_rows = 2;
	memset(readers, 0, sizeof(readers));
	number = 0;
	kinds_begin();
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
		end(&readers[i]);
	kinds_end();
	for (unsigned i = 0; i < MESSAGE_TABLES; i++) {
		assert_int_equal(all.filterers[i], 0);
		assert_int_equal(all.whole[i], 0);
	}
	for (size_t i = 0; i < frames_cnt; i++)
		message_free(&messages[i]);
	walk_close();
}

/* Two starting positions; all rare cases must have occurred. */
static void
walk_twice(uint64_t pos, bool is_gated)
{
	cuts = 0;
	refusals = waits = main_returns = joined = begun = shared = 0;
	refused = (struct refused){ 0 };
	walk(0, is_gated);
	walk(pos, is_gated);
	/* With little time, most calls work on earlier messages. */
	if (clock_ns != NULL) {
		assert_true(cuts > 1000 && refusals > 0 && main_returns > 0);
		return;
	}
	assert_true(cuts == 0);
	assert_true(refusals > 1000 && waits > 1000 && main_returns > 50);
	assert_true(joined > 50 && begun > 200 && shared > 50);
	assert_true(refused.main_gone > 50 && refused.filtered_gone > 0);
	assert_true(refused.not_fed > 0 && refused.too_early > 0);
	assert_true(refused.none_free > 50);
}

static void
test_random_walk(void **state)
{
	(void)state;
	chance = chance_start("filtered walk");
	walk_twice(UINT64_MAX - 100000, false);
}

static void
test_random_walk_gated(void **state)
{
	(void)state;
	chance = chance_start("gated filtered walk");
	walk_twice((UINT64_C(1) << 63) - 100000, true);
}

static void
test_random_walk_in_a_hurry(void **state)
{
	(void)state;
	clock_ns = hasty_clock;
	chance = chance_start("hasty filtered walk");
	walk_twice(UINT64_MAX - 100000, false);
	clock_ns = NULL;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_walk),
		cmocka_unit_test(test_random_walk_gated),
		cmocka_unit_test(test_random_walk_in_a_hurry),
	};

	return cmocka_run_group_tests(tests, messages_open, schema_close);
}
