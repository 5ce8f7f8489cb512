/*
 * A request being evaluated: what the functions behind the names work on.
 * For the functions of dispatch.c's table.
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
	bool has_told_i;    /* .u.i was answered before anything subscribed, */
	bool has_promised_i; /* or after */
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

/* Too many or too few arguments. */
extern const char call_bad_rank[];

/* An error whose text is a name that was sent, byte for byte. */
const char *call_name_error(struct tick *t, const struct request_arg *symbol);

/* What has effects cannot be begun again: it has all of a request's time. */
bool call_is_too_brief(const struct call *c);

#endif
