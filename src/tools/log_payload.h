/*
 * What a record of a journal carries behind the name of the table: columns or
 * one row, as feeds send them; a table, as a chained tickerplant logs it; or
 * something else.
 *
 * Reads only records that journal_next accepted.  Owns the memory of a
 * log_payload_table, nothing else.  Called by log.c and log_replay.c; no I/O.
 */
#ifndef RINGTICK_TOOLS_LOG_PAYLOAD_H
#define RINGTICK_TOOLS_LOG_PAYLOAD_H

#include <stddef.h>
#include <stdint.h>

#include "journal/file.h"

enum log_payload_form {
	PAYLOAD_COLUMNS, /* a list, the first item is a vector */
	PAYLOAD_ROW,	 /* a list or vector, the first item is an atom */
	PAYLOAD_TABLE,	 /* each column is a list */
	PAYLOAD_OTHER,	 /* also what journal_next does not know */
};

struct log_payload {
	enum log_payload_form form;
	uint64_t rows; /* by the first column; 0 for what has no rows */
	/* The time column: the first, or in a table the one of that name. */
	int time_type; /* as of a vector; 0 for none */
	const uint8_t *time_first, *time_last; /* items; NULL for none */
	/* The object that .u.upd takes: x itself, or the columns of a table. */
	const uint8_t *columns;
	size_t columns_len;
};

void log_payload_read(struct log_payload *out,
		      const struct journal_record *record);

/* Room for a table object; to be zeroed before, and freed with its fini. */
struct log_payload_table {
	uint8_t *bytes;
	size_t len, cap;
};

/*
 * The payload as a table object, with columns c0, c1, ... unless it has names.
 * NULL if it is none: other, columns that differ in length, or what is nested
 * too deep; also if there is no memory for it.  *out_len is its length.  Good
 * until the next call.
 */
const uint8_t *log_payload_make_table(struct log_payload_table *t,
				      const struct log_payload *payload,
				      const struct journal_record *record,
				      size_t *out_len);

void log_payload_fini(struct log_payload_table *t);

#endif
