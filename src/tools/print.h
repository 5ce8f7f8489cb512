/*
 * kdb+ values as text, as q shows them, and published tables as aligned rows.
 *
 * Reads only bytes that wire_check_body or wire_skip accepted.  Every byte that
 * is not printable ASCII is shown as an octal escape: bytes of a feed must not
 * control the terminal.  Called by sub.c, log.c, log_tables.c, json.c.
 */
#ifndef RINGTICK_TOOLS_PRINT_H
#define RINGTICK_TOOLS_PRINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "wire/wire.h"

enum {
	PRINT_TEXT_MAX = 128,	 /* a longer value ends in ".." */
	PRINT_COLUMNS_MAX = 256, /* further columns are not shown */
	PRINT_NAME_MAX = 64,
};

/* One value, terminated. */
struct print_text {
	char text[PRINT_TEXT_MAX];
	size_t len;
	bool is_cut;
};

/*
 * Appends one item of a vector as it is shown in a cell of a table: without the
 * letter of its type, nulls as 0N, 0n, 0Np and so on. type is 1 .. 19, but not
 * of symbols.
 */
void print_item(struct print_text *out, int type, const uint8_t *item);

/* Appends any object, at r.at, as q shows it on one line. */
void print_object(struct print_text *out, struct wire_reader r);

/* A column, with a reader at its next item. */
struct print_column {
	int type;
	struct wire_reader r;
};

/* Opens the column at r, which is a list; moves r to the next column. */
void print_open_column(struct wire_reader *r, struct print_column *out);

/* A stream of rows, with a header wherever the table changes. */
struct print_table {
	FILE *out;
	char name[PRINT_NAME_MAX]; /* of the last table; "" before the first */
	unsigned columns_cnt;
	size_t widths[PRINT_COLUMNS_MAX]; /* grow with the values shown */
};

/* Prints all rows of the table object (type 98) of len bytes.  A table whose
 * columns are not all lists has no rows; it is printed as an object. */
void print_table(struct print_table *p, const char *name, size_t name_len,
		 const uint8_t *table, size_t len);

#endif
