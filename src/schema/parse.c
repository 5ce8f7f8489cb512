#include "config.h"

#include "schema/schema.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "schema/tokens.h"
#include "wire/wire.h"

enum {
	NESTING_MAX = 16, /* parentheses and attributes around a type */
};

static const char a_column[] = "a column, such as price:`float$()";
static const char a_type[] = "an empty list, such as `float$(), \"F\"$(), () "
			     "or 0#0n, also with an attribute such as `g#";
static const char a_letter[] = "one of bgxhijefcspmdznuvt, or *";
static const char a_definition[] = "definitions of tables, such as "
				   "trade:([]time:`timespan$();sym:`$())";

struct parser {
	struct tokens tokens;
	struct schema *schema;
	struct schema_error *err;
};

static bool
accept(struct parser *p, char c)
{
	if (!token_is_sign(&p->tokens.token, c))
		return false;
	tokens_next(&p->tokens);
	return true;
}

/* ---- errors with a place ---- */

/* Sets the place of *err, whose text is set already, to that of a token. */
static int
place_error(struct parser *p, const struct token *t, int code)
{
	p->err->line = t->line;
	p->err->column = t->column;
	return code;
}

/* A token for display: in quotes, on one line, shortened if too long. */
struct shown {
	char text[48];
};

static struct shown
show_token(const struct token *t)
{
	struct shown s = { { 0 } };
	const char *quote = t->len > 0 && t->text[0] == '"' ? "" : "\"";
	const char *dots = t->len > 36 ? "..." : "";
	int len = (int)min_u64(t->len, 36);

	if (t->kind == TOKEN_END)
		return (struct shown){ "the end of the text" };
	if (t->kind == TOKEN_BREAK)
		return (struct shown){ "a line that begins without a blank" };
	snprintf(s.text, sizeof(s.text), "%s%.*s%s%s", quote, len, t->text,
		 dots, quote);
	for (size_t i = 0; s.text[i] != '\0'; i++)
		if (s.text[i] < ' ' || s.text[i] > '~')
			s.text[i] = '?';
	return s;
}

static int
refuse(struct parser *p, const struct token *t, const char *complaint,
       const char *allowed)
{
	snprintf(p->err->text, sizeof(p->err->text), "%s %s; allowed: %s",
		 show_token(t).text, complaint, allowed);
	return place_error(p, t, -EINVAL);
}

static int
unexpected(struct parser *p, const char *allowed)
{
	const struct token *t = &p->tokens.token;
	bool is_end = t->kind == TOKEN_END || t->kind == TOKEN_BREAK;

	return refuse(p, t,
		      is_end ? "comes too early" : "is not understood here",
		      allowed);
}

static int
expect(struct parser *p, char c)
{
	char allowed[2] = { c, '\0' };

	return accept(p, c) ? 0 : unexpected(p, c == '\\' ? "\\:" : allowed);
}

/* ---- the type of a column ---- */

struct column {
	struct token type_token; /* the place of the error for a bad type */
	char type[16];		 /* as schema_add_column takes it */
	uint8_t attr;
};

/* The () of `float$() */
static int
expect_empty_list(struct parser *p)
{
	int res = expect(p, '(');

	return res != 0 ? res : expect(p, ')');
}

/* "P": the letter, or * for an untyped column. */
static void
set_letter(struct column *out, char letter)
{
	out->type[0] = letter == '*' ? '\0' : letter;
	out->type[1] = '\0';
}

static int
read_letter_type(struct parser *p, struct column *out)
{
	struct token t = p->tokens.token;
	int res;

	tokens_next(&p->tokens);
	if (t.len == 2) { /* "" */
		set_letter(out, 'c');
		return 0;
	}
	res = expect(p, '$');
	if (res == 0)
		res = expect_empty_list(p);
	if (res == 0 && t.len != 3)
		return refuse(p, &t, "is no letter of a type", a_letter);
	set_letter(out, t.text[1]);
	return res;
}

/* `float in `float$(); the null symbol means symbol. */
static int
read_type_name(struct parser *p, const struct token *t, struct column *out)
{
	out->type_token = *t;
	if (t->len == 1) {
		set_letter(out, 's');
		return 0;
	}
	/* schema_add_column knows these names, but q does not. */
	if (t->len == 2 || t->len > sizeof(out->type) ||
	    token_is_word(t, "`string") || token_is_word(t, "`list"))
		return refuse(p, t, "is no type", "names such as `symbol");
	memcpy(out->type, t->text + 1, t->len - 1);
	out->type[t->len - 1] = '\0';
	return 0;
}

static int
read_attribute(struct parser *p, const struct token *t, uint8_t *out)
{
	static const char *const names[] = { "`", "`s", "`u", "`p", "`g" };

	for (uint8_t i = 0; i < ARRAY_LEN(names); i++)
		if (token_is_word(t, names[i])) {
			*out = i;
			return 0;
		}
	return refuse(p, t, "is no attribute", "`s, `u, `p or `g");
}

/* The number of digits at the start of [at, end). */
static size_t
span_of_digits(const char *at, const char *end)
{
	const char *from = at;

	while (at < end && *at >= '0' && *at <= '9')
		at++;
	return (size_t)(at - from);
}

/* The type letter of a number: 0 0N 0Np 0h 0b 0n 0x00 0.0; '\0' for others. */
static char
letter_of_number(const struct token *t)
{
	const char *s = t->text, *end = s + t->len;
	size_t digits = span_of_digits(s, end);
	char last = end[-1];

	if (digits == t->len || token_is_word(t, "0N") ||
	    token_is_word(t, "0W"))
		return 'j';
	if (token_is_word(t, "0n") || token_is_word(t, "0w"))
		return 'f';
	if (t->len >= 2 && s[0] == '0' && s[1] == 'x')
		return 'x';
	if (digits + 1 == t->len && strchr("bhijef", last) != NULL)
		return last;
	if (t->len == 3 && s[0] == '0' && (s[1] == 'N' || s[1] == 'W') &&
	    strchr("ghijefpmdznuvt", last) != NULL)
		return last;
	if (s[digits] == '.' &&
	    digits + 1 + span_of_digits(s + digits + 1, end) == t->len)
		return 'f';
	return '\0';
}

/* The value after 0# */
static int
read_sample(struct parser *p, struct column *out)
{
	struct token t = p->tokens.token;
	char letter = '\0';

	if (accept(p, '(')) {
		set_letter(out, '*');
		return expect(p, ')');
	}
	if (t.kind == TOKEN_SYMBOL)
		letter = 's';
	else if (t.kind == TOKEN_STRING)
		letter = 'c';
	else if (t.kind == TOKEN_NUMBER)
		letter = letter_of_number(&t);
	if (letter == '\0')
		return unexpected(p, "a value such as 0n, 0Np, ` or ()");
	tokens_next(&p->tokens);
	set_letter(out, letter);
	return 0;
}

static int read_type(struct parser *p, int depth, struct column *out);

static int
read_symbol_type(struct parser *p, int depth, struct column *out)
{
	struct token t = p->tokens.token;
	uint8_t attr = KA_NONE;
	int res;

	tokens_next(&p->tokens);
	if (accept(p, '$')) {
		res = read_type_name(p, &t, out);
		return res != 0 ? res : expect_empty_list(p);
	}
	if (!accept(p, '#'))
		return refuse(p, &t, "is not understood here", a_type);
	res = read_attribute(p, &t, &attr);
	if (res == 0)
		res = read_type(p, depth + 1, out);
	out->attr = attr;
	return res;
}

/* Reads an expression whose value is an empty list. */
static int
read_type(struct parser *p, int depth, struct column *out)
{
	struct token t = p->tokens.token;
	int res;

	*out = (struct column){ .type_token = t };
	if (depth > NESTING_MAX)
		return refuse(p, &t, "is nested too deeply", a_type);
	if (accept(p, '(')) {
		if (accept(p, ')'))
			return 0;
		res = read_type(p, depth + 1, out);
		return res != 0 ? res : expect(p, ')');
	}
	if (t.kind == TOKEN_STRING)
		return read_letter_type(p, out);
	if (t.kind == TOKEN_SYMBOL)
		return read_symbol_type(p, depth, out);
	if (!token_is_word(&t, "0"))
		return unexpected(p, a_type);
	tokens_next(&p->tokens);
	res = expect(p, '#');
	return res != 0 ? res : read_sample(p, out);
}

/* ---- definitions ---- */

/* The name in a token, without its backtick.  A name that is cut here is still
 * too long to be accepted. */
struct name {
	char text[256];
};

static struct name
name_of(const struct token *t)
{
	size_t tick = t->kind == TOKEN_SYMBOL;
	struct name n = { { 0 } };

	memcpy(n.text, t->text + tick,
	       min_u64(t->len - tick, sizeof(n.text) - 1));
	return n;
}

static int
add_column(struct parser *p, struct schema_table *t, const struct token *name,
	   const struct column *c)
{
	int res = schema_add_column(t, name_of(name).text, c->type, c->attr,
				    p->err);

	if (res == 0)
		return 0;
	return place_error(p, res == -ENOENT ? &c->type_token : name, res);
}

/* An attribute such as `g# before a column's name; KA_NONE if there is none. */
static int
read_column_attribute(struct parser *p, uint8_t *out)
{
	struct token t = p->tokens.token;
	int res;

	*out = KA_NONE;
	if (t.kind != TOKEN_SYMBOL || t.len > 2)
		return 0;
	tokens_next(&p->tokens);
	res = expect(p, '#');
	return res != 0 ? res : read_attribute(p, &t, out);
}

/* ([] name:type; ...) after its first parenthesis */
static int
parse_brackets(struct parser *p, struct schema_table *t)
{
	int res = expect(p, '[');

	if (res != 0)
		return res;
	if (p->tokens.token.kind == TOKEN_NAME)
		return refuse(p, &p->tokens.token, "would be a key column",
			      "[] without keys: only plain tables can be "
			      "published");
	res = expect(p, ']');
	if (res != 0)
		return res;
	do {
		struct token name;
		struct column column;
		uint8_t attr;

		res = read_column_attribute(p, &attr);
		if (res != 0)
			return res;
		name = p->tokens.token;
		if (name.kind != TOKEN_NAME)
			return unexpected(p, a_column);
		tokens_next(&p->tokens);
		res = expect(p, ':');
		if (res == 0)
			res = read_type(p, 0, &column);
		if (attr != KA_NONE)
			column.attr = attr;
		if (res == 0)
			res = add_column(p, t, &name, &column);
		if (res != 0)
			return res;
	} while (accept(p, ';'));
	return accept(p, ')') ? 0 : unexpected(p, "; or )");
}

/* Moves past `a`b`c, which has no blanks inside.  Returns the number of
 * symbols. */
static size_t
skip_symbols(struct parser *p)
{
	size_t cnt = 0;

	while (p->tokens.token.kind == TOKEN_SYMBOL &&
	       (cnt == 0 || !p->tokens.token.is_after_blank)) {
		tokens_next(&p->tokens);
		cnt++;
	}
	return cnt;
}

/* $\:() */
static int
expect_each_left(struct parser *p)
{
	int res = expect(p, '$');

	if (res == 0)
		res = expect(p, '\\');
	return res != 0 ? res : expect_empty_list(p);
}

static int
refuse_count(struct parser *p, const struct token *t, size_t types,
	     size_t names)
{
	char complaint[64];

	snprintf(complaint, sizeof(complaint), "begins %zu types for %zu names",
		 types, names);
	return refuse(p, t, complaint, "one type for each name");
}

/* "PSF"$\:() : the second half of a flip.  `names` is at the first name. */
static int
parse_letters(struct parser *p, struct schema_table *t, struct parser *names,
	      size_t names_cnt)
{
	struct token letters = p->tokens.token;
	int res;

	tokens_next(&p->tokens);
	res = expect_each_left(p);
	if (res != 0)
		return res;
	if (letters.len - 2 != names_cnt)
		return refuse_count(p, &letters, letters.len - 2, names_cnt);
	for (size_t i = 0; i < names_cnt; i++) {
		struct column column = { .type_token = letters };

		column.type_token.column += 1 + (unsigned)i;
		set_letter(&column, letters.text[1 + i]);
		res = add_column(p, t, &names->tokens.token, &column);
		if (res != 0)
			return res;
		tokens_next(&names->tokens);
	}
	return 0;
}

/* `timespan`symbol$\:() */
static int
parse_symbols(struct parser *p, struct schema_table *t, struct parser *names,
	      size_t names_cnt)
{
	struct parser types = *p;
	size_t cnt = skip_symbols(p);
	int res = expect_each_left(p);

	if (res != 0)
		return res;
	if (cnt != names_cnt)
		return refuse_count(p, &types.tokens.token, cnt, names_cnt);
	for (size_t i = 0; i < cnt; i++) {
		struct column column = { .attr = KA_NONE };

		res = read_type_name(p, &types.tokens.token, &column);
		if (res == 0)
			res = add_column(p, t, &names->tokens.token, &column);
		if (res != 0)
			return res;
		tokens_next(&types.tokens);
		tokens_next(&names->tokens);
	}
	return 0;
}

/* (`timespan$();`symbol$()) */
static int
parse_list(struct parser *p, struct schema_table *t, struct parser *names,
	   size_t names_cnt)
{
	struct token list = p->tokens.token;
	size_t cnt = 0;

	tokens_next(&p->tokens);
	do {
		struct column column;
		int res = read_type(p, 0, &column);

		if (res == 0 && cnt < names_cnt) {
			res = add_column(p, t, &names->tokens.token, &column);
			tokens_next(&names->tokens);
		}
		if (res != 0)
			return res;
		cnt++;
	} while (accept(p, ';'));
	if (!accept(p, ')'))
		return unexpected(p, "; or )");
	return cnt == names_cnt ? 0 : refuse_count(p, &list, cnt, names_cnt);
}

/* flip`time`sym!"PS"$\:() after the word flip */
static int
parse_flip(struct parser *p, struct schema_table *t)
{
	bool is_in_parentheses = accept(p, '(');
	struct parser names = *p;
	size_t cnt = skip_symbols(p);
	int res;

	if (cnt == 0)
		return unexpected(p, "names, such as `time`sym`price");
	res = expect(p, '!');
	if (res != 0)
		return res;
	if (p->tokens.token.kind == TOKEN_STRING)
		res = parse_letters(p, t, &names, cnt);
	else if (p->tokens.token.kind == TOKEN_SYMBOL)
		res = parse_symbols(p, t, &names, cnt);
	else if (token_is_sign(&p->tokens.token, '('))
		res = parse_list(p, t, &names, cnt);
	else
		return unexpected(p, "types, such as \"PSF\"$\\:()");
	if (res == 0 && is_in_parentheses)
		res = expect(p, ')');
	return res;
}

static int
parse_definition(struct parser *p)
{
	struct token name = p->tokens.token;
	struct schema_table *t;
	int res;

	if (name.kind != TOKEN_NAME)
		return unexpected(p, a_definition);
	tokens_next(&p->tokens);
	if (!accept(p, ':'))
		return refuse(p, &name, "begins no table", a_definition);
	res = schema_add_table(p->schema, name_of(&name).text, &t, p->err);
	if (res != 0)
		return place_error(p, &name, res);
	if (accept(p, '(')) {
		res = parse_brackets(p, t);
	} else if (token_is_word(&p->tokens.token, "flip")) {
		tokens_next(&p->tokens);
		res = parse_flip(p, t);
	} else {
		return unexpected(p, "([] ...) or flip ...");
	}
	if (res == 0 && t->columns_cnt < 2)
		return refuse(p, &name, "has one column only",
			      "each table begins with time and sym");
	return res;
}

int
schema_parse(struct schema *s, const char *text, size_t len,
	     struct schema_error *err)
{
	struct parser p = { .schema = s, .err = err };
	const struct token *t = &p.tokens.token;

	*err = (struct schema_error){ 0 };
	tokens_begin(&p.tokens, text, len);
	for (;;) {
		int res;

		while (t->kind == TOKEN_BREAK || token_is_sign(t, ';'))
			tokens_next(&p.tokens);
		if (t->kind == TOKEN_END)
			return 0;
		res = parse_definition(&p);
		if (res != 0)
			return res == -ENOMEM ? res : -EINVAL;
		if (t->kind != TOKEN_BREAK && t->kind != TOKEN_END &&
		    !token_is_sign(t, ';'))
			return unexpected(&p, "; or a new line");
	}
}
