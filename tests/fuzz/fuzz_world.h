/*
 * A running tick for fuzz_tick.c and fuzz_eval.c: two clients that read what
 * they subscribe to, and a reader of everything.  What is read, and what a
 * request leads to, is checked here.
 */
#ifndef RINGTICK_FUZZ_WORLD_H
#define RINGTICK_FUZZ_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tick/tick.h"

enum { RING_BYTES = 65536, MESSAGE_MAX = 16384, CLIENTS = 2 };

extern struct world {
	struct settings settings;
	struct streams streams;
	struct tick tick;
	struct history history;
	struct history_file file;
} *world;

extern struct counters counters;
extern struct journal_state journal;
extern uint8_t *reply, *long_reply;
extern int64_t utc_ns, now_ns;

/* Each client reads its own stream, a third one the main stream. */
extern struct client {
	struct cursor cursor;
	struct selection selection; /* kept */
} clients[CLIENTS];
extern struct cursor other;

void world_start(bool is_batched);

/* A batch becomes visible, if there are batches. */
void world_show(void);

/* Reads up to the head; every message is a whole frame. */
void world_read_all(struct cursor *c);

/* A request was handled: checks its reply, and makes the client what it asked
 * to be. */
void world_apply(struct client *c, const struct tick_outcome *out, bool is_sync,
		 const uint8_t *reply_at, size_t reply_max);

/* Ends: nothing is held any more. */
void world_stop(void);

#endif
