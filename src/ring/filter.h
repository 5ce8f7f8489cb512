/*
 * Finds the rows of a message that the filters by symbol want, and writes the
 * message that has only these rows.
 *
 *   look   keys[row] = number of the row's symbol, if a stream filters by it,
 *          and the streams that want any row: once a message for all streams
 *   pick   picked[] = the rows whose keys are in one selection's set
 *
 * A message here is the columns after a table's prefix, in a frame or in a
 * record alike.
 *
 * Pure except for the mapping of memory.
 */
#ifndef RINGTICK_RING_FILTER_H
#define RINGTICK_RING_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ring/symbols.h"
#include "schema/row_ops.h"
#include "schema/schema.h"

struct filter {
	struct symbols symbols;
	const struct symbols *known; /* own, or those of another filter */
	uint64_t *wanted_by; /* by the message looked at: one bit per stream */

	/* The message looked at last: */
	const struct schema_table *table;
	struct rows rows;
	uint32_t *keys;	  /* by row; SYMBOLS_NONE if no stream filters by the
			     symbol */
	uint32_t *picked; /* row numbers, ascending */
	uint32_t rows_max;
	uint64_t looks, picks; /* number of calls so far */
	struct rows_keys left; /* of a look in pieces: the keys that are left */
	uint32_t looked_cnt;   /* rows that were looked at */
	struct rows_picking writing;
	size_t mapped_bytes;
};

/* Opens a filter for messages of up to message_max bytes; the other arguments
 * are symbols_open's.  Returns 0 or -ENOMEM; filter_close must follow in either
 * case. */
int filter_open(struct filter *f, uint32_t keys_max, uint32_t sets_max,
		uint32_t streams_max, size_t message_max, uint64_t seed);

/* Opens a filter that looks at another message at the same time, with the
 * symbols of `of`, which must outlive it.  Returns 0 or -ENOMEM. */
int filter_open_beside(struct filter *f, const struct filter *of,
		       size_t message_max);

/* Accepts a zeroed or half-opened object. */
void filter_close(struct filter *f);

/* Bytes that filter_open would map, without the symbols' memory. */
uint64_t filter_memory(size_t message_max);

/* Looks up the symbols of a checked message of a table; the rows must stay in
 * memory until the last pick and write. */
void filter_look(struct filter *f, const struct schema_table *table,
		 struct rows rows);

/* The same in pieces of about rows_max rows. filter_look_some returns true when
 * all rows are done. */
void filter_look_begin(struct filter *f, const struct schema_table *table,
		       struct rows rows);
bool filter_look_some(struct filter *f, uint32_t rows_max);

/* Picks the rows that the set wants, and returns their number. */
uint32_t filter_pick(struct filter *f, const struct symbol_set *set);

/* The length of the frame with the `cnt` rows picked last (at least 1), and the
 * frame itself, written at `at`; both return the length, at most the whole
 * message's. */
size_t filter_frame_len(const struct filter *f, uint32_t cnt);
size_t filter_frame_write(const struct filter *f, uint32_t cnt, uint8_t *at);

/* The same in pieces of about rows_max rows; there must be no other look or
 * pick meanwhile. filter_write_some returns true, and sets *out_len, when the
 * frame is whole. */
void filter_write_begin(struct filter *f, uint32_t cnt, uint8_t *at);
bool filter_write_some(struct filter *f, uint32_t rows_max, size_t *out_len);

#endif
