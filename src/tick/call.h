/*
 * A request being evaluated: what the functions behind the names work on.
 * Private to tick.c, subscribe.c, subscribe_past.c, position.c, introspect.c.
 *
 * Functions return NULL with their value written, or the text of an error.
 */
#ifndef RINGTICK_TICK_CALL_H
#define RINGTICK_TICK_CALL_H

#include <stdbool.h>

#include "q/eval.h"
#include "tick/tick.h"

enum { CALL_TRAPS_MAX = 8 }; /* one in the other */

/* What a request had asked for before something that may fail. */
struct call_trap {
	struct tick_outcome out;
	bool is_subscribing;
	struct symbol_set *filters; /* a copy, held */
};

struct call {
	struct tick *tick;
	struct tick_client *client;
	struct tick_outcome *out;
	bool is_sync;
	bool is_subscribing;
	const uint8_t *frame; /* as it came, if that is asynchronous, plain and
				 little-endian; else NULL */
	bool is_matched;    /* an update recognised by its first bytes: */
	struct request_arg table, x;
	bool needs_rewrite; /* it turned out to have 8-byte counts */
	bool has_effects;   /* something is in the stream already */
	const char *cannot_stand; /* the error, where a reply has no place in
				     the client's stream; else NULL */
	bool has_told_lag;  /* once in a request */
	bool has_told_i;    /* .u.i was answered before anything subscribed */
	struct symbol_set *filters; /* the new selection's, being changed;
				       NULL: as out.selection has them */
	bool holds_selection; /* out.selection is finished */
	struct call_trap *traps; /* CALL_TRAPS_MAX, while it is evaluated */
	unsigned traps_cnt;
};

/*
 * The error for what has to wait, and why.  Another one, which the client is
 * told, once something is done, since handing the request in again would do the
 * first half of it twice; and for one that has waited for too long.
 */
const char *call_must_wait(struct call *c, enum wait_reason why);

/* An error whose text is a name that was sent, byte for byte. */
const char *call_name_error(struct tick *t, const struct request_arg *symbol);

/* .u.sub of one table, or of all where it is `. */
const char *call_subscribe(struct call *c, const struct request_arg *table,
			   const struct request_arg *symbols,
			   struct wire_writer *out);

/* The same of each of a vector of tables: a list. */
const char *call_subscribe_each(struct call *c,
				const struct request_arg *tables,
				const struct request_arg *symbols,
				struct wire_writer *out);

/* Writes what is to be replayed before the stream of a subscription: .u.i and
 * .u.L, or two times :: without a journal.  NULL or an error. */
const char *call_put_position(struct call *c, struct wire_writer *out);

/* The client selects nothing, until something subscribes. */
void call_forget_selection(struct call *c);

/*
 * The number of the day's records that are visible: what a subscriber has to
 * replay.  What comes after them is in its stream (design: a subscription takes
 * effect at the visible head).
 */
uint64_t call_visible_records(const struct call *c);

/* Where the journal does not move: how many of the visible records a subscriber
 * can replay all the same; else all of them. */
uint64_t call_promised_records(const struct call *c);

/*
 * Whether a subscription would have to wait for a journal that does not move:
 * then it begins behind what is written, as if it had asked for that (*out is
 * told so), or cannot be had now.  NULL or an error.
 */
const char *call_begin_written(struct call *c);

/* Between the end of a day and its next file numbers have no meaning. */
bool call_is_between_files(const struct call *c);

#endif
