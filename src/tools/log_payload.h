/*
 * The payload of a journal's record, after the name of the table: columns or
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
	PAYLOAD_COLUMNS, /* a list whose first item is a vector */
	PAYLOAD_ROW,	 /* a list or vector whose first item is an atom */
	PAYLOAD_TABLE,	 /* a table whose columns are all lists */
	PAYLOAD_OTHER,	 /* also a record that journal_next does not know */
};

struct log_payload {
	enum log_payload_form form;
	uint64_t rows; /* by the first column; 0 if there are no rows */
	/* The time column: the first one, or in a table the one named time. */
	int time_type; /* as of a vector; 0 for none */
	const uint8_t *time_first, *time_last; /* items; NULL for none */
	/* The object that .u.upd takes: x itself, or the columns of a table. */
	const uint8_t *columns;
	size_t columns_len;
};

void log_payload_read(struct log_payload *out,
		      const struct journal_record *record);

/* Memory for a table object.  Starts as zeros; log_payload_fini frees it. */
struct log_payload_table {
	uint8_t *bytes;
	size_t len, cap;
};

/*
 * The payload as a table object, with the column names c0, c1, ... unless it
 * has names.  NULL if it cannot be one (PAYLOAD_OTHER, columns that differ in
 * length, nested too deep), or if there is no memory. *out_len is its length in
 * bytes.  Valid until the next call.
 */
const uint8_t *log_payload_make_table(struct log_payload_table *t,
				      const struct log_payload *payload,
				      const struct journal_record *record,
				      size_t *out_len);

void log_payload_fini(struct log_payload_table *t);

#endif
