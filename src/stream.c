#include "config.h"

#include "stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "record.h"
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
	all->tables = calloc(schema->tables_cnt + 1, sizeof(*all->tables));
	all->hidden = calloc(1, sizeof(*all->hidden));
	if (all->tables == NULL || all->hidden == NULL)
		return -ENOMEM;
	all->hidden->tables = calloc(schema->tables_cnt + 1,
				     sizeof(*all->hidden->tables));
	if (all->hidden->tables == NULL)
		return -ENOMEM;
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
	if (all->hidden != NULL)
		free(all->hidden->tables);
	free(all->hidden);
	free(all->tables);
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

/* To the entry at or before the slowest cursor: the walk to it starts there,
 * so those frames must not be overwritten either. */
static void
refresh_tail(struct stream *s)
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

/* Nobody lags: no byte is needed, and the next message gets an entry. */
static void
forget_all(struct stream *s)
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
	if (s->slowest_pos == s->head_pos &&
	    s->head_pos - s->tail_pos + len > s->ring.size)
		forget_all(s);
	if (s->head_pos - s->tail_pos + len <= s->ring.size)
		return true;
	s->wanted_bytes = len;
	return false;
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
	index_add(&s->index, e, s->tail_pos);
	if (records == 0)
		s->last_mark_pos = s->head_pos;
	s->head_pos += len;
	/* Entries live as long as their bytes: who comes back to the ring may
	 * find a place behind the tail. */
	index_trim(&s->index, s->head_pos - s->ring.size);
	s->records += records;
	s->marks += records == 0;
	s->mark_bytes += records == 0 ? len : 0;
	if (!s->is_gated)
		s->visible_pos = s->head_pos;
}

void
streams_commit(struct streams *all, unsigned table_idx, uint64_t len,
	       int64_t now_ns)
{
	stream_commit(&all->main, len, 1, now_ns);
	all->tables[table_idx].records++;
	all->tables[table_idx].bytes += len;
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

static bool
is_wanted(const struct streams *all, const struct selection *selection,
	  const uint8_t *frame)
{
	return !stream_frame_is_record(frame) ||
	       selection_has(selection, record_table(all->schema, frame)->idx);
}

/* The stream of a selection, else a free one, else NULL. */
static struct stream *
choose(struct streams *all, const struct selection *selection)
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
	return unused;
}

/* What stands in the main stream from pos on. */
static const struct stream_tail *
tail_from(const struct streams *all, uint64_t pos)
{
	const struct stream *s = &all->main;
	struct stream_tail *tail = all->hidden;

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

/* Of a selection, what stands in the main stream before pos. */
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

/* A free filtered stream begins at its head, with what follows main_pos. */
static void
begin_filtered(struct streams *all, struct stream *s,
	       const struct selection *selection, uint64_t main_pos)
{
	s->missed = total_before(all, selection, main_pos);
	s->missed.records -= s->records;
	s->missed.bytes -= s->head_pos;
	s->selection = *selection;
	/* What it had for others cannot be gone back to. */
	cursor_attach(&s->fed, &all->main, main_pos);
	forget_all(s);
	s->fed_records = stream_locate(&all->main, main_pos).record;
}

struct stream *
streams_find(struct streams *all, const struct selection *selection)
{
	struct stream *s = choose(all, selection);

	if (s != NULL && !is_in_use(s))
		begin_filtered(all, s, selection, all->main.visible_pos);
	return s;
}

/* Makes bytes behind the tail, which nobody overwrote yet, part of the stream
 * again.  false if the ring, or its index, does not go back so far. */
static bool
reclaim(struct stream *s, uint64_t pos)
{
	const struct index_entry *e = index_find(&s->index, pos);

	if (pos == s->head_pos)
		return true;
	if (e == NULL || s->head_pos - pos > s->ring.size)
		return false;
	if (s->head_pos - e->pos > s->head_pos - s->tail_pos)
		s->tail_pos = e->pos;
	return true;
}

/* The position in a filtered stream of what follows main_pos: so much before
 * what comes later.  (What came before may be long gone from the main ring:
 * tables can be rare.) */
static bool
find_filtered(const struct streams *all, const struct stream *s,
	      uint64_t main_pos, uint64_t *out_pos)
{
	const struct index_entry *later = index_find_main(&s->index, main_pos);
	uint64_t end = later != NULL ? later->main_pos : s->fed.pos;

	if ((int64_t)(s->fed.pos - main_pos) < 0 ||
	    (int64_t)(main_pos - s->first_main_pos) < 0 ||
	    all->main.head_pos - main_pos > all->main.ring.size)
		return false;
	*out_pos = later != NULL ? later->pos : s->head_pos;
	for (uint64_t at = main_pos; at != end;) {
		const uint8_t *frame = ring_at(&all->main.ring, at);
		uint32_t len = stream_frame_len(frame);

		if (is_wanted(all, &s->selection, frame))
			*out_pos -= len;
		at += len;
	}
	return true;
}

bool
streams_resume(struct streams *all, const struct selection *selection,
	       uint64_t main_pos, struct cursor *cursor)
{
	struct stream *s = choose(all, selection);
	uint64_t pos = main_pos;

	if (s == NULL)
		return false;
	if (!s->is_main && is_in_use(s) &&
	    !find_filtered(all, s, main_pos, &pos))
		return false;
	if (!s->is_main && !is_in_use(s)) {
		if (!reclaim(&all->main, main_pos))
			return false;
		begin_filtered(all, s, selection, main_pos);
		pos = s->head_pos;
	}
	if (!reclaim(s, pos))
		return false;
	cursor_attach(cursor, s, pos);
	return true;
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

		if (is_wanted(all, &s->selection, frame) &&
		    !feed_frame(s, frame, len, now_ns))
			return;
		fed->pos += len;
		s->fed_records += stream_frame_is_record(frame);
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

/* ---- totals ---- */

struct stream_total
streams_total(const struct streams *all, const struct selection *selection)
{
	return total_before(all, selection, all->main.visible_pos);
}

struct stream_total
streams_unfed(const struct streams *all, const struct stream *s)
{
	struct stream_total unfed = { 0 };

	if (streams_is_level(all, s))
		return unfed;
	unfed = streams_total(all, &s->selection);
	unfed.records -= s->missed.records + s->records;
	unfed.bytes -= s->missed.bytes + s->head_pos;
	return unfed;
}

/* Where the slowest cursor of a stream must go on in the main stream. */
static uint64_t
slowest_main_pos(struct stream *s)
{
	uint64_t main_pos, skip_bytes;

	refresh_tail(s);
	stream_main_place(s, s->slowest_pos, &main_pos, &skip_bytes);
	return main_pos;
}

uint64_t
streams_oldest_pos(struct streams *all)
{
	uint64_t head = all->main.head_pos;
	uint64_t longest = head - slowest_main_pos(&all->main);

	for (unsigned i = 0; i < all->filtered_cnt; i++) {
		struct stream *s = &all->filtered[i];

		if (is_in_use(s))
			longest = max_u64(longest, head - slowest_main_pos(s));
	}
	return head - longest;
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

void
stream_main_place(const struct stream *s, uint64_t pos, uint64_t *out_main_pos,
		  uint64_t *out_skip_bytes)
{
	const struct index_entry *e = index_find(&s->index, pos);

	*out_skip_bytes = 0;
	if (pos == s->head_pos) {
		*out_main_pos = s->is_main ? pos : s->fed.pos;
	} else if (s->is_main) {
		*out_main_pos = stream_locate(s, pos).frame_pos;
		*out_skip_bytes = pos - *out_main_pos;
	} else {
		*out_main_pos = e->main_pos;
		*out_skip_bytes = pos - e->pos;
	}
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
stream_find_mark(const struct stream *s, uint64_t pos, uint64_t to_pos,
		 int32_t *out_day)
{
	bool is_any = false;

	/* Mostly there is none. */
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
