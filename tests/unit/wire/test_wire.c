#include "config.h"

#include "wire/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/inflate.h"
#include "base/util.h"
#include "../vectors.h"

enum { LEN_MAX = 1 << 20 };

/* A loop over the vectors for which is_wanted holds. */
#define FOR_EACH(v, is_wanted)                       \
	for (const struct vector *v = vectors.items; \
	     v < vectors.items + vectors.cnt; v++)   \
		if (is_wanted)

static void
expect(bool is_good, const char *what, const char *name)
{
	if (!is_good)
		fail_msg("%s: %s", name, what);
}

/* The whole way of a frame that arrived: header, inflation, body. */
static bool
is_accepted(const uint8_t *frame, size_t len)
{
	static uint8_t plain[LEN_MAX];
	struct wire_header h;
	bool has_long_counts;
	const char *why;

	if (wire_read_header(frame, len, LEN_MAX, &h, &why) != WIRE_OK ||
	    h.len != len)
		return false;
	if (h.compression != 0) {
		size_t plain_len = inflate_length(frame, len, LEN_MAX, &why);

		if (plain_len == 0 ||
		    inflate(frame, len, plain, plain_len) != NULL)
			return false;
		frame = plain;
		len = plain_len;
	}
	return wire_check_body(frame + WIRE_HEADER_BYTES,
			       len - WIRE_HEADER_BYTES, h.is_big_endian,
			       &has_long_counts) == NULL;
}

/* ---- frames and handshake ---- */

static void
test_headers(void **state)
{
	struct wire_header h;
	const char *why;

	(void)state;
	FOR_EACH(v, vector_is_plain(v) || vector_is(v, "compressed"))
	{
		for (size_t len = 0; len < WIRE_HEADER_BYTES; len++)
			expect(wire_read_header(
				       fence_place(&in_fence, v->bytes, len),
				       len, LEN_MAX, &h, &why) == WIRE_MORE,
			       "a prefix of the header is not MORE", v->name);
		expect(wire_read_header(fence_place(&in_fence, v->bytes,
						    WIRE_HEADER_BYTES),
					WIRE_HEADER_BYTES, LEN_MAX, &h,
					&why) == WIRE_OK,
		       "the header is refused", v->name);
		expect(h.len == v->len, "another length", v->name);
		expect(h.message == (enum wire_message)v->bytes[1],
		       "another message type", v->name);
		expect(h.compression == v->bytes[2], "another compression",
		       v->name);
		expect(h.is_big_endian == (v->bytes[0] == 0), "byte order",
		       v->name);
	}
}

static enum wire_result
header_of(const char *hex, uint64_t len_max, uint64_t *out_len)
{
	struct wire_header h = { 0 };
	const char *why = NULL;
	uint8_t bytes[16];
	size_t len = hex_bytes(hex, bytes, sizeof(bytes));
	enum wire_result result = wire_read_header(
		fence_place(&in_fence, bytes, len), len, len_max, &h, &why);

	assert_true((result == WIRE_BAD) == (why != NULL));
	*out_len = h.len;
	return result;
}

static void
test_header_limits(void **state)
{
	static const struct {
		const char *hex;
		uint64_t len_max;
		enum wire_result result;
		uint64_t len;
	} cases[] = {
		{ "01000000 0a000000", 10, WIRE_OK, 10 },
		{ "01000000 0b000000", 10, WIRE_BAD, 0 },
		{ "01000000 09000000", 99, WIRE_BAD, 0 },
		{ "01000000 00000000", 99, WIRE_BAD, 0 },
		{ "00020000 0000000a", 10, WIRE_OK, 10 },
		{ "00000000 0a000000", 1 << 20, WIRE_BAD, 0 },
		{ "01000000 ffffffff", UINT32_MAX, WIRE_OK, UINT32_MAX },
		{ "01000001 0d000000", UINT64_MAX, WIRE_OK, 4294967309 },
		{ "01000200 19000000", 99, WIRE_OK, 25 },
		/* refused at the first byte that cannot be right */
		{ "02", 99, WIRE_BAD, 0 },
		{ "0103", 99, WIRE_BAD, 0 },
		{ "010003", 99, WIRE_BAD, 0 },
		{ "01000001", UINT32_MAX, WIRE_BAD, 0 },
		{ "01000001", UINT64_MAX, WIRE_MORE, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t len;

		expect(header_of(cases[i].hex, cases[i].len_max, &len) ==
			       cases[i].result,
		       "another result", cases[i].hex);
		expect(len == cases[i].len, "another length", cases[i].hex);
	}
}

static void
check_hello(const char *name, const char *user, uint8_t capability)
{
	const struct vector *v = vectors_find(name);
	const uint8_t *nul = memchr(v->bytes, 0, v->len);
	struct wire_hello hello;
	const char *why;

	for (size_t len = 0; len < v->len; len++) {
		uint8_t *at = fence_place(&in_fence, v->bytes, len);
		bool is_whole = len > (size_t)(nul - v->bytes);

		expect(wire_read_hello(at, len, &hello, &why) ==
			       (is_whole ? WIRE_OK : WIRE_MORE),
		       "a prefix", name);
	}
	expect(wire_read_hello(fence_place(&in_fence, v->bytes, v->len), v->len,
			       &hello, &why) == WIRE_OK,
	       "is refused", name);
	assert_int_equal(hello.consumed, nul - v->bytes + 1);
	assert_int_equal(hello.capability, capability);
	assert_int_equal(hello.user_len, strlen(user));
	assert_memory_equal(hello.user, user, strlen(user));
}

static void
test_hello(void **state)
{
	struct wire_hello hello;
	const char *why;
	size_t cnt = 0;

	(void)state;
	check_hello("hs_cap0", "user", 0);
	check_hello("hs_cap6", "u", 6);
	check_hello("hs_co_nocreds", "c", 3);
	check_hello("hs_colon_in_password", "u", 3);
	check_hello("hs_empty", "", 0);
	check_hello("hs_java_nocreds", "root", 3);
	check_hello("hs_mgkdb", "michaelg", 3);
	check_hello("hs_nodeq_nocreds", "anonymous", 3);
	check_hello("hs_pipelined", "u", 3);
	check_hello("hs_qcon", "qcon", 0);
	check_hello("hs_qpython_nocreds", "", 3);
	check_hello("hs_qpython_retry", "u", 0);
	check_hello("hs_user_pass_cap3", "user", 3);
	/* An unknown capability is accepted as well. */
	assert_int_equal(
		wire_read_hello((const uint8_t *)"u\x1f", 3, &hello, &why),
		WIRE_OK);
	assert_int_equal(hello.capability, 0x1f);
	assert_int_equal(hello.user_len, 1);
	FOR_EACH(v, vector_is(v, "handshake-request"))
	cnt++;
	assert_int_equal(cnt, 13);
}

static void
test_hello_of_others(void **state)
{
	static const char *const texts[] = { "GET /", "POST /x HTTP/1.1\r\n",
					     "OPTIONS *", "\x16\x03\x01" };
	struct wire_hello hello;
	const char *why;

	(void)state;
	FOR_EACH(v, vector_is(v, "handshake-bad"))
	expect(wire_read_hello(fence_place(&in_fence, v->bytes, v->len), v->len,
			       &hello, &why) == WIRE_BAD,
	       "is let in", v->name);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		size_t len = strlen(texts[i]);
		uint8_t *at =
			fence_place(&in_fence, (const uint8_t *)texts[i], len);

		why = NULL;
		assert_int_equal(wire_read_hello(at, len, &hello, &why),
				 WIRE_BAD);
		assert_non_null(why);
	}
	/* A user may have such a name. */
	assert_int_equal(
		wire_read_hello((const uint8_t *)"GET:x\3", 7, &hello, &why),
		WIRE_OK);
}

/* ---- bodies ---- */

static void
test_vectors_whole(void **state)
{
	size_t cnt = 0;

	(void)state;
	FOR_EACH(v, vector_is_plain(v) || vector_is(v, "compressed"))
	{
		expect(is_accepted(fence_place(&in_fence, v->bytes, v->len),
				   v->len),
		       "is refused", v->name);
		cnt++;
	}
	assert_true(cnt > 300);
}

static void
test_vectors_prefixes(void **state)
{
	bool has_long_counts;

	(void)state;
	FOR_EACH(v, vector_is_plain(v))
	{
		for (size_t len = WIRE_HEADER_BYTES; len < v->len; len++) {
			size_t body_len = len - WIRE_HEADER_BYTES;

			expect(wire_check_body(fence_place(&in_fence,
							   v->bytes + 8,
							   body_len),
					       body_len, false,
					       &has_long_counts) != NULL,
			       "a prefix is accepted", v->name);
		}
	}
}

static void
test_vectors_malformed(void **state)
{
	size_t cnt = 0;

	(void)state;
	FOR_EACH(v, vector_is(v, "malformed"))
	{
		expect(is_accepted(fence_place(&in_fence, v->bytes, v->len),
				   v->len) == v->is_accepted,
		       v->is_accepted ? "is refused" : "is accepted", v->name);
		cnt++;
	}
	assert_true(cnt > 50);
}

/*
 * An accepted frame can be rewritten; the result is accepted as little-endian
 * without long counts, and rewriting it again changes nothing.
 */
static void
check_rewrite(const uint8_t *frame, size_t len, const char *name)
{
	static uint8_t first[LEN_MAX];
	uint8_t *out = fence_room(&out_fence, len);
	size_t out_len = wire_rewrite(frame, len, out);
	struct wire_header h;
	bool has_long_counts;
	const char *why;

	expect(out_len <= len, "rewriting made it longer", name);
	expect(wire_read_header(out, out_len, LEN_MAX, &h, &why) == WIRE_OK &&
		       h.len == out_len && !h.is_big_endian,
	       "the header after rewriting", name);
	expect(wire_check_body(out + WIRE_HEADER_BYTES,
			       out_len - WIRE_HEADER_BYTES, false,
			       &has_long_counts) == NULL &&
		       !has_long_counts,
	       "the body after rewriting", name);
	memcpy(first, out, out_len);
	out = fence_room(&out_fence, out_len);
	expect(wire_rewrite(first, out_len, out) == out_len &&
		       memcmp(first, out, out_len) == 0,
	       "rewriting it again changes it", name);
}

static void
test_vectors_flipped(void **state)
{
	static const uint8_t flips[] = { 0x01, 0x80, 0xff };

	(void)state;
	/* The compressed ones are in test_inflate.c. */
	FOR_EACH(v, vector_is_plain(v) || vector_is(v, "malformed"))
	{
		size_t limit = v->len < 1000 ? v->len : 1000;

		for (size_t i = 0; i < limit * ARRAY_LEN(flips); i++) {
			uint8_t *at = fence_place(&in_fence, v->bytes, v->len);

			at[i / ARRAY_LEN(flips)] ^= flips[i % ARRAY_LEN(flips)];
			if (is_accepted(at, v->len) && at[2] == 0)
				check_rewrite(at, v->len, v->name);
		}
	}
}

/* ---- the same values in foreign forms ---- */

/* Writes a good little-endian frame in another byte order, with long counts. */
struct foreign {
	const uint8_t *in;
	uint8_t *out;
	bool is_big_endian, has_long_counts;
};

static void
put_number(struct foreign *f, uint64_t v, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		*f->out++ = (uint8_t)(v >> 8 * (f->is_big_endian ? bytes - 1 - i
								 : i));
}

static void
turn_numbers(struct foreign *f, uint64_t cnt, size_t bytes)
{
	for (; cnt > 0; cnt--) {
		uint64_t v = 0;

		memcpy(&v, f->in, bytes);
		f->in += bytes;
		put_number(f, v, bytes);
	}
}

static void
turn_plain(struct foreign *f, size_t bytes)
{
	memcpy(f->out, f->in, bytes);
	f->out += bytes;
	f->in += bytes;
}

static void
turn_items(struct foreign *f, int type, uint64_t cnt)
{
	static const char bytes[] = "?1G?1248481S84488444";

	switch (bytes[type]) {
	case 'G':
		turn_plain(f, 16 * cnt);
		break;
	case 'S':
		for (; cnt > 0; cnt--)
			turn_plain(f, strlen((const char *)f->in) + 1);
		break;
	default:
		turn_numbers(f, cnt, (size_t)(bytes[type] - '0'));
	}
}

static uint64_t
turn_count(struct foreign *f)
{
	uint64_t count = wire_load_u32(f->in + 1);

	*f->out++ = *f->in | (f->has_long_counts ? 0x80 : 0);
	put_number(f, count, f->has_long_counts ? 8 : 4);
	f->in += 5;
	return count;
}

static void
turn_object(struct foreign *f)
{
	int type = (int8_t)*f->in;
	uint64_t cnt = 0;

	turn_plain(f, 1);
	if (type < 0) {
		turn_items(f, -type, 1);
	} else if (type == 0) {
		cnt = turn_count(f);
	} else if (type < 20) {
		turn_items(f, type, turn_count(f));
	} else if (type == 98) {
		turn_plain(f, 1);
		cnt = 1;
	} else if (type == 99 || type == 127) {
		cnt = 2;
	} else if (type == 100) {
		turn_items(f, 11, 1);
		cnt = 1;
	} else if (type < 104) {
		turn_plain(f, 1);
	} else if (type < 106) {
		cnt = wire_load_u32(f->in);
		turn_numbers(f, 1, 4);
	} else {
		cnt = 1;
	}
	for (; cnt > 0; cnt--)
		turn_object(f);
}

static size_t
make_foreign(const struct vector *v, bool is_big_endian, bool has_long_counts,
	     uint8_t *out)
{
	struct foreign f = { v->bytes, out, is_big_endian, has_long_counts };
	size_t len;

	turn_plain(&f, 8);
	if (*f.in == 0x80)
		turn_plain(&f, v->len - 8);
	else
		turn_object(&f);
	len = (size_t)(f.out - out);
	out[0] = !is_big_endian;
	f.out = out + 4;
	put_number(&f, len, 4);
	return len;
}

static void
test_rewrite(void **state)
{
	static uint8_t foreign[LEN_MAX];

	(void)state;
	FOR_EACH(v, vector_is_plain(v) && strcmp(v->name, "c64_g_sym") != 0)
	{
		for (int form = 0; form < 4; form++) {
			size_t len =
				make_foreign(v, form & 1, form & 2, foreign);
			uint8_t *out = fence_room(&out_fence, len);

			expect(form != 0 || len == v->len, "form 0", v->name);
			expect(is_accepted(fence_place(&in_fence, foreign, len),
					   len),
			       "a foreign form is refused", v->name);
			expect(wire_rewrite(in_fence.end - len, len, out) ==
					       v->len &&
				       memcmp(out, v->bytes, v->len) == 0,
			       "a foreign form is rewritten to other bytes",
			       v->name);
			check_rewrite(foreign, len, v->name);
		}
	}
}

static void
test_rewrite_long_count(void **state)
{
	const struct vector *v = vectors_find("c64_g_sym");
	uint8_t expected[32], *out = fence_room(&out_fence, v->len);
	bool has_long_counts = false;
	size_t len;

	(void)state;
	assert_null(wire_check_body(v->bytes + 8, v->len - 8, false,
				    &has_long_counts));
	assert_true(has_long_counts);
	len = hex_bytes("01000000 12000000 0b04 02000000 6100 6200", expected,
			sizeof(expected));
	assert_int_equal(wire_rewrite(v->bytes, v->len, out), len);
	assert_memory_equal(out, expected, len);
}

/* ---- single rules ---- */

static bool
is_good_body(const char *hex)
{
	uint8_t bytes[512];
	size_t len = hex_bytes(hex, bytes, sizeof(bytes));
	bool has_long_counts;

	return wire_check_body(fence_place(&in_fence, bytes, len), len, false,
			       &has_long_counts) == NULL;
}

static const char *const good_bodies[] = {
	/* tables: names of a and b, two columns */
	"6200 63 0b0002000000 61006200 000002000000"
	"040001000000 01 040001000000 02",
	"6200 7f 0b0002000000 61006200 000002000000"
	"040001000000 01 040001000000 02",
	"6204 63 0b0002000000 61006200 000002000000"
	"040000000000 000000000000",
	/* dictionaries */
	"63 0b0000000000 000000000000",
	"7f 0b0101000000 6100 000001000000 6500",
	/* booleans */
	"ff00",
	"ff01",
	/* errors, with and without text */
	"806100",
	"8000",
	/* functions */
	"64 00 0a0000000000",
	"652c",
	"65ff",
	"6624",
	"6705",
	"68 01000000 6500",
	"69 02000000 6500 6500",
	"6a6500",
	"6f6500",
	/* attributes, of all kinds of lists */
	"0004 00000000",
	"0080 0000000000000000",
	"0a84 0100000000000000 61",
};

static const char *const bad_bodies[] = {
	/* tables: the attribute is unknown */
	"6205 63 0b0002000000 61006200 000002000000"
	"040000000000 000000000000",
	"6280 63 0b0002000000 61006200 000002000000"
	"040000000000 000000000000",
	/* ragged, in both directions */
	"6200 63 0b0002000000 61006200 000002000000"
	"040001000000 01 040002000000 0202",
	"6200 63 0b0002000000 61006200 000002000000"
	"040001000000 01 040000000000",
	/* fewer and more columns than names */
	"6200 63 0b0002000000 61006200 000001000000"
	"040001000000 01",
	"6200 63 0b0001000000 6100 000002000000"
	"040001000000 01 040001000000 02",
	/* a column that is an atom, a table */
	"6200 63 0b0001000000 6100 000001000000 fc01",
	/* the crash of Kx's d9: no dictionary in the table */
	"6200fa01000000",
	/* dictionaries */
	"63 0b0001000000 6100 0000 00000000",
	"63 fc01 fc01",
	"63 0b0001000000 6100 fc01",
	/* booleans */
	"ff02",
	/* types */
	"0300 00000000",
	"fd00",
	"1400 00000000",
	"6100 00000000",
	"ec00000000",
	/* errors: not ended, not at the end, not outermost */
	"80",
	"8061",
	"80610000",
	"000001000000 8000",
	/* functions */
	"64 00 040000000000",
	"652d",
	"6625",
	"66ff",
	"6706",
	"68 00000000",
	"69 02000000 6500",
	"706500",
	"7e6500",
	"6a",
	/* attributes, of all kinds of lists */
	"0005 00000000",
	"0a85 0100000000000000 61",
	"0a80 01000000 61",
	/* counts that would wrap when multiplied */
	"0780 0000000000000020",
	"0280 0000000000000010",
	"0080 0000000000000080",
	"0b80 ffffffffffffffff 6100",
	"0400 ffffffff",
	/* bytes after the object */
	"6500 00",
	"",
	"65",
};

static void
test_shapes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good_bodies); i++)
		expect(is_good_body(good_bodies[i]), "is refused",
		       good_bodies[i]);
	for (size_t i = 0; i < ARRAY_LEN(bad_bodies); i++)
		expect(!is_good_body(bad_bodies[i]), "is accepted",
		       bad_bodies[i]);
}

static bool
is_good_nest(const uint8_t *level, size_t level_len, size_t levels)
{
	static uint8_t bytes[LEN_MAX];
	size_t len = levels * level_len;
	bool has_long_counts;

	for (size_t i = 0; i < levels; i++)
		memcpy(bytes + i * level_len, level, level_len);
	bytes[len++] = KT_UNARY;
	bytes[len++] = 0;
	return wire_check_body(fence_place(&in_fence, bytes, len), len, false,
			       &has_long_counts) == NULL;
}

static void
test_depth(void **state)
{
	static const uint8_t list[] = { 0, 0, 1, 0, 0, 0 };
	static const uint8_t projection[] = { 104, 1, 0, 0, 0 };
	static const uint8_t derived[] = { 106 };

	(void)state;
	/* The :: inside is the most deeply nested object. */
	assert_true(is_good_nest(list, 6, WIRE_DEPTH_MAX - 1));
	assert_false(is_good_nest(list, 6, WIRE_DEPTH_MAX));
	assert_true(is_good_nest(projection, 5, WIRE_DEPTH_MAX - 1));
	assert_false(is_good_nest(projection, 5, WIRE_DEPTH_MAX));
	assert_true(is_good_nest(derived, 1, WIRE_DEPTH_MAX - 1));
	assert_false(is_good_nest(derived, 1, WIRE_DEPTH_MAX));
	assert_false(is_good_nest(derived, 1, LEN_MAX - 2));
	assert_false(is_good_nest(list, 6, LEN_MAX / 6 - 2));
}

/* A value other than 0 and 1, at each place of vectors of each length. */
static void
test_booleans(void **state)
{
	(void)state;
	for (uint8_t cnt = 0; cnt < 40; cnt++) {
		uint8_t bytes[64] = { KT_BOOLEAN, 0, cnt };
		bool has_long_counts;
		size_t len = 6u + cnt;

		memset(bytes + 6, 1, cnt);
		assert_null(wire_check_body(fence_place(&in_fence, bytes, len),
					    len, false, &has_long_counts));
		for (size_t i = 6; i < len; i++) {
			uint8_t *at = fence_place(&in_fence, bytes, len);

			at[i] = (uint8_t)(2u << i % 7);
			assert_non_null(wire_check_body(at, len, false,
							&has_long_counts));
		}
	}
}

/* Symbols of pseudo-random lengths; one too few and one too many. */
static void
test_symbol_vectors(void **state)
{
	static uint8_t bytes[4096];
	uint32_t seed = 1;

	(void)state;
	for (uint32_t cnt = 0; cnt < 200; cnt++) {
		size_t len = 6;
		struct wire_reader r;

		bytes[0] = KT_SYMBOL;
		for (uint32_t i = 0; i < cnt; i++) {
			seed = seed * 1664525 + 1013904223;
			for (uint32_t j = seed >> 16 & 15; j > 0; j--)
				bytes[len++] = j & 1 ? 0x80 : 0x01;
			bytes[len++] = 0;
		}
		for (uint32_t told = cnt; told <= cnt + 1; told++) {
			wire_store_u32(bytes + 2, told);
			r = wire_reader(fence_place(&in_fence, bytes, len), len,
					false);
			wire_skip(&r);
			assert_int_equal(r.bad == NULL, told == cnt);
			assert_true(r.bad != NULL || r.at == r.end);
		}
		if (cnt == 0)
			continue;
		wire_store_u32(bytes + 2, cnt - 1);
		r = wire_reader(fence_place(&in_fence, bytes, len), len, false);
		wire_skip(&r);
		assert_null(r.bad);
		assert_true(r.at < r.end);
	}
}

static void
test_reader_is_sticky(void **state)
{
	static const uint8_t bytes[] = { 1, 2, 0, 4 };
	struct wire_reader r;
	size_t len = 77;
	uint8_t attr = 77;
	const char *bad;

	(void)state;
	r = wire_reader(fence_place(&in_fence, bytes, 4), 4, false);
	assert_int_equal(wire_get_u8(&r), 1);
	assert_int_equal(wire_get_u32(&r), 0);
	bad = r.bad;
	assert_non_null(bad);
	assert_ptr_equal(r.at, in_fence.end - 3);
	/* There are bytes for these, but a read has failed before. */
	assert_int_equal(wire_get_u8(&r), 0);
	assert_null(wire_get_symbol(&r, &len));
	assert_int_equal(wire_get_count(&r, 1, &attr), 0);
	assert_int_equal(attr, 0);
	wire_skip(&r);
	assert_ptr_equal(r.at, in_fence.end - 3);
	assert_ptr_equal(r.bad, bad);

	r = wire_reader(bytes, 4, true);
	assert_int_equal(wire_get_u32(&r), 0x01020004);
	r = wire_reader(bytes, 4, false);
	assert_int_equal(wire_get_u32(&r), 0x04000201);
	r = wire_reader(bytes, 4, false);
	assert_ptr_equal(wire_get_symbol(&r, &len), bytes);
	assert_int_equal(len, 2);
	assert_int_equal(wire_get_u8(&r), 4);
	r = wire_reader((const uint8_t *)"abcdefgh", 8, true);
	assert_true(wire_get_u64(&r) == 0x6162636465666768);
}

static void
test_count(void **state)
{
	static const struct {
		const char *name;
		uint64_t count;
	} cases[] = {
		{ "atom_int", 1 },     { "reply_nil", 1 },
		{ "vec0_int", 0 },     { "attr_s_sym", 3 },
		{ "c64_g_sym", 2 },    { "dict_sym_long", 2 },
		{ "dict_empty", 0 },   { "table_all_types_2rows", 2 },
		{ "table_keyed", 2 },  { "schema_all_types_empty", 0 },
		{ "table_sorted", 2 }, { "lambda_root", 1 },
		{ "proj", 1 },	       { "sub_symvec_all", 3 },
		{ "sub_str_all", 11 }, { "sub_list_tbl_syms", 3 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct vector *v = vectors_find(cases[i].name);
		size_t len = v->len - WIRE_HEADER_BYTES;
		uint8_t *at = fence_place(&in_fence,
					  v->bytes + WIRE_HEADER_BYTES, len);
		struct wire_reader r = wire_reader(at, len, false);

		expect(wire_count(&r) == cases[i].count, "another count",
		       cases[i].name);
		assert_ptr_equal(r.at, at);
	}
}

/* ---- writing ---- */

typedef void (*write_body)(struct wire_writer *w);

static void
write_null(struct wire_writer *w)
{
	wire_put_null(w);
}

static void
write_date(struct wire_writer *w)
{
	wire_put_date(w, 9822);
}

static void
write_int(struct wire_writer *w)
{
	wire_put_int(w, INT32_MIN);
}

static void
write_long(struct wire_writer *w)
{
	wire_put_long(w, -2);
}

static void
write_error(struct wire_writer *w)
{
	wire_put_error(w, "foo");
}

static void
write_text(struct wire_writer *w)
{
	wire_put_string(w, ".u.sub[`;`]");
}

static void
write_symbols(struct wire_writer *w)
{
	wire_put_list(w, KT_SYMBOL, KA_NONE, 3);
	wire_put_symbol_item(w, ".u.sub..", 6);
	wire_put_symbol_item(w, "trade", 5);
	wire_put_symbol_item(w, NULL, 0);
}

static void
write_list(struct wire_writer *w)
{
	wire_put_list(w, KT_LIST, KA_NONE, 2);
	wire_put_symbol(w, ".u.end");
	wire_put_date(w, 9822);
}

static void
write_plain(struct wire_writer *w)
{
	wire_put_list(w, KT_LONG, KA_GROUPED, 2);
	wire_put_u64(w, 0x0102030405060708);
	wire_put_u32(w, 0x0a0b0c0d);
	wire_put_u8(w, 0x0e);
	wire_put_bytes(w, "\1\2\3", 3);
	wire_put_bytes(w, NULL, 0);
}

static void
check_written(write_body write, enum wire_message message, const char *hex)
{
	uint8_t expected[64];
	size_t len = hex_bytes(hex, expected, sizeof(expected));

	for (size_t room = 0; room <= len; room++) {
		uint8_t *base = fence_room(&out_fence, room);
		struct wire_writer w = wire_writer(base, room);
		size_t header_off = wire_begin_frame(&w, message);

		write(&w);
		wire_end_frame(&w, header_off);
		assert_int_equal(w.is_full, room < len);
		assert_true(wire_written(&w) <= room);
		/* Once full, always full, however small the next write is. */
		if (w.is_full) {
			size_t written = wire_written(&w);

			wire_put_bytes(&w, NULL, 0);
			assert_int_equal(wire_written(&w), written);
			assert_true(w.is_full);
		} else {
			assert_int_equal(wire_written(&w), len);
			assert_memory_equal(base, expected, len);
		}
	}
}

static void
test_writer(void **state)
{
	(void)state;
	check_written(write_null, WIRE_RESPONSE, "01020000 0a000000 6500");
	check_written(write_date, WIRE_ASYNC, "01000000 0d000000 f25e260000");
	check_written(write_int, WIRE_RESPONSE, "01020000 0d000000 fa00000080");
	check_written(write_long, WIRE_RESPONSE,
		      "01020000 11000000 f9feffffffffffffff");
	check_written(write_error, WIRE_RESPONSE,
		      "01020000 0d000000 80 666f6f00");
	check_written(write_text, WIRE_SYNC,
		      "01010000 19000000 0a00 0b000000 2e752e7375625b603b605d");
	check_written(write_symbols, WIRE_SYNC,
		      "01010000 1c000000 0b00 03000000 2e752e73756200"
		      "747261646500 00");
	check_written(write_list, WIRE_ASYNC,
		      "01000000 1b000000 0000 02000000 f52e752e656e6400"
		      "f25e260000");
	check_written(write_plain, WIRE_ASYNC,
		      "01000000 1e000000 0704 02000000 0807060504030201"
		      "0d0c0b0a 0e 010203");
}

/* A frame may begin anywhere in the output. */
static void
test_writer_second_frame(void **state)
{
	uint8_t bytes[32];
	struct wire_writer w = wire_writer(bytes, sizeof(bytes));
	size_t off;

	(void)state;
	off = wire_begin_frame(&w, WIRE_SYNC);
	wire_put_null(&w);
	wire_end_frame(&w, off);
	off = wire_begin_frame(&w, WIRE_RESPONSE);
	assert_int_equal(off, 10);
	wire_put_long(&w, 1);
	wire_end_frame(&w, off);
	assert_int_equal(wire_load_u32(bytes + 4), 10);
	assert_int_equal(wire_load_u32(bytes + 14), 17);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_header_limits),
		cmocka_unit_test(test_hello),
		cmocka_unit_test(test_hello_of_others),
		cmocka_unit_test(test_vectors_whole),
		cmocka_unit_test(test_vectors_prefixes),
		cmocka_unit_test(test_vectors_malformed),
		cmocka_unit_test(test_vectors_flipped),
		cmocka_unit_test(test_rewrite),
		cmocka_unit_test(test_rewrite_long_count),
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_booleans),
		cmocka_unit_test(test_symbol_vectors),
		cmocka_unit_test(test_reader_is_sticky),
		cmocka_unit_test(test_count),
		cmocka_unit_test(test_writer),
		cmocka_unit_test(test_writer_second_frame),
	};

	return cmocka_run_group_tests(tests, vectors_open, vectors_close);
}
