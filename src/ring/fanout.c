#include "config.h"

#include <string.h>

#include "ring/batch.h"
#include "ring/streams.h"
#include "ring/stream_private.h"
#include "schema/record.h"

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
streams_find_receivers(struct streams *all, const struct schema_table *t,
		       const uint8_t *frame)
{
	if (t != NULL && all->filterers[t->idx] > 0)
		filter_look(&all->filter, t, row_ops_of_frame(t, frame));
	find_receivers(all, &all->filter, t);
}

size_t
streams_write_selected(struct streams *all, const struct stream *s,
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
has_room_for(struct filter *f, struct stream *s,
	     const struct schema_table *t, const uint8_t *frame)
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
streams_leave_out(struct streams *all, const struct stream *s)
{
	bits_set(all->group, s->id - 1, false);
	bits_set(all->no_room, s->id - 1, true);
}

bool
streams_is_time_over(struct streams *all)
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
streams_cut(struct streams *all, const uint64_t *those, unsigned idx,
	    uint64_t pos, uint64_t records)
{
	unsigned cnt = all->filtered_cnt;

	for (; (idx = bits_next(those, idx, cnt)) < cnt; idx++) {
		all->filtered[idx].fed.pos = pos;
		all->filtered[idx].fed_records = records;
		streams_leave_out(all, &all->filtered[idx]);
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
			streams_leave_out(all, s);
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
		if (streams_is_time_over(all))
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
		if (streams_is_time_over(all))
			return false;
	all->half = NULL;
	stream_commit(s, len, 1, now_ns);
	all->feeds++;
	return true;
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
		streams_leave_out(all, s);
		return true;
	}
	if (t != NULL && selection_filters(&s->selection, t->idx))
		return write_in_time(all, s, pos, len, now_ns);
	if (t != NULL && all->batch != NULL)
		len = batch_write_alone(t, frame, stream_head(s));
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
streams_feed_long(struct streams *all, uint64_t pos, uint64_t records,
		  const struct schema_table *t, const uint8_t *frame,
		  int64_t now_ns)
{
	unsigned cnt = all->filtered_cnt;
	bool has_look = t != NULL && all->filterers[t->idx] > 0;

	leave_out_full(all, pos);
	if (!streams_is_any_here(all))
		return;
	/* An earlier message may have used up the time; else it begins here. */
	if (streams_is_time_over(all) ||
	    (has_look && !look_in_time(all, t, pos, frame))) {
		find_concerned(all, t);
		streams_cut(all, all->receivers, 0, pos, records);
		return;
	}
	find_receivers(all, &all->long_filter, t);
	for (unsigned i = 0; (i = bits_next(all->receivers, i, cnt)) < cnt;
	     i++) {
		struct stream *s = &all->filtered[i];

		s->fed.pos = pos;
		s->fed_records = records;
		if (!feed_long_to(all, s, pos, t, frame, now_ns)) {
			streams_cut(all, all->receivers, i, pos, records);
			return;
		}
		if (bits_next(all->receivers, i + 1, cnt) < cnt &&
		    streams_is_time_over(all)) {
			streams_cut(all, all->receivers, i + 1, pos, records);
			return;
		}
	}
	all->looked = NULL;
	all->look_pos = pos + 1; /* no unfinished look remains */
}

void
streams_feed_message(struct streams *all, uint64_t pos, uint64_t records,
		     int64_t now_ns)
{
	const uint8_t *frame = ring_at(&all->main.ring, pos);
	const struct schema_table *t = NULL;
	unsigned cnt = all->filtered_cnt;

	if (stream_frame_is_record(frame))
		t = record_table(all->schema, frame);
	if (streams_is_long(all, stream_frame_len(frame))) {
		streams_feed_long(all, pos, records, t, frame, now_ns);
		return;
	}
	streams_find_receivers(all, t, frame);
	for (unsigned i = 0; (i = bits_next(all->receivers, i, cnt)) < cnt;
	     i++) {
		struct stream *s = &all->filtered[i];
		size_t len;

		s->fed.pos = pos;
		s->fed_records = records;
		if (!has_room_for(&all->filter, s, t, frame)) {
			streams_leave_out(all, s);
			continue;
		}
		len = streams_write_selected(all, s, t, frame, stream_head(s));
		stream_commit(s, len, t != NULL, now_ns);
		all->feeds++;
	}
}

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

void
streams_fed(struct streams *all, uint64_t to, uint64_t records)
{
	unsigned cnt = all->filtered_cnt;

	for (unsigned i = 0; (i = bits_next(all->group, i, cnt)) < cnt; i++) {
		all->filtered[i].fed.pos = to;
		all->filtered[i].fed_records = records;
	}
}

/* Feeds all->group, whose streams have been fed up to `from`, up to `to`, or
 * until none of them has room. */
static void
feed_together(struct streams *all, uint64_t from, uint64_t to, int64_t now_ns)
{
	unsigned first = bits_next(all->group, 0, all->filtered_cnt);
	uint64_t records = all->filtered[first].fed_records;

	while (from != to && streams_is_any_here(all)) {
		const uint8_t *frame = ring_at(&all->main.ring, from);

		streams_feed_message(all, from, records, now_ns);
		from += stream_frame_len(frame);
		records += stream_frame_is_record(frame);
	}
	streams_fed(all, from, records);
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
	if (all->is_cut)
		return;
	all->looked = NULL;
	all->half = NULL;
}
