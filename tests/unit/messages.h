/*
 * For the tests of filters and batches: updates whose rows are known, as
 * update_write makes them; and the expected message of any of their rows,
 * written cell by cell by code of its own.
 */
#ifndef RINGTICK_TESTS_MESSAGES_H
#define RINGTICK_TESTS_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frames.h"
#include "schema/schema.h"
#include "ring/selection.h"
#include "ring/streams.h"
#include "ring/symbols.h"

enum {
	MESSAGE_TABLES = 3,	 /* book, quote, ref */
	MESSAGE_SYMBOLS = 24,	 /* of each table */
	MESSAGE_SYMBOL_MAX = 24, /* bytes */
	MESSAGE_ROWS_MAX = 24,
	MESSAGE_ROW_BYTES = 72, /* at most */
};

/* All cells of a row follow from these. */
struct row {
	uint32_t symbol;
	uint32_t number;
};

struct message {
	const struct schema_table *t; /* NULL: a mark */
	uint32_t cnt;
	struct row rows[MESSAGE_ROWS_MAX];
	uint8_t *frame;
	size_t len;
};

/* Group set-up; schema_close is the tear-down.  The sym column has longs in
 * book, symbols in quote and ref; quote has a general list. */
int messages_open(void **state);

/* Writes a symbol's item of the sym column.  Returns its length. */
size_t message_symbol(const struct schema_table *t, uint32_t symbol,
		      uint8_t *at);

/* An update of 1 .. rows_max rows, whose numbers begin at `number`. */
void message_make(struct message *m, const struct schema_table *t,
		  uint32_t rows_max, uint32_t number, struct chance *chance);

void message_make_mark(struct message *m, int32_t day);

void message_free(struct message *m);

/* The message that has these rows. Returns its length. */
size_t message_of_rows(const struct schema_table *t, const struct row *rows,
		       uint32_t cnt, uint8_t sym_attr, uint8_t *at);

/* Puts it into the main stream; false if there is no room. */
bool message_put(struct streams *all, const struct message *m, int64_t now_ns);

/* ---- subscribers' selections ---- */

struct wants {
	bool is_wanted[MESSAGE_TABLES];
	bool is_filtered[MESSAGE_TABLES];
	uint64_t symbols[MESSAGE_TABLES]; /* bits */
};

struct wants wants_any(struct chance *chance);

/* Whether it wants a whole message (or a mark). */
bool wants_whole(const struct wants *w, const struct message *m);

bool wants_row(const struct wants *w, const struct schema_table *t,
	       const struct row *row);

/* Writes its part of a message.  Returns the length; 0: it wants no row. */
size_t wants_frame(const struct wants *w, const struct message *m, uint8_t *at);

/* The selection's symbols are held for the caller. */
struct selection wants_selection(const struct wants *w, struct symbols *s);

#endif
