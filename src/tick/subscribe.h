/*
 * Subscribing: .u.sub, .u.add and .u.del, with filters by symbol
 * (tick-contract.md 2.2 and 2.3).
 *
 * A filter whose type can never match is refused; tick.q accepts it, and then
 * fails at each update of the table.
 */
#ifndef RINGTICK_TICK_SUBSCRIBE_H
#define RINGTICK_TICK_SUBSCRIBE_H

#include "tick/call.h"

/* .u.sub[table;symbols]: replaces the client's selection of the table. */
const char *call_sub(void *context, const struct request_arg *args,
		     unsigned args_cnt, struct wire_writer *out);

/* .u.add[table;symbols]: adds to the client's selection of the table. */
const char *call_add(void *context, const struct request_arg *args,
		     unsigned args_cnt, struct wire_writer *out);

/* .u.del[table;handle]: removes the table from the selection; only for the
 * client's own handle. */
const char *call_del(void *context, const struct request_arg *args,
		     unsigned args_cnt, struct wire_writer *out);

/* .u.sub of one table, or of all tables if it is `.  Returns NULL or an
 * error. */
const char *subscribe_tables(struct call *c, const struct request_arg *table,
			     const struct request_arg *symbols,
			     struct wire_writer *out);

/* The same for each table of a vector; writes a list. */
const char *subscribe_each(struct call *c, const struct request_arg *tables,
			   const struct request_arg *symbols,
			   struct wire_writer *out);

/* Empties the selection, until a part of the request subscribes. */
void subscribe_forget(struct call *c);

/* Ends the changes to the selection, which then is one that a stream can have,
 * and is held for the caller. */
void subscribe_finish(struct call *c);

/* Enclose a part of a request whose failure does not end the request
 * (q/eval.h).  subscribe_begin_trap returns false if there are too many. */
bool subscribe_begin_trap(void *context);
void subscribe_end_trap(void *context, bool has_failed);

/* Undoes the request's changes to the selection. */
void subscribe_undo(struct call *c);

#endif
