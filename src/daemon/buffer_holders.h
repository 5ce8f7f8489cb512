/*
 * For how long one of message.buffers may be held: part of the server
 * (server.h).
 *
 * Who holds one must move bytes: within message.timeout, and a second more for
 * each BUFFERS_RATE bytes that it has moved; where somebody has waited for a
 * second, within that second and one for each BUFFERS_RATE_WANTED.  Who has not
 * moved for a second is ended as soon as somebody has waited for a moment.
 */
#ifndef RINGTICK_DAEMON_BUFFER_HOLDERS_H
#define RINGTICK_DAEMON_BUFFER_HOLDERS_H

#include "daemon/server.h"

enum {
	BUFFERS_RATE = 256 << 10,	 /* bytes a second */
	BUFFERS_RATE_WANTED = 1024 << 10,
};

/* Ends those who hold one for too long; tells who waits for whom. */
void buffer_holders_check(struct server *s);

#endif
