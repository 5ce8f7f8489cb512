/*
 * Who gets one of message.buffers, and for how long: part of the server
 * (server.h).
 *
 * A buffer is for bytes that are here: for what of a message does not fit into
 * the receive buffer any more, for a reply or a rest that is to be sent.  One
 * address, or one user, has half of them at most, and what goes out has half of
 * them together.  The last one is for publishers, and what others hold is not
 * of their share: anybody can begin a long message, and stop.
 *
 * Who holds one must move bytes: within message.timeout, and a second more for
 * each BUFFERS_RATE bytes that it has moved; where somebody has waited for a
 * second, within that second and one for each BUFFERS_RATE_WANTED.
 */
#ifndef RINGTICK_DAEMON_BUFFERS_H
#define RINGTICK_DAEMON_BUFFERS_H

#include <stdbool.h>

#include "daemon/server.h"

enum {
	BUFFERS_RATE = 256 << 10,	 /* bytes a second */
	BUFFERS_RATE_WANTED = 1024 << 10,
};

/* NULL if none is free, or it has its share. */
uint8_t *buffers_take(struct server *s, struct connection *c,
		      enum pool_use use);

/* Whether buffers_take would give it one. */
bool buffers_may_take(const struct server *s, const struct connection *c,
		      enum pool_use use);

/* Ends those who hold one for too long; tells who waits for whom. */
void buffers_check(struct server *s);

/* When that is to be called again at the latest. */
int64_t buffers_due_ns(const struct server *s);

#endif
