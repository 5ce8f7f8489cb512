/*
 * What happens to consumers that are too slow for their ring: part of the
 * server (server.h).  What is to be done is client/slow_policy.c's decision.
 * Whoever must leave the ring can: what it had begun is in the journal, or is
 * copied out.
 */
#ifndef RINGTICK_DAEMON_SLOW_CONSUMERS_H
#define RINGTICK_DAEMON_SLOW_CONSUMERS_H

#include <stdbool.h>

#include "daemon/server.h"

/* Looks at a consumer's lag and does what its policy says. Returns whether it
 * holds the feeds. */
bool slow_judge(struct server *s, struct connection *c);

#endif
