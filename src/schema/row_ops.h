/*
 * Rows of published messages: picks some rows of one message (for a subscriber
 * to some symbols), or merges the rows of many messages into one (batches).
 * Columns are read and written in their form on the wire.
 *
 * Invariant: all columns given are good, as update_write made them: lists with
 * one item for each row, and at least one row.  A column of atoms that are all
 * of one type is written as a vector, as in q; any other as a general list.
 * Attributes are dropped.
 * Called by: everything that fills streams.  Pure: no allocation, no pointer
 * kept but those in rows_keys and rows_picking.
 */
#ifndef RINGTICK_SCHEMA_ROW_OPS_H
#define RINGTICK_SCHEMA_ROW_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/schema.h"

/* The columns of a message, one after the other: the bytes after its constant
 * prefix, the same in frame and record. */
struct rows {
	const uint8_t *columns;
	size_t len;   /* of all columns, in bytes */
	uint32_t cnt; /* of rows */
};

struct rows row_ops_of_columns(const uint8_t *columns, size_t len);

/* The rows of a frame that is not a mark. */
struct rows row_ops_of_frame(const struct schema_table *t,
			     const uint8_t *frame);

/* ---- keys: the sym column's item in each row ---- */

struct rows_key {
	const uint8_t *at; /* in the message */
	size_t len;	   /* without the NUL of a symbol */
	int8_t type; /* 1..19: `at` is the atom's value; 0: a whole object that
			is not an atom */
};

/* Moves through the sym column, row by row. */
struct rows_keys {
	const uint8_t *at, *end;
	uint32_t left_cnt;
	int8_t type; /* of the column; 0: each key has its own */
};

/* At the first row; the message must stay. */
struct rows_keys row_ops_keys(const struct rows *from);

/* Reads the next key.  false after the last row; *out is then not set. */
bool row_ops_next_key(struct rows_keys *keys, struct rows_key *out);

/* ---- some rows of one message ---- */

/*
 * The length of the message that has only the rows picked[0..cnt-1] of `from`:
 * at least one row number, from 0, in rising order without repeats.  Never more
 * than the length of the whole message.
 */
size_t row_ops_picked_len(const struct schema_table *t, const struct rows *from,
			  const uint32_t *picked, uint32_t cnt);

/* Writes that message, row_ops_picked_len bytes, and returns its length.  `at`
 * must not overlap `from`. */
size_t row_ops_pick(const struct schema_table *t, const struct rows *from,
		    const uint32_t *picked, uint32_t cnt, uint8_t *at);

/* ---- the same in several steps ---- */

struct rows_picking {
	const struct schema_table *t;
	struct rows from;
	const uint32_t *picked;
	uint32_t cnt;
	uint8_t *base;
	uint64_t len; /* bytes written so far; in the end, of the message */

	const uint8_t *at;	/* where reading continues */
	unsigned column;	/* the one being written */
	bool is_begun;		/* the header of the column is written */
	int8_t from_type, type; /* of the column in `from`, and as written */
	uint32_t done;		/* picked rows written in this column */
	uint32_t next;		/* the row at `at`, if items differ in width */
	/* The first picked item of a general list.  The list is written as a
	 * vector until an item does not fit it, and then again from here. */
	const uint8_t *first;
	uint64_t column_len; /* len before this column */
};

/* Starts p.  t, the message and `picked` must stay until all is written, and
 * `at` must have room for the length of the whole message. */
void row_ops_pick_begin(struct rows_picking *p, const struct schema_table *t,
			const struct rows *from, const uint32_t *picked,
			uint32_t cnt, uint8_t *at);

/* Writes about rows_max items.  Returns whether the message is complete; p->len
 * is then its length. */
bool row_ops_pick_some(struct rows_picking *p, uint32_t rows_max);

/* ---- the rows of many messages ---- */

struct rows_source {
	struct rows rows;
	const uint8_t *at; /* set and used by row_ops_merge */
};

/*
 * Writes the message that has all rows of the sources, in their order.  There
 * must be at least one source and less than 2^31 rows; `at` must not overlap a
 * source.  The sym column gets sym_attr (KA_*), unless it is a general list.
 * Returns the length of the message, at most that of the sources' messages
 * together.
 */
size_t row_ops_merge(const struct schema_table *t, struct rows_source *sources,
		     size_t cnt, uint8_t sym_attr, uint8_t *at);

#endif
