/*
 * The input that the daemon still reads at a stop: the bytes that clients had
 * sent when the signal came, until each socket has been empty once, but at most
 * 1 MiB more than was in it.  Part of the server (server.h).
 */
#ifndef RINGTICK_DAEMON_DRAIN_H
#define RINGTICK_DAEMON_DRAIN_H

#include <stdbool.h>

#include "daemon/server.h"

/* The stop begins: notes how many bytes each socket holds. */
void drain_begin(struct server *s);

/* Whether the stopping daemon must receive more from a connection. */
bool drain_wants(struct connection *c);

/* Whether everything has been read.  Must be asked once a turn. */
bool drain_is_done(struct server *s);

/*
 * Logs how many bytes of a client have arrived and were not accepted.  To be
 * called when no recv is in flight any more, since its bytes are counted.  The
 * bytes that the client's own kernel still holds are lost too, and not counted.
 */
void drain_tell(struct server *s, const struct connection *c);

#endif
