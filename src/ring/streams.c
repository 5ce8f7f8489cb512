#include "config.h"

#include "ring/streams.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ring/batch.h"
#include "ring/fanout.h"
#include "ring/stream_private.h"
#include "schema/record.h"

/* ---- open and close ---- */

/* Allocates the bit sets.  Returns 0 or -ENOMEM. */
static int
open_bits(struct streams *all)
{
	all->in_use = calloc(5 * all->words + 5, sizeof(*all->in_use));
	all->whole = calloc(all->schema->tables_cnt * all->words + 1,
			    sizeof(*all->whole));
	all->filterers =
		calloc(all->schema->tables_cnt + 1, sizeof(*all->filterers));
	if (all->in_use == NULL || all->whole == NULL || all->filterers == NULL)
		return -ENOMEM;
	all->group = all->in_use + all->words;
	all->no_room = all->group + all->words;
	all->receivers = all->no_room + all->words;
	all->group_of = all->receivers + all->words;
	return 0;
}

static int
open_totals(struct streams *all)
{
	unsigned cnt = all->schema->tables_cnt + 1;

	all->tables = calloc(cnt, sizeof(*all->tables));
	all->unpublished = calloc(1, sizeof(*all->unpublished));
	if (all->tables == NULL || all->unpublished == NULL)
		return -ENOMEM;
	all->unpublished->tables =
		calloc(cnt, sizeof(*all->unpublished->tables));
	return all->unpublished->tables == NULL ? -ENOMEM : 0;
}

static int
open_filtered(struct streams *all, unsigned max, size_t bytes,
	      uint64_t unit_max)
{
	all->filtered = calloc(max + 1, sizeof(*all->filtered));
	if (all->filtered == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < max; i++) {
		struct stream *s = &all->filtered[i];
		int err;

		s->id = i + 1;
		s->all = all;
		all->filtered_cnt = i + 1;
		err = stream_open(s, bytes, false, false, unit_max);
		if (err != 0)
			return err;
		/* Its messages are copies of the main ring's. */
		ring_hide_from_core(&s->ring);
	}
	return 0;
}

int
streams_open(struct streams *all, const struct schema *schema,
	     const struct streams_options *o)
{
	size_t unit_max = o->unit_max > 0 ? o->unit_max : o->message_max;
	int err;

	*all = (struct streams){ .schema = schema,
				 .long_bytes = UINT64_MAX,
				 .words = (o->filtered_max + 63) / 64 };
	all->main.is_main = true;
	all->main.selection = selection_all(schema);
	err = stream_open(&all->main, o->main_bytes, o->huge_pages, true, 0);
	if (err == 0)
		err = open_totals(all);
	if (err == 0)
		err = open_bits(all);
	if (err == 0 && !o->is_in_core)
		ring_hide_from_core(&all->main.ring);
	if (err == 0)
		err = open_filtered(all, o->filtered_max, o->filtered_bytes,
				    o->is_batched ? unit_max : 0);
	if (err == 0)
		err = filter_open(&all->filter, o->symbols_max, o->sets_max,
				  o->filtered_max, o->message_max, o->seed);
	if (err == 0)
		err = filter_open_beside(&all->long_filter, &all->filter,
					 o->message_max);
	if (err == 0 && o->is_batched)
		err = batch_open(all, o->message_max, unit_max);
	return err;
}

void
streams_close(struct streams *all)
{
	for (unsigned i = 0; i < all->filtered_cnt; i++)
		stream_close(&all->filtered[i]);
	free(all->filtered);
	if (all->unpublished != NULL)
		free(all->unpublished->tables);
	free(all->unpublished);
	free(all->tables);
	free(all->in_use);
	free(all->whole);
	free(all->filterers);
	filter_close(&all->long_filter);
	filter_close(&all->filter);
	batch_close(all);
	stream_close(&all->main);
	*all = (struct streams){ 0 };
}

/* ---- writing ---- */

void
streams_commit(struct streams *all, unsigned table_idx, uint64_t len,
	       int64_t now_ns)
{
	streams_count(all, table_idx, len);
	stream_commit(&all->main, len, 1, now_ns);
}

void
streams_show_batch(struct streams *all, uint64_t pos, int64_t now_ns)
{
	stream_show(&all->main, pos, now_ns);
	all->shown.pos = pos;
}

/* ---- receivers ---- */

/* Notes that a filtered stream gets messages of its selection from now on, or
 * no longer does. */
static void
note_use(struct streams *all, struct stream *s, bool is_in_use)
{
	struct filter *f = &all->filter;
	unsigned idx = s->id - 1;

	bits_set(all->in_use, idx, is_in_use);
	for (unsigned i = 0; i < all->schema->tables_cnt; i++) {
		if (!selection_has(&s->selection, i))
			continue;
		if (selection_filters(&s->selection, i))
			all->filterers[i] += is_in_use ? 1 : -1u;
		else
			bits_set(all->whole + i * all->words, idx, is_in_use);
	}
	if (s->selection.symbols != NULL)
		symbols_want(&f->symbols, s->selection.symbols, idx, is_in_use);
}

/* Frees a filtered stream, whose last cursor is gone. */
static void
end_filtered(struct stream *s)
{
	if (s->all->half == s)
		s->all->half = NULL;
	note_use(s->all, s, false);
	selection_drop(&s->all->filter.symbols, &s->selection);
	(void)cursor_detach(&s->fed);
}

void
streams_detach(struct cursor *cursor)
{
	struct stream *s = cursor->stream;

	if (cursor_detach(cursor) && !s->is_main)
		end_filtered(s);
}

/* ---- filtered streams ---- */

/* Length of a selection's part of a message of the main stream; 0 if it wants
 * none. */
static size_t
selected_len(struct streams *all, const struct selection *selection,
	     const uint8_t *frame)
{
	const struct schema_table *t;
	uint32_t cnt;

	if (!stream_frame_is_record(frame))
		return stream_frame_len(frame);
	t = record_table(all->schema, frame);
	if (!selection_has(selection, t->idx))
		return 0;
	if (!selection_filters(selection, t->idx))
		return stream_frame_len(frame);
	filter_look(&all->filter, t, row_ops_of_frame(t, frame));
	cnt = filter_pick(&all->filter, selection->symbols);
	return cnt == 0 ? 0 : filter_frame_len(&all->filter, cnt);
}

/* The stream of a selection, else a free one that the address may have, else
 * NULL. */
static struct stream *
choose_stream(struct streams *all, const struct selection *selection,
	      uint64_t address)
{
	struct stream *unused = NULL;
	unsigned unused_cnt = 0, begun_cnt = 0;

	/* In batches no consumer reads the main stream. */
	if (all->batch == NULL &&
	    selection_is_equal(selection, &all->main.selection))
		return &all->main;
	for (unsigned i = 0; i < all->filtered_cnt; i++) {
		struct stream *s = &all->filtered[i];

		if (!stream_is_in_use(s)) {
			unused = unused != NULL ? unused : s;
			unused_cnt++;
		} else if (selection_is_equal(selection, &s->selection)) {
			return s;
		} else {
			begun_cnt += s->address == address;
		}
	}
	return unused_cnt > all->filtered_cnt / STREAMS_SHARE ||
			       begun_cnt < STREAMS_FEW
		       ? unused
		       : NULL;
}

/* The totals of the main stream from pos on. */
static const struct stream_tail *
tail_from(const struct streams *all, uint64_t pos)
{
	const struct stream *s = &all->main;
	struct stream_tail *tail = all->unpublished;

	if (tail->from_pos == pos && tail->to_pos == s->head_pos)
		return tail;
	tail->from_pos = pos;
	tail->to_pos = s->head_pos;
	tail->mark_bytes = 0;
	memset(tail->tables, 0,
	       all->schema->tables_cnt * sizeof(*tail->tables));
	while (pos != s->head_pos) {
		const uint8_t *frame = ring_at(&s->ring, pos);
		uint32_t len = stream_frame_len(frame);

		pos += len;
		if (stream_frame_is_record(frame)) {
			struct stream_total *t =
				&tail->tables[record_table(all->schema, frame)
						      ->idx];

			t->records++;
			t->bytes += len;
		} else {
			tail->mark_bytes += len;
		}
	}
	return tail;
}

/* The totals of a selection's tables in the main stream before pos; the bytes
 * include marks. */
static struct stream_total
total_before(const struct streams *all, const struct selection *selection,
	     uint64_t pos)
{
	const struct stream_tail *tail = tail_from(all, pos);
	struct stream_total total = {
		.bytes = all->main.mark_bytes - tail->mark_bytes,
	};

	for (unsigned i = 0; i < all->schema->tables_cnt; i++) {
		if (!selection_has(selection, i))
			continue;
		total.records +=
			all->tables[i].records - tail->tables[i].records;
		total.bytes += all->tables[i].bytes - tail->tables[i].bytes;
	}
	return total;
}

/* Puts a free filtered stream to use.  It begins at its head, with the messages
 * from main_pos on. */
static void
begin_filtered(struct streams *all, struct stream *s,
	       const struct selection *selection, uint64_t address,
	       uint64_t main_pos)
{
	s->address = address;
	s->ahead_pos = s->head_pos;
	s->wants_len = 0;
	s->missed = total_before(all, selection, main_pos);
	s->missed.records -= s->records;
	s->missed.bytes -= s->head_pos;
	selection_keep(&all->filter.symbols, &s->selection, selection);
	note_use(all, s, true);
	/* An unfinished look does not cover the new stream's symbols: if the
	 * stream still has to get that message, the look begins anew. */
	if ((int64_t)(main_pos - all->look_pos) <= 0) {
		all->looked = NULL;
		all->half = NULL;
	}
	/* The ring's old messages are of another selection. */
	cursor_attach(&s->fed, &all->main, main_pos);
	stream_forget_all(s);
	s->fed_records = stream_locate(&all->main, main_pos).record;
}

struct stream *
streams_find(struct streams *all, const struct selection *selection,
	     uint64_t address)
{
	struct stream *s = choose_stream(all, selection, address);

	if (s != NULL && !stream_is_in_use(s))
		begin_filtered(all, s, selection, address,
			       all->main.visible_pos);
	return s;
}

/* Moves the tail back to pos or before, if the bytes there have not been
 * overwritten. false if the ring, or its index, does not go back that far. */
static bool
reclaim_bytes(struct stream *s, uint64_t pos)
{
	const struct index_entry *e = index_find(&s->index, pos);
	uint64_t end_pos = s->head_pos;

	if (pos == s->head_pos)
		return true;
	if (!s->is_main && (int64_t)(s->ahead_pos - end_pos) > 0)
		end_pos = s->ahead_pos;
	/* A walk to a place starts at the entry. */
	if (e == NULL || end_pos - e->pos > s->ring.size)
		return false;
	if (s->head_pos - e->pos > s->head_pos - s->tail_pos)
		s->tail_pos = e->pos;
	return true;
}

/*
 * Finds the position in a filtered stream of the first byte that comes from
 * main_pos or later: counted back from the next index entry, by the length of
 * each message between. (Counting forward from the entry before could need
 * messages that have long left the main ring, since a selection's tables may be
 * rare.) false if it cannot be found.
 */
static bool
find_filtered(struct streams *all, const struct stream *s, uint64_t main_pos,
	      uint64_t *out_pos)
{
	const struct index_entry *later = index_find_main(&s->index, main_pos);
	uint64_t end = later != NULL ? later->main_pos : s->fed.pos;

	/* Batches begin where they began for other readers, so a reader that
	 * comes from the journal can only join at the head. */
	*out_pos = s->head_pos;
	if (all->batch != NULL)
		return main_pos == s->fed.pos;
	if ((int64_t)(s->fed.pos - main_pos) < 0 ||
	    (int64_t)(main_pos - s->first_main_pos) < 0 ||
	    all->main.head_pos - main_pos > all->main.ring.size)
		return false;
	if (later != NULL)
		*out_pos = later->pos;
	for (uint64_t at = main_pos; at != end;) {
		const uint8_t *frame = ring_at(&all->main.ring, at);

		*out_pos -= selected_len(all, &s->selection, frame);
		at += stream_frame_len(frame);
	}
	return true;
}

bool
streams_resume(struct streams *all, const struct selection *selection,
	       uint64_t address, uint64_t main_pos, struct cursor *cursor)
{
	struct stream *s = choose_stream(all, selection, address);
	uint64_t pos = main_pos;

	if (s == NULL)
		return false;
	if (!s->is_main && stream_is_in_use(s) &&
	    !find_filtered(all, s, main_pos, &pos))
		return false;
	if (!s->is_main && !stream_is_in_use(s)) {
		if (!reclaim_bytes(&all->main, main_pos))
			return false;
		begin_filtered(all, s, selection, address, main_pos);
		pos = s->head_pos;
	}
	if (!reclaim_bytes(s, pos))
		return false;
	cursor_attach(cursor, s, pos);
	return true;
}

bool
streams_is_level(const struct streams *all, const struct stream *s)
{
	return s->is_main || !stream_is_in_use(s) ||
	       s->fed.pos == all->main.visible_pos;
}

bool
streams_may_be_slow(struct streams *all, unsigned percent)
{
	bool may = stream_may_be_slow(&all->main, percent);
	unsigned cnt = all->filtered_cnt;

	for (unsigned i = 0; (i = bits_next(all->in_use, i, cnt)) < cnt; i++)
		if (stream_may_be_slow(&all->filtered[i], percent))
			may = true;
	return may;
}

/* ---- feeding ---- */

/* Puts the streams that have been fed least, except the full ones, into
 * all->group. *out_lack: bytes of the main stream that they lack; *out_next:
 * bytes that the next streams lack, 0 if there are none. */
static void
find_hindmost(struct streams *all, uint64_t *out_lack, uint64_t *out_next)
{
	unsigned cnt = all->filtered_cnt;
	uint64_t longest = 0, next = 0;

	memset(all->group, 0, all->words * sizeof(*all->group));
	for (unsigned i = 0; (i = bits_next(all->in_use, i, cnt)) < cnt; i++) {
		uint64_t lack =
			all->main.visible_pos - all->filtered[i].fed.pos;

		if (lack == 0 || bits_has(all->no_room, i))
			continue;
		if (lack < longest) {
			next = max_u64(next, lack);
			continue;
		}
		if (lack > longest) {
			next = longest;
			longest = lack;
			memset(all->group, 0, all->words * sizeof(*all->group));
		}
		bits_set(all->group, i, true);
	}
	*out_lack = longest;
	*out_next = next;
}

/* Feeds all->group, whose streams have been fed up to `from`, up to `to`, or
 * until none of them has room. */
static void
feed_together(struct streams *all, uint64_t from, uint64_t to, int64_t now_ns)
{
	unsigned first = bits_next(all->group, 0, all->filtered_cnt);
	uint64_t records = all->filtered[first].fed_records;

	while (from != to && streams_is_any_left(all)) {
		const uint8_t *frame = ring_at(&all->main.ring, from);

		fanout_message(all, from, records,
			       fanout_time(all, from, now_ns));
		from += stream_frame_len(frame);
		records += stream_frame_is_record(frame);
	}
	fanout_note_fed(all, from, records);
}

void
streams_feed(struct streams *all, int64_t now_ns)
{
	uint64_t visible = all->main.visible_pos, lack, next;

	all->is_cut = false;
	all->until_ns = 0;
	memset(all->no_room, 0, all->words * sizeof(*all->no_room));
	/* Ends when no other streams lag less: then all are level, or full. */
	do {
		find_hindmost(all, &lack, &next);
		if (lack == 0)
			break;
		if (all->batch != NULL)
			batch_feed(all, visible - lack, visible - next, now_ns);
		else
			feed_together(all, visible - lack, visible - next,
				      now_ns);
	} while (next > 0);
	all->news_pos = visible;
	if (all->is_cut)
		return;
	all->looked = NULL;
	all->half = NULL;
}

/* ---- totals ---- */

struct stream_total
streams_total(const struct streams *all, const struct selection *selection)
{
	return total_before(all, selection, all->main.visible_pos);
}

bool
streams_can_count(const struct streams *all, const struct selection *selection)
{
	return selection->symbols == NULL && all->batch == NULL;
}

struct stream_total
streams_unfed(const struct streams *all, const struct stream *s)
{
	const struct selection *main = &all->main.selection;
	struct stream_total unfed = { 0 };

	if (streams_is_level(all, s))
		return unfed;
	if (!streams_can_count(all, &s->selection)) {
		unfed = streams_total(all, main);
		unfed.records -= s->fed_records;
		unfed.bytes = all->main.visible_pos - s->fed.pos;
		return unfed;
	}
	unfed = streams_total(all, &s->selection);
	unfed.records -= s->missed.records + s->records;
	unfed.bytes -= s->missed.bytes + s->head_pos;
	return unfed;
}

/* Where the slowest cursor of a stream would continue in the main stream. */
static uint64_t
slowest_main_pos(struct stream *s)
{
	stream_refresh_tail(s);
	return stream_main_place(s, s->slowest_pos).main_pos;
}

uint64_t
streams_oldest_pos(struct streams *all)
{
	uint64_t head = all->main.head_pos;
	uint64_t longest = head - slowest_main_pos(&all->main);
	unsigned cnt = all->filtered_cnt;

	for (unsigned i = 0; (i = bits_next(all->in_use, i, cnt)) < cnt; i++)
		longest = max_u64(longest,
				  head - slowest_main_pos(&all->filtered[i]));
	return head - longest;
}
