/*
 * How long a connection may hold one of message.buffers: part of the server
 * (server.h).
 *
 * A holder must move bytes.  It has message.timeout, plus a second for each
 * BUFFERS_RATE bytes that it has moved; if another connection has waited for a
 * second, it has only a second, plus one for each BUFFERS_RATE_WANTED bytes.  A
 * holder that has not moved any byte for a second is closed as soon as another
 * connection has waited for MOMENT_NS.
 */
#ifndef RINGTICK_DAEMON_BUFFER_HOLDERS_H
#define RINGTICK_DAEMON_BUFFER_HOLDERS_H

#include "daemon/server.h"

enum {
	BUFFERS_RATE = 256 << 10,	 /* bytes a second */
	BUFFERS_RATE_WANTED = 1024 << 10,
};

/* Closes connections that hold a buffer for too long; logs who waits for whom.
 * Called once a turn. */
void buffer_holders_check(struct server *s);

#endif
