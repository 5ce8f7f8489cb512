/*
 * The users file on the disk: read whole, and tried out, before anybody may
 * come in.
 */
#ifndef RINGTICK_LOGIN_USERS_FILE_H
#define RINGTICK_LOGIN_USERS_FILE_H

#include <stddef.h>

#include "auth/users.h"

/* 0, or -errno with a line for the operator in err.  A warning is logged if
 * everybody on the machine can read the file. */
int users_file_read(struct users *out, const char *path, char *err,
		    size_t err_len);

/*
 * Makes one hash of each kind, as a login that fails does.  0, with the time of
 * all in *out_ns; or -errno with a line in err.  If that takes more than
 * USERS_TRIAL_SECONDS, sends FAILED and ends the process: nothing can interrupt
 * a hash.
 */
enum { USERS_TRIAL_SECONDS = 20 };
int users_file_try(const struct users *u, const char *path, int64_t *out_ns,
		   char *err, size_t err_len);

#endif
