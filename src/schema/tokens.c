#include "config.h"

#include "schema/tokens.h"

#include <string.h>

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static void
skip_line(struct tokens *w)
{
	const char *newline = memchr(w->at, '\n', (size_t)(w->end - w->at));

	w->at = newline == NULL ? w->end : newline + 1;
	if (newline != NULL) {
		w->line++;
		w->line_begin = w->at;
	}
}

/* At the start of a line: whether c and blanks are all that the line has. */
static bool
is_lone(const struct tokens *w, char c)
{
	const char *at = w->at;

	if (at == w->end || *at != c)
		return false;
	do
		at++;
	while (at < w->end && is_blank(*at));
	return at == w->end || *at == '\n';
}

/*
 * Skips a comment that must begin a line: `/ text`; a lone / up to a lone \; or
 * a lone \ that closes no comment, which ends the script.
 */
static bool
skip_comment_lines(struct tokens *w)
{
	if (is_lone(w, '/')) {
		do
			skip_line(w);
		while (w->at < w->end && !is_lone(w, '\\'));
		skip_line(w);
		return true;
	}
	if (is_lone(w, '\\')) {
		w->at = w->line_begin = w->end;
		return true;
	}
	if (*w->at == '/') {
		skip_line(w);
		return true;
	}
	return false;
}

static void
skip_blanks(struct tokens *w)
{
	while (w->at < w->end) {
		bool begins_line = w->at == w->line_begin;

		if (*w->at == '\n')
			skip_line(w);
		else if (is_blank(*w->at))
			w->at++;
		else if (begins_line && skip_comment_lines(w))
			continue;
		else if (*w->at == '/' && !begins_line && is_blank(w->at[-1]))
			skip_line(w);
		else
			return;
	}
}

static size_t
span_of(const char *at, const char *end, const char *extra)
{
	const char *from = at;

	while (at < end && (is_letter(*at) || is_digit(*at) ||
			    (*at != '\0' && strchr(extra, *at) != NULL)))
		at++;
	return (size_t)(at - from);
}

/* The length of a string with its quotes; 0 if the line ends first. */
static size_t
span_of_string(const char *at, const char *end)
{
	for (const char *from = at++; at < end && *at != '\n' && *at != '\0';
	     at++) {
		if (*at == '"')
			return (size_t)(at + 1 - from);
		if (*at == '\\' && at + 1 < end && at[1] != '\n')
			at++;
	}
	return 0;
}

static void
read_token(const struct tokens *w, struct token *t)
{
	const char *at = w->at;
	size_t rest = (size_t)(w->end - at);

	if (is_letter(*at) || *at == '.') {
		t->kind = TOKEN_NAME;
		t->len = span_of(at, w->end, "._");
	} else if (is_digit(*at)) {
		t->kind = TOKEN_NUMBER;
		t->len = span_of(at, w->end, ".:");
	} else if (*at == '`') {
		t->kind = TOKEN_SYMBOL;
		t->len = 1 + span_of(at + 1, w->end, "._:");
	} else if (*at == '"' && span_of_string(at, w->end) > 0) {
		t->kind = TOKEN_STRING;
		t->len = span_of_string(at, w->end);
	} else if (*at == '\\' && rest > 1 && at[1] == ':') {
		t->kind = TOKEN_SIGN;
		t->len = 2;
	} else if (*at == '"' || *at == '\\') {
		const char *newline = memchr(at, '\n', rest);

		t->kind = TOKEN_OTHER;
		t->len = newline == NULL ? rest : (size_t)(newline - at);
	} else {
		t->kind = TOKEN_SIGN;
		t->len = 1;
	}
}

void
tokens_next(struct tokens *w)
{
	struct token t = { .kind = TOKEN_END };
	const char *from = w->at;

	skip_blanks(w);
	t.text = w->at;
	t.line = w->line;
	t.column = (unsigned)(w->at - w->line_begin) + 1;
	t.is_after_blank = w->at != from;
	if (w->at < w->end) {
		/* A line that begins with a blank, ) or ] continues a
		 * definition. */
		if (t.column == 1 && w->break_line != w->line &&
		    strchr(")]", *w->at) == NULL) {
			w->break_line = w->line;
			t.kind = TOKEN_BREAK;
		} else {
			read_token(w, &t);
		}
	}
	w->at += t.len;
	w->token = t;
}

void
tokens_begin(struct tokens *w, const char *text, size_t len)
{
	static const char mark[] = "\xef\xbb\xbf"; /* byte order, in UTF-8 */

	*w = (struct tokens){
		.at = text,
		.end = text + len,
		.line_begin = text,
		.line = 1,
	};
	if (len >= strlen(mark) && memcmp(text, mark, strlen(mark)) == 0)
		w->at = w->line_begin = text + strlen(mark);
	tokens_next(w);
}

bool
token_is_sign(const struct token *t, char c)
{
	return t->kind == TOKEN_SIGN && t->text[0] == c;
}

bool
token_is_word(const struct token *t, const char *word)
{
	return t->len == strlen(word) && memcmp(t->text, word, t->len) == 0;
}
