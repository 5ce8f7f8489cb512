/*
 * Which rows of a message the filters by symbol want, and the message that has
 * only these.
 *
 *   look    keys[row]: the number of the row's symbol, where anybody filters by
 *           it; and by whom it is wanted: once a message, for all streams
 *   pick    picked[]: those whose keys are in one selection's set
 *
 * A message here is the columns behind a table's prefix, in a frame or in a
 * record alike.
 *
 * Pure but for the mapping of memory.
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
	const struct symbols *known; /* these, or those of another filter */
	uint64_t *wanted_by; /* bits by stream: of the message looked at */

	/* the message looked at last */
	const struct schema_table *table;
	struct rows rows;
	uint32_t *keys;	  /* of each row, or SYMBOLS_NONE */
	uint32_t *picked; /* rows, ascending */
	uint32_t rows_max;
	uint64_t looks, picks; /* so far */
	struct rows_keys left; /* of a look in several goes, what is to do */
	uint32_t looked_cnt;   /* rows */
	struct rows_picking writing;
	size_t mapped_bytes;
};

/* For messages of up to message_max bytes. 0 or -ENOMEM. */
int filter_open(struct filter *f, uint32_t keys_max, uint32_t sets_max,
		uint32_t streams_max, size_t message_max, uint64_t seed);

/* One that looks at another message at the same time, with the symbols of `of`,
 * which must outlive it. */
int filter_open_beside(struct filter *f, const struct filter *of,
		       size_t message_max);

/* Accepts a zeroed or half-opened object. */
void filter_close(struct filter *f);

/* Bytes that filter_open would map, but for the symbols. */
uint64_t filter_memory(size_t message_max);

/* Looks at a checked message of a table; its bytes must stay until the last
 * pick. */
void filter_look(struct filter *f, const struct schema_table *table,
		 struct rows rows);

/* The same in several goes, of about so many rows each: whether it is whole. */
void filter_look_begin(struct filter *f, const struct schema_table *table,
		       struct rows rows);
bool filter_look_some(struct filter *f, uint32_t rows_max);

/* How many of its rows the set wants. */
uint32_t filter_pick(struct filter *f, const struct symbol_set *set);

/* Length of the frame with the `cnt` rows picked last (1 at least), and the
 * frame itself; it is no longer than the message. */
size_t filter_frame_len(const struct filter *f, uint32_t cnt);
size_t filter_frame_write(const struct filter *f, uint32_t cnt, uint8_t *at);

/* The same in several goes, as long as there is no other look or pick: whether
 * it is whole, and then its length. */
void filter_write_begin(struct filter *f, uint32_t cnt, uint8_t *at);
bool filter_write_some(struct filter *f, uint32_t rows_max, size_t *out_len);

#endif
