#include "config.h"

#include "client/consumer.h"
#include "client/consumer_private.h"

#include <string.h>

#include "wire/wire.h"

void
consumer_init(struct consumer *c, struct streams *streams, uint8_t *reply,
	      uint8_t *past_buffer, enum slow_policy policy)
{
	*c = (struct consumer){ .streams = streams,
				.reply = reply,
				.past.buffer = past_buffer,
				.policy = policy };
}

void
consumer_move(struct consumer *c, enum consumer_state to)
{
	static const unsigned may_follow[] = {
		[CONSUMER_NONE] = 1U << CONSUMER_LIVE | 1U << CONSUMER_JOURNAL,
		[CONSUMER_LIVE] = 1U << CONSUMER_NONE | 1U << CONSUMER_LIVE |
				  1U << CONSUMER_LEAVING | 1U << CONSUMER_REST |
				  1U << CONSUMER_JOURNAL,
		[CONSUMER_LEAVING] = 1U << CONSUMER_LIVE,
		[CONSUMER_REST] = 1U << CONSUMER_NONE | 1U << CONSUMER_LIVE,
		[CONSUMER_JOURNAL] = 1U << CONSUMER_NONE | 1U << CONSUMER_LIVE |
				     1U << CONSUMER_JOURNAL,
	};

	CHECK((may_follow[c->state] >> to & 1) != 0);
	c->state = to;
}

uint64_t
consumer_end_pos(const struct consumer *c)
{
	uint64_t pos = c->here.pos;
	uint64_t visible = c->here.stream->visible_pos;

	if (c->is_replying && c->limit_pos - pos < visible - pos)
		return c->limit_pos;
	return visible;
}

static uint64_t
here_lag(const struct consumer *c)
{
	return c->here.stream == NULL ? 0 : consumer_end_pos(c) - c->here.pos;
}

static bool
is_at_limit(const struct consumer *c)
{
	if (c->state == CONSUMER_JOURNAL)
		return c->past.at.pos == c->limit_main_pos &&
		       c->past.sent == c->past.len;
	return c->here.stream == NULL || c->here.pos == c->limit_pos;
}

static void
change_stream(struct consumer *c)
{
	struct stream *stream = c->next.stream;
	uint64_t pos = c->next.pos;

	/* Attach first, then detach: a stream that loses its last cursor
	 * becomes free. */
	streams_detach(&c->here);
	cursor_attach(&c->here, stream, pos);
	streams_detach(&c->next);
	consumer_move(c, CONSUMER_LIVE);
}

/* The backlog with its growth until now. */
static struct stream_total
backlog_now(const struct consumer *c, const struct consumer_backlog *backlog,
	    const struct selection *selection)
{
	const struct streams *all = c->streams;
	struct stream_total now = streams_total(
		all, backlog->is_all ? &all->main.selection : selection);

	now.bytes += backlog->fixed.bytes - backlog->since.bytes;
	now.records += backlog->fixed.records - backlog->since.records;
	return now;
}

/* Reads the past instead of a stream from now on, as requested. */
static void
change_past(struct consumer *c)
{
	struct past *p = &c->past;

	streams_detach(&c->here);
	selection_keep(consumer_symbols(c), &p->selection, &p->next_selection);
	selection_drop(consumer_symbols(c), &p->next_selection);
	p->backlog = p->next_backlog;
	p->has_next = false;
	p->skip_bytes = 0;
	p->long_bytes = p->long_len = 0;
	consumer_move(c, CONSUMER_JOURNAL);
	p->is_touched = true;
	p->skip_records = 0;
	if (p->next.place.file != NULL) {
		if (p->at.file != NULL)
			p->at.file->readers--;
		p->at = p->next.place;
		p->from_record = p->next.record;
		p->skip_records = p->next.skip_records;
		p->epoch_limit = p->next.epoch_limit;
		p->next.place.file = NULL;
	}
	p->from_pos = p->at.pos;
}

void
consumer_step(struct consumer *c)
{
	if (!c->is_replying || consumer_has_rest(c) || !is_at_limit(c) ||
	    !reply_gate_is_open(&c->gate) || c->reply_sent < c->reply_len)
		return;
	c->is_replying = false;
	c->notice.is_after_reply = false;
	c->reply_len = c->reply_sent = 0;
	if (c->past.has_next)
		change_past(c);
	else if (c->next.stream != NULL)
		change_stream(c);
}

/* Sets the reply's place. */
static void
set_limit(struct consumer *c, bool is_early)
{
	const struct stream *main = &c->streams->main;
	const struct stream *s = c->here.stream;

	if (s != NULL)
		c->limit_pos = is_early ? s->visible_pos : s->head_pos;
	/* The place in the main stream that corresponds to the head of `s`. */
	if (is_early) {
		c->limit_main_pos = main->visible_pos;
		c->limit_total = streams_total(c->streams, &main->selection);
	} else {
		bool is_filtered = s != NULL && !s->is_main;

		c->limit_main_pos = is_filtered ? s->fed.pos : main->head_pos;
		c->limit_total.records =
			is_filtered ? s->fed_records : main->records;
	}
}

/*
 * A subscription's reply comes after the messages that are visible now; any
 * other reply comes after all that were committed before it.
 */
static void
queue_reply(struct consumer *c, size_t len, bool is_subscription,
	    struct reply_gate gate)
{
	CHECK(!c->is_replying && (len > 0 || gate.reached == NULL));
	set_limit(c, is_subscription || gate.is_early);
	c->is_replying = true;
	c->gate = gate;
	c->reply_len = len;
	c->reply_sent = 0;
}

void
consumer_queue(struct consumer *c, size_t len, struct stream *stream,
	       struct reply_gate gate)
{
	CHECK(stream == NULL || c->state != CONSUMER_JOURNAL);
	queue_reply(c, len, stream != NULL, gate);
	if (stream != NULL && stream != c->here.stream)
		cursor_attach(&c->next, stream, stream->visible_pos);
	if (c->writing == PART_NONE)
		consumer_step(c);
}

void
consumer_queue_past(struct consumer *c, size_t len,
		    const struct selection *selection,
		    const struct past_request *request, struct reply_gate gate,
		    int64_t now_ns)
{
	struct past *p = &c->past;
	const struct stream *main = &c->streams->main;
	struct consumer_backlog *backlog = &p->next_backlog;

	CHECK(c->state == CONSUMER_JOURNAL || request != NULL);
	/* The backlog of the old selection grows no further. */
	if (c->state == CONSUMER_JOURNAL)
		p->backlog.fixed = backlog_now(c, &p->backlog, &p->selection);
	else
		p->since_ns = now_ns;
	queue_reply(c, len, true, gate);
	p->has_next = true;
	selection_keep(consumer_symbols(c), &p->next_selection, selection);
	*backlog = (struct consumer_backlog){
		.is_all = request != NULL ||
			  !streams_can_count(c->streams, selection),
		.from_pos = main->visible_pos,
	};
	backlog->since = streams_total(
		c->streams, backlog->is_all ? &main->selection : selection);
	if (request != NULL) {
		p->next = *request;
		p->next.place.file->readers++;
		backlog->from_pos = p->next.place.pos;
		backlog->fixed.bytes = main->visible_pos - p->next.place.pos;
		backlog->fixed.records =
			request->end_record - p->next.place.record;
	}
	if (c->writing == PART_NONE)
		consumer_step(c);
}

static void
end_notice(struct notice *n)
{
	n->len = n->sent = 0;
	if (n->is_all)
		n->has_mark = n->has_range = false;
}

/* Writes (`.ringtick.skipped;from;to).  Returns the frame's length. */
static size_t
write_range(uint8_t *at, size_t room, uint64_t from, uint64_t to)
{
	struct wire_writer w = wire_writer(at, room);
	size_t header = wire_begin_frame(&w, WIRE_ASYNC);

	wire_put_list(&w, KT_LIST, KA_NONE, 3);
	wire_put_symbol(&w, ".ringtick.skipped");
	wire_put_long(&w, (int64_t)from);
	wire_put_long(&w, (int64_t)to);
	wire_end_frame(&w, header);
	CHECK(!w.is_full);
	return wire_written(&w);
}

bool
consumer_may_notice(const struct consumer *c)
{
	const struct notice *n = &c->notice;

	return !n->is_after_reply &&
	       (n->len > 0 || n->has_mark || n->has_range);
}

/* Whether there is a notice to send; builds its bytes. */
static bool
has_notice(struct consumer *c)
{
	struct notice *n = &c->notice;

	if (!consumer_may_notice(c))
		return false;
	if (n->len > 0)
		return true;
	if (n->has_mark) {
		mark_write(n->bytes, n->mark_day);
		n->len = MARK_BYTES;
	}
	if (n->has_range)
		n->len += write_range(n->bytes + n->len,
				      sizeof(n->bytes) - n->len, n->from_record,
				      n->to_record);
	n->is_all = true;
	return n->len > 0;
}

bool
consumer_next(struct consumer *c, size_t span_max, struct span *out)
{
	CHECK(c->writing == PART_NONE);
	if (!consumer_has_rest(c) && has_notice(c)) {
		*out = (struct span){ PART_NOTICE,
				      c->notice.bytes + c->notice.sent,
				      c->notice.len - c->notice.sent, false };
	} else if (c->rest != NULL) {
		*out = (struct span){ PART_REST, c->rest + c->rest_sent,
				      c->rest_len - c->rest_sent, false };
	} else if (c->past.sent < c->past.len) {
		*out = (struct span){ PART_JOURNAL,
				      c->past.buffer + c->past.sent,
				      c->past.len - c->past.sent, false };
	} else if (c->state == CONSUMER_REST) {
		return false;
	} else if (here_lag(c) > 0) {
		const struct stream *s = c->here.stream;

		*out = (struct span){ PART_STREAM,
				      ring_at(&s->ring, c->here.pos),
				      (size_t)min_u64(here_lag(c), span_max),
				      s->is_main };
	} else if (c->is_replying && is_at_limit(c) &&
		   reply_gate_is_open(&c->gate) &&
		   c->reply_sent < c->reply_len) {
		const uint8_t *reply =
			c->long_reply != NULL ? c->long_reply : c->reply;

		/* A reply that has begun must not wait again, if another
		 * process cuts the journal. */
		c->gate = (struct reply_gate){ 0 };
		*out = (struct span){ PART_REPLY, reply + c->reply_sent,
				      c->reply_len - c->reply_sent, false };
	} else {
		return false;
	}
	return true;
}

/* Drops the rest.  Returns the pool buffer that it was in, or NULL. */
static uint8_t *
end_rest(struct consumer *c)
{
	uint8_t *rest = c->rest;

	c->rest = NULL;
	return rest == c->past.buffer ? NULL : rest;
}

/* Ends a rest that was read from the journal and is sent. */
static void
end_read(struct consumer *c)
{
	struct past *p = &c->past;

	CHECK(c->state == CONSUMER_REST);
	p->at.file->readers--;
	p->at.file = NULL;
	consumer_move(c, c->here.stream != NULL ? CONSUMER_LIVE
						: CONSUMER_NONE);
	selection_drop(consumer_symbols(c), &p->selection);
	p->len = p->sent = p->first_len = 0;
}

uint8_t *
consumer_written(struct consumer *c, size_t accepted)
{
	uint8_t *free_buffer = NULL;

	CHECK(c->writing != PART_NONE && accepted <= c->writing_len);
	switch (c->writing) {
	case PART_NONE:
		break;
	case PART_REST:
		c->rest_sent += accepted;
		if (c->rest_sent == c->rest_len) {
			free_buffer = end_rest(c);
		}
		break;
	case PART_NOTICE:
		c->notice.sent += accepted;
		if (c->notice.sent == c->notice.len)
			end_notice(&c->notice);
		break;
	case PART_JOURNAL:
		c->past.sent += accepted;
		if (c->state != CONSUMER_REST)
			break;
		c->rest_sent = min_u64(c->rest_sent + accepted, c->rest_len);
		if (c->past.sent == c->past.len && c->past.skip_bytes == 0)
			end_read(c);
		break;
	case PART_STREAM:
		c->here.pos += accepted;
		CHECK(c->here.stream->head_pos - c->here.pos <=
		      c->here.stream->ring.size);
		break;
	case PART_REPLY:
		c->reply_sent += accepted;
		if (c->reply_sent == c->reply_len) {
			free_buffer = c->long_reply;
			c->long_reply = NULL;
		}
		break;
	}
	c->sent_bytes += accepted;
	c->writing = PART_NONE;
	if (c->state == CONSUMER_LEAVING)
		consumer_move(c, CONSUMER_LIVE);
	consumer_step(c);
	return free_buffer;
}

bool
consumer_cancel(struct consumer *c)
{
	CHECK(c->writing == PART_STREAM);
	if (c->state == CONSUMER_LEAVING)
		return false;
	consumer_move(c, CONSUMER_LEAVING);
	return true;
}

void
consumer_replace_reply(struct consumer *c, size_t len)
{
	CHECK(c->is_replying && c->reply_sent == 0 && len > 0);
	c->reply_len = len;
	c->gate = (struct reply_gate){ 0 };
}

/* Whether the reply's place is after messages that the journal has not written:
 * a consumer that reads the journal does not get there. */
static bool
is_limit_unwritten(const struct consumer *c)
{
	const struct history_file *file = c->past.at.file;

	return c->state == CONSUMER_JOURNAL && !file->is_ended &&
	       (int64_t)(c->limit_main_pos - file->written_pos) > 0;
}

bool
consumer_has_question(const struct consumer *c)
{
	if (!c->is_replying || c->reply_sent > 0 || c->writing == PART_REPLY)
		return false;
	return c->gate.kind == REPLY_OF_QUESTION ||
	       (c->gate.kind == REPLY_OF_SUBSCRIPTION &&
		(is_limit_unwritten(c) || consumer_waits_for_gate(c)));
}

bool
consumer_hurry_reply(struct consumer *c)
{
	const struct stream *s = c->here.stream;

	CHECK(consumer_has_question(c));
	if (s != NULL && (int64_t)(c->limit_pos - s->visible_pos) > 0)
		set_limit(c, true);
	if (is_limit_unwritten(c))
		c->limit_main_pos = c->past.at.file->written_pos;
	return reply_gate_is_open(&c->gate);
}

bool
consumer_waits_for_gate(const struct consumer *c)
{
	return c->is_replying && !consumer_has_rest(c) &&
	       !consumer_may_notice(c) &&
	       is_at_limit(c) && !reply_gate_is_open(&c->gate);
}

/* ---- lag ---- */

bool
consumer_is_open(const struct consumer *c, const struct cursor *cursor)
{
	return cursor == &c->next ||
	       (c->next.stream == NULL && !c->past.has_next);
}

static uint64_t
last_pos(const struct consumer *c, const struct cursor *cursor)
{
	return consumer_is_open(c, cursor) ? cursor->stream->visible_pos
					   : consumer_end_pos(c);
}

struct stream_total
consumer_lack_of(const struct consumer *c, const struct cursor *cursor)
{
	struct stream_total lack = { 0 };

	if (cursor->stream == NULL)
		return lack;
	if (consumer_is_open(c, cursor))
		lack = streams_unfed(c->streams, cursor->stream);
	lack.bytes += last_pos(c, cursor) - cursor->pos;
	return lack;
}

/* The backlog of a consumer that reads the past, or will after its reply. */
static struct stream_total
journal_backlog(const struct consumer *c)
{
	const struct past *p = &c->past;
	struct stream_total backlog, next;

	if (!p->has_next)
		return backlog_now(c, &p->backlog, &p->selection);
	backlog = c->state == CONSUMER_JOURNAL ? p->backlog.fixed
					       : (struct stream_total){ 0 };
	next = backlog_now(c, &p->next_backlog, &p->next_selection);
	backlog.bytes += next.bytes;
	backlog.records += next.records;
	return backlog;
}

uint64_t
consumer_lag_bytes(struct consumer *c)
{
	uint64_t lag = consumer_lack_of(c, &c->here).bytes +
		       consumer_lack_of(c, &c->next).bytes;

	if (c->state == CONSUMER_JOURNAL || c->past.has_next)
		lag += journal_backlog(c).bytes;
	if (consumer_has_rest(c))
		lag += c->rest_len - c->rest_sent;
	if (c->is_replying)
		lag += c->reply_len - c->reply_sent;
	if (c->state != CONSUMER_REST)
		lag += c->past.len - c->past.sent;
	c->high_bytes = max_u64(c->high_bytes, lag);
	return lag;
}

/* Keeps the larger of two shares of rings. */
static void
take_ring_lag(const struct cursor *cursor, uint64_t *lag_bytes,
	      uint64_t *ring_bytes)
{
	const struct stream *s = cursor->stream;
	uint64_t lag = cursor_lag(cursor);

	if (s == NULL)
		return;
	if (stream_is_in_the_way(s, cursor->pos))
		lag = s->ring.size;
	if (*ring_bytes == 0 ||
	    lag / 256 * *ring_bytes > *lag_bytes / 256 * s->ring.size) {
		*lag_bytes = lag;
		*ring_bytes = s->ring.size;
	}
}

void
consumer_ring_lag(const struct consumer *c, uint64_t *out_lag_bytes,
		  uint64_t *out_ring_bytes)
{
	*out_lag_bytes = *out_ring_bytes = 0;
	take_ring_lag(&c->here, out_lag_bytes, out_ring_bytes);
	take_ring_lag(&c->next, out_lag_bytes, out_ring_bytes);
}

uint64_t
consumer_lack_of_records(const struct consumer *c, const struct cursor *cursor,
			 int64_t now_ns, int64_t *age_ns)
{
	uint64_t records = consumer_lack_of(c, cursor).records;
	const struct stream *s = cursor->stream;
	struct stream_place from;

	if (s == NULL)
		return records;
	if (last_pos(c, cursor) != cursor->pos) {
		from = stream_locate(s, cursor->pos);
		records += stream_locate(s, last_pos(c, cursor)).record -
			   from.record;
	} else if (records > 0) {
		/* The first that the stream lacks itself. */
		from = stream_locate(&c->streams->main, s->fed.pos);
	} else {
		return 0;
	}
	if (now_ns - from.time_ns > *age_ns)
		*age_ns = now_ns - from.time_ns;
	return records;
}

/* Records in the buffer that were not fully sent. */
static uint64_t
buffered_records(const struct past *p)
{
	size_t off = p->first_len;
	uint64_t records = p->is_first_record && p->sent < off;

	while (off < p->len) {
		const uint8_t *frame = p->buffer + off;

		off += stream_frame_len(frame);
		records += off > p->sent && stream_frame_is_record(frame);
	}
	return records;
}

void
consumer_lag_records(const struct consumer *c, int64_t now_ns,
		     uint64_t *out_records, int64_t *out_age_ns)
{
	*out_age_ns = 0;
	*out_records =
		consumer_lack_of_records(c, &c->here, now_ns, out_age_ns) +
		consumer_lack_of_records(c, &c->next, now_ns, out_age_ns);
	/* A rest is one more record, of unknown age. */
	*out_records += consumer_has_rest(c);
	if (c->state != CONSUMER_JOURNAL && !c->past.has_next)
		return;
	*out_records += journal_backlog(c).records;
	if (c->state != CONSUMER_REST)
		*out_records += buffered_records(&c->past);
	if (*out_records > 0 && c->past.time_ns != 0)
		*out_age_ns = now_ns - c->past.time_ns;
}

/* ---- a rest ---- */

void
consumer_keep_rest(struct consumer *c, size_t len, uint8_t *buffer)
{
	if (len == 0)
		return;
	if (buffer == NULL) {
		CHECK(len <= CATCHUP_BUFFER_BYTES &&
		      c->state != CONSUMER_JOURNAL);
		buffer = c->past.buffer;
		c->past.is_touched = true;
	}
	CHECK(!consumer_has_rest(c));
	memcpy(buffer, ring_at(&c->here.stream->ring, c->here.pos), len);
	c->rest = buffer;
	c->rest_len = len;
	c->rest_sent = 0;
	c->here.pos += len;
}

/* ---- the end ---- */

uint8_t *
consumer_fini(struct consumer *c)
{
	uint8_t *free_buffer = end_rest(c);

	CHECK(c->writing == PART_NONE);
	if (c->state != CONSUMER_NONE)
		consumer_move(c, CONSUMER_NONE);
	streams_detach(&c->here);
	streams_detach(&c->next);
	if (c->past.at.file != NULL)
		c->past.at.file->readers--;
	if (c->past.next.place.file != NULL)
		c->past.next.place.file->readers--;
	selection_drop(consumer_symbols(c), &c->past.selection);
	selection_drop(consumer_symbols(c), &c->past.next_selection);
	c->past = (struct past){ .buffer = c->past.buffer,
				 .is_touched = c->past.is_touched };
	return free_buffer;
}
