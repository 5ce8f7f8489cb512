/*
 * Starts ringtick-login, and waits until it has read its users.
 */
#ifndef RINGTICK_DAEMON_LOGIN_START_H
#define RINGTICK_DAEMON_LOGIN_START_H

#include <stddef.h>

#include "config/settings.h"

/*
 * Returns the socket to it, and how much memory it may take (0 with PAM: that
 * is not known); or -errno with one line in err.  Takes as long as
 * that program needs, LOGIN_START_SECONDS at most: runs as a job, on a thread
 * that lives as long as the daemon, with which the program ends
 * (auth/login_message.h).
 */
enum { LOGIN_START_SECONDS = 30 };
int login_start(const struct settings *settings, unsigned *out_memory_kb,
		char *err, size_t err_len);

#endif
