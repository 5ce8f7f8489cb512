/*
 * Deadlines: what time may be held against a peer, part of the server
 * (server.h).
 *
 * A turn that was overlong, because the process was stopped or the machine
 * slept or was busy, is nobody's fault but ours: what has come meanwhile is
 * looked at first, and everybody gets that time again.
 */
#ifndef RINGTICK_DAEMON_DEADLINE_H
#define RINGTICK_DAEMON_DEADLINE_H

#include <stdbool.h>

#include "daemon/server.h"

/* A connection has until so long from now for what its state is about. */
void deadline_set(struct server *s, struct connection *c, int64_t in_ns);

/*
 * Somebody has come.  When few places are left, who has been silent for longest
 * has had its time, however long it may take else: who says nothing could keep
 * everybody out.  Who that is, or NULL.
 */
struct connection *deadline_find_place(const struct server *s);

/* The turn that begins now was to begin `late_ns` before: to be called with the
 * clock set, before any completion is handled. */
void deadline_begin_turn(struct server *s, int64_t late_ns);

/*
 * A look at all connections: begins, if one of them can be late (is_all: every
 * completion there was is handled); asks each; ends, until the next deadline.
 */
bool deadline_begin_check(struct server *s, bool is_all);
bool deadline_is_over(struct server *s, const struct connection *c);
void deadline_end_check(struct server *s);

#endif
