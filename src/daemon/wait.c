#include "config.h"

#include "daemon/wait.h"

#include <stdio.h>
#include <sys/ioctl.h>

#include "daemon/buffers.h"
#include "daemon/deadline.h"
#include "daemon/session.h"
#include "wire/inflate.h"

enum {
	/* A message of so many bytes is dear, whatever is in it. */
	DEAR_BYTES = 1 << 20,
	/* Turns in a row that may have no time for who waits for WAIT_DEAR. */
	DEAR_PASSED_MAX = 8,
};

static const char *const waiting_for[WAIT_REASONS] = {
	[WAIT_NOTHING] = "its reply, which waits for the journal",
	[WAIT_DAY] = "the end of the day",
	[WAIT_HOLD] = "a consumer that holds the feeds",
	[WAIT_ROOM] = "room in the ring",
	[WAIT_FED] = "the selections to have a long update before",
	[WAIT_LEVEL] = "room in the ring of its selection",
	[WAIT_FILE] = "the next day's file",
	[WAIT_BUFFER] = "a buffer of message.buffers",
	[WAIT_REPLY] = "a buffer of message.buffers",
	[WAIT_UNPACK] = "another compressed message to be inflated",
	[WAIT_TURN] = "its turn",
	[WAIT_DEAR] = "its turn",
};

void
wait_init(struct server *s)
{
	for (unsigned i = 0; i < WAIT_REASONS; i++)
		list_init(&s->waiting[i]);
}

/* What waits for one of these is a request that wants an answer. */
static bool
has_deadline(enum wait_reason why)
{
	return why == WAIT_LEVEL || why == WAIT_FILE;
}

static bool
is_turn(enum wait_reason why)
{
	return why == WAIT_TURN || why == WAIT_DEAR;
}

void
wait_end(struct server *s, struct connection *c)
{
	if (c->waits_for == WAIT_NOTHING)
		return;
	c->waits_for = WAIT_NOTHING;
	c->is_late = false;
	list_remove(&c->wait_node);
	s->waiting_cnt--;
}

static void
count(struct counters *counters, enum wait_reason why)
{
	counters->feed_waits +=
		why == WAIT_ROOM || why == WAIT_HOLD || why == WAIT_DAY ||
		why == WAIT_FED;
	counters->buffer_waits += why == WAIT_BUFFER || why == WAIT_REPLY;
	counters->turn_waits += is_turn(why) || why == WAIT_UNPACK;
}

void
wait_for(struct server *s, struct connection *c, enum wait_reason why,
	 bool is_sync)
{
	enum wait_reason before = c->waits_for;

	CHECK(why != WAIT_NOTHING);
	c->is_wait_sync = is_sync;
	if (before == why)
		return;
	if (before == WAIT_NOTHING)
		s->waiting_cnt++;
	list_remove(&c->wait_node);
	list_append(&s->waiting[why], &c->wait_node);
	c->waits_for = why;
	c->wait_since_ns = s->now_ns;
	c->is_wait_told = false;
	count(&s->counters, why);
	if (is_turn(why))
		return; /* its deadline is about what it sends */
	if (!has_deadline(why))
		c->deadline_ns = 0;
	else if (!has_deadline(before))
		deadline_set(s, c, s->settings->message.timeout);
}

bool
wait_must_yield(const struct server *s, const struct connection *c)
{
	/* Who is dear and served at last gets its share also where the turn is
	 * over: others may end every turn. */
	bool is_spent = s->serves_dear ? s->budget.is_share_over
				       : budget_is_spent(&s->budget);

	return is_spent && c->filled > c->parsed &&
	       c->waits_for == WAIT_NOTHING;
}

static bool
is_dear(const struct server *s, const struct connection *c)
{
	return s->now_ns < c->dear_until_ns;
}

void
wait_for_turn(struct server *s, struct connection *c)
{
	wait_for(s, c, is_dear(s, c) ? WAIT_DEAR : WAIT_TURN, false);
}

bool
wait_if_long(struct server *s, struct connection *c,
	     const struct wire_header *header, const uint8_t *frame)
{
	uint64_t len = header->len;
	const char *why;

	if (s->serves_dear || c->waits_for != WAIT_NOTHING)
		return false;
	if (header->compression != 0)
		len = inflate_length(frame, len, s->settings->message.max,
				     &why);
	if (len < DEAR_BYTES)
		return false;
	wait_for(s, c, WAIT_DEAR, header->message == WIRE_SYNC);
	return true;
}

void
wait_go_on(struct server *s, struct connection *c)
{
	if (c->state == CONNECTION_OPEN &&
	    (is_dear(s, c) || wait_has_turns(s) || s->budget.is_turn_over))
		wait_for_turn(s, c);
	else
		session_serve(s, c);
}

bool
wait_must_queue(const struct server *s, const struct connection *c)
{
	const struct list *first = s->waiting[WAIT_ROOM].next;

	return c->is_feed && first != &s->waiting[WAIT_ROOM] &&
	       first != &c->wait_node;
}

void
wait_timed_out(struct server *s, struct connection *c)
{
	if (!has_deadline(c->waits_for))
		return;
	c->is_late = true;
	session_serve(s, c);
}

/* ---- going on ---- */

bool
wait_has_place(const struct connection *c)
{
	const struct stream *reads = c->consumer.here.stream;

	return c->is_late || reads != c->wait_stream || reads->is_main ||
	       reads->fed.pos >= c->answered_pos;
}

/* Whether what it waits for may have come. */
static bool
may_go_on(struct server *s, const struct connection *c)
{
	switch (c->waits_for) {
	case WAIT_NOTHING:
	case WAIT_REASONS:
		return false;
	case WAIT_DAY:
		return !s->tick.is_day_pending;
	case WAIT_HOLD:
		return !s->tick.is_held;
	case WAIT_ROOM:
		return !(s->tick.is_held && c->is_feed) &&
		       stream_has_room(&s->streams.main, c->wanted_bytes);
	case WAIT_FED:
		return !s->streams.is_cut;
	case WAIT_LEVEL:
		return c->answered_len > 0
			       ? wait_has_place(c)
			       : streams_is_level(&s->streams, c->wait_stream);
	case WAIT_FILE:
		return s->streams.main.marks == s->journal.state.marks;
	case WAIT_BUFFER:
		return buffers_may_take(s, c, POOL_INPUT);
	case WAIT_REPLY:
		return buffers_may_take(s, c, POOL_REPLY);
	case WAIT_UNPACK:
		return unpack_is_free(&s->tick.unpack, s->now_ns);
	case WAIT_TURN:
	case WAIT_DEAR:
		return true;
	}
	return false;
}

/* First come, first served.  Whoever still finds no room keeps those behind
 * it from taking what it waits for. */
static void
serve_queue(struct server *s, enum wait_reason why)
{
	struct list *n, *next;

	for (n = s->waiting[why].next;
	     n != &s->waiting[why] && !s->budget.is_turn_over; n = next) {
		struct connection *c =
			container_of(n, struct connection, wait_node);

		next = n->next;
		if (may_go_on(s, c))
			session_serve(s, c);
		else if (why == WAIT_ROOM && !(s->tick.is_held && c->is_feed))
			return;
	}
}

static void
serve_first(struct server *s, enum wait_reason why)
{
	struct connection *c = container_of(s->waiting[why].next,
					    struct connection, wait_node);

	wait_end(s, c);
	session_serve(s, c);
}

/* Each once: whoever is not done goes behind the end that there was. */
static void
serve_turns(struct server *s)
{
	struct list *queue = &s->waiting[WAIT_TURN], end = { 0 };

	list_append(queue, &end);
	while (queue->next != &end && !s->budget.is_turn_over)
		serve_first(s, WAIT_TURN);
	list_remove(&end);
}

/* The first, if the turn has time left: what is not dear comes first.  But not
 * for ever. */
static void
serve_dear(struct server *s)
{
	if (list_is_empty(&s->waiting[WAIT_DEAR]))
		return;
	if (s->budget.is_turn_over && ++s->dear_passed < DEAR_PASSED_MAX)
		return;
	s->dear_passed = 0;
	s->serves_dear = true;
	serve_first(s, WAIT_DEAR);
	s->serves_dear = false;
}

/* Begins with another reason in each turn: when the turn is over before all
 * have had theirs, the next one is for the others. */
void
wait_serve(struct server *s)
{
	unsigned first = s->turns_cnt++ % WAIT_REASONS;

	for (unsigned i = 0; s->waiting_cnt > 0 && i < WAIT_REASONS; i++) {
		enum wait_reason why = (first + i) % WAIT_REASONS;

		if (why == WAIT_TURN)
			serve_turns(s);
		else if (why != WAIT_DEAR)
			serve_queue(s, why);
	}
	serve_dear(s);
}

/* ---- the peer ---- */

/* Whether something else than the frame that it waits with has come: what a
 * client sent before it went is still taken. */
static bool
has_more_input(const struct connection *c)
{
	int bytes = 0;

	return c->filled > c->parsed ||
	       (ioctl(c->fd, FIONREAD, &bytes) == 0 && bytes > 0);
}

/* Whether nobody needs what it waits for now that its peer has gone. */
static bool
is_in_vain(const struct connection *c)
{
	if (c->state != CONNECTION_OPEN)
		return false;
	if (c->waits_for != WAIT_NOTHING)
		return c->is_wait_sync;
	return consumer_waits_for_gate(&c->consumer) && !has_more_input(c);
}

static void
end_if_in_vain(struct server *s, struct connection *c)
{
	char detail[80];

	if (!c->has_peer_ended || !is_in_vain(c))
		return;
	(void)snprintf(detail, sizeof(detail), "while it waited for %s",
		       waiting_for[c->waits_for]);
	session_close(s, c, CLOSE_peer_closed, detail);
}

void
wait_watch_peer(struct server *s, struct connection *c)
{
	bool is_waiting = (c->waits_for != WAIT_NOTHING &&
			   !is_turn(c->waits_for)) ||
			  consumer_waits_for_gate(&c->consumer);

	if (is_waiting && !c->is_polled && !c->has_peer_ended) {
		engine_poll_end(s->engine,
				(struct ticket){ .generation = c->generation,
						 .slot = (uint16_t)c->slot,
						 .kind = ENGINE_POLL });
		c->is_polled = true;
		c->ops_cnt++;
	}
	end_if_in_vain(s, c);
}

void
wait_peer_ended(struct server *s, struct connection *c)
{
	c->is_polled = false;
	c->has_peer_ended = true;
	end_if_in_vain(s, c);
}
