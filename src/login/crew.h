/*
 * The workers of ringtick-login, and the process that looks after them: it
 * starts a worker again that has died, answers for it, and ends all when the
 * daemon's end of the socket closes.  It reads nothing from the socket.
 */
#ifndef RINGTICK_LOGIN_CREW_H
#define RINGTICK_LOGIN_CREW_H

#include "login/worker.h"

enum { CREW_MAX = 16 };

/* Returns 0 when the daemon has gone and no worker is left, or -errno if it
 * cannot begin. */
int crew_run(const struct door *door, unsigned workers_cnt);

#endif
