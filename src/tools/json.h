/*
 * kdb+ values as JSON (RFC 8259).  The output is always valid UTF-8 without
 * control characters, whatever the bytes are.
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
 * Bytes that are not UTF-8 are taken as Latin-1.  Reads only objects that
 * wire_skip accepted.  Called by log.c.
 */
#ifndef RINGTICK_TOOLS_JSON_H
#define RINGTICK_TOOLS_JSON_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "wire/wire.h"

/* Writes the bytes as a string with its quotes. */
void json_string(FILE *out, const char *bytes, size_t len);

/* Writes the object at r->at, and moves r past it. */
void json_object(FILE *out, struct wire_reader *r);

/* Writes the column names of a table object, [..]. */
void json_names(FILE *out, struct wire_reader table);

/* Writes the rows of a table object, [[..],..]; each column must be a list.  0,
 * or -ENOMEM with nothing written. */
int json_rows(FILE *out, struct wire_reader table);

#endif
