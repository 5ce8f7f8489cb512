/*
 * What the two halves of a consumer share: consumer.c (parts and streams) and
 * consumer_journal.c (the journal instead).
 */
#ifndef RINGTICK_CLIENT_CONSUMER_PRIVATE_H
#define RINGTICK_CLIENT_CONSUMER_PRIVATE_H

#include "client/consumer.h"

static inline struct symbols *
consumer_symbols(const struct consumer *c)
{
	return &c->streams->filter.symbols;
}

/* The one way from a state to another. */
void consumer_move(struct consumer *c, enum consumer_state to);

/* The next len bytes of `here` become the rest, in a pool buffer if they do not
 * fit into the consumer's own. */
void consumer_keep_rest(struct consumer *c, size_t len, uint8_t *buffer);

/* The same from the journal, at a place before them. */
void consumer_read_rest(struct consumer *c, size_t len,
			const struct history_place *place);

/* The rest that was read is sent. */
void consumer_end_read(struct consumer *c);

/* Whether the rest of a frame comes first. */
static inline bool
consumer_has_rest(const struct consumer *c)
{
	return c->rest != NULL || c->state == CONSUMER_REST;
}

/* Ends the reply's part once everything before it and itself is sent. */
void consumer_step(struct consumer *c);

/* Whether there is something to be told now. */
bool consumer_may_notice(const struct consumer *c);

/* Whether a cursor's part has no end: `here` ends at the limit where something
 * else comes behind the reply. */
bool consumer_is_open(const struct consumer *c, const struct cursor *cursor);

/* What a cursor lacks; but of the records only those that its stream lacks
 * too. */
struct stream_total consumer_lack_of(const struct consumer *c,
				     const struct cursor *cursor);

/* The records that a cursor lacks; raises *age_ns to the oldest one's. */
uint64_t consumer_lack_of_records(const struct consumer *c,
				  const struct cursor *cursor, int64_t now_ns,
				  int64_t *age_ns);

#endif
