#include "config.h"

#include "daemon/session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/answer.h"
#include "daemon/buffers.h"
#include "daemon/deadline.h"
#include "daemon/drain.h"
#include "daemon/hello.h"
#include "daemon/login.h"
#include "daemon/report.h"
#include "daemon/wait.h"
#include "tick/dispatch.h"
#include "tick/publish_by_template.h"
#include "tick/subscribe_past.h"

/* How long the reply to a subscription may wait for a journal that does not
 * move. */
#define HELD_NS (1 * NS_PER_S)

/* For this long after a dear request the connection may send another. */
#define DEAR_NS (1 * NS_PER_S)

enum {
	/* Connections that are closed in one turn because their peer has ended,
	 * ... */
	ENDS_A_TURN = 16,
	ENDS_A_CROWDED_TURN = 1, /* ... while other events may wait */
};

static struct ticket
ticket_of(const struct connection *c, enum engine_kind kind)
{
	return (struct ticket){ .generation = c->generation,
				.slot = (uint16_t)c->slot,
				.kind = (uint8_t)kind };
}

static void
arm_recv(struct server *s, struct connection *c)
{
	uint8_t *at;
	size_t len;

	connection_room(c, &at, &len);
	engine_recv(s->engine, at, len, ticket_of(c, ENGINE_RECV));
	c->is_receiving = true;
	c->ops_cnt++;
}

/* ---- the end ---- */

/* Logs and counts, once per connection. */
static void
note_end(struct server *s, struct connection *c, enum close_reason reason,
	 const char *detail)
{
	c->reason = reason;
	list_remove(&c->hello_node);
	login_forget(s, c);
	connection_wipe_password(c);
	inflate_long_forget(&s->tick.inflate_long, c);
	shares_leave(&s->shares, c->user_share);
	c->user_share = NULL;
	if (c->has_published)
		publishers_left(&s->publishers, c->name,
				c->consumer.address, s->now_ns);
	s->counters.disconnects++;
	s->counters.bad_frames += reason == CLOSE_bad_frame;
	s->counters.slow_disconnects +=
		reason == CLOSE_slow || reason == CLOSE_slow_block ||
		reason == CLOSE_slow_spill || reason == CLOSE_no_buffer;
	report_disconnect(s, c, detail);
}

void
session_close(struct server *s, struct connection *c, enum close_reason reason,
	      const char *detail)
{
	if (c->state == CONNECTION_FREE || c->state == CONNECTION_CLOSING)
		return;
	if (c->state != CONNECTION_ENDING && c->state != CONNECTION_LINGERING)
		note_end(s, c, reason, detail);
	list_remove(&c->hello_node);
	list_remove(&c->lost_node);
	wait_end(s, c);
	delivery_stop(c);
	catchup_stop(c);
	c->state = CONNECTION_CLOSING;
	c->deadline_ns = 0;
	/* Ends the recv and the write in flight, wherever they wait. */
	(void)shutdown(c->fd, SHUT_RDWR);
	session_reap(s, c);
}

void
session_reap(struct server *s, struct connection *c)
{
	if (c->state != CONNECTION_CLOSING || c->ops_cnt > 0)
		return;
	if (c->reason == CLOSE_stopping)
		drain_tell(s, c);
	catchup_forget(c);
	delivery_forget(&s->delivery, c);
	pool_give(&s->pool, connection_drop_input(c));
	selection_drop(&s->streams.filter.symbols, &c->selection);
	answer_forget(s, c);
	shares_leave(&s->shares, c->address_share);
	connection_fini(c);
	(void)engine_bind(s->engine, c->slot, -1);
	(void)close(c->fd);
	clients_remove(&s->clients, c);
	/* A descriptor is free again: a waiting client can be accepted. */
	if (s->rearm_accept_ns != 0)
		s->rearm_accept_ns = s->now_ns;
}

/* Sends FIN and reads on until the client goes: closing with unread input
 * would make it a RST, which clients take for a crash. */
static void
linger(struct server *s, struct connection *c)
{
	wait_end(s, c);
	catchup_forget(c);
	delivery_forget(&s->delivery, c);
	c->state = CONNECTION_LINGERING;
	if (!c->is_in)
		list_append(&s->clients.refused, &c->hello_node);
	(void)shutdown(c->fd, SHUT_WR);
	deadline_set(s, c, LINGER_NS);
	if (c->is_receiving)
		return;
	pool_give(&s->pool, connection_drop_input(c));
	arm_recv(s, c);
}

/* Refuses a peer by FIN alone; closes at once if bytes are on their way to
 * it. */
static void
refuse_peer(struct server *s, struct connection *c, enum close_reason reason,
	    const char *detail)
{
	if (c->consumer.writing != PART_NONE) {
		session_close(s, c, reason, detail);
		return;
	}
	note_end(s, c, reason, detail);
	linger(s, c);
}

/*
 * Ends a connection after a malformed message: a sync caller gets 'badmsg, in
 * its place after the queued bytes; then FIN.
 */
static void
end_badly(struct server *s, struct connection *c, enum close_reason reason,
	  bool is_sync, const char *detail)
{
	size_t len;

	answer_drop_long(s, c);
	if (!is_sync) {
		refuse_peer(s, c, reason, detail);
		return;
	}
	note_end(s, c, reason, detail);
	len = answer_write_error(
		s, c, reason == CLOSE_too_long ? "limit" : "badmsg");
	consumer_queue(&c->consumer, len, NULL, (struct reply_gate){ 0 });
	c->state = CONNECTION_ENDING;
	deadline_set(s, c, LINGER_NS);
	delivery_wake(&s->delivery, c);
}

static void
timed_out(struct server *s, struct connection *c)
{
	c->deadline_ns = 0;
	switch (c->state) {
	case CONNECTION_FREE:
	case CONNECTION_CLOSING:
		break;
	case CONNECTION_HELLO:
		refuse_peer(s, c, CLOSE_handshake_timeout, NULL);
		break;
	case CONNECTION_CHECKING:
		refuse_peer(s, c, login_is_barred(s, c) ? CLOSE_login_barred
						       : CLOSE_login_unknown,
			    "it took too long");
		break;
	case CONNECTION_OPEN:
		if (wait_timed_out(c))
			session_serve(s, c);
		break;
	case CONNECTION_ENDING:
	case CONNECTION_LINGERING:
		session_close(s, c, c->reason, NULL);
		break;
	}
}

void
session_check_deadlines(struct server *s, bool is_all)
{
	struct connection *c, *next;

	if (!deadline_begin_check(s, is_all))
		return;
	for (c = clients_next(&s->clients, NULL); c != NULL; c = next) {
		next = clients_next(&s->clients, c);
		if (deadline_is_over(s, c))
			timed_out(s, c);
	}
	deadline_end_check(s);
}

/* Closes a connection that waits for an answer to a peer that has gone. */
static void
end_if_pointless(struct server *s, struct connection *c)
{
	char detail[80];

	if (!wait_is_pointless(c))
		return;
	(void)snprintf(detail, sizeof(detail), "while it waited for %s",
		       wait_text(c));
	session_close(s, c, CLOSE_peer_closed, detail);
}

void
session_peer_ended(struct server *s, struct connection *c)
{
	c->is_polled = false;
	c->has_peer_ended = true;
	end_if_pointless(s, c);
}

/* ---- the beginning ---- */

static void
make_place(struct server *s)
{
	struct connection *c = deadline_find_place(s);

	if (c != NULL)
		session_close(s, c, CLOSE_handshake_timeout,
			      "others wanted its place");
}

static void
turn_away(struct server *s, int fd)
{
	uint64_t held;

	s->counters.turned_away++;
	(void)close(fd);
	make_place(s);
	if (log_may(&s->accept_log, s->now_ns, &held))
		log_line(LOG_WARN, "turned_away",
			 "reason=full connections=%u held=%llu "
			 "hint=\"raise connections.max\"",
			 s->clients.open_cnt, (unsigned long long)held);
}

void
session_accepted(struct server *s, unsigned listener_idx, int fd)
{
	struct connection *c = clients_find_free(&s->clients);
	enum close_reason reason;
	uint64_t held;
	int err;

	if (c == NULL) {
		turn_away(s, fd);
		return;
	}
	err = listener_prepare(fd, s->settings);
	if (err == 0)
		err = engine_bind(s->engine, c->slot, fd);
	if (err != 0) {
		if (log_may(&s->accept_log, s->now_ns, &held))
			log_line(LOG_ERROR, "accept_failed",
				 "error=\"%s\" connections=%u held=%llu",
				 strerror(-err), s->clients.open_cnt,
				 (unsigned long long)held);
		(void)close(fd);
		return;
	}
	clients_add(&s->clients, c, fd, s->settings->slow.policy);
	c->listener_idx = listener_idx;
	listener_peer(fd, &c->from);
	(void)peer_text(&c->from, c->peer, sizeof(c->peer));
	c->consumer.address = shares_of_address(&s->shares, &c->from);
	s->counters.connects++;
	c->awaits_proxy = s->listeners.all[listener_idx].settings->proxy;
	if (!c->awaits_proxy && !hello_lets_in(s, c, &reason)) {
		session_close(s, c, reason, NULL);
		return;
	}
	deadline_set(s, c, s->settings->connections.handshake_timeout);
	arm_recv(s, c);
	make_place(s);
}

/* Returns whether more input is wanted. */
static bool
serve_hello(struct server *s, struct connection *c)
{
	enum close_reason reason;
	const char *why = NULL;

	switch (hello_serve(s, c, &reason, &why)) {
	case HELLO_MORE:
	case HELLO_OPEN:
		return true;
	case HELLO_CHECKING:
		return false;
	case HELLO_REFUSED:
		refuse_peer(s, c, reason, why);
		return false;
	case HELLO_KEPT:
		session_close(s, c, reason, why);
		return false;
	}
	return false;
}

/* ---- requests ---- */

/* Counts updates of len bytes, and how many of them were accepted. */
static void
note_updates(struct server *s, struct connection *c, uint64_t accepted,
	     uint64_t len)
{
	c->is_feed = true;
	c->in_bytes += len;
	if (accepted == 0)
		return;
	c->in_records += accepted;
	if (!c->has_published)
		publishers_came(&s->publishers, c->name,
				c->consumer.address, s->now_ns);
	c->has_published = c->is_publisher = true;
	c->published_pos = s->streams.main.head_pos;
}

/* Takes one of message.buffers, for data too long for the connection's own
 * buffer; NULL: the connection now waits for one. */
static uint8_t *
take_buffer(struct server *s, struct connection *c, enum pool_use use,
	    bool is_sync)
{
	uint8_t *buffer = buffers_take(s, c, use);

	if (buffer != NULL)
		wait_end(s, c);
	else
		wait_for(s, c, use == POOL_REPLY ? WAIT_REPLY : WAIT_BUFFER,
			 is_sync);
	return buffer;
}

static uint8_t *
reply_buffer(const struct connection *c)
{
	return c->consumer.long_reply != NULL ? c->consumer.long_reply
					      : c->consumer.reply;
}

static size_t
reply_room(const struct server *s, const struct connection *c)
{
	return c->consumer.long_reply != NULL ? s->settings->message.max
					      : s->tick.reply_max;
}

/* Applies the outcome of a handled frame. */
static void
apply_outcome(struct server *s, struct connection *c,
	      const struct tick_outcome *out, uint64_t len)
{
	wait_end(s, c);
	/* Also one that was not waited for to the end. */
	c->is_reloading = false;
	if (out->reply_len == 0)
		answer_drop_long(s, c);
	if (out->is_update)
		note_updates(s, c, out->why == NULL, len);
	if (out->is_update && out->why != NULL) {
		c->rejected++;
		report_rejected(s, c, out);
	}
	if (out->error != NULL) {
		c->failed++;
		report_failed(s, c, out);
	}
	if (out->wants_skips)
		c->consumer.wants_skips = true;
	if (out->has_no_place)
		answer_keep(c, out);
	else
		answer_give(s, c, out);
	pool_give(&s->pool, connection_consume(c, len));
	c->deadline_ns = 0;
}

/* Handles one whole frame.  Returns whether the next one may be handled. */
static bool
serve_frame(struct server *s, struct connection *c,
	    const struct wire_header *header, const uint8_t *frame)
{
	struct tick_client client = {
		.selection = c->selection,
		.stream = c->consumer.here.stream,
		.is_behind = c->consumer.state == CONSUMER_JOURNAL,
		.reply = reply_buffer(c),
		.reply_max = reply_room(s, c),
		.is_reply_large = c->consumer.long_reply != NULL,
		.slot = c->slot,
		.handle = c->fd,
		.address = c->consumer.address,
		.has_published = c->has_published,
		.published_pos = c->published_pos,
		.user = c->name,
		.rights = c->rights,
		.may = c->may,
		.share = c->user_share,
		.who = c,
		.must_queue = wait_must_queue(s, c),
		.is_brief = !s->serves_dear && c->waits_for == WAIT_NOTHING,
		.is_late = c->is_late
	};
	bool is_sync = header->message == WIRE_SYNC;
	enum tick_result result;
	struct tick_outcome out;
	uint64_t len = header->len;

	/* Of a synchronous request it is not known yet whether it is an update:
	 * a question is answered. */
	if (client.must_queue && !is_sync) {
		c->wanted_bytes = 0;
		wait_for(s, c, WAIT_ROOM, is_sync);
		return false;
	}
	result = dispatch_frame(&s->tick, &client, header, frame, &out);
	budget_charge(&s->budget, out.steps);
	switch (result) {
	case TICK_DONE:
		budget_charge_bytes(&s->budget, len);
		apply_outcome(s, c, &out, len);
		return true;
	case TICK_WAIT:
		answer_drop_long(s, c);
		if (out.waits_for == WAIT_DEAR)
			budget_charge(&s->budget, BUDGET_DEAR_STEPS);
		c->wanted_bytes = client.must_queue
					  ? 0
					  : s->streams.main.wanted_bytes;
		c->wait_stream = out.wait_stream;
		wait_for(s, c, out.waits_for, is_sync);
		return false;
	case TICK_LARGE:
		CHECK(c->consumer.long_reply == NULL);
		c->consumer.long_reply = take_buffer(s, c, POOL_REPLY, true);
		return c->consumer.long_reply != NULL &&
		       serve_frame(s, c, header, frame);
	case TICK_BAD:
		end_badly(s, c,
			  out.is_too_long ? CLOSE_too_long : CLOSE_bad_frame,
			  is_sync, out.why);
		return false;
	}
	return false;
}

/* Handles updates like the one before, as many as there are, at little cost. */
static void
serve_by_template(struct server *s, struct connection *c)
{
	uint64_t records;
	size_t len;

	if (c->consumer.state != CONSUMER_NONE ||
	    wait_must_queue(s, c))
		return;
	len = publish_by_template(&s->tick, c->rights, c->buffer + c->parsed,
				  c->filled - c->parsed, &records);
	if (len == 0)
		return;
	budget_charge_bytes(&s->budget, len);
	wait_end(s, c);
	note_updates(s, c, records, len);
	pool_give(&s->pool, connection_consume(c, len));
	c->deadline_ns = 0;
}

/* Handles frames until one is missing or has to wait. Returns whether more
 * input is wanted. */
static bool
serve_frames(struct server *s, struct connection *c)
{
	while (c->state == CONNECTION_OPEN && !consumer_is_busy(&c->consumer)) {
		struct wire_header header;
		const uint8_t *frame;
		uint8_t *buffer;
		const char *why;

		if (c->answer.is_kept) {
			if (!answer_place(s, c))
				return false;
			continue;
		}
		if (wait_must_yield(s, c)) {
			wait_for_turn(s, c);
			return false;
		}
		serve_by_template(s, c);
		switch (connection_frame(c, s->settings->message.max, &header,
					 &frame, &why)) {
		case FRAME_MORE:
			return true;
		case FRAME_TOO_BIG:
			buffer = take_buffer(s, c, POOL_INPUT,
					     header.message == WIRE_SYNC);
			if (buffer != NULL)
				connection_use_buffer(c, buffer, header.len);
			return buffer != NULL;
		case FRAME_BAD:
			end_badly(s, c, CLOSE_bad_frame, false, why);
			return false;
		case FRAME_TOO_LONG:
			end_badly(s, c, CLOSE_too_long,
				  header.message == WIRE_SYNC, NULL);
			return false;
		case FRAME_WHOLE:
			if (wait_if_long(s, c, &header, frame) ||
			    !serve_frame(s, c, &header, frame))
				return false;
			break;
		}
	}
	return false;
}

void
session_serve(struct server *s, struct connection *c)
{
	bool wants_more = true;

	CHECK(!c->is_receiving);
	budget_begin_share(&s->budget);
	if (c->state == CONNECTION_HELLO)
		wants_more = serve_hello(s, c);
	if (c->state == CONNECTION_OPEN) {
		wants_more = serve_frames(s, c);
		if (budget_was_dear(&s->budget))
			c->dear_until_ns = s->now_ns + DEAR_NS;
	}
	if (wants_more && c->state < CONNECTION_ENDING &&
	    (!s->is_stopping || drain_wants(c))) {
		arm_recv(s, c);
		return;
	}
	wait_watch_peer(s, c);
	end_if_pointless(s, c);
}

void
session_login(struct server *s, struct connection *c, bool may_come,
	      enum close_reason reason)
{
	if (c->state == CONNECTION_OPEN) {
		if (!may_come && reason == CLOSE_login)
			session_close(s, c, CLOSE_user_gone, NULL);
		return;
	}
	CHECK(c->state == CONNECTION_CHECKING);
	if (!may_come) {
		refuse_peer(s, c, reason, NULL);
		return;
	}
	switch (hello_let_in(s, c, &reason)) {
	case HELLO_OPEN:
		session_serve(s, c);
		break;
	case HELLO_KEPT:
		session_close(s, c, reason, NULL);
		break;
	case HELLO_REFUSED:
	case HELLO_CHECKING:
	case HELLO_MORE:
		refuse_peer(s, c, reason, NULL);
		break;
	}
}

void
session_go_on(struct server *s, struct connection *c)
{
	if (!wait_after_turns(s, c))
		session_serve(s, c);
}

/* ---- completions ---- */

static void
close_lost(struct server *s, struct connection *c, int err)
{
	session_close(s, c, err == 0 ? CLOSE_peer_closed : CLOSE_peer_reset,
		      err == 0 ? (c->filled > c->parsed ? "mid-message" : NULL)
			       : strerror(err));
}

static bool
may_end_more(const struct server *s)
{
	return s->ended_cnt <
	       (s->is_crowded ? ENDS_A_CROWDED_TURN : ENDS_A_TURN);
}

/* The peer has ended.  Closing takes the kernel so long that only some are
 * closed in a turn: thousands may end at once, and others wait meanwhile. */
static void
lose(struct server *s, struct connection *c, int err)
{
	if (may_end_more(s)) {
		s->ended_cnt++;
		close_lost(s, c, err);
		return;
	}
	c->lost_error = err;
	if (!list_is_linked(&c->lost_node))
		list_append(&s->clients.lost, &c->lost_node);
}

void
session_end_lost(struct server *s)
{
	while (may_end_more(s) && !list_is_empty(&s->clients.lost)) {
		struct connection *c =
			container_of(s->clients.lost.next, struct connection,
				     lost_node);

		s->ended_cnt++;
		close_lost(s, c, c->lost_error);
	}
	s->ended_cnt = 0;
}

void
session_received(struct server *s, struct connection *c, int32_t result)
{
	c->is_receiving = false;
	if (c->state == CONNECTION_CLOSING) {
		c->filled += result > 0 ? (size_t)result : 0;
		return;
	}
	if (result == -EINTR || result == -EAGAIN) {
		arm_recv(s, c);
		return;
	}
	if (result <= 0) {
		lose(s, c, -result);
		return;
	}
	if (c->state == CONNECTION_LINGERING) {
		pool_give(&s->pool, connection_drop_input(c));
		arm_recv(s, c);
		return;
	}
	c->filled += (size_t)result;
	if (c->filled == c->capacity)
		s->recv_filled = true;
	session_go_on(s, c);
}

void
session_written(struct server *s, struct connection *c, int32_t result)
{
	bool was_busy = consumer_is_busy(&c->consumer);
	int64_t n = delivery_completed(&s->delivery, c, result);

	if (n > 0)
		s->counters.out_bytes += (uint64_t)n;
	if (c->state == CONNECTION_CLOSING)
		return;
	if (n < 0) {
		close_lost(s, c, (int)-n);
		return;
	}
	catchup_wake(&s->catchup, c);
	/* Before its next request is handled: the answer would queue after the
	 * past. */
	catchup_try_return(&s->catchup, c, s->now_ns);
	if (!was_busy || consumer_is_busy(&c->consumer))
		return;
	if (c->state == CONNECTION_ENDING)
		linger(s, c);
	else
		session_go_on(s, c);
}

/* ---- the past ---- */

void
session_caught_up(struct server *s, struct connection *c,
		  enum catchup_outcome outcome)
{
	switch (outcome) {
	case OUTCOME_NONE:
		break;
	case OUTCOME_CAUGHT_UP:
		s->counters.returns++;
		report_change(s, c);
		/* It may have left again before this outcome was taken. */
		catchup_wake(&s->catchup, c);
		break;
	case OUTCOME_ANSWERED:
		catchup_wake(&s->catchup, c);
		session_go_on(s, c);
		break;
	case OUTCOME_UNREADABLE:
		session_close(s, c, CLOSE_unreadable, NULL);
		break;
	case OUTCOME_LOST:
		session_close(s, c, CLOSE_epoch, NULL);
		break;
	}
}

/* Replaces the reply that waits for the journal by an error. */
static void
replace_held(struct server *s, struct connection *c)
{
	consumer_replace_reply(&c->consumer,
			       answer_write_error(s, c, no_journal_now));
}

/*
 * Refuses a subscription whose reply has waited since before the journal got
 * stuck: the records that it says to replay may never be written.  An error,
 * and the end of the connection: a new one is answered at once
 * (tick/subscribe_past.c).
 */
static void
refuse_held(struct server *s, struct connection *c)
{
	replace_held(s, c);
	note_end(s, c, CLOSE_journal, NULL);
	c->state = CONNECTION_ENDING;
	deadline_set(s, c, LINGER_NS);
	delivery_wake(&s->delivery, c);
}

/* The same for a question of a client that has published: the answer would say
 * that its updates are safe.  A question that waits for nothing else is
 * answered, and so is a subscription that only told what is written. */
static void
end_question(struct server *s, struct connection *c)
{
	bool is_open = consumer_hurry_reply(&c->consumer);
	bool is_question = c->consumer.gate.kind == REPLY_OF_QUESTION;

	if (!is_question && !c->consumer.gate.is_early)
		refuse_held(s, c);
	if (!is_open && is_question) {
		replace_held(s, c);
		s->counters.request_errors++;
	}
	delivery_wake(&s->delivery, c);
	catchup_wake(&s->catchup, c);
}

void
session_check_spills(struct server *s)
{
	bool is_stuck = journal_stuck_ns(&s->journal, s->now_ns) > HELD_NS;
	struct connection *c, *next;

	for (c = clients_next(&s->clients, NULL); c != NULL; c = next) {
		const struct consumer *consumer = &c->consumer;

		next = clients_next(&s->clients, c);
		if (consumer->state == CONSUMER_JOURNAL &&
		    c->spill_limit_ns > 0 &&
		    s->now_ns - consumer->past.since_ns >= c->spill_limit_ns)
			session_close(s, c, CLOSE_slow_spill, NULL);
		else if (is_stuck && consumer_claims_unwritten(consumer))
			session_close(s, c, CLOSE_journal, NULL);
		else if (is_stuck && c->state == CONNECTION_OPEN &&
			 consumer_has_question(&c->consumer))
			end_question(s, c);
	}
}
