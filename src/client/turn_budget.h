/*
 * The work that may be done for a connection in one turn of the server: its
 * share; and the limit of all shares together.  A connection that has used up
 * its share and has more to do queues after the others (daemon/wait.h).
 *
 * The cost is counted in steps, like that of requests (q/eval.h), and the clock
 * is read after every BUDGET_LOOK_STEPS, since a step can be slow.  So both
 * work and time are bounded, and the clock is read only a few times per turn.
 *
 * Pure except for the clock, which is passed in.
 */
#ifndef RINGTICK_CLIENT_TURN_BUDGET_H
#define RINGTICK_CLIENT_TURN_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	BUDGET_SHARE_STEPS = 2000, /* share of a connection in one turn; ... */
	BUDGET_SHARE_US = 200,	   /* ... about the same, as time */
	BUDGET_TURN_US = 2000,	   /* limit of all connections in one turn */
	BUDGET_DEAR_STEPS = 4000,  /* a share of more makes the connection's
				      requests dear */
	BUDGET_LOOK_STEPS = 400,   /* between two looks at the clock */
	BUDGET_FRAME_STEPS = 8,	   /* cost of a frame, ... */
	BUDGET_STEP_BYTES = 128,   /* ... plus a step for this many bytes */
};

struct budget {
	int64_t (*clock_ns)(void);
	int64_t looked_ns; /* when the clock was last read; monotonic */
	int64_t turn_until_ns;
	int64_t share_until_ns;
	unsigned used;	 /* steps of this share so far */
	unsigned unseen; /* steps since the clock was read */
	bool is_share_over, is_turn_over;
};

void budget_begin_turn(struct budget *b, int64_t now_ns);
void budget_begin_share(struct budget *b);

/* Charges steps to the current share. */
void budget_charge(struct budget *b, unsigned steps);

/* Charges the minimum cost of frames of len bytes in all. */
void budget_charge_bytes(struct budget *b, size_t len);

/* Whether the share or the turn is over: no further work may begin for the
 * connection. */
static inline bool
budget_is_spent(const struct budget *b)
{
	return b->is_share_over || b->is_turn_over;
}

/* Whether the share has cost so much that the connection's next one waits until
 * the others have had theirs. */
static inline bool
budget_was_dear(const struct budget *b)
{
	return b->used >= BUDGET_DEAR_STEPS;
}

#endif
