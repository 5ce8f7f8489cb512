/*
 * The tables that a tickerplant serves: names, columns, and the constant
 * bytes made from them once at start.  Pure.
 *
 * Invariant after schema_finish: tables are sorted by name (the order of
 * tables[] in q, in which `.u.sub[`;`]` replies); the first two columns are
 * named time and sym; time is timespan, timestamp or time.
 */
#ifndef RINGTICK_SCHEMA_SCHEMA_H
#define RINGTICK_SCHEMA_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SCHEMA_TABLES_MAX = 256,   /* a selection has one bit for each */
	SCHEMA_COLUMNS_MAX = 1024, /* of one table */
};

/* How closely an update must match its table: the number, lengths and types of
 * the columns, or only their number and lengths. */
enum check_mode { CHECK_TYPES, CHECK_SHAPE };

struct schema_column {
	char *name;
	int8_t type;	/* 1..19 of enum wire_type; 0: general list */
	bool is_string; /* type 0, and each cell must be a char vector */
	uint8_t attr;	/* KA_*, as the schema declares it */
};

struct schema_table {
	char *name;
	size_t name_len; /* set by schema_finish */
	struct schema_column *columns;
	unsigned columns_cnt;
	unsigned idx; /* in schema.tables */

	/*
	 * A published frame up to its first column: IPC header (async, length
	 * 0 to be patched), list of 3, `upd, name, table wrapper with column
	 * names, general list header of columns_cnt.  A copy of this, the
	 * length, and the columns make the frame.
	 */
	uint8_t *publish_prefix;
	size_t publish_prefix_len;

	/*
	 * The value of .u.sub[name;`]: (name; empty table), g# on sym
	 * (tick-contract.md 2.3).  An object, no frame header.
	 */
	uint8_t *sub_reply;
	size_t sub_reply_len;
};

struct schema {
	struct schema_table *tables;
	unsigned tables_cnt;
};

/* Where and why a schema cannot be used. */
struct schema_error {
	unsigned line, column; /* from 1; 0: the error has no place */
	char text[256];
};

/*
 * Reads the text of a kdb+tick schema file (sym.q), in the spellings listed in
 * doc/configuration.md.  Adds its tables to *s (zeroed or already holding
 * tables), on an error perhaps some of them; schema_fini releases them.  0, or
 * -EINVAL or -ENOMEM, with *err set.
 */
int schema_parse(struct schema *s, const char *text, size_t len,
		 struct schema_error *err);

/* Adds an empty table.  *out is good until the next table is added.  0, or
 * -EEXIST, -E2BIG, -EINVAL (the name) or -ENOMEM, with *err set. */
int schema_add_table(struct schema *s, const char *name,
		     struct schema_table **out, struct schema_error *err);

/*
 * Adds a column.  type is a q name ("timespan"), a q letter ("n"), "string", or
 * "" or "list" for an untyped column; attr is one of KA_*.  0, or -ENOENT (no
 * such type), -EINVAL (the name, or the place of time and sym), -EEXIST, -E2BIG
 * or -ENOMEM, with *err set.
 */
int schema_add_column(struct schema_table *t, const char *name,
		      const char *type, uint8_t attr,
		      struct schema_error *err);

/* Sorts the tables, checks tick.q's rules and builds the constant bytes; call
 * it once, after the last table.  0, or -EINVAL or -ENOMEM, with *err set. */
int schema_finish(struct schema *s, struct schema_error *err);

/* q's name of the type of an object: "float" for the vector and the atom alike;
 * "list", "table", "dictionary", "function" for the rest.  A constant. */
const char *schema_type_name(int type);

/* The word that follows that name where the form matters: " atom", " vector" or
 * "". */
const char *schema_type_form(int type);

/* NULL if there is no table of that name, which need not be terminated.  Only
 * after schema_finish. */
const struct schema_table *schema_find(const struct schema *s,
				       const char *name, size_t name_len);

/* Releases all tables; a zeroed schema is accepted. */
void schema_fini(struct schema *s);

#endif
