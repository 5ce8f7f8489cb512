#include "config.h"

#include "daemon/answer.h"

#include "daemon/report.h"
#include "daemon/wait.h"

void
answer_give(struct server *s, struct connection *c,
	    const struct tick_outcome *out)
{
	struct symbols *symbols = &s->streams.filter.symbols;

	if (out->is_subscribing)
		selection_keep(symbols, &c->selection, &out->selection);
	if (out->is_subscribing && out->stream == NULL)
		consumer_queue_past(&c->consumer, out->reply_len,
				    &out->selection,
				    out->has_past ? &out->past : NULL,
				    out->gate, s->now_ns);
	else if (out->is_subscribing || out->reply_len > 0)
		consumer_queue(&c->consumer, out->reply_len, out->stream,
			       out->gate);
	/* It cannot come after a record that is not written. */
	if (out->gate.is_early && consumer_has_question(&c->consumer))
		(void)consumer_hurry_reply(&c->consumer);
	/* An update without a reply has added nothing to its connection's
	 * queue. */
	if (out->is_subscribing || out->reply_len > 0 || !out->is_update)
		catchup_wake(&s->catchup, c);
	if (out->is_subscribing) {
		report_subscribe(s, c, out->stream);
		symbols_release(symbols, out->selection.symbols);
	}
}

void
answer_drop_long(struct server *s, struct connection *c)
{
	pool_give(&s->pool, c->consumer.long_reply);
	c->consumer.long_reply = NULL;
}

size_t
answer_write_error(struct server *s, struct connection *c, const char *error)
{
	struct wire_writer w =
		wire_writer(c->consumer.reply, s->tick.reply_max);
	size_t header = wire_begin_frame(&w, WIRE_RESPONSE);

	answer_drop_long(s, c);
	wire_put_error(&w, error);
	wire_end_frame(&w, header);
	return wire_written(&w);
}

void
answer_keep(struct connection *c, const struct tick_outcome *out)
{
	CHECK(!c->answer.is_kept);
	c->answer = (struct answer){ .is_kept = true,
				     .len = out->reply_len,
				     .gate = out->gate,
				     .pos = out->reply_pos,
				     .is_subscribing = out->is_subscribing,
				     .selection = out->selection };
	c->wait_stream = out->wait_stream;
}

void
answer_forget(struct server *s, struct connection *c)
{
	struct answer *a = &c->answer;

	if (a->is_kept && a->is_subscribing)
		symbols_release(&s->streams.filter.symbols,
				a->selection.symbols);
	*a = (struct answer){ 0 };
}

bool
answer_has_place(const struct server *s, const struct connection *c)
{
	const struct answer *a = &c->answer;
	const struct stream *reads = c->consumer.here.stream;

	if (c->is_late)
		return true;
	if (a->is_subscribing)
		return c->consumer.state == CONSUMER_JOURNAL ||
		       streams_is_level(&s->streams, c->wait_stream);
	/* By now the consumer may read another stream, or none. */
	return reads != c->wait_stream || reads->is_main ||
	       (int64_t)(reads->fed.pos - a->pos) >= 0;
}

/* The stream in which the selection begins.  NULL: that stream, or the one read
 * before, is not level yet, and wait_stream is set to it; or there is no stream
 * left, and *error is set. */
static struct stream *
find_stream(struct server *s, struct connection *c, const char **error)
{
	struct stream *before = c->consumer.here.stream, *found;

	c->wait_stream = before;
	if (before != NULL && !streams_is_level(&s->streams, before))
		return NULL;
	found = streams_find(&s->streams, &c->answer.selection,
			     c->consumer.address);
	if (found == NULL)
		*error = "streams";
	c->wait_stream = found;
	return found != NULL && streams_is_level(&s->streams, found) ? found
								     : NULL;
}

/* Refuses the rest of a request whose updates were already taken. */
static void
refuse_rest(struct server *s, struct connection *c, const char *error)
{
	struct answer *a = &c->answer;

	s->counters.request_errors++;
	symbols_release(&s->streams.filter.symbols, a->selection.symbols);
	a->is_subscribing = false;
	if (a->len == 0) {
		c->failed++;
		report_failed(s, c, &(struct tick_outcome){
					    .error = error,
					    .asked = "a subscription" });
		return;
	}
	a->len = answer_write_error(s, c, error);
}

bool
answer_place(struct server *s, struct connection *c)
{
	struct answer *a = &c->answer;
	bool needs_stream = a->is_subscribing &&
			    c->consumer.state != CONSUMER_JOURNAL;
	struct stream *stream = NULL;
	const char *error = c->is_late ? "full" : NULL;

	if (needs_stream)
		stream = find_stream(s, c, &error);
	if (needs_stream ? stream == NULL && error == NULL
			 : !answer_has_place(s, c)) {
		wait_for(s, c, WAIT_LEVEL, a->len > 0);
		return false;
	}
	if (needs_stream && stream == NULL)
		refuse_rest(s, c, error);
	wait_end(s, c);
	a->is_kept = false;
	answer_give(s, c, &(struct tick_outcome){
				  .reply_len = a->len,
				  .gate = a->gate,
				  .is_subscribing = a->is_subscribing,
				  .selection = a->selection,
				  .stream = stream });
	c->deadline_ns = 0;
	return true;
}
