/*
 * One worker: takes a request from the socket that all share, answers it, and
 * takes the next.  The kernel gives each packet to one worker.  Never returns;
 * ends when the daemon's end of the socket closes, and when a check takes more
 * than WORKER_SECONDS_MAX: a server that PAM asks holds it no longer.
 */
#ifndef RINGTICK_LOGIN_WORKER_H
#define RINGTICK_LOGIN_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "auth/users.h"
#include "login/pam_check.h"

enum { WORKER_SECONDS_MAX = 60 };

/* Who decides. */
struct door {
	bool has_pam;
	struct pam_door pam; /* with has_pam */
	struct users users;  /* without */
};

/* What a worker is at, in memory that its parent sees: if it dies, the parent
 * answers. */
struct worker_note {
	uint64_t id;
	atomic_bool is_busy; /* id is that of a request without an answer */
};

_Noreturn void worker_run(const struct door *door, struct worker_note *note);

#endif
