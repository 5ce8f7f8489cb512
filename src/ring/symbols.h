/*
 * The symbols that subscribers filter by: each pair of table and symbol is a
 * numbered key, and a filter is a set of keys.
 *
 *   key     (trade; IBM) -> 17          who wants it: a bit for each stream
 *   set     {3, 17, 204}                of one selection; equal sets are one
 *
 * An update's symbols are looked up once for all streams; the bits of the keys
 * tell which streams want them.
 *
 * A symbol is the bytes of one item of the table's sym column: a symbol without
 * its NUL, an item of any other type as it is on the wire.
 *
 * Invariant: a key lives as long as a set contains it, a set as long as it is
 * held.  No memory is allocated after symbols_open.  Pure except for the
 * mapping of memory.
 */
#ifndef RINGTICK_RING_SYMBOLS_H
#define RINGTICK_RING_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"
#include "schema/schema.h"

enum {
	SYMBOL_BYTES_MAX = 234, /* longest symbol that can be filtered by */
	SYMBOLS_NONE = UINT32_MAX,
};

struct symbol_set {
	uint32_t holders; /* 0: free */
	uint32_t cnt;	  /* keys */
	uint64_t hash;	  /* of its keys */
	uint64_t tables[SCHEMA_TABLES_MAX / 64]; /* tables that are filtered;
						    other tables are wanted
						    whole or not at all */
	uint64_t *bits; /* by key */
};

struct symbol_key {
	uint32_t hash;
	uint32_t next; /* next key in the bucket, or in the list of free keys */
	uint32_t sets; /* number of sets that contain it; 0: free */
	uint16_t table_idx;
	uint16_t len;
	uint8_t text[SYMBOL_BYTES_MAX + 6];
};

struct symbols {
	struct symbol_key *keys;
	uint32_t keys_max;
	uint32_t keys_cnt; /* in use */
	uint32_t fresh_key; /* keys from this one on have never been used */
	uint32_t free_key;  /* first of the list of freed keys */
	uint32_t *buckets;
	uint32_t buckets_mask;
	uint64_t secret; /* of the hash */
	struct symbol_set *sets;
	uint32_t sets_max;
	uint64_t *set_bits;    /* keys_max bits of each set */
	size_t set_words;
	uint64_t *stream_bits; /* streams_max bits of each key */
	size_t stream_words;
	size_t mapped_bytes;
};

/* Reserves address space for keys_max keys, sets_max sets and streams_max
 * streams; memory is used on first touch.  A peer that does not know the seed
 * cannot choose symbols that are slow to find.  Returns 0 or -ENOMEM. */
int symbols_open(struct symbols *s, uint32_t keys_max, uint32_t sets_max,
		 uint32_t streams_max, uint64_t seed);

/* A secret seed: random, if the kernel provides randomness. */
uint64_t symbols_draw_seed(void);

/* Accepts a zeroed or half-opened object. */
void symbols_close(struct symbols *s);

/* Bytes of address space that symbols_open would reserve. */
uint64_t symbols_memory(uint32_t keys_max, uint32_t sets_max,
			uint32_t streams_max);

/* The number of a key; SYMBOLS_NONE if no set contains it. */
uint32_t symbols_find(const struct symbols *s, unsigned table_idx,
		      const uint8_t *symbol, size_t len);

/* ---- sets ---- */

/* Starts a change: a copy of `from` (NULL: an empty set), held by the caller.
 * NULL if sets_max sets are in use. */
struct symbol_set *symbols_begin(struct symbols *s,
				 const struct symbol_set *from);

/* Removes the table's filter and its symbols: the table is wanted whole, or not
 * at all. */
void symbols_forget(struct symbols *s, struct symbol_set *set,
		    unsigned table_idx);

/* Makes the table filtered; as long as no symbol is added, none of its rows are
 * wanted. */
void symbols_filter(struct symbol_set *set, unsigned table_idx);

/* Adds a symbol of a filtered table.  Returns 0, -E2BIG (longer than
 * SYMBOL_BYTES_MAX) or -ENOSPC (keys_max keys are in use). */
int symbols_add(struct symbols *s, struct symbol_set *set, unsigned table_idx,
		const uint8_t *symbol, size_t len);

/* Ends a change: returns the equal set that existed before, if any, else `set`;
 * NULL if it filters no table.  The caller's hold moves to the returned set. */
struct symbol_set *symbols_finish(struct symbols *s, struct symbol_set *set);

/* Both accept NULL. */
void symbols_hold(struct symbol_set *set);
void symbols_release(struct symbols *s, struct symbol_set *set);

static inline bool
symbols_is_filtered(const struct symbol_set *set, unsigned table_idx)
{
	return bits_has(set->tables, table_idx);
}

static inline bool
symbols_has(const struct symbol_set *set, uint32_t key)
{
	return key != SYMBOLS_NONE && bits_has(set->bits, key);
}

/* Finds the table's next key in a set, from number *at on (0 to begin), in
 * ascending order, and moves *at past it; false if there is no more.
 * *out_symbol points into *s, and is valid as long as a set has the key. */
bool symbols_next(const struct symbols *s, const struct symbol_set *set,
		  unsigned table_idx, uint32_t *at, const uint8_t **out_symbol,
		  size_t *out_len);

/* ---- streams ---- */

/* Notes that the stream wants every key of the set, or no longer does. */
void symbols_want(struct symbols *s, const struct symbol_set *set,
		  unsigned stream_idx, bool is_wanted);

/* The streams that want a key: stream_words words, one bit per stream. */
static inline const uint64_t *
symbols_wanted_by(const struct symbols *s, uint32_t key)
{
	return s->stream_bits + key * s->stream_words;
}

#endif
