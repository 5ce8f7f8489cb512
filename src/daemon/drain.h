/*
 * What the daemon still reads at a stop: what clients had sent when the signal
 * came, until their sockets are empty once, and 1 MiB more than was in them at
 * most.  Part of the server (server.h).
 */
#ifndef RINGTICK_DAEMON_DRAIN_H
#define RINGTICK_DAEMON_DRAIN_H

#include <stdbool.h>

#include "daemon/server.h"

/* The stop begins: notes what each socket holds. */
void drain_begin(struct server *s);

/* Whether a connection is to be read on, now that the daemon stops. */
bool drain_wants(struct connection *c);

/* Whether all of it was read. To be asked once a turn. */
bool drain_is_done(struct server *s);

/* A line for each client that had sent more than was read. */
void drain_tell(struct server *s);

#endif
