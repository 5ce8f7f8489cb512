/*
 * Delivery decides which consumer writes next, and how much.
 *
 *   idle   subscribed, nothing to send      ---- the stream's head moves --->
 *   ready  something to send, none in flight --- its turn, and the cap ----->
 *   (in flight)                              --- completion ----> ready, idle
 *
 * Consumers take turns (ready is first in, first out).  Under load spans grow
 * by themselves, up to span_max: that is the batching, and it adds no latency.
 * Consumers that read the past come after all others, and few at a time.  The
 * total of bytes in flight is capped, so that a recv or a cancel submitted
 * after them is not late; a write that has been parked at a full socket for
 * longer than PARKED_NS does not count, since it causes no work.
 */
#ifndef RINGTICK_CLIENT_DELIVERY_H
#define RINGTICK_CLIENT_DELIVERY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/pool.h"
#include "base/util.h"
#include "client/connection.h"
#include "io/engine.h"
#include "journal/state.h"
#include "ring/streams.h"

struct delivery {
	struct engine *engine;
	struct streams *streams;
	struct pool *pool;
	size_t span_max;
	uint64_t in_flight_max;
	uint64_t in_flight_bytes; /* of counted writes of streams, rests and
				     replies ... */
	uint64_t past_bytes;	  /* ... and of the past */
	uint64_t heads_seen;	  /* sum of heads, feeds and gates at the last
				     run */
	const uint64_t *gates[2]; /* positions that gates may wait for */
	struct list idle;
	struct list ready;
	struct list ready_past;
	struct list flight; /* counted writes, oldest first */
};

void delivery_init(struct delivery *d, struct engine *engine,
		   struct streams *streams, struct pool *pool,
		   size_t span_max, uint64_t in_flight_max,
		   const struct journal_state *journal);

/* Moves the consumer to the list `ready` if it has something to send, else to
 * `idle`.  No effect while its write is in flight. */
void delivery_wake(struct delivery *d, struct connection *c);

/* Submits writes for the ready consumers, within the caps.  now_ns is
 * monotonic. */
void delivery_run(struct delivery *d, int64_t now_ns);

/* Whether a ready consumer has to wait for the cap. */
static inline bool
delivery_is_capped(const struct delivery *d)
{
	return !list_is_empty(&d->ready) || !list_is_empty(&d->ready_past);
}

/*
 * A write has completed with this result (bytes or -errno): moves the offset.
 * The caller then wakes the consumer.  Returns the number of bytes accepted (0:
 * it is to be tried again), or -errno if the socket is broken.
 */
int64_t delivery_completed(struct delivery *d, struct connection *c,
			   int32_t result);

/* Cancels the write in flight, which is of a stream: its own completion still
 * comes.  false: it was cancelled before. */
bool delivery_cancel(struct delivery *d, struct connection *c);

/* Stops submitting writes for the consumer; a write in flight completes. */
void delivery_stop(struct connection *c);

/* Releases all that the consumer holds; only without a write in flight. */
void delivery_forget(struct delivery *d, struct connection *c);

#endif
