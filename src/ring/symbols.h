/*
 * The symbols that subscribers filter by: each pair of table and symbol is a
 * key with a number, and a filter is a set of such numbers.
 *
 *   key     (trade; IBM) -> 17          who wants it: a bit for each stream
 *   set     {3, 17, 204}                of one selection; equal sets are one
 *
 * An update's symbols are looked up once, whoever wants them; what they are
 * wanted by comes out of the keys' bits.
 *
 * A symbol is the bytes of one item of the table's sym column: of a column of
 * symbols without the NUL, of other types the item as it is on the wire.
 *
 * Invariant: memory is what symbols_open reserved; a key lives as long as a set
 * has it, a set as long as it is held.  Pure but for the mapping of memory.
 */
#ifndef RINGTICK_RING_SYMBOLS_H
#define RINGTICK_RING_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"
#include "schema/schema.h"

enum {
	SYMBOL_BYTES_MAX = 234, /* of a symbol to filter by */
	SYMBOLS_NONE = UINT32_MAX,
};

struct symbol_set {
	uint32_t holders; /* 0: free */
	uint32_t cnt;	  /* keys */
	uint64_t hash;	  /* of what it has */
	uint64_t tables[SCHEMA_TABLES_MAX / 64]; /* that it filters; others are
						    wanted whole, or not */
	uint64_t *bits; /* by key */
};

struct symbol_key;

struct symbols {
	struct symbol_key *keys;
	uint32_t keys_max;
	uint32_t keys_cnt; /* in use */
	uint32_t fresh_key; /* from here on none was ever used */
	uint32_t free_key; /* first of the others that are free */
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

/* Reserves memory for so many; it is taken when used.  Who does not know the
 * seed cannot choose symbols that are slow to find.  0 or -ENOMEM. */
int symbols_open(struct symbols *s, uint32_t keys_max, uint32_t sets_max,
		 uint32_t streams_max, uint64_t seed);

/* A seed that nobody knows: random, where the kernel gives that. */
uint64_t symbols_draw_seed(void);

/* Accepts a zeroed or half-opened object. */
void symbols_close(struct symbols *s);

/* Bytes that symbols_open would reserve. */
uint64_t symbols_memory(uint32_t keys_max, uint32_t sets_max,
			uint32_t streams_max);

/* The number of a key; SYMBOLS_NONE if nobody filters by it. */
uint32_t symbols_find(const struct symbols *s, unsigned table_idx,
		      const uint8_t *symbol, size_t len);

/* Where it is looked for: not for callers, but to be tested. */
uint32_t symbols_hash(const struct symbols *s, unsigned table_idx,
		      const uint8_t *symbol, size_t len);

/* ---- sets ---- */

/* A copy of a set (NULL: an empty one) to be changed, held by the caller.
 * NULL if there are too many. */
struct symbol_set *symbols_begin(struct symbols *s,
				 const struct symbol_set *from);

/* The table is wanted whole, or not at all. */
void symbols_forget(struct symbols *s, struct symbol_set *set,
		    unsigned table_idx);

/* The table is filtered; without symbols, nothing of it is wanted. */
void symbols_filter(struct symbol_set *set, unsigned table_idx);

/* Adds a symbol of a table that is filtered. -E2BIG (longer than
 * SYMBOL_BYTES_MAX) or -ENOSPC (keys_max). */
int symbols_add(struct symbols *s, struct symbol_set *set, unsigned table_idx,
		const uint8_t *symbol, size_t len);

/* The end of changing it: the set that is equal and was there before, if there
 * is one; NULL if it filters nothing.  The caller's hold moves to it. */
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

/* The next key of a table in a set, from *at on (0 to begin); false: no more.
 * In the order of their numbers. */
bool symbols_next(const struct symbols *s, const struct symbol_set *set,
		  unsigned table_idx, uint32_t *at, const uint8_t **out_symbol,
		  size_t *out_len);

/* ---- streams ---- */

/* Every key of the set is wanted by this stream from now on, or no longer. */
void symbols_want(struct symbols *s, const struct symbol_set *set,
		  unsigned stream_idx, bool is_wanted);

/* Who wants a key: bits by stream, stream_words of them. */
static inline const uint64_t *
symbols_wanted_by(const struct symbols *s, uint32_t key)
{
	return s->stream_bits + key * s->stream_words;
}

#endif
