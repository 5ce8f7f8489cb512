/*
 * Where objects end.  wire_skip (wire.h) finds that out by all rules; the ways
 * here cost less:
 *
 *   skip_atom etc.   the usual items of a message from outside: each returns
 *		      the item's end, or NULL: it is another item, or not whole,
 *		      or not well-formed, which wire_skip then finds out.  What
 *		      they accept, wire_skip accepts with the same end
 *   skip_checked     anything that was checked before
 *   skip_by_lengths  bytes that wire_skip may refuse
 *
 * Knows types, not tables.  Pure; keeps no pointer.
 */
#ifndef RINGTICK_WIRE_SKIP_H
#define RINGTICK_WIRE_SKIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/wire.h"

/* ---- symbols, one by one in a vector ---- */

/* More than one. */
const uint8_t *skip_many_symbols(const uint8_t *at, const uint8_t *end,
				 uint64_t cnt);

static inline const uint8_t *
skip_symbols(const uint8_t *at, const uint8_t *end, uint64_t cnt)
{
	if (cnt <= 1)
		return cnt == 0 ? at : wire_symbol_end(at, end);
	return skip_many_symbols(at, end, cnt);
}

/* ---- of bytes from outside ---- */

/* An atom of that type (1..19), of which any bytes are good. */
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

/* Bytes of an atom with its type, by the type byte; 0: it is no atom of a fixed
 * width. */
static inline size_t
skip_atom_bytes(uint8_t type)
{
	size_t bytes = wire_item_bytes(type);

	return type < 0x80 || bytes == 0 ? 0 : 1 + bytes;
}

/* Whether four atoms of two bytes and of one type are here: 8 bytes, all good.
 */
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

/* The header of a vector or list of that type: moves *at behind it. false, and
 * not moved, if it is something else. */
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

/* cnt char vectors. */
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

/* A vector of that type, or a list of strings, of `rows` items. */
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

/* A list of atoms and vectors, of any types: for small records, of which very
 * many are counted, in a small part of the time of wire_skip. */
const uint8_t *skip_columns(const uint8_t *at, const uint8_t *end);

/* ---- of bytes that were checked ---- */

/* Any number of items of a vector of that type. */
static inline const uint8_t *
skip_checked_items(int type, const uint8_t *at, const uint8_t *end,
		   uint64_t cnt)
{
	return type == KT_SYMBOL ? skip_symbols(at, end, cnt)
				 : at + wire_item_bytes(type) * cnt;
}

const uint8_t *skip_checked_nested(const uint8_t *at, const uint8_t *end);

/* Any object. What is after it, up to `end`, can be read. */
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
	SKIP_SHORT,   /* its counts reach beyond the end */
	SKIP_UNKNOWN, /* its length cannot be told */
};

/*
 * An object without those inside it, by its first bytes: the header, then bytes
 * or symbols, then objects.
 */
struct skip_shell {
	size_t header;
	uint64_t bytes;
	uint64_t symbols;
	uint64_t objects;
};

/* Bytes of the longest message (wire.md section 1). */
enum { SKIP_CLAIM_MAX = INT32_MAX };

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

/* What is neither an atom nor a list. */
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
 * Reads a header that is in the `avail` bytes at `at`; sets *out if all of it
 * is.  Knows all types but that of an error.  A count above those that a
 * message can have is unknown.
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
 * Moves *at to the end of an object, if all of it is there.  Knows no rule
 * beside lengths: what wire_skip accepts ends here at the same byte, but not
 * the other way round.  Counts that no message can have are unknown, not short:
 * a single damaged bit must not claim the rest of a file.
 */
enum skip_result skip_by_lengths(const uint8_t **at, const uint8_t *end);

#endif
