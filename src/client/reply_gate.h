/*
 * The gate of a reply: what the reply waits for besides its turn.  An update's
 * reply waits until the journal has the update, a question's until the journal
 * has what its client has published.  tick/dispatch.c makes the gate, and
 * consumer.c holds the reply until it is open.
 */
#ifndef RINGTICK_CLIENT_REPLY_GATE_H
#define RINGTICK_CLIENT_REPLY_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum reply_kind {
	REPLY_OF_UPDATE, /* the update is in the stream and cannot be taken
			    back */
	REPLY_OF_SUBSCRIPTION,
	REPLY_OF_QUESTION, /* an error can take its place */
};

/* Open when *reached, a position in the main stream that another part of the
 * daemon moves, has come to pos.  reached NULL: always open. */
struct reply_gate {
	const uint64_t *reached;
	uint64_t pos;
	enum reply_kind kind;
	bool is_early; /* queued after the visible messages, not after all
			  committed ones, which may become visible much later */
};

static inline bool
reply_gate_is_open(const struct reply_gate *g)
{
	return g->reached == NULL || (int64_t)(*g->reached - g->pos) >= 0;
}

#endif
