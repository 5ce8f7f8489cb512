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
	SCHEMA_TABLES_MAX = 256,   /* a selection is a bitmap of so many bits */
	SCHEMA_COLUMNS_MAX = 1024, /* of one table */
};

/* How closely an update must match its table: the types of the columns too, or
 * their number and lengths only. */
enum check_mode { CHECK_TYPES, CHECK_SHAPE };

struct schema_column {
	char *name;
	int8_t type;	/* 1..19 of enum wire_type; 0 = general list */
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
	unsigned line, column; /* from 1; 0 where there is no place */
	char text[256];
};

/*
 * Reads the text of a kdb+tick schema file (sym.q).  Adds its tables to *s
 * (zeroed or already holding tables).  -EINVAL with *err set; -ENOMEM.
 * Understands the spellings listed in doc/configuration.md.
 */
int schema_parse(struct schema *s, const char *text, size_t len,
		 struct schema_error *err);

/* Adds an empty table. -EEXIST, -E2BIG, -EINVAL (name), with *err. */
int schema_add_table(struct schema *s, const char *name,
		     struct schema_table **out, struct schema_error *err);

/*
 * Adds a column; type as a q name ("timespan"), a q letter ("n"), "string"
 * or "" / "list" for an untyped column.  -ENOENT (no such type),
 * -EINVAL, -EEXIST, -E2BIG, with *err.
 */
int schema_add_column(struct schema_table *t, const char *name,
		      const char *type, uint8_t attr,
		      struct schema_error *err);

/* Sorts, checks tick.q's rules, builds the constant bytes. -EINVAL, -ENOMEM. */
int schema_finish(struct schema *s, struct schema_error *err);

/* q's name of what has this type byte: of a vector ("float"), of its atom
 * too; "list", "table", "dictionary", "function" for the rest. */
const char *schema_type_name(int type);

/* NULL if there is none. name need not be terminated. */
const struct schema_table *schema_find(const struct schema *s,
				       const char *name, size_t name_len);

void schema_fini(struct schema *s);

#endif
