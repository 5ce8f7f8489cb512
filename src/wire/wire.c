#include "config.h"

#include "wire/wire.h"

#include "base/util.h"

static size_t
left(const struct wire_reader *r)
{
	return (size_t)(r->end - r->at);
}

const uint8_t *
wire_get_bytes(struct wire_reader *r, size_t len)
{
	const uint8_t *at = r->at;

	if (r->bad != NULL)
		return NULL;
	if (len > left(r)) {
		r->bad = "the object is longer than the frame";
		return NULL;
	}
	r->at += len;
	return at;
}

uint8_t
wire_get_u8(struct wire_reader *r)
{
	const uint8_t *at = wire_get_bytes(r, 1);

	return at == NULL ? 0 : *at;
}

uint32_t
wire_get_u32(struct wire_reader *r)
{
	const uint8_t *at = wire_get_bytes(r, 4);

	return at == NULL ? 0 : wire_decode_u32(at, r->is_big_endian);
}

uint64_t
wire_get_u64(struct wire_reader *r)
{
	const uint8_t *at = wire_get_bytes(r, 8);

	return at == NULL ? 0 : wire_decode_u64(at, r->is_big_endian);
}

const char *
wire_get_symbol(struct wire_reader *r, size_t *out_len)
{
	const uint8_t *at = r->at, *end;

	if (r->bad != NULL)
		return NULL;
	end = wire_symbol_end(at, r->end);
	if (end == NULL) {
		r->bad = "a symbol has no end";
		return NULL;
	}
	*out_len = (size_t)(end - at) - 1;
	r->at = end;
	return (const char *)at;
}

uint64_t
wire_get_count(struct wire_reader *r, size_t item_min, uint8_t *out_attr)
{
	uint8_t attr = wire_get_u8(r);
	bool is_long = (attr & WIRE_LONG_COUNT) != 0;
	uint64_t count = is_long ? wire_get_u64(r) : wire_get_u32(r);

	CHECK(item_min > 0);
	attr &= (uint8_t)~WIRE_LONG_COUNT;
	/* By division: a product could wrap. */
	if (count > left(r) / item_min)
		wire_fail(r, "a count is larger than the frame");
	else if (attr > KA_GROUPED)
		wire_fail(r, "the attribute is unknown");
	if (r->bad != NULL)
		count = attr = 0;
	else if (is_long)
		r->has_long_counts = true;
	if (out_attr != NULL)
		*out_attr = attr;
	return count;
}
