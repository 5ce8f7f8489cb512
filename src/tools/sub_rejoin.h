/*
 * How a subscriber of ringtickd begins in the past, and goes on behind what it
 * has when its connection broke: the requests, and what is told in them
 * (doc/protocol.md).  Pure.
 *
 * Called by sub.c.  Tables are names with commas between them, of letters,
 * digits and _; symbols likewise, of any bytes; "" is all of them.
 */
#ifndef RINGTICK_TOOLS_SUB_REJOIN_H
#define RINGTICK_TOOLS_SUB_REJOIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/wire.h"

enum { SUB_REJOIN_REQUEST_MAX = 16 << 10 }; /* bytes of each of the requests */

/* What the subscriber has: all of its tables' messages up to ... */
struct sub_rejoin {
	int64_t epoch;
	int32_t day; /* since 2000.01.01 */
	uint64_t i;  /* a record of that day, and then ... */
	uint64_t n;  /* ... so many messages */
};

/*
 * Asks for a subscription and, in the same request, for where it begins: at
 * record `from` of the day, or (has_from false) with what comes now.  false if
 * the names are none, or too long.
 */
bool sub_rejoin_put_first(struct wire_writer *w, const char *tables,
			  const char *symbols, bool has_from, uint64_t from);

/*
 * The reply to it, which wire_check_body accepted: moves r to the value that
 * .u.sub replies.  false if it is something else.
 */
bool sub_rejoin_read_first(struct wire_reader *r, struct sub_rejoin *out);

/* Asks for the server's epoch, and reads the reply in the same way. */
void sub_rejoin_put_epoch(struct wire_writer *w);
bool sub_rejoin_read_epoch(struct wire_reader *r, int64_t *out);

/* Asks for what comes behind that.  The names passed sub_rejoin_put_first. */
void sub_rejoin_put(struct wire_writer *w, const struct sub_rejoin *j,
		    const char *tables, const char *symbols);

/* Moves *at behind the next name, and the comma behind that; false if there is
 * none. */
bool sub_rejoin_next_name(const char **at, const char **out_name,
			  size_t *out_len);

/* ` for "", else a vector of what stands between the commas. */
void sub_rejoin_put_names(struct wire_writer *w, const char *names);

/* What an error that the server answers means, as a sentence's end. */
const char *sub_rejoin_explain(const char *error);

#endif
