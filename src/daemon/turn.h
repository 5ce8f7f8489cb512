/*
 * The turn, which is all that the one thread does: the clock, completions, what
 * waited, timers, slow consumers, delivery; and the stop.
 */
#ifndef RINGTICK_DAEMON_TURN_H
#define RINGTICK_DAEMON_TURN_H

#include "daemon/server.h"

/* Tells systemd, and runs until SIGTERM or SIGINT.  0, or an exit status. */
int turn_run(struct server *s);

#endif
