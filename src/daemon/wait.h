/*
 * Waiting: the one door through which a connection's input stops and continues,
 * part of the server (server.h).
 *
 *   reason          ended by                            queued after
 *   day, hold       the mark is in; the consumer reads  no other
 *   room            room in the main ring               other feeds, if a feed
 *   fed             all streams have a long message     no other
 *   level, file     the stream, the journal             no other
 *   reload          the configuration is read           no other
 *   buffer, reply   a free buffer                       all before it
 *   inflate         another long message is inflated    all before it
 *   turn, dear      the next turns                      all before it
 *
 * Each reason has a queue.  While a connection waits nothing is received from
 * it, so a poll watches for the end of its peer.  A request that needs an
 * answer ends with its peer, and waits for level, file and reload for
 * message.timeout at most, and for file only while the journal is not stuck; an
 * update waits for as long as it takes, even if its sender has gone.
 */
#ifndef RINGTICK_DAEMON_WAIT_H
#define RINGTICK_DAEMON_WAIT_H

#include <stdbool.h>

#include "daemon/server.h"

void wait_init(struct server *s);

/* The next frame must wait; is_sync: a client waits for its answer.  A
 * connection that waits for `why` already keeps its place. */
void wait_for(struct server *s, struct connection *c, enum wait_reason why,
	      bool is_sync);

/* Ends the wait.  Does nothing to a connection that does not wait. */
void wait_end(struct server *s, struct connection *c);

/* Whether the next frame must be left to another turn.  A frame that has waited
 * for something else is handled in this one. */
bool wait_must_yield(const struct server *s, const struct connection *c);

/* Lets it continue in a later turn, after those that wait for one already. */
void wait_for_turn(struct server *s, struct connection *c);

/* Whether a whole frame is dear by its length alone; then it now waits for
 * that. */
bool wait_if_long(struct server *s, struct connection *c,
		  const struct wire_header *header, const uint8_t *frame);

/* A connection has input to serve: whether it must wait, after those that wait
 * for a turn. */
bool wait_after_turns(struct server *s, struct connection *c);

/* Whether a connection could continue at once. */
static inline bool
wait_has_turns(const struct server *s)
{
	return !list_is_empty(&s->waiting[WAIT_TURN]) ||
	       !list_is_empty(&s->waiting[WAIT_DEAR]);
}

/* Whether an update of a feed must queue after those that wait for room
 * already: a long message would starve if short ones that still fit went
 * first. */
bool wait_must_queue(const struct server *s, const struct connection *c);

/* Its deadline has passed.  Whether it waited with a request: then that must be
 * handled once more, and now gets an error. */
bool wait_timed_out(struct connection *c);

/* Polls for the end of a peer from which nothing is received while it waits. */
void wait_watch_peer(struct server *s, struct connection *c);

/* Whether its peer has gone, and no other client needs the result of its
 * wait. */
bool wait_is_pointless(const struct connection *c);

/* The reason of its wait, in words. */
const char *wait_text(const struct connection *c);

#endif
