#include "config.h"

#include "tick/request_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "wire/wire.h"

static void
check(const struct wire_writer *w, const char *expected)
{
	char text[ASKED_BYTES + 8];

	memset(text, '#', sizeof(text));
	assert_ptr_equal(asked_text(text, w->base, wire_written(w)), text);
	assert_string_equal(text, expected);
	assert_int_equal(text[ASKED_BYTES], '#');
}

/* The name of the function and of the table are there, data are not. */
static void
test_calls(void **state)
{
	uint8_t bytes[4096];
	struct wire_writer w = wire_writer(bytes, sizeof(bytes));

	(void)state;
	wire_put_list(&w, KT_LIST, KA_NONE, 3);
	wire_put_string(&w, ".u.updd");
	wire_put_symbol(&w, "trade");
	wire_put_list(&w, KT_LIST, KA_NONE, 0);
	check(&w, "(.u.updd;trade;list)");

	w = wire_writer(bytes, sizeof(bytes));
	wire_put_list(&w, KT_LIST, KA_NONE, 4);
	wire_put_symbol(&w, "f");
	wire_put_long(&w, 1);
	wire_put_list(&w, KT_FLOAT, KA_NONE, 0);
	wire_put_symbol(&w, "x");
	check(&w, "(f;long;float;..)");

	w = wire_writer(bytes, sizeof(bytes));
	wire_put_list(&w, KT_SYMBOL, KA_NONE, 2);
	wire_put_symbol_item(&w, ".u.sub", 6);
	wire_put_symbol_item(&w, "a b\n", 4);
	check(&w, "(.u.sub;a b?)");
	w = wire_writer(bytes, sizeof(bytes));
	wire_put_list(&w, KT_LIST, KA_NONE, 0);
	check(&w, "()");
}

/* The line keeps its form for any request, long or strange. */
static void
test_texts(void **state)
{
	uint8_t bytes[4096];
	struct wire_writer w = wire_writer(bytes, sizeof(bytes));
	char text[3000], expected[ASKED_BYTES];

	(void)state;
	wire_put_string(&w, "a \"b\\\x80\xff=1");
	check(&w, "a ?b??\?=1");
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	w = wire_writer(bytes, sizeof(bytes));
	wire_put_string(&w, text);
	memset(expected, 'x', sizeof(expected));
	memcpy(expected + ASKED_BYTES - 3, "..", 3);
	check(&w, expected);
	w = wire_writer(bytes, sizeof(bytes));
	wire_put_null(&w);
	check(&w, "function or (::)");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
