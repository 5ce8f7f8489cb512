/*
 * The usual items of an update, at less cost than by wire_skip: an atom or a
 * vector of exactly the column's type.  Each function returns the end of the
 * item, or NULL: it is something else, or not whole, or not well-formed, which
 * the general way then finds out.  Whatever is accepted here, wire_skip accepts
 * with the same end.
 */
#ifndef RINGTICK_SCHEMA_PLAIN_H
#define RINGTICK_SCHEMA_PLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "schema/schema.h"
#include "wire/wire.h"

/* Bytes of an item of a fixed width, of which any are good; else 0. */
static inline size_t
plain_width(int type)
{
	static const uint8_t bytes[KT_TIME + 1] = {
		[KT_GUID] = 16,	    [KT_BYTE] = 1,     [KT_SHORT] = 2,
		[KT_INT] = 4,	    [KT_LONG] = 8,     [KT_REAL] = 4,
		[KT_FLOAT] = 8,	    [KT_CHAR] = 1,     [KT_TIMESTAMP] = 8,
		[KT_MONTH] = 4,	    [KT_DATE] = 4,     [KT_DATETIME] = 8,
		[KT_TIMESPAN] = 8,  [KT_MINUTE] = 4,   [KT_SECOND] = 4,
		[KT_TIME] = 4,
	};

	return bytes[type];
}

/* Of a symbol, of its NUL. */
static inline const uint8_t *
plain_symbol_end(const uint8_t *at, const uint8_t *end)
{
	const uint8_t *nul;

	if (end - at >= 8) {
		uint64_t nuls = wire_nuls_at(at);

		if (nuls != 0)
			return at + __builtin_ctzll(nuls) / 8 + 1;
		at += 8;
	}
	nul = at < end ? memchr(at, 0, (size_t)(end - at)) : NULL;
	return nul == NULL ? NULL : nul + 1;
}

static inline const uint8_t *
plain_atom_end(const struct schema_column *c, const uint8_t *at,
	       const uint8_t *end)
{
	size_t width = plain_width(c->type);

	if (at == end || c->type == KT_LIST || (int8_t)*at != -c->type)
		return NULL;
	if (c->type == KT_SYMBOL)
		return plain_symbol_end(at + 1, end);
	if (width == 0 || (size_t)(end - at) < 1 + width)
		return NULL;
	return at + 1 + width;
}

/* Moves behind the header of a vector of `type`. false, and not moved, if it is
 * something else. */
static inline bool
plain_skip_header(const uint8_t **at, const uint8_t *end, int type,
		  uint32_t *out_cnt)
{
	if (end - *at < WIRE_LIST_HEADER_BYTES || (int8_t)(*at)[0] != type ||
	    (*at)[1] > KA_GROUPED)
		return false;
	*out_cnt = wire_load_u32(*at + 2);
	*at += WIRE_LIST_HEADER_BYTES;
	return true;
}

static inline const uint8_t *
plain_strings_end(const uint8_t *at, const uint8_t *end, uint64_t rows)
{
	uint32_t len;

	for (uint64_t i = 0; i < rows; i++) {
		if (!plain_skip_header(&at, end, KT_CHAR, &len) ||
		    len > (size_t)(end - at))
			return NULL;
		at += len;
	}
	return at;
}

static inline const uint8_t *
plain_symbols_end(const uint8_t *at, const uint8_t *end, uint64_t rows)
{
	struct wire_reader r;

	if (rows == 1)
		return plain_symbol_end(at, end);
	r = wire_reader(at, (size_t)(end - at), false);
	wire_skip_symbols(&r, rows);
	return r.bad != NULL ? NULL : r.at;
}

/* Of a column of `rows` items. */
static inline const uint8_t *
plain_column_end(const struct schema_column *c, const uint8_t *at,
		 const uint8_t *end, uint64_t rows)
{
	size_t width = plain_width(c->type);
	uint32_t cnt;

	if (!plain_skip_header(&at, end, c->type, &cnt) || cnt != rows)
		return NULL;
	if (c->is_string)
		return plain_strings_end(at, end, rows);
	if (c->type == KT_SYMBOL)
		return plain_symbols_end(at, end, rows);
	if (width == 0 || rows > (size_t)(end - at) / width)
		return NULL;
	return at + rows * width;
}

/* What is mostly short, without a call. Returns the end of what is written. */
static inline uint8_t *
plain_copy(uint8_t *to, const uint8_t *from, size_t len)
{
	if (len == 8) {
		memcpy(to, from, 8);
	} else if (len > 8) {
		memcpy(to, from, len);
	} else if (len >= 4) {
		memcpy(to, from, 4);
		memcpy(to + len - 4, from + len - 4, 4);
	} else {
		for (size_t i = 0; i < len; i++)
			to[i] = from[i];
	}
	return to + len;
}

#endif
