/*
 * What a connection may cost before it is somebody else's turn: a share of
 * each turn of the server, and all shares together what a turn is for.  Who
 * has had its share goes behind those who have more to do (daemon/wait.h).
 *
 * The cost is counted in steps, as requests count theirs (q/eval.h); now and
 * then the clock is looked at, since a step can be slow.  So it is a bound of
 * work and of time, and the clock is read a few times a turn only.
 *
 * Pure but for the clock, which is passed in.
 */
#ifndef RINGTICK_CLIENT_TURN_BUDGET_H
#define RINGTICK_CLIENT_TURN_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	BUDGET_SHARE_STEPS = 2000, /* of one connection in one turn; ... */
	BUDGET_SHARE_US = 200,	   /* ... about the same */
	BUDGET_TURN_US = 2000,	   /* of all connections in one turn */
	BUDGET_DEAR_STEPS = 4000,  /* in one share: its requests are dear */
	BUDGET_LOOK_STEPS = 400,   /* between two looks at the clock */
	BUDGET_FRAME_STEPS = 8,	   /* a frame, whatever is in it, ... */
	BUDGET_STEP_BYTES = 128,   /* ... and so many bytes of it are a step */
};

struct budget {
	int64_t (*clock_ns)(void);
	int64_t looked_ns; /* when the clock was last looked at */
	int64_t turn_until_ns;
	int64_t share_until_ns;
	unsigned used;	 /* steps of this share */
	unsigned unseen; /* steps since the clock was looked at */
	bool is_share_over, is_turn_over;
};

void budget_begin_turn(struct budget *b, int64_t now_ns);
void budget_begin_share(struct budget *b);

/* Something was done for whose share it is. */
void budget_charge(struct budget *b, unsigned steps);

/* A frame, or several, of so many bytes: what they cost at least. */
void budget_charge_bytes(struct budget *b, size_t len);

/* Whether the share or the turn is over: nothing more is begun for it. */
static inline bool
budget_is_spent(const struct budget *b)
{
	return b->is_share_over || b->is_turn_over;
}

/* Whether the share has cost so much that the next of this connection waits
 * until the others have had theirs. */
static inline bool
budget_was_dear(const struct budget *b)
{
	return b->used >= BUDGET_DEAR_STEPS;
}

#endif
