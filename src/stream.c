#include "config.h"

#include "stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wire.h"

/* ---- open and close ---- */

static int
stream_open(struct stream *s, size_t bytes, bool huge_pages, bool touch)
{
	size_t capacity = index_capacity(bytes);
	int err = ring_open(&s->ring, bytes, huge_pages, touch);

	if (err != 0)
		return err;
	s->index_entries = calloc(capacity, sizeof(*s->index_entries));
	if (s->index_entries == NULL)
		return -ENOMEM;
	index_init(&s->index, s->index_entries, bytes);
	list_init(&s->cursors);
	return 0;
}

static void
stream_close(struct stream *s)
{
	free(s->index_entries);
	ring_close(&s->ring);
	*s = (struct stream){ 0 };
}

int
streams_open(struct streams *all, const struct schema *schema,
	     size_t main_bytes, bool huge_pages, unsigned filtered_max,
	     size_t filtered_bytes)
{
	int err;

	*all = (struct streams){ .schema = schema };
	all->main.is_main = true;
	all->main.selection = selection_all(schema);
	err = stream_open(&all->main, main_bytes, huge_pages, true);
	if (err != 0)
		return err;
	all->filtered = calloc(filtered_max + 1, sizeof(*all->filtered));
	if (all->filtered == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < filtered_max; i++) {
		struct stream *s = &all->filtered[i];

		s->id = i + 1;
		all->filtered_cnt = i + 1;
		err = stream_open(s, filtered_bytes, false, false);
		if (err != 0)
			return err;
	}
	return 0;
}

void
streams_close(struct streams *all)
{
	for (unsigned i = 0; i < all->filtered_cnt; i++)
		stream_close(&all->filtered[i]);
	free(all->filtered);
	stream_close(&all->main);
	*all = (struct streams){ 0 };
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

static bool
is_in_use(const struct stream *s)
{
	return s->is_main || s->fed.stream != NULL;
}

void
cursor_detach(struct cursor *c)
{
	struct stream *s = c->stream;

	if (s == NULL)
		return;
	list_remove(&c->node);
	c->stream = NULL;
	/* The last reader of a filtered stream frees it: it holds nothing. */
	if (!s->is_main && list_is_empty(&s->cursors))
		cursor_detach(&s->fed);
}

static void
refresh_tail(struct stream *s)
{
	uint64_t longest = 0;

	for (struct list *n = s->cursors.next; n != &s->cursors; n = n->next) {
		struct cursor *c = container_of(n, struct cursor, node);

		longest = max_u64(longest, s->head_pos - c->pos);
	}
	CHECK(longest <= s->ring.size);
	s->tail_pos = s->head_pos - longest;
	/* Back to the entry before it: the walk to a cursor starts there, so
	 * those frames must not be overwritten either. */
	if (longest > 0)
		s->tail_pos = index_find(&s->index, s->tail_pos)->pos;
	index_trim(&s->index, s->tail_pos);
}

/* ---- writing ---- */

bool
stream_is_in_the_way(const struct stream *s, uint64_t pos)
{
	uint64_t from;

	if (s->wanted_bytes == 0 || pos == s->visible_pos)
		return false;
	from = index_find(&s->index, pos)->pos;
	/* What nobody may see yet is not its lag. */
	return s->visible_pos - from + s->wanted_bytes > s->ring.size;
}

static bool
may_be_slow(struct stream *s, unsigned percent)
{
	uint64_t mark = s->ring.size / 100 * percent;

	if (s->wanted_bytes > 0)
		return true;
	if (s->head_pos - s->tail_pos < mark)
		return false;
	refresh_tail(s);
	return s->head_pos - s->tail_pos >= mark;
}

bool
stream_has_room(struct stream *s, uint64_t len)
{
	s->wanted_bytes = 0;
	if (s->head_pos - s->tail_pos + len <= s->ring.size)
		return true;
	refresh_tail(s);
	if (s->head_pos - s->tail_pos + len <= s->ring.size)
		return true;
	s->wanted_bytes = len;
	return false;
}

void
stream_commit(struct stream *s, uint64_t len, unsigned records, int64_t now_ns)
{
	CHECK(s->head_pos - s->tail_pos + len <= s->ring.size);
	index_add(&s->index, (struct index_entry){ .pos = s->head_pos,
						   .record = s->records,
						   .time_ns = now_ns });
	s->head_pos += len;
	s->records += records;
	s->marks += records == 0;
	if (!s->is_gated)
		s->visible_pos = s->head_pos;
}

void
stream_show(struct stream *s, uint64_t pos, int64_t now_ns)
{
	CHECK(s->is_gated && s->head_pos - pos <= s->ring.size);
	if (pos - s->visible_pos > s->ring.size / 4)
		s->leap_ns = now_ns;
	s->visible_pos = pos;
}

/* ---- filtered streams ---- */

struct stream *
streams_find(struct streams *all, const struct selection *selection)
{
	struct stream *unused = NULL;

	if (selection_is_equal(selection, &all->main.selection))
		return &all->main;
	for (unsigned i = 0; i < all->filtered_cnt; i++) {
		struct stream *s = &all->filtered[i];

		if (!is_in_use(s))
			unused = unused != NULL ? unused : s;
		else if (selection_is_equal(selection, &s->selection))
			return s;
	}
	if (unused == NULL)
		return NULL;
	unused->selection = *selection;
	refresh_tail(unused);
	cursor_attach(&unused->fed, &all->main, all->main.visible_pos);
	return unused;
}

/* Behind the list header, `upd and the type byte of the table's symbol: where
 * a record's table name starts (wire.md section 6). */
#define FRAME_NAME_OFF (WIRE_HEADER_BYTES + 6 + 5 + 1)

static bool
is_wanted(const struct streams *all, const struct stream *s,
	  const uint8_t *frame)
{
	const char *name = (const char *)frame + FRAME_NAME_OFF;
	const struct schema_table *t;

	if (!stream_frame_is_record(frame))
		return true;
	t = schema_find(all->schema, name, strlen(name));
	CHECK(t != NULL);
	return selection_has(&s->selection, t->idx);
}

/* Copies one frame; false if there is no room for it. */
static bool
feed_frame(struct stream *s, const uint8_t *frame, uint32_t len,
	   int64_t now_ns)
{
	if (!stream_has_room(s, len))
		return false;
	memcpy(stream_head(s), frame, len);
	stream_commit(s, len, stream_frame_is_record(frame), now_ns);
	return true;
}

static void
feed_stream(struct streams *all, struct stream *s, int64_t now_ns)
{
	struct cursor *fed = &s->fed;

	while (fed->pos != all->main.visible_pos) {
		const uint8_t *frame = ring_at(&all->main.ring, fed->pos);
		uint32_t len = stream_frame_len(frame);

		if (is_wanted(all, s, frame) &&
		    !feed_frame(s, frame, len, now_ns))
			return;
		fed->pos += len;
	}
}

bool
streams_is_level(const struct streams *all, const struct stream *s)
{
	return s->is_main || s->fed.pos == all->main.visible_pos;
}

bool
streams_may_be_slow(struct streams *all, unsigned percent)
{
	bool may = may_be_slow(&all->main, percent);

	for (unsigned i = 0; i < all->filtered_cnt; i++)
		if (is_in_use(&all->filtered[i]) &&
		    may_be_slow(&all->filtered[i], percent))
			may = true;
	return may;
}

void
streams_feed(struct streams *all, int64_t now_ns)
{
	for (unsigned i = 0; i < all->filtered_cnt; i++)
		if (is_in_use(&all->filtered[i]))
			feed_stream(all, &all->filtered[i], now_ns);
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
