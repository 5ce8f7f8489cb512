/*
 * Checks the data x of a feed's .u.upd[t;x] against the schema and turns it
 * into the columns that are published (tick-contract.md 2.4), without building
 * objects.
 *
 * x may be a list of columns (atoms among them are extended), a list of atoms
 * (one row), a bare vector (one row of one type), an atom (one row of one
 * column), or a table with the schema's column names.  The time column may be
 * left out.  Bulk columns are copied verbatim, attributes included.
 *
 * Pure but for the text of a refusal, which is static; reads x once to check
 * it, and once more to write columns that change.
 */
#ifndef RINGTICK_SCHEMA_UPDATE_H
#define RINGTICK_SCHEMA_UPDATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/schema.h"

enum update_result {
	UPDATE_OK,
	UPDATE_REFUSED, /* well-formed, but not for this table: *why is the
			   text of the error, kdb+'s word first: "type:
			   trade.price: float wanted, long came". Good until
			   the next call */
	UPDATE_BAD,	/* malformed bytes: *why is a sentence for the log */
	UPDATE_REWRITE, /* has 8-byte counts: parse it again after
			   wire_rewrite */
};

enum update_form {
	UPDATE_COLUMNS, /* column objects, one after the other */
	UPDATE_CELLS,	/* one row: cell objects, one after the other */
	UPDATE_VECTOR,	/* one row: the items of one typed vector */
};

struct update {
	const struct schema_table *table;
	const uint8_t *items; /* first column, cell, or item of the vector */
	size_t items_len;
	unsigned items_cnt; /* one less than the columns if !has_time */
	enum update_form form;
	int8_t vector_type;  /* UPDATE_VECTOR: the type of the vector */
	bool has_time;	     /* else update_write adds the time */
	bool is_verbatim;    /* items are published as they are */
	uint64_t rows;	     /* 0: an empty update, nothing to publish */
	uint64_t frame_len;  /* bytes of the published message; may be above
				4 GiB, which the caller has to refuse */
};

/*
 * Parses the little-endian object x that ends exactly at x + len, within the
 * limit of wire_bound.  *out is set only on UPDATE_OK and points into x; *why
 * is set on UPDATE_REFUSED and UPDATE_BAD.
 */
enum update_result update_parse(const struct schema_table *table,
				const uint8_t *x, size_t len,
				enum check_mode check, struct update *out,
				const char **why);

/*
 * Writes the published message of a parsed update with rows > 0: frame_len
 * bytes.  If the feed left the time out, the time column is local_ns
 * (nanoseconds since 2000.01.01, in the day's zone), in the column's own type.
 */
void update_write(const struct update *u, int64_t local_ns, uint8_t *at);

/* Writes a time column that has local_ns in each row, in the column's own type:
 * a list's header and at most 8 bytes for each row.  Returns its end. */
uint8_t *update_put_time(const struct schema_table *t, uint64_t rows,
			 int64_t local_ns, uint8_t *at);

#endif
