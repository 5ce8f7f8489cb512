#include "config.h"

#include "tick/dispatch.h"

#include <string.h>

#include "base/util.h"
#include "q/parse.h"
#include "tick/introspect.h"
#include "tick/position.h"
#include "tick/publish.h"
#include "tick/subscribe.h"
#include "tick/subscribe_past.h"

static const char *const must_wait = request_must_wait;
static const char *const is_malformed = request_is_malformed;

static const char day_is_ahead[] = "ahead";
static const char too_many_requests[] = "requests";

/* ---- names ---- */

static const char *
call_endofday(void *context, const struct request_arg *args, unsigned args_cnt,
	      struct wire_writer *out)
{
	struct call *c = context;

	(void)args;
	(void)args_cnt;
	if (!call_may(c, RIGHT_ADMINISTER))
		return call_refuse(c);
	/* Each end of a day makes a file: clients must not make many, or move
	 * the date far ahead. */
	if (c->tick->day > clock_day(c->tick->local_ns))
		return day_is_ahead;
	if (call_is_too_brief(c))
		return call_must_wait(c, WAIT_DEAR);
	if (!tick_end_day(c->tick))
		return call_must_wait(c, WAIT_ROOM);
	c->has_effects = true;
	wire_put_null(out);
	return NULL;
}

/* .ringtick.reload[]: reads the configuration again. */
static const char *
call_reload(void *context, const struct request_arg *args, unsigned args_cnt,
	    struct wire_writer *out)
{
	struct call *c = context;
	const char *error;

	(void)args;
	(void)args_cnt;
	if (!call_may(c, RIGHT_ADMINISTER))
		return call_refuse(c);
	error = c->tick->reload(c->tick->context, c->client);
	if (error == request_must_wait)
		return call_must_wait(c, WAIT_RELOAD);
	if (error == NULL)
		wire_put_null(out);
	return error;
}

/* .u.end[date] would not end the journal's day; it is a name of tick.q that
 * clients call. */
static const char *
call_end(void *context, const struct request_arg *args, unsigned args_cnt,
	 struct wire_writer *out)
{
	(void)context;
	(void)args;
	(void)args_cnt;
	(void)out;
	return "use .u.endofday[]";
}

/* The position up to which updates are as safe as publishers are promised. */
static const uint64_t *
safe_pos(const struct tick *t)
{
	const struct settings *set = t->settings;
	bool wants_disk = set->publish.after == AFTER_SYNC ||
			  set->journal.sync == SYNC_BATCH;

	return wants_disk ? &t->journal->synced_pos : &t->journal->written_pos;
}

static bool
has_unsafe(const struct call *c)
{
	const struct tick_client *client = c->client;

	return c->tick->journal->is_on && client->has_published &&
	       (int64_t)(client->published_pos - *safe_pos(c->tick)) > 0;
}

/* Whether its reply would have to wait for a journal that does not move. */
static bool
would_wait_in_vain(const struct call *c)
{
	return c->is_sync && !c->has_effects && c->tick->journal->is_stuck &&
	       has_unsafe(c);
}

/*
 * The gate of a synchronous reply: the client's updates, including earlier
 * asynchronous ones, must be as safe as promised.  Feeds send any request (h"")
 * to learn that.
 */
static struct reply_gate
gate_of(const struct call *c)
{
	const struct tick *t = c->tick;
	struct reply_gate gate = { .pos = t->streams->main.head_pos };

	if (!t->journal->is_on)
		return gate;
	if (c->has_effects) {
		gate.reached = safe_pos(t);
		return gate;
	}
	gate.kind = c->is_subscribing ? REPLY_OF_SUBSCRIPTION
				      : REPLY_OF_QUESTION;
	/* With a journal that does not move, the reply has only told what is
	 * written (subscribe_past.c), or is an error. */
	if (t->journal->is_stuck) {
		gate.is_early = true;
		return gate;
	}
	if (has_unsafe(c))
		gate.reached = safe_pos(t);
	else if (c->is_subscribing)
		gate.reached = &t->journal->written_pos;
	if (c->is_subscribing && t->settings->publish.after != AFTER_RING &&
	    gate.reached == &t->journal->written_pos)
		gate.pos = t->streams->main.visible_pos;
	if (!c->is_subscribing)
		gate.pos = c->client->published_pos;
	return gate;
}

/* .ringtick.tellskips[]: asks for notices of the records that policy skip takes
 * from this connection. */
static const char *
call_tellskips(void *context, const struct request_arg *args, unsigned args_cnt,
	       struct wire_writer *out)
{
	struct call *c = context;

	(void)args;
	(void)args_cnt;
	c->out->wants_skips = true;
	wire_put_null(out);
	return NULL;
}

/* The last JOURNAL_NAMES do not exist without a journal, as in tick.q. */
enum { JOURNAL_NAMES = 7 };

static const struct request_name names[] = {
	{ ".u.sub", call_sub, 2 },
	{ ".u.add", call_add, 2 },
	{ ".u.del", call_del, 2 },
	{ ".u.upd", publish_upd, 2 },
	{ "upd", publish_upd, 2 },
	{ ".u.endofday", call_endofday, 1 },
	{ ".u.end", call_end, 1 },
	{ ".u.d", ask_day, -1 },
	{ ".u.t", ask_names, -1 },
	{ ".ringtick.lag", ask_lag, 1 },
	{ ".ringtick.reload", call_reload, 1 },
	{ ".ringtick.tellskips", call_tellskips, 1 },
	{ ".u.w", ask_subscribers, -1 },
	{ "tables", ask_tables, 1 },
	{ "system", ask_system, 1 },
	{ ".z.W", ask_queues, -1 },
	ASK_VARIABLES(ASK_ROW)
	{ ".u.i", position_i, -1 },
	{ ".u.j", position_j, -1 },
	{ ".u.L", position_L, -1 },
	{ ".u.l", position_l, -1 },
	{ ".ringtick.subfrom", call_subfrom, 3 },
	{ ".ringtick.rejoin", call_rejoin, 3 },
	{ ".ringtick.epoch", get_epoch, -1 },
};

/* ---- frames ---- */

/*
 * Recognises (`.u.upd;`table;x) by its first bytes, with the function's name
 * as a symbol or a char vector: the usual frame is read only once, by the
 * update's own parser.
 */
static bool
match_update(struct call *c, const uint8_t *body, size_t len)
{
	static const uint8_t list_of_3[] = { 0, 0, 3, 0, 0, 0 };
	const uint8_t *at = body + sizeof(list_of_3), *end = body + len, *nul;

	/* Too short for an update with data: the general evaluation handles
	 * it. */
	if (len < 32 || memcmp(body, list_of_3, sizeof(list_of_3)) != 0)
		return false;
	/* Each length is a constant, so that the comparison is inlined. */
	if (memcmp(at, "\xf5.u.upd", 8) == 0)
		at += 8;
	else if (memcmp(at, "\x0a\0\x06\0\0\0.u.upd", 12) == 0)
		at += 12;
	else if (memcmp(at, "\xf5upd", 5) == 0)
		at += 5;
	else if (memcmp(at, "\x0a\0\x03\0\0\0upd", 9) == 0)
		at += 9;
	else
		return false;
	nul = memchr(at, 0, (size_t)(end - at));
	if ((int8_t)*at != -KT_SYMBOL || nul == NULL)
		return false;
	c->table = (struct request_arg){ at, (size_t)(nul + 1 - at) };
	c->x = (struct request_arg){ nul + 1, (size_t)(end - nul - 1) };
	return true;
}

/* How many requests a second the client's user may make; 0: no limit. */
static unsigned
requests_max(const struct call *c)
{
	return c->client->share == NULL || c->is_matched
		       ? 0
		       : c->client->rights->limits[LIMIT_REQUESTS];
}

static bool
asks_too_often(struct call *c)
{
	unsigned max = requests_max(c);

	c->is_over_limit = max > 0 && !share_may_ask(c->client->share, max,
						     c->tick->now_ns);
	return c->is_over_limit;
}

/* Counts one that is done, but not an update. */
static void
note_request(const struct call *c, const char *error)
{
	struct counters *counters = c->tick->counters;
	unsigned max = requests_max(c);

	counters->requests += !c->is_matched;
	if (error == too_many_requests)
		counters->over_requests++;
	else if (max > 0)
		share_note_request(c->client->share, max, c->tick->now_ns);
}

static const char *
evaluate_request(struct call *c, const uint8_t *body, size_t len,
		 struct wire_writer *w)
{
	struct tick *t = c->tick;
	unsigned steps_max = c->client->is_brief ? REQUEST_BRIEF_STEPS
						 : REQUEST_STEPS_MAX;
	unsigned steps = steps_max - c->out->steps;
	const struct request_world world = {
		.names = names,
		.names_cnt = ARRAY_LEN(names) -
			     (t->journal->is_on ? 0 : JOURNAL_NAMES),
		.put_other = ask_put_table,
		.context = c,
		.begin_trap = subscribe_begin_trap,
		.end_trap = subscribe_end_trap,
		.work = t->work,
		.work_len = t->work_len,
		.error = t->error,
		.steps = &steps,
		.time = &t->time,
	};
	struct call_trap traps[CALL_TRAPS_MAX];
	const char *error;

	c->traps = traps;
	if (asks_too_often(c))
		return too_many_requests;
	if (!c->is_matched) {
		error = request_evaluate(&world, body, len, w);
		c->out->steps = steps_max - steps;
		return error;
	}
	error = publish_update(c, &c->table, &c->x);
	if (error == NULL)
		wire_put_null(w);
	return error == NULL && w->is_full ? query_too_much : error;
}

/* Feeds the streams with earlier updates, as far as the turn has time. */
static void
feed_streams(const struct call *c)
{
	struct streams *all = c->tick->streams;

	if (!all->is_cut)
		streams_feed(all, c->tick->now_ns);
}

/* The request is done, but the place of its reply is unknown until the stream
 * is level.  To feed a long update may take longer than a turn. */
static void
place_later(struct call *c, const struct stream *s)
{
	c->out->has_no_place = true;
	c->out->reply_pos = c->tick->streams->main.visible_pos;
	c->out->wait_stream = s;
}

/* The reply comes after the updates of its own request. */
static void
place_reply(struct call *c)
{
	const struct stream *s = c->client->stream;

	if (s == NULL || c->is_subscribing)
		return;
	feed_streams(c);
	if (!streams_is_level(c->tick->streams, s))
		place_later(c, s);
}

static const char *
must_be_level(struct call *c, const struct stream *s)
{
	c->out->wait_stream = s;
	return call_must_wait(c, WAIT_LEVEL);
}

/* The stream at whose end the subscription begins, or ends, is not level. */
static const char *
is_behind(struct call *c, const struct stream *s)
{
	/* A record number in the reply belongs to this place and no other. */
	if (!c->has_effects || c->has_told_i || c->has_promised_i)
		return must_be_level(c, s);
	place_later(c, s);
	return NULL;
}

/* Finds the stream of the new selection.  Returns NULL or an error text. */
static const char *
find_stream(struct call *c)
{
	struct streams *all = c->tick->streams;
	struct stream *old = c->client->stream;
	struct stream *s;

	/* The updates of this request go into the old stream. */
	if (c->has_effects)
		feed_streams(c);
	if (old != NULL && !streams_is_level(all, old))
		return is_behind(c, old);
	s = streams_find(all, &c->out->selection, c->client->address);
	if (s == NULL)
		return "streams";
	/* Else its head would not be the place that the reply promises. */
	if (!streams_is_level(all, s))
		return is_behind(c, s);
	c->out->stream = s;
	return NULL;
}

/* An asynchronous update: there is no reply to write. */
static enum tick_result
handle_update(struct call *c)
{
	const char *error = publish_update(c, &c->table, &c->x);

	if (error == must_wait)
		return TICK_WAIT;
	return error == is_malformed ? TICK_BAD : TICK_DONE;
}

/* Counts an error.  A synchronous caller is told; that of an asynchronous
 * request goes to the log, and so does a refusal, which the operator should
 * know of. */
static void
note_error(struct call *c, bool is_sync, const char *error, const uint8_t *body,
	   size_t len)
{
	struct tick *t = c->tick;

	t->counters->request_errors++;
	if (is_sync && error != call_no_access && !c->is_over_limit)
		return;
	c->out->error = error;
	c->out->asked = asked_text(t->asked, body, len);
}

/* A refusal that the request has trapped is no error; the operator should know
 * of it all the same. */
static void
note_trapped(struct call *c, uint64_t refused_before, const uint8_t *body,
	     size_t len)
{
	struct tick *t = c->tick;

	if (t->counters->refused == refused_before)
		return;
	c->out->error = call_no_access;
	c->out->asked = asked_text(t->asked, body, len);
}

/* Handles a little-endian body without 8-byte counts. */
static enum tick_result
handle_plain(struct call *c, bool is_sync, const uint8_t *body, size_t len)
{
	struct wire_writer w;
	size_t header;
	uint64_t refused_before = c->tick->counters->refused;
	uint8_t *value;
	const char *error;

	if (c->is_matched && !is_sync)
		return handle_update(c);
	w = wire_writer(c->client->reply, c->client->reply_max);
	header = wire_begin_frame(&w, WIRE_RESPONSE);
	value = w.at;
	error = c->cannot_stand;
	if (error == NULL)
		error = evaluate_request(c, body, len, &w);

	/* (.u.i;.u.sub[...]): the count was asked for before it was known that
	 * it is for a subscription.  Evaluate again. */
	if (error == NULL && c->is_subscribing && c->has_told_i &&
	    !c->has_effects) {
		w.at = value;
		c->has_told_lag = false;
		subscribe_undo(c);
		error = evaluate_request(c, body, len, &w);
	}
	if (error == NULL && would_wait_in_vain(c))
		error = no_journal_now;
	if (error == NULL && c->is_subscribing)
		error = subscribe_from_written(c);
	if (error == NULL && c->is_subscribing)
		subscribe_finish(c);
	if (error == NULL && c->is_subscribing && !c->client->is_behind &&
	    !c->out->has_past)
		error = find_stream(c);
	if (error != NULL)
		subscribe_undo(c);
	if (error == query_too_much && !c->has_effects &&
	    !c->client->is_reply_large)
		return TICK_LARGE;
	if (error == query_limit && c->client->is_brief && !c->is_matched)
		error = call_must_wait(c, WAIT_DEAR);
	if (error == must_wait)
		return TICK_WAIT;
	note_request(c, error);
	if (error == is_malformed)
		return TICK_BAD;
	if (error != NULL) {
		c->out->has_past = c->is_subscribing = false;
		w.at = value;
		w.is_full = false;
		wire_put_error(&w, error);
		/* A refused update is counted as such already. */
		if (c->out->why == NULL)
			note_error(c, is_sync, error, body, len);
	} else {
		note_trapped(c, refused_before, body, len);
	}
	wire_end_frame(&w, header);
	c->out->is_subscribing = c->is_subscribing;
	c->out->reply_len = is_sync ? wire_written(&w) : 0;
	if (is_sync)
		c->out->gate = gate_of(c);
	if (is_sync && c->has_effects)
		place_reply(c);
	return TICK_DONE;
}

/* Checks the body, and rewrites one that is not in the plain form. */
static enum tick_result
handle_body(struct call *c, bool is_sync, const uint8_t *frame, size_t len)
{
	bool is_big_endian = frame[0] == 0, has_long_counts;
	const uint8_t *body = frame + WIRE_HEADER_BYTES;
	const char *why;

	if (!is_big_endian) {
		enum tick_result result;

		c->is_matched = match_update(c, body, len - WIRE_HEADER_BYTES);
		if (c->is_matched) {
			result = handle_plain(c, is_sync, body,
					      len - WIRE_HEADER_BYTES);
			if (!c->needs_rewrite)
				return result;
		}
	}
	/* The time of the check counts as time of the request. */
	cpu_limit_begin(&c->tick->time,
			(c->client->is_brief ? REQUEST_BRIEF_US
					     : REQUEST_TIME_US) * NS_PER_US);
	why = wire_check_bounded(body, len - WIRE_HEADER_BYTES, is_big_endian,
				 &has_long_counts);
	c->out->why = why;
	c->out->is_too_long = why == wire_too_many;
	if (why != NULL)
		return TICK_BAD;
	if (is_big_endian || has_long_counts) {
		c->frame = NULL;
		len = wire_rewrite(frame, len, c->tick->rewritten);
		body = c->tick->rewritten + WIRE_HEADER_BYTES;
		c->is_matched = match_update(c, body, len - WIRE_HEADER_BYTES);
	}
	c->needs_rewrite = false;
	return handle_plain(c, is_sync, body, len - WIRE_HEADER_BYTES);
}

/* What an inflated message would have to wait for: looked at first, so that it
 * is not inflated in vain.  A short one may be a question, which needs no room,
 * and costs little. */
static enum wait_reason
must_wait_whole(const struct call *c, size_t whole)
{
	struct tick *t = c->tick;

	if (whole > t->inflate_long.shorter_max &&
	    (c->client->must_queue ||
	     !stream_has_room(&t->streams->main, whole)))
		return WAIT_ROOM;
	return t->streams->is_cut && whole >= t->streams->long_bytes
		       ? WAIT_FED
		       : WAIT_NOTHING;
}

/*
 * Whether an inflated message keeps the place for the next one while it waits.
 * Room comes without another client's message: if others took the place
 * meanwhile, all would be inflated again and again.
 */
static bool
keeps_place(enum wait_reason why)
{
	return why == WAIT_DEAR || why == WAIT_ROOM;
}

static enum tick_result
handle_compressed(struct call *c, bool is_sync, const uint8_t *frame,
		  size_t len)
{
	struct tick *t = c->tick;
	const void *who = c->client->who;
	const char **why = &c->out->why;
	size_t whole =
		inflate_length(frame, len, t->settings->message.max, why);
	const uint8_t *plain;
	enum tick_result result;

	c->out->is_too_long = *why == inflate_too_long;
	if (whole == 0)
		return TICK_BAD;
	if (!inflate_long_has(&t->inflate_long, who)) {
		c->out->waits_for = must_wait_whole(c, whole);
		if (c->out->waits_for != WAIT_NOTHING)
			return TICK_WAIT;
	}
	switch (inflate_long_next(&t->inflate_long, who, t->now_ns, frame, len,
				 whole, &plain, why)) {
	case INFLATE_DONE:
		break;
	case INFLATE_MORE:
		c->out->waits_for = WAIT_DEAR;
		return TICK_WAIT;
	case INFLATE_BUSY:
		c->out->waits_for = WAIT_INFLATE;
		return TICK_WAIT;
	case INFLATE_BAD:
		return TICK_BAD;
	}
	result = handle_body(c, is_sync, plain, whole);
	if (result == TICK_DONE || result == TICK_BAD)
		inflate_long_forget(&t->inflate_long, who);
	else if (result == TICK_WAIT && !keeps_place(c->out->waits_for))
		inflate_long_wait(&t->inflate_long, who);
	return result;
}

enum tick_result
dispatch_frame(struct tick *t, struct tick_client *client,
	       const struct wire_header *header, const uint8_t *frame,
	       struct tick_outcome *out)
{
	bool is_sync = header->message == WIRE_SYNC;
	struct call c = {
		.tick = t, .client = client, .out = out, .is_sync = is_sync
	};
	bool is_plain = !header->is_big_endian && header->compression == 0;

	if (is_plain && header->message == WIRE_ASYNC)
		c.frame = frame;

	*out = (struct tick_outcome){ .selection = client->selection };
	/* A reply comes after all messages committed before it. */
	if (is_sync && client->stream != NULL &&
	    !streams_is_level(t->streams, client->stream))
		feed_streams(&c);
	if (is_sync && client->stream != NULL &&
	    !streams_is_level(t->streams, client->stream)) {
		const char *error = must_be_level(&c, client->stream);

		if (error == must_wait)
			return TICK_WAIT;
		c.cannot_stand = error;
	}
	if (header->message == WIRE_RESPONSE) {
		/* We send no requests. */
		out->why = "a response to no request";
		return TICK_BAD;
	}
	if (header->compression != 0)
		return handle_compressed(&c, is_sync, frame, header->len);
	return handle_body(&c, is_sync, frame, header->len);
}
