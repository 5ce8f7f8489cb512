/*
 * Requests about the tables and the process: tables[], a table's name, .z.*,
 * system"p", .u.w.  Rows of the names in dispatch.c; see call.h.
 */
#ifndef RINGTICK_TICK_INTROSPECT_H
#define RINGTICK_TICK_INTROSPECT_H

#include "schema/schema.h"
#include "tick/call.h"

/* Writes the names of all tables, as keys of a dictionary: these must not be
 * sorted, some clients could not read it (wire.md 3, type 127). */
void ask_put_names(const struct schema *schema, struct wire_writer *out);

/* tables[], tables`. */
const char *ask_tables(void *context, const struct request_arg *args,
		       unsigned args_cnt, struct wire_writer *out);

/* .u.d and .u.t */
const char *ask_day(void *context, const struct request_arg *args,
		    unsigned args_cnt, struct wire_writer *out);
const char *ask_names(void *context, const struct request_arg *args,
		      unsigned args_cnt, struct wire_writer *out);

/* system"p": the port.  The error of any other command is 'access. */
const char *ask_system(void *context, const struct request_arg *args,
		       unsigned args_cnt, struct wire_writer *out);

/* .ringtick.lag[]: the consumers, as a table. */
const char *ask_lag(void *context, const struct request_arg *args,
		    unsigned args_cnt, struct wire_writer *out);

/* .u.w: the subscribers of each table; .z.W: the bytes that wait for each
 * connection. */
const char *ask_subscribers(void *context, const struct request_arg *args,
			    unsigned args_cnt, struct wire_writer *out);
const char *ask_queues(void *context, const struct request_arg *args,
		       unsigned args_cnt, struct wire_writer *out);

/* Variables of .z: among them the time, in the day's zone (capital letter) and
 * in UTC. */
#define ASK_VARIABLES(X) \
	X(D)             \
	X(d) X(P) X(p) X(N) X(n) X(T) X(t) X(K) X(k) X(h) X(i) X(f) X(u) X(w)
#define ASK_DECLARE(letter)                                    \
	const char *ask_z_##letter(                            \
		void *context, const struct request_arg *args, \
		unsigned args_cnt, struct wire_writer *out);
ASK_VARIABLES(ASK_DECLARE)
#undef ASK_DECLARE

/* The row of a variable in a table of names. */
#define ASK_ROW(letter) { ".z." #letter, ask_z_##letter, -1 },

/* Writes the empty table of that name, as .u.sub gives it.  Writes nothing if
 * there is no such table. */
void ask_put_table(void *context, const char *name, size_t len,
		   struct wire_writer *out);

#endif
