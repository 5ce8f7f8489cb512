/*
 * Literals of q text: their characters, and the bytes of their values.  The
 * grammar is in eval.h.
 *
 * The functions that write move *at to the end of the literal that begins
 * there, and append its value to out.  They return false, with any part of the
 * value written, if the text is not understood, or if there are not enough
 * steps: then none are left.  No function reads at or after end.
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

/* The end of the comment that begins at `at` (a slash after a space or at the
 * beginning of the text); `at` itself if no comment begins there. */
const char *literal_skip_comment(const char *begin, const char *at,
				 const char *end);

/* The end of the string or symbol that begins at `at`. */
const char *literal_skip_string(const char *at, const char *end);
const char *literal_skip_symbol(const char *at, const char *end);

/* "text"; a char if it has one character. */
bool literal_string(const char **at, const char *end, unsigned *steps,
		    struct wire_writer *out);

/* `a, or the vector of adjacent symbols. */
bool literal_symbols(const char **at, const char *end, unsigned *steps,
		     struct wire_writer *out);

/* 1, -1.5, 0101b, 2026.11.22, and vectors, whose last number may have the type
 * letter for all: 1 2 3i. */
bool literal_numbers(const char **at, const char *end, unsigned *steps,
		     struct wire_writer *out);

#endif
