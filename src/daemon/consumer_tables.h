/*
 * The connections as q values (doc/protocol.md): .ringtick.lag[], a row for
 * each consumer in the order of connecting; .u.w; .z.W.  Part of the server
 * (server.h).
 *
 * A handle is the number of the connection's descriptor, as in q.
 */
#ifndef RINGTICK_DAEMON_CONSUMER_TABLES_H
#define RINGTICK_DAEMON_CONSUMER_TABLES_H

#include "daemon/server.h"
#include "wire/wire.h"

/* Writes one of these values. context is the server.  NULL, or the text of an
 * error. */
const char *consumer_tables_put(void *context, enum tick_table table,
				struct wire_writer *out);

#endif
