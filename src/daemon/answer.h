/*
 * The reply of a finished request.  It is queued at its place in the
 * connection's output, at once or when that place has come (connection.h:
 * struct answer).  Until then no other input of the connection is handled.
 * Part of the server.
 */
#ifndef RINGTICK_DAEMON_ANSWER_H
#define RINGTICK_DAEMON_ANSWER_H

#include <stdbool.h>

#include "daemon/server.h"

/* Queues the reply, and subscribes if the request asked for that. */
void answer_give(struct server *s, struct connection *c,
		 const struct tick_outcome *out);

/* Keeps the reply for later: outcome.has_no_place. */
void answer_keep(struct connection *c, const struct tick_outcome *out);

/* Whether the place of the kept reply has come, or the reply has waited for as
 * long as it may. */
bool answer_has_place(const struct server *s, const struct connection *c);

/* Queues the kept reply.  false: its place has not come, and c still waits. */
bool answer_place(struct server *s, struct connection *c);

/* Drops a kept reply, when the connection ends. */
void answer_forget(struct server *s, struct connection *c);

#endif
