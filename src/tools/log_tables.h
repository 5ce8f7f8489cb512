/*
 * The tables that have records in a journal, and what these add up to.
 *
 * Owns copies of the names.  Called by log.c.
 */
#ifndef RINGTICK_TOOLS_LOG_TABLES_H
#define RINGTICK_TOOLS_LOG_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "journal/file.h"
#include "tools/log_payload.h"

struct table_sums {
	char *name;
	size_t name_len;
	bool is_wanted;
	uint64_t records;	   /* counted by the caller */
	uint64_t rows, bytes;	   /* bytes of whole records */
	int first_type, last_type; /* of the times below; 0: none */
	uint8_t first[8], last[8];
};

struct table_list {
	const char *wanted; /* names, commas between them; NULL: all */
	struct table_sums *tables;
	size_t cnt, cap;
	size_t idx; /* of the last one */
};

/* That of the record, made if it is new; NULL: no memory.  Good until the
 * next call. */
struct table_sums *table_list_find(struct table_list *l,
				   const struct journal_record *record);

/* Adds rows, bytes and times. */
void table_sums_add(struct table_sums *t, const struct journal_record *record,
		    const struct payload *payload);

/* A line on standard output for each that has records. */
void table_list_print(const struct table_list *l);

/* A sentence on standard error for each name that is wanted and has none. */
void table_list_tell_missing(const struct table_list *l, const char *path);

void table_list_fini(struct table_list *l);

#endif
