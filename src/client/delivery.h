/*
 * Delivery: which consumer writes next, and how much.
 *
 *   idle   subscribed, nothing to send      ---- the stream's head moves --->
 *   ready  something to send, none in flight --- its turn, and the cap ----->
 *   (in flight)                              --- completion ----> ready, idle
 *
 * Consumers take turns (ready is first in, first out).  Under load spans grow
 * by themselves, up to span_max: that is the batching, and it adds no latency.
 * Those that read the past come after all others, and few at a time.
 * The bytes in flight together are capped, so that a recv or a cancel behind
 * them is not late; a write that has been parked at a full socket for longer
 * than PARKED_NS does not count: nobody works on it.
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
#include "ring/stream.h"

struct delivery {
	struct engine *engine;
	struct streams *streams;
	struct pool *pool;
	size_t span_max;
	uint64_t in_flight_max;
	uint64_t in_flight_bytes; /* of counted writes ... */
	uint64_t past_bytes;	  /* ... and of those out of the past */
	uint64_t heads_seen;	  /* sum of all heads at the last run */
	const uint64_t *gates[2]; /* what replies may wait for */
	struct list idle;
	struct list ready;
	struct list ready_past;
	struct list flight; /* counted writes, oldest first */
};

void delivery_init(struct delivery *d, struct engine *engine,
		   struct streams *streams, struct pool *pool,
		   size_t span_max, uint64_t in_flight_max,
		   const struct journal_state *journal);

/* The consumer may have something to send: sorts it into ready or idle. No
 * change while a write is in flight. */
void delivery_wake(struct delivery *d, struct connection *c);

/* Submits writes for all that are ready, within the caps. */
void delivery_run(struct delivery *d, int64_t now_ns);

/* Whether somebody is ready but has to wait for the cap. */
static inline bool
delivery_is_capped(const struct delivery *d)
{
	return !list_is_empty(&d->ready) || !list_is_empty(&d->ready_past);
}

/*
 * A write has completed: moves the offset.  The caller wakes the consumer.
 * Returns how many bytes were accepted, or -errno if the socket is broken.
 */
int64_t delivery_completed(struct delivery *d, struct connection *c,
			   int32_t result);

/* Cancels the write in flight, if any and not yet done: its own completion
 * still comes. Returns whether a cancel was sent. */
bool delivery_cancel(struct delivery *d, struct connection *c);

/* Nothing more is submitted for it; what is in flight completes. */
void delivery_stop(struct connection *c);

/* Gives up what the consumer holds; only without a write in flight. */
void delivery_forget(struct delivery *d, struct connection *c);

#endif
