/*
 * The messages of `ringtick feed`: an update of a table of etc/sym.q, made once
 * with gaps for its items, and filled with generated rows each time.
 *
 * The caller frees `bytes` of a message.  Called by feed.c; no I/O.
 */
#ifndef RINGTICK_TOOLS_FEED_MESSAGE_H
#define RINGTICK_TOOLS_FEED_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FEED_COLUMNS_MAX = 6 };

/* How the items of a column are generated. */
enum feed_fill {
	FILL_TIME,
	FILL_SYMBOL,
	FILL_PRICE,
	FILL_ASK, /* above the price of the same row */
	FILL_LOT,
	FILL_SEQUENCE,
	FILL_COUNT
};

/* A table of etc/sym.q, without the column time. */
struct feed_table {
	const char *name;
	unsigned columns_cnt;
	enum feed_fill columns[FEED_COLUMNS_MAX - 1];
	const char *text;
};

/* One table's message: constant bytes, and the offsets of its items. */
struct feed_message {
	const struct feed_table *table;
	uint8_t *bytes;
	size_t len;
	unsigned columns_cnt; /* time included if it is sent */
	enum feed_fill columns[FEED_COLUMNS_MAX];
	size_t offs[FEED_COLUMNS_MAX];
	int64_t next_sequence;
};

/* NULL if there is no such table. */
const struct feed_table *feed_table_find(const char *name, size_t len);

/* Bytes of one row in the message. */
size_t feed_message_row_bytes(const struct feed_message *m);

/* Sets the columns of m->table, with the column time if is_stamped. */
void feed_message_choose(struct feed_message *m, bool is_stamped);

/* Allocates the bytes and writes the constant ones, for `rows` rows.  0 or
 * -ENOMEM. */
int feed_message_make(struct feed_message *m, uint64_t rows);

/* Writes new rows: seed decides the values, the running numbers continue.
 * stamp_ns is since midnight. */
void feed_message_fill(struct feed_message *m, uint64_t rows, uint64_t seed,
		       int64_t stamp_ns);

#endif
