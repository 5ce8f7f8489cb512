/*
 * Reads the configuration: the only file that knows libconfig.
 */
#ifndef RINGTICK_CONFIG_SETTINGS_LOAD_H
#define RINGTICK_CONFIG_SETTINGS_LOAD_H

#include <stddef.h>
#include <stdio.h>

#include "config/settings.h"

/*
 * Reads the file at path and the schema that it names.  0; or -EINVAL for a
 * mistake in a file, or -errno, with one line in err that names file, line,
 * setting, and what is allowed.  On failure *s is empty; otherwise
 * settings_fini frees it.
 */
int settings_load(struct settings *s, const char *path, char *err,
		  size_t err_len);

/* Prints the table of settings with defaults and sentences, for --help. */
void settings_print_help(FILE *out);

/* Frees what *s owns, and empties it.  Accepts an empty one. */
void settings_fini(struct settings *s);

#endif
