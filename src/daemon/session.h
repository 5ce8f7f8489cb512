/*
 * A connection's life, from accept to close: part of the server (server.h).
 */
#ifndef RINGTICK_DAEMON_SESSION_H
#define RINGTICK_DAEMON_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/server.h"

/* A listening socket has a new connection. */
void session_accepted(struct server *s, unsigned listener_idx, int fd);

/* Whether the user of a connection may come in, or stay, is known; if not, why
 * (CLOSE_login, CLOSE_login_unknown). */
void session_login(struct server *s, struct connection *c, bool may_come,
		   enum close_reason reason);

/* A recv has completed with `result`. */
void session_received(struct server *s, struct connection *c, int32_t result);

/* Closes connections whose peer has ended, as many as a turn may: called once
 * in each turn. */
void session_end_lost(struct server *s);

/* A write has completed with `result`. */
void session_written(struct server *s, struct connection *c, int32_t result);

/* Handles the frames that can be handled, then receives more. */
void session_serve(struct server *s, struct connection *c);

/* The connection can continue: handles its input at once, or in a later
 * turn. */
void session_go_on(struct server *s, struct connection *c);

/* Closes connections past their deadline; is_all: every completion has been
 * handled. */
void session_check_deadlines(struct server *s, bool is_all);

/* The poll for the end of its peer has completed. */
void session_peer_ended(struct server *s, struct connection *c);

/*
 * Closes a connection at once, and ends its operations in flight.  The first
 * reason wins and is logged and counted.  `detail` is a sentence or NULL.  The
 * slot is free again when the last operation has completed.
 */
void session_close(struct server *s, struct connection *c,
		   enum close_reason reason, const char *detail);

/* Frees the slot if it is closing and nothing is in flight any more. */
void session_reap(struct server *s, struct connection *c);

/* Acts on the outcome that client/catchup.c has for a consumer. */
void session_caught_up(struct server *s, struct connection *c,
		       enum catchup_outcome outcome);

/* Closes consumers that have been catching up for too long, and connections
 * whose subscription waits for a journal that does not move. */
void session_check_spills(struct server *s);

#endif
