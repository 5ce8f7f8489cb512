/*
 * The reply of a request that is done: to its place among what its connection
 * is sent, at once or when that place has come (connection.h: struct answer).
 * Until then nothing else of the connection is handled.  Part of the server.
 */
#ifndef RINGTICK_DAEMON_ANSWER_H
#define RINGTICK_DAEMON_ANSWER_H

#include <stdbool.h>

#include "daemon/server.h"

/* Queues the reply, and subscribes if that was asked for. */
void answer_give(struct server *s, struct connection *c,
		 const struct tick_outcome *out);

/* The same is to be done later: outcome.has_no_place. */
void answer_keep(struct connection *c, const struct tick_outcome *out);

/* Whether the time for what is kept has come; or it has waited for as long as
 * it may. */
bool answer_has_place(const struct server *s, const struct connection *c);

/* Does it, or waits on: false. */
bool answer_place(struct server *s, struct connection *c);

/* The connection ends. */
void answer_forget(struct server *s, struct connection *c);

#endif
