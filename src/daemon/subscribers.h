/*
 * .u.w and .z.W: who is subscribed to what, and what waits for each connection
 * (doc/protocol.md).  Part of the server (server.h).
 *
 * A handle is the number of the connection's descriptor, as in q.
 */
#ifndef RINGTICK_DAEMON_SUBSCRIBERS_H
#define RINGTICK_DAEMON_SUBSCRIBERS_H

#include "daemon/server.h"
#include "wire/wire.h"

/* context is the server. NULL, or the text of an error. */

/* `quote`trade!lists of (handle; filter), the filter ` for all or a vector. */
const char *subscribers_put(void *context, struct wire_writer *out);

/* Handles (int) ! bytes that they lack (long), of all connections. */
const char *subscribers_put_queues(void *context, struct wire_writer *out);

#endif
