#include "config.h"

#include "ring/fanout.h"

#include <string.h>

#include "ring/stream_private.h"
#include "schema/record.h"
#include "schema/row_ops.h"
#include "wire/wire.h"

/* The time limit of one streams_feed for long messages. */
#define FEED_NS (2 * NS_PER_MS)

/* ---- receivers ---- */

/* If any stream filters the table, f must have looked at the message. */
static void
find_receivers(struct streams *all, const struct filter *f,
	       const struct schema_table *t)
{
	const uint64_t *whole =
		t == NULL ? all->in_use : all->whole + t->idx * all->words;

	memcpy(all->receivers, whole, all->words * sizeof(*all->receivers));
	if (t != NULL && all->filterers[t->idx] > 0)
		for (size_t i = 0; i < all->words; i++)
			all->receivers[i] |= f->wanted_by[i];
	for (size_t i = 0; i < all->words; i++)
		all->receivers[i] &= all->group[i];
}

void
fanout_find_receivers(struct streams *all, const struct schema_table *t,
		      const uint8_t *frame)
{
	if (t != NULL && all->filterers[t->idx] > 0)
		filter_look(&all->filter, t, row_ops_of_frame(t, frame));
	find_receivers(all, &all->filter, t);
}

size_t
fanout_write_selected(struct streams *all, const struct stream *s,
		      const struct schema_table *t, const uint8_t *frame,
		      uint8_t *at)
{
	size_t len = stream_frame_len(frame);
	uint32_t cnt;

	if (t != NULL && selection_filters(&s->selection, t->idx)) {
		cnt = filter_pick(&all->filter, s->selection.symbols);
		return filter_frame_write(&all->filter, cnt, at);
	}
	memcpy(at, frame, len);
	return len;
}

/* Whether a receiver has room for its part of the message.  To compute the
 * length of that part costs about as much as to write it; mostly there is room
 * for the whole message, and the length is not needed. */
static bool
has_room_for(struct filter *f, struct stream *s, const struct schema_table *t,
	     const uint8_t *frame)
{
	uint32_t cnt;

	if (stream_has_room(s, stream_frame_len(frame)))
		return true;
	s->wants_pos = s->fed.pos;
	s->wants_len = stream_frame_len(frame);
	if (t == NULL || !selection_filters(&s->selection, t->idx))
		return false;
	cnt = filter_pick(f, s->selection.symbols);
	s->wants_len = filter_frame_len(f, cnt);
	return stream_has_room(s, s->wants_len);
}

void
fanout_leave_out(struct streams *all, const struct stream *s)
{
	bits_set(all->group, s->id - 1, false);
	bits_set(all->no_room, s->id - 1, true);
}

int64_t
fanout_time(const struct streams *all, uint64_t pos, int64_t now_ns)
{
	if ((int64_t)(pos - all->news_pos) >= 0)
		return now_ns;
	return index_find(&all->main.index, pos)->time_ns;
}

bool
fanout_is_time_over(struct streams *all)
{
	int64_t now_ns;

	if (all->clock_ns == NULL)
		return false;
	now_ns = all->clock_ns();
	if (all->until_ns == 0)
		all->until_ns = now_ns + FEED_NS;
	return now_ns >= all->until_ns;
}

void
fanout_cut(struct streams *all, const uint64_t *those, unsigned idx,
	   uint64_t pos, uint64_t records)
{
	unsigned cnt = all->filtered_cnt;

	for (; (idx = bits_next(those, idx, cnt)) < cnt; idx++) {
		all->filtered[idx].fed.pos = pos;
		all->filtered[idx].fed_records = records;
		fanout_leave_out(all, &all->filtered[idx]);
	}
	all->is_cut = true;
}

/* Leaves out the streams that are known to have no room for their part of the
 * long message at pos.  This is done before the look, which would otherwise be
 * repeated in each turn. */
static void
leave_out_full(struct streams *all, uint64_t pos)
{
	unsigned cnt = all->filtered_cnt;

	for (unsigned i = 0; (i = bits_next(all->group, i, cnt)) < cnt; i++) {
		struct stream *s = &all->filtered[i];

		if (s->wants_len > 0 && s->wants_pos == pos &&
		    !stream_has_room(s, s->wants_len))
			fanout_leave_out(all, s);
	}
}

/* Looks up the message's symbols; false if the time ran out before the last
 * row. */
static bool
look_in_time(struct streams *all, const struct schema_table *t, uint64_t pos,
	     const uint8_t *frame)
{
	struct filter *f = &all->long_filter;
	uint32_t rows_max = all->piece_rows;

	if (all->looked != frame) {
		filter_look_begin(f, t, row_ops_of_frame(t, frame));
		all->looked = frame;
		all->half = NULL;
		if (all->look_pos == pos)
			rows_max = UINT32_MAX;
		all->look_pos = pos;
	}
	while (!filter_look_some(f, rows_max))
		if (fanout_is_time_over(all))
			return false;
	return true;
}

static bool
is_half_written(const struct streams *all, const struct stream *s)
{
	return all->half == s && all->picks == all->long_filter.picks;
}

/* Writes a filtered stream's part of the long message at pos, and commits it;
 * false if the time ran out before the last row. */
static bool
write_in_time(struct streams *all, struct stream *s, uint64_t pos, size_t len,
	      int64_t now_ns)
{
	struct filter *f = &all->long_filter;
	uint32_t rows_max = all->piece_rows;

	if (!is_half_written(all, s)) {
		filter_write_begin(f, filter_pick(f, s->selection.symbols),
				   stream_head(s));
		s->ahead_pos = s->head_pos + len;
		if (all->half_pos == pos && all->half_id == s->id)
			rows_max = UINT32_MAX;
		all->half = s;
		all->picks = f->picks;
		all->half_pos = pos;
		all->half_id = s->id;
	}
	while (!filter_write_some(f, rows_max, &len))
		if (fanout_is_time_over(all))
			return false;
	all->half = NULL;
	stream_commit(s, len, 1, now_ns);
	all->feeds++;
	return true;
}

/* Writes the message that a batch of this one update becomes, for a stream that
 * wants all its rows.  Returns its length, at most the frame's. */
static size_t
write_as_batch(const struct schema_table *t, const uint8_t *frame, uint8_t *at)
{
	struct rows_source source = { .rows = row_ops_of_frame(t, frame) };

	return row_ops_merge(t, &source, 1, KA_GROUPED, at);
}

/* Feeds the long message to one stream, or leaves the stream out if it has no
 * room. false if the time ran out in the middle. */
static bool
feed_long_to(struct streams *all, struct stream *s, uint64_t pos,
	     const struct schema_table *t, const uint8_t *frame, int64_t now_ns)
{
	size_t len = stream_frame_len(frame);

	if (!is_half_written(all, s) &&
	    !has_room_for(&all->long_filter, s, t, frame)) {
		fanout_leave_out(all, s);
		return true;
	}
	if (t != NULL && selection_filters(&s->selection, t->idx))
		return write_in_time(all, s, pos, len, now_ns);
	if (t != NULL && all->batch != NULL)
		len = write_as_batch(t, frame, stream_head(s));
	else
		memcpy(stream_head(s), frame, len);
	stream_commit(s, len, t != NULL, now_ns);
	all->feeds++;
	return true;
}

/* Puts the streams of all->group whose selection has the table into
 * all->receivers. */
static void
find_concerned(struct streams *all, const struct schema_table *t)
{
	unsigned cnt = all->filtered_cnt;

	memcpy(all->receivers, all->group,
	       all->words * sizeof(*all->receivers));
	for (unsigned i = 0; (i = bits_next(all->receivers, i, cnt)) < cnt; i++)
		if (t != NULL &&
		    !selection_has(&all->filtered[i].selection, t->idx))
			bits_set(all->receivers, i, false);
}

void
fanout_long(struct streams *all, uint64_t pos, uint64_t records,
	    const struct schema_table *t, const uint8_t *frame, int64_t now_ns)
{
	unsigned cnt = all->filtered_cnt;
	bool has_look = t != NULL && all->filterers[t->idx] > 0;

	leave_out_full(all, pos);
	if (!streams_is_any_left(all))
		return;
	/* An earlier message may have used up the time; else it begins here. */
	if (fanout_is_time_over(all) ||
	    (has_look && !look_in_time(all, t, pos, frame))) {
		find_concerned(all, t);
		fanout_cut(all, all->receivers, 0, pos, records);
		return;
	}
	find_receivers(all, &all->long_filter, t);
	for (unsigned i = 0; (i = bits_next(all->receivers, i, cnt)) < cnt;
	     i++) {
		struct stream *s = &all->filtered[i];

		s->fed.pos = pos;
		s->fed_records = records;
		if (!feed_long_to(all, s, pos, t, frame, now_ns)) {
			fanout_cut(all, all->receivers, i, pos, records);
			return;
		}
		if (bits_next(all->receivers, i + 1, cnt) < cnt &&
		    fanout_is_time_over(all)) {
			fanout_cut(all, all->receivers, i + 1, pos, records);
			return;
		}
	}
	all->looked = NULL;
	all->look_pos = pos + 1; /* no unfinished look remains */
}

void
fanout_message(struct streams *all, uint64_t pos, uint64_t records,
	       int64_t now_ns)
{
	const uint8_t *frame = ring_at(&all->main.ring, pos);
	const struct schema_table *t = NULL;
	unsigned cnt = all->filtered_cnt;

	if (stream_frame_is_record(frame))
		t = record_table(all->schema, frame);
	if (streams_is_long(all, stream_frame_len(frame))) {
		fanout_long(all, pos, records, t, frame, now_ns);
		return;
	}
	fanout_find_receivers(all, t, frame);
	for (unsigned i = 0; (i = bits_next(all->receivers, i, cnt)) < cnt;
	     i++) {
		struct stream *s = &all->filtered[i];
		size_t len;

		s->fed.pos = pos;
		s->fed_records = records;
		if (!has_room_for(&all->filter, s, t, frame)) {
			fanout_leave_out(all, s);
			continue;
		}
		len = fanout_write_selected(all, s, t, frame, stream_head(s));
		stream_commit(s, len, t != NULL, now_ns);
		all->feeds++;
	}
}

void
fanout_note_fed(struct streams *all, uint64_t to, uint64_t records)
{
	unsigned cnt = all->filtered_cnt;

	for (unsigned i = 0; (i = bits_next(all->group, i, cnt)) < cnt; i++) {
		all->filtered[i].fed.pos = to;
		all->filtered[i].fed_records = records;
	}
}
