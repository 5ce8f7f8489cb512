/*
 * The tables that a subscriber has seen in updates, so that the next update
 * of one is understood without reading a name: all updates of a table begin
 * with the same bytes.
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
	SEEN_TABLES_MAX = 256, /* as many as a schema of ringtickd may have */
	SEEN_NAME_MAX = 64,
};

struct seen_table {
	char name[SEEN_NAME_MAX];
	uint8_t *head; /* the body of an update up to its first column */
	size_t head_len;
	int time_idx; /* of the column time; -1 for none */
	int sequence_idx;
	struct sequence sequence; /* of what was counted */
};

struct seen {
	const char *column; /* of the running number; NULL: size or asize */
	struct seen_table *tables[SEEN_TABLES_MAX];
	unsigned tables_cnt;
	unsigned table_idx; /* of the last update */
};

/* What is in an update's columns; pointers into the message. */
struct seen_update {
	uint64_t rows;
	int time_type;		 /* of the time column */
	const uint8_t *time;	 /* its first item; NULL for none */
	const uint8_t *sequence; /* items of the running number, of 8 bytes */
	uint64_t sequence_cnt;
};

/* The table that a message with this body is an update of; NULL if unknown. */
struct seen_table *seen_find(struct seen *s, const uint8_t *body, size_t len);

/*
 * The same for a table that may be new.  The body was checked by
 * wire_check_body.  NULL if it is no update with a table, if there is no
 * memory or there are too many.
 */
struct seen_table *seen_learn(struct seen *s, const uint8_t *body, size_t len);

/*
 * Reads the columns of an update of the table, and of these only as many as
 * are needed up to the last that is wanted.  NULL, or what is wrong.
 */
const char *seen_read(const struct seen_table *t, const uint8_t *body,
		      size_t len, bool is_time_wanted, bool is_sequence_wanted,
		      struct seen_update *out);

/* Checks the running numbers in an update of the table. */
void seen_count(struct seen_table *t, const struct seen_update *update);

void seen_fini(struct seen *s);

#endif
