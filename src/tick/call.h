/*
 * A request that is being evaluated: the context of the functions in
 * dispatch.c's table of names.
 *
 * These functions write their value and return NULL, or return the text of an
 * error.
 */
#ifndef RINGTICK_TICK_CALL_H
#define RINGTICK_TICK_CALL_H

#include <stdbool.h>

#include "q/eval.h"
#include "tick/tick.h"

enum { CALL_TRAPS_MAX = 8 }; /* nested */

/* The effects of a request before a part that may fail. */
struct call_trap {
	struct tick_outcome out;
	bool is_subscribing;
	struct symbol_set *filters; /* a copy, held; or NULL */
};

struct call {
	struct tick *tick;
	struct tick_client *client;
	struct tick_outcome *out;
	bool is_sync;
	bool is_subscribing;
	const uint8_t *frame; /* as received, if it is asynchronous, not
				 compressed and little-endian; else NULL */
	bool is_matched;      /* an update was recognised by its first bytes: */
	struct request_arg table, x;
	bool needs_rewrite; /* the update turned out to have 8-byte counts */
	bool has_effects;   /* an update or mark is in the stream already */
	const char *cannot_stand; /* the error, if the reply has no place in the
				     client's stream; else NULL */
	bool is_over_limit;	  /* a limit of the client's user, which the
				     operator should know of */
	bool has_told_lag;	  /* allowed once per request */
	bool has_told_i;	  /* .u.i was answered before a part subscribed,
				     ... */
	bool has_promised_i;	  /* ... or after */
	struct symbol_set *filters; /* filters of the new selection, while they
				       change; NULL: those of out.selection */
	bool holds_selection;	    /* out.selection is finished, and held */
	struct call_trap *traps;    /* CALL_TRAPS_MAX elements, during the
				       evaluation */
	unsigned traps_cnt;
};

/*
 * Returns the error for a request that has to wait for `why`.  It is an error
 * that the client is told if the request has had effects, since a second try
 * would repeat them, or if it has waited for too long.
 */
const char *call_must_wait(struct call *c, enum wait_reason why);

/* The error of a request that the client's user may not make: counted, and
 * logged even if the client is told. */
extern const char call_no_access[];
const char *call_refuse(const struct call *c);

/* Whether the client has this right (enum right). */
bool call_may(const struct call *c, unsigned right);

/* Whether the client's user may know where the journal is, and how many records
 * it has: to replay it, or by the right to ask. */
bool call_may_follow(const struct call *c);

/* The error for too many or too few arguments. */
extern const char call_bad_rank[];

/* An error whose text is the name that was sent, byte for byte, cut to
 * REQUEST_ERROR_MAX; valid until the next error. */
const char *call_name_error(struct tick *t, const struct request_arg *symbol);

/* Whether the request is on a brief budget (tick_client.is_brief) and could be
 * begun again.  With effects it cannot, and may use all of a request's time. */
bool call_is_too_brief(const struct call *c);

#endif
