/*
 * How far the journal is, as clients ask for it: .u.i, .u.j, .u.L and .u.l.
 * Rows of the names in dispatch.c; see call.h.
 */
#ifndef RINGTICK_TICK_POSITION_H
#define RINGTICK_TICK_POSITION_H

#include "tick/call.h"

const char *position_i(void *context, const struct request_arg *args,
		       unsigned args_cnt, struct wire_writer *out);
const char *position_j(void *context, const struct request_arg *args,
		       unsigned args_cnt, struct wire_writer *out);
const char *position_L(void *context, const struct request_arg *args,
		       unsigned args_cnt, struct wire_writer *out);
const char *position_l(void *context, const struct request_arg *args,
		       unsigned args_cnt, struct wire_writer *out);

/* What is to be replayed before the stream of a subscription: .u.i and .u.L, or
 * two times :: without a journal.  NULL or an error. */
const char *position_put(struct call *c, struct wire_writer *out);

/*
 * The number of the day's records that are visible: what a subscriber has to
 * replay.  What comes after them is in its stream (design: a subscription takes
 * effect at the visible head).
 */
uint64_t position_visible_records(const struct call *c);

/* Whether the journal does not move, and there are visible records of which
 * nobody knows when they can be replayed. */
bool position_is_stuck(const struct call *c);

/* How many of the visible records a subscriber can replay all the same; else
 * all of them. */
uint64_t position_promised_records(const struct call *c);

/* Between the end of a day and its next file numbers have no meaning. */
bool position_is_between_files(const struct call *c);

#endif
