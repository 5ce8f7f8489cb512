/*
 * libFuzzer: one frame.  A frame that the checks accept can be counted and
 * rewritten; the rewritten frame is accepted as well, means the same, and
 * rewriting it again changes nothing.
 */
#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "wire/skip.h"
#include "wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint64_t
count_of(const uint8_t *frame, size_t len)
{
	struct wire_reader r = wire_reader(frame, len, frame[0] == 0);

	r.at += WIRE_HEADER_BYTES;
	return wire_count(&r);
}

/* The ways to find an end: those that check fewer rules find the same one. */
static void
check_ends(const uint8_t *body, size_t len)
{
	struct wire_reader r = wire_reader(body, len, false);
	const uint8_t *end = body;

	wire_skip(&r);
	if (r.bad != NULL)
		return;
	CHECK(skip_by_lengths(&end, body + len) == SKIP_WHOLE && end == r.at);
	if (!r.has_long_counts)
		CHECK(skip_checked(body, body + len) == r.at);
}

static void
check_hello(const uint8_t *data, size_t len)
{
	struct wire_hello hello;
	const char *why = NULL;

	switch (wire_read_hello(data, len, &hello, &why)) {
	case WIRE_OK:
		CHECK(hello.consumed <= len && data[hello.consumed - 1] == 0);
		CHECK(hello.user_len < hello.consumed);
		break;
	case WIRE_MORE:
		CHECK(len == 0 || memchr(data, 0, len) == NULL);
		break;
	case WIRE_BAD:
		CHECK(why != NULL);
		break;
	}
}

static void
check_rewrite(const uint8_t *frame, size_t len)
{
	/* exact sizes: the sanitizer sees each byte read too far */
	uint8_t *first = malloc(len), *second;
	size_t first_len;
	bool has_long_counts;

	CHECK(first != NULL);
	first_len = wire_rewrite(frame, len, first);
	CHECK(first_len <= len && first[0] == 1);
	CHECK(wire_check_body(first + WIRE_HEADER_BYTES,
			      first_len - WIRE_HEADER_BYTES, false,
			      &has_long_counts) == NULL);
	CHECK(!has_long_counts);
	CHECK(count_of(first, first_len) == count_of(frame, len));
	second = malloc(first_len);
	CHECK(second != NULL);
	CHECK(wire_rewrite(first, first_len, second) == first_len);
	CHECK(memcmp(first, second, first_len) == 0);
	free(first);
	free(second);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct wire_header h;
	bool has_long_counts;
	const char *why = NULL;

	check_hello(data, len);
	if (wire_read_header(data, len, UINT32_MAX, &h, &why) == WIRE_BAD)
		CHECK(why != NULL);
	check_ends(data, len);
	if (len < WIRE_FRAME_MIN || data[0] > 1)
		return 0;
	check_ends(data + WIRE_HEADER_BYTES, len - WIRE_HEADER_BYTES);
	/* The length of the input is good enough: no need to guess it. */
	if (wire_check_body(data + WIRE_HEADER_BYTES, len - WIRE_HEADER_BYTES,
			    data[0] == 0, &has_long_counts) == NULL)
		check_rewrite(data, len);
	return 0;
}
