#include "config.h"

#include "wire/extent.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/util.h"
#include "wire/wire.h"

enum {
	OBJECT_MIN = 2, /* bytes of the smallest object */
	CLAIM_MAX = INT32_MAX, /* of the longest message (wire.md section 1) */
	LONG_COUNT = 0x80, /* in the attribute: the count has 8 bytes */
	FUNCTION_LAST = 111, /* types above it are never sent */
};

/* Passes what of *left is there; false if that was not all. */
static bool
pass_bytes(uint64_t *left, const uint8_t **at, const uint8_t *end)
{
	size_t len = (size_t)min_u64(*left, (uint64_t)(end - *at));

	*at += len;
	*left -= len;
	return *left == 0;
}

static bool
pass_symbols(uint64_t *left, const uint8_t **at, const uint8_t *end)
{
	while (*left > 0) {
		const uint8_t *nul =
			*at == end ? NULL : memchr(*at, 0, (size_t)(end - *at));

		if (nul == NULL) {
			*at = end;
			return false;
		}
		*at = nul + 1;
		--*left;
	}
	return true;
}

/* The header of a vector or list of `type`. */
static enum extent_step
begin_list(struct extent *e, int type, const uint8_t **at, const uint8_t *end)
{
	size_t avail = (size_t)(end - *at), header = WIRE_LIST_HEADER_BYTES;
	uint64_t count;

	if (avail >= 2 && ((*at)[1] & LONG_COUNT) != 0)
		header += 4;
	if (avail < header)
		return EXTENT_MORE;
	count = wire_load_u32(*at + 2);
	if (header > WIRE_LIST_HEADER_BYTES)
		count |= (uint64_t)wire_load_u32(*at + 6) << 32;
	if (count > CLAIM_MAX)
		return EXTENT_UNKNOWN;
	*at += header;
	if (type == KT_LIST)
		e->objects += count;
	else if (type == KT_SYMBOL)
		e->symbols = count;
	else
		e->bytes = count * wire_item_bytes(type);
	return EXTENT_WHOLE;
}

/* What is neither an atom nor a list: `len` bytes, the type included, and the
 * number of objects behind them. */
static enum extent_step
begin_other(struct extent *e, int type, const uint8_t **at, const uint8_t *end)
{
	size_t len = 1;
	uint64_t inner = 1;

	if (type == KT_TABLE) {
		len = 2;
	} else if (type == KT_DICT || type == KT_SORTED_DICT) {
		inner = 2;
	} else if (type == KT_LAMBDA) {
		e->symbols = 1;
	} else if (type > KT_LAMBDA && type < KT_LAMBDA + 4) {
		len = 2;
		inner = 0;
	} else if (type == KT_LAMBDA + 4 || type == KT_LAMBDA + 5) {
		len = 5;
	} else if (type < KT_LAMBDA || type > FUNCTION_LAST) {
		return EXTENT_UNKNOWN;
	}
	if ((size_t)(end - *at) < len)
		return EXTENT_MORE;
	if (len == 5)
		inner = wire_load_u32(*at + 1);
	*at += len;
	e->objects += inner;
	return EXTENT_WHOLE;
}

/* The next object, without what is inside it. */
static enum extent_step
begin_object(struct extent *e, const uint8_t **at, const uint8_t *end)
{
	int type = (int8_t)**at;
	bool is_list = type >= KT_LIST && type <= KT_TIME;
	int item = type < 0 ? -type : type;

	if (type > KT_TIME)
		return begin_other(e, type, at, end);
	if (item != KT_LIST && item != KT_SYMBOL && wire_item_bytes(item) == 0)
		return EXTENT_UNKNOWN;
	if (is_list)
		return begin_list(e, type, at, end);
	*at += 1;
	if (item == KT_SYMBOL)
		e->symbols = 1;
	else
		e->bytes = wire_item_bytes(item);
	return EXTENT_WHOLE;
}

enum extent_step
extent_walk(struct extent *e, const uint8_t **at, const uint8_t *end)
{
	enum extent_step step;

	for (;;) {
		if (!pass_bytes(&e->bytes, at, end) ||
		    !pass_symbols(&e->symbols, at, end))
			return EXTENT_MORE;
		if (e->objects == 0)
			return EXTENT_WHOLE;
		if (*at == end)
			return EXTENT_MORE;
		e->objects--;
		step = begin_object(e, at, end);
		if (step == EXTENT_MORE) {
			/* its header again, when all of it is there */
			e->objects++;
			e->symbols = 0;
		}
		if (step != EXTENT_WHOLE)
			return step;
		if (e->bytes + e->symbols + OBJECT_MIN * e->objects > CLAIM_MAX)
			return EXTENT_UNKNOWN;
	}
}
