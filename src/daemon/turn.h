/*
 * The turn, which is all that the application's thread does: the clock,
 * completions, waiting connections, timers, slow consumers, delivery; and the
 * stop.
 */
#ifndef RINGTICK_DAEMON_TURN_H
#define RINGTICK_DAEMON_TURN_H

#include "daemon/server.h"

/* Tells systemd READY, and runs until SIGTERM or SIGINT.  Returns 0 or an exit
 * status. */
int turn_run(struct server *s);

#endif
