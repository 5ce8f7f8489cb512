#include "config.h"

#include "config/source_text.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

/* The length of a string, comment, word or number of libconfig; otherwise 1. */
static size_t
span_of_word(const char *at)
{
	static const char word[] = "0123456789_-*.abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	const char *end;

	if (*at == '"') {
		for (end = at + 1; *end != '\0' && *end != '"'; end++)
			if (*end == '\\' && end[1] != '\0')
				end++;
		return (size_t)(end - at) + (*end == '"');
	}
	if (at[0] == '/' && at[1] == '*') {
		end = strstr(at + 2, "*/");
		return end == NULL ? strlen(at) : (size_t)(end + 2 - at);
	}
	if (*at == '#' || (at[0] == '/' && at[1] == '/'))
		return strcspn(at, "\n");
	return max_u64(1, strspn(at, word));
}

static bool
is_wide_integer(const char *word, size_t len)
{
	bool is_hex = word[0] == '0' && (word[1] == 'x' || word[1] == 'X');
	const char *digits = is_hex ? "0123456789abcdefABCDEF" : "0123456789";
	size_t prefix = is_hex ? 2 : *word == '-';

	if (len <= prefix || strspn(word + prefix, digits) < len - prefix)
		return false;
	return strtoull(word + prefix, NULL, is_hex ? 16 : 10) > INT_MAX;
}

/* libconfig ends a string at such an escape, and says nothing. */
static bool
has_nul_escape(const char *word, size_t len)
{
	for (size_t i = 0; word[0] == '"' && i + 3 < len; i++) {
		if (word[i] != '\\')
			continue;
		i++;
		if ((word[i] == 'x' || word[i] == 'X') && word[i + 1] == '0' &&
		    word[i + 2] == '0')
			return true;
	}
	return false;
}

static const char *
fault_of(const char *word, size_t len)
{
	if (*word == '@')
		return "is not understood; allowed: one file, without @include";
	if (has_nul_escape(word, len))
		return "has a NUL; allowed: a text without \\x00";
	return NULL;
}

char *
source_text_prepare(const char *text, size_t len, struct source_fault *out)
{
	/* At most one L for ten characters. */
	char *prepared = malloc(len + len / 10 + 1);
	char *to = prepared;
	unsigned line = 1;

	*out = (struct source_fault){ .line = 0 };
	if (prepared == NULL)
		return NULL;
	while (*text != '\0') {
		size_t span = span_of_word(text);
		const char *why = fault_of(text, span);

		if (why != NULL) {
			*out = (struct source_fault){ line, text, span, why };
			free(prepared);
			return NULL;
		}
		for (size_t i = 0; i < span; i++)
			line += text[i] == '\n';
		memcpy(to, text, span);
		to += span;
		if (is_wide_integer(text, span))
			*to++ = 'L';
		text += span;
	}
	*to = '\0';
	return prepared;
}
