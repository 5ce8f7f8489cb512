/*
 * The position of the journal for clients: .u.i, .u.j, .u.L and .u.l.
 * Functions of dispatch.c's table of names; see call.h.
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

/* Writes the count and file to be replayed before a subscription's stream: .u.i
 * and .u.L, or :: twice without a journal.  Returns NULL or an error. */
const char *position_put(struct call *c, struct wire_writer *out);

/*
 * The number of the day's visible records, which a subscriber has to replay;
 * later ones are in its stream, since a subscription takes effect at the end of
 * the visible part.
 */
uint64_t position_visible_records(const struct call *c);

/* Whether the journal does not move although visible records are missing in it,
 * so that it is unknown when they can be replayed. */
bool position_is_stuck(const struct call *c);

/* The number of visible records that a subscriber can be told to replay: those
 * in the file if position_is_stuck, else all. */
uint64_t position_promised_records(const struct call *c);

#endif
