/*
 * The tables that a subscriber has seen in updates.  All updates of a table
 * begin with the same bytes, so the next one is recognised without reading a
 * name.
 *
 * Owns copies of these first bytes.  Called by sub.c and sub_stats.c; does no
 * I/O.
 */
#ifndef RINGTICK_TOOLS_SUB_TABLES_H
#define RINGTICK_TOOLS_SUB_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/sequence.h"

enum {
	SUB_TABLES_MAX = 256, /* as many as a schema of ringtickd can have */
	SUB_NAME_MAX = 64,
};

struct sub_table {
	char name[SUB_NAME_MAX];
	uint8_t *head; /* the body of an update up to its first column */
	size_t head_len;
	int time_idx; /* index of the column time; -1 for none */
	int sequence_idx;
	struct sequence sequence; /* check of its running numbers */
};

struct sub_tables {
	const char *column; /* of the running numbers; NULL: size or asize */
	struct sub_table *tables[SUB_TABLES_MAX];
	unsigned tables_cnt;
	unsigned table_idx; /* the table of the last update */
};

/* The contents of an update; pointers go into the message. */
struct sub_update {
	uint64_t rows;
	int time_type;		 /* of the time column */
	const uint8_t *time;	 /* its first item; NULL for none */
	const uint8_t *sequence; /* the running numbers, of 8 bytes each */
	uint64_t sequence_cnt;
};

/* The table that a message with this body is an update of; NULL if unknown. */
struct sub_table *sub_tables_find(struct sub_tables *s, const uint8_t *body,
				  size_t len);

/*
 * The same for a table that may be new: then it is added.  wire_check_body
 * accepted the body.  NULL if this is not an update with a table, if there is
 * no memory, or if there are too many tables.
 */
struct sub_table *sub_tables_learn(struct sub_tables *s, const uint8_t *body,
				   size_t len);

/*
 * Reads the columns of an update of the table, up to the last one that is
 * wanted.  NULL, or a sentence about the fault.
 */
const char *sub_table_read(const struct sub_table *t, const uint8_t *body,
			   size_t len, bool is_time_wanted,
			   bool is_sequence_wanted, struct sub_update *out);

/* Checks the running numbers of an update of the table. */
void sub_table_count(struct sub_table *t, const struct sub_update *update);

void sub_tables_fini(struct sub_tables *s);

#endif
