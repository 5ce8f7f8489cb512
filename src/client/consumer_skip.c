#include "config.h"

#include "client/consumer.h"
#include "client/consumer_private.h"

size_t
consumer_torn_bytes(const struct consumer *c)
{
	CHECK(c->writing != PART_STREAM);
	if (c->here.stream == NULL || consumer_end_pos(c) == c->here.pos)
		return 0;
	return (size_t)(stream_locate(c->here.stream, c->here.pos).frame_end -
			c->here.pos);
}

uint64_t
consumer_torn_end(const struct consumer *c)
{
	return stream_main_end(c->here.stream,
			       c->here.pos + consumer_torn_bytes(c));
}

/* Prepares the notice for an addition.  Bytes that are not in flight are built
 * anew; if they are, the addition goes into a second notice. */
static void
keep_notice_open(struct consumer *c)
{
	struct notice *n = &c->notice;
	bool is_on_its_way = n->sent > 0 || c->writing == PART_NOTICE;

	if (is_on_its_way && n->is_all)
		n->has_mark = n->has_range = false;
	if (!is_on_its_way)
		n->len = 0;
	n->is_all = false;
	n->is_after_reply = c->reply_sent > 0 || c->writing == PART_REPLY;
}

/* Moves a cursor to to_pos, and adds the records between to *skipped. */
static void
skip_cursor(struct consumer *c, struct cursor *cursor, uint64_t to_pos,
	    struct skipped *skipped)
{
	const struct stream *s = cursor->stream;
	uint64_t pos = cursor->pos;
	int32_t day;

	if (skipped->records == 0)
		skipped->from_record = stream_main_record(s, pos);
	skipped->to_record = stream_main_record(s, to_pos);
	skipped->to_pos = stream_main_place(s, to_pos).main_pos;
	skipped->records +=
		stream_locate(s, to_pos).record - stream_locate(s, pos).record;
	cursor->pos = to_pos;
	if (!stream_find_mark(s, pos, to_pos, &day))
		return;
	keep_notice_open(c);
	c->notice.has_range = false; /* of the day that has ended */
	c->notice.has_mark = true;
	c->notice.mark_day = day;
}

struct skipped
consumer_skip(struct consumer *c, uint8_t *buffer,
	      const struct history_place *place)
{
	struct skipped skipped = { 0 };
	size_t torn = consumer_torn_bytes(c);

	if (place != NULL)
		consumer_read_rest(c, torn, place);
	else
		consumer_keep_rest(c, torn, buffer);
	if (!consumer_is_open(c, &c->here)) {
		/* The stream after the reply is kept; the old one is not held
		 * any longer. */
		if (c->here.stream != NULL)
			skip_cursor(c, &c->here, consumer_end_pos(c), &skipped);
		streams_detach(&c->here);
		if (c->state == CONSUMER_LIVE)
			consumer_move(c, CONSUMER_NONE);
		if (c->next.stream != NULL)
			skip_cursor(c, &c->next, c->next.stream->visible_pos,
				    &skipped);
	} else if (c->here.stream != NULL) {
		uint64_t visible = c->here.stream->visible_pos;

		/* A reply in the middle of the skipped messages comes next. */
		if (c->limit_pos - c->here.pos < visible - c->here.pos)
			c->limit_pos = visible;
		skip_cursor(c, &c->here, visible, &skipped);
	}
	c->skips++;
	c->skipped_records += skipped.records;
	if (c->writing == PART_NONE)
		consumer_step(c);
	return skipped;
}

void
consumer_tell_skip(struct consumer *c, uint64_t from_record, uint64_t to_record,
		   uint64_t marks)
{
	struct notice *n = &c->notice;

	keep_notice_open(c);
	if (!n->has_range)
		n->from_record = from_record;
	n->to_record = to_record;
	n->range_marks = marks;
	n->has_range = n->from_record < to_record;
}

static uint64_t
number_after_loss(uint64_t record, const struct journal_loss *loss)
{
	if (record < loss->record)
		return record;
	return max_u64(loss->record, record - min_u64(record, loss->cnt));
}

void
consumer_renumber_skips(struct consumer *c, const struct journal_loss *loss)
{
	struct notice *n = &c->notice;

	if (!n->has_range || n->range_marks != loss->marks)
		return;
	keep_notice_open(c);
	n->from_record = number_after_loss(n->from_record, loss);
	n->to_record = number_after_loss(n->to_record, loss);
	n->has_range = n->from_record < n->to_record;
}
