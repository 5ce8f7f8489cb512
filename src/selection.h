/*
 * What a subscriber wants: a set of tables.  Equal selections share a stream.
 */
#ifndef RINGTICK_SELECTION_H
#define RINGTICK_SELECTION_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "schema.h"

struct selection {
	uint64_t tables[SCHEMA_TABLES_MAX / 64]; /* bit = schema_table.idx */
};

static inline void
selection_add(struct selection *s, unsigned table_idx)
{
	s->tables[table_idx / 64] |= UINT64_C(1) << (table_idx % 64);
}

static inline bool
selection_has(const struct selection *s, unsigned table_idx)
{
	return s->tables[table_idx / 64] >> (table_idx % 64) & 1;
}

static inline bool
selection_is_equal(const struct selection *a, const struct selection *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* Every table of the schema. */
struct selection selection_all(const struct schema *schema);

/* "trade,quote" for the log; cut with "..." where buf is too small. */
const char *selection_text(const struct selection *s,
			   const struct schema *schema, char *buf,
			   size_t buf_len);

#endif
