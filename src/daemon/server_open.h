/* The start, from the limits of the process to listening; and the release of
 * everything. */
#ifndef RINGTICK_DAEMON_SERVER_OPEN_H
#define RINGTICK_DAEMON_SERVER_OPEN_H

#include "daemon/server.h"

/* Opens everything, runs the self-test, and listens.  Ends the process with one
 * line if something is missing.  `path` is the configuration's, from which a
 * reload reads again; it and *settings, which a reload changes, must outlive
 * the server. */
void server_open(struct server *s, struct settings *settings,
		 const char *path);

void server_close(struct server *s);

#endif
