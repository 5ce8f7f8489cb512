#include "config.h"

#include "schema/schema.h"

#include <ctype.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../frames.h"
#include "base/util.h"
#include "../vectors.h"
#include "wire/wire.h"

static const char letters[] = "bgxhijefcspmdznuvt";

/* ---- a parsed schema in one line ---- */

__attribute__((format(printf, 3, 4))) static void
append(char *out, size_t out_len, const char *format, ...)
{
	size_t at = strlen(out);
	va_list args;

	va_start(args, format);
	vsnprintf(out + at, out_len - at, format, args);
	va_end(args);
}

/* "trade time:n sym:s#g price:f|quote ...": a space is an untyped column */
static void
describe(const struct schema *s, char *out, size_t out_len)
{
	static const char attrs[] = " supg";

	out[0] = '\0';
	for (unsigned i = 0; i < s->tables_cnt; i++) {
		const struct schema_table *t = &s->tables[i];

		append(out, out_len, "%s%s", i == 0 ? "" : "|", t->name);
		for (unsigned k = 0; k < t->columns_cnt; k++) {
			const struct schema_column *c = &t->columns[k];
			int letter = c->type == 0   ? ' '
				     : c->is_string ? '!'
				     : c->type > 3  ? letters[c->type - 2]
						    : letters[c->type - 1];

			append(out, out_len, " %s:%c", c->name, letter);
			if (c->attr != KA_NONE)
				append(out, out_len, "#%c", attrs[c->attr]);
		}
	}
}

/* Parses a copy of the text whose memory ends with the text. */
static int
parse(struct schema *s, const char *text, size_t len, struct schema_error *err)
{
	char *copy = malloc(len == 0 ? 1 : len);
	int res;

	assert_non_null(copy);
	memcpy(copy, text, len);
	res = schema_parse(s, copy, len, err);
	free(copy);
	return res;
}

static void
assert_reads(const char *text, const char *expected)
{
	struct schema s = { 0 };
	struct schema_error err;
	char found[4096];

	if (parse(&s, text, strlen(text), &err) != 0)
		fail_msg("%s\n%u:%u: %s", text, err.line, err.column, err.text);
	describe(&s, found, sizeof(found));
	assert_string_equal(found, expected);
	schema_fini(&s);
}

static void
assert_refuses(const char *text, unsigned line, unsigned column,
	       const char *expected)
{
	struct schema s = { 0 };
	struct schema_error err;

	assert_int_equal(parse(&s, text, strlen(text), &err), -EINVAL);
	if (strstr(err.text, expected) == NULL || err.line != line ||
	    err.column != column)
		fail_msg("%s\nexpected %u:%u: %s\nfound %u:%u: %s", text, line,
			 column, expected, err.line, err.column, err.text);
	schema_fini(&s);
}

/* ---- spellings ---- */

static void
test_reads_the_kdb_tick_schema(void **state)
{
	(void)state;
	assert_reads("quote:([]time:`timespan$(); sym:`g#`symbol$(); "
		     "bid:`float$(); ask:`float$(); bsize:`long$(); "
		     "asize:`long$(); mode:`char$(); ex:`char$())\n"
		     "trade:([]time:`timespan$(); sym:`g#`symbol$(); "
		     "price:`float$(); size:`long$(); stop:`boolean$(); "
		     "cond:`char$(); ex:`char$())\n",
		     "quote time:n sym:s#g bid:f ask:f bsize:j asize:j mode:c "
		     "ex:c|trade time:n sym:s#g price:f size:j stop:b cond:c "
		     "ex:c");
	/* a byte order mark; an attribute before the name */
	assert_reads("\xef\xbb\xbf" "t:([]`s#time:\"p\"$();`g#sym:`$())",
		     "t time:p#s sym:s#g");
}

static const struct {
	const char *text, *expected;
} good_columns[] = {
	{ "`float$()", "f" },
	{ "`$()", "s" },
	{ "\"P\"$()", "p" },
	{ "\"p\"$()", "p" },
	{ "\"*\"$()", " " },
	{ "()", " " },
	{ "( )", " " },
	{ "\"\"", "c" },
	{ "`g#`symbol$()", "s#g" },
	{ "`s#`symbol$()", "s#s" },
	{ "`u#`symbol$()", "s#u" },
	{ "`p#`symbol$()", "s#p" },
	{ "`#`symbol$()", "s" },
	{ "`g#()", " #g" },
	{ "`g#`s#`symbol$()", "s#g" },
	{ "`g#(`symbol$())", "s#g" },
	{ "(`symbol$())", "s" },
	{ "`g # `symbol $ ( )", "s#g" },
	{ "`g#0#`", "s#g" },
	{ "0#`", "s" },
	{ "0#`a", "s" },
	{ "0#()", " " },
	{ "0#\"\"", "c" },
	{ "0#\" \"", "c" },
	{ "0#0", "j" },
	{ "0#42", "j" },
	{ "0#0N", "j" },
	{ "0#0W", "j" },
	{ "0#0n", "f" },
	{ "0#0w", "f" },
	{ "0#0.", "f" },
	{ "0#12.50", "f" },
	{ "0#0x", "x" },
	{ "0#0x00", "x" },
	{ "0#0b", "b" },
	{ "0#0h", "h" },
	{ "0#0i", "i" },
	{ "0#0j", "j" },
	{ "0#0e", "e" },
	{ "0#0f", "f" },
	{ "0#0Ng", "g" },
	{ "0#0Nh", "h" },
	{ "0#0Wi", "i" },
	{ "0#0Ne", "e" },
	{ "0#0Np", "p" },
	{ "0#0Nm", "m" },
	{ "0#0Nd", "d" },
	{ "0#0Nz", "z" },
	{ "0#0Nn", "n" },
	{ "0#0Nu", "u" },
	{ "0#0Nv", "v" },
	{ "0#0Wt", "t" },
};

static void
test_reads_each_spelling_of_a_column(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good_columns); i++) {
		char text[128], expected[128];

		snprintf(text, sizeof(text),
			 "t:([]time:`timespan$();sym:`$();c:%s)",
			 good_columns[i].text);
		snprintf(expected, sizeof(expected), "t time:n sym:s c:%s",
			 good_columns[i].expected);
		assert_reads(text, expected);
		snprintf(text, sizeof(text),
			 "t:flip`time`sym`c!(`timespan$();`$();%s)",
			 good_columns[i].text);
		assert_reads(text, expected);
	}
}

static void
test_reads_each_spelling_of_a_table(void **state)
{
	static const char expected[] = "trade time:p sym:s price:f";
	static const char *const texts[] = {
		"trade:([]time:\"P\"$();sym:`$();price:0#0n)",
		"trade:([]time:\"P\"$();sym:`$();price:0#0n);",
		"trade : ( [ ] time : \"P\" $ ( ) ; sym : `$() ; price:0#0n )",
		"trade:([]\n time:\"P\"$();\n\tsym:`$();\n price:0#0n)",
		"trade:([]\r\n time:\"P\"$();\r\n sym:`$();\r\n price:0#0n)"
		"\r\n",
		"trade:([]\n time:\"P\"$();\n sym:`$();\n price:0#0n\n )",
		"trade:([]\n time:\"P\"$();\n sym:`$();\n price:0#0n\n)",
		"trade:\n ([]time:\"P\"$();\n\n sym:`$();\n \n price:0#0n)",
		"trade:flip`time`sym`price!\"PSF\"$\\:()",
		"trade:flip `time`sym`price!\"psf\"$\\:();",
		"trade:flip `time`sym`price ! \"PSF\" $\\: ()",
		"trade:flip(`time`sym`price!\"PSF\"$\\:())",
		"trade:flip`time`sym`price!`timestamp`symbol`float$\\:()",
		"trade:flip`time`sym`price!`timestamp``float$\\:()",
		"trade:flip `time`sym`price!(`timestamp$();`symbol$();0#0n)",
		"trade:flip(`time`sym`price!(\"P\"$();`$();`float$()))",
		/* comments */
		"/ a comment\ntrade:flip`time`sym`price!\"PSF\"$\\:()",
		"/trade\n//\ntrade:flip`time`sym`price!\"PSF\"$\\:() / x",
		"trade:([]time:\"P\"$(); / it's \"time\" (;\n"
		" sym:`$();\t/\n / more\n/ more\n price:0#0n)",
		"/\ntrade:([]\n quote\n\\\ntrade:([]time:\"P\"$();sym:`$();"
		"price:0#0n)",
		"/ \t\nx\n / \\\n\\ \r\ntrade:flip`time`sym`price!"
		"\"PSF\"$\\:()\n/\nunending",
		"trade:flip`time`sym`price!\"PSF\"$\\:()\n\\\nthe rest\n",
		"trade:flip`time`sym`price!\"PSF\"$\\:()\n\\",
		"\n\n;\n;; \n trade:flip`time`sym`price!\"PSF\"$\\:();;\n;",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_reads(texts[i], expected);
}

static void
test_reads_several_definitions(void **state)
{
	(void)state;
	assert_reads("b:([]time:0#0Nn;sym:0#`);a:([]time:0#0Nt;sym:0#`)\n"
		     "c:flip`time`sym`x!\"NS*\"$\\:();d:([]time:0#0Np;sym:());",
		     "b time:n sym:s|a time:t sym:s|c time:n sym:s x: |"
		     "d time:p sym: ");
	assert_reads("", "");
	assert_reads("\n / nothing\n", "");
}

static void
test_adds_to_the_tables_there_are(void **state)
{
	static const char *const texts[] = {
		"b:flip`time`sym!\"NS\"$\\:()",
		"a:flip`time`sym!\"NS\"$\\:()",
	};
	struct schema s = { 0 };
	struct schema_error err;
	char found[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_int_equal(
			schema_parse(&s, texts[i], strlen(texts[i]), &err), 0);
	describe(&s, found, sizeof(found));
	assert_string_equal(found, "b time:n sym:s|a time:n sym:s");
	schema_fini(&s);
}

/* ---- types ---- */

static const char *const type_names[] = {
	"boolean", "guid",     "byte",	   "short",  "int",	  "long",
	"real",	   "float",    "char",	   "symbol", "timestamp", "month",
	"date",	   "datetime", "timespan", "minute", "second",	  "time",
};

static void
assert_adds(const char *type, int8_t code, bool is_string)
{
	struct schema s = { 0 };
	struct schema_error err;
	struct schema_table *t;

	assert_int_equal(schema_add_table(&s, "t", &t, &err), 0);
	assert_int_equal(schema_add_column(t, "time", "n", KA_NONE, &err), 0);
	assert_int_equal(schema_add_column(t, "sym", "s", KA_GROUPED, &err), 0);
	assert_int_equal(schema_add_column(t, "c", type, KA_SORTED, &err), 0);
	assert_int_equal(t->columns[2].type, code);
	assert_int_equal(t->columns[2].attr, KA_SORTED);
	assert_true(t->columns[2].is_string == is_string);
	schema_fini(&s);
}

static void
test_knows_all_types(void **state)
{
	(void)state;
	assert_int_equal(strlen(letters), 18);
	assert_int_equal(ARRAY_LEN(type_names), 18);
	for (size_t i = 0; i < ARRAY_LEN(type_names); i++) {
		/* There is no type 3. */
		int8_t code = (int8_t)(i < 2 ? i + 1 : i + 2);
		char word[2] = { letters[i], '\0' };
		char capital[2] = { (char)toupper(letters[i]), '\0' };
		char text[256], expected[64];

		assert_adds(type_names[i], code, false);
		assert_adds(word, code, false);
		assert_adds(capital, code, false);
		snprintf(expected, sizeof(expected),
			 "t time:n sym:s a:%c b:%c c:%c", letters[i],
			 letters[i], letters[i]);
		snprintf(text, sizeof(text),
			 "t:([]time:`timespan$();sym:`$();a:`%s$();"
			 "b:\"%s\"$();c:\"%s\"$())",
			 type_names[i], word, capital);
		assert_reads(text, expected);
		snprintf(text, sizeof(text),
			 "t:flip`time`sym`a`b`c!\"ns%s%s%s\"$\\:()", word,
			 capital, word);
		assert_reads(text, expected);
	}
	assert_adds("", KT_LIST, false);
	assert_adds("list", KT_LIST, false);
	assert_adds("string", KT_LIST, true);
}

/* ---- refused text ---- */

static void
test_refuses_what_is_no_definition(void **state)
{
	(void)state;
	assert_refuses("\\d .q\n", 1, 1, "\"\\d .q\" is not understood here");
	assert_refuses("/ x\n\\l more.q", 2, 1, "\"\\l more.q\"");
	assert_refuses("system \"l x.q\"", 1, 1,
		       "\"system\" begins no table; allowed: definitions");
	assert_refuses("x:5", 1, 3, "\"5\" is not understood here");
	assert_refuses("f:{x+1}", 1, 3, "\"{\"");
	assert_refuses("`t set ([]time:())", 1, 1, "\"`t\"");
	assert_refuses("t::([]time:())", 1, 3, "\":\"");
	assert_refuses("t:", 1, 3, "the end of the text comes too early");
	assert_refuses("t:\n", 2, 1, "the end of the text comes too early");
	assert_refuses("t", 1, 1, "\"t\" begins no table");
	assert_refuses(".u.t:([]time:())", 1, 1, "\".u.t\" cannot be a name");
	assert_refuses("t.u:([]time:())", 1, 1, "\"t.u\" cannot be a name");
	/* a byte order mark is good only at the very start */
	assert_refuses(" \xef\xbb\xbft:1", 1, 2, "\"?\"");
	assert_refuses("t:flip`time`sym!\"NS\"$\\:() x", 1, 27,
		       "\"x\" is not understood here; allowed: ; or a new");
	assert_refuses("t:flip`time`sym!\"NS\"$\\:()/ x", 1, 26, "\"/\"");
	assert_refuses("t:([]time:0#0Np;sym:0#`)\nt:([]time:0#0Np;sym:0#`)", 2,
		       1, "table t is defined twice");
}

static void
test_refuses_bad_tables(void **state)
{
	(void)state;
	assert_refuses("t:([sym:`$()]time:0#0Np)", 1, 5,
		       "\"sym\" would be a key column; allowed: [] without");
	assert_refuses("t:([]time:0#0Np;sym:0#`", 1, 24,
		       "the end of the text comes too early; allowed: ; or )");
	assert_refuses("t:([]time:0#0Np;\nsym:0#`)", 2, 1,
		       "a line that begins without a blank comes too early");
	assert_refuses("t:([]time:0#0Np;sym:0#`\nu:([]", 2, 1,
		       "a line that begins without a blank comes too early; "
		       "allowed: ; or )");
	assert_refuses("t:([]time:0#0Np;sym:0#`;)", 1, 25,
		       "\")\" is not understood here; allowed: a column");
	assert_refuses("t:([]time:0#0Np,sym:0#`)", 1, 16, "\",\"");
	assert_refuses("t:([]time;sym:0#`)", 1, 10, "\";\"");
	assert_refuses("t:([]`timespan$();sym:0#`)", 1, 6, "\"`timespan\"");
	assert_refuses("t:([])", 1, 6, "\")\"");
	assert_refuses("t:(time:0#0Np)", 1, 4,
		       "\"time\" is not understood here; allowed: [");
	assert_refuses("t:([]time:0#0Np;sym:0#`;a_b:0#0;a_b:0#0)", 1, 33,
		       "table t has a column a_b already");
	assert_refuses("t:([]time:0#0Np;sym:0#`;.z.p:0#0)", 1, 25,
		       "\".z.p\" cannot be a name");
	assert_refuses("t:([]time:0#0Np;sym:0#`;a.b:0#0)", 1, 25,
		       "\"a.b\" cannot be a name");
}

static void
test_refuses_bad_columns(void **state)
{
	static const struct {
		const char *text;
		unsigned column; /* from the start of text */
		const char *expected;
	} columns[] = {
		{ "`tmespan$()", 1, "\"tmespan\" is no type of a column" },
		{ "`g#`flot$()", 4, "\"flot\" is no type of a column" },
		{ "`sym$()", 1, "\"sym\" is no type of a column" },
		{ "`f$()", 1, "\"`f\" is no type" },
		{ "`string$()", 1, "\"`string\" is no type" },
		{ "`list$()", 1, "\"`list\" is no type" },
		{ "`timestampandmore$()", 1, "\"`timestampandmore\"" },
		{ "\"Q\"$()", 1, "\"Q\" is no type of a column" },
		{ "\" \"$()", 1, "\" \" is no type of a column" },
		{ "\"PS\"$()", 1, "\"PS\" is no letter of a type" },
		{ "`x#`symbol$()", 1, "\"`x\" is no attribute" },
		{ "`gs#`symbol$()", 1, "\"`gs\" is no attribute" },
		{ "`float$1 2", 8, "\"1\" is not understood here; allowed: (" },
		{ "`float", 1, "\"`float\" is not understood here" },
		{ "`a`b", 1, "\"`a\"" },
		{ "1#0n", 1, "\"1\" is not understood here" },
		{ "0", 2, "\")\" is not understood here; allowed: #" },
		{ "0n", 1, "\"0n\"" },
		{ "0#0q", 3,
		  "\"0q\" is not understood here; allowed: a value" },
		{ "0#0Nx", 3, "\"0Nx\"" },
		{ "0#0.5.5", 3, "\"0.5.5\"" },
		{ "0#2000.01.01", 3, "\"2000.01.01\"" },
		{ "0#foo", 3, "\"foo\"" },
		{ "0#(0n)", 4, "\"0n\"" },
		{ "0#`a`b", 5, "\"`b\"" },
		{ "float$()", 1, "\"float\"" },
		{ "\"unending", 1, "\"unending) is not understood here" },
		{ "(`float$()", 12, "the end of the text comes too early" },
		{ "[]", 1, "\"[\"" },
		{ "\x01", 1, "\"?\"" },
		{ "((((((((((((((((((()))))))))))))))))))", 18,
		  "\"(\" is nested too deeply" },
	};
	static const char before[] = "t:([]time:0#0Np;sym:`$();\n c:";

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
		char text[128];

		snprintf(text, sizeof(text), "%s%s)", before, columns[i].text);
		assert_refuses(text, 2, columns[i].column + 3,
			       columns[i].expected);
	}
}

static void
test_refuses_bad_flips(void **state)
{
	(void)state;
	assert_refuses("t:flip`time`sym!\"NSF\"$\\:()", 1, 17,
		       "\"NSF\" begins 3 types for 2 names");
	assert_refuses("t:flip`time`sym`a!\"NS\"$\\:()", 1, 19,
		       "\"NS\" begins 2 types for 3 names");
	assert_refuses("t:flip`time`sym`a!\"NSQ\"$\\:()", 1, 22,
		       "\"Q\" is no type of a column");
	assert_refuses("t:flip`time`sym`a!\"NS \"$\\:()", 1, 22, "\" \" is no");
	assert_refuses("t:flip`time`sym!\"NS\"$()", 1, 22,
		       "\"(\" is not understood here; allowed: \\:");
	assert_refuses("t:flip`time`sym!\"NS\"\\:()", 1, 21, "allowed: $");
	assert_refuses("t:flip`time`sym!\"NS\"$\\:(", 1, 25, "the end");
	assert_refuses("t:flip`time`sym!`timespan$\\:()", 1, 17,
		       "\"`timespan\" begins 1 types for 2 names");
	assert_refuses("t:flip`time`sym!`timespan`sim$\\:()", 1, 26,
		       "\"sim\" is no type");
	assert_refuses("t:flip`time`sym!`timespan`s$\\:()", 1, 26,
		       "\"`s\" is no type");
	assert_refuses("t:flip`time`sym!(0#0Np;0#`;0#0)", 1, 17,
		       "\"(\" begins 3 types for 2 names");
	assert_refuses("t:flip`time`sym`a!(0#0Np;0#`)", 1, 19,
		       "\"(\" begins 2 types for 3 names");
	assert_refuses("t:flip`time`sym!(0#0Np;0#`", 1, 27,
		       "the end of the text comes too early; allowed: ; or )");
	assert_refuses("t:flip`time`sym!(0#0Np;x)", 1, 24, "\"x\"");
	assert_refuses("t:flip`time`sym!2#()", 1, 17, "\"2\"");
	assert_refuses("t:flip`time `sym!\"NS\"$\\:()", 1, 13, "\"`sym\"");
	assert_refuses("t:flip`time`sym`$\"NS\"$\\:()", 1, 17, "\"$\"");
	assert_refuses("t:flip x", 1, 8, "\"x\"");
	assert_refuses("t:flip(`time`sym!\"NS\"$\\:()", 1, 27, "the end");
	assert_refuses("t:flip`time`sym``a!\"NSFF\"$\\:()", 1, 16,
		       "\"\" cannot be a name");
	assert_refuses("t:flip`time`sym`1a!\"NSF\"$\\:()", 1, 16,
		       "\"1a\" cannot be a name");
	assert_refuses("t:flip`time`sym`a`a!\"NSFF\"$\\:()", 1, 18,
		       "table t has a column a already");
}

static void
test_refuses_tables_without_time_and_sym(void **state)
{
	(void)state;
	assert_refuses("t:([]sym:0#`;time:0#0Np)", 1, 6,
		       "column 1 of table t is sym; allowed: time");
	assert_refuses("t:([]time:0#0Np;price:0#0n;sym:0#`)", 1, 17,
		       "column 2 of table t is price; allowed: sym");
	assert_refuses("t:([]time:0#0n;sym:0#`)", 1, 6,
		       "column time of table t is a float; allowed: timespan, "
		       "timestamp, time");
	assert_refuses("t:([]time:();sym:0#`)", 1, 6,
		       "column time of table t is a list");
	assert_refuses("t:flip`time`price!\"PF\"$\\:()", 1, 12,
		       "column 2 of table t is price");
	assert_refuses("\n t:([]time:0#0Np)", 2, 2,
		       "\"t\" has one column only; allowed: each table begins "
		       "with time and sym");
}

static void
test_refuses_bad_additions(void **state)
{
	struct schema s = { 0 };
	struct schema_table *t = NULL;
	struct schema_error err;
	char name[130];

	(void)state;
	memset(name, 'a', sizeof(name) - 1);
	name[128] = '\0';
	assert_int_equal(schema_add_table(&s, name, &t, &err), -EINVAL);
	assert_int_equal(schema_add_table(&s, "", &t, &err), -EINVAL);
	assert_int_equal(schema_add_table(&s, "1a", &t, &err), -EINVAL);
	assert_int_equal(schema_add_table(&s, "_a", &t, &err), -EINVAL);
	assert_int_equal(schema_add_table(&s, "a b", &t, &err), -EINVAL);
	assert_null(t);
	name[127] = '\0';
	assert_int_equal(schema_add_table(&s, name, &t, &err), 0);
	assert_int_equal(schema_add_table(&s, name, &t, &err), -EEXIST);
	assert_int_equal(err.line, 0);
	assert_int_equal(schema_add_column(t, "a-b", "n", 0, &err), -EINVAL);
	assert_int_equal(schema_add_column(t, "tim", "n", 0, &err), -EINVAL);
	assert_int_equal(schema_add_column(t, "time", "s", 0, &err), -EINVAL);
	assert_int_equal(schema_add_column(t, "time", "string", 0, &err),
			 -EINVAL);
	assert_non_null(strstr(err.text, " is a string; allowed"));
	assert_int_equal(schema_add_column(t, "time", "nn", 0, &err), -ENOENT);
	assert_int_equal(schema_add_column(t, "time", "*", 0, &err), -ENOENT);
	assert_int_equal(schema_add_column(t, "time", "time", 0, &err), 0);
	assert_int_equal(schema_add_column(t, "time", "time", 0, &err),
			 -EEXIST);
	assert_int_equal(t->columns_cnt, 1);
	schema_fini(&s);
	schema_fini(&s);
}

/* ---- limits ---- */

static void
test_has_limits(void **state)
{
	struct schema s = { 0 };
	struct schema_table *t;
	struct schema_error err;
	char name[16];

	(void)state;
	for (unsigned i = 0; i < SCHEMA_TABLES_MAX; i++) {
		snprintf(name, sizeof(name), "t%u", i);
		assert_int_equal(schema_add_table(&s, name, &t, &err), 0);
		assert_int_equal(schema_add_column(t, "time", "n", 0, &err), 0);
		assert_int_equal(schema_add_column(t, "sym", "s", 0, &err), 0);
	}
	assert_int_equal(schema_add_table(&s, "more", &t, &err), -E2BIG);
	for (unsigned i = 2; i < SCHEMA_COLUMNS_MAX; i++) {
		snprintf(name, sizeof(name), "c%u", i);
		assert_int_equal(schema_add_column(t, name, "j", 0, &err), 0);
	}
	assert_int_equal(schema_add_column(t, "more", "j", 0, &err), -E2BIG);
	assert_int_equal(schema_finish(&s, &err), 0);
	for (unsigned i = 0; i < s.tables_cnt; i++) {
		const char *found = s.tables[i].name;

		assert_int_equal(s.tables[i].idx, i);
		assert_ptr_equal(schema_find(&s, found, strlen(found)),
				 &s.tables[i]);
		assert_true(i == 0 || strcmp(s.tables[i - 1].name, found) < 0);
	}
	schema_fini(&s);
}

/* ---- the constant bytes ---- */

static const char two_tables[] =
	"trade:([]time:`timespan$();sym:`symbol$();price:`float$();"
	"size:`long$())\n"
	"quote:flip`time`sym`bid`ask`bsize`asize!\"nsffjj\"$\\:()\n";

static void
test_publish_prefix_is_golden(void **state)
{
	const struct vector *v = vectors_find("pub_upd_table_g");
	static const uint8_t header[WIRE_HEADER_BYTES] = { 1 };
	const struct schema_table *t;
	struct schema s;

	(void)state;
	schema_of(&s, two_tables);
	t = schema_find(&s, "trade", 5);
	assert_non_null(t);
	assert_true(t->publish_prefix_len < v->len);
	assert_memory_equal(t->publish_prefix, header, sizeof(header));
	assert_memory_equal(t->publish_prefix + sizeof(header),
			    v->bytes + sizeof(header),
			    t->publish_prefix_len - sizeof(header));
	/* The first column follows: two timespans. */
	assert_int_equal(v->bytes[t->publish_prefix_len], KT_TIMESPAN);
	assert_int_equal(v->bytes[t->publish_prefix_len + 2], 2);
	schema_fini(&s);
}

static void
test_sub_reply_is_golden(void **state)
{
	static const char contract[] =
		"0000 02000000 f5 747261646500 6200 63 0b00 03000000"
		"74696d6500 73796d00 707269636500 0000 03000000"
		"1000 00000000 0b04 00000000 0900 00000000";
	const struct vector *one = vectors_find("reply_sub_trade_g");
	const struct vector *both = vectors_find("reply_sub_all");
	size_t at = WIRE_HEADER_BYTES + 6;
	uint8_t bytes[256];
	struct schema s;

	(void)state;
	schema_of(&s, two_tables);
	assert_int_equal(s.tables[1].sub_reply_len,
			 one->len - WIRE_HEADER_BYTES);
	assert_memory_equal(s.tables[1].sub_reply,
			    one->bytes + WIRE_HEADER_BYTES,
			    s.tables[1].sub_reply_len);
	for (unsigned i = 0; i < s.tables_cnt; i++) {
		const struct schema_table *t = &s.tables[i];

		assert_true(at + t->sub_reply_len <= both->len);
		assert_memory_equal(both->bytes + at, t->sub_reply,
				    t->sub_reply_len);
		at += t->sub_reply_len;
	}
	assert_int_equal(at, both->len);
	schema_fini(&s);

	schema_of(&s, "trade:flip`time`sym`price!\"nsf\"$\\:()");
	assert_int_equal(hex_bytes(contract, bytes, sizeof(bytes)),
			 s.tables[0].sub_reply_len);
	assert_memory_equal(s.tables[0].sub_reply, bytes,
			    s.tables[0].sub_reply_len);
	schema_fini(&s);
}

static void
test_sub_reply_of_every_type_is_golden(void **state)
{
	const struct vector *v = vectors_find("schema_all_types_empty");
	size_t columns = 19 * 6;
	const struct schema_table *t;
	struct schema s;

	(void)state;
	schema_of(&s,
		  "t:flip`time`sym`cb`cg`cx`ch`ci`cj`ce`cf`cc`cs`cp`cm`cd`cz`cn"
		  "`cu`cv`ct`cl!\"nsbgxhijefcspmdznuvt*\"$\\:()");
	t = &s.tables[0];
	assert_memory_equal(t->sub_reply + t->sub_reply_len - columns,
			    v->bytes + v->len - columns, columns);
	schema_fini(&s);
}

/* Attributes are declared, but only sym has one in the reply: g#. */
static void
test_sub_reply_has_g_on_sym_only(void **state)
{
	static const char columns[] = "1300 00000000 0004 00000000"
				      "0700 00000000 0000 00000000";
	uint8_t bytes[24];
	struct schema s = { 0 };
	struct schema_table *t;
	struct schema_error err;

	(void)state;
	assert_int_equal(hex_bytes(columns, bytes, sizeof(bytes)), 24);
	assert_int_equal(schema_add_table(&s, "t", &t, &err), 0);
	assert_int_equal(schema_add_column(t, "time", "t", KA_SORTED, &err), 0);
	assert_int_equal(schema_add_column(t, "sym", "", KA_NONE, &err), 0);
	assert_int_equal(schema_add_column(t, "a", "j", KA_UNIQUE, &err), 0);
	assert_int_equal(schema_add_column(t, "b", "string", KA_NONE, &err), 0);
	assert_int_equal(schema_finish(&s, &err), 0);
	t = &s.tables[0];
	assert_memory_equal(t->sub_reply + t->sub_reply_len - sizeof(bytes),
			    bytes, sizeof(bytes));
	schema_fini(&s);
}

static void
test_finishes_only_tables_with_time_and_sym(void **state)
{
	struct schema s = { 0 };
	struct schema_table *t;
	struct schema_error err;

	(void)state;
	assert_int_equal(schema_finish(&s, &err), -EINVAL);
	assert_non_null(strstr(err.text, "no table"));
	assert_int_equal(schema_add_table(&s, "t", &t, &err), 0);
	assert_int_equal(schema_finish(&s, &err), -EINVAL);
	assert_non_null(strstr(err.text, "table t "));
	assert_int_equal(schema_add_column(t, "time", "n", 0, &err), 0);
	assert_int_equal(schema_finish(&s, &err), -EINVAL);
	schema_fini(&s);
}

static void
test_finds_whole_names_only(void **state)
{
	struct schema s;

	(void)state;
	schema_of(&s,
		  "a:flip`time`sym!\"ns\"$\\:();ab:flip`time`sym!\"ns\"$\\:();"
		  "B:flip`time`sym!\"ns\"$\\:()");
	assert_ptr_equal(schema_find(&s, "B", 1), &s.tables[0]);
	assert_ptr_equal(schema_find(&s, "a", 1), &s.tables[1]);
	assert_ptr_equal(schema_find(&s, "ab", 2), &s.tables[2]);
	assert_ptr_equal(schema_find(&s, "abc", 2), &s.tables[2]);
	assert_null(schema_find(&s, "", 0));
	assert_null(schema_find(&s, "b", 1));
	assert_null(schema_find(&s, "abc", 3));
	assert_null(schema_find(&s, "a\0", 2));
	assert_null(schema_find(&s, "ab\0\0\0\0\0\0", 8));
	schema_fini(&s);
}

/* ---- any text ---- */

static void
try_text(const char *text, size_t len)
{
	struct schema s = { 0 };
	struct schema_error err;
	int res = parse(&s, text, len, &err);

	if (res != 0) {
		assert_int_equal(res, -EINVAL);
		assert_true(err.line > 0 && err.column > 0);
		assert_true(err.text[0] != '\0');
	}
	schema_fini(&s);
}

static void
test_survives_any_text(void **state)
{
	static const char text[] =
		"/ x\nt:([] time:`s#\"N\"$();sym:`g#0#`;a:0#0.5) / y\n"
		"/\n\\\nu:flip`time`sym`b!\"NS*\"$\\:();\n"
		"v:flip(`time`sym!(0#0Np;`$()));w:flip`time`sym!`time`$\\:()";
	static const char others[] = "\0\n \"`\\/()[]:;#$!0aN.\x80";
	char copy[sizeof(text)];

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++) {
		try_text(text, i);
		for (size_t k = 0; k < sizeof(others) - 1; k++) {
			memcpy(copy, text, sizeof(text));
			copy[i] = others[k];
			try_text(copy, sizeof(text) - 1);
		}
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_the_kdb_tick_schema),
		cmocka_unit_test(test_reads_each_spelling_of_a_column),
		cmocka_unit_test(test_reads_each_spelling_of_a_table),
		cmocka_unit_test(test_reads_several_definitions),
		cmocka_unit_test(test_adds_to_the_tables_there_are),
		cmocka_unit_test(test_knows_all_types),
		cmocka_unit_test(test_refuses_what_is_no_definition),
		cmocka_unit_test(test_refuses_bad_tables),
		cmocka_unit_test(test_refuses_bad_columns),
		cmocka_unit_test(test_refuses_bad_flips),
		cmocka_unit_test(test_refuses_tables_without_time_and_sym),
		cmocka_unit_test(test_refuses_bad_additions),
		cmocka_unit_test(test_has_limits),
		cmocka_unit_test(test_publish_prefix_is_golden),
		cmocka_unit_test(test_sub_reply_is_golden),
		cmocka_unit_test(test_sub_reply_of_every_type_is_golden),
		cmocka_unit_test(test_sub_reply_has_g_on_sym_only),
		cmocka_unit_test(test_finishes_only_tables_with_time_and_sym),
		cmocka_unit_test(test_finds_whole_names_only),
		cmocka_unit_test(test_survives_any_text),
	};

	return cmocka_run_group_tests(tests, vectors_open, vectors_close);
}
