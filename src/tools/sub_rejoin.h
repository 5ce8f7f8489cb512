/*
 * The requests with which a subscriber of ringtickd begins in the past, or
 * continues after the records that it has when its connection broke
 * (doc/protocol.md).  Pure.
 *
 * Called by sub.c.  Tables are names of letters, digits and _, separated by
 * commas; symbols likewise, of any other bytes; "" means all.
 */
#ifndef RINGTICK_TOOLS_SUB_REJOIN_H
#define RINGTICK_TOOLS_SUB_REJOIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/wire.h"

enum { SUB_REJOIN_REQUEST_MAX = 16 << 10 }; /* bytes of each of the requests */

/* The subscriber's place: it has all messages of its tables before this record,
 * and ... */
struct sub_rejoin {
	int64_t epoch;
	int32_t day; /* since 2000.01.01 */
	uint64_t i;  /* number of a record of that day */
	uint64_t n;  /* ... this many messages from it on */
};

/*
 * Writes a request for a subscription and, in the same request, for the place
 * where it begins: at record `from` of the day, or (has_from false) now.  false
 * if tables are not names, or the request is too long.
 */
bool sub_rejoin_put_first(struct wire_writer *w, const char *tables,
			  const char *symbols, bool has_from, uint64_t from);

/*
 * Reads the reply, which wire_check_body accepted, and moves r to the value
 * that .u.sub replies.  false if the reply has another form.
 */
bool sub_rejoin_read_first(struct wire_reader *r, struct sub_rejoin *out);

/* Writes a request for the server's epoch; reads the reply in the same way. */
void sub_rejoin_put_epoch(struct wire_writer *w);
bool sub_rejoin_read_epoch(struct wire_reader *r, int64_t *out);

/* Writes a request for the messages after that place.  The names were accepted
 * by sub_rejoin_put_first. */
void sub_rejoin_put(struct wire_writer *w, const struct sub_rejoin *j,
		    const char *tables, const char *symbols);

/* Takes the next name: moves *at past it and the comma after it.  false if
 * there is no name left. */
bool sub_rejoin_next_name(const char **at, const char **out_name,
			  size_t *out_len);

/* Writes ` for "", otherwise a vector of the names between the commas. */
void sub_rejoin_put_names(struct wire_writer *w, const char *names);

/* The meaning of an error in the server's answer, as the end of a sentence. */
const char *sub_rejoin_explain(const char *error);

#endif
