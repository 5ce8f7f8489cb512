/*
 * The reply of a finished request.  It is queued at its place in the
 * connection's output, at once or when that place has come (connection.h:
 * struct answer).  Until then no other input of the connection is handled.
 * Part of the server.
 */
#ifndef RINGTICK_DAEMON_ANSWER_H
#define RINGTICK_DAEMON_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

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

/* Gives back the buffer of a long reply that is not sent. */
void answer_drop_long(struct server *s, struct connection *c);

/* Writes an error reply into c's reply buffer, in place of any other that is
 * not queued.  Returns its length in bytes. */
size_t answer_write_error(struct server *s, struct connection *c,
			  const char *error);

/* Drops a kept reply, when the connection ends. */
void answer_forget(struct server *s, struct connection *c);

#endif
