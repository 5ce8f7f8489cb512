#include "config.h"

#include "daemon/wait.h"

#include <sys/ioctl.h>

#include "daemon/deadline.h"
#include "wire/inflate.h"

enum {
	/* A message of this many bytes is dear, whatever its contents are. */
	DEAR_BYTES = 1 << 20,
};

static const char *const waiting_for[WAIT_REASONS] = {
	[WAIT_NOTHING] = "its reply, which waits for the journal",
	[WAIT_DAY] = "the end of the day",
	[WAIT_HOLD] = "a consumer that holds the feeds",
	[WAIT_ROOM] = "room in the ring",
	[WAIT_FED] = "the selections to get an earlier long update",
	[WAIT_LEVEL] = "room in the ring of its selection",
	[WAIT_FILE] = "the journal's file",
	[WAIT_BUFFER] = "a buffer of message.buffers",
	[WAIT_REPLY] = "a buffer of message.buffers",
	[WAIT_INFLATE] = "another compressed message to be inflated",
	[WAIT_RELOAD] = "the configuration to be read",
	[WAIT_TURN] = "its turn",
	[WAIT_DEAR] = "its turn",
};

void
wait_init(struct server *s)
{
	for (unsigned i = 0; i < WAIT_REASONS; i++)
		list_init(&s->waiting[i]);
}

/* Only requests that need an answer wait for these reasons. */
static bool
has_deadline(enum wait_reason why)
{
	return why == WAIT_LEVEL || why == WAIT_FILE || why == WAIT_RELOAD;
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
count_wait(struct counters *counters, enum wait_reason why)
{
	counters->feed_waits +=
		why == WAIT_ROOM || why == WAIT_HOLD || why == WAIT_DAY ||
		why == WAIT_FED;
	counters->buffer_waits += why == WAIT_BUFFER || why == WAIT_REPLY;
	counters->turn_waits += is_turn(why) || why == WAIT_INFLATE;
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
	count_wait(&s->counters, why);
	if (is_turn(why))
		return; /* its deadline is for its input */
	if (!has_deadline(why))
		c->deadline_ns = 0;
	else if (!has_deadline(before))
		deadline_set(s, c, s->settings->message.timeout);
}

bool
wait_must_yield(const struct server *s, const struct connection *c)
{
	/* A dear connection that is served at last gets its share even if the
	 * turn is over: others may use up every turn. */
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

bool
wait_after_turns(struct server *s, struct connection *c)
{
	if (c->state != CONNECTION_OPEN ||
	    (!is_dear(s, c) && !wait_has_turns(s) && !s->budget.is_turn_over))
		return false;
	wait_for_turn(s, c);
	return true;
}

bool
wait_must_queue(const struct server *s, const struct connection *c)
{
	const struct list *first = s->waiting[WAIT_ROOM].next;

	return c->is_feed && first != &s->waiting[WAIT_ROOM] &&
	       first != &c->wait_node;
}

bool
wait_timed_out(struct connection *c)
{
	if (!has_deadline(c->waits_for))
		return false;
	c->is_late = true;
	return true;
}

/* ---- the peer ---- */

/* Whether more input has come than the frame that waits: everything that a
 * client sent before it went is still taken. */
static bool
has_more_input(const struct connection *c)
{
	int bytes = 0;

	return c->filled > c->parsed ||
	       (ioctl(c->fd, FIONREAD, &bytes) == 0 && bytes > 0);
}

bool
wait_is_pointless(const struct connection *c)
{
	if (c->state == CONNECTION_CHECKING)
		return c->has_peer_ended;
	if (c->state != CONNECTION_OPEN || !c->has_peer_ended)
		return false;
	if (c->waits_for != WAIT_NOTHING)
		return c->is_wait_sync;
	return consumer_waits_for_gate(&c->consumer) && !has_more_input(c);
}

const char *
wait_text(const struct connection *c)
{
	return c->state == CONNECTION_CHECKING ? "its password to be checked"
					       : waiting_for[c->waits_for];
}

void
wait_watch_peer(struct server *s, struct connection *c)
{
	bool is_waiting =
		(c->waits_for != WAIT_NOTHING && !is_turn(c->waits_for)) ||
		c->state == CONNECTION_CHECKING ||
		consumer_waits_for_gate(&c->consumer);

	if (is_waiting && !c->is_polled && !c->has_peer_ended) {
		engine_poll_end(s->engine,
				(struct ticket){ .generation = c->generation,
						 .slot = (uint16_t)c->slot,
						 .kind = ENGINE_POLL });
		c->is_polled = true;
		c->ops_cnt++;
	}
}
