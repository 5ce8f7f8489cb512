/*
 * The tokens of the text of a schema file: names, symbols, strings, numbers and
 * signs of q, and the breaks between definitions; blanks and comments are
 * skipped.  Pure; does not read past the end of the text.
 */
#ifndef RINGTICK_SCHEMA_TOKENS_H
#define RINGTICK_SCHEMA_TOKENS_H

#include <stdbool.h>
#include <stddef.h>

enum token_kind {
	TOKEN_END,    /* of the text */
	TOKEN_BREAK,  /* before a line that begins without a blank */
	TOKEN_NAME,   /* trade */
	TOKEN_SYMBOL, /* `trade, ` */
	TOKEN_STRING, /* "PSF" */
	TOKEN_NUMBER, /* 0, 0Np, 0x00 */
	TOKEN_SIGN,   /* one character, or \: */
	TOKEN_OTHER,  /* \d .q and other text that no schema has */
};

struct token {
	enum token_kind kind;
	const char *text; /* as written, with quotes or backtick; in the
			     caller's text, not terminated */
	size_t len;
	unsigned line, column; /* from 1 */
	bool is_after_blank;
};

struct tokens {
	const char *at, *end, *line_begin;
	unsigned line;
	unsigned break_line; /* the last line that got a TOKEN_BREAK */
	struct token token;  /* the current one */
};

/* Reads the first token of a text, after its byte order mark if it has one.
 * The text must stay. */
void tokens_begin(struct tokens *w, const char *text, size_t len);

/* Reads the next token; TOKEN_END again and again at the end. */
void tokens_next(struct tokens *w);

/* Whether the token is a sign that begins with c; \: begins with \. */
bool token_is_sign(const struct token *t, char c);
bool token_is_word(const struct token *t, const char *word);

#endif
