/*
 * What a feed sends in .u.upd[t;x]: checked against the schema and turned
 * into the columns that are published (tick-contract.md 2.4), without building
 * objects.
 *
 * x may be a list of columns (atoms among them are extended), a list of atoms
 * (one row), a bare vector (one row of one type), an atom (one row of one
 * column), or a table with the schema's column names.  The time column may be
 * left out.  Bulk columns are copied verbatim, attributes included.
 *
 * Pure; reads x once to check it, and once more to write what is not verbatim.
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
	UPDATE_REWRITE, /* has 8-byte counts: wire_rewrite it, then again */
};

enum update_form {
	UPDATE_COLUMNS, /* column objects follow each other */
	UPDATE_CELLS,	/* one row: cell objects follow each other */
	UPDATE_VECTOR,	/* one row: the items of one typed vector */
};

struct update {
	const struct schema_table *table;
	const uint8_t *items; /* first column, cell, or item of the vector */
	size_t items_len;
	unsigned items_cnt;  /* without the time column if that is missing */
	enum update_form form;
	int8_t vector_type;  /* UPDATE_VECTOR: of the items */
	bool has_time;	     /* else it is added */
	bool is_verbatim;    /* items are the published columns as they are */
	uint64_t rows;	     /* 0: an empty update, nothing to publish */
	uint64_t frame_len;  /* of the published message; may exceed 4 GiB */
};

/*
 * Parses the little-endian object x that ends exactly at x + len.  *out is
 * set only on UPDATE_OK and points into x.
 */
enum update_result update_parse(const struct schema_table *table,
				const uint8_t *x, size_t len,
				enum check_mode check, struct update *out,
				const char **why);

/*
 * Writes the published message of a parsed update with rows > 0: frame_len
 * bytes.  local_ns (since 2000.01.01, in the day's zone) is stamped, in the
 * time column's own type, if the feed left the time out.
 */
void update_write(const struct update *u, int64_t local_ns, uint8_t *at);

/* Writes the time column alone: of rows times local_ns, in its own type. It has
 * a list's header and at most 8 bytes for each row. Returns its end. */
uint8_t *update_put_time(const struct schema_table *t, uint64_t rows,
			 int64_t local_ns, uint8_t *at);

#endif
