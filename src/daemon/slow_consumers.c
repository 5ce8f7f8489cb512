#include "config.h"

#include "daemon/slow_consumers.h"

#include "daemon/buffers.h"
#include "daemon/report.h"
#include "daemon/session.h"
#include "daemon/wait.h"

/* For this long after the journal has revealed updates, a consumer's lag is not
 * judged.  The ring holds no more in that time than it held before. */
#define REVEALED_GRACE_NS (1 * NS_PER_S)

/*
 * Moves a consumer from the ring to the journal, now or when its cancelled
 * write has completed.  If its next bytes are not in the journal yet, the
 * journal is slow and not the consumer: then it stays.
 */
static void
leave_ring(struct server *s, struct connection *c)
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
 * Finds the place of a long rest: the journal, which usually has the frame, or
 * a buffer.  If the journal is still writing the frame, the consumer waits, as
 * in leave_ring().  false: not now; or there is neither, and the connection was
 * closed.
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

/* Moves a consumer to the head, now or when its cancelled write has
 * completed. */
static void
skip_to_head(struct server *s, struct connection *c)
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
	skipped.from_record = tick_day_record(&s->tick, skipped.from_record,
					      skipped.to_pos);
	skipped.to_record = tick_day_record(&s->tick, skipped.to_record,
					    skipped.to_pos);
	if (consumer->wants_skips && skipped.records > 0)
		consumer_tell_skip(consumer, skipped.from_record,
				   skipped.to_record,
				   tick_day_marks(&s->tick, skipped.to_pos));
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
 * Whether a consumer lags because of the journal: the journal holds back its
 * reply, or did until just now, or has just revealed much at once, which no
 * consumer can have taken yet.
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
slow_consumers_judge(struct server *s, struct connection *c)
{
	struct consumer *consumer = &c->consumer;
	bool was_slow = consumer->lag.is_slow;
	uint64_t lag, ring;
	enum lag_action action;

	consumer_ring_lag(consumer, &lag, &ring);
	if (ring == 0 || c->state == CONNECTION_CLOSING)
		return false;
	/* Leaving for the journal is no punishment: a blameless consumer leaves
	 * too if room is wanted. */
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
		leave_ring(s, c);
		return false;
	case LAG_SKIP:
		skip_to_head(s, c);
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
