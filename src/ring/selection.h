/*
 * What a subscriber wants: a set of tables, and for some of them only the rows
 * of certain symbols.  Equal selections share a stream.
 */
#ifndef RINGTICK_RING_SELECTION_H
#define RINGTICK_RING_SELECTION_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/util.h"
#include "ring/symbols.h"
#include "schema/schema.h"

struct selection {
	uint64_t tables[SCHEMA_TABLES_MAX / 64]; /* bit = schema_table.idx */
	struct symbol_set *symbols; /* NULL: every row of each table.  The owner
				       of a kept selection has a hold on it. */
};

static inline void
selection_add(struct selection *s, unsigned table_idx)
{
	bits_set(s->tables, table_idx, true);
}

static inline void
selection_remove(struct selection *s, unsigned table_idx)
{
	bits_set(s->tables, table_idx, false);
}

static inline bool
selection_has(const struct selection *s, unsigned table_idx)
{
	return bits_has(s->tables, table_idx);
}

/* Whether only the rows of certain symbols are wanted from the table. */
static inline bool
selection_filters(const struct selection *s, unsigned table_idx)
{
	return s->symbols != NULL && symbols_is_filtered(s->symbols, table_idx);
}

/* Equal sets of symbols are one object (symbols_finish). */
static inline bool
selection_is_equal(const struct selection *a, const struct selection *b)
{
	return a->symbols == b->symbols &&
	       memcmp(a->tables, b->tables, sizeof(a->tables)) == 0;
}

/* Every table of the schema, every row. */
struct selection selection_all(const struct schema *schema);

/* Copies *from to *to and takes a hold on its symbols; the hold of the
 * selection that was in *to is released.  The caller's hold on from->symbols
 * remains. */
void selection_keep(struct symbols *symbols, struct selection *to,
		    const struct selection *from);

/* Releases a selection that was filled by selection_keep, and zeroes it. */
void selection_drop(struct symbols *symbols, struct selection *s);

/* Writes "trade,quote" for the log, or "trade[5]" if the table is filtered by 5
 * symbols, and returns buf. buf_len is at least 8; a text that does not fit
 * ends with "...". */
const char *selection_text(const struct selection *s,
			   const struct symbols *symbols,
			   const struct schema *schema, char *buf,
			   size_t buf_len);

#endif
