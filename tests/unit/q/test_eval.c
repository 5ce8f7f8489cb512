#include "config.h"

#include "q/eval.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "q/parse.h"
#include "base/util.h"
#include "../vectors.h"

enum { LEN_MAX = 1 << 20 };

static unsigned calls_cnt;
static char error[REQUEST_ERROR_MAX];
static unsigned steps; /* steps left */
static uint8_t work[REQUEST_WORK_BYTES];

/* ---- names to call ---- */

/* Returns (`sub;arg;arg;...): the value shows the arguments of the call. */
static const char *
call_sub(void *context, const struct request_arg *args, unsigned args_cnt,
	 struct wire_writer *out)
{
	assert_ptr_equal(context, &vectors);
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

static const struct request_world world = {
	.names = names,
	.names_cnt = ARRAY_LEN(names),
	.context = &vectors,
	.work = work,
	.work_len = sizeof(work),
	.error = error,
	.steps = &steps,
};

/* ---- evaluating ---- */

/*
 * Evaluates into `room` bytes before the fence, after a byte of another owner.
 * Returns the error, or NULL with the value at *out.
 */
static const char *
evaluate_in(const uint8_t *body, size_t len, size_t room, const uint8_t **out,
	    size_t *out_len)
{
	uint8_t *base = fence_room(&out_fence, room + 1);
	struct wire_writer w = wire_writer(base, room + 1);
	bool has_long_counts;
	const char *bad;

	steps = REQUEST_STEPS_MAX;
	wire_put_u8(&w, 0xa5);
	bad = request_evaluate(&world, fence_place(&in_fence, body, len), len,
			       &w);
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
	/* With one byte less, an unfinished value is undone. */
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
check_long(const char *text, const char *expected)
{
	size_t len = strlen(text);
	uint8_t *body = malloc(6 + len);
	struct wire_writer w = wire_writer(body, 6 + len);

	assert_non_null(body);
	wire_put_string(&w, text);
	check_body(body, 6 + len, expected, "a long text");
	free(body);
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
/* The results of call_sub for no argument, for (`;`), and for (`trade;`). */
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
	check_text("01b", "0100 02000000 0001");
	check_text("012b", "'nyi");
	check_text("1 1b", "'nyi");
	check_text("1i", "fa 01000000");
	check_text("-1h", "fb ffff");
	check_text("40000h", "'nyi");
	check_text("3000000000i", "'nyi");
	check_text("1f", "f7 000000000000f03f");
	check_text("1.5", "f7 000000000000f83f");
	check_text("1.5e", "f8 0000c03f");
	check_text("-.5", "f7 000000000000e0bf");
	check_text("1.5i", "'nyi");
	check_text("1.2.3", "'nyi");
	check_text("0N", "f9 0000000000000080");
	check_text("0Ni", "fa 00000080");
	check_text("0n", "f7 000000000000f8ff");
	check_text("1 2", "0700 02000000 0100000000000000 0200000000000000");
	check_text("1 -2i", "0600 02000000 01000000 feffffff");
	check_text("1 0N", "0700 02000000 0100000000000000 0000000000000080");
	check_text("1 2.5", "0900 02000000 000000000000f03f 0000000000000440");
	check_text("1x", "'nyi");
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
test_dates(void **state)
{
	(void)state;
	check_text("2026.11.23", "f2 5f260000");
	check_text("1999.12.31", "f2 ffffffff");
	check_text("0Nd", "f2 00000080");
	check_text("2026.11.23 0N 2026.11.24",
		   "0e00 03000000 5f260000 00000080 60260000");
	check_text("0N 0Nd", "0e00 02000000 00000080 00000080");
	check_text("2026.11.23,2026.11.24 2026.11.25",
		   "0e00 03000000 5f260000 60260000 61260000");
	check_text("2026.02.29", "'nyi");
	check_text("2026.1.1", "'nyi");
	check_text("-2026.01.01", "'nyi");
	check_text("2026.01.01i", "'nyi");
	check_text("2026.01.01 1", "'nyi");
	check_text("2026.01.01 1i", "'nyi");
	check_text("2026.01.01 1.5", "'nyi");
	check_text("2026.01.01 0n", "'nyi");
	check_text("1d", "'nyi");
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
	check_text(".u.sub[`;`][1]", EMPTY);
	check_text("`a[1]", "'a");
	check_text("1[2]", "'type");
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
	check_text(".u[`i;`L]", "'type");
	check_text(".u[]", "'nyi");
	check_text(".u.i[0]", "'type");
	check_text(".u.i[]", I);
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

/* A text that is not understood to its end calls no function. */
static void
test_text_errors(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ "foo", "'foo" },
		{ "foo+1", "'foo" },
		{ "foo bar", "'bar" },
		{ "foo[bar]", "'bar" },
		{ "foo[]", "'foo" },
		{ "(foo;bar)", "'foo" },
		{ "`foo+\"bar\"", "'nyi" },
		{ "`foo+\"bar\\\"\"+baz", "'baz" },
		{ ".u.sub[`;`];(foo", "'foo" },
		{ ".u.sub[`;`];1+", "'nyi" },
		{ ".u.sub[`;`];{(}", "'nyi" },
		{ ".u.sub[`;`];{[1]x}", "'nyi" },
		{ ".u.sub[`;`];{x", "'nyi" },
		{ ".u.sub[`;`];$[1b;2;3;4]", "'nyi" },
		{ "{{x}y}", "{{x}y}" },
		{ "}foo", "'foo" },
		{ "count each foo", "'foo" },
		{ "2026.01.01D00:00", "'nyi" },
		{ "0x00", "'nyi" },
		{ "\\l foo", "'system" },
		{ "a:1", "'nyi" },
		{ ".u.i:1", "'nyi" },
		{ ".u.i::1", "'nyi" },
		{ "{a:1;a}", "'nyi" },
		{ "`a,:1", "'nyi" },
		{ ":", "'nyi" },
		{ ":::", "'nyi" },
		{ ".", "'." },
		{ ",`a", "'nyi" },
		{ "`a,", "'nyi" },
		{ "`a+/`b", "'nyi" },
		{ "\x01\xff", "'nyi" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (cases[i].error[0] == '\'')
			check_text(cases[i].text, cases[i].error);
		else
			check_text(cases[i].text,
				   "64000a0006000000 7b7b787d797d");
		assert_int_equal(calls_cnt, 0);
	}
	check_text(".u.i+1", "'nyi");
	check_text(".u.i+foo", "'foo");
	/* A text that is understood is evaluated up to the error, as in q. */
	check_text(".u.sub[`;`];foo", "'foo");
	assert_int_equal(calls_cnt, 1);
	check_text("(.u.sub[`;`];.u.sub[1;2;3])", "'rank");
	assert_int_equal(calls_cnt, 1);
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

/* ---- the language ---- */

#define LONG1	   "f9 0100000000000000"
#define SYMS2	   "0b00 02000000 747261646500 71756f746500"
#define SUB_QUOTE  "0000 03000000" SUB "f571756f746500" EMPTY
#define TRUE_	   "ff01"
#define FALSE_	   "ff00"
#define EMPTY_LIST "0000 00000000"

/* A text and its value. */
struct text_case {
	const char *text, *expected;
};

static void
check_texts(const struct text_case *cases, size_t cnt)
{
	for (size_t i = 0; i < cnt; i++)
		check_text(cases[i].text, cases[i].expected);
}

static void
test_lambdas(void **state)
{
	static const struct text_case cases[] = {
		{ "{x}[1]", LONG1 },
		{ "{x}1", LONG1 },
		{ "{}[]", NULL_ },
		{ "{1}[]", LONG1 },
		{ "{1;}[]", NULL_ },
		{ "{[]1}[]", LONG1 },
		{ "{[]1}[2]", LONG1 },
		{ "{[]1}[2;3]", "'rank" },
		{ "{x}[1;2]", "'rank" },
		{ "{[a;b](b;a)}[`a;1]", "0000 02000000" LONG1 "f56100" },
		{ "{[a; b] ( b ; a ) }[`a;1]", "0000 02000000" LONG1 "f56100" },
		{ "{(z;y;x)}[1;`b;`c]", "0000 03000000 f56300 f56200" LONG1 },
		{ "{.u.sub[x;y]}[`trade;`]", SUB_TRADE },
		/* the parameters of the inner lambda are its own */
		{ "{{x}y}[1;`b]", "f56200" },
		{ "{{y}x}[1]", "68 02000000 64000a00 03000000 7b797d" LONG1 },
		{ "{[a]{a}[1]}[1]", "'a" },
		{ "{x}{y}", "64000a00 03000000 7b797d" },
		{ "{x", "'nyi" },
		{ "{[x;]x}1", "'nyi" },
		{ "{[a;b;c;d;e;f;g;h;i]1}1", "'nyi" },
		{ "{}", "64000a00 02000000 7b7d" },
		{ "({x};1)", "0000 02000000 64000a00 03000000 7b787d" LONG1 },
	};

	(void)state;
	check_texts(cases, ARRAY_LEN(cases));
	/* on the wire; q's own, whose text is k, are not known */
	check_object("0000 02000000 6473756200 0a00 03000000 7b787d" I, I);
	check_object("0000 02000000 64000a00 05000000 6b297b787d" I, "'nyi");
	check_object("0000 02000000 64000a00 00000000" I, "'nyi");
	check_object("0000 03000000 64000a00 03000000 7b787d" I I, "'rank");
	/* ("{x}";1), ("{x;y}";1) */
	check_object("0000 02000000 0a00 03000000 7b787d" I, I);
	check_object("0000 02000000 0a00 05000000 7b783b797d" I,
		     "68 02000000 64000a00 05000000 7b783b797d" I);
}

static void
test_projections(void **state)
{
	static const struct text_case cases[] = {
		{ ".u.sub[;`]`trade", SUB_TRADE },
		{ ".u.sub[;`][`trade]", SUB_TRADE },
		{ ".u.sub[`trade;]`", SUB_TRADE },
		{ ".u.sub[;][`trade;`]", SUB_TRADE },
		{ ".u.sub[;][;`][`trade]", SUB_TRADE },
		{ ".u.sub[;`][1;2]", "'rank" },
		{ "(`.u.sub)[;`]`trade", SUB_TRADE },
		{ "{(x;y)}[`a][1]", "0000 02000000 f56100" LONG1 },
		{ "{(x;y;z)}[1][;`c]`b",
		  "0000 03000000" LONG1 "f56200 f56300" },
		{ "{y}[1]", "68 02000000 64000a00 03000000 7b797d" LONG1 },
		{ "in[;`a`b]`a", TRUE_ },
		{ ".u.sub[;`]", "'nyi" },
		{ "1 2 3[;1]", "'nyi" },
		{ "{x}[;1]", "'rank" },
	};

	(void)state;
	check_texts(cases, ARRAY_LEN(cases));
	/* one that was received: {x;y}[;1] of `a */
	check_object("0000 02000000 68 03000000 64000a00 05000000 7b783b797d"
		     "65ff" I EMPTY,
		     I);
	check_object("0000 02000000 68 01000000 f52e7500 f56900", I);
}

static void
test_adverbs(void **state)
{
	static const struct text_case cases[] = {
		{ ".u.sub[;`]each`trade`quote",
		  "0000 02000000" SUB_TRADE SUB_QUOTE },
		{ ".u.sub[;`] each `trade", SUB_TRADE },
		{ "{.u.sub[x;`]}each`trade`quote",
		  "0000 02000000" SUB_TRADE SUB_QUOTE },
		{ "each[{x}][1 2]",
		  "0700 02000000 0100000000000000 0200000000000000" },
		{ "each[{x};1 2]",
		  "0700 02000000 0100000000000000 0200000000000000" },
		{ ".u.sub'[`trade`quote;`]",
		  "0000 02000000" SUB_TRADE SUB_QUOTE },
		{ ".u.sub'[`trade;`]", SUB_TRADE },
		{ ".u.sub'[`trade`quote;``]",
		  "0000 02000000" SUB_TRADE SUB_QUOTE },
		{ ".u.sub'[`trade`quote;```]", "'length" },
		{ ".u.sub\\:[`trade`quote;`]",
		  "0000 02000000" SUB_TRADE SUB_QUOTE },
		{ "`trade`quote .u.sub\\:`",
		  "0000 02000000" SUB_TRADE SUB_QUOTE },
		{ "`trade .u.sub\\:`", SUB_TRADE },
		{ ".u.sub/:[`trade;``]", "0000 02000000" SUB_TRADE SUB_TRADE },
		{ ".u.sub\\:[`trade]", "'rank" },
		{ ".u.sub/:[`a;`b;`c]", "'rank" },
		{ ".u.sub\\:[;`]`trade`quote",
		  "0000 02000000" SUB_TRADE SUB_QUOTE },
		{ "1 2,'3 4",
		  "0000 02000000"
		  "0700 02000000 0100000000000000 0300000000000000"
		  "0700 02000000 0200000000000000 0400000000000000" },
		{ "(count;first)@\\:`a`b",
		  "0000 02000000 f9 0200000000000000 f56100" },
		{ "(sum;count)@\\:/:(`a`b!(1 2;3 4))",
		  "63 0b00 02000000 61006200 0000 02000000"
		  "0700 02000000 0300000000000000 0200000000000000"
		  "0700 02000000 0700000000000000 0200000000000000" },
		/* items of each kind */
		{ "{x}each(1;`a;\"bc\")",
		  "0000 03000000" LONG1 "f56100 0a00 02000000 6263" },
		{ "{x}each 0110b", "0100 04000000 00010100" },
		{ "{x}each\"ab\"", "0a00 02000000 6162" },
		{ "{x}each()", EMPTY_LIST },
		{ "count each`a`b!(`c`d;`e)",
		  "63 0b00 02000000 61006200 0700 02000000"
		  "0200000000000000 0100000000000000" },
		{ "(`a`b!1 2),'`a`b!1 2", "'nyi" },
		{ ".u.fail each 1 2", "'failed" },
		{ "{x}/1 2", "'nyi" },
		{ "'foo", "'foo" },
	};

	(void)state;
	check_texts(cases, ARRAY_LEN(cases));
}

static void
test_conditions(void **state)
{
	static const struct text_case cases[] = {
		{ "$[1b;`a;`b]", "f56100" },
		{ "$[0b;`a;`b]", "f56200" },
		{ "$[0;`a;1i;`b;`c]", "f56200" },
		{ "$ [ 0b ; `a ; 0 ; `b ; `c ]", "f56300" },
		/* only the chosen branch is evaluated */
		{ "$[1b;`a;foo[]]", "f56100" },
		{ "$[0b;.foo.bar[1+2];`b]", "f56200" },
		{ "$[0b;`a;foo]", "'foo" },
		{ "$[foo;`a;`b]", "'foo" },
		{ "$[`a;`a;`b]", "'type" },
		{ "$[01b;`a;`b]", "'type" },
		{ "$[`m in key`.u;`a;`b]", "f56200" },
		{ "$[`i in key`.u;`a;`b]", "f56100" },
		{ "$[1b;1;]", LONG1 },
		{ "$[0b;1;]", NULL_ },
		{ "$[1b;2;3", "'nyi" },
	};

	(void)state;
	check_texts(cases, ARRAY_LEN(cases));
}

static void
test_traps(void **state)
{
	static const struct text_case cases[] = {
		{ "@[value;`tptype;`standard]", "f5 7374616e6461726400" },
		{ "@[value;`.u.i;`standard]", I },
		{ "@[{x};1;2]", LONG1 },
		{ "@[{foo};1;{x}]", "0a00 03000000 666f6f" },
		{ "@[.u.fail;1;{x}]", "0a00 06000000 6661696c6564" },
		{ "@[.u.fail;1;count]", "f9 0600000000000000" },
		{ "@[.u.fail;1;::]", "0a00 06000000 6661696c6564" },
		{ "@[{.u.sub[x]};1;0]", "0000 02000000" SUB LONG1 },
		{ "@[{.u.sub[x;2;3]};1;`r]", "f57200" },
		{ ".[.u.sub;`trade`;`e]", SUB_TRADE },
		{ ".[.u.sub;(`trade;`);`e]", SUB_TRADE },
		{ ".[.u.sub;1 2 3;`e]", "f56500" },
		{ ".[.u.sub;1;`e]", "'type" },
		{ "@[{x;@[.u.fail;x;{foo}]};1;`e]", "f56500" },
		/* two arguments: application */
		{ "@[count;1 2 3]", "f9 0300000000000000" },
		{ ".[.u.sub;`trade`]", SUB_TRADE },
		{ ".u.sub . `trade`", SUB_TRADE },
		{ "count@1 2 3", "f9 0300000000000000" },
		{ "1 2@0", LONG1 },
		{ "@[.u.fail;1]", "'failed" },
		/* three arguments amend any other value, which is not
		 * supported */
		{ "@[1 2;0;3]", "'nyi" },
		{ "@[`.u.i;0;3]", "'nyi" },
		{ "@[1;2;3;4]", "'rank" },
	};

	(void)state;
	check_texts(cases, ARRAY_LEN(cases));
}

static void
test_verbs(void **state)
{
	static const struct text_case cases[] = {
		{ "count 1 2 3", "f9 0300000000000000" },
		{ "count`a", LONG1 },
		{ "count()", "f9 0000000000000000" },
		{ "count`a`b!1 2", "f9 0200000000000000" },
		{ "count[1;2]", "'rank" },
		{ "first 1 2", LONG1 },
		{ "first`a`b!1 2", LONG1 },
		{ "first`symbol", "f5 73796d626f6c00" },
		{ "first()", EMPTY_LIST },
		{ "last(`a;1)", LONG1 },
		{ "last\"\"", "f6 20" },
		{ "enlist 1", "0700 01000000 0100000000000000" },
		{ "enlist`a`b", "0000 01000000 0b00 02000000 61006200" },
		{ "enlist(1;`a)",
		  "0000 01000000 0000 02000000" LONG1 "f56100" },
		{ "1 2,3", "0700 03000000 0100000000000000 0200000000000000"
			   "0300000000000000" },
		{ "`a,1", "0000 02000000 f56100" LONG1 },
		{ "(),`a", "0b00 01000000 6100" },
		{ "(),1 2", "0700 02000000 0100000000000000 0200000000000000" },
		{ "\"ab\",\"c\"", "0a00 03000000 616263" },
		{ "\"\",\"\"", "0a00 00000000" },
		{ "(`a;1),(`b;2)",
		  "0000 04000000 f56100" LONG1 "f56200 f90200000000000000" },
		{ "(`a`b!1 2),`c", "'nyi" },
		{ "`a`b!1 2", "63 0b00 02000000 61006200 0700 02000000"
			      "0100000000000000 0200000000000000" },
		{ "()!()", "63" EMPTY_LIST EMPTY_LIST },
		{ "`a`b!1 2 3", "'length" },
		{ "`a!1", "'type" },
	};

	(void)state;
	check_texts(cases, ARRAY_LEN(cases));
}

static void
test_comparing(void **state)
{
	static const struct text_case cases[] = {
		{ "1~1", TRUE_ },
		{ "1~1i", FALSE_ },
		{ "(1;`a`b)~(1;`a`b)", TRUE_ },
		{ "(1;`a`b)~(1;`a`c)", FALSE_ },
		{ "`a=`a", TRUE_ },
		{ "`a=`a`b", "0100 02000000 0100" },
		{ "1=1i", TRUE_ },
		{ "1 2=2 2", "0100 02000000 0001" },
		{ "1 2=1 2 3", "'length" },
		{ "1=`a", "'type" },
		{ "\"abc\"=\"b\"", "0100 03000000 000100" },
		{ "1.5=1.5", "'nyi" },
		{ "`a in`a`b", TRUE_ },
		{ "`c in`a`b", FALSE_ },
		{ "`a`c in`a`b", "0100 02000000 0100" },
		{ "`a in()", FALSE_ },
		{ "`a in`a", TRUE_ },
		{ "\"ab\"in(\"ab\";\"c\")", TRUE_ },
		{ "in[1;1 2]", TRUE_ },
		{ "not 0b", TRUE_ },
		{ "not 0 1 2", "0100 03000000 010000" },
		{ "not`a", "'type" },
		{ "null 0N", TRUE_ },
		{ "null 1 0N", "0100 02000000 0001" },
		{ "null`", TRUE_ },
		{ "null(::)", TRUE_ },
		{ "null(`;::;1)", "0100 03000000 010100" },
		{ "null\"a b\"", "0100 03000000 000100" },
		{ "null 0n 1.5", "0100 02000000 0100" },
		{ "type 1", "fb f9ff" },
		{ "type`a`b", "fb 0b00" },
		{ "type(::)", "fb 6500" },
		{ "type{x}", "fb 6400" },
		{ "type .u.sub", "fb 6400" },
		{ "type .u", "fb 6300" },
	};

	(void)state;
	check_texts(cases, ARRAY_LEN(cases));
}

static void
test_text_verbs(void **state)
{
	static const struct text_case cases[] = {
		{ "string`ab", "0a00 02000000 6162" },
		{ "string`a`b", "0000 02000000 0a00 01000000 61 0a00 01000000"
				"62" },
		{ "string 12", "0a00 02000000 3132" },
		{ "string -1 2h", "0000 02000000 0a00 02000000 2d31"
				  "0a00 01000000 32" },
		{ "string 0N", "0a00 00000000" },
		{ "string 1.5", "'nyi" },
		{ "string[.u.L]", "0a00 03000000 3a2f6c" },
		{ "\"/\"vs\"a/bc\"", "0000 02000000 0a00 01000000 61"
				     "0a00 02000000 6263" },
		{ "\"ab\" vs \"\"", "0000 01000000 0a00 00000000" },
		{ "\"\"vs\"a\"", "'length" },
		{ "` vs`a.b", "'nyi" },
		{ "last \"/\" vs string[.u.L]", "0a00 01000000 6c" },
		{ "\",\"sv(\"a\";\"bc\")", "'type" },
		{ "\", \"sv(\"ab\";\"cd\")", "0a00 06000000 61622c206364" },
		{ "`$\"a b\"", "f5 61206200" },
		{ "`$(\"ab\";\"c\")", "0b00 02000000 61620063 00" },
		{ "`$\"a\\000\"", "'type" },
		{ "`$1", "'type" },
		{ "`a$1", "'nyi" },
		{ "sum 1 2 3", "f9 0600000000000000" },
		{ "sum 011b", "fa 02000000" },
		{ "sum 1 0N 2i", "fa 03000000" },
		{ "sum 1.5 2", "'nyi" },
		{ "1+2", "'nyi" },
		{ "2#1 2", "'nyi" },
	};

	(void)state;
	check_texts(cases, ARRAY_LEN(cases));
}

static void
test_indexing(void **state)
{
	static const struct text_case cases[] = {
		{ "1 2 3[0]", LONG1 },
		{ "1 2 3 0", "0700 04000000 0100000000000000 0200000000000000"
			     "0300000000000000 0000000000000000" },
		{ "(1 2 3)0", LONG1 },
		{ "(1 2 3)5", "f9 0000000000000080" },
		{ "(1 2 3)-1", "'nyi" },
		{ "(1 2 3) -1", "f9 0000000000000080" },
		{ "(1 2 3)2 0", "0700 02000000 0300000000000000"
				"0100000000000000" },
		{ "`a`b[1]", "f56200" },
		{ "`a`b[2]", EMPTY },
		{ "(1;`a;\"bc\")[1]", "f56100" },
		{ "(1;`a;\"bc\")[2;0]", "f662" },
		{ "(1;`a)[0 1]", "0000 02000000" LONG1 "f56100" },
		{ "(\"ab\";1)[5]", EMPTY_LIST },
		{ "(1 2)`a", "'type" },
		{ "(1 2)1.5", "'type" },
		{ "(`a`b!1 2)`a", LONG1 },
		{ "(`a`b!1 2)`c", "f9 0000000000000080" },
		{ "(`a`b!1 2)`b`a", "0700 02000000 0200000000000000"
				    "0100000000000000" },
		{ "(`a`b!(1 2;3))[`a;0]", LONG1 },
		{ "(1 2!`a`b)2", "f56200" },
		{ "(1 2)[]", "0700 02000000 0100000000000000"
			     "0200000000000000" },
		{ "(1 2)[::]", "0700 02000000 0100000000000000"
			       "0200000000000000" },
		{ "`a`b 1.5", "'type" },
	};

	(void)state;
	check_texts(cases, ARRAY_LEN(cases));
}

static void
test_names_as_values(void **state)
{
	static const struct text_case cases[] = {
		{ "key`.foo", EMPTY_LIST },
		{ "key`foo", EMPTY_LIST },
		{ "key`.other", "0b00 02000000 00 7468696e6700" },
		{ "key .other", "0b00 02000000 00 7468696e6700" },
		{ "`m in key`.u", FALSE_ },
		{ "`L in key`.u", TRUE_ },
		{ "key`.u.i", "f5 2e752e6900" },
		{ "key`a`b!1 2", "0b00 02000000 61006200" },
		{ "key 5", "'type" },
		{ "value`.u.i", I },
		{ "value`foo", "'foo" },
		{ "value\".u `i\"", I },
		{ "value\"foo\"", "'foo" },
		{ "value(`.u.sub;`trade;`)", SUB_TRADE },
		{ "value(\".u.sub\";`trade;`)", SUB_TRADE },
		{ "value({x};1)", LONG1 },
		{ "value`a`b!1 2",
		  "0700 02000000 0100000000000000 0200000000000000" },
		{ "value 1", "'type" },
		{ "value{x}", "'nyi" },
		{ "{value\"x\"}1", "'x" },
		{ "{[trade]key`trade}1", EMPTY_LIST },
		{ ".u[`sub][`trade;`]", SUB_TRADE },
		{ "(.u `sub)[`trade;`]", SUB_TRADE },
		{ "`.u.sub[`trade;`]", SUB_TRADE },
		{ "(.u `m)\"x\"", "f678" },
		{ "cols 1", "'type" },
		{ "meta`foo", "'foo" },
		{ ".u `i`sub", "'nyi" },
	};

	(void)state;
	check_texts(cases, ARRAY_LEN(cases));
}

/* Requests of real clients; TorQ's are between its processes. */
static void
test_torq(void **state)
{
	static const struct text_case cases[] = {
		{ "{`schemalist`logfilelist`rowcounts`date!(.u.sub\\:[x;y];"
		  "enlist(.u`i`L);(.u `icounts);(.u `j))}[`trade`quote;`]",
		  "63 0b00 04000000 736368656d616c69737400 6c6f6766696c656c6973"
		  "7400 726f77636f756e747300 6461746500"
		  "0000 04000000 0000 02000000" SUB_TRADE SUB_QUOTE
		  "0000 01000000 0000 02000000" I L NULL_ I },
		{ "{(.u.sub\\:[x;y];(.u`i`L);(.u `icounts);(.u `j))}"
		  "[enlist`trade;`]",
		  "0000 04000000 0000 01000000" SUB_TRADE
		  "0000 02000000" I L NULL_ I },
		{ "{$[`getdetails in key`.servers;.servers.getdetails[];"
		  "(.u.i;.u.L;`;`;$[`getattributes in key`.proc;"
		  ".proc.getattributes[];()!()])]}`",
		  "0000 05000000" I L EMPTY EMPTY "63" EMPTY_LIST EMPTY_LIST },
		{ "{.proc.getattributes[]}[]", "'.proc.getattributes" },
		{ "(.u.sub'[`trade`quote;`];.u `i`L)",
		  "0000 02000000 0000 02000000" SUB_TRADE SUB_QUOTE
		  "0000 02000000" I L },
		{ "(.u.sub[`;`];$[`m in key`.u;(`.u `m)\"`.u `i`L\";`.u `i`L])",
		  "0000 02000000" SUB_ALL "0000 02000000" I L },
		{ "{(.u.sub[;`]each x;`.u `i`L)}`",
		  "0000 02000000" SUB_ALL "0000 02000000" I L },
		{ "(.u.i;`$\":/opt/\",last \"/\" vs string[.u.L])",
		  "0000 02000000" I "f5 3a2f6f70742f6c00" },
	};

	(void)state;
	check_texts(cases, ARRAY_LEN(cases));
}

/* ---- bounds ---- */

static size_t
copy_text(char *to, const char *text)
{
	size_t len = strlen(text);

	memcpy(to, text, len + 1);
	return len;
}

/* `text`, cnt times, between two others. */
static char *
repeat(char *at, const char *before, const char *text, unsigned cnt,
       const char *behind)
{
	char *to = at;

	to += copy_text(to, before);
	while (cnt-- > 0)
		to += copy_text(to, text);
	(void)copy_text(to, behind);
	return at;
}

static void
test_limits(void **state)
{
	static char text[400000];

	(void)state;
	check_long(repeat(text, "", "(", 4000, ""), "'limit");
	check_long(repeat(text, "", ".u ", 4000, ""), "'limit");
	check_long(repeat(text, "", "{", 4000, ""), "'limit");
	check_long(repeat(text, "", "1;", REQUEST_STEPS_MAX, ""), "'limit");
	check_long(repeat(text, "", "1,", 4000, "1"), "'limit");
	check_long(repeat(text, "", "`a[", 4000, ""), "'limit");
	check_long(repeat(text, "", "foo;", REQUEST_STEPS_MAX, ")"), "'limit");
	/* the deepest nesting allowed */
	check_long(repeat(text, "", "(", QUERY_DEPTH_MAX, "1"), "'limit");
	repeat(text, "", "(", QUERY_DEPTH_MAX - 1, "1");
	repeat(text + strlen(text), "", ")", QUERY_DEPTH_MAX - 1, "");
	check_long(text, "f9 0100000000000000");
	/* a long list of literals is one node */
	check_long(repeat(text, "count (", "1;", 2000, "1)"),
		   "f9 d107000000000000");
	check_long(repeat(text, "count ", "1 ", 10000, "1"),
		   "f9 1127000000000000");
}

/* With a work area as large as the daemon's.  NULL: there is a value. */
static const char *
error_of(const char *text)
{
	enum { WORK = REQUEST_WORK_BYTES + (16 << 20) };
	size_t len = strlen(text);
	uint8_t *body = malloc(6 + len), *large = malloc(WORK), value[64];
	struct wire_writer w = wire_writer(body, 6 + len);
	struct wire_writer to = wire_writer(value, sizeof(value));
	struct request_world wide = world;
	const char *bad;

	assert_non_null(body);
	assert_non_null(large);
	wire_put_string(&w, text);
	wide.work = large;
	wide.work_len = WORK;
	steps = REQUEST_STEPS_MAX;
	bad = request_evaluate(&wide, body, 6 + len, &to);
	/* A long value is not too dear. */
	if (bad == query_too_much)
		bad = NULL;
	free(large);
	free(body);
	return bad;
}

static unsigned
steps_of(const char *text)
{
	assert_null(error_of(text));
	return REQUEST_STEPS_MAX - steps;
}

/* A lambda is read at each call: each of its nodes takes a step then, and
 * another one to be evaluated. */
static void
test_steps_of_a_call(void **state)
{
	unsigned of_one = steps_of("{x}'1 1 1") - steps_of("{x}'1 1");
	unsigned of_six =
		steps_of("{x;x;x;x;x;x}'1 1 1") - steps_of("{x;x;x;x;x;x}'1 1");

	(void)state;
	assert_int_equal(of_six - of_one, 5 * 2);
}

/* The most that a text may cost, for each kind of work: this much is answered,
 * and ten times as much is 'limit before it is done. */
static void
test_dearest(void **state)
{
	static const struct {
		const char *start, *part, *end;
		unsigned cnt;
	} cases[] = {
		{ "count ", "1 ", "1", 15000 },
		{ "count ", "-1.5 ", "1", 15000 },
		{ "count ", "`a", "", 60000 },
		{ "count \"", "abcdefgh", "\"", 60000 },
		{ "count \"", "\\n", "\"", 120000 },
		{ "count string ", "1 ", "1", 8000 },
		{ "count \",\" vs \"", ",", "\"", 12000 },
		{ "count `$(", "\"ab\";", "\"c\")", 2000 },
		{ "sum ", "1 ", "1", 12000 },
		{ "count {x,x}{x,x}{x,x}", "1 ", "1", 10000 },
		{ "1 in ", "1 ", "1", 12000 },
		{ "{x in x}", "1 ", "1", 300 },
		{ "{x in x}", "`a", "", 300 },
		{ "{x~x}", "`a", "", 30000 },
		{ "(", "foo;", "1)", 2000 },
		{ "{(`a`b!1 2)x}", "`a", "", 6000 },
		{ "", "    ", "1", 400000 },
	};
	char *text = malloc(LEN_MAX * 40);

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *bad;

		(void)repeat(text, cases[i].start, cases[i].part, cases[i].cnt,
			     cases[i].end);
		bad = error_of(text);
		if (bad == query_limit)
			fail_msg("%s... is too dear", cases[i].start);
		(void)repeat(text, cases[i].start, cases[i].part,
			     cases[i].cnt * 10, cases[i].end);
		bad = error_of(text);
		if (bad != query_limit)
			fail_msg("%s... ten times: %s", cases[i].start,
				 bad == NULL ? "answered" : bad);
	}
	free(text);
}

/* A request that only makes lists pays for their bytes. */
static void
test_steps_of_bytes(void **state)
{
	enum { CHARS = 100000 };
	static char two[CHARS + 64], four[CHARS + 64];
	unsigned more;

	(void)state;
	(void)repeat(two, "count{(x;x)}\"", "a", CHARS, "\"");
	(void)repeat(four, "count{(x;x;x;x)}\"", "a", CHARS, "\"");
	more = steps_of(four) - steps_of(two);
	/* for the list, for the value of the call, and for the argument */
	assert_in_range(more, 3 * (2 * CHARS / REQUEST_STEP_BYTES), 600);
}

/* Objects that cost little to copy are dear to walk over. */
static void
test_steps_of_a_walk(void **state)
{
	char symbols[80], list[100], text[200];

	(void)state;
	(void)repeat(text, "count", "{x,x}", 14, "(`a;1)");
	assert_null(error_of(text));
	(void)repeat(text, "{x~x}", "{x,x}", 17, "(`a;1)");
	assert_ptr_equal(error_of(text), query_limit);
	assert_in_range(steps, 0, REQUEST_STEPS_MAX);
	(void)repeat(list, "(", repeat(symbols, "", "`a", 32, ""), 1, ";1)");
	(void)repeat(text, "count", "{x,x}", 5, list);
	assert_null(error_of(text));
	(void)repeat(text, "{x~x}", "{x,x}", 12, list);
	assert_ptr_equal(error_of(text), query_limit);
}

static int64_t
late_clock(void)
{
	static int64_t now_ns;

	return now_ns += NS_PER_S;
}

/* However few the steps: the clock is looked at between them. */
static void
test_time(void **state)
{
	struct cpu_limit over = { .clock_ns = late_clock,
				  .cpu_ns = late_clock };
	struct request_world late = world;
	uint8_t body[4096], value[64];
	struct wire_writer w = wire_writer(body, sizeof(body));
	struct wire_writer to = wire_writer(value, sizeof(value));
	char text[2000];

	(void)state;
	wire_put_string(&w, repeat(text, "{x}'", "1 ", 400, "1"));
	cpu_limit_begin(&over, 0);
	late.time = &over;
	steps = REQUEST_STEPS_MAX;
	assert_ptr_equal(request_evaluate(&late, body, wire_written(&w), &to),
			 query_limit);
	late.time = NULL;
	steps = REQUEST_STEPS_MAX;
	assert_ptr_equal(request_evaluate(&late, body, wire_written(&w), &to),
			 query_too_much);
}

/* An evaluation that does not end by itself is ended, by an error that no trap
 * catches. */
static void
test_bounds(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ "{x x}{x x}", "'stack" },
		{ "@[{x x};{x x};0]", "'stack" },
		{ ".[{x[x;y]};({x[x;y]};1);0]", "'stack" },
		/* doubled again and again */
		{ "{x,x}{x,x}{x,x}{x,x}{x,x}{x,x}{x,x}{x,x}{x,x}{x,x}{x,x}"
		  "{x,x}{x,x}{x,x}{x,x}{x,x}{x,x}{x,x}{x,x}{x,x}\"abcdefgh\"",
		  "'limit" },
		{ "@[{x,x}{x,x}{x,x}{x,x}{x,x}{x,x}{x,x}{x,x}{x,x}{x,x}{x,x}"
		  "{x,x}{x,x}{x,x}{x,x}{x,x}{x,x}{x,x}{x,x}{x,x};"
		  "\"abcdefgh\";0]",
		  "'limit" },
		/* a thousand times a thousand */
		{ "{x{x,y}\\:/:x}{x,x,x,x,x,x,x,x,x,x}"
		  "{x,x,x,x,x,x,x,x,x,x}{x,x,x,x,x,x,x,x,x,x}1 2",
		  "'limit" },
		{ "{x in\\: x}{x,x,x,x,x,x,x,x,x,x}"
		  "{x,x,x,x,x,x,x,x,x,x}{x,x,x,x,x,x,x,x,x,x}1 2",
		  "'limit" },
		{ "{x in x}{x,x,x,x,x,x,x,x,x,x}"
		  "{x,x,x,x,x,x,x,x,x,x}{x,x,x,x,x,x,x,x,x,x}1 2 3 4 5",
		  "'limit" },
		/* nested deeper than a message may be, though not deeply
		 * evaluated */
		{ "{[f;x]f f f f x}[{[f;x]f f f f x}[{[f;x]f f f f x}"
		  "[{enlist(x;`a)}]]]1",
		  "'limit" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		check_text(cases[i].text, cases[i].error);
}

static void
check_small_work(const uint8_t *body, size_t len)
{
	struct request_world small = world;
	uint8_t bytes[4096];
	unsigned good_cnt = 0;

	for (size_t room = 0; room < 4096; room += room < 512 ? 1 : 8) {
		struct wire_writer to = wire_writer(bytes, sizeof(bytes));
		const char *bad;

		small.work = fence_room(&in_fence, room);
		small.work_len = room;
		steps = REQUEST_STEPS_MAX;
		bad = request_evaluate(&small, body, len, &to);
		assert_int_equal(bad == NULL, wire_written(&to) > 0);
		if (bad == NULL)
			good_cnt++;
		else
			assert_string_equal(bad, "limit");
		/* More than enough does not change the result. */
		assert_true((bad == NULL) == (good_cnt > 0));
	}
	assert_true(good_cnt > 0);
}

/* The work area may be of any size: when it is full, the request ends with
 * 'limit, and nothing is read after what was written. */
static void
test_small_work(void **state)
{
	static const char *const texts[] = {
		"(.u.sub[;`]each`trade`quote;{x}'[1 2 3])",
		"@[{foo};1;{x}]",
		".[{foo};(1;2);\"an answer\"]",
		"@[{foo x};`a`b;`c]",
		"key`.u",
		"string 1 2 3",
		"\",\" vs \"a,b,c\"",
		"{x in x}1 2 3",
		"(`a`b!1 2)`a",
		".u.i",
	};
	static const char *const objects[] = {
		"0b00 02000000 2e7500 6900",   /* `.u`i */
		"0b00 01000000 2e752e6900",    /* enlist`.u.i */
		"0000 01000000 f5 2e752e6900", /* enlist`.u.i, general */
	};
	uint8_t body[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct wire_writer w = wire_writer(body, sizeof(body));

		wire_put_string(&w, texts[i]);
		check_small_work(body, wire_written(&w));
	}
	for (size_t i = 0; i < ARRAY_LEN(objects); i++)
		check_small_work(body,
				 hex_bytes(objects[i], body, sizeof(body)));
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
	check_object("0000 02000000 f52e752e6900 fc00", "'type");
	check_object("0000 03000000 f52e7500 fc00 fc00", "'type");
	check_object("0000 02000000 f52e7500 fc00", "'type");
	/* a name with spaces around it; other text; nothing */
	check_object("0000 02000000 0a00 05000000 2075706420 f500",
		     "0000 02000000" SUB EMPTY);
	check_object("0000 02000000 0a00 03000000 666f6f f500", "'foo");
	check_object("0000 02000000 0a00 06000000 757064 5b315d fc00",
		     SUB); /* ("upd[1]";0h) */
	check_object("0000 02000000 0a00 05000000 666f6f2b31 f500", "'foo");
	check_object("0000 02000000 0a00 00000000 f500", EMPTY);
	check_object("0000 02000000 0a00 03000000 7b787d f500", EMPTY);
	check_object("0000 02000000 0a00 01000000 28 f500", "'nyi");
	/* not a request */
	check_object("fc00", "'type");
	check_object("0600 01000000 01000000", "'type");
	check_object("80 666f6f00", "'type");
	check_object("0000 02000000 fc00 f500", "'type");
	check_object("0000 02000000 6500 f500", EMPTY);
	check_object("0000 02000000 6501 f500", "'nyi");
	check_object("0000 02000000 64000a0003000000 7b787d f500", EMPTY);
	check_object("0000 02000000 6473756200 0a0003000000 7b787d f500",
		     EMPTY);
	check_object("64000a0003000000 7b787d", "'nyi");
	check_object("6500", NULL_);
	check_object("6501", "'nyi");
	/* value of a dictionary: its values */
	check_object("63 0b0000000000 000000000000", "0000 00000000");
}

static void
check_vector(const char *name, const char *expected)
{
	const struct vector *v = vectors_find(name);

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
	check_vector("sub_lambda", SUB_TRADE);
	check_vector("torq_tptype", "f5 7374616e6461726400");
	check_vector("mgkdb_lambda_sub",
		     "0000 03000000" I L "0000 02000000" SUB_TRADE
		     "0000 03000000" SUB "f571756f746500" EMPTY);
	check_vector("feed_upd_cols", "'.u.upd");
	check_vector("feed_upd_strfn", "'.u.upd");
}

/* All kinds of kdb+ objects, with any byte changed. */
static void
test_vectors_flipped(void **state)
{
	static const uint8_t flips[] = { 0x01, 0x04, 0x80, 0xff };
	bool has_long_counts;
	const uint8_t *out;
	size_t out_len;

	(void)state;
	for (size_t i = 0; i < vectors.cnt; i++) {
		const struct vector *v = &vectors.items[i];
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
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_variables),
		cmocka_unit_test(test_rdb),
		cmocka_unit_test(test_text_errors),
		cmocka_unit_test(test_long_name),
		cmocka_unit_test(test_lambdas),
		cmocka_unit_test(test_projections),
		cmocka_unit_test(test_adverbs),
		cmocka_unit_test(test_conditions),
		cmocka_unit_test(test_traps),
		cmocka_unit_test(test_verbs),
		cmocka_unit_test(test_comparing),
		cmocka_unit_test(test_text_verbs),
		cmocka_unit_test(test_indexing),
		cmocka_unit_test(test_names_as_values),
		cmocka_unit_test(test_torq),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_steps_of_a_call),
		cmocka_unit_test(test_dearest),
		cmocka_unit_test(test_steps_of_bytes),
		cmocka_unit_test(test_steps_of_a_walk),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_small_work),
		cmocka_unit_test(test_objects),
		cmocka_unit_test(test_vectors_of_clients),
		cmocka_unit_test(test_vectors_flipped),
		cmocka_unit_test(test_texts_broken),
		cmocka_unit_test(test_arg_text),
	};

	return cmocka_run_group_tests(tests, vectors_open, vectors_close);
}
