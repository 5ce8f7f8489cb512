/*
 * Which waiting connections continue (wait.h): part of the server (server.h).
 */
#ifndef RINGTICK_DAEMON_WAIT_SERVE_H
#define RINGTICK_DAEMON_WAIT_SERVE_H

#include "daemon/server.h"

/* Serves the connections whose wait can end. */
void wait_serve(struct server *s);

/* The first part of wait_serve: requests whose stream is level now.  Also done
 * at the beginning of a turn, before any new input is handled. */
void wait_serve_level(struct server *s);

#endif
