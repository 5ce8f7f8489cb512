/*
 * The beginning of a connection: the header of a TLS terminator, the handshake,
 * and who is let in with which rights.
 */
#ifndef RINGTICK_DAEMON_HELLO_H
#define RINGTICK_DAEMON_HELLO_H

#include "daemon/server.h"

enum hello_result {
	HELLO_MORE,	/* bytes are missing */
	HELLO_CHECKING, /* the password is being checked */
	HELLO_OPEN,	/* the connection is open, the reply is queued */
	HELLO_REFUSED,	/* to be ended with *reason */
	HELLO_KEPT,	/* the same, and at once: its place is wanted */
};

/* Takes what has arrived of a connection in state HELLO.  *reason and *why (a
 * constant, or NULL) are set if it is to be ended. */
enum hello_result hello_serve(struct server *s, struct connection *c,
			      enum close_reason *reason, const char **why);

/* The password is good, or none is wanted: opens the connection, or refuses
 * it. */
enum hello_result hello_let_in(struct server *s, struct connection *c,
			       enum close_reason *reason);

/* Gives a connection rights, and the settings that come with them. */
void hello_give_rights(struct server *s, struct connection *c,
		       const struct rights *rights);

/* Whether the user is known by a password: one who is known by a certificate
 * needs none. */
bool hello_wants_password(const struct server *s, const struct connection *c);

/* Whether an open connection has shown what its listener wants now: a password
 * or a certificate may be wanted since a reload. */
bool hello_has_shown_enough(const struct server *s,
			    const struct connection *c);

/* Whether a client from there may use the connection's listener, and has a
 * share of connections left, which is counted; else *reason is set. */
bool hello_lets_in(struct server *s, struct connection *c,
		   enum close_reason *reason);

#endif
