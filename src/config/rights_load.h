/*
 * Reads auth.roles and auth.rights, and prints what has become of them.
 */
#ifndef RINGTICK_CONFIG_RIGHTS_LOAD_H
#define RINGTICK_CONFIG_RIGHTS_LOAD_H

#include <stdio.h>

struct reader;
struct settings;

/* When the schema is finished, and all other settings are read.  Returns 0, or
 * an error with r->err set. */
int rights_load(struct reader *r);

/* A line for each row of auth.rights, as it would be written without roles: all
 * that the user may do, and what takes the place of settings.  The last line is
 * of everybody else. */
void rights_print(FILE *out, const struct settings *s);

#endif
