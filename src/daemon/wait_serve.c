#include "config.h"

#include "daemon/wait_serve.h"

#include "daemon/answer.h"
#include "daemon/buffers.h"
#include "daemon/reload.h"
#include "daemon/session.h"
#include "daemon/wait.h"

enum {
	/* Turns in a row that may have no time for WAIT_DEAR. */
	DEAR_PASSED_MAX = 8,
};

/* Whether its wait may be over. */
static bool
may_continue(struct server *s, const struct connection *c)
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
		return c->answer.is_kept
			       ? answer_has_place(s, c)
			       : streams_is_level(&s->streams, c->wait_stream);
	case WAIT_FILE:
		return s->journal.state.is_file_stuck ||
		       (!tick_is_between_files(&s->tick) &&
			!s->journal.state.is_nameless);
	case WAIT_BUFFER:
		return buffers_may_take(s, c, POOL_INPUT);
	case WAIT_REPLY:
		return buffers_may_take(s, c, POOL_REPLY);
	case WAIT_INFLATE:
		return inflate_long_is_free(&s->tick.inflate_long, s->now_ns);
	case WAIT_RELOAD:
		return reload_is_over(s, c);
	case WAIT_TURN:
	case WAIT_DEAR:
		return true;
	}
	return false;
}

/* First come, first served.  A connection that still finds no room keeps those
 * after it from taking the room. */
static void
serve_queue(struct server *s, enum wait_reason why)
{
	struct list *n, *next;

	for (n = s->waiting[why].next;
	     n != &s->waiting[why] && !s->budget.is_turn_over; n = next) {
		struct connection *c =
			container_of(n, struct connection, wait_node);

		next = n->next;
		if (may_continue(s, c))
			session_serve(s, c);
		else if (why == WAIT_ROOM && !(s->tick.is_held && c->is_feed))
			return;
	}
}

void
wait_serve_level(struct server *s)
{
	serve_queue(s, WAIT_LEVEL);
}

static void
serve_first(struct server *s, enum wait_reason why)
{
	struct connection *c = container_of(s->waiting[why].next,
					    struct connection, wait_node);

	wait_end(s, c);
	session_serve(s, c);
}

/* Serves each once: a connection that is not done queues after `end`. */
static void
serve_turns(struct server *s)
{
	struct list *queue = &s->waiting[WAIT_TURN], end = { 0 };

	list_append(queue, &end);
	while (queue->next != &end && !s->budget.is_turn_over)
		serve_first(s, WAIT_TURN);
	list_remove(&end);
}

/* Serves the first if the turn has time left: requests that are not dear come
 * first, but not for ever. */
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

/* Begins with another reason in each turn: if one turn ends before all reasons
 * were served, the next one serves the others.  But requests that wait for a
 * level stream come before any update that would put it behind again. */
void
wait_serve(struct server *s)
{
	unsigned first = s->turns_cnt++ % WAIT_REASONS;

	wait_serve_level(s);
	for (unsigned i = 0; s->waiting_cnt > 0 && i < WAIT_REASONS; i++) {
		enum wait_reason why = (first + i) % WAIT_REASONS;

		if (why == WAIT_TURN)
			serve_turns(s);
		else if (why != WAIT_DEAR && why != WAIT_LEVEL)
			serve_queue(s, why);
	}
	serve_dear(s);
}
