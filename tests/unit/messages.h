/*
 * For the tests of filters and batches: updates whose rows are known, as
 * update_write makes them; and, written cell by cell and by nobody else's code,
 * what any rows of them are as one message.
 */
#ifndef RINGTICK_TESTS_MESSAGES_H
#define RINGTICK_TESTS_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frames.h"
#include "schema/schema.h"
#include "ring/selection.h"
#include "ring/stream.h"
#include "ring/symbols.h"

enum {
	MESSAGE_TABLES = 3,	 /* book, quote, ref */
	MESSAGE_SYMBOLS = 24,	 /* of each table */
	MESSAGE_SYMBOL_MAX = 24, /* bytes */
	MESSAGE_ROWS_MAX = 24,
	MESSAGE_ROW_BYTES = 72, /* at most */
};

/* All that a row has follows from these. */
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

/* Finished: symbols, longs, and symbols again as the sym column; a general list
 * in the second. */
void messages_schema(struct schema *s);

/* What the sym column has of a symbol. Returns its length. */
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

/* Puts it into the main stream. false: no room. */
bool message_put(struct streams *all, const struct message *m, int64_t now_ns);

/* ---- what a subscriber wants ---- */

struct wants {
	bool is_wanted[MESSAGE_TABLES];
	bool is_filtered[MESSAGE_TABLES];
	uint64_t symbols[MESSAGE_TABLES]; /* bits */
};

struct wants wants_any(struct chance *chance);

/* Whether it wants all of a message (a mark, too). */
bool wants_whole(const struct wants *w, const struct message *m);

bool wants_row(const struct wants *w, const struct schema_table *t,
	       const struct row *row);

/* What it gets of a message. Returns its length; 0: nothing. */
size_t wants_frame(const struct wants *w, const struct message *m, uint8_t *at);

/* Its symbols are held for the caller. */
struct selection wants_selection(const struct wants *w, struct symbols *s,
				 const struct schema *schema);

#endif
