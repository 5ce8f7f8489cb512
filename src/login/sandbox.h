/*
 * What ringtick-login may do, which is given up step by step.  The only file
 * that knows libseccomp.
 */
#ifndef RINGTICK_LOGIN_SANDBOX_H
#define RINGTICK_LOGIN_SANDBOX_H

#include <stdbool.h>

/* First of all: no core dumps, no debugger of the same user, no more rights
 * than now, and the end when the thread that started this process ends. */
void sandbox_begin(void);

/* With a users file: so much memory and no more, so that a hash whose cost is
 * absurd fails. */
void sandbox_limit_memory(void);

/* When the file is read and each kind of hash was made once: a process has as
 * much memory as that took, and no more.  Returns it, in KiB. */
unsigned sandbox_keep_memory(void);

/*
 * A worker's, before its first request.  With a users file it opens nothing any
 * more, and has the system calls that a hash, the socket and the log need; any
 * other ends it.  With PAM it keeps what modules may need.  Returns 0, or
 * -errno where there is no filter: the worker works without one.
 */
int sandbox_worker(bool has_pam);

#endif
