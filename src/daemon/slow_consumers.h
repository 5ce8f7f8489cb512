/*
 * The treatment of consumers that are too slow for their ring: part of the
 * server (server.h). client/slow_policy.c decides what is done.  A consumer
 * that must leave the ring always can: the rest of a half-sent frame is in the
 * journal, or is copied out.
 */
#ifndef RINGTICK_DAEMON_SLOW_CONSUMERS_H
#define RINGTICK_DAEMON_SLOW_CONSUMERS_H

#include <stdbool.h>

#include "daemon/server.h"

/* Checks a consumer's lag and acts by its policy.  Returns whether it holds the
 * feeds. */
bool slow_consumers_judge(struct server *s, struct connection *c);

#endif
