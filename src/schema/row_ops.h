/*
 * Rows of published messages: some rows of one message (of those that a
 * subscriber wants only some of), or those of many messages in one (batches).
 * Columns are read and written as the bytes that they are on the wire.
 *
 * Invariant: all columns given are good, as update_write made them: lists of
 * as many items as there are rows, of which there is at least one.  A column
 * of atoms that are all of one type is written as a vector, as q would have
 * it; any other as a general list.  Its attribute is dropped.
 * Called by: whoever fills streams.  Pure: no allocation, no pointer kept.
 */
#ifndef RINGTICK_SCHEMA_ROW_OPS_H
#define RINGTICK_SCHEMA_ROW_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/schema.h"

/* What follows a message's constant prefix; the same in frame and record. */
struct rows {
	const uint8_t *columns;
	size_t len;
	uint32_t cnt;
};

struct rows row_ops_of_columns(const uint8_t *columns, size_t len);

/* Of a frame that is no mark. */
struct rows row_ops_of_frame(const struct schema_table *t,
			     const uint8_t *frame);

/* ---- keys: what the sym column has in each row ---- */

struct rows_key {
	const uint8_t *at; /* the value; a symbol's has no NUL */
	size_t len;
	int8_t type; /* 1..19, of an atom; 0: no atom, and all of its object */
};

/* Moves through the sym column, row by row. */
struct rows_keys {
	const uint8_t *at, *end;
	uint32_t left_cnt;
	int8_t type; /* of the column; 0: each key has its own */
};

struct rows_keys row_ops_keys(const struct rows *from);

/* false behind the last row. */
bool row_ops_next_key(struct rows_keys *keys, struct rows_key *out);

/* ---- some rows of one message ---- */

/*
 * Bytes of the message that has only the rows picked[0..cnt-1] of `from`: row
 * numbers from 0, each above the one before, at least one.  Never more than
 * the whole message has.
 */
size_t row_ops_picked_len(const struct schema_table *t, const struct rows *from,
			  const uint32_t *picked, uint32_t cnt);

/* Writes it, not over `from`. Returns row_ops_picked_len, and writes no more.
 */
size_t row_ops_pick(const struct schema_table *t, const struct rows *from,
		    const uint32_t *picked, uint32_t cnt, uint8_t *at);

/* ---- the same in several goes ---- */

struct rows_picking {
	const struct schema_table *t;
	struct rows from;
	const uint32_t *picked;
	uint32_t cnt;
	uint8_t *base;
	uint64_t len; /* written so far; in the end, of the message */

	const uint8_t *at; /* what is read next */
	unsigned column;
	bool is_begun;	   /* its header is written */
	int8_t from_type, type; /* of the column, and what it becomes */
	uint32_t done;	   /* of the picked, in this column */
	uint32_t next;	   /* row at `at`, where widths differ */
	/* A general list becomes a vector, until an item is no such atom: then
	 * it is begun anew from here. */
	const uint8_t *first;
	uint64_t column_len; /* before the column */
};

/* What is given must stay until the end, and `at` has room for as much as the
 * whole message. */
void row_ops_pick_begin(struct rows_picking *p, const struct schema_table *t,
			const struct rows *from, const uint32_t *picked,
			uint32_t cnt, uint8_t *at);

/* Goes on for about so many rows of a column.  Whether all is written. */
bool row_ops_pick_some(struct rows_picking *p, uint32_t rows_max);

/* ---- the rows of many messages ---- */

struct rows_source {
	struct rows rows;
	const uint8_t *at; /* set and used by row_ops_merge */
};

/*
 * Writes the message that has all rows of the sources, in their order, not over
 * a source.  There is at least one source, and less than 2^31 rows.  The sym
 * column gets sym_attr, unless it is a general list.  Returns its length, which
 * is at most that of the sources' messages together.
 */
size_t row_ops_merge(const struct schema_table *t, struct rows_source *sources,
		     size_t cnt, uint8_t sym_attr, uint8_t *at);

#endif
