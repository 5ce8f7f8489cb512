#include "config.h"

#include "schema/update.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "../frames.h"
#include "base/util.h"
#include "../vectors.h"
#include "wire/wire.h"

enum { LEN_MAX = 1 << 16 };

/* 2026.11.22D09:30:00.123456789, and its stamp in each type of time */
#define NOW	  848655000123456789ll
#define STAMP_P	  "15bd37eb3907c70b"
#define STAMP_N	  "15bd35d61a1f0000"
#define STAMP_T	  "3bda0902"
#define TIME_P(s) "0c00 01000000" s
#define TIME_N(s) "1000 01000000" s
#define TIME_T(s) "1300 01000000" s

static struct update u; /* the last accepted update */

static void
add_table(const char *name, const char *const *columns)
{
	struct schema_table *t;
	struct schema_error err;

	assert_int_equal(schema_add_table(&schema, name, &t, &err), 0);
	for (; columns[0] != NULL; columns += 2)
		assert_int_equal(schema_add_column(t, columns[0], columns[1],
						   KA_NONE, &err),
				 0);
}

static int
set_up(void **state)
{
	static const char *const trade[] = { "time",  "n", "sym", "s",
					     "price", "f", NULL };
	static const char *const stamp[] = { "time",  "p", "sym", "s",
					     "price", "f", NULL };
	static const char *const clock[] = { "time",  "t", "sym", "s",
					     "price", "f", NULL };
	static const char *const news[] = { "time", "n",      "sym", "s",
					    "text", "string", NULL };
	static const char *const any[] = { "time", "n",	   "sym", "s",
					   "v",	   "list", NULL };
	static const char *const pair[] = { "time", "n", "sym", "s", NULL };
	static const char *const names[] = { "time", "n",   "sym", "s", "ex",
					     "s",    "ccy", "s",   NULL };
	static const char *const letters[] = { "time", "n",	 "sym",
					       "c",    "side",	 "c",
					       "text", "string", NULL };
	struct schema_error err;

	(void)state;
	add_table("trade", trade);
	add_table("stamp", stamp);
	add_table("clock", clock);
	add_table("news", news);
	add_table("any", any);
	add_table("pair", pair);
	add_table("names", names);
	add_table("letters", letters);
	assert_int_equal(schema_finish(&schema, &err), 0);
	fences_open();
	return 0;
}

static int
tear_down(void **state)
{
	fences_close();
	return schema_close(state);
}

/* ---- one update ---- */

/* Writes the last update, checks the frame up to its columns, and returns the
 * columns. */
static const uint8_t *
write_columns(size_t *out_len)
{
	const struct schema_table *t = u.table;
	size_t prefix = t->publish_prefix_len, len = u.frame_len;
	uint8_t *at = fence_room(&out_fence, len + 1);
	bool has_long_counts;

	*at++ = 0xa5;
	update_write(&u, NOW, at);
	assert_int_equal(at[-1], 0xa5);
	assert_int_equal(wire_load_u32(at + 4), len);
	assert_memory_equal(at, t->publish_prefix, 4);
	assert_memory_equal(at + WIRE_HEADER_BYTES,
			    t->publish_prefix + WIRE_HEADER_BYTES,
			    prefix - WIRE_HEADER_BYTES);
	/* a subscriber can read the frame, and it needs no rewriting */
	assert_null(wire_check_body(at + WIRE_HEADER_BYTES,
				    len - WIRE_HEADER_BYTES, false,
				    &has_long_counts));
	assert_false(has_long_counts);
	*out_len = len - prefix;
	return at + prefix;
}

/* Every prefix is malformed, and so is x with a byte after it; *out is not
 * changed. */
static void
check_broken(const struct schema_table *t, const uint8_t *x, size_t len,
	     enum check_mode check)
{
	struct update none, before;
	const char *why;
	uint8_t longer[1024];

	assert_true(len < sizeof(longer));
	memset(&none, 0x5a, sizeof(none));
	before = none;
	for (size_t n = 0; n < len; n++) {
		uint8_t *at = fence_place(&in_fence, x, n);

		why = NULL;
		if (update_parse(t, at, n, check, &none, &why) != UPDATE_BAD)
			fail_msg("%zu of %zu bytes are not bad", n, len);
		assert_non_null(why);
	}
	memcpy(longer, x, len);
	longer[len] = 0;
	assert_int_equal(update_parse(t,
				      fence_place(&in_fence, longer, len + 1),
				      len + 1, check, &none, &why),
			 UPDATE_BAD);
	assert_memory_equal(&none, &before, sizeof(none));
}

/* The error is kdb+'s word, followed by a sentence. */
static void
check_word(const char *why, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(why, word, len) != 0 || strncmp(why + len, ": ", 2) != 0)
		fail_msg("%s: is no '%s", why, word);
}

/* `expected` is the columns in hex, or a quote and the word of an error. */
static void
check_bytes(const char *name, const uint8_t *x, size_t len,
	    enum check_mode check, const char *expected)
{
	const struct schema_table *t = schema_named(&schema, name);
	uint8_t wanted[4096];
	const uint8_t *columns;
	size_t wanted_len, columns_len;
	const char *why = NULL;
	enum update_result result;

	check_broken(t, x, len, check);
	x = fence_place(&in_fence, x, len);
	result = update_parse(t, x, len, check, &u, &why);
	if (expected[0] == '\'') {
		assert_int_equal(result, UPDATE_REFUSED);
		check_word(why, expected + 1);
		return;
	}
	if (result != UPDATE_OK)
		fail_msg("result %d: %s", (int)result, why);
	assert_ptr_equal(u.table, t);
	columns = write_columns(&columns_len);
	wanted_len = hex_bytes(expected, wanted, sizeof(wanted));
	assert_int_equal(columns_len, wanted_len);
	assert_memory_equal(columns, wanted, wanted_len);
}

static void
check_as(enum check_mode check, const char *name, const char *x_hex,
	 const char *expected)
{
	uint8_t x[4096];
	size_t len = hex_bytes(x_hex, x, sizeof(x));

	check_bytes(name, x, len, check, expected);
}

static void
check(const char *name, const char *x_hex, const char *expected)
{
	check_as(CHECK_TYPES, name, x_hex, expected);
}

/* Pieces: vectors of two, atoms, and the vectors that the atoms become. */
#define LIST(n) "0000 0" #n "000000"
#define TIMES	"1000 02000000 0100000000000000 0200000000000000"
#define TIMES_P "0c00 02000000 0100000000000000 0200000000000000"
#define TIMES_T "1300 02000000 01000000 02000000"
#define SYMS	"0b00 02000000 4100 424300"
#define PRICES	"0900 02000000 000000000000f83f 0000000000000040"
#define LONGS	"0700 02000000 0100000000000000 0200000000000000"
#define TIME_A	"f0 0700000000000000"
#define TIME_AP "f4 0700000000000000"
#define TIME_AT "ed 07000000"
#define SYM_A	"f5 49424d00"
#define PRICE_A "f7 000000000000f83f"
#define LONG_A	"f9 0500000000000000"
#define TIME_1	"1000 01000000 0700000000000000"
#define TIME_1P "0c00 01000000 0700000000000000"
#define TIME_1T "1300 01000000 07000000"
#define SYM_1	"0b00 01000000 49424d00"
#define PRICE_1 "0900 01000000 000000000000f83f"
#define LONG_1	"0700 01000000 0500000000000000"

/* ---- bulk columns ---- */

/* tick-contract.md section 7: sent data and the published columns. */
static void
test_golden(void **state)
{
	static const char x[] = "0000 03000000 1000 01000000 0100000000000000"
				"0b00 01000000 4100"
				"0900 01000000 000000000000f83f";
	static const char published[] =
		"01000000 5c000000 0000 03000000 f575706400 f5747261646500"
		"6200 63 0b00 03000000 74696d6500 73796d00 707269636500"
		"0000 03000000 1000 01000000 0100000000000000"
		"0b00 01000000 4100 0900 01000000 000000000000f83f";
	uint8_t wanted[128];
	size_t len, wanted_len = hex_bytes(published, wanted, sizeof(wanted));
	const uint8_t *columns;

	(void)state;
	check("trade", x, x + sizeof("0000 03000000"));
	assert_true(u.is_verbatim);
	columns = write_columns(&len);
	assert_int_equal(u.frame_len, wanted_len);
	assert_memory_equal(columns + len - wanted_len, wanted, wanted_len);
}

static void
test_bulk(void **state)
{
	(void)state;
	check("trade", LIST(3) TIMES SYMS PRICES, TIMES SYMS PRICES);
	assert_int_equal(u.rows, 2);
	assert_true(u.has_time && u.is_verbatim);
	check("stamp", LIST(3) TIMES_P SYMS PRICES, TIMES_P SYMS PRICES);
	check("clock", LIST(3) TIMES_T SYMS PRICES, TIMES_T SYMS PRICES);
}

/* A missing time is added, in the column's own type, the same for every row. */
static void
test_bulk_without_time(void **state)
{
	(void)state;
	check("trade", LIST(2) SYMS PRICES,
	      "1000 02000000" STAMP_N STAMP_N SYMS PRICES);
	assert_false(u.has_time);
	assert_true(u.is_verbatim);
	check("stamp", LIST(2) SYMS PRICES,
	      "0c00 02000000" STAMP_P STAMP_P SYMS PRICES);
	check("clock", LIST(2) SYMS PRICES,
	      "1300 02000000" STAMP_T STAMP_T SYMS PRICES);
}

/* A time of another type is not the time of this table, but one column too
 * many. */
static void
test_another_type_of_time(void **state)
{
	(void)state;
	check("trade", LIST(3) TIMES_P SYMS PRICES, "'length");
	check("stamp", LIST(3) TIMES SYMS PRICES, "'length");
	check("clock", LIST(3) TIMES SYMS PRICES, "'length");
	check("trade", LIST(3) TIME_AP SYM_A PRICE_A, "'length");
}

/* Before 2000 and at the ends of a day. */
static void
check_stamp(const char *name, int64_t local_ns, uint64_t value)
{
	static const uint8_t x[] = { 0, 0, 2, 0, 0, 0, 0xf5, 0, 0xf7,
				     0, 0, 0, 0, 0, 0, 0,    0 };
	const char *why;
	uint8_t frame[256];
	size_t off, width;

	assert_int_equal(
		update_parse(schema_named(&schema, name), x, sizeof(x),
			     CHECK_TYPES, &u, &why),
		UPDATE_OK);
	assert_true(u.frame_len <= sizeof(frame));
	update_write(&u, local_ns, frame);
	off = u.table->publish_prefix_len + 6;
	width = wire_item_bytes(u.table->columns[0].type);
	for (size_t i = 0; i < width; i++)
		assert_int_equal(frame[off + i], (uint8_t)(value >> 8 * i));
}

static void
test_stamps(void **state)
{
	static const int64_t times[] = {
		0,   1,	 NS_PER_DAY - 1, NS_PER_DAY,
		NOW, -1, -NS_PER_DAY,	 -NS_PER_DAY - 1
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		int64_t of_day = times[i] % NS_PER_DAY;

		if (of_day < 0)
			of_day += NS_PER_DAY;
		check_stamp("stamp", times[i], (uint64_t)times[i]);
		check_stamp("trade", times[i], (uint64_t)of_day);
		check_stamp("clock", times[i], (uint64_t)(of_day / NS_PER_MS));
	}
}

/* Atoms among columns are extended, as flip does it. */
static void
test_extended_atoms(void **state)
{
	(void)state;
	check("trade", LIST(3) TIMES SYM_A PRICES,
	      TIMES "0b00 02000000 49424d00 49424d00" PRICES);
	assert_false(u.is_verbatim);
	check("trade", LIST(3) TIMES SYM_A PRICE_A,
	      TIMES "0b00 02000000 49424d00 49424d00"
		    "0900 02000000 000000000000f83f 000000000000f83f");
	check("trade", LIST(2) SYMS PRICE_A,
	      "1000 02000000" STAMP_N STAMP_N SYMS
	      "0900 02000000 000000000000f83f 000000000000f83f");
	check("any", LIST(3) TIMES SYMS LONG_A,
	      TIMES SYMS "0700 02000000 0500000000000000 0500000000000000");
	check("trade", LIST(3) TIMES SYM_A LONG_A, "'type");
}

/* The length of one long atom extended to many rows is computed, not written.
 */
static void
test_extended_beyond_4_gib(void **state)
{
	enum { ROWS = 1000000, SYMBOL = 8192 };
	size_t len = 6 + 6 + ROWS + 1 + SYMBOL + 1 + 2;
	uint8_t *x = calloc(1, len);
	const struct schema_table *t = schema_named(&schema, "names");
	struct wire_writer w;
	const char *why;

	(void)state;
	assert_non_null(x);
	w = wire_writer(x, len);
	wire_put_list(&w, KT_LIST, KA_NONE, 3);
	wire_put_list(&w, KT_SYMBOL, KA_NONE, ROWS);
	w.at += ROWS;
	wire_put_u8(&w, (uint8_t)-KT_SYMBOL);
	memset(w.at, 'x', SYMBOL);
	w.at += SYMBOL + 1;
	wire_put_symbol(&w, "");
	assert_int_equal(wire_written(&w), len);
	assert_int_equal(update_parse(t, x, len, CHECK_TYPES, &u, &why),
			 UPDATE_OK);
	assert_int_equal(u.rows, ROWS);
	assert_int_equal(u.frame_len,
			 t->publish_prefix_len + 6 + 8ull * ROWS + 6 + ROWS +
				 6 + (SYMBOL + 1ull) * ROWS + 6 + ROWS);
	free(x);
}

static void
test_attributes_are_kept(void **state)
{
	(void)state;
	check("trade",
	      LIST(3) "1001 02000000 0100000000000000 0200000000000000"
		      "0b04 02000000 4100 424300" PRICES,
	      "1001 02000000 0100000000000000 0200000000000000"
	      "0b04 02000000 4100 424300" PRICES);
	check("trade", LIST(2) "0b03 02000000 4100 424300" PRICE_A,
	      "1000 02000000" STAMP_N STAMP_N "0b03 02000000 4100 424300"
	      "0900 02000000 000000000000f83f 000000000000f83f");
}

static void
test_empty(void **state)
{
	(void)state;
	check("trade", LIST(3) "1000 00000000 0b00 00000000 0900 00000000",
	      "1000 00000000 0b00 00000000 0900 00000000");
	assert_int_equal(u.rows, 0);
	check("trade", LIST(2) "0b00 00000000 0900 00000000",
	      "1000 00000000 0b00 00000000 0900 00000000");
	assert_int_equal(u.rows, 0);
	/* no columns at all */
	check("trade", LIST(0), "'length");
	check("trade", "0b00 00000000", "'length");
	check("trade", "0700 00000000", "'length");
}

static void
test_wrong_lengths(void **state)
{
	(void)state;
	check("trade", LIST(1) TIMES, "'length");
	check("trade", LIST(2) TIMES SYMS, "'length");
	check("trade", LIST(3) SYMS PRICES PRICES, "'length");
	check("trade", LIST(4) TIMES SYMS PRICES PRICES, "'length");
	check("trade", LIST(3) TIMES SYMS PRICE_1, "'length");
	check("trade", LIST(3) TIMES SYM_1 PRICES, "'length");
	check("trade", LIST(2) SYMS PRICE_1, "'length");
	check("trade", LIST(3) TIMES "0b00 00000000" PRICES, "'length");
	check("any", LIST(3) TIMES SYMS LIST(0), "'length");
	check("any", LIST(3) TIMES SYMS LIST(1) LONG_A, "'length");
}

/* ---- rows ---- */

static void
test_row(void **state)
{
	(void)state;
	check("trade", LIST(3) TIME_A SYM_A PRICE_A, TIME_1 SYM_1 PRICE_1);
	assert_int_equal(u.rows, 1);
	check("stamp", LIST(3) TIME_AP SYM_A PRICE_A, TIME_1P SYM_1 PRICE_1);
	check("clock", LIST(3) TIME_AT SYM_A PRICE_A, TIME_1T SYM_1 PRICE_1);
	check("trade", LIST(2) SYM_A PRICE_A, TIME_N(STAMP_N) SYM_1 PRICE_1);
	check("stamp", LIST(2) SYM_A PRICE_A, TIME_P(STAMP_P) SYM_1 PRICE_1);
	check("clock", LIST(2) SYM_A PRICE_A, TIME_T(STAMP_T) SYM_1 PRICE_1);
	check("trade", LIST(1) SYM_A, "'length");
	check("trade", LIST(2) TIME_A SYM_A, "'length");
	check("trade", LIST(3) SYM_A PRICE_A PRICE_A, "'length");
	check("trade", LIST(3) TIME_A SYM_A LONG_A, "'type");
	/* the first item makes this a row: a list among the cells is nested */
	check("trade", LIST(3) TIME_A SYM_A PRICES, "'type");
}

/* A bare vector is a row of one type. */
static void
test_vector(void **state)
{
	(void)state;
	check("names", "0b00 03000000 49424d00 4e00 5500",
	      TIME_N(STAMP_N) SYM_1 "0b00 01000000 4e00"
				    "0b00 01000000 5500");
	assert_int_equal(u.form, UPDATE_VECTOR);
	assert_int_equal(u.rows, 1);
	check("names", "0b00 02000000 49424d00 4e00", "'length");
	check("names", "0b00 04000000 4100 4100 4100 4100", "'length");
	check("trade", "0b00 02000000 4100 4200", "'type");
	check("trade", "0900 02000000 000000000000f83f 000000000000f83f",
	      "'type");
	check("trade", "0900 01000000 000000000000f83f", "'length");
	/* all timespans: the first is the time */
	check("pair", "1000 02000000 0700000000000000 0700000000000000",
	      "'type");
	check("any", "0b00 02000000 49424d00 4e00",
	      TIME_N(STAMP_N) SYM_1 "0b00 01000000 4e00");
	/* the attribute belongs to the row, not to a column */
	check("names", "0b01 03000000 4100 4200 4300",
	      TIME_N(STAMP_N) "0b00 01000000 4100 0b00 01000000 4200"
			      "0b00 01000000 4300");
	check("letters", "0a00 03000000 616263",
	      TIME_N(STAMP_N) "0a00 01000000 61 0a00 01000000 62"
			      "0000 01000000 0a00 01000000 63");
}

static void
test_atom(void **state)
{
	(void)state;
	check("pair", SYM_A, TIME_N(STAMP_N) SYM_1);
	check("pair", LONG_A, "'type");
	check("pair", TIME_A, "'length");
	check("trade", SYM_A, "'length");
}

/* ---- strings, untyped columns, nested cells ---- */

static void
test_strings(void **state)
{
	(void)state;
	/* ("up";"x"): the second is a char, and becomes a string of one */
	check("news", LIST(3) TIMES SYMS LIST(2) "0a00 02000000 7570 f678",
	      TIMES SYMS LIST(2) "0a00 02000000 7570 0a00 01000000 78");
	check("news", LIST(3) TIMES SYMS "f678",
	      TIMES SYMS LIST(2) "0a00 01000000 78 0a00 01000000 78");
	check("news", LIST(3) TIMES SYMS LIST(2) "0a00 00000000 0a00 00000000",
	      TIMES SYMS LIST(2) "0a00 00000000 0a00 00000000");
	/* all chars: a char vector on the wire */
	check("news", LIST(3) TIMES SYMS "0a00 02000000 7879",
	      TIMES SYMS LIST(2) "0a00 01000000 78 0a00 01000000 79");
	check("news", LIST(2) SYMS LIST(2) "f678 0a00 01000000 79",
	      "1000 02000000" STAMP_N STAMP_N SYMS LIST(
		      2) "0a00 01000000 78 0a00 01000000 79");
	check("news", LIST(3) TIMES SYMS SYMS, "'type");
	check("news", LIST(3) TIMES SYMS LIST(2) SYM_A SYM_A, "'type");
	check("news", LIST(3) TIMES SYMS LIST(2) "0a00 01000000 79" LONG_A,
	      "'type");
	/* a text instead of a list of texts */
	check("news", LIST(3) TIMES SYMS "0a00 05000000 68656c6c6f", "'length");
	check("news", LIST(3) "1000 00000000 0b00 00000000 0000 00000000",
	      "1000 00000000 0b00 00000000 0000 00000000");
}

/* One row: a text is one cell, however long; a char is a text of one char. */
static void
test_string_cells(void **state)
{
	(void)state;
	check("news", LIST(3) TIME_A SYM_A "0a00 05000000 68656c6c6f",
	      TIME_1 SYM_1 LIST(1) "0a00 05000000 68656c6c6f");
	check("news", LIST(3) TIME_A SYM_A "0a00 00000000",
	      TIME_1 SYM_1 LIST(1) "0a00 00000000");
	check("news", LIST(3) TIME_A SYM_A "f678",
	      TIME_1 SYM_1 LIST(1) "0a00 01000000 78");
	check("news", LIST(2) SYM_A "f678",
	      TIME_N(STAMP_N) SYM_1 LIST(1) "0a00 01000000 78");
	check("news", LIST(3) TIME_A SYM_A SYM_A, "'type");
	check("news", LIST(3) TIME_A SYM_A LIST(1) "f678", "'type");
	/* in a column of chars a char is a char */
	check("letters", LIST(4) TIME_A "f661 f662 f663",
	      TIME_1
	      "0a00 01000000 61 0a00 01000000 62" LIST(1) "0a00 01000000 63");
}

/* An untyped column takes any items; only its length is checked. */
static void
test_untyped(void **state)
{
	(void)state;
	check("any", LIST(3) TIMES SYMS LONGS, TIMES SYMS LONGS);
	check("any", LIST(3) TIMES SYMS LIST(2) LONG_A SYM_A,
	      TIMES SYMS LIST(2) LONG_A SYM_A);
	check("any", LIST(3) TIMES SYMS LIST(2) LONGS LIST(0),
	      TIMES SYMS LIST(2) LONGS LIST(0));
	check("any",
	      LIST(3) TIMES SYMS LIST(2) "6500"
					 "63" SYM_1 LONG_1,
	      TIMES SYMS LIST(2) "6500"
				 "63" SYM_1 LONG_1);
	/* cells: an atom makes a vector of one, anything else is nested */
	check("any", LIST(3) TIME_A SYM_A LONG_A, TIME_1 SYM_1 LONG_1);
	check("any", LIST(3) TIME_A SYM_A LONGS, TIME_1 SYM_1 LIST(1) LONGS);
	check("any", LIST(3) TIME_A SYM_A LIST(0),
	      TIME_1 SYM_1 LIST(1) LIST(0));
	check("any", LIST(3) TIME_A SYM_A "6500", TIME_1 SYM_1 LIST(1) "6500");
	check("any", LIST(3) TIME_A SYM_A "f678",
	      TIME_1 SYM_1 "0a00 01000000 78");
	/* but the column itself may not be a dictionary or a function */
	check("any", LIST(3) TIMES SYMS "63" SYM_1 LONG_1, "'type");
	check("any", LIST(3) TIMES SYMS "6500", "'type");
}

/* ---- tables ---- */

#define TABLE(n, names, columns) \
	"6200 63 0b00 0" #n "000000" names " 0000 0" #n "000000" columns
#define N_TIME	"74696d6500"
#define N_SYM	"73796d00"
#define N_PRICE "707269636500"

static void
test_table(void **state)
{
	(void)state;
	check("trade", TABLE(3, N_TIME N_SYM N_PRICE, TIMES SYMS PRICES),
	      TIMES SYMS PRICES);
	assert_true(u.is_verbatim);
	check("trade", TABLE(2, N_SYM N_PRICE, SYMS PRICES),
	      "1000 02000000" STAMP_N STAMP_N SYMS PRICES);
	check("trade", TABLE(3, N_TIME N_SYM N_PRICE, TIMES SYMS LONGS),
	      "'type");
	check("trade",
	      TABLE(3, N_TIME N_SYM N_PRICE,
		    "1000 00000000 0b00 00000000 0900 00000000"),
	      "1000 00000000 0b00 00000000 0900 00000000");
	assert_int_equal(u.rows, 0);
	/* a sorted table, and g# on sym, as an rdb would send it */
	check("trade",
	      "6201 63 0b00 03000000" N_TIME N_SYM N_PRICE LIST(3) TIMES
	      "0b04 02000000 4100 424300" PRICES,
	      TIMES "0b04 02000000 4100 424300" PRICES);
}

/* Columns are not reordered for the feed: wrong names are refused. */
static void
test_table_names(void **state)
{
	(void)state;
	check("trade", TABLE(3, N_SYM N_TIME N_PRICE, SYMS TIMES PRICES),
	      "'mismatch");
	check("trade", TABLE(3, N_TIME N_SYM "707200", TIMES SYMS PRICES),
	      "'mismatch");
	check("trade",
	      TABLE(3, N_TIME N_SYM "70726963657300", TIMES SYMS PRICES),
	      "'mismatch");
	check("trade", TABLE(2, N_TIME N_SYM, TIMES SYMS), "'mismatch");
	check("trade", TABLE(1, N_PRICE, PRICES), "'mismatch");
	check("trade",
	      TABLE(4, N_TIME N_SYM N_PRICE N_SYM, TIMES SYMS PRICES SYMS),
	      "'mismatch");
	check("trade", TABLE(3, "00 00 00", TIMES SYMS PRICES), "'mismatch");
	/* named time, but of another type */
	check("trade", TABLE(3, N_TIME N_SYM N_PRICE, TIMES_P SYMS PRICES),
	      "'length");
}

/* Objects that are not data: a keyed table, a dictionary, a function. */
static void
test_no_data(void **state)
{
	(void)state;
	check("trade", "63" TABLE(1, N_SYM, SYMS) TABLE(1, N_PRICE, PRICES),
	      "'type");
	check("trade", "63 0b00 01000000" N_SYM LONG_1, "'type");
	check("trade", "6500", "'type");
	check("trade", LIST(2) "6500 6500", "'type");
	check("trade", LIST(3) "63" SYM_1 LONG_1 SYM_A PRICE_A, "'type");
}

/* ---- each of the 18 types against each ---- */

static const char type_letters[] = "bgxhijefcspmdznuvt";

static int
type_of_letter(size_t i)
{
	static const int types[] = { 1,	 2,  4,	 5,  6,	 7,  8,	 9,  10,
				     11, 12, 13, 14, 15, 16, 17, 18, 19 };

	return types[i];
}

static void
put_value(struct wire_writer *w, int type, unsigned fill)
{
	uint8_t bytes[16];

	if (type == KT_SYMBOL) {
		wire_put_symbol_item(w, "ab", 2);
		return;
	}
	memset(bytes, type == KT_BOOLEAN ? 1 : (int)fill, sizeof(bytes));
	wire_put_bytes(w, bytes, wire_item_bytes(type));
}

static size_t
make_row(uint8_t *x, size_t room, int type)
{
	struct wire_writer w = wire_writer(x, room);

	wire_put_list(&w, KT_LIST, KA_NONE, 2);
	wire_put_symbol(&w, "s");
	wire_put_u8(&w, (uint8_t)-type);
	put_value(&w, type, 7);
	assert_false(w.is_full);
	return wire_written(&w);
}

static size_t
make_bulk(uint8_t *x, size_t room, int type)
{
	struct wire_writer w = wire_writer(x, room);

	wire_put_list(&w, KT_LIST, KA_NONE, 2);
	wire_put_list(&w, KT_SYMBOL, KA_NONE, 2);
	wire_put_symbol_item(&w, "s", 1);
	wire_put_symbol_item(&w, "", 0);
	wire_put_list(&w, type, KA_NONE, 2);
	put_value(&w, type, 7);
	put_value(&w, type, 8);
	assert_false(w.is_full);
	return wire_written(&w);
}

/* Parses into u; on success the value's column is as it was sent. */
static enum update_result
take(const struct schema_table *t, const uint8_t *x, size_t len,
     enum check_mode mode, const char **why)
{
	enum update_result result = update_parse(
		t, fence_place(&in_fence, x, len), len, mode, &u, why);
	size_t columns_len;

	if (result == UPDATE_OK)
		(void)write_columns(&columns_len);
	return result;
}

static void
check_types(const struct schema_table *t, int column, int sent)
{
	uint8_t x[128];
	const char *why = NULL;

	for (unsigned form = 0; form < 2; form++) {
		size_t len = form == 0 ? make_row(x, sizeof(x), sent)
				       : make_bulk(x, sizeof(x), sent);

		check_broken(t, x, len, CHECK_TYPES);
		if (sent == column) {
			assert_int_equal(take(t, x, len, CHECK_TYPES, &why),
					 UPDATE_OK);
			assert_int_equal(u.rows, form + 1);
		} else {
			assert_int_equal(take(t, x, len, CHECK_TYPES, &why),
					 UPDATE_REFUSED);
			check_word(why, "type");
		}
		/* as in tick.q: the subscriber has to check the types */
		assert_int_equal(take(t, x, len, CHECK_SHAPE, &why), UPDATE_OK);
	}
}

static void
test_all_types(void **state)
{
	(void)state;
	for (size_t i = 0; type_letters[i] != '\0'; i++) {
		char text[64];
		struct schema one;

		snprintf(text, sizeof(text),
			 "t:([]time:`timespan$();sym:`$();v:\"%c\"$())",
			 type_letters[i]);
		schema_of(&one, text);
		assert_int_equal(one.tables[0].columns[2].type,
				 type_of_letter(i));
		for (size_t k = 0; type_letters[k] != '\0'; k++)
			check_types(&one.tables[0], type_of_letter(i),
				    type_of_letter(k));
		schema_fini(&one);
	}
}

static void
test_shape_only(void **state)
{
	(void)state;
	check_as(CHECK_SHAPE, "trade", LIST(3) TIMES LONGS SYMS,
		 TIMES LONGS SYMS);
	check_as(CHECK_SHAPE, "trade", LIST(3) TIME_A LONG_A LONGS,
		 TIME_1 LONG_1 LIST(1) LONGS);
	check_as(CHECK_SHAPE, "news", LIST(3) TIMES SYMS LONGS,
		 TIMES SYMS LONGS);
	check_as(CHECK_SHAPE, "trade", "0b00 02000000 49424d00 4e00",
		 TIME_N(STAMP_N) SYM_1 "0b00 01000000 4e00");
	/* always refused: wrong lengths, and objects that are not columns */
	check_as(CHECK_SHAPE, "trade", LIST(3) TIMES LONG_1 SYMS, "'length");
	check_as(CHECK_SHAPE, "trade", LIST(2) TIMES SYMS, "'length");
	check_as(CHECK_SHAPE, "trade", LIST(3) TIMES SYMS "6500", "'type");
	check_as(CHECK_SHAPE, "trade", "6500", "'type");
}

/* ---- 8-byte counts ---- */

/* An update with such a count has to be rewritten, and is then like any other.
 */
static void
check_long(const char *name, const char *x_hex, const char *expected)
{
	uint8_t frame[512] = { 1 }, plain[512];
	size_t len = WIRE_HEADER_BYTES;
	const char *why = NULL;
	bool has_long_counts = false;

	len += hex_bytes(x_hex, frame + len, sizeof(frame) - len);
	wire_store_u32(frame + 4, (uint32_t)len);
	check_broken(schema_named(&schema, name), frame + WIRE_HEADER_BYTES,
		     len - WIRE_HEADER_BYTES, CHECK_TYPES);
	assert_int_equal(update_parse(schema_named(&schema, name),
				      frame + WIRE_HEADER_BYTES,
				      len - WIRE_HEADER_BYTES, CHECK_TYPES, &u,
				      &why),
			 UPDATE_REWRITE);
	assert_null(wire_check_body(frame + WIRE_HEADER_BYTES,
				    len - WIRE_HEADER_BYTES, false,
				    &has_long_counts));
	assert_true(has_long_counts);
	len = wire_rewrite(frame, len, plain);
	check_bytes(name, plain + WIRE_HEADER_BYTES, len - WIRE_HEADER_BYTES,
		    CHECK_TYPES, expected);
}

static void
test_long_counts(void **state)
{
	(void)state;
	check_long("trade", "0080 0300000000000000" TIMES SYMS PRICES,
		   TIMES SYMS PRICES);
	check_long("trade",
		   LIST(3) "1080 0200000000000000 0100000000000000"
			   "0200000000000000" SYMS PRICES,
		   TIMES SYMS PRICES);
	check_long("trade",
		   LIST(3) TIMES "0b84 0200000000000000 4100 424300" PRICES,
		   TIMES "0b04 02000000 4100 424300" PRICES);
	check_long("news", LIST(3) TIME_A SYM_A "0a80 0200000000000000 6869",
		   TIME_1 SYM_1 LIST(1) "0a00 02000000 6869");
	check_long("names", "0b80 0300000000000000 49424d00 4e00 5500",
		   TIME_N(STAMP_N) SYM_1 "0b00 01000000 4e00"
					 "0b00 01000000 5500");
	check_long("trade",
		   "6200 63 0b80 0200000000000000" N_SYM N_PRICE LIST(2)
			   SYMS PRICES,
		   "1000 02000000" STAMP_N STAMP_N SYMS PRICES);
	/* also an update that is refused, which only then becomes known */
	check_long("trade", LIST(2) "0b80 0100000000000000 4100" LONG_1,
		   "'type");
	check_long("trade", LIST(1) "0b80 0100000000000000 4100", "'length");
}

/* ---- malformed bytes after a reason to refuse ---- */

static void
check_bad(const char *name, const char *x_hex)
{
	uint8_t x[512];
	size_t len = hex_bytes(x_hex, x, sizeof(x));
	const char *why = NULL;

	assert_int_equal(update_parse(schema_named(&schema, name),
				      fence_place(&in_fence, x, len), len,
				      CHECK_TYPES, &u, &why),
			 UPDATE_BAD);
	assert_non_null(why);
}

/* The connection of a feed that sends garbage is closed, not answered. */
static void
test_malformed_wins(void **state)
{
	(void)state;
	check_bad("trade", LIST(4) TIMES SYMS PRICES "14 00000000");
	check_bad("trade", LIST(3) TIMES SYMS "0900 03000000 0000000000000000");
	check_bad("trade", LIST(2) LONGS "0100 01000000 02");
	check_bad("trade", LIST(2) "6500 ff05");
	check_bad("trade", LIST(3) TIMES SYMS "0905 00000000");
	check_bad("trade", "14 00");
	check_bad("trade", "80 7800");
	check_bad("trade", "0b00 ffffffff 00");
	check_bad("trade", "0000 ffffffff 00");
	check_bad("trade", "0080 ffffffffffffffff 00");
	check_bad("trade", TABLE(2, N_SYM N_PRICE, SYMS PRICE_1));
	check_bad("trade", TABLE(2, N_SYM N_SYM, SYMS PRICE_1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_bulk),
		cmocka_unit_test(test_bulk_without_time),
		cmocka_unit_test(test_another_type_of_time),
		cmocka_unit_test(test_stamps),
		cmocka_unit_test(test_extended_atoms),
		cmocka_unit_test(test_extended_beyond_4_gib),
		cmocka_unit_test(test_attributes_are_kept),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_wrong_lengths),
		cmocka_unit_test(test_row),
		cmocka_unit_test(test_vector),
		cmocka_unit_test(test_atom),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_string_cells),
		cmocka_unit_test(test_untyped),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_table_names),
		cmocka_unit_test(test_no_data),
		cmocka_unit_test(test_all_types),
		cmocka_unit_test(test_shape_only),
		cmocka_unit_test(test_long_counts),
		cmocka_unit_test(test_malformed_wins),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
