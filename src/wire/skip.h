/*
 * Finds the end of an object.  wire_skip (wire.h) applies all rules; the
 * functions here cost less:
 *
 *   skip_atom etc.   for the usual items of a message from outside.  Each
 *		      returns the end of the item, or NULL for another item, an
 *		      incomplete or a malformed one; wire_skip then tells which.
 *		      wire_skip accepts each item that they accept, with the
 *		      same end
 *   skip_checked     for objects that were checked before
 *   skip_by_lengths  for bytes that wire_skip may refuse
 *
 * Knows types, not tables.  Pure; keeps no pointer.
 */
#ifndef RINGTICK_WIRE_SKIP_H
#define RINGTICK_WIRE_SKIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/wire.h"

/* ---- the symbols of a vector ---- */

/* The end of cnt symbols, cnt > 1; NULL if fewer end before `end`. */
const uint8_t *skip_many_symbols(const uint8_t *at, const uint8_t *end,
				 uint64_t cnt);

/* The same for any cnt. */
static inline const uint8_t *
skip_symbols(const uint8_t *at, const uint8_t *end, uint64_t cnt)
{
	if (cnt <= 1)
		return cnt == 0 ? at : wire_symbol_end(at, end);
	return skip_many_symbols(at, end, cnt);
}

/* ---- bytes from outside ---- */

/* An atom of that type (0..19).  NULL also for the types whose values have to
 * be checked, and for 0. */
static inline const uint8_t *
skip_atom(int type, const uint8_t *at, const uint8_t *end)
{
	size_t width = wire_widths[type].any;

	if (at == end || type == KT_LIST || (int8_t)*at != -type)
		return NULL;
	if (type == KT_SYMBOL)
		return wire_symbol_end(at + 1, end);
	if (width == 0 || (size_t)(end - at) < 1 + width)
		return NULL;
	return at + 1 + width;
}

/* The length of an atom, type byte included; 0 if the type is not that of an
 * atom of fixed width. */
static inline size_t
skip_atom_bytes(uint8_t type)
{
	size_t bytes = wire_item_bytes(type);

	return type < 0x80 || bytes == 0 ? 0 : 1 + bytes;
}

/* Whether the 8 bytes at `at` are four good atoms of one type.  *at must be the
 * type of an atom of two bytes; all 8 must be readable. */
static inline bool
skip_are_four_atoms(const uint8_t *at)
{
	const uint64_t types = 0x00ff00ff00ff00ffu;
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	word = le64toh(word);
	if ((word & types) != *at * UINT64_C(0x0001000100010001))
		return false;
	return (int8_t)*at != -KT_BOOLEAN || (word & 0xfe00fe00fe00fe00u) == 0;
}

/* Moves *at past the header of a vector or list of that type.  If the header is
 * another one or incomplete, returns false and does not move. */
static inline bool
skip_header(int type, const uint8_t **at, const uint8_t *end, uint32_t *out_cnt)
{
	if (end - *at < WIRE_LIST_HEADER_BYTES || (int8_t)(*at)[0] != type ||
	    (*at)[1] > KA_GROUPED)
		return false;
	*out_cnt = wire_load_u32(*at + 2);
	*at += WIRE_LIST_HEADER_BYTES;
	return true;
}

/* cnt char vectors, one after the other. */
static inline const uint8_t *
skip_strings(const uint8_t *at, const uint8_t *end, uint64_t cnt)
{
	uint32_t len;

	for (uint64_t i = 0; i < cnt; i++) {
		if (!skip_header(KT_CHAR, &at, end, &len) ||
		    len > (size_t)(end - at))
			return NULL;
		at += len;
	}
	return at;
}

/* A vector of `rows` items of that type, or a list of as many strings. */
static inline const uint8_t *
skip_column(int type, bool is_strings, const uint8_t *at, const uint8_t *end,
	    uint64_t rows)
{
	size_t width = wire_widths[type].any;
	uint32_t cnt;

	if (!skip_header(type, &at, end, &cnt) || cnt != rows)
		return NULL;
	if (is_strings)
		return skip_strings(at, end, rows);
	if (type == KT_SYMBOL)
		return skip_symbols(at, end, rows);
	if (width == 0 || rows > (size_t)(end - at) / width)
		return NULL;
	return at + rows * width;
}

/* A general list of atoms and vectors of any types.  Takes a small part of the
 * time of wire_skip: a journal is counted in millions of small records. */
const uint8_t *skip_columns(const uint8_t *at, const uint8_t *end);

/* ---- bytes that were checked ---- */

/* cnt (may be 0) items of a vector of that type. */
static inline const uint8_t *
skip_checked_items(int type, const uint8_t *at, const uint8_t *end,
		   uint64_t cnt)
{
	return type == KT_SYMBOL ? skip_symbols(at, end, cnt)
				 : at + wire_item_bytes(type) * cnt;
}

const uint8_t *skip_checked_nested(const uint8_t *at, const uint8_t *end);

/* Any object.  The bytes from it up to `end` must be readable. */
static inline const uint8_t *
skip_checked(const uint8_t *at, const uint8_t *end)
{
	int type = (int8_t)*at;

	if (wire_is_atom(type))
		return skip_checked_items(-type, at + 1, end, 1);
	if (wire_is_list(type) && type != KT_LIST)
		return skip_checked_items(type, at + WIRE_LIST_HEADER_BYTES,
					  end, wire_load_u32(at + 2));
	return skip_checked_nested(at, end);
}

/* ---- by lengths alone ---- */

enum skip_result {
	SKIP_WHOLE,
	SKIP_SHORT,   /* the object's counts reach past the end */
	SKIP_UNKNOWN, /* the object's length cannot be told */
};

/*
 * An object without the objects inside it, as its first bytes tell: `header`
 * bytes, then `bytes` bytes, `symbols` symbols and `objects` objects.
 */
struct skip_shell {
	size_t header;
	uint64_t bytes;
	uint64_t symbols;
	uint64_t objects;
};

enum {
	SKIP_CLAIM_MAX = INT32_MAX, /* bytes of the longest message (wire.md
				       section 1) */
	SKIP_HEADER_MAX = WIRE_LIST_HEADER_BYTES + 4,
};

static inline enum skip_result
skip_read_list(const uint8_t *at, size_t avail, bool is_big_endian,
	       struct skip_shell *out)
{
	bool is_long = avail >= 2 && (at[1] & WIRE_LONG_COUNT) != 0;
	uint64_t count;

	out->header = WIRE_LIST_HEADER_BYTES + (is_long ? 4 : 0);
	if (avail < out->header)
		return SKIP_SHORT;
	count = is_long ? wire_decode_u64(at + 2, is_big_endian)
			: wire_decode_u32(at + 2, is_big_endian);
	if (count > SKIP_CLAIM_MAX)
		return SKIP_UNKNOWN;
	if (*at == KT_LIST)
		out->objects = count;
	else if (*at == KT_SYMBOL)
		out->symbols = count;
	else
		out->bytes = count * wire_item_bytes(*at);
	return SKIP_WHOLE;
}

/* Tables, dictionaries and functions. */
static inline enum skip_result
skip_read_other(const uint8_t *at, size_t avail, bool is_big_endian,
		struct skip_shell *out)
{
	int type = *at;

	out->objects = 1;
	if (type == KT_TABLE) {
		out->header = 2;
	} else if (type == KT_DICT || type == KT_SORTED_DICT) {
		out->objects = 2;
	} else if (type == KT_LAMBDA) {
		out->symbols = 1;
	} else if (type >= KT_UNARY && type <= KT_ADVERB) {
		out->header = 2;
		out->objects = 0;
	} else if (type == KT_PROJECTION || type == KT_COMPOSITION) {
		out->header = 5;
		if (avail >= out->header)
			out->objects = wire_decode_u32(at + 1, is_big_endian);
	} else if (type < KT_EACH || type > KT_EACH_LEFT) {
		return SKIP_UNKNOWN;
	}
	return avail < out->header ? SKIP_SHORT : SKIP_WHOLE;
}

/*
 * Reads the header of an object from the `avail` (may be 0) bytes at `at`.
 * *out is good only on SKIP_WHOLE, which says that the header is complete, not
 * the object.  Knows all types but that of an error.  SKIP_UNKNOWN also for a
 * count that no message can have.
 */
static inline enum skip_result
skip_read_shell(const uint8_t *at, size_t avail, bool is_big_endian,
		struct skip_shell *out)
{
	int type;

	if (avail == 0)
		return SKIP_SHORT;
	type = (int8_t)*at;
	*out = (struct skip_shell){ .header = 1 };
	if (type > KT_TIME)
		return skip_read_other(at, avail, is_big_endian, out);
	if (type == KT_LIST || type == KT_SYMBOL)
		return skip_read_list(at, avail, is_big_endian, out);
	if (type == -KT_SYMBOL) {
		out->symbols = 1;
		return SKIP_WHOLE;
	}
	out->bytes = wire_item_bytes(type);
	if (out->bytes == 0)
		return SKIP_UNKNOWN;
	return type < 0 ? SKIP_WHOLE
			: skip_read_list(at, avail, is_big_endian, out);
}

/*
 * Moves *at to the end of a little-endian object if it ends before `end`, else
 * leaves it.  Looks at lengths only: an object that wire_skip accepts ends at
 * the same byte here, but many that end here are refused by wire_skip.
 * Counts that no message can have are SKIP_UNKNOWN, not SKIP_SHORT: a single
 * damaged bit must not claim the rest of a file.
 */
enum skip_result skip_by_lengths(const uint8_t **at, const uint8_t *end);

/* The same, of an object that comes in pieces: how much of it is left. */
struct skip_walk {
	uint64_t bytes;	  /* first these, ... */
	uint64_t symbols; /* ... then these, ... */
	uint64_t objects; /* ... then these, with all that is in them */
};

#define SKIP_WALK_BEGIN ((struct skip_walk){ .objects = 1 })

/*
 * Moves *at on.  SKIP_SHORT: the object continues at *at, from where the caller
 * gives more bytes; those between *at and `end`, fewer than a header has, once
 * more.  Its `bytes` need not be given, if the caller deducts them.
 */
enum skip_result skip_more(struct skip_walk *w, const uint8_t **at,
			   const uint8_t *end);

#endif
