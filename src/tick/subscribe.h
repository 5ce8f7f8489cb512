/*
 * Subscribing: .u.sub, .u.add and .u.del, with filters by symbol
 * (tick-contract.md 2.2 and 2.3).
 *
 * A filter that can never match, for its type, is refused when it is asked for;
 * tick.q lets it in, and then fails each update of the table.
 */
#ifndef RINGTICK_TICK_SUBSCRIBE_H
#define RINGTICK_TICK_SUBSCRIBE_H

#include "tick/call.h"

/* .u.sub[table;symbols]: in the place of what the client had of the table. */
const char *call_sub(void *context, const struct request_arg *args,
		     unsigned args_cnt, struct wire_writer *out);

/* .u.add[table;symbols]: these too. */
const char *call_add(void *context, const struct request_arg *args,
		     unsigned args_cnt, struct wire_writer *out);

/* .u.del[table;handle]: no more of it, for one's own handle. */
const char *call_del(void *context, const struct request_arg *args,
		     unsigned args_cnt, struct wire_writer *out);

/* .u.sub of one table, or of all where it is `. */
const char *subscribe_tables(struct call *c, const struct request_arg *table,
			     const struct request_arg *symbols,
			     struct wire_writer *out);

/* The same of each of a vector of tables: a list. */
const char *subscribe_each(struct call *c, const struct request_arg *tables,
			   const struct request_arg *symbols,
			   struct wire_writer *out);

/* The client selects nothing, until something subscribes. */
void subscribe_forget(struct call *c);

/* The end of a request: its selection becomes one that a stream can have, held
 * for the caller. */
void subscribe_finish(struct call *c);

/* Around a part of a request whose failure does not end it (q/eval.h). */
bool subscribe_begin_trap(void *context);
void subscribe_end_trap(void *context, bool has_failed);

/* What the request has made of the selection is void. */
void subscribe_undo(struct call *c);

#endif
