/*
 * What `ringtick feed` sends: a message of a table of etc/sym.q, made once with
 * holes, and filled with generated rows each time.
 *
 * Owns the bytes of a message.  Called by feed.c; no I/O.
 */
#ifndef RINGTICK_TOOLS_FEED_MESSAGE_H
#define RINGTICK_TOOLS_FEED_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FEED_COLUMNS_MAX = 6 };

/* What the items of a column are made of. */
enum feed_fill {
	FILL_TIME,
	FILL_SYMBOL,
	FILL_PRICE,
	FILL_ASK, /* above the price of the same row */
	FILL_LOT,
	FILL_SEQUENCE,
	FILL_COUNT
};

/* A table of etc/sym.q, without time. */
struct feed_table {
	const char *name;
	unsigned columns_cnt;
	enum feed_fill columns[FEED_COLUMNS_MAX - 1];
	const char *text;
};

/* One table's message: constant bytes, and where its items stand. */
struct feed_message {
	const struct feed_table *table;
	uint8_t *bytes;
	size_t len;
	unsigned columns_cnt; /* time included if it is sent */
	enum feed_fill columns[FEED_COLUMNS_MAX];
	size_t offs[FEED_COLUMNS_MAX];
	int64_t next_sequence;
};

/* NULL if there is none of that name. */
const struct feed_table *feed_table_find(const char *name, size_t len);

/* Bytes of a row. */
size_t feed_message_row_bytes(const struct feed_message *m);

/* Of a table that is set already: the columns, with time or without. */
void feed_message_choose(struct feed_message *m, bool is_stamped);

/* The constant bytes, for so many rows. 0 or -ENOMEM. */
int feed_message_make(struct feed_message *m, uint64_t rows);

/* New rows: what is in them depends on seed, their running numbers go on. */
void feed_message_fill(struct feed_message *m, uint64_t rows, uint64_t seed,
		       int64_t stamp_ns);

#endif
