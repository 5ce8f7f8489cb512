/*
 * The short ways to the end of an object, compared with wire_skip on any bytes:
 * wire_skip accepts each object that they accept, with the same end.
 */
#include "config.h"

#include "wire/skip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "../vectors.h"

enum { LEN_MAX = 2000 };

static unsigned agreed; /* objects that a short way has accepted */

static void
assert_end(const uint8_t *end, const struct wire_reader *whole)
{
	if (end == NULL)
		return;
	assert_null(whole->bad);
	assert_ptr_equal(end, whole->at);
	agreed++;
}

static void
compare(const uint8_t *bytes, size_t len)
{
	const uint8_t *at = fence_place(&in_fence, bytes, len);
	const uint8_t *end = at + len, *next = at;
	struct wire_reader r = wire_reader(at, len, false);
	enum skip_result result = skip_by_lengths(&next, end);
	uint32_t rows = len < 6 ? 0 : wire_load_u32(at + 2);

	wire_skip(&r);
	if (r.bad == NULL) {
		assert_int_equal(result, SKIP_WHOLE);
		assert_ptr_equal(next, r.at);
	}
	if (r.bad == NULL && !r.has_long_counts)
		assert_ptr_equal(skip_checked(at, end), r.at);
	for (int type = KT_LIST; type <= KT_TIME; type++) {
		assert_end(skip_atom(type, at, end), &r);
		assert_end(skip_column(type, type == KT_LIST, at, end, rows),
			   &r);
		assert_null(skip_column(type, false, at, end, rows + 1));
	}
	assert_end(skip_columns(at, end), &r);
}

static void
test_short_ways(void **state)
{
	static uint8_t x[LEN_MAX];

	(void)state;
	for (size_t i = 0; i < vectors.cnt; i++) {
		const struct vector *v = &vectors.items[i];
		size_t len = v->len < 8 ? 0 : v->len - 8;

		if (len == 0 || len > LEN_MAX || v->bytes[2] != 0)
			continue;
		memcpy(x, v->bytes + 8, len);
		for (size_t cut = 0; cut <= len; cut++)
			compare(x, cut);
		for (size_t bit = 0; bit < 8 * len; bit++) {
			x[bit / 8] ^= (uint8_t)(1u << bit % 8);
			compare(x, len);
			x[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	}
	assert_true(agreed > 10000);
}

static void
assert_lengths(const char *hex, enum skip_result result, size_t end)
{
	uint8_t bytes[64];
	size_t len = hex_bytes(hex, bytes, sizeof(bytes));
	const uint8_t *at = fence_place(&in_fence, bytes, len), *next = at;

	assert_int_equal(skip_by_lengths(&next, at + len), result);
	assert_int_equal(next - at, end);
}

/* Objects that wire_skip refuses, and bytes whose end cannot be told. */
static void
test_by_lengths(void **state)
{
	(void)state;
	/* a boolean of 2, an unknown attribute, columns of other lengths */
	assert_lengths("ff 02 00", SKIP_WHOLE, 2);
	assert_lengths("04 09 01000000 77 00", SKIP_WHOLE, 7);
	assert_lengths("62 00 63 0b00 01000000 6100 0000 01000000 04 00"
		       "02000000 7777 00",
		       SKIP_WHOLE, 25);
	/* 8-byte counts */
	assert_lengths("04 80 0100000000000000 77 00", SKIP_WHOLE, 11);
	assert_lengths("04 80 01000000000000", SKIP_SHORT, 0);
	assert_lengths("04 80 0100000001000000 77", SKIP_UNKNOWN, 0);
	/* no byte, and the last byte missing */
	assert_lengths("", SKIP_SHORT, 0);
	assert_lengths("f5 6162", SKIP_SHORT, 0);
	assert_lengths("00 00 02000000 fc 01 fc", SKIP_SHORT, 0);
	/* a count that no message can have */
	assert_lengths("07 00 00000010 77", SKIP_UNKNOWN, 0);
	assert_lengths("00 00 00000040 fc 01", SKIP_UNKNOWN, 0);
	/* unknown types */
	assert_lengths("03 00 00000000", SKIP_UNKNOWN, 0);
	assert_lengths("70 00 0000", SKIP_UNKNOWN, 0);
	assert_lengths("80 6100", SKIP_UNKNOWN, 0);
}

/* Each number of symbols, many of them empty. */
static void
test_symbols(void **state)
{
	enum { LEN = 150 };
	uint8_t bytes[LEN], *at;
	uint32_t seed = 1;

	(void)state;
	for (uint32_t i = 0; i < 300; i++) {
		uint32_t nul_in_8 = 1 + i % 8, cnt = 0;
		struct wire_reader r;

		for (size_t j = 0; j < LEN; j++) {
			seed = seed * 1664525 + 1013904223;
			bytes[j] = seed >> 16 & 0xff;
			if ((seed >> 24 & 7) < nul_in_8)
				bytes[j] = 0;
		}
		at = fence_place(&in_fence, bytes, LEN);
		for (size_t j = 0; j < LEN; j++) {
			if (bytes[j] != 0)
				continue;
			r = wire_reader(at, LEN, false);
			wire_skip_symbols(&r, ++cnt);
			assert_null(r.bad);
			assert_ptr_equal(r.at, at + j + 1);
		}
		r = wire_reader(at, LEN, false);
		wire_skip_symbols(&r, 0);
		assert_ptr_equal(r.at, at);
		wire_skip_symbols(&r, cnt + 1);
		assert_non_null(r.bad);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_short_ways),
		cmocka_unit_test(test_by_lengths),
		cmocka_unit_test(test_symbols),
	};

	return cmocka_run_group_tests(tests, vectors_open, vectors_close);
}
