#include "config.h"

#include "ring/batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "ring/fanout.h"
#include "ring/stream_private.h"
#include "schema/record.h"
#include "schema/row_ops.h"
#include "wire/wire.h"

/* Updates in one batch; further ones go into the next. */
enum { UPDATES_MAX = 1 << 17 };

/* The updates of one table: a list through batch.next. */
struct batch_table {
	uint32_t first, last;
	uint32_t cnt;
	bool may_grow; /* has a column whose items may get a type byte each */
};

struct batch {
	size_t unit_max; /* bytes; only a batch of one update is longer */
	size_t mapped_bytes;
	uint8_t *merged; /* the message being made; its buffer has twice
			    message_max bytes */
	struct rows *updates;
	uint32_t *next;
	struct rows_source *sources;
	struct batch_table *tables;
	/* The batch being made: */
	uint32_t cnt;
	uint64_t bytes_max; /* upper bound of its length */
};

uint64_t
batch_memory(size_t message_max)
{
	return 2 * (uint64_t)message_max +
	       UPDATES_MAX * (uint64_t)(sizeof(struct rows) + sizeof(uint32_t) +
					sizeof(struct rows_source));
}

int
batch_open(struct streams *all, size_t message_max, size_t unit_max)
{
	const struct schema *schema = all->schema;
	struct batch *b = calloc(1, sizeof(*b));
	uint8_t *at;

	if (b == NULL)
		return -ENOMEM;
	all->batch = b;
	b->unit_max = unit_max;
	b->tables = calloc(schema->tables_cnt + 1, sizeof(*b->tables));
	b->mapped_bytes = (size_t)batch_memory(message_max);
	at = memory_map(b->mapped_bytes);
	b->sources = (struct rows_source *)at;
	if (b->tables == NULL || at == NULL)
		return -ENOMEM;
	b->updates = (struct rows *)(b->sources + UPDATES_MAX);
	b->next = (uint32_t *)(b->updates + UPDATES_MAX);
	b->merged = (uint8_t *)(b->next + UPDATES_MAX);
	for (unsigned i = 0; i < schema->tables_cnt; i++)
		for (unsigned k = 0; k < schema->tables[i].columns_cnt; k++)
			if (schema->tables[i].columns[k].type == KT_LIST)
				b->tables[i].may_grow = true;
	all->main.is_gated = true;
	cursor_attach(&all->shown, &all->main, all->main.visible_pos);
	return 0;
}

void
batch_close(struct streams *all)
{
	struct batch *b = all->batch;

	if (b == NULL)
		return;
	memory_unmap(b->sources, b->mapped_bytes);
	free(b->tables);
	free(b);
	all->batch = NULL;
}

/* ---- making a batch ---- */

void
batch_start(struct streams *all)
{
	struct batch *b = all->batch;

	b->cnt = 0;
	b->bytes_max = 0;
	for (unsigned i = 0; i < all->schema->tables_cnt; i++)
		b->tables[i].cnt = 0;
}

bool
batch_take(struct streams *all, const struct schema_table *t, struct rows rows,
	   size_t frame_len, size_t max)
{
	struct batch *b = all->batch;
	struct batch_table *of = &b->tables[t->idx];
	/* Where columns of different types are merged, each item gets a type
	 * byte; a message that is alone keeps its length. */
	uint64_t bytes = (of->may_grow ? 2 : 1) * (uint64_t)frame_len;

	if (b->cnt > 0 ? b->cnt == UPDATES_MAX || b->bytes_max + bytes > max
		       : frame_len > max)
		return false;
	b->bytes_max += bytes;
	b->updates[b->cnt] = rows;
	if (of->cnt++ == 0)
		of->first = b->cnt;
	else
		b->next[of->last] = b->cnt;
	of->last = b->cnt++;
	return true;
}

/* Adds the updates from `from` on, at least one, and returns the position where
 * the batch ends. */
static uint64_t
collect_updates(struct streams *all, uint64_t from, uint64_t to)
{
	batch_start(all);
	while (from != to) {
		const uint8_t *frame = ring_at(&all->main.ring, from);
		const struct schema_table *t;
		size_t len = stream_frame_len(frame);

		if (!stream_frame_is_record(frame))
			break;
		t = record_table(all->schema, frame);
		/* A longer update is a batch by itself. */
		if (!batch_take(all, t, row_ops_of_frame(t, frame), len,
				max_u64(all->batch->unit_max,
					all->batch->cnt == 0 ? len : 0)))
			break;
		from += stream_frame_len(frame);
	}
	return from;
}

/* Writes all rows of a table, as one message, to b->merged. */
static void
merge_rows(struct streams *all, const struct schema_table *t)
{
	struct batch *b = all->batch;
	const struct batch_table *of = &b->tables[t->idx];
	uint32_t at = of->first;

	for (uint32_t i = 0; i < of->cnt; i++, at = b->next[at])
		b->sources[i].rows = b->updates[at];
	(void)row_ops_merge(t, b->sources, of->cnt, KA_GROUPED, b->merged);
}

size_t
batch_write(struct streams *all, const struct selection *selection, uint8_t *at)
{
	struct batch *b = all->batch;
	struct filter *f = &all->filter;
	uint8_t *start = at;

	for (unsigned i = 0; i < all->schema->tables_cnt; i++) {
		const struct schema_table *t = &all->schema->tables[i];
		uint32_t picked;

		if (b->tables[i].cnt == 0)
			continue;
		merge_rows(all, t);
		if (!selection_filters(selection, i)) {
			memcpy(at, b->merged, stream_frame_len(b->merged));
			at += stream_frame_len(b->merged);
			continue;
		}
		filter_look(f, t, row_ops_of_frame(t, b->merged));
		picked = filter_pick(f, selection->symbols);
		if (picked == 0)
			continue;
		filter_frame_write(f, picked, at);
		at += filter_frame_len(f, picked);
	}
	return (size_t)(at - start);
}

/* Appends a table's message to the uncommitted bytes of each stream that wants
 * it. */
static void
give_out(struct streams *all, const struct schema_table *t)
{
	const uint8_t *frame = all->batch->merged;
	unsigned cnt = all->filtered_cnt;

	merge_rows(all, t);
	fanout_find_receivers(all, t, frame);
	for (unsigned i = 0; (i = bits_next(all->receivers, i, cnt)) < cnt;
	     i++) {
		struct stream *s = &all->filtered[i];

		s->batch_len += fanout_write_selected(
			all, s, t, frame, stream_head(s) + s->batch_len);
		s->batch_cnt++;
	}
}

/* A stream without room for the whole batch waits with all of it: a batch is
 * never written in part. */
static void
leave_out_full(struct streams *all)
{
	unsigned cnt = all->filtered_cnt;

	for (unsigned i = 0; (i = bits_next(all->group, i, cnt)) < cnt; i++)
		if (!stream_has_room(&all->filtered[i], all->batch->bytes_max))
			fanout_leave_out(all, &all->filtered[i]);
}

static void
commit_batch(struct streams *all, uint64_t from, uint64_t records,
	     int64_t now_ns)
{
	unsigned cnt = all->filtered_cnt;

	for (unsigned i = 0; (i = bits_next(all->group, i, cnt)) < cnt; i++) {
		struct stream *s = &all->filtered[i];

		if (s->batch_cnt == 0)
			continue;
		s->fed.pos = from;
		s->fed_records = records;
		stream_commit(s, s->batch_len, s->batch_cnt, now_ns);
		all->feeds += s->batch_cnt;
		s->batch_len = 0;
		s->batch_cnt = 0;
	}
}

/* Gives the batch made of [from, to) to all->group. */
static void
give_batch(struct streams *all, uint64_t from, uint64_t to, uint64_t records,
	   int64_t now_ns)
{
	for (unsigned i = 0; i < all->schema->tables_cnt; i++)
		if (all->batch->tables[i].cnt > 0)
			give_out(all, &all->schema->tables[i]);
	commit_batch(all, from, records, now_ns);
	fanout_note_fed(all, to, records + all->batch->cnt);
}

/* Whether the batch has updates of a table that the stream wants. */
static bool
is_concerned(const struct streams *all, const struct stream *s)
{
	for (unsigned i = 0; i < all->schema->tables_cnt; i++)
		if (all->batch->tables[i].cnt > 0 &&
		    selection_has(&s->selection, i))
			return true;
	return false;
}

/* Puts the next group of streams, from index i on, into all->group: at most
 * group_max streams that want something from the batch, and the ones between
 * them that do not.  Returns where the next group begins. */
static unsigned
begin_group(struct streams *all, unsigned i)
{
	unsigned cnt = all->filtered_cnt, left = all->group_max;

	memset(all->group, 0, all->words * sizeof(*all->group));
	for (; (i = bits_next(all->group_of, i, cnt)) < cnt; i++) {
		if (is_concerned(all, &all->filtered[i]) && left-- == 0)
			break;
		bits_set(all->group, i, true);
	}
	return i;
}

/* A long batch is timed: one group of streams after the other gets it.  When
 * the time is over, the remaining streams wait before it until the next
 * turn. */
static void
give_long_batch(struct streams *all, uint64_t from, uint64_t to,
		uint64_t records, int64_t now_ns)
{
	unsigned cnt = all->filtered_cnt, i = 0;
	size_t bytes = all->words * sizeof(*all->group);
	bool is_over = fanout_is_time_over(all);

	memcpy(all->group_of, all->group, bytes);
	while (!is_over && bits_next(all->group_of, i, cnt) < cnt) {
		i = begin_group(all, i);
		give_batch(all, from, to, records, now_ns);
		is_over = fanout_is_time_over(all);
	}
	memcpy(all->group, all->group_of, bytes);
	if (bits_next(all->group_of, i, cnt) < cnt)
		fanout_cut(all, all->group_of, i, from, records);
}

/* A batch of one long update is fed like a long message: a piece that has been
 * written is kept, even if other streams are fed before the rest. */
static void
give_alone(struct streams *all, uint64_t from, uint64_t to, uint64_t records,
	   int64_t now_ns)
{
	const uint8_t *frame = ring_at(&all->main.ring, from);

	fanout_long(all, from, records, record_table(all->schema, frame), frame,
		    now_ns);
	fanout_note_fed(all, to, records + 1);
}

void
batch_feed(struct streams *all, uint64_t from, uint64_t to, int64_t now_ns)
{
	unsigned first = bits_next(all->group, 0, all->filtered_cnt);
	uint64_t records = all->filtered[first].fed_records;

	while (from != to && streams_is_any_left(all)) {
		const uint8_t *frame = ring_at(&all->main.ring, from);
		int64_t time_ns = fanout_time(all, from, now_ns);
		bool is_long;
		uint64_t end;

		if (!stream_frame_is_record(frame)) {
			fanout_message(all, from, records, time_ns);
			from += stream_frame_len(frame);
			fanout_note_fed(all, from, records);
			continue;
		}
		end = collect_updates(all, from, to);
		leave_out_full(all);
		if (!streams_is_any_left(all))
			return;
		is_long = streams_is_long(all, all->batch->bytes_max);
		if (is_long && all->batch->cnt == 1)
			give_alone(all, from, end, records, time_ns);
		else if (is_long)
			give_long_batch(all, from, end, records, time_ns);
		else
			give_batch(all, from, end, records, time_ns);
		from = end;
		records += all->batch->cnt;
	}
}
