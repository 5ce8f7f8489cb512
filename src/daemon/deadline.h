/*
 * Deadlines of connections: part of the server (server.h).
 *
 * A turn that was overlong, because the process was stopped or the machine
 * slept or was busy, is not a peer's fault: input that has come meanwhile is
 * handled first, and every peer gets that time again.
 */
#ifndef RINGTICK_DAEMON_DEADLINE_H
#define RINGTICK_DAEMON_DEADLINE_H

#include <stdbool.h>

#include "daemon/server.h"

/* Sets the deadline of a connection in its present state, in_ns from now. */
void deadline_set(struct server *s, struct connection *c, int64_t in_ns);

/* How long a refused client may take to notice, before it is cut off. */
#define LINGER_NS (2 * NS_PER_S)

/*
 * Called when a client has connected.  If few slots are left, returns the one
 * that was refused first and has not gone, or else the one that has been
 * without a handshake, or a check of its password, for longest: to be closed
 * before its deadline.  Silent clients, and those who send nonsense or wrong
 * passwords, could keep all others out.  NULL: no connection need be closed.
 */
struct connection *deadline_find_place(const struct server *s);

/* This turn begins `late_ns` later than planned.  Must be called after the
 * clock is set and before any completion is handled. */
void deadline_begin_turn(struct server *s, int64_t late_ns);

/*
 * A check of all connections: deadline_begin_check returns whether any can be
 * late (is_all: every completion has been handled), deadline_is_over is asked
 * for each, and deadline_end_check ends the check.
 */
bool deadline_begin_check(struct server *s, bool is_all);
bool deadline_is_over(struct server *s, const struct connection *c);
void deadline_end_check(struct server *s);

#endif
