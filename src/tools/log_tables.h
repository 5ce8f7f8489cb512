/*
 * The tables that have records in a journal, with totals for each.
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

struct log_table {
	char *name;
	size_t name_len;
	bool is_wanted;
	uint64_t records;	   /* counted by the caller */
	uint64_t rows, bytes;	   /* bytes of whole records */
	int first_type, last_type; /* types of the times below; 0: none */
	uint8_t first[8], last[8];
};

struct log_tables {
	const char *wanted; /* names, separated by commas; NULL: all */
	struct log_table *tables;
	size_t cnt, cap;
	size_t idx; /* the table found last */
};

/* Finds the record's table, or adds it.  NULL: no memory.  Valid until the next
 * call. */
struct log_table *log_tables_find(struct log_tables *l,
				  const struct journal_record *record);

/* Adds the record's rows, bytes and times to the totals of its table. */
void log_table_add(struct log_table *t, const struct journal_record *record,
		   const struct log_payload *payload);

/* Prints a line on standard output for each table with records. */
void log_tables_print(const struct log_tables *l);

/* Prints a sentence on standard error for each wanted table without records. */
void log_tables_tell_missing(const struct log_tables *l, const char *path);

void log_tables_fini(struct log_tables *l);

#endif
