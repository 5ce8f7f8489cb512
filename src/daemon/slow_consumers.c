#include "config.h"

#include "daemon/slow_consumers.h"

#include "daemon/buffers.h"
#include "daemon/report.h"
#include "daemon/session.h"
#include "daemon/wait.h"

/* For so long after the journal has let go no lag is held against a consumer.
 * What the ring holds meanwhile is what it held before. */
#define REVEALED_GRACE_NS (1 * NS_PER_S)

/*
 * Leaves the ring for the journal, now or when its cancelled write is in.  If
 * what it needs next is not in the journal yet, the journal is what is slow:
 * then nobody leaves.
 */
static void
leave(struct server *s, struct connection *c)
{
	struct consumer *consumer = &c->consumer;
	struct history_place place;
	uint64_t from_pos = consumer_main_place(consumer).main_pos;

	if (from_pos == s->journal.state.written_pos ||
	    !history_find_pos(&s->journal.history, from_pos, &place))
		return;
	if (consumer->writing == PART_STREAM) {
		s->counters.cancels += delivery_cancel(&s->delivery, c);
		return;
	}
	consumer_leave(consumer, &place, s->now_ns);
	consumer->lag.is_slow = false;
	if (s->now_ns - consumer->lag.slow_since_ns > s->leave_max_ns)
		s->leave_max_ns = s->now_ns - consumer->lag.slow_since_ns;
	s->counters.spills++;
	report_change(s, c);
	catchup_wake(&s->catchup, c);
}

/*
 * Where a long rest will be: in the journal, which mostly has the frame, or
 * else in a buffer.  If the journal is still writing it, that is waited for,
 * as in leave().  false: not now; or it has neither, and its end has begun.
 */
static bool
find_rest(struct server *s, struct connection *c, uint8_t **out_buffer,
	  struct history_place *out_place)
{
	const struct journal *j = &s->journal;
	uint64_t from_pos = consumer_main_place(&c->consumer).main_pos;
	uint64_t end_pos = consumer_torn_end(&c->consumer);
	bool is_written = j->state.is_on &&
			  (int64_t)(j->state.written_pos - end_pos) >= 0;

	if (is_written && history_find_pos(&j->history, from_pos, out_place))
		return true;
	out_place->file = NULL;
	if (j->state.is_on && !is_written && !j->state.is_stuck)
		return false;
	*out_buffer = buffers_take(s, c, POOL_REST);
	if (*out_buffer == NULL)
		session_close(s, c, CLOSE_no_buffer, NULL);
	return *out_buffer != NULL;
}

/* Moves a consumer to the head, now or when its cancelled write is in. */
static void
skip(struct server *s, struct connection *c)
{
	struct consumer *consumer = &c->consumer;
	struct history_place place = { .file = NULL };
	uint8_t *buffer = NULL;
	struct skipped skipped;
	bool was_busy;

	if (consumer->writing == PART_STREAM) {
		s->counters.cancels += delivery_cancel(&s->delivery, c);
		return;
	}
	if (consumer_torn_bytes(consumer) > CATCHUP_BUFFER_BYTES &&
	    !find_rest(s, c, &buffer, &place))
		return;
	was_busy = consumer_is_busy(consumer);
	skipped = consumer_skip(consumer, buffer,
				place.file != NULL ? &place : NULL);
	skipped.from_record = tick_day_record(&s->tick, skipped.from_record);
	skipped.to_record = tick_day_record(&s->tick, skipped.to_record);
	if (consumer->wants_skips && skipped.records > 0)
		consumer_tell_skip(consumer, skipped.from_record,
				   skipped.to_record);
	s->counters.skips++;
	s->counters.skipped_records += skipped.records;
	consumer->lag.is_slow = false;
	report_skip(s, c, &skipped);
	catchup_wake(&s->catchup, c);
	/* A change of stream without a reply may have happened just now. */
	if (was_busy && !consumer_is_busy(consumer))
		session_go_on(s, c);
}

/*
 * Whether the journal is why a consumer lags: it keeps its reply back, or has
 * just let go, or has let much be seen at once, which nobody can have taken.
 */
static bool
is_blameless(const struct server *s, struct consumer *c)
{
	int64_t revealed_ns = s->streams.main.revealed_ns;

	if (consumer_waits_for_gate(c))
		c->blameless_until_ns = s->now_ns + REVEALED_GRACE_NS;
	return s->now_ns < c->blameless_until_ns ||
	       (revealed_ns != 0 &&
		s->now_ns - revealed_ns < REVEALED_GRACE_NS);
}

bool
slow_judge(struct server *s, struct connection *c)
{
	struct consumer *consumer = &c->consumer;
	bool was_slow = consumer->lag.is_slow;
	uint64_t lag, ring;
	enum lag_action action;

	consumer_ring_lag(consumer, &lag, &ring);
	if (ring == 0 || c->state == CONNECTION_CLOSING)
		return false;
	/* To leave is no punishment: it may where room is wanted. */
	if (is_blameless(s, consumer) && (consumer->policy != SLOW_SPILL ||
					  s->streams.main.wanted_bytes == 0))
		return false;
	(void)consumer_lag_bytes(consumer);
	action = lag_judge(&consumer->lag, &s->lag_limits, consumer->policy,
			   lag, ring, s->now_ns);
	if (was_slow && !consumer->lag.is_slow)
		report_change(s, c);
	switch (action) {
	case LAG_NOTHING:
		return false;
	case LAG_HOLD:
		if (!was_slow)
			report_change(s, c);
		return true;
	case LAG_LEAVE:
		leave(s, c);
		return false;
	case LAG_SKIP:
		skip(s, c);
		return false;
	case LAG_DISCONNECT:
		session_close(s, c, CLOSE_slow, NULL);
		return false;
	case LAG_EXPEL:
		session_close(s, c, CLOSE_slow_block, NULL);
		return false;
	}
	return false;
}
