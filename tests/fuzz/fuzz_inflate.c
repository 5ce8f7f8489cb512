/*
 * libFuzzer: a compressed frame.  The inflated frame has the announced
 * length, depends on nothing but the input, and can be checked.
 */
#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/inflate.h"
#include "base/util.h"
#include "wire/wire.h"

enum { LEN_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Exactly as large as announced, for the sanitizer; filled with filler. */
static uint8_t *
inflated(const uint8_t *data, size_t len, size_t out_len, int filler)
{
	uint8_t *out = malloc(out_len);

	CHECK(out != NULL);
	memset(out, filler, out_len);
	if (inflate(data, len, out, out_len) == NULL)
		return out;
	free(out);
	return NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *why = NULL;
	size_t out_len = inflate_length(data, len, LEN_MAX, &why);
	struct wire_header h;
	bool has_long_counts;
	uint8_t *out, *again;

	CHECK((out_len == 0) == (why != NULL));
	if (out_len == 0)
		return 0;
	CHECK(out_len >= WIRE_FRAME_MIN && out_len <= LEN_MAX);
	out = inflated(data, len, out_len, 0);
	again = inflated(data, len, out_len, 0xff);
	CHECK((out == NULL) == (again == NULL));
	if (out == NULL)
		return 0;
	CHECK(memcmp(out, again, out_len) == 0);
	CHECK(out[0] == data[0] && out[1] == data[1]);
	if (wire_read_header(out, out_len, LEN_MAX, &h, &why) == WIRE_OK) {
		CHECK(h.len == out_len && h.compression == 0);
		(void)wire_check_body(out + WIRE_HEADER_BYTES,
				      out_len - WIRE_HEADER_BYTES,
				      h.is_big_endian, &has_long_counts);
	}
	free(out);
	free(again);
	return 0;
}
