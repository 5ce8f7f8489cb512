#include "config.h"

#include "request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "util.h"
#include "vectors.h"

enum { LEN_MAX = 1 << 20 };

static struct vectors all;
static struct fence in_fence, out_fence;
static unsigned calls_cnt;
static char error[REQUEST_ERROR_MAX];

static int
set_up(void **state)
{
	(void)state;
	vectors_load(&all);
	fence_init(&in_fence, LEN_MAX);
	fence_init(&out_fence, LEN_MAX);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	fence_fini(&out_fence);
	fence_fini(&in_fence);
	vectors_free(&all);
	return 0;
}

/* ---- names to call ---- */

/* (`sub;arg;arg;...), so that the value shows how it was called. */
static const char *
call_sub(void *context, const struct request_arg *args, unsigned args_cnt,
	 struct wire_writer *out)
{
	assert_ptr_equal(context, &all);
	calls_cnt++;
	wire_put_list(out, KT_LIST, KA_NONE, args_cnt + 1);
	wire_put_symbol(out, "sub");
	for (unsigned i = 0; i < args_cnt; i++) {
		struct wire_reader r =
			wire_reader(args[i].at, args[i].len, false);

		wire_skip(&r);
		assert_null(r.bad);
		assert_ptr_equal(r.at, r.end);
		wire_put_bytes(out, args[i].at, args[i].len);
	}
	return NULL;
}

static const char *
call_fail(void *context, const struct request_arg *args, unsigned args_cnt,
	  struct wire_writer *out)
{
	(void)context;
	(void)args;
	(void)args_cnt;
	calls_cnt++;
	wire_put_long(out, 1);
	return "failed";
}

static const char *
call_i(void *context, const struct request_arg *args, unsigned args_cnt,
       struct wire_writer *out)
{
	(void)context;
	(void)args;
	assert_int_equal(args_cnt, 0);
	calls_cnt++;
	wire_put_long(out, 5);
	return NULL;
}

static const char *
call_l(void *context, const struct request_arg *args, unsigned args_cnt,
       struct wire_writer *out)
{
	(void)context;
	(void)args;
	assert_int_equal(args_cnt, 0);
	calls_cnt++;
	wire_put_symbol(out, ":/l");
	return NULL;
}

static const char *
call_end(void *context, const struct request_arg *args, unsigned args_cnt,
	 struct wire_writer *out)
{
	(void)context;
	(void)args;
	assert_int_equal(args_cnt, 0);
	calls_cnt++;
	wire_put_null(out);
	return NULL;
}

static const struct request_name names[] = {
	{ ".u.sub", call_sub, 2 },	{ ".u.fail", call_fail, 1 },
	{ ".u.i", call_i, -1 },		{ ".u.j", call_i, -1 },
	{ ".u.L", call_l, -1 },		{ ".u.endofday", call_end, 0 },
	{ "upd", call_sub, 2 },		{ "many", call_sub, 20 },
	{ ".other.thing", call_i, -1 },
};

/* ---- evaluating ---- */

/*
 * Evaluates into room bytes in front of the fence, behind a byte that belongs
 * to somebody else.  The error, or NULL with the value at *out.
 */
static const char *
evaluate_in(const uint8_t *body, size_t len, size_t room, const uint8_t **out,
	    size_t *out_len)
{
	uint8_t *base = fence_room(&out_fence, room + 1);
	struct wire_writer w = wire_writer(base, room + 1);
	bool has_long_counts;
	const char *bad;

	wire_put_u8(&w, 0xa5);
	bad = request_evaluate(names, ARRAY_LEN(names), &all,
			       fence_place(&in_fence, body, len), len, &w,
			       error);
	assert_int_equal(base[0], 0xa5);
	assert_false(w.is_full);
	*out = base + 1;
	*out_len = wire_written(&w) - 1;
	if (bad != NULL)
		assert_int_equal(*out_len, 0);
	else
		assert_null(wire_check_body(*out, *out_len, false,
					    &has_long_counts));
	return bad;
}

/* expected: hex of the value, or the text of the error after a quote */
static void
check_body(const uint8_t *body, size_t len, const char *expected,
	   const char *what)
{
	uint8_t value[256];
	const uint8_t *out;
	size_t value_len, out_len;
	const char *bad;

	calls_cnt = 0;
	bad = evaluate_in(body, len, 4096, &out, &out_len);
	if (expected[0] == '\'') {
		if (bad == NULL || strcmp(bad, expected + 1) != 0)
			fail_msg("%s: %s instead of %s", what,
				 bad == NULL ? "a value" : bad, expected + 1);
		return;
	}
	if (bad != NULL)
		fail_msg("%s: error %s", what, bad);
	value_len = hex_bytes(expected, value, sizeof(value));
	if (out_len != value_len || memcmp(out, value, value_len) != 0)
		fail_msg("%s: another value", what);
	/* With one byte less, whatever was unfinished is taken back. */
	for (size_t room = 0; room < value_len; room++)
		if (evaluate_in(body, len, room, &out, &out_len) == NULL)
			fail_msg("%s: fits in %zu bytes", what, room);
}

static void
check_text(const char *text, const char *expected)
{
	uint8_t body[4096];
	struct wire_writer w = wire_writer(body, sizeof(body));

	wire_put_string(&w, text);
	assert_false(w.is_full);
	check_body(body, wire_written(&w), expected, text);
}

static void
check_object(const char *hex, const char *expected)
{
	uint8_t body[512];
	size_t len = hex_bytes(hex, body, sizeof(body));
	bool has_long_counts;

	assert_null(wire_check_body(body, len, false, &has_long_counts));
	check_body(body, len, expected, hex);
}

#define SUB   "f573756200"
#define TRADE "f5747261646500"
#define EMPTY "f500"
#define NULL_ "6500"
/* What call_sub makes of no argument, of (`;`), and of (`trade;`). */
#define SUB0	  "0000 01000000" SUB
#define SUB_ALL	  "0000 03000000" SUB EMPTY EMPTY
#define SUB_TRADE "0000 03000000" SUB TRADE EMPTY
#define I	  "f9 0500000000000000"
#define L	  "f5 3a2f6c00"

static void
test_literals(void **state)
{
	(void)state;
	check_text("", NULL_);
	check_text("  \t\r\n", NULL_);
	check_text("::", NULL_);
	check_text("()", "0000 00000000");
	check_text("( )", "0000 00000000");
	check_text("0", "f9 0000000000000000");
	check_text("-1", "f9 ffffffffffffffff");
	check_text("9223372036854775807", "f9 ffffffffffffff7f");
	check_text("9223372036854775808", "'nyi");
	check_text("12j", "f9 0c00000000000000");
	check_text("1b", "ff01");
	check_text("0b", "ff00");
	check_text("2b", "'nyi");
	check_text("01b", "'nyi");
	check_text("1f", "'nyi");
	check_text("-", "'nyi");
	check_text("`", EMPTY);
	check_text("`trade", TRADE);
	check_text("`a`b", "0b00 02000000 61006200");
	check_text("``", "0b00 02000000 0000");
	check_text("`:host:5010", "f5 3a686f73743a3530313000");
	check_text("`:/a/b.c", "f5 3a2f612f622e6300");
	check_text("\"\"", "0a00 00000000");
	check_text("\"a\"", "f661");
	check_text("\"ab\"", "0a00 02000000 6162");
	check_text("\"\\n\\t\\r\\\"\\\\\\101\"", "0a00 06000000 0a090d225c41");
	check_text("\"\\377\"", "f6ff");
	check_text("\"\\400\"", "'nyi");
	check_text("\"\\x\"", "'nyi");
	check_text("\"a", "'nyi");
	check_text("\"a\\", "'nyi");
	check_text("\"a\\\"", "'nyi");
}

static void
test_lists(void **state)
{
	(void)state;
	check_text("(1)", "f9 0100000000000000");
	check_text("((`a))", "f5 6100");
	/* atoms of one type are a vector */
	check_text("(1;2)", "0700 02000000 0100000000000000 0200000000000000");
	check_text("(`;`a)", "0b00 02000000 00 6100");
	check_text("(\"a\";\"b\")", "0a00 02000000 6162");
	check_text("(1b;0b)", "0100 02000000 0100");
	check_text("(1;`a)", "0000 02000000 f90100000000000000 f56100");
	check_text("(::;::)", "0000 02000000 6500 6500");
	check_text("(`a;`b`c)", "0000 02000000 f56100 0b0002000000 62006300");
	check_text(" ( 1 ; ( ) ) ", "0000 02000000 f90100000000000000"
				    "0000 00000000");
	check_text("(.u.i;.u.j)", "0700 02000000 0500000000000000"
				  "0500000000000000");
	check_text("(1;", "'nyi");
	check_text("(1;)", "'nyi");
	check_text("(;1)", "'nyi");
	check_text("(1", "'nyi");
	check_text("1)", "'nyi");
	check_text("(1]", "'nyi");
}

static void
test_calls(void **state)
{
	(void)state;
	check_text(".u.sub[`;`]", SUB_ALL);
	check_text(".u.sub[`trade;`]", SUB_TRADE);
	check_text(" .u.sub [ `trade ; ` ] ", SUB_TRADE);
	check_text("(.u.sub[`trade;`])", SUB_TRADE);
	check_text(".u.sub[`trade;`A`B]",
		   "0000 03000000" SUB TRADE "0b00 02000000 41004200");
	check_text(".u.sub[(`trade;`);\"x\"]",
		   "0000 03000000" SUB "0b00 02000000 747261646500 00 f678");
	check_text(".u.sub[]", SUB0);
	check_text(".u.sub[`trade]", "0000 02000000" SUB TRADE);
	check_text(".u.sub `trade", "0000 02000000" SUB TRADE);
	check_text(".u.sub .u.i", "0000 02000000" SUB I);
	check_text(".u.sub[.u.sub[1;`];.u.L]",
		   "0000 03000000" SUB "0000 03000000" SUB
		   "f9 0100000000000000 f500" L);
	check_text(".u.endofday[]", NULL_);
	check_text(".u.endofday[::]", NULL_);
	check_text(".u.endofday[1]", "'rank");
	check_text(".u.sub[1;2;3]", "'rank");
	check_text("many[1;2;3;4;5;6;7;8;9]", "'rank");
	check_text(".u.fail[]", "'failed");
	check_text("(1;.u.fail[])", "'failed");
	/* projections and functions as values */
	check_text(".u.sub[;`]", "'nyi");
	check_text(".u.sub[`;]", "'nyi");
	check_text(".u.sub", "'nyi");
	check_text("(.u.sub;1)", "'nyi");
	check_text(".u.sub[`;`", "'nyi");
	check_text(".u.sub[`;`][1]", "'nyi");
	check_text("`a[1]", "'a");
	check_text("1[2]", "'nyi");
}

static void
test_variables(void **state)
{
	(void)state;
	check_text(".u.i", I);
	check_text(".u.L", L);
	check_text("(.u.i;.u.L)", "0000 02000000" I L);
	check_text(".u `i`L", "0000 02000000" I L);
	check_text("`.u `i`L", "0000 02000000" I L);
	check_text(".u[`i`L]", "0000 02000000" I L);
	check_text(".u`i`L", "0000 02000000" I L);
	check_text("`.u[`i`L]", "0000 02000000" I L);
	check_text("(.u `i`L)", "0000 02000000" I L);
	check_text(".u `i", I);
	check_text(".u(`i;`j)", "0700 02000000 0500000000000000"
				"0500000000000000");
	check_text(".u `icounts", NULL_);
	check_text(".u `i`nothing", "0000 02000000" I NULL_);
	check_text(".other `thing", I);
	check_text(".u `sub", "'nyi");
	check_text(".u 1", "'type");
	check_text(".u \"i\"", "'type");
	check_text(".u", "'nyi");
	check_text(".u[`i;`L]", "'nyi");
	check_text(".u[]", "'nyi");
	check_text(".u.i[0]", "'nyi");
	check_text(".u.i-1", "'nyi");
	check_text(".other.thin", "'.other.thin");
	check_text(".oth `thing", "'.oth");
}

static void
test_rdb(void **state)
{
	(void)state;
	check_text("(.u.sub[`;`];.u `i`L)",
		   "0000 02000000" SUB_ALL "0000 02000000" I L);
	assert_true(calls_cnt > 0);
	check_text("((.u.sub[`trade;`];.u.sub[`;`]);.u `i`L)",
		   "0000 02000000 0000 02000000" SUB_TRADE SUB_ALL
		   "0000 02000000" I L);
	check_text(".u.sub[`trade;`];.u.sub[`;`]", SUB_ALL);
	check_text(".u.sub[`trade;`];", NULL_);
	check_text(";;.u.i", I);
}

/* Nothing is called by a text that is not understood to its end. */
static void
test_text_errors(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ "foo", "'foo" },
		{ "foo+1", "'foo" },
		{ ".u.i+foo", "'foo" },
		{ ".u.i+1", "'nyi" },
		{ "`foo+\"bar\"", "'nyi" },
		{ "`foo+\"bar\\\"\"+baz", "'baz" },
		{ ".u.sub[`;`];foo", "'foo" },
		{ "(.u.sub[`;`];foo)", "'foo" },
		{ "(.u.sub[`;`];.u.sub[1;2;3])", "'rank" },
		{ "(.u.sub[`;`];$[`m in key`.u;1;2])", "'in" },
		{ "{.u.sub[x;`]}", "'nyi" },
		{ "{.u.sub[x;`]}each `a`b", "'each" },
		{ "{{x}y}", "'nyi" },
		{ "}foo", "'foo" },
		{ ".u.sub'[`a`b;`]", "'nyi" },
		{ "count 1 2 3", "'count" },
		{ "2026.01.01D00:00", "'nyi" },
		{ "0x00", "'nyi" },
		{ "\\l foo", "'l" },
		{ "a:1", "'a" },
		{ ".u.i:1", "'nyi" },
		{ ":", "'nyi" },
		{ ":::", "'nyi" },
		{ ".", "'." },
		{ "\x01\xff", "'nyi" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		check_text(cases[i].text, cases[i].error);
		assert_int_equal(calls_cnt, 0);
	}
}

static void
test_long_name(void **state)
{
	char text[600], expected[REQUEST_ERROR_MAX + 1] = "'";

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = 0;
	memset(expected + 1, 'x', REQUEST_ERROR_MAX - 1);
	expected[REQUEST_ERROR_MAX] = 0;
	check_text(text, expected);
}

static void
test_limits(void **state)
{
	char text[4000];

	(void)state;
	memset(text, '(', sizeof(text));
	text[sizeof(text) - 1] = 0;
	check_text(text, "'limit");
	for (size_t i = 0; i + 3 < sizeof(text); i += 3)
		memcpy(text + i, ".u ", 4);
	check_text(text, "'limit");
	for (size_t i = 0; i + 2 < sizeof(text); i += 2)
		memcpy(text + i, "1;", 3);
	check_text(text, "'limit");
	/* the deepest that is allowed */
	memset(text, 0, sizeof(text));
	memset(text, '(', REQUEST_DEPTH_MAX - 1);
	text[REQUEST_DEPTH_MAX - 1] = '1';
	memset(text + REQUEST_DEPTH_MAX, ')', REQUEST_DEPTH_MAX - 1);
	check_text(text, "f9 0100000000000000");
}

static void
test_objects(void **state)
{
	(void)state;
	check_object("0000 00000000", NULL_);	   /* () */
	check_object("0a00 00000000", NULL_);	   /* "" */
	check_object("f5 2e752e6900", I);	   /* `.u.i */
	check_object("f5 2e752e73756200", "'nyi"); /* `.u.sub */
	check_object("f5 666f6f00", "'foo");
	check_object("f5 2e7500", "'nyi"); /* `.u */
	check_object("f500", "'nyi");
	check_object("f6 78", "'x");
	check_object("f6 31", "f9 0100000000000000");
	check_object("0b00 01000000 2e752e6900", I);
	check_object("0b00 02000000 2e7500 6900", I); /* `.u`i */
	check_object("0b00 00000000", "'type");
	check_object("0b00 04000000 75706400 00 00 00", "'rank");
	check_object("0b00 0a000000 75706400 00 00 00 00 00 00 00 00 00",
		     "'rank");
	check_object("0000 0a000000 f575706400 fc00 fc00 fc00 fc00 fc00 fc00"
		     "fc00 fc00 fc00",
		     "'rank");
	/* (`.u;`i`L), (".u.i";::), (`.u.endofday;::) */
	check_object("0000 02000000 f52e7500 0b00 02000000 69004c00",
		     "0000 02000000" I L);
	check_object("0000 02000000 0a00 04000000 2e752e69 6500", I);
	check_object("0000 02000000 f5 2e752e656e646f6664617900 6500", NULL_);
	check_object("0000 02000000 f5 2e752e656e646f6664617900 fc00", "'rank");
	check_object("0000 02000000 f52e752e6900 fc00", "'nyi");
	check_object("0000 03000000 f52e7500 fc00 fc00", "'nyi");
	check_object("0000 02000000 f52e7500 fc00", "'type");
	/* a name with spaces around it; other text; nothing */
	check_object("0000 02000000 0a00 05000000 2075706420 f500",
		     "0000 02000000" SUB EMPTY);
	check_object("0000 02000000 0a00 03000000 666f6f f500", "'foo");
	check_object("0000 02000000 0a00 06000000 757064 5b315d f500", "'nyi");
	check_object("0000 02000000 0a00 05000000 666f6f2b31 f500", "'foo");
	check_object("0000 02000000 0a00 00000000 f500", "'nyi");
	check_object("0000 02000000 0a00 03000000 7b787d f500", "'nyi");
	/* what is not a request */
	check_object("fc00", "'type");
	check_object("0600 01000000 01000000", "'type");
	check_object("80 666f6f00", "'type");
	check_object("0000 02000000 fc00 f500", "'type");
	check_object("0000 02000000 6500 f500", "'nyi");
	check_object("0000 02000000 64000a0003000000 7b787d f500", "'nyi");
	check_object("6500", NULL_);
	check_object("6501", "'nyi");
	check_object("63 0b0000000000 000000000000", "'nyi");
}

static void
check_vector(const char *name, const char *expected)
{
	const struct vector *v = vectors_find(&all, name);

	check_body(v->bytes + WIRE_HEADER_BYTES, v->len - WIRE_HEADER_BYTES,
		   expected, name);
}

static void
test_vectors_of_clients(void **state)
{
	(void)state;
	check_vector("sub_str_all", SUB_ALL);
	check_vector("sub_str_tbl", SUB_TRADE);
	check_vector("sub_str_rdb",
		     "0000 02000000" SUB_ALL "0000 02000000" I L);
	check_vector("sub_symvec_all", SUB_ALL);
	check_vector("sub_symvec_tbl", SUB_TRADE);
	check_vector("sub_strfn_tbl", SUB_TRADE);
	check_vector("sub_strfn_all", SUB_ALL);
	check_vector("sub_list_tables_syms",
		     "0000 03000000" SUB "0b00 02000000 747261646500"
		     "71756f746500" EMPTY);
	check_vector("sync_empty_string", NULL_);
	check_vector("torq_endofday", "'endofday");
	check_vector("sub_lambda", "'nyi");
	check_vector("torq_tptype", "'nyi");
	check_vector("mgkdb_lambda_sub", "'nyi");
	check_vector("feed_upd_cols", "'.u.upd");
	check_vector("feed_upd_strfn", "'.u.upd");
}

/* Whatever kdb+ objects arrive, with any byte changed. */
static void
test_vectors_flipped(void **state)
{
	static const uint8_t flips[] = { 0x01, 0x04, 0x80, 0xff };
	bool has_long_counts;
	const uint8_t *out;
	size_t out_len;

	(void)state;
	for (size_t i = 0; i < all.cnt; i++) {
		const struct vector *v = &all.items[i];
		size_t len = v->len - WIRE_HEADER_BYTES;
		uint8_t body[1024];

		if (!vector_is_plain(v) || len > sizeof(body))
			continue;
		memcpy(body, v->bytes + WIRE_HEADER_BYTES, len);
		(void)evaluate_in(body, len, 4096, &out, &out_len);
		for (size_t j = 0; j < len * ARRAY_LEN(flips); j++) {
			uint8_t flip = flips[j % ARRAY_LEN(flips)];

			body[j / ARRAY_LEN(flips)] ^= flip;
			if (wire_check_body(body, len, false,
					    &has_long_counts) == NULL)
				(void)evaluate_in(body, len, 4096, &out,
						  &out_len);
			body[j / ARRAY_LEN(flips)] ^= flip;
		}
	}
}

/* Each prefix of a text, and each byte of it replaced by each byte. */
static void
test_texts_broken(void **state)
{
	static const char text[] = "(.u.sub[`;`a`b];.u `i`L;\"x\\n\";-1;::)";
	uint8_t body[64] = { KT_CHAR };
	const uint8_t *out;
	size_t out_len;

	(void)state;
	for (uint32_t len = 0; len < sizeof(text); len++) {
		wire_store_u32(body + 2, len);
		memcpy(body + 6, text, len);
		assert_int_equal(evaluate_in(body, 6 + len, 4096, &out,
					     &out_len) == NULL,
				 len == 0 || len == sizeof(text) - 1);
		if (len == 0)
			continue;
		for (unsigned c = 0; c < 256; c++) {
			body[6 + len - 1] = (uint8_t)c;
			(void)evaluate_in(body, 6 + len, 4096, &out, &out_len);
		}
	}
	for (size_t i = 0; i + 1 < sizeof(text); i++) {
		for (unsigned c = 0; c < 256; c++) {
			wire_store_u32(body + 2, sizeof(text) - 1);
			memcpy(body + 6, text, sizeof(text) - 1);
			body[6 + i] = (uint8_t)c;
			(void)evaluate_in(body, 6 + sizeof(text) - 1, 4096,
					  &out, &out_len);
		}
	}
}

static void
check_arg_text(const char *hex, const char *expected)
{
	uint8_t bytes[64];
	size_t len = hex_bytes(hex, bytes, sizeof(bytes)), text_len;
	struct request_arg arg = { fence_place(&in_fence, bytes, len), len };
	const char *text = request_arg_text(&arg, &text_len);

	assert_int_equal(text == NULL, expected == NULL);
	if (text == NULL)
		return;
	assert_int_equal(text_len, strlen(expected));
	assert_memory_equal(text, expected, text_len);
}

static void
test_arg_text(void **state)
{
	(void)state;
	check_arg_text(TRADE, "trade");
	check_arg_text(EMPTY, "");
	check_arg_text("0a00 02000000 6162", "ab");
	check_arg_text("0a00 00000000", "");
	check_arg_text("f661", "a");
	check_arg_text("0b00 01000000 6100", NULL);
	check_arg_text("fc61", NULL);
	check_arg_text("6500", NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_literals),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_variables),
		cmocka_unit_test(test_rdb),
		cmocka_unit_test(test_text_errors),
		cmocka_unit_test(test_long_name),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_objects),
		cmocka_unit_test(test_vectors_of_clients),
		cmocka_unit_test(test_vectors_flipped),
		cmocka_unit_test(test_texts_broken),
		cmocka_unit_test(test_arg_text),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
