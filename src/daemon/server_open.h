/* The start, from the limits of the process to listening; and what gives it all
 * back. */
#ifndef RINGTICK_DAEMON_SERVER_OPEN_H
#define RINGTICK_DAEMON_SERVER_OPEN_H

#include "daemon/server.h"

/* Opens everything, runs the self-test, listens. Dies with one line if
 * something is missing. */
void server_open(struct server *s, const struct settings *settings);

void server_close(struct server *s);

#endif
