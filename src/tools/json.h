/*
 * kdb+ values as JSON (RFC 8259), whatever the bytes: the output is always
 * valid UTF-8 without control characters.
 *
 *   null             the nulls of numbers, times and guids; ::
 *   true, false      booleans
 *   numbers          with as many digits as tell them apart, all of a long's;
 *                    infinities are the strings "0W", "-0W", "0w", "-0w"
 *   strings          symbols and characters; guids, times and dates as q
 *                    shows them; bytes are numbers
 *   arrays           vectors and lists
 *   objects          dictionaries with symbols as keys; others as
 *                    {"keys":...,"values":...}; tables as
 *                    {"columns":[...],"rows":[[...],...]}, or with columns
 *                    that are not all lists {"columns":[...],"values":[...]}
 *
 * What is no UTF-8 is taken as Latin-1.  Reads only what wire_skip accepted.
 * Called by log.c.
 */
#ifndef RINGTICK_TOOLS_JSON_H
#define RINGTICK_TOOLS_JSON_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "wire/wire.h"

/* As a string with its quotes. */
void json_string(FILE *out, const char *bytes, size_t len);

/* The object at r->at; moves behind it. */
void json_object(FILE *out, struct wire_reader *r);

/* The names of a table object, [..]. */
void json_names(FILE *out, struct wire_reader table);

/* Its rows, [[..],..]; each column is a list.  -ENOMEM, with nothing
 * written. */
int json_rows(FILE *out, struct wire_reader table);

#endif
