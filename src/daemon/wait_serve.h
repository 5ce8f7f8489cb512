/*
 * Who goes on, of those that wait (wait.h): part of the server (server.h).
 */
#ifndef RINGTICK_DAEMON_WAIT_SERVE_H
#define RINGTICK_DAEMON_WAIT_SERVE_H

#include "daemon/server.h"

/* Serves those for whom what they wait for has come. */
void wait_serve(struct server *s);

#endif
