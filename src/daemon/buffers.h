/*
 * Who gets one of message.buffers: part of the server (server.h).
 *
 * A buffer is for bytes that are here: for what of a message does not fit into
 * the receive buffer any more, for a reply or a rest that is to be sent.  One
 * address, or one user, has half of them at most, and what goes out has half of
 * them together.  The last one is for publishers, and what others hold is not
 * of their share: anybody can begin a long message, and stop.
 */
#ifndef RINGTICK_DAEMON_BUFFERS_H
#define RINGTICK_DAEMON_BUFFERS_H

#include <stdbool.h>

#include "daemon/server.h"

/* NULL if none is free, or it has its share. */
uint8_t *buffers_take(struct server *s, struct connection *c,
		      enum pool_use use);

/* Whether buffers_take would give it one. */
bool buffers_may_take(const struct server *s, const struct connection *c,
		      enum pool_use use);

/* Whether what another one holds is of c's share. */
bool buffers_is_of_share(const struct connection *c,
			 const struct connection *holder);

/* So many are not for it, but for publishers only. */
unsigned buffers_kept_from(const struct connection *c);

/* When it is to be looked at those who hold one (buffer_holders.h), at the
 * latest. */
int64_t buffers_due_ns(const struct server *s);

#endif
