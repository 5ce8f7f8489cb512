#include "config.h"

#include "ring/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ring/stream_private.h"
#include "schema/mark.h"
#include "wire/wire.h"

/* ---- open and close ---- */

int
stream_open(struct stream *s, size_t bytes, bool huge_pages, bool touch,
	    uint64_t unit_max)
{
	size_t capacity = index_capacity(bytes, unit_max / 2);
	int err = ring_open(&s->ring, bytes, huge_pages, touch);

	if (err != 0)
		return err;
	s->index_entries = calloc(capacity, sizeof(*s->index_entries));
	if (s->index_entries == NULL)
		return -ENOMEM;
	index_init(&s->index, s->index_entries, bytes, unit_max / 2);
	list_init(&s->cursors);
	s->unit_max = unit_max;
	return 0;
}

void
stream_close(struct stream *s)
{
	free(s->index_entries);
	ring_close(&s->ring);
	*s = (struct stream){ 0 };
}

/* ---- cursors ---- */

void
cursor_attach(struct cursor *c, struct stream *s, uint64_t pos)
{
	CHECK(c->stream == NULL);
	CHECK(s->head_pos - pos <= s->ring.size);
	c->stream = s;
	c->pos = pos;
	list_append(&s->cursors, &c->node);
}

bool
cursor_detach(struct cursor *c)
{
	struct stream *s = c->stream;

	if (s == NULL)
		return false;
	list_remove(&c->node);
	c->stream = NULL;
	return list_is_empty(&s->cursors);
}

void
stream_refresh_tail(struct stream *s)
{
	const struct index_entry *e;
	uint64_t longest = 0;

	for (struct list *n = s->cursors.next; n != &s->cursors; n = n->next) {
		struct cursor *c = container_of(n, struct cursor, node);

		longest = max_u64(longest, s->head_pos - c->pos);
	}
	CHECK(longest <= s->ring.size);
	e = index_find(&s->index, s->head_pos - longest);
	CHECK(e != NULL || longest == 0);
	s->tail_pos = e != NULL ? e->pos : s->head_pos;
	s->slowest_pos = s->head_pos - longest;
}

void
stream_forget_all(struct stream *s)
{
	index_trim(&s->index, s->head_pos);
	s->tail_pos = s->head_pos;
	s->first_main_pos = s->fed.pos;
}

/* ---- writing ---- */

bool
stream_is_in_the_way(const struct stream *s, uint64_t pos)
{
	uint64_t from;

	if (s->wanted_bytes == 0 || pos == s->visible_pos)
		return false;
	from = index_find(&s->index, pos)->pos;
	/* Bytes that are not visible yet are not part of its lag. */
	return s->visible_pos - from + s->wanted_bytes > s->ring.size;
}

bool
stream_may_be_slow(struct stream *s, unsigned percent)
{
	uint64_t mark = s->ring.size / 100 * percent;

	if (s->wanted_bytes > 0)
		return true;
	if (s->head_pos - s->tail_pos < mark)
		return false;
	stream_refresh_tail(s);
	return s->head_pos - s->tail_pos >= mark;
}

bool
stream_has_room(struct stream *s, uint64_t len)
{
	s->wanted_bytes = 0;
	if (s->head_pos - s->tail_pos + len <= s->ring.size)
		return true;
	stream_refresh_tail(s);
	if (s->slowest_pos == s->head_pos &&
	    s->head_pos - s->tail_pos + len > s->ring.size)
		stream_forget_all(s);
	if (s->head_pos - s->tail_pos + len <= s->ring.size)
		return true;
	s->wanted_bytes = len;
	return false;
}

/* Whether len more bytes would make the unit after the last index entry longer
 * than unit_max. */
static bool
is_unit_full(const struct stream *s, uint64_t len)
{
	const struct index_entry *e;

	if (s->unit_max == 0)
		return false;
	e = index_find(&s->index, s->head_pos);
	return e != NULL && e->pos != s->head_pos &&
	       s->head_pos + len - e->pos > s->unit_max;
}

void
stream_commit(struct stream *s, uint64_t len, unsigned records, int64_t now_ns)
{
	struct index_entry e = {
		.pos = s->head_pos,
		.record = s->records,
		.time_ns = now_ns,
		.main_pos = s->is_main ? s->head_pos : s->fed.pos,
		.main_record = s->is_main ? s->records : s->fed_records,
	};

	CHECK(s->head_pos - s->tail_pos + len <= s->ring.size);
	if (is_unit_full(s, len))
		index_put(&s->index, e, s->tail_pos);
	else
		index_add(&s->index, e, s->tail_pos);
	if (records == 0)
		s->last_mark_pos = s->head_pos;
	s->head_pos += len;
	/* Entries live as long as their bytes: a consumer that returns to the
	 * ring may find its place before the tail. */
	index_trim(&s->index, s->head_pos - s->ring.size);
	s->records += records;
	s->marks += records == 0;
	s->mark_bytes += records == 0 ? len : 0;
	if (!s->is_gated)
		s->visible_pos = s->head_pos;
}

void
stream_show(struct stream *s, uint64_t pos, int64_t now_ns)
{
	CHECK(s->is_gated && s->head_pos - pos <= s->ring.size);
	if (pos - s->visible_pos > s->ring.size / 4)
		s->revealed_ns = now_ns;
	s->visible_pos = pos;
}

/* ---- what a position means ---- */

uint32_t
stream_frame_len(const uint8_t *frame)
{
	uint32_t len = wire_load_u32(frame + 4);

	CHECK(len >= WIRE_FRAME_MIN);
	return len;
}

bool
stream_frame_is_record(const uint8_t *frame)
{
	/* A record is (`upd;t;x), a mark (`.u.end;date): lists of 3 and 2. */
	return wire_load_u32(frame + WIRE_HEADER_BYTES + 2) == 3;
}

struct stream_place
stream_locate(const struct stream *s, uint64_t pos)
{
	const struct index_entry *entry = index_find(&s->index, pos);
	struct stream_place place = {
		.frame_pos = pos,
		.frame_end = pos,
		.record = s->records,
	};
	uint64_t at, end;

	CHECK(s->head_pos - pos <= s->ring.size);
	if (pos == s->head_pos)
		return place;
	CHECK(entry != NULL);
	place.record = entry->record;
	place.time_ns = entry->time_ns;
	for (at = entry->pos;; at = end) {
		const uint8_t *frame = ring_at(&s->ring, at);

		end = at + stream_frame_len(frame);
		if (at == pos || (int64_t)(end - pos) > 0)
			break;
		place.record += stream_frame_is_record(frame);
	}
	place.frame_pos = at;
	place.frame_end = at == pos ? pos : end;
	return place;
}

uint64_t
stream_unit_end(const struct stream *s, uint64_t pos)
{
	const struct index_entry *e;
	uint64_t end;

	if (s->unit_max == 0 || pos == s->head_pos)
		return pos;
	e = index_find_next(&s->index, pos);
	end = e != NULL ? e->pos : s->head_pos;
	e = index_find(&s->index, pos);
	return end - e->pos > s->unit_max ? pos : end;
}

struct stream_source
stream_main_place(const struct stream *s, uint64_t pos)
{
	const struct index_entry *e;

	pos = stream_unit_end(s, pos);
	if (s->is_main) {
		struct stream_place place = stream_locate(s, pos);

		return (struct stream_source){ place.frame_pos, place.record,
					       pos - place.frame_pos };
	}
	if (pos == s->head_pos)
		return (struct stream_source){ s->fed.pos, s->fed_records, 0 };
	e = index_find(&s->index, pos);
	return (struct stream_source){ e->main_pos, e->main_record,
				       pos - e->pos };
}

uint64_t
stream_main_end(const struct stream *s, uint64_t pos)
{
	const struct index_entry *e;

	if (s->is_main)
		return pos;
	e = index_find_next(&s->index, pos);
	return e != NULL ? e->main_pos : s->fed.pos;
}

uint64_t
stream_main_record(const struct stream *s, uint64_t pos)
{
	if (s->is_main)
		return stream_locate(s, pos).record;
	return pos == s->head_pos ? s->fed_records
				  : index_find(&s->index, pos)->main_record;
}

bool
stream_has_mark_after(const struct stream *s, uint64_t pos)
{
	return s->marks > 0 && s->last_mark_pos - pos < s->head_pos - pos;
}

bool
stream_find_mark(const struct stream *s, uint64_t pos, uint64_t to_pos,
		 int32_t *out_day)
{
	bool is_any = false;

	/* Mostly there is no mark. */
	if (s->marks == 0 || (int64_t)(s->last_mark_pos - pos) < 0)
		return false;
	if (s->last_mark_pos - pos < to_pos - pos) {
		*out_day = mark_day(ring_at(&s->ring, s->last_mark_pos));
		return true;
	}
	while (pos != to_pos) {
		const uint8_t *frame = ring_at(&s->ring, pos);

		if (!stream_frame_is_record(frame)) {
			*out_day = mark_day(frame);
			is_any = true;
		}
		pos += stream_frame_len(frame);
	}
	return is_any;
}
