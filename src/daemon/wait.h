/*
 * Who waits, and why: the one door through which the input of a connection
 * comes to stand still and goes on, part of the server (server.h).
 *
 *   reason          what ends it                        who stands behind whom
 *   day, hold       the mark is in; the consumer reads  nobody
 *   room            room in the main ring               feeds, behind feeds
 *   fed             all streams have a long message     nobody
 *   level, file     the stream, the journal             nobody
 *   buffer, reply   a buffer is free                    first come
 *   unpack          another long message is inflated    first come
 *   turn, dear      the next turns                      first come
 *
 * Each reason has a queue.  While a connection waits nothing is received from
 * it, so that the end of its peer is polled for.  What asks for an answer ends
 * with its peer, and waits for level and file for message.timeout at most; an
 * update waits for as long as it takes, also when its sender has gone.
 */
#ifndef RINGTICK_DAEMON_WAIT_H
#define RINGTICK_DAEMON_WAIT_H

#include <stdbool.h>

#include "daemon/server.h"

void wait_init(struct server *s);

/* The next frame has to wait; is_sync: for its answer somebody waits.  Waiting
 * for that already it keeps its place. */
void wait_for(struct server *s, struct connection *c, enum wait_reason why,
	      bool is_sync);

/* It waits no more. Harmless on one that did not. */
void wait_end(struct server *s, struct connection *c);

/* Whether the next frame is for another turn. What has waited for something
 * else is looked at now. */
bool wait_must_yield(const struct server *s, const struct connection *c);

/* It goes on in a later turn, behind those that do so already. */
void wait_for_turn(struct server *s, struct connection *c);

/* Whether a whole frame is dear by its length alone and now waits for that. */
bool wait_if_long(struct server *s, struct connection *c,
		  const struct wire_header *header, const uint8_t *frame);

/* Something has come to be served: whether not at once, but behind those. */
bool wait_behind_turns(struct server *s, struct connection *c);

/* Whether somebody could go on at once. */
static inline bool
wait_has_turns(const struct server *s)
{
	return !list_is_empty(&s->waiting[WAIT_TURN]) ||
	       !list_is_empty(&s->waiting[WAIT_DEAR]);
}

/* Whether a feed stands behind those that wait for room already: a long message
 * would starve behind short ones that still fit. */
bool wait_must_queue(const struct server *s, const struct connection *c);

/* Its deadline has passed: whether it waited with a request, which is to be
 * handled once more and gets an error now. */
bool wait_timed_out(struct connection *c);

/* Nothing is received from it now: its end is to be seen all the same. */
void wait_watch_peer(struct server *s, struct connection *c);

/* Whether its peer has gone, and nobody else needs what it waits for. */
bool wait_is_in_vain(const struct connection *c);

/* What it waits for, in words. */
const char *wait_text(const struct connection *c);

#endif
