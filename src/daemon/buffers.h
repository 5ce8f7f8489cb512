/*
 * Which connection gets one of message.buffers: part of the server (server.h).
 *
 * A buffer is for bytes that exist: for a message that no longer fits into the
 * receive buffer, or for a reply or a rest to be sent.  One address, or one
 * user, has at most half of the buffers, and replies and rests together have at
 * most half.  The last buffer is kept for publishers, and buffers of other
 * clients do not count for a publisher's share: any client can begin a long
 * message and stop.
 */
#ifndef RINGTICK_DAEMON_BUFFERS_H
#define RINGTICK_DAEMON_BUFFERS_H

#include <stdbool.h>

#include "daemon/server.h"

/* Takes a buffer.  NULL if none is free for c, or if c has its share. */
uint8_t *buffers_take(struct server *s, struct connection *c,
		      enum pool_use use);

/* Whether buffers_take would give c a buffer. */
bool buffers_may_take(const struct server *s, const struct connection *c,
		      enum pool_use use);

/* Whether a buffer of `holder` counts for c's share. */
bool buffers_is_of_share(const struct connection *c,
			 const struct connection *holder);

/* How many free buffers are not for c but for publishers only. */
unsigned buffers_kept_from(const struct connection *c);

/* The latest time for the next check of the holders (buffer_holders.h). */
int64_t buffers_due_ns(const struct server *s);

#endif
