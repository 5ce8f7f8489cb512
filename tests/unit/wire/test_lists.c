/*
 * Lists of small objects: the quick way through a list accepts and refuses
 * each item as wire_skip does the item alone, and rewrites it to the same
 * bytes; the number of objects in a message is limited.
 */
#include "config.h"

#include "wire/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../frames.h"
#include "base/util.h"
#include "../vectors.h"

enum { LEN_MAX = 24 << 20, ITEMS_MAX = 40, ROUNDS = 20000 };

static uint8_t *bytes;

static int
set_up(void **state)
{
	(void)state;
	fences_open();
	bytes = malloc(LEN_MAX);
	return bytes == NULL;
}

static int
tear_down(void **state)
{
	(void)state;
	free(bytes);
	fences_close();
	return 0;
}

/* Any type byte and any bytes, mostly good ones, often of the same type as the
 * item before. */
static uint8_t *
put_item(struct chance *c, uint8_t *at, bool is_big_endian, uint8_t *type)
{
	static const uint8_t others[] = { 0, 1, 4, 10, 11, 98, 99, 100,
					  101, 102, 103, 104, 106, 0x80 };
	size_t len;

	if (chance_below(c, 2) == 0)
		*type = chance_below(c, 3) == 0
				? others[chance_below(c, sizeof(others))]
				: (uint8_t)-chance_between(c, 1, 20);
	*at++ = *type;
	if (*type >= 0x80) {
		len = wire_item_bytes(-(int8_t)*type);
		len = len == 0 ? 1 + chance_below(c, 12) : len;
		for (size_t i = 0; i < len; i++)
			*at++ = (uint8_t)chance_below(
				c, chance_below(c, 30) == 0 ? 256 : 2);
		if (*type == 0xf5)
			*at++ = 0;
	} else if (*type <= KT_SYMBOL) {
		len = chance_below(c, 3);
		*at++ = (uint8_t)chance_below(c, 6);
		memset(at, 0, 4);
		at[is_big_endian ? 3 : 0] = (uint8_t)len;
		at += 4;
		while (len-- > 0)
			*at++ = (uint8_t)chance_below(c, 3);
	} else {
		*at++ = (uint8_t)chance_below(c, 0x30);
	}
	return at;
}

/* The end of the items, each read alone and not in a list; NULL if one is bad.
 */
static const uint8_t *
end_of_items(const uint8_t *at, const uint8_t *end, uint32_t cnt, bool is_big)
{
	struct wire_reader r = wire_reader(at, (size_t)(end - at), is_big);

	for (uint32_t i = 0; i < cnt; i++)
		wire_skip(&r);
	return r.bad != NULL ? NULL : r.at;
}

static void
test_like_alone(void **state)
{
	struct chance c = chance_start("items");
	unsigned good_cnt = 0;

	(void)state;
	for (unsigned n = 0; n < ROUNDS; n++) {
		bool is_big = chance_below(&c, 2) == 0;
		uint32_t cnt = (uint32_t)chance_between(&c, 1, ITEMS_MAX);
		uint8_t list[4096] = { 0 }, type = 0xff;
		uint8_t *at = list + 6, *placed;
		const uint8_t *alone;
		struct wire_reader r;
		size_t len;

		list[is_big ? 5 : 2] = (uint8_t)cnt;
		for (uint32_t i = 0; i < cnt; i++)
			at = put_item(&c, at, is_big, &type);
		len = (size_t)(at - list) - chance_below(&c, 3) % 2;
		placed = fence_place(&in_fence, list, len);
		alone = end_of_items(placed + 6, placed + len, cnt, is_big);
		r = wire_reader(placed, len, is_big);
		wire_skip(&r);
		assert_int_equal(r.bad == NULL, alone != NULL);
		if (alone != NULL)
			assert_ptr_equal(r.at, alone);
		good_cnt += alone != NULL;
	}
	assert_true(good_cnt > ROUNDS / 20 && good_cnt < ROUNDS);
}

/* ---- big-endian ---- */

/* Atoms of all fixed widths, alone and in runs. */
static void
test_rewritten(void **state)
{
	struct chance c = chance_start("rewrite");

	(void)state;
	for (unsigned n = 0; n < ROUNDS / 10; n++) {
		uint32_t cnt = (uint32_t)chance_between(&c, 1, ITEMS_MAX);
		uint8_t big[1024] = { 0 }, little[1024] = { 1 }, out[1024];
		size_t len = 14;
		int type = KT_BOOLEAN;

		big[13] = little[10] = (uint8_t)cnt;
		for (uint32_t i = 0; i < cnt; i++) {
			size_t width;

			if (chance_below(&c, 3) == 0)
				do
					type = (int)chance_between(&c, 1, 19);
				while (wire_item_bytes(type) == 0);
			width = wire_item_bytes(type);
			big[len] = little[len] = (uint8_t)-type;
			for (size_t k = 0; k < width; k++) {
				uint8_t byte = (uint8_t)chance_below(&c, 2);
				size_t to = type == KT_GUID ? k : width - 1 - k;

				big[len + 1 + k] = byte;
				little[len + 1 + to] = byte;
			}
			len += 1 + width;
		}
		wire_store_u32(little + 4, (uint32_t)len);
		wire_store_u32(big + 4, __builtin_bswap32((uint32_t)len));
		assert_int_equal(wire_rewrite(big, len, out), len);
		assert_memory_equal(out, little, len);
	}
}

/* ---- how many ---- */

static const char *
check_many(const char *item, size_t item_len, size_t len)
{
	uint32_t cnt = (uint32_t)((len - 6) / item_len);
	bool has_long_counts;

	bytes[0] = bytes[1] = 0;
	wire_store_u32(bytes + 2, cnt);
	for (uint32_t i = 0; i < cnt; i++)
		memcpy(bytes + 6 + i * item_len, item, item_len);
	len = 6 + cnt * item_len;
	assert_null(wire_check_body(bytes, len, false, &has_long_counts));
	return wire_check_bounded(bytes, len, false, &has_long_counts);
}

static void
test_limit(void **state)
{
	static const char prices[] = "\xf7\0\0\0\0\0\0\0\0";

	(void)state;
	/* Long vectors and the usual items of lists stay below the limit. */
	assert_null(check_many("\xff\1", 2, LEN_MAX));
	assert_null(check_many(prices, 9, LEN_MAX));
	assert_null(check_many("\x0a\0\3\0\0\0abc", 9, LEN_MAX));
	assert_null(check_many("\0\0\1\0\0\0\x65\0", 8, 1 << 20));
	assert_ptr_equal(check_many("\0\0\1\0\0\0\x65\0", 8, LEN_MAX),
			 wire_too_many);
	assert_ptr_equal(check_many("\xf5\0", 2, LEN_MAX), wire_too_many);
	assert_ptr_equal(check_many("\x63\0\0\0\0\0\0\0\0\0\0\0\0", 13,
				    LEN_MAX),
			 wire_too_many);
	assert_ptr_equal(check_many("\x6a\x6a\x6a\x6a\x65\0", 6, LEN_MAX),
			 wire_too_many);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_like_alone),
		cmocka_unit_test(test_rewritten),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
