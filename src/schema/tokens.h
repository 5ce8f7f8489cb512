/*
 * The words that the text of a schema file consists of: names, symbols,
 * strings, numbers and signs of q, without blanks and comments, and the breaks
 * between definitions.  Pure; reads nothing behind the end.
 */
#ifndef RINGTICK_SCHEMA_TOKENS_H
#define RINGTICK_SCHEMA_TOKENS_H

#include <stdbool.h>
#include <stddef.h>

enum token_kind {
	TOKEN_END,    /* of the text */
	TOKEN_BREAK,  /* in front of a line with no blank at its start */
	TOKEN_NAME,   /* trade */
	TOKEN_SYMBOL, /* `trade, ` */
	TOKEN_STRING, /* "PSF" */
	TOKEN_NUMBER, /* 0, 0Np, 0x00 */
	TOKEN_SIGN,   /* one character, or \: */
	TOKEN_OTHER,  /* \d .q and what else cannot be in a schema */
};

struct token {
	enum token_kind kind;
	const char *text; /* as written: with quotes, with backtick */
	size_t len;
	unsigned line, column;
	bool is_behind_blank;
};

struct tokens {
	const char *at, *end, *line_begin;
	unsigned line;
	unsigned break_line; /* whose TOKEN_BREAK has been given */
	struct token token;  /* the next one */
};

/* The first word of a text, behind its byte order mark. */
void tokens_begin(struct tokens *w, const char *text, size_t len);

/* On to the next one. */
void tokens_next(struct tokens *w);

bool token_is_sign(const struct token *t, char c);
bool token_is_word(const struct token *t, const char *word);

#endif
