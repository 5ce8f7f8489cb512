/*
 * Literals of q text: what their characters are, and the bytes of their
 * values.  Rows of the grammar in eval.h.
 *
 * The functions that write move *at behind the literal that begins there and
 * append its value to out.  false, with any part of it written, if the text is
 * not understood, or if there are not enough steps: then none are left.  They
 * read nothing at or behind end.
 */
#ifndef RINGTICK_Q_LITERAL_H
#define RINGTICK_Q_LITERAL_H

#include <stdbool.h>

#include "wire/wire.h"

static inline bool
literal_is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static inline bool
literal_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool
literal_is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline bool
literal_starts_name(char c)
{
	return literal_is_letter(c) || c == '.';
}

static inline bool
literal_continues_name(char c)
{
	return literal_starts_name(c) || literal_is_digit(c) || c == '_';
}

static inline bool
literal_starts_number(const char *at, const char *end)
{
	at += at < end && *at == '-';
	at += at < end && *at == '.';
	return at < end && literal_is_digit(*at);
}

/* The end of the comment that begins at `at`, a slash behind a space or at the
 * begin of the text; `at` itself where none does. */
const char *literal_skip_comment(const char *begin, const char *at,
				 const char *end);

/* Behind the string or symbol that begins at `at`. */
const char *literal_skip_string(const char *at, const char *end);
const char *literal_skip_symbol(const char *at, const char *end);

/* "text"; of one character, a char. */
bool literal_string(const char **at, const char *end, unsigned *steps,
		    struct wire_writer *out);

/* `a, and a vector of those that stand together. */
bool literal_symbols(const char **at, const char *end, unsigned *steps,
		     struct wire_writer *out);

/* 1, -1.5, 0101b, 2026.11.22, and vectors, of which the last number can have
 * the letter for all: 1 2 3i. */
bool literal_numbers(const char **at, const char *end, unsigned *steps,
		     struct wire_writer *out);

#endif
