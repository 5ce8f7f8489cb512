#include "config.h"

#include "wire/inflate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "../vectors.h"
#include "wire/wire.h"

enum { LEN_MAX = 1 << 20 };

static struct fence piece_fence;

static int
set_up(void **state)
{
	fence_init(&piece_fence, FENCE_BYTES);
	return vectors_open(state);
}

static int
tear_down(void **state)
{
	fence_fini(&piece_fence);
	return vectors_close(state);
}

/* Inflating in pieces gives the same bytes, or the same fault. */
static void
check_pieces(const uint8_t *frame, size_t len, size_t more,
	     const uint8_t *whole, size_t whole_len, const char *fault)
{
	uint8_t *out = fence_room(&piece_fence, whole_len);
	const char *why = NULL;
	struct inflate z;
	size_t before;

	inflate_begin(&z, frame, out, whole_len);
	while (!inflate_is_done(&z) && why == NULL) {
		before = z.written;
		why = inflate_some(&z, frame, len, out, more);
		assert_true(why != NULL || z.written >= before + more ||
			    inflate_is_done(&z));
		assert_true(z.written < before + more + 8 * 257);
	}
	assert_true((why == NULL) == (fault == NULL));
	if (why == NULL)
		assert_memory_equal(out, whole, whole_len);
	else
		assert_string_equal(why, fault);
}

/*
 * Inflates with a fence right after the input and one right after the output.
 * Returns the frame, whose length is *out_len, or NULL.
 */
static const uint8_t *
inflated(const uint8_t *frame, size_t len, size_t *out_len)
{
	const uint8_t *at = fence_place(&in_fence, frame, len);
	const char *why = NULL;
	uint8_t *out;

	*out_len = inflate_length(at, len, LEN_MAX, &why);
	assert_true((*out_len == 0) == (why != NULL));
	if (*out_len == 0)
		return NULL;
	out = fence_room(&out_fence, *out_len);
	why = inflate(at, len, out, *out_len);
	check_pieces(at, len, 1, out, *out_len, why);
	check_pieces(at, len, 1000, out, *out_len, why);
	return why == NULL ? out : NULL;
}

static bool
is_good_frame(const uint8_t *frame, size_t len)
{
	bool has_long_counts;
	struct wire_header h;
	const char *why;

	return wire_read_header(frame, len, LEN_MAX, &h, &why) == WIRE_OK &&
	       h.len == len && h.compression == 0 &&
	       wire_check_body(frame + 8, len - 8, h.is_big_endian,
			       &has_long_counts) == NULL;
}

/* ---- the encoder of section 4, which makes input for the decoder ---- */

enum { UNSET = 0, PENDING_NONE = 256 };

struct deflate {
	const uint8_t *in;
	size_t len, at;
	size_t last_pos[256];
	unsigned pending;
	size_t pending_pos;
	uint8_t *out;
};

/* Writes one token; returns whether it is a copy. */
static bool
deflate_token(struct deflate *d)
{
	const uint8_t *in = d->in;
	bool is_literal = d->at + 3 > d->len;
	size_t from = UNSET, extra = 0;
	uint8_t hash = 0;

	if (!is_literal) {
		hash = in[d->at] ^ in[d->at + 1];
		from = d->last_pos[hash];
		is_literal = from == UNSET || in[from] != in[d->at];
	}
	if (d->pending != PENDING_NONE)
		d->last_pos[d->pending] = d->pending_pos;
	d->pending = PENDING_NONE;
	if (is_literal) {
		d->pending = hash;
		d->pending_pos = d->at;
		*d->out++ = in[d->at++];
		return false;
	}
	d->last_pos[hash] = d->at;
	from += 2;
	d->at += 2;
	for (; extra < 255 && d->at < d->len && in[from] == in[d->at];
	     extra++) {
		from++;
		d->at++;
	}
	*d->out++ = hash;
	*d->out++ = (uint8_t)extra;
	return true;
}

static size_t
deflate_frame(const uint8_t *frame, size_t len, uint8_t *out)
{
	struct deflate d = {
		.in = frame,
		.len = len,
		.at = 8,
		.pending = PENDING_NONE,
		.out = out + 12,
	};

	memcpy(out, frame, 4);
	out[2] = 1;
	wire_store_u32(out + 8, (uint32_t)len);
	while (d.at < len) {
		uint8_t *control = d.out++;

		*control = 0;
		for (unsigned bit = 1; bit < 256 && d.at < len; bit *= 2)
			if (deflate_token(&d))
				*control |= (uint8_t)bit;
	}
	wire_store_u32(out + 4, (uint32_t)(d.out - out));
	return (size_t)(d.out - out);
}

static void
check_round_trip(const uint8_t *frame, size_t len, const char *name)
{
	static uint8_t deflated[2 * LEN_MAX];
	size_t deflated_len = deflate_frame(frame, len, deflated), out_len;
	const uint8_t *out = inflated(deflated, deflated_len, &out_len);

	if (out == NULL || out_len != len || memcmp(out, frame, len) != 0)
		fail_msg("%s: not what was compressed", name);
}

/* ---- vectors ---- */

static void
test_vectors(void **state)
{
	static uint8_t again[LEN_MAX];
	size_t cnt = 0, out_len;

	(void)state;
	for (size_t i = 0; i < vectors.cnt; i++) {
		const struct vector *v = &vectors.items[i];
		const uint8_t *out;

		if (!vector_is(v, "compressed"))
			continue;
		out = inflated(v->bytes, v->len, &out_len);
		if (out == NULL || !is_good_frame(out, out_len))
			fail_msg("%s: is refused", v->name);
		/* The encoder makes the same bytes as that of kdb+. */
		if (v->bytes[2] == 1 &&
		    (deflate_frame(out, out_len, again) != v->len ||
		     memcmp(again, v->bytes, v->len) != 0))
			fail_msg("%s: is compressed to other bytes", v->name);
		cnt++;
	}
	assert_int_equal(cnt, 21);
}

static void
check_twin(const char *compressed, const char *plain)
{
	const struct vector *v = vectors_find(compressed);
	const struct vector *twin = vectors_find(plain);
	size_t out_len;
	const uint8_t *out = inflated(v->bytes, v->len, &out_len);

	assert_non_null(out);
	assert_int_equal(out_len, twin->len);
	assert_memory_equal(out, twin->bytes, out_len);
}

/* count items of `bytes` bytes each, as the text of the vector says */
static void
check_repeats(const char *compressed, const char *start_hex,
	      const char *item_hex, size_t cnt)
{
	const struct vector *v = vectors_find(compressed);
	uint8_t start[64], item[16];
	size_t start_len = hex_bytes(start_hex, start, sizeof(start));
	size_t item_len = hex_bytes(item_hex, item, sizeof(item)), out_len;
	const uint8_t *out = inflated(v->bytes, v->len, &out_len);

	assert_non_null(out);
	assert_int_equal(out_len, 8 + start_len + cnt * item_len);
	assert_memory_equal(out + 8, start, start_len);
	for (size_t i = 0; i < cnt; i++)
		assert_memory_equal(out + 8 + start_len + i * item_len, item,
				    item_len);
}

static void
test_twins(void **state)
{
	const struct vector *v = vectors_find("zip_flag2_forced");
	const struct vector *same = vectors_find("zip_small_forced");
	uint8_t first[16];
	size_t len;

	(void)state;
	check_twin("gold_mgkdb_zip_small_0", "gold_qpy_004");
	check_twin("gold_mgkdb_zip_small_5", "vec1_char");
	check_twin("gold_mgkdb_zip_small_6", "gold_nodeq_119");
	check_repeats("gold_kdbgo_bytes2KTrue", "0100d0070000", "01", 2000);
	check_repeats("gold_qpy_zip_0", "0b00e8030000", "7100", 1000);
	check_repeats("gold_nodeq_zip_short_3", "050010270000", "0100", 10000);
	check_repeats("gold_nodeq_zip_float_7", "0900e8030000",
		      "000000000000f03f", 1000);
	/* The uncompressed length has 8 bytes. */
	assert_non_null(inflated(same->bytes, same->len, &len));
	assert_int_equal(len, sizeof(first));
	memcpy(first, out_fence.end - len, len);
	assert_non_null(inflated(v->bytes, v->len, &len));
	assert_int_equal(len, sizeof(first));
	assert_memory_equal(first, out_fence.end - len, len);
}

static void
test_prefixes(void **state)
{
	size_t out_len;

	(void)state;
	for (size_t i = 0; i < vectors.cnt; i++) {
		const struct vector *v = &vectors.items[i];

		if (!vector_is(v, "compressed"))
			continue;
		for (size_t len = 0; len < v->len; len++)
			if (inflated(v->bytes, len, &out_len) != NULL)
				fail_msg("%s: cut at %zu, accepted", v->name,
					 len);
	}
}

static void
test_flipped(void **state)
{
	static uint8_t bytes[LEN_MAX];
	size_t out_len;

	(void)state;
	for (size_t i = 0; i < vectors.cnt; i++) {
		const struct vector *v = &vectors.items[i];

		if (v->len < 9 || v->bytes[2] == 0 || v->bytes[2] > 2)
			continue;
		memcpy(bytes, v->bytes, v->len);
		for (size_t j = 0; j < 8 * v->len; j++) {
			const uint8_t *out;

			bytes[j / 8] ^= (uint8_t)(1u << j % 8);
			out = inflated(bytes, v->len, &out_len);
			/* Any accepted output must be safe to check. */
			if (out != NULL)
				(void)is_good_frame(out, out_len);
			bytes[j / 8] = v->bytes[j / 8];
		}
	}
}

static void
test_round_trip_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < vectors.cnt; i++)
		if (vector_is_plain(&vectors.items[i]))
			check_round_trip(vectors.items[i].bytes,
					 vectors.items[i].len,
					 vectors.items[i].name);
}

/*
 * Runs of every length at every distance that the short cuts of the copy loop
 * tell apart, with the end of the frame right after them.
 */
static void
test_round_trip_runs(void **state)
{
	static uint8_t frame[4096];

	(void)state;
	for (size_t period = 1; period < 40; period++) {
		for (size_t run = 1; run < 600; run += 1 + run / 20) {
			size_t len = WIRE_FRAME_MIN;

			memset(frame, 0, len);
			frame[0] = 1;
			for (size_t i = 0; i < period + run; i++)
				frame[len++] = (uint8_t)(i % period * 37);
			wire_store_u32(frame + 4, (uint32_t)len);
			check_round_trip(frame, len, "a run");
			frame[len++] = 0xee;
			wire_store_u32(frame + 4, (uint32_t)len);
			check_round_trip(frame, len, "a run and a byte");
		}
	}
}

static void
test_round_trip_random(void **state)
{
	static uint8_t frame[LEN_MAX];
	uint32_t seed = 1;

	(void)state;
	for (unsigned alphabet = 1; alphabet <= 256; alphabet *= 2) {
		size_t len = 30000 + alphabet;

		for (size_t i = 8; i < len; i++) {
			seed = seed * 1664525 + 1013904223;
			frame[i] = (uint8_t)((seed >> 16) % alphabet);
		}
		memcpy(frame, "\1\0\0\0", 4);
		wire_store_u32(frame + 4, (uint32_t)len);
		check_round_trip(frame, len, "random bytes");
	}
}

/* ---- single rules ---- */

/* The decoder refuses these frames itself, and not only the check of the
 * inflated frame. */
static void
test_malformed(void **state)
{
	static const char *const names[] = {
		"bad_z_backref_unset", "bad_z_no_stream", "bad_z_short_hdr",
		"bad_z_trailing",      "bad_z_trunc_tok", "bad_z_ulen_0",
		"bad_z_ulen_2g",       "bad_z_ulen_4g",	  "bad_z_ulen_8",
	};
	size_t out_len;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const struct vector *v = vectors_find(names[i]);

		if (inflated(v->bytes, v->len, &out_len) != NULL)
			fail_msg("%s: is accepted", v->name);
	}
}

static void
test_lengths(void **state)
{
	static const struct {
		const char *hex;
		size_t len;
	} cases[] = {
		/* 129 bytes from each byte of the stream, and one more */
		{ "01000100 0d000000 89000000 00", 137 },
		{ "01000100 0d000000 8a000000 00", 0 },
		{ "00000100 0000000d 00000089 00", 137 },
		{ "01000200 11000000 8900000000000000 00", 137 },
		{ "01000200 11000000 8900000001000000 00", 0 },
		{ "01000200 11000000 89000000000000", 0 },
		{ "01000100 0d000000 09000000 00", 0 },
		{ "01000100 0d000000 0a000000 00", 10 },
		{ "01000100 0c000000 0a000000", 0 },
		{ "01000100 0b000000 0a0000", 0 },
		{ "01000000 0d000000 0a000000 00", 0 },
		{ "01000300 0d000000 0a000000 00", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t bytes[32];
		size_t len = hex_bytes(cases[i].hex, bytes, sizeof(bytes));
		const char *why = NULL;

		if (inflate_length(fence_place(&in_fence, bytes, len), len,
				   LEN_MAX, &why) != cases[i].len)
			fail_msg("%s: another length", cases[i].hex);
		assert_true((cases[i].len == 0) == (why != NULL));
	}
}

static void
test_length_limit(void **state)
{
	const struct vector *v = vectors_find("zip_upd_200rows");
	const char *why = NULL;

	(void)state;
	assert_int_equal(inflate_length(v->bytes, v->len, 5756, &why), 5756);
	assert_int_equal(inflate_length(v->bytes, v->len, 5755, &why), 0);
	assert_non_null(why);
}

/* The length stays in the byte order of the frame. */
static void
test_big_endian(void **state)
{
	static const uint8_t frame[] = { 0,  1, 1, 0, 0, 0, 0, 21, 0,	 0,   0,
					 16, 0, 4, 0, 0, 0, 0, 2,  0x41, 0x42 };
	size_t len;
	const uint8_t *out = inflated(frame, sizeof(frame), &len);

	(void)state;
	assert_non_null(out);
	assert_int_equal(len, 16);
	assert_memory_equal(out, "\0\1\0\0\0\0\0\20\4\0\0\0\0\2\x41\x42", 16);
	assert_true(is_good_frame(out, len));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_twins),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_flipped),
		cmocka_unit_test(test_round_trip_vectors),
		cmocka_unit_test(test_round_trip_runs),
		cmocka_unit_test(test_round_trip_random),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_length_limit),
		cmocka_unit_test(test_big_endian),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
