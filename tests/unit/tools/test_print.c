#include "config.h"

#include "tools/print.h"

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

/* An object in hex, with blanks, and its text as q shows it. */
static const struct {
	const char *hex, *text;
} objects[] = {
	/* atoms */
	{ "ff 01", "1b" },
	{ "fe 00112233445566778899aabbccddeeff",
	  "00112233-4455-6677-8899-aabbccddeeff" },
	{ "fc ab", "0xab" },
	{ "fb feff", "-2h" },
	{ "fb 0080", "0Nh" },
	{ "fb ff7f", "0Wh" },
	{ "fb 0180", "-0Wh" },
	{ "fa 2a000000", "42i" },
	{ "fa 00000080", "0Ni" },
	{ "f9 2a00000000000000", "42" },
	{ "f9 0000000000000080", "0N" },
	{ "f9 ffffffffffffff7f", "0W" },
	{ "f9 0100000000000080", "-0W" },
	{ "f8 0000c03f", "1.5e" },
	{ "f8 0000c0ff", "0Ne" },
	{ "f8 0000807f", "0we" },
	{ "f7 000000000000f83f", "1.5" },
	{ "f7 0000000000000840", "3f" },
	{ "f7 000000000000f8ff", "0n" },
	{ "f7 000000000000f87f", "0n" },
	{ "f7 000000000000f07f", "0w" },
	{ "f7 000000000000f0ff", "-0w" },
	{ "f7 00000020 5fa00242", "1e+10" },
	{ "f6 61", "\"a\"" },
	{ "f6 22", "\"\\\"\"" },
	{ "f6 1b", "\"\\033\"" },
	{ "f5 49424d00", "`IBM" },
	{ "f5 00", "`" },
	{ "f5 c3a900", "`\\303\\251" },
	{ "f4 0000000000000000", "2000.01.01D00:00:00.000000000" },
	{ "f4 ffffffffffffffff", "1999.12.31D23:59:59.999999999" },
	{ "f4 0200000000000080", "1707.09.22D00:12:43.145224194" },
	{ "f4 0000000000000080", "0Np" },
	{ "f4 ffffffffffffff7f", "0Wp" },
	{ "f3 42010000", "2026.11m" },
	{ "f3 ffffffff", "1999.12m" },
	{ "f3 00000080", "0Nm" },
	{ "f2 5e260000", "2026.11.22" },
	{ "f2 00000080", "0Nd" },
	{ "f2 01000080", "-0Wd" },
	{ "f1 000000000000e03f", "2000.01.01T12:00:00.000" },
	{ "f1 000000000000e0bf", "1999.12.31T12:00:00.000" },
	{ "f1 000000000000f8ff", "0Nz" },
	{ "f1 000000000000f0ff", "-0Wz" },
	{ "f1 0000002050fa0242", "1.018862e+10z" },
	{ "f0 00f0d9ce1a1f0000", "0D09:30:00.000000000" },
	{ "f0 ffffffffffffffff", "-0D00:00:00.000000001" },
	{ "f0 0000000000000080", "0Nn" },
	{ "f0 ffffffffffffff7f", "0Wn" },
	{ "ef 3a020000", "09:30" },
	{ "ef c6fdffff", "-09:30" },
	{ "ef 00000080", "0Nu" },
	{ "ee 99850000", "09:30:01" },
	{ "ee 00000080", "0Nv" },
	{ "ed b4db0902", "09:30:00.500" },
	{ "ed ffffff7f", "0Wt" },

	/* vectors */
	{ "01 00 03000000 010001", "101b" },
	{ "04 00 02000000 0aff", "0x0aff" },
	{ "05 00 02000000 0100 0080", "1 0Nh" },
	{ "07 00 03000000 0100000000000000 0000000000000080 ffffffffffffffff",
	  "1 0N -1" },
	{ "07 00 01000000 0500000000000000", ",5" },
	{ "09 00 02000000 000000000000f03f 0000000000000040", "1 2f" },
	{ "09 00 02000000 000000000000f83f 0000000000000040", "1.5 2" },
	{ "09 00 00000000", "`float$()" },
	{ "0a 00 00000000", "\"\"" },
	{ "0a 00 01000000 61", ",\"a\"" },
	{ "0a 00 03000000 61090a", "\"a\\t\\n\"" },
	{ "0b 04 02000000 6100 6200", "`a`b" },
	{ "0b 00 00000000", "`symbol$()" },
	{ "0e 00 02000000 00000000 00000080", "2000.01.01 0Nd" },

	/* the rest */
	{ "00 00 00000000", "()" },
	{ "00 00 02000000 f5 757064 00 f9 0100000000000000", "(`upd;1)" },
	{ "00 00 01000000 0a00 02000000 6162", ",\"ab\"" },
	{ "63 0b00 01000000 6100 0700 01000000 0100000000000000", ",`a!,1" },
	{ "62 00 63 0b00 01000000 6100 0000 01000000 0700 01000000 "
	  "0100000000000000",
	  "+,`a!,,1" },
	{ "65 00", "::" },
	{ "66 00", "function" },
	{ "64 00 0a00 05000000 7b782b797d", "{x+y}" },
};

static void
test_objects(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(objects); i++) {
		struct print_text text = { .len = 0 };
		uint8_t bytes[256];
		size_t len = hex_bytes(objects[i].hex, bytes, sizeof(bytes));
		struct wire_reader r = wire_reader(bytes, len, false);

		wire_skip(&r);
		if (r.bad != NULL || r.at != r.end)
			fail_msg("%s: %s", objects[i].hex,
				 r.bad != NULL ? r.bad : "bytes left over");
		print_object(&text, wire_reader(bytes, len, false));
		assert_string_equal(text.text, objects[i].text);
		assert_int_equal(strlen(text.text), text.len);
	}
}

/* A cell has no letter of the type. */
static void
test_items(void **state)
{
	static const struct {
		int type;
		const char *hex, *text;
	} items[] = {
		{ KT_BOOLEAN, "01", "1" },
		{ KT_BYTE, "0a", "0a" },
		{ KT_SHORT, "0080", "0N" },
		{ KT_INT, "ffffff7f", "0W" },
		{ KT_LONG, "0100000000000080", "-0W" },
		{ KT_REAL, "00000040", "2" },
		{ KT_FLOAT, "0000000000000040", "2" },
		{ KT_CHAR, "61", "a" },
		{ KT_CHAR, "0a", "\\n" },
		{ KT_MONTH, "00000000", "2000.01" },
		{ KT_TIMESPAN, "0000000000000000", "0D00:00:00.000000000" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(items); i++) {
		struct print_text text = { .len = 0 };
		uint8_t bytes[16];

		hex_bytes(items[i].hex, bytes, sizeof(bytes));
		print_item(&text, items[i].type, bytes);
		assert_string_equal(text.text, items[i].text);
	}
}

/* A text that is just too long, after texts of each length. */
static void
test_long_values_are_cut(void **state)
{
	(void)state;
	for (uint32_t cnt = PRINT_TEXT_MAX - 8; cnt < 3 * PRINT_TEXT_MAX;
	     cnt++) {
		struct print_text text = { .len = 0 };
		uint8_t bytes[512];
		struct wire_writer w = wire_writer(bytes, sizeof(bytes));
		bool is_long = cnt + 2 > PRINT_TEXT_MAX - 1;

		wire_put_list(&w, KT_CHAR, KA_NONE, cnt);
		for (uint32_t i = 0; i < cnt; i++)
			wire_put_u8(&w, 'x');
		assert_false(w.is_full);
		print_object(&text,
			     wire_reader(bytes, wire_written(&w), false));
		assert_int_equal(text.is_cut, is_long);
		assert_int_equal(text.len,
				 is_long ? PRINT_TEXT_MAX - 1 : cnt + 2);
		assert_int_equal(strlen(text.text), text.len);
		if (is_long)
			assert_string_equal(text.text + text.len - 2, "..");
	}
}

/* Every object that passes the check can be printed. */
static void
test_every_vector(void **state)
{
	size_t printed = 0;

	(void)state;
	for (const struct vector *v = vectors.items;
	     v < vectors.items + vectors.cnt; v++) {
		struct print_text text = { .len = 0 };
		struct wire_header header;
		bool is_long;
		const char *why;

		if (wire_read_header(v->bytes, v->len, INT32_MAX, &header,
				     &why) != WIRE_OK ||
		    header.len != v->len || header.compression != 0 ||
		    header.is_big_endian ||
		    wire_check_body(v->bytes + WIRE_HEADER_BYTES,
				    v->len - WIRE_HEADER_BYTES, false,
				    &is_long) != NULL)
			continue;
		print_object(&text,
			     wire_reader(v->bytes + WIRE_HEADER_BYTES,
					 v->len - WIRE_HEADER_BYTES, false));
		assert_int_equal(strlen(text.text), text.len);
		printed++;
	}
	assert_true(printed > 100);
}

/* ---- tables ---- */

static void
put_long_column(struct wire_writer *w, uint32_t rows, int64_t first)
{
	wire_put_list(w, KT_LONG, KA_NONE, rows);
	for (uint32_t i = 0; i < rows; i++)
		wire_put_u64(w, (uint64_t)(first + i));
}

static void
put_head(struct wire_writer *w, const char *column1, const char *column2)
{
	wire_put_u8(w, KT_TABLE);
	wire_put_u8(w, KA_NONE);
	wire_put_u8(w, KT_DICT);
	wire_put_list(w, KT_SYMBOL, KA_NONE, 2);
	wire_put_symbol_item(w, column1, strlen(column1));
	wire_put_symbol_item(w, column2, strlen(column2));
	wire_put_list(w, KT_LIST, KA_NONE, 2);
}

static void
print(struct print_table *p, const char *name, const struct wire_writer *w)
{
	struct wire_reader r = wire_reader(w->base, wire_written(w), false);

	wire_skip(&r);
	assert_null(r.bad);
	assert_ptr_equal(r.at, r.end);
	print_table(p, name, strlen(name), w->base, wire_written(w));
}

static void
test_table(void **state)
{
	static const char expected[] = "trade\n"
				       "sym    size\n"
				       "---------------\n"
				       "IBM    9\n"
				       "       10\n"
				       "IBM    9\n"
				       "       10\n"
				       "\n"
				       "note\n"
				       "text         size\n"
				       "---------------------\n"
				       "\"hello\"      1\n"
				       "\"a rather long text\" 2\n"
				       ",1                   3\n";
	uint8_t trade[256], note[256];
	struct wire_writer w = wire_writer(trade, sizeof(trade));
	struct print_table p = { .columns_cnt = 0 };
	char *text = NULL;
	size_t text_len = 0;

	(void)state;
	p.out = open_memstream(&text, &text_len);
	assert_non_null(p.out);
	put_head(&w, "sym", "size");
	wire_put_list(&w, KT_SYMBOL, KA_GROUPED, 2);
	wire_put_symbol_item(&w, "IBM", 3);
	wire_put_symbol_item(&w, "", 0);
	put_long_column(&w, 2, 9);
	print(&p, "trade", &w);
	print(&p, "trade", &w);

	w = wire_writer(note, sizeof(note));
	put_head(&w, "text", "size");
	wire_put_list(&w, KT_LIST, KA_NONE, 3);
	wire_put_string(&w, "hello");
	wire_put_string(&w, "a rather long text");
	put_long_column(&w, 1, 1);
	put_long_column(&w, 3, 1);
	print(&p, "note", &w);
	fclose(p.out);
	assert_string_equal(text, expected);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_objects),
		cmocka_unit_test(test_items),
		cmocka_unit_test(test_long_values_are_cut),
		cmocka_unit_test(test_every_vector),
		cmocka_unit_test(test_table),
	};

	return cmocka_run_group_tests(tests, vectors_open, vectors_close);
}
