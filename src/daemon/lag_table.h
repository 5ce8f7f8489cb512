/*
 * .ringtick.lag[]: the consumers and their figures as a kdb+ table
 * (doc/protocol.md).  Part of the server (server.h).
 */
#ifndef RINGTICK_DAEMON_LAG_TABLE_H
#define RINGTICK_DAEMON_LAG_TABLE_H

#include "daemon/server.h"
#include "wire/wire.h"

/* Writes the table, one row for each consumer in the order of connecting.
 * context is the server. NULL, or the text of an error. */
const char *lag_table_put(void *context, struct wire_writer *out);

#endif
