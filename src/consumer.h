/*
 * A consumer: the output side of one connection.  It owns nothing of what it
 * sends: it is an offset into a stream, and an ordered list of parts:
 *
 *   rest     | stream, up to the limit | reply | stream, from `next` on ...
 *   (of a      here.pos ----> limit_pos  bytes   next.pos
 *    frame cut
 *    off by a skip)
 *
 * A part starts when the one before was fully accepted by the kernel.  At most
 * one write is in flight, and an offset moves only by what its completion
 * reported.  While a reply waits, no further request of the connection may be
 * handled: that keeps this list so short.
 *
 * Pure: decides what to write next; delivery.c does the writing.
 */
#ifndef RINGTICK_CONSUMER_H
#define RINGTICK_CONSUMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lag.h"
#include "settings.h"
#include "stream.h"
#include "util.h"

enum consumer_part { PART_NONE, PART_REST, PART_STREAM, PART_REPLY };

struct consumer {
	/* the parts */
	uint8_t *rest; /* a pool buffer, NULL when there is none */
	size_t rest_len, rest_sent;
	struct cursor here;
	uint64_t limit_pos; /* while is_replying: where `here` pauses */
	bool is_replying;
	uint8_t *reply; /* the connection's reply buffer */
	size_t reply_len, reply_sent;
	struct reply_gate gate;
	struct cursor next; /* attached while a change of stream waits */

	/* the write in flight */
	enum consumer_part writing; /* PART_NONE: nothing is in flight */
	size_t writing_len;
	int64_t writing_since_ns;
	bool is_cancelled; /* its cancel was sent; its completion is awaited */
	bool is_counted;   /* in delivery's bytes in flight */

	/* being slow */
	enum slow_policy policy;
	struct lag_state lag;
	int64_t blameless_until_ns; /* its lag was the journal's */

	/* for delivery.c */
	struct list queue_node;
	struct list flight_node;

	/* counters */
	uint64_t sent_bytes;
	uint64_t high_bytes; /* the longest lag seen */
	uint64_t skips;
	uint64_t skipped_records;
};

/* What to write next. */
struct span {
	enum consumer_part part;
	const uint8_t *at;
	size_t len;
	bool is_in_main_ring;
};

void consumer_init(struct consumer *c, uint8_t *reply,
		   enum slow_policy policy);

/* Reads a stream now or from its next part on. */
static inline bool
consumer_is_subscribed(const struct consumer *c)
{
	return c->here.stream != NULL || c->next.stream != NULL;
}

/* Whether requests of this connection have to wait. */
static inline bool
consumer_is_busy(const struct consumer *c)
{
	return c->is_replying;
}

/*
 * Queues a reply of len bytes (0: none), which already are in the reply
 * buffer, behind what the stream holds now, to be sent when the gate opens
 * (a gate needs a reply);
 * then goes on in `stream` from what is visible in it now (NULL: in the same
 * one as before).  Not while is_busy.
 */
void consumer_queue(struct consumer *c, size_t len, struct stream *stream,
		    struct reply_gate gate);


/* The next write, at most span_max bytes of a stream. false: nothing to do.
 * Only while none is in flight. */
bool consumer_next(const struct consumer *c, size_t span_max,
		   struct span *out);

/* The write in flight has completed: `accepted` bytes of it were taken.
 * Returns a pool buffer that is no longer needed, or NULL. */
uint8_t *consumer_written(struct consumer *c, size_t accepted);

/* Whether it waits for a gate, and for nothing that it could do itself: it is
 * not to blame for its lag. */
bool consumer_waits_for_gate(const struct consumer *c);

/* Bytes that it lacks, of all parts; keeps high_bytes. */
uint64_t consumer_lag_bytes(struct consumer *c);

/* The longest share of a ring that it holds: its lag in that ring and that
 * ring's size. Being in the way of a message counts as a full ring. */
void consumer_ring_lag(const struct consumer *c, uint64_t *out_lag_bytes,
		       uint64_t *out_ring_bytes);

/* Records that it lacks, one half-sent included; and the age of the oldest
 * message that was not fully accepted, in ns (0: none). */
void consumer_lag_records(const struct consumer *c, int64_t now_ns,
			  uint64_t *out_records, int64_t *out_age_ns);

/* Bytes that a skip would have to copy out first: what is left of a half-sent
 * frame. Not while a part of the stream is in flight. */
size_t consumer_torn_bytes(const struct consumer *c);

/*
 * Moves to the head, at a frame boundary. `buffer` takes consumer_torn_bytes()
 * and becomes `rest`; NULL if they are 0. Returns how many records are lost to
 * this consumer.  Not while a part of the stream is in flight.
 */
uint64_t consumer_skip(struct consumer *c, uint8_t *buffer);

/* Gives up all cursors. Not while a part of the stream is in flight. Returns
 * a pool buffer that is no longer needed, or NULL. */
uint8_t *consumer_fini(struct consumer *c);

#endif
