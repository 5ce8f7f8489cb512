/*
 * The text of a configuration before libconfig reads it.  What libconfig
 * misreads in silence is mended here, or refused:
 *
 * - an integer without a final L is cut down to 32 bits (libconfig 1.5), so
 *   that 4362076160 would be accepted as 64M: it gets its L;
 * - a string with \x00 ends there;
 * - included files would escape this.
 *
 * Pure; called by settings_load.c.
 */
#ifndef RINGTICK_CONFIG_SOURCE_TEXT_H
#define RINGTICK_CONFIG_SOURCE_TEXT_H

#include <stddef.h>

struct source_fault {
	unsigned line;
	const char *word; /* in the text */
	size_t word_len;
	const char *why; /* NULL: out of memory */
};

/* A copy of the text, of len bytes and a NUL, that libconfig reads as it is
 * meant; the caller frees it.  NULL with *out. */
char *source_text_prepare(const char *text, size_t len,
			  struct source_fault *out);

#endif
