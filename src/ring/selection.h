/*
 * What a subscriber wants: a set of tables, of some of them only the rows of
 * some symbols.  Equal selections share a stream.
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
	struct symbol_set *symbols; /* NULL: of all of them every row. Whoever
				       keeps a selection holds it. */
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

/* Whether of the table, if it is wanted, only the rows of some symbols are. */
static inline bool
selection_filters(const struct selection *s, unsigned table_idx)
{
	return s->symbols != NULL && symbols_is_filtered(s->symbols, table_idx);
}

/* Equal sets of symbols are one set (symbols_finish). */
static inline bool
selection_is_equal(const struct selection *a, const struct selection *b)
{
	return a->symbols == b->symbols &&
	       memcmp(a->tables, b->tables, sizeof(a->tables)) == 0;
}

/* Every table of the schema, every row. */
struct selection selection_all(const struct schema *schema);

/* Puts a selection into *to, which lets go what it had: the hold on the symbols
 * of `from` stays the caller's. */
void selection_keep(struct symbols *symbols, struct selection *to,
		    const struct selection *from);

/* Lets go of a selection that was kept. */
void selection_drop(struct symbols *symbols, struct selection *s);

/* "trade,quote" for the log, "trade[5]" where it is filtered by 5 symbols; cut
 * with "..." where buf is too small. */
const char *selection_text(const struct selection *s,
			   const struct symbols *symbols,
			   const struct schema *schema, char *buf,
			   size_t buf_len);

#endif
