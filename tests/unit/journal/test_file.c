#include "config.h"

#include "journal/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "../vectors.h"
#include "wire/wire.h"

enum {
	LEN_MAX = 1 << 20,
	RECORDS = 5,
};

/* A small journal: where each record starts, and where the last one ends. */
static uint8_t small[4096];
static uint64_t offs[RECORDS + 1];

static const char *const xs[RECORDS] = {
	/* columns: timespan, sym, float, long */
	"00 00 04000000 10 00 02000000 00f0d9ce1a1f0000 01f0d9ce1a1f0000"
	"0b 00 02000000 49424d00 4d53465400 09 00 02000000 0000000000005940"
	"0000000000405440 07 00 02000000 6400000000000000 c800000000000000",
	/* a row, with a string in it */
	"00 00 03000000 f0 00f0d9ce1a1f0000 f5 49424d00 0a 00 02000000 6869",
	/* a row of symbols: a vector */
	"0b 00 02000000 6100 6200",
	/* a table, g# on a column */
	"62 00 63 0b 00 02000000 6100 6200 00 00 02000000"
	"0b 04 01000000 7800 06 00 01000000 01000000",
	/* columns of one, of a boolean and of a long name */
	"00 00 03000000 10 00 01000000 00f0d9ce1a1f0000 01 00 01000000 01"
	"0b 00 01000000 746869732069732061206c6f6e67206e616d6500",
};

/* (`upd;`trade;x) */
static size_t
put_record(uint8_t *out, const uint8_t *x, size_t x_len)
{
	size_t len = hex_bytes("00 00 03000000 f5 75706400 f5 747261646500",
			       out, 64);

	if (x_len > 0)
		memcpy(out + len, x, x_len);
	return len + x_len;
}

static int
set_up(void **state)
{
	uint8_t x[512];
	size_t len = JOURNAL_HEADER_BYTES;

	memcpy(small, journal_header, JOURNAL_HEADER_BYTES);
	for (size_t i = 0; i < RECORDS; i++) {
		offs[i] = len;
		len += put_record(small + len, x,
				  hex_bytes(xs[i], x, sizeof(x)));
	}
	offs[RECORDS] = len;
	return vectors_open(state);
}

/* With a page after the last byte that must not be touched. */
static struct journal_check
checked(const uint8_t *bytes, size_t len)
{
	struct journal_bytes b =
		journal_bytes_all(fence_place(&in_fence, bytes, len), len);

	return journal_check(&b, NULL);
}

static void
assert_check(const uint8_t *bytes, size_t len, enum journal_verdict verdict,
	     uint64_t records, uint64_t good_bytes, uint64_t next_record_off)
{
	struct journal_check c = checked(bytes, len);

	assert_int_equal(c.verdict, verdict);
	assert_int_equal(c.records, records);
	assert_int_equal(c.good_bytes, good_bytes);
	assert_int_equal(c.next_record_off, next_record_off);
	assert_true((c.why == NULL) == (verdict == JOURNAL_WHOLE));
}

/* ---- whole files ---- */

static void
test_vectors(void **state)
{
	static const struct {
		const char *name;
		enum journal_verdict verdict;
		uint64_t records, good_bytes;
	} expected[] = {
		{ "log_2_records", JOURNAL_WHOLE, 2, 169 },
		{ "log_empty", JOURNAL_WHOLE, 0, 8 },
		{ "log_torq_real_2", JOURNAL_WHOLE, 2, 699 },
		{ "log_truncated_tail", JOURNAL_TORN, 1, 113 },
	};
	size_t cnt = 0;

	(void)state;
	for (size_t i = 0; i < vectors.cnt; i++)
		cnt += vector_is(&vectors.items[i], "log");
	assert_int_equal(cnt, ARRAY_LEN(expected));
	for (size_t i = 0; i < cnt; i++) {
		const struct vector *v = vectors_find(expected[i].name);

		assert_check(v->bytes, v->len, expected[i].verdict,
			     expected[i].records, expected[i].good_bytes, 0);
	}
}

static void
test_records(void **state)
{
	const uint8_t *bytes = fence_place(&in_fence, small, offs[RECORDS]);
	struct journal_record r;
	const char *why;

	(void)state;
	for (size_t i = 0; i < RECORDS; i++) {
		assert_int_equal(
			journal_next(bytes, offs[RECORDS], offs[i], &r, &why),
			JOURNAL_RECORD);
		assert_ptr_equal(r.at, bytes + offs[i]);
		assert_int_equal(r.len, offs[i + 1] - offs[i]);
		assert_int_equal(r.table_len, 5);
		assert_memory_equal(r.table, "trade", 6);
		assert_ptr_equal(r.x, bytes + offs[i] + 18);
	}
	assert_int_equal(
		journal_next(bytes, offs[RECORDS], offs[RECORDS], &r, &why),
		JOURNAL_END);
}

static void
test_prefixes(void **state)
{
	size_t records = 0;

	(void)state;
	for (size_t len = 0; len < JOURNAL_HEADER_BYTES; len++)
		assert_check(small, len, JOURNAL_FOREIGN, 0, 0, 0);
	for (size_t len = offs[0]; len <= offs[RECORDS]; len++) {
		if (len == offs[records + 1])
			records++;
		assert_check(small, len,
			     len == offs[records] ? JOURNAL_WHOLE
						  : JOURNAL_TORN,
			     records, offs[records], 0);
	}
	assert_int_equal(records, RECORDS);
}

static void
test_header(void **state)
{
	static uint8_t bytes[sizeof(small)];

	(void)state;
	memcpy(bytes, small, sizeof(bytes));
	for (size_t i = 0; i < 8 * JOURNAL_HEADER_BYTES; i++) {
		bytes[i / 8] ^= (uint8_t)(1u << i % 8);
		assert_check(bytes, offs[RECORDS], JOURNAL_FOREIGN, 0, 0, 0);
		bytes[i / 8] = small[i / 8];
	}
}

/* ---- bad bytes ---- */

/* Each of these bytes, if wrong, leaves no record at its place. */
static void
test_damaged(void **state)
{
	static const size_t places[] = { 0, 2, 6, 7, 11 };
	static uint8_t bytes[sizeof(small)];

	(void)state;
	memcpy(bytes, small, sizeof(bytes));
	for (size_t i = 0; i < RECORDS; i++) {
		for (size_t j = 0; j < ARRAY_LEN(places); j++) {
			uint64_t off = offs[i] + places[j];
			bool is_last = i + 1 == RECORDS;

			bytes[off] ^= 0x40;
			assert_check(bytes, offs[RECORDS],
				     is_last ? JOURNAL_TORN : JOURNAL_DAMAGED,
				     i, offs[i], is_last ? 0 : offs[i + 1]);
			bytes[off] = small[off];
		}
	}
}

/*
 * Any bit: no record before it is doubted, and the place where records are said
 * to continue is the start of a record.
 */
static void
test_flipped(void **state)
{
	static uint8_t bytes[sizeof(small)];
	size_t damaged = 0;

	(void)state;
	memcpy(bytes, small, sizeof(bytes));
	for (size_t bit = 8 * offs[0]; bit < 8 * offs[RECORDS]; bit++) {
		struct journal_check c;
		size_t hit = 0, next = 0;

		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		c = checked(bytes, offs[RECORDS]);
		bytes[bit / 8] = small[bit / 8];
		while (offs[hit + 1] <= bit / 8)
			hit++;
		assert_int_not_equal(c.verdict, JOURNAL_FOREIGN);
		assert_true(c.records >= hit && c.good_bytes >= offs[hit]);
		if (c.verdict != JOURNAL_DAMAGED)
			continue;
		while (next < RECORDS && offs[next] != c.next_record_off)
			next++;
		assert_true(next < RECORDS && next > hit);
		damaged++;
	}
	assert_true(damaged > 100);
}

static void
test_zero_tail(void **state)
{
	static uint8_t bytes[sizeof(small)];

	(void)state;
	memcpy(bytes, small, offs[RECORDS]);
	for (size_t zeros = 1; zeros < 100; zeros++)
		assert_check(bytes, offs[RECORDS] + zeros, JOURNAL_TORN,
			     RECORDS, offs[RECORDS], 0);
	/* and a hole, with a record after it */
	for (size_t zeros = 1; zeros < 100; zeros++) {
		uint64_t behind = offs[RECORDS] + zeros;
		uint64_t len = offs[1] - offs[0];

		memcpy(bytes + behind, small + offs[0], len);
		assert_check(bytes, behind + len, JOURNAL_DAMAGED, RECORDS,
			     offs[RECORDS], behind);
		memset(bytes + behind, 0, len);
	}
}

/* A whole record before other bad bytes is not enough to be believed. */
static void
test_search(void **state)
{
	static uint8_t bytes[2 * sizeof(small)];
	uint64_t len = offs[RECORDS];
	struct journal_bytes all;

	(void)state;
	memcpy(bytes, small, len);
	memset(bytes + len, 0xee, 7);
	len += 7;
	memcpy(bytes + len, small + offs[1], offs[2] - offs[1]);
	len += offs[2] - offs[1];
	bytes[len++] = 0xee;
	assert_check(bytes, len, JOURNAL_TORN, RECORDS, offs[RECORDS], 0);
	memcpy(bytes + len, small + offs[0], offs[2] - offs[0]);
	assert_check(bytes, len + offs[2] - offs[0], JOURNAL_DAMAGED, RECORDS,
		     offs[RECORDS], len);
	all = journal_bytes_all(bytes, len);
	assert_int_equal(journal_search(&all, offs[RECORDS]), 0);
	assert_int_equal(journal_search(&all, offs[2]), offs[2]);
}

/* Bytes that only look like records must not keep the daemon from starting. */
static void
test_search_ends(void **state)
{
	static uint8_t bytes[64 << 10];
	uint64_t len = JOURNAL_HEADER_BYTES;

	(void)state;
	memcpy(bytes, journal_header, JOURNAL_HEADER_BYTES);
	bytes[len++] = 0xee;
	while (len + 11 <= sizeof(bytes)) {
		memcpy(bytes + len, small + offs[0], 11);
		len += 11;
	}
	assert_check(bytes, len, JOURNAL_DAMAGED, 0, 8, 9 + 999 * 11);
	assert_check(bytes, 9 + 999 * 11, JOURNAL_TORN, 0, 8, 0);
}

/* ---- objects of all kinds ---- */

/* The short cuts of journal_next against wire_skip, on any bytes as x. */
static void
compare(const uint8_t *x, size_t len, const char *name)
{
	static uint8_t record[LEN_MAX];
	size_t record_len = put_record(record, x, len);
	const uint8_t *at = fence_place(&in_fence, record, record_len);
	struct wire_reader w = wire_reader(at + record_len - len, len, false);
	struct journal_record r;
	const char *why;
	bool is_record =
		journal_next(at, record_len, 0, &r, &why) == JOURNAL_RECORD &&
		r.unknown == NULL;

	wire_skip(&w);
	if (is_record != (w.bad == NULL))
		fail_msg("%s, %zu bytes: %s", name, len,
			 is_record ? "accepted" : "refused");
	if (is_record && r.at + r.len != w.at)
		fail_msg("%s, %zu bytes: another end", name, len);
}

static void
test_short_cuts(void **state)
{
	static uint8_t x[LEN_MAX];

	(void)state;
	for (size_t i = 0; i < vectors.cnt; i++) {
		const struct vector *v = &vectors.items[i];
		/* The same object three times in a list, as columns are. */
		size_t body = v->len < 9 ? 0 : v->len - 8, len = 6;

		if (body == 0 || body > 2000 || v->bytes[2] != 0)
			continue;
		memcpy(x, "\0\0\3\0\0\0", 6);
		for (int n = 0; n < 3; n++, len += body)
			memcpy(x + len, v->bytes + 8, body);
		for (size_t cut = 0; cut <= len; cut++)
			compare(x, cut, v->name);
		for (size_t bit = 0; bit < 8 * (6 + body); bit++) {
			x[bit / 8] ^= (uint8_t)(1u << bit % 8);
			compare(x, len, v->name);
			x[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
		compare(v->bytes + 8, body, v->name);
	}
}

/* ---- a last record that is cut off ---- */

/* A column `rows` of char vectors, each of them the `len` bytes at cell. */
static size_t
put_strings(uint8_t *out, uint32_t rows, const uint8_t *cell, uint32_t len)
{
	struct wire_writer w = wire_writer(out, LEN_MAX);

	wire_put_list(&w, KT_LIST, KA_NONE, rows);
	for (uint32_t i = 0; i < rows; i++) {
		wire_put_list(&w, KT_CHAR, KA_NONE, len);
		wire_put_bytes(&w, cell, len);
	}
	assert_false(w.is_full);
	return wire_written(&w);
}

/* (`upd;`trade;(sym;text)) of `rows` rows of the same text. */
static size_t
put_texts(uint8_t *out, uint32_t rows, const uint8_t *cell, uint32_t len)
{
	size_t at = hex_bytes("00 00 03000000 f5 75706400 f5 747261646500"
			      "00 00 02000000", out, 64);
	struct wire_writer w = wire_writer(out + at, LEN_MAX - at);

	wire_put_list(&w, KT_SYMBOL, KA_NONE, rows);
	for (uint32_t i = 0; i < rows; i++)
		wire_put_symbol_item(&w, "IBM", 3);
	at += wire_written(&w);
	return at + put_strings(out + at, rows, cell, len);
}

/* Cut off at each byte, or step by step: torn, whatever its cells contain. */
static void
assert_torn_everywhere(uint8_t *bytes, size_t record_len, size_t step)
{
	size_t whole = offs[RECORDS];

	for (size_t len = 1; len < record_len; len += step)
		assert_check(bytes, whole + len, JOURNAL_TORN, RECORDS, whole,
			     0);
	assert_check(bytes, whole + record_len, JOURNAL_WHOLE, RECORDS + 1,
		     whole + record_len, 0);
}

static void
test_cut_record_of_records(void **state)
{
	static uint8_t bytes[LEN_MAX];
	size_t whole = offs[RECORDS], len;

	(void)state;
	memcpy(bytes, small, whole);
	/* a cell that holds two records, and one with five */
	len = put_texts(bytes + whole, 1, small + offs[0],
			(uint32_t)(offs[2] - offs[0]));
	assert_torn_everywhere(bytes, len, 1);
	len = put_texts(bytes + whole, 3, small + offs[0],
			(uint32_t)(whole - offs[0]));
	assert_torn_everywhere(bytes, len, 1);
	/* many captured records, one in each cell */
	len = put_texts(bytes + whole, 1001, small + offs[2],
			(uint32_t)(offs[3] - offs[2]));
	assert_torn_everywhere(bytes, len, 211);
	/* and in a row, whose cells have any length */
	len = hex_bytes("00 00 03000000 f5 75706400 f5 747261646500"
			"00 00 03000000 f5 6100 0a 00 02000000 6869",
			bytes + whole, 64);
	len += put_strings(bytes + whole + len, 2, small + offs[0],
			   (uint32_t)(offs[2] - offs[0]));
	assert_torn_everywhere(bytes, len, 1);
}

/* A damaged count claims bytes that were never there: to call that torn would
 * move the rest of the day away. */
static void
test_damaged_count(void **state)
{
	static uint8_t bytes[sizeof(small)];
	/* of the symbols, the floats and the longs of the first record */
	static const size_t counts[] = { 48, 63, 85 };

	(void)state;
	memcpy(bytes, small, sizeof(bytes));
	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		uint8_t *count = bytes + offs[0] + counts[i];

		assert_int_equal(wire_load_u32(count), 2);
		wire_store_u32(count, 2 + 4096);
		assert_check(bytes, offs[RECORDS], JOURNAL_DAMAGED, 0, offs[0],
			     offs[1]);
		wire_store_u32(count, 2);
	}
	/* more than any message has */
	wire_store_u32(bytes + offs[0] + 26, UINT32_MAX - 2);
	assert_check(bytes, offs[RECORDS], JOURNAL_DAMAGED, 0, offs[0],
		     offs[1]);
}

/* ---- objects that are not known, but whole ---- */

static const struct {
	const char *x;
	bool is_known;
} objects[] = {
	/* a cell that is a table, whose column b is a table */
	{ "00 00 01000000 00 00 01000000"
	  "62 00 63 0b 00 02000000 6100 6200 00 00 02000000"
	  "06 00 02000000 0100000002000000"
	  "62 00 63 0b 00 01000000 6300 00 00 01000000"
	  "06 00 02000000 0300000004000000",
	  true },
	/* a column that is a dictionary; a lambda; a projection */
	{ "62 00 63 0b 00 01000000 6100 00 00 01000000"
	  "63 0b 00 01000000 6b00 06 00 01000000 07000000",
	  true },
	{ "00 00 02000000 64 00 0a 00 03000000 7b787d 65 00", true },
	{ "00 00 01000000 68 02000000 66 00 fa 01000000", true },
	/* columns that differ in length, in a cell */
	{ "00 00 01000000 62 00 63 0b 00 01000000 6100 00 00 02000000"
	  "06 00 01000000 01000000 06 00 00000000",
	  false },
	/* a boolean of 2; an attribute of 9; a primitive of ee */
	{ "01 00 02000000 0002", false },
	{ "06 09 01000000 01000000", false },
	{ "00 00 01000000 65 ee", false },
	/* a dictionary whose sides differ, and a count of 8 bytes */
	{ "63 06 00 01000000 01000000 06 00 00000000", false },
	{ "06 80 0100000000000000 01000000", true },
};

static void
test_unknown(void **state)
{
	static uint8_t bytes[LEN_MAX];
	struct journal_check c;
	uint8_t x[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(objects); i++) {
		size_t x_len = hex_bytes(objects[i].x, x, sizeof(x));
		size_t whole = offs[2], len;

		memcpy(bytes, small, whole);
		len = put_record(bytes + whole, x, x_len);
		for (size_t cut = 1; cut < len; cut++)
			assert_check(bytes, whole + cut, JOURNAL_TORN, 2, whole,
				     0);
		memcpy(bytes + whole + len, small + whole, 40);
		c = checked(bytes, whole + len);
		assert_int_equal(c.verdict, JOURNAL_WHOLE);
		assert_int_equal(c.records, 3);
		assert_int_equal(c.unknown_records, !objects[i].is_known);
		assert_int_equal(c.unknown_first, objects[i].is_known ? 0 : 2);
		assert_true((c.unknown_why == NULL) == objects[i].is_known);
	}
}

/* As deep as q can nest, which would overflow a stack. */
static void
test_unknown_depth(void **state)
{
	enum { DEPTH = 100000 };
	static uint8_t bytes[LEN_MAX];
	size_t len = offs[RECORDS];
	struct journal_check c;

	(void)state;
	memcpy(bytes, small, len);
	len += put_record(bytes + len, NULL, 0);
	for (size_t i = 0; i < DEPTH; i++, len += 6)
		memcpy(bytes + len, "\0\0\1\0\0\0", 6);
	assert_check(bytes, len + 1, JOURNAL_TORN, RECORDS, offs[RECORDS], 0);
	memcpy(bytes + len, "\xfc\1", 2);
	c = checked(bytes, len + 2);
	assert_int_equal(c.verdict, JOURNAL_WHOLE);
	assert_int_equal(c.unknown_records, 1);
}

/* Lists within lists: the limit is that of wire_skip, on either way. */
static void
test_depth(void **state)
{
	uint8_t x[6 * (WIRE_DEPTH_MAX + 2) + 16];

	(void)state;
	for (size_t depth = 1; depth <= WIRE_DEPTH_MAX + 2; depth++) {
		size_t len = 0;

		for (size_t i = 0; i < depth; i++, len += 6)
			memcpy(x + len, "\0\0\1\0\0\0", 6);
		memcpy(x + len, "\xfc\1", 2);
		compare(x, len + 2, "lists");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_flipped),
		cmocka_unit_test(test_zero_tail),
		cmocka_unit_test(test_search),
		cmocka_unit_test(test_search_ends),
		cmocka_unit_test(test_short_cuts),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_cut_record_of_records),
		cmocka_unit_test(test_damaged_count),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_unknown_depth),
	};

	return cmocka_run_group_tests(tests, set_up, vectors_close);
}
