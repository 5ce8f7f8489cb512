/*
 * Shared by consumer.c (parts and streams), consumer_journal.c (the journal
 * instead) and consumer_skip.c (neither: messages are left out).  Each calls
 * those before it.
 */
#ifndef RINGTICK_CLIENT_CONSUMER_PRIVATE_H
#define RINGTICK_CLIENT_CONSUMER_PRIVATE_H

#include "client/consumer.h"

static inline struct symbols *
consumer_symbols(const struct consumer *c)
{
	return &c->streams->filter.symbols;
}

/* The only way from one state to another. */
void consumer_move(struct consumer *c, enum consumer_state to);

/* The end of the part of `here` that may be sent now. */
uint64_t consumer_end_pos(const struct consumer *c);

/* Copies the next len bytes of `here` to the rest: to `buffer`, a pool buffer,
 * or, if it is NULL, to the consumer's own. */
void consumer_keep_rest(struct consumer *c, size_t len, uint8_t *buffer);

/* The same, but the bytes are read from the journal, from a place at or before
 * them. */
void consumer_read_rest(struct consumer *c, size_t len,
			const struct history_place *place);

/* Whether the rest of a frame has to be sent first. */
static inline bool
consumer_has_rest(const struct consumer *c)
{
	return c->rest != NULL || c->state == CONSUMER_REST;
}

/* Ends the reply's part, if it and everything before it is sent. */
void consumer_step(struct consumer *c);

/* Whether a notice may be sent now. */
bool consumer_may_notice(const struct consumer *c);

/* Whether a cursor's part is unlimited: `here` ends at the limit if another
 * part follows the reply. */
bool consumer_is_open(const struct consumer *c, const struct cursor *cursor);

/* The total that a cursor lacks; its records are only those that its stream
 * lacks too. */
struct stream_total consumer_lack_of(const struct consumer *c,
				     const struct cursor *cursor);

/* The number of records that a cursor lacks; raises *age_ns to the age of the
 * oldest. */
uint64_t consumer_lack_of_records(const struct consumer *c,
				  const struct cursor *cursor, int64_t now_ns,
				  int64_t *age_ns);

#endif
