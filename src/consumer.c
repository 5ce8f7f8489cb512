#include "config.h"

#include "consumer.h"

#include <string.h>

void
consumer_init(struct consumer *c, uint8_t *reply, enum slow_policy policy)
{
	*c = (struct consumer){ .reply = reply, .policy = policy };
}

/* Up to where `here` is to be sent now. */
static uint64_t
end_pos(const struct consumer *c)
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
	return c->here.stream == NULL ? 0 : end_pos(c) - c->here.pos;
}

static bool
is_at_limit(const struct consumer *c)
{
	return c->here.stream == NULL || c->here.pos == c->limit_pos;
}

static bool
is_gate_open(const struct consumer *c)
{
	return c->gate.reached == NULL ||
	       (int64_t)(*c->gate.reached - c->gate.pos) >= 0;
}

static void
change_stream(struct consumer *c)
{
	struct stream *stream = c->next.stream;
	uint64_t pos = c->next.pos;

	/* Attached before the other is let go: a stream that loses its last
	 * cursor is free for others. */
	cursor_detach(&c->here);
	cursor_attach(&c->here, stream, pos);
	cursor_detach(&c->next);
}

/* Ends the reply's part once everything before it and itself is sent. */
static void
advance(struct consumer *c)
{
	if (!c->is_replying || c->rest != NULL || !is_at_limit(c) ||
	    !is_gate_open(c) || c->reply_sent < c->reply_len)
		return;
	c->is_replying = false;
	c->reply_len = c->reply_sent = 0;
	if (c->next.stream != NULL)
		change_stream(c);
}

void
consumer_queue(struct consumer *c, size_t len, struct stream *stream,
	       struct reply_gate gate)
{
	CHECK(!c->is_replying && (len > 0 || gate.reached == NULL));
	/* A subscription begins with what becomes visible from now on; any
	 * other reply stands behind all that was committed before it. */
	if (c->here.stream != NULL)
		c->limit_pos = stream != NULL ? c->here.stream->visible_pos
					      : c->here.stream->head_pos;
	c->is_replying = true;
	c->gate = gate;
	c->reply_len = len;
	c->reply_sent = 0;
	if (stream != NULL && stream != c->here.stream)
		cursor_attach(&c->next, stream, stream->visible_pos);
	if (c->writing == PART_NONE)
		advance(c);
}

bool
consumer_next(const struct consumer *c, size_t span_max, struct span *out)
{
	CHECK(c->writing == PART_NONE);
	if (c->rest != NULL) {
		*out = (struct span){ PART_REST, c->rest + c->rest_sent,
				      c->rest_len - c->rest_sent, false };
	} else if (here_lag(c) > 0) {
		const struct stream *s = c->here.stream;

		*out = (struct span){ PART_STREAM,
				      ring_at(&s->ring, c->here.pos),
				      (size_t)min_u64(here_lag(c), span_max),
				      s->is_main };
	} else if (c->is_replying && is_at_limit(c) && is_gate_open(c) &&
		   c->reply_sent < c->reply_len) {
		*out = (struct span){ PART_REPLY, c->reply + c->reply_sent,
				      c->reply_len - c->reply_sent, false };
	} else {
		return false;
	}
	return true;
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
			free_buffer = c->rest;
			c->rest = NULL;
		}
		break;
	case PART_STREAM:
		c->here.pos += accepted;
		CHECK(c->here.stream->head_pos - c->here.pos <=
		      c->here.stream->ring.size);
		break;
	case PART_REPLY:
		c->reply_sent += accepted;
		break;
	}
	c->sent_bytes += accepted;
	c->writing = PART_NONE;
	c->is_cancelled = false;
	advance(c);
	return free_buffer;
}

bool
consumer_waits_for_gate(const struct consumer *c)
{
	return c->is_replying && c->rest == NULL && is_at_limit(c) &&
	       !is_gate_open(c);
}

/* ---- how far behind ---- */

/* Up to where `here` is to be sent, also behind the reply. */
static uint64_t
last_pos(const struct consumer *c)
{
	return c->next.stream != NULL ? end_pos(c)
				      : c->here.stream->visible_pos;
}

uint64_t
consumer_lag_bytes(struct consumer *c)
{
	uint64_t lag = cursor_lag(&c->next);

	if (c->here.stream != NULL)
		lag += last_pos(c) - c->here.pos;

	if (c->rest != NULL)
		lag += c->rest_len - c->rest_sent;
	c->high_bytes = max_u64(c->high_bytes, lag);
	return lag;
}

/* Takes the larger share of two rings. */
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

static void
add_records(const struct stream *s, uint64_t from_pos, uint64_t to_pos,
	    int64_t now_ns, uint64_t *records, int64_t *age_ns)
{
	struct stream_place from;

	if (s == NULL || from_pos == to_pos)
		return;
	from = stream_locate(s, from_pos);
	*records += stream_locate(s, to_pos).record - from.record;
	if (now_ns - from.time_ns > *age_ns)
		*age_ns = now_ns - from.time_ns;
}

void
consumer_lag_records(const struct consumer *c, int64_t now_ns,
		     uint64_t *out_records, int64_t *out_age_ns)
{
	*out_records = 0;
	*out_age_ns = 0;
	if (c->here.stream != NULL)
		add_records(c->here.stream, c->here.pos, last_pos(c), now_ns,
			    out_records, out_age_ns);
	if (c->next.stream != NULL)
		add_records(c->next.stream, c->next.pos,
			    c->next.stream->visible_pos, now_ns, out_records,
			    out_age_ns);
	/* A rest is one record more, as old as can no longer be told. */
	*out_records += c->rest != NULL;
}

/* ---- leaving ---- */

size_t
consumer_torn_bytes(const struct consumer *c)
{
	CHECK(c->writing != PART_STREAM);
	if (here_lag(c) == 0)
		return 0;
	return (size_t)(stream_locate(c->here.stream, c->here.pos).frame_end -
			c->here.pos);
}

static uint64_t
skip_cursor(struct cursor *cursor, uint64_t to_pos)
{
	uint64_t first, last;

	first = stream_locate(cursor->stream, cursor->pos).record;
	last = stream_locate(cursor->stream, to_pos).record;
	cursor->pos = to_pos;
	return last - first;
}

uint64_t
consumer_skip(struct consumer *c, uint8_t *buffer)
{
	size_t torn = consumer_torn_bytes(c);
	uint64_t records = 0;

	if (torn > 0) {
		CHECK(buffer != NULL && c->rest == NULL);
		memcpy(buffer, ring_at(&c->here.stream->ring, c->here.pos),
		       torn);
		c->rest = buffer;
		c->rest_len = torn;
		c->rest_sent = 0;
		c->here.pos += torn;
	}
	if (c->next.stream != NULL) {
		/* The change of stream is kept; nothing holds the old one. */
		if (c->here.stream != NULL)
			records = skip_cursor(&c->here, end_pos(c));
		cursor_detach(&c->here);
		records += skip_cursor(&c->next,
				       c->next.stream->visible_pos);
	} else if (c->here.stream != NULL) {
		uint64_t visible = c->here.stream->visible_pos;

		/* A reply that stood inside of what is skipped comes next. */
		if (c->limit_pos - c->here.pos < visible - c->here.pos)
			c->limit_pos = visible;
		records = skip_cursor(&c->here, visible);
	}
	c->skips++;
	c->skipped_records += records;
	if (c->writing == PART_NONE)
		advance(c);
	return records;
}

uint8_t *
consumer_fini(struct consumer *c)
{
	uint8_t *free_buffer = c->rest;

	CHECK(c->writing == PART_NONE);
	c->rest = NULL;
	cursor_detach(&c->here);
	cursor_detach(&c->next);
	return free_buffer;
}
