/*
 * Batches: a random walk over streams that get newly visible updates as one
 * message per table, read back row by row against the list of updates.
 */
#include "config.h"

#include "ring/batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../frames.h"
#include "../messages.h"
#include "../stream_walk.h"
#include "schema/mark.h"
#include "schema/record.h"
#include "schema/row_ops.h"
#include "ring/streams.h"
#include "schema/update.h"
#include "base/util.h"
#include "wire/wire.h"

enum {
	RING_BYTES = 16384,
	FILTERED_BYTES = 8192,
	FILTERED_MAX = 5,
	ROWS_MAX = 9,
	MESSAGE_MAX = 1024,
	MESSAGES_MAX = 1 << 15,
	READERS = 7,
	STEPS = 30000,
};

/* How far a reader has read the list. */
struct progress {
	size_t first;		      /* the message that it began with */
	size_t next[MESSAGE_TABLES];  /* by table: the message, ... */
	uint32_t row[MESSAGE_TABLES]; /* ... and its row, to be read next */
	size_t marks_to;	      /* all marks before this message were
					 read */
	size_t taken; /* no row of a message from here on was read */
	int table;    /* table of the last message; -1: a mark, or none was
			 read */
};

struct reader {
	struct cursor c;
	struct kind kind;
	struct progress at; /* the place before the message being read, ... */
	size_t sent;	    /* ... and the bytes of that message read so far */
	bool is_asleep;
};

static const struct streams_options options = {
	.main_bytes = RING_BYTES,
	.filtered_max = FILTERED_MAX,
	.filtered_bytes = FILTERED_BYTES,
	.symbols_max = MESSAGE_TABLES * MESSAGE_SYMBOLS,
	.sets_max = KINDS + READERS + FILTERED_MAX + 1,
	.message_max = MESSAGE_MAX,
	.is_batched = true,
};

static struct message messages[MESSAGES_MAX];
static bool ends_here[MESSAGES_MAX]; /* a visible part ended before it, or a
					stream was fed up to here */
static struct reader readers[READERS];
static uint32_t number;
static unsigned cuts;

/* Counts of the rare cases. */
static unsigned refusals, waits, joined, begun, torn, units, merged, cut;

/* ---- the list ---- */

static size_t
mark_from(size_t i)
{
	while (i < frames_cnt && messages[i].t != NULL)
		i++;
	return i;
}

static struct progress
progress_from(size_t i)
{
	struct progress p = { .first = i, .marks_to = i, .taken = i };

	p.table = -1;
	for (unsigned t = 0; t < MESSAGE_TABLES; t++)
		p.next[t] = i;
	return p;
}

/* The next wanted row of a table; returns its message, or frames_cnt. */
static size_t
seek_row(const struct wants *w, struct progress *p, unsigned table)
{
	for (; p->next[table] < frames_cnt;
	     p->next[table]++, p->row[table] = 0) {
		const struct message *m = &messages[p->next[table]];

		if (m->t != &schema.tables[table] || !w->is_wanted[table])
			continue;
		for (; p->row[table] < m->cnt; p->row[table]++)
			if (wants_row(w, m->t, &m->rows[p->row[table]]))
				return p->next[table];
	}
	return frames_cnt;
}

/* All wanted rows before message i were read, and none of the following
 * ones. */
static void
check_exact(const struct wants *w, const struct progress *at, size_t i)
{
	struct progress p = *at;

	assert_true(p.taken <= i);
	for (unsigned t = 0; t < MESSAGE_TABLES; t++)
		assert_true(seek_row(w, &p, t) >= i);
	assert_true(mark_from(p.marks_to) >= i && p.marks_to <= i);
}

/* ---- the bytes read ---- */

/* A message whose table comes no later than the last one's begins a batch: a
 * visible part or a day has ended, another stream was fed up to here, or the
 * batch would have been too long. */
static void
check_new_batch(const struct progress *p, size_t first)
{
	uint64_t bytes = 0;

	for (size_t i = p->taken; i <= first; i++)
		if (ends_here[i] || messages[i].t == NULL)
			return;
	cut++;
	for (size_t i = p->first; i <= first; i++)
		bytes += 2 * messages[i].len;
	assert_true(bytes > MESSAGE_MAX);
}

static void
take_mark(const struct wants *w, struct progress *p, const uint8_t *frame)
{
	size_t mark = mark_from(p->marks_to);

	assert_true(mark < visible_cnt);
	assert_memory_equal(frame, messages[mark].frame, MARK_BYTES);
	check_exact(w, p, mark);
	p->marks_to = p->taken = p->first = mark + 1;
	p->table = -1;
}

/* All rows in it are the next ones, and of one day. */
static void
take_rows(const struct wants *w, struct progress *p, const uint8_t *frame)
{
	const struct schema_table *t = record_table(&schema, frame);
	uint32_t cnt = row_ops_of_frame(t, frame).cnt;
	size_t mark = mark_from(p->marks_to), first = frames_cnt, m = 0, len;
	bool is_filtered = w->is_filtered[t->idx];
	uint8_t expected[2 * MESSAGE_MAX];
	struct row rows[MESSAGE_MAX / 8];

	assert_true(cnt > 0 && cnt <= ARRAY_LEN(rows));
	for (uint32_t i = 0; i < cnt; i++) {
		m = seek_row(w, p, t->idx);
		assert_true(m < visible_cnt && m < mark);
		first = i == 0 ? m : first;
		rows[i] = messages[m].rows[p->row[t->idx]++];
	}
	len = message_of_rows(t, rows, cnt, is_filtered ? KA_NONE : KA_GROUPED,
			      expected);
	assert_int_equal(stream_frame_len(frame), len);
	assert_memory_equal(frame, expected, len);
	assert_true(len <= MESSAGE_MAX);
	merged += m > first;
	if (p->table >= (int)t->idx) {
		check_new_batch(p, first);
		p->first = p->taken;
	}
	p->table = (int)t->idx;
	p->taken = max_u64(p->taken, m + 1);
}

/* Reads len bytes of its stream. */
static void
read_bytes(struct reader *r, uint64_t len)
{
	const struct ring *ring = &r->c.stream->ring;

	while (len > 0) {
		const uint8_t *frame = ring_at(ring, r->c.pos - r->sent);
		size_t whole = stream_frame_len(frame);
		size_t n = min_u64(len, whole - r->sent);

		r->c.pos += n;
		r->sent += n;
		len -= n;
		if (r->sent < whole)
			break;
		if (stream_frame_is_record(frame))
			take_rows(&r->kind.wants, &r->at, frame);
		else
			take_mark(&r->kind.wants, &r->at, frame);
		r->sent = 0;
	}
	assert_int_equal(len, 0);
}

/* ---- checks ---- */

static uint64_t
records_before(size_t i)
{
	uint64_t records = 0;

	while (i > 0)
		records += messages[--i].t != NULL;
	return records;
}

/* After its unit the place in the main stream is known. */
static void
check_unit(const struct reader *r)
{
	struct stream_source place = stream_main_place(r->c.stream, r->c.pos);
	uint64_t end = stream_unit_end(r->c.stream, r->c.pos);
	struct reader copy = *r;
	size_t i = walk_frame_at(place.main_pos);

	assert_true(end - r->c.pos <= MESSAGE_MAX);
	assert_int_equal(place.skip_bytes, 0);
	assert_int_equal(place.main_record, records_before(i));
	assert_false(is_before(place.main_pos, streams_oldest_pos(&all)));
	read_bytes(&copy, end - r->c.pos);
	assert_int_equal(copy.sent, 0);
	check_exact(&r->kind.wants, &copy.at, i);
	torn += r->sent > 0;
	units += end != r->c.pos;
}

/* At its end the reader has all that its stream was fed, in whole batches. */
static void
check_unread(const struct reader *r)
{
	struct reader copy = *r;

	read_bytes(&copy, cursor_lag(&r->c));
	assert_int_equal(copy.sent, 0);
	check_exact(&r->kind.wants, &copy.at,
		    walk_frame_at(r->c.stream->fed.pos));
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

static void
check_stream(const struct stream *s)
{
	struct stream_total unfed = streams_unfed(&all, s);
	size_t i = walk_frame_at(s->fed.pos);

	assert_false(streams_can_count(&all, &s->selection));
	assert_int_equal(unfed.bytes, starts[visible_cnt] - s->fed.pos);
	assert_int_equal(unfed.records,
			 records_before(visible_cnt) - records_before(i));
	assert_int_equal(s->fed_records, records_before(i));
}

/* The batches of other streams end where a stream has been fed up to. */
static void
note_ends(void)
{
	for (unsigned i = 0; i < FILTERED_MAX; i++)
		if (is_in_use(&all.filtered[i]))
			ends_here[walk_frame_at(all.filtered[i].fed.pos)] =
				true;
}

/* A stream that was not fed to the end has a reader in the way. */
static void
check_fed(void)
{
	for (unsigned i = 0; i < FILTERED_MAX; i++) {
		const struct stream *s = &all.filtered[i];

		if (!is_in_use(s))
			continue;
		if (streams_is_level(&all, s))
			continue;
		assert_true(s->wanted_bytes > 0);
		assert_true(s->wanted_bytes <= 2 * MESSAGE_MAX);
		assert_true(longest_lag(s) + s->wanted_bytes + MESSAGE_MAX >
			    FILTERED_BYTES);
		waits++;
	}
}

static void
check(void)
{
	for (unsigned i = 0; i < FILTERED_MAX; i++)
		if (is_in_use(&all.filtered[i]))
			check_stream(&all.filtered[i]);
	for (size_t i = 0; i < READERS; i++) {
		if (readers[i].c.stream == NULL)
			continue;
		check_unread(&readers[i]);
		check_unit(&readers[i]);
	}
}

/* ---- coming and going ---- */

/* Returns from the journal, at message i. */
static void
come_back(struct reader *r, size_t i)
{
	const struct stream *s = filtered_in_use(&r->kind.selection);

	if (all.main.head_pos - starts[i] > 2 * RING_BYTES)
		return;
	if (!streams_resume(&all, &r->kind.selection, 0, starts[i], &r->c)) {
		assert_null(r->c.stream);
		if (s != NULL)
			assert_int_not_equal(starts[i], s->fed.pos);
		return;
	}
	assert_false(r->c.stream->is_main);
	r->at = progress_from(i);
	ends_here[i] = true;
	if (s == NULL) {
		begun++;
		return;
	}
	joined++;
	assert_ptr_equal(r->c.stream, s);
	assert_int_equal(starts[i], s->fed.pos);
}

static void
subscribe(struct reader *r)
{
	struct stream *s = streams_find(&all, &r->kind.selection, 0);

	if (s == NULL || !streams_is_level(&all, s))
		return;
	assert_false(s->is_main);
	cursor_attach(&r->c, s, s->visible_pos);
	r->at = progress_from(visible_cnt);
}

static void
begin(struct reader *r)
{
	const struct kind *k = &kinds[chance_below(&chance, KINDS)];
	const struct stream *s = filtered_in_use(&k->selection);

	kind_keep(&r->kind, k);
	r->sent = 0;
	if (chance_below(&chance, 3) == 0)
		subscribe(r);
	else if (s != NULL && chance_below(&chance, 2) == 0)
		come_back(r, walk_frame_at(s->fed.pos));
	else
		come_back(r,
			  visible_cnt -
				  chance_below(&chance,
					       min_u64(visible_cnt, 40) + 1));
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

/* false: there is no room. */
static bool
put(struct message *m)
{
	assert_true(frames_cnt + 1 < MESSAGES_MAX);
	if (!message_put(&all, m, now)) {
		message_free(m);
		return false;
	}
	number += m->cnt;
	walk_note_frame();
	ends_here[frames_cnt] = false;
	return true;
}

static void
walk_put(void)
{
	struct message *m = &messages[frames_cnt];
	unsigned table = (unsigned)chance_below(&chance, MESSAGE_TABLES);
	uint32_t rows_max = chance_below(&chance, 8) == 0 ? ROWS_MAX : 2;

	if (chance_below(&chance, 60) == 0)
		message_make_mark(m, (int32_t)number);
	else
		message_make(m, &schema.tables[table], rows_max, number,
			     &chance);
	assert_true(m->len <= MESSAGE_MAX);
	if (!put(m))
		refusals++;
}

static void
show(size_t cnt)
{
	visible_cnt = cnt;
	ends_here[cnt] = true;
	streams_show_batch(&all, starts[cnt], now);
}

static void
walk_reader(struct reader *r)
{
	if (r < &readers[2] && r->c.stream != NULL &&
	    walk_nap(&r->is_asleep, 6, 12))
		return;
	if (r->c.stream == NULL)
		begin(r);
	else if (chance_below(&chance, 10) == 0)
		end(r);
	else
		read_bytes(r, walk_part(cursor_lag(&r->c), 3));
}

/* Feeding comes to an end; sometimes readers come and go in between. */
static void
walk_feed(void)
{
	for (unsigned left = 10000;; left--) {
		assert_true(left > 0);
		streams_feed(&all, now);
		note_ends();
		if (!all.is_cut)
			break;
		cuts++;
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
	if (what < 55) {
		walk_put();
	} else if (what < 63) {
		show(visible_cnt +
		     chance_below(&chance, frames_cnt - visible_cnt + 1));
	} else if (what < 73) {
		walk_feed();
	} else if (what < 98) {
		walk_reader(&readers[chance_below(&chance, READERS)]);
	} else {
		kind_change(&kinds[chance_below(&chance, KINDS)]);
	}
}

static void
start(uint64_t pos)
{
	walk_open(&options, pos, false);
	all.piece_rows = 2;
	all.group_max = 2;
	memset(readers, 0, sizeof(readers));
	kinds_begin();
	ends_here[0] = true;
	number = 0;
}

static void
stop(void)
{
	for (size_t i = 0; i < READERS; i++)
		end(&readers[i]);
	kinds_end();
	for (size_t i = 0; i < frames_cnt; i++)
		message_free(&messages[i]);
	walk_close();
}

static void
walk(uint64_t pos)
{
	start(pos);
	for (unsigned i = 0; i < STEPS; i++) {
		step();
		if (i % 16 == 0)
			check();
	}
	stop();
}

static void
walk_everywhere(void)
{
	static const uint64_t from[] = {
		0,
		(UINT64_C(1) << 63) - 50000,
		UINT64_MAX - 50000,
	};

	refusals = waits = joined = begun = torn = units = merged = cut = 0;
	cuts = 0;
	for (size_t i = 0; i < ARRAY_LEN(from); i++)
		walk(from[i]);
	if (clock_ns != NULL) {
		assert_true(cuts > 1000 && merged > 0);
		return;
	}
	assert_true(cuts == 0);
	assert_true(refusals > 1000 && waits > 100 && joined > 20);
	assert_true(begun > 50 && torn > 100 && units > 1000);
	assert_true(merged > 1000 && cut > 100);
}

static void
test_random_walk(void **state)
{
	(void)state;
	chance = chance_start("batch walk");
	walk_everywhere();
}

static void
test_random_walk_in_a_hurry(void **state)
{
	(void)state;
	clock_ns = hasty_clock;
	chance = chance_start("hasty batch walk");
	walk_everywhere();
	clock_ns = NULL;
}

/* ---- single batches ---- */

static void
subscribe_as(struct reader *r, const struct wants *w)
{
	r->kind.wants = *w;
	r->kind.selection = wants_selection(w, symbols());
	subscribe(r);
	assert_non_null(r->c.stream);
}

static void
put_one(unsigned table)
{
	message_make(&messages[frames_cnt], &schema.tables[table], 1, number,
		     &chance);
	assert_true(put(&messages[frames_cnt]));
}

/* Small updates that become visible together are one message per table. */
static void
test_one_of_each(void **state)
{
	struct reader *whole = &readers[0], *some = &readers[1];
	struct wants w = { .is_wanted = { true, true, true } };

	(void)state;
	chance = chance_start("one of each");
	start(UINT64_MAX - 10);
	subscribe_as(whole, &w);
	w.is_wanted[1] = false;
	w.is_filtered[2] = true;
	subscribe_as(some, &w);
	put_one(2);
	put_one(0);
	put_one(0);
	streams_feed(&all, now);
	assert_int_equal(cursor_lag(&whole->c), 0);
	show(3);
	assert_int_equal(cursor_lag(&whole->c), 0);
	put_one(1);
	streams_feed(&all, now);
	assert_int_equal(whole->c.stream->records, 2);
	assert_int_equal(some->c.stream->records, 1);
	assert_int_equal(whole->at.table, -1);
	read_bytes(whole, stream_frame_len(ring_at(&whole->c.stream->ring,
						   whole->c.pos)));
	assert_int_equal(whole->at.table, 0);
	assert_true(cursor_lag(&whole->c) > 0);
	check();
	show(4);
	streams_feed(&all, now);
	assert_int_equal(whole->c.stream->records, 3);
	assert_int_equal(some->c.stream->records, 1);
	check();
	stop();
}

/* A batch waits as a whole for a slow reader; a reader that keeps up gets
 * it. */
static void
test_full_ring(void **state)
{
	struct reader *slow = &readers[0], *fast = &readers[1];
	struct wants w = { .is_wanted = { true, true, true } };
	uint64_t head;

	(void)state;
	chance = chance_start("full ring");
	start(0);
	subscribe_as(slow, &w);
	w.is_wanted[2] = false;
	subscribe_as(fast, &w);
	while (streams_is_level(&all, slow->c.stream)) {
		put_one(number % 2);
		put_one((number + 1) % 2);
		show(frames_cnt);
		streams_feed(&all, now);
		read_bytes(fast, cursor_lag(&fast->c));
		assert_true(streams_is_level(&all, fast->c.stream));
	}
	head = slow->c.stream->head_pos;
	assert_true(slow->c.stream->wanted_bytes > 0);
	assert_int_equal(slow->c.stream->fed.pos, starts[frames_cnt - 2]);
	read_bytes(slow, cursor_lag(&slow->c));
	check();
	streams_feed(&all, now);
	assert_true(streams_is_level(&all, slow->c.stream));
	assert_int_not_equal(slow->c.stream->head_pos, head);
	read_bytes(slow, cursor_lag(&slow->c));
	check();
	stop();
}

/* Messages that are not visible are kept even without readers. */
static void
test_held(void **state)
{
	struct wants w = { .is_wanted = { true, true, true } };
	uint64_t visible;

	(void)state;
	chance = chance_start("held");
	start(UINT64_MAX - 10);
	visible = all.main.visible_pos;
	do
		message_make(&messages[frames_cnt], &schema.tables[0], 1,
			     number, &chance);
	while (put(&messages[frames_cnt]));
	assert_true(all.main.head_pos - visible <= RING_BYTES);
	assert_true(all.main.head_pos - visible > RING_BYTES - 200);
	subscribe_as(&readers[0], &w);
	show(frames_cnt);
	streams_feed(&all, now);
	check();
	read_bytes(&readers[0], cursor_lag(&readers[0].c));
	streams_feed(&all, now);
	check();
	end(&readers[0]);
	assert_true(stream_has_room(&all.main, RING_BYTES));
	stop();
}

enum { LISTS = 20, LIST_ROWS = 150 };

/* An update whose lists are vectors of a type. */
static size_t
put_lists(const struct schema_table *t, int type, uint32_t rows)
{
	static uint8_t x[MESSAGE_MAX * 8];
	struct wire_writer w = wire_writer(x, sizeof(x));
	struct update u;
	const char *why;

	wire_put_list(&w, KT_LIST, KA_NONE, LISTS + 2);
	for (unsigned i = 0; i < LISTS + 2; i++) {
		int own = i == 0 ? KT_TIME : i == 1 ? KT_BOOLEAN : type;

		wire_put_list(&w, own, KA_NONE, rows);
		for (size_t k = 0; k < rows * wire_item_bytes(own); k++)
			wire_put_u8(&w, 0);
	}
	assert_false(w.is_full);
	assert_int_equal(
		update_parse(t, x, wire_written(&w), CHECK_TYPES, &u, &why),
		UPDATE_OK);
	assert_true(stream_has_room(&all.main, u.frame_len));
	update_write(&u, 0, stream_head(&all.main));
	streams_commit(&all, t->idx, u.frame_len, now);
	return u.frame_len;
}

/* Items of different types get longer when they are merged; there is room for
 * that. */
static void
test_growth(void **state)
{
	struct streams_options wide = options;
	struct selection selection = { .tables = { 1 } };
	struct cursor c = { 0 };
	struct stream *s;
	struct schema lists;
	size_t bytes;

	(void)state;
	schema_of(&lists, "t:([]time:`time$();sym:`boolean$();"
			  "a:();b:();c:();d:();e:();f:();g:();h:();i:();j:();"
			  "k:();l:();m:();n:();o:();p:();q:();r:();s:();t:())");
	wide.main_bytes = wide.filtered_bytes = 32768;
	wide.message_max = 5000;
	streams_open_with(&all, &lists, &wide, 0);
	s = streams_find(&all, &selection, 0);
	cursor_attach(&c, s, s->head_pos);
	for (unsigned i = 0; i < 2; i++) {
		bytes = put_lists(&lists.tables[0], KT_BYTE, LIST_ROWS);
		bytes += put_lists(&lists.tables[0], KT_SHORT, 1);
		assert_true(bytes < wide.message_max);
		assert_true(bytes + LISTS * LIST_ROWS > wide.message_max);
	}
	streams_show_batch(&all, all.main.head_pos, now);
	streams_feed(&all, now);
	assert_true(cursor_lag(&c) > 0);
	while (cursor_lag(&c) > 0) {
		uint32_t len = stream_frame_len(ring_at(&s->ring, c.pos));

		assert_true(len <= wide.message_max);
		c.pos += len;
	}
	assert_int_equal(s->records, 4);
	streams_detach(&c);
	streams_close(&all);
	schema_fini(&lists);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_walk),
		cmocka_unit_test(test_random_walk_in_a_hurry),
		cmocka_unit_test(test_one_of_each),
		cmocka_unit_test(test_full_ring),
		cmocka_unit_test(test_held),
		cmocka_unit_test(test_growth),
	};

	return cmocka_run_group_tests(tests, messages_open, schema_close);
}
