#include "config.h"

#include "client/consumer.h"
#include "client/consumer_private.h"

#include <string.h>

/* The position up to which it sends the stream's bytes before it leaves: in
 * batches, the end of a unit. */
static uint64_t
leave_pos(const struct consumer *c)
{
	uint64_t pos = c->here.pos, end = stream_unit_end(c->here.stream, pos);

	if (c->is_replying && c->limit_pos - pos < end - pos)
		return c->limit_pos;
	return end;
}

struct stream_source
consumer_main_place(const struct consumer *c)
{
	struct stream_source limit = { c->limit_main_pos,
				       c->limit_total.records, 0 };
	uint64_t pos;

	if (c->here.stream == NULL)
		return limit;
	pos = leave_pos(c);
	/* At the limit, the stream may know only a later place. */
	return c->is_replying && pos == c->limit_pos
		       ? limit
		       : stream_main_place(c->here.stream, pos);
}

/*
 * A backlog that begins with the messages that a cursor lacks; or, if the
 * selection's part of later messages cannot be counted, with all messages of
 * the main stream from from_pos on.
 */
static struct consumer_backlog
backlog_of(const struct consumer *c, const struct cursor *cursor,
	   int64_t now_ns, int64_t *age_ns)
{
	const struct stream *s = cursor->stream, *main = &c->streams->main;
	struct consumer_backlog backlog = {
		.fixed.bytes = consumer_lack_of(c, cursor).bytes,
		.fixed.records =
			consumer_lack_of_records(c, cursor, now_ns, age_ns),
		.since = streams_total(c->streams, &s->selection),
	};
	uint64_t end_pos = main->visible_pos;
	struct stream_source from;

	if (streams_can_count(c->streams, &s->selection))
		return backlog;
	backlog.is_all = true;
	backlog.since = streams_total(c->streams, &main->selection);
	if (cursor == &c->next) {
		backlog.from_pos = c->limit_main_pos;
		backlog.fixed = (struct stream_total){ 0 };
		backlog.since = c->limit_total;
		return backlog;
	}
	from = consumer_main_place(c);
	backlog.from_pos = from.main_pos;
	backlog.fixed.records = backlog.since.records;
	if (!consumer_is_open(c, cursor)) {
		end_pos = c->limit_main_pos;
		backlog.fixed.records = c->limit_total.records;
	}
	backlog.fixed.records -= from.main_record;
	backlog.fixed.bytes = end_pos - from.main_pos;
	return backlog;
}

void
consumer_leave(struct consumer *c, const struct history_place *place,
	       int64_t now_ns)
{
	struct past *p = &c->past;
	struct stream_source from;
	int64_t age_ns = 0;

	CHECK(c->writing != PART_STREAM && consumer_is_subscribed(c) &&
	      c->state != CONSUMER_JOURNAL);
	/* Copy the rest of a unit that it leaves in the middle. */
	if (c->here.stream != NULL)
		consumer_keep_rest(c, (size_t)(leave_pos(c) - c->here.pos),
				   NULL);
	from = consumer_main_place(c);
	p->from_pos = from.main_pos;
	p->skip_bytes = from.skip_bytes;
	p->from_record = p->skip_records = 0;
	p->backlog = (struct consumer_backlog){ 0 };
	if (c->here.stream != NULL) {
		selection_keep(consumer_symbols(c), &p->selection,
			       &c->here.stream->selection);
		p->backlog = backlog_of(c, &c->here, now_ns, &age_ns);
	}
	if (c->next.stream != NULL) {
		p->has_next = true;
		selection_keep(consumer_symbols(c), &p->next_selection,
			       &c->next.stream->selection);
		p->next_backlog = backlog_of(c, &c->next, now_ns, &age_ns);
	}
	streams_detach(&c->here);
	streams_detach(&c->next);
	p->at = *place;
	p->at.file->readers++;
	p->time_ns = now_ns - age_ns;
	consumer_move(c, CONSUMER_JOURNAL);
	p->is_touched = true;
	p->since_ns = now_ns;
	p->spills++;
}

void
consumer_read_rest(struct consumer *c, size_t len,
		   const struct history_place *place)
{
	struct past *p = &c->past;
	struct stream_source from = consumer_main_place(c);

	CHECK(!consumer_has_rest(c) && len > 0 && from.skip_bytes > 0);
	consumer_move(c, CONSUMER_REST);
	p->from_pos = from.main_pos;
	p->skip_bytes = from.skip_bytes;
	p->from_record = p->skip_records = 0;
	p->backlog = (struct consumer_backlog){ 0 };
	selection_keep(consumer_symbols(c), &p->selection,
		       &c->here.stream->selection);
	p->at = *place;
	p->at.file->readers++;
	p->is_touched = true;
	c->rest_len = len;
	c->rest_sent = 0;
	c->here.pos += len;
}

bool
consumer_needs_read(const struct consumer *c)
{
	if (c->past.sent != c->past.len)
		return false;
	/* A notice is sent before anything that would be read now. */
	return c->state == CONSUMER_REST ||
	       (c->state == CONSUMER_JOURNAL && c->rest == NULL &&
		!consumer_may_notice(c));
}

bool
consumer_advance(struct consumer *c)
{
	if (c->writing != PART_NONE || !c->is_replying)
		return false;
	consumer_step(c);
	return !c->is_replying;
}

uint64_t
consumer_past_end(const struct consumer *c)
{
	const struct past *p = &c->past;
	uint64_t at = p->at.pos;
	uint64_t len = c->streams->main.visible_pos - at;

	/* Only one message, which was sent in part. */
	if (c->state == CONSUMER_REST)
		return p->skip_bytes > 0 ? at + len : at;
	if (c->is_replying)
		len = min_u64(len, c->limit_main_pos - at);
	return at + len;
}

/* Whether the message at its place is in the requested range. */
static bool
is_in_range(const struct past *p)
{
	return p->at.record >= p->from_record &&
	       (int64_t)(p->at.pos - p->from_pos) >= 0;
}

size_t
consumer_wants(const struct consumer *c, const struct past_message *m)
{
	const struct past *p = &c->past;

	if (!m->is_selected || !is_in_range(p) || p->skip_records > 0)
		return 0;
	return m->frame_len - min_u64(m->frame_len, p->skip_bytes);
}

void
consumer_pass_piece(struct consumer *c, size_t len)
{
	struct past *p = &c->past;

	p->skip_bytes += len;
	if (!p->backlog.is_all)
		p->backlog.fixed.bytes -= len;
}

void
consumer_pass(struct consumer *c, const struct past_message *m)
{
	struct past *p = &c->past;
	struct stream_total *backlog = &p->backlog.fixed;
	size_t wanted = consumer_wants(c, m);
	bool is_owed = p->backlog.is_all
			       ? (int64_t)(p->at.pos - p->backlog.from_pos) >= 0
			       : wanted > 0;

	if (m->is_selected && is_in_range(p) && p->skip_records > 0)
		p->skip_records--;
	else if (m->is_selected && is_in_range(p))
		p->skip_bytes -= m->frame_len - wanted;
	if (is_owed) {
		backlog->bytes -= p->backlog.is_all ? m->pos_len : wanted;
		backlog->records -= m->is_record;
	}
	p->served_records += m->is_record && wanted > 0;
	p->at.off += m->record_len;
	p->at.record += m->is_record;
	p->at.pos += m->pos_len;
}

bool
consumer_claims_too_much(const struct consumer *c)
{
	const struct past *p = &c->past;

	return c->state == CONSUMER_JOURNAL && p->skip_records > 0 &&
	       p->at.record >= p->epoch_limit;
}

bool
consumer_claims_unwritten(const struct consumer *c)
{
	const struct past *p = &c->past;

	return c->state == CONSUMER_JOURNAL && p->skip_records > 0 &&
	       !p->at.file->is_ended && p->at.off == p->at.file->written_off;
}

void
consumer_next_file(struct consumer *c, struct history_file *file)
{
	struct past *p = &c->past;

	p->at.file->readers--;
	file->readers++;
	p->at = history_follow(p->at.file, file);
	p->from_record = 0;
}

bool
consumer_return(struct consumer *c, int64_t now_ns)
{
	struct past *p = &c->past;

	CHECK(p->sent == p->len);
	if (c->state != CONSUMER_JOURNAL)
		return false;
	/* Places before first_off have no position in the main stream. */
	if (c->is_replying || p->skip_bytes > 0 || p->skip_records > 0 ||
	    !is_in_range(p) || p->at.off < p->at.file->first_off ||
	    !streams_resume(c->streams, &p->selection, c->address, p->at.pos,
			    &c->here))
		return false;
	p->at.file->readers--;
	p->at.file = NULL;
	consumer_move(c, CONSUMER_LIVE);
	selection_drop(consumer_symbols(c), &p->selection);
	p->len = p->sent = p->first_len = 0;
	p->long_bytes = p->long_len = 0;
	p->spent_ns += now_ns - p->since_ns;
	return true;
}

int64_t
consumer_past_ns(const struct consumer *c, int64_t now_ns)
{
	return c->past.spent_ns +
	       (c->state == CONSUMER_JOURNAL ? now_ns - c->past.since_ns : 0);
}
