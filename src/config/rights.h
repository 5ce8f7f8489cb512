/*
 * Rights: what a user may do, and the settings that are a user's own.
 *
 *   auth.roles    named rights
 *   auth.rights   by user: the rights of roles, and more of the user's own
 *   auth.role     the role of everybody else
 *
 * Rights only add up: a user may do what one of the roles may do.  Of a table
 * that is restricted to some symbols in each of them, the user gets the rows of
 * all these symbols.
 *
 * Invariant of a struct rights that settings_load has filled: tables are bits
 * of the schema, symbols are sorted by table and name, each once.
 */
#ifndef RINGTICK_CONFIG_RIGHTS_H
#define RINGTICK_CONFIG_RIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"
#include "schema/schema.h"

enum right {
	RIGHT_ASK = 1 << 0,	   /* for other connections: .ringtick.lag[],
				      .u.w, .z.W */
	RIGHT_PAST = 1 << 1,	   /* .ringtick.subfrom, .ringtick.rejoin */
	RIGHT_ADMINISTER = 1 << 2, /* .u.endofday[], .ringtick.reload[] */
};

/* Limits of each user. */
enum right_limit {
	LIMIT_CONNECTIONS, /* at once */
	LIMIT_BUFFERS,	   /* of message.buffers, at once */
	LIMIT_REQUESTS,	   /* a second, updates not counted */
	LIMIT_SYMBOLS,	   /* that a connection filters by */
	RIGHT_LIMITS,
};

enum { ROLES_MAX = 256 }; /* those built in included */

/* A symbol whose rows may be subscribed to. */
struct symbol_right {
	unsigned table_idx;
	char *symbol;
};

struct rights {
	char *name; /* of the role or the user */
	uint64_t roles[ROLES_MAX / 64]; /* bit = row of the role; a role has
					   itself */
	unsigned may;				  /* enum right, or-ed */
	bool publishes_all; /* every table: none needs to be looked up */
	uint64_t publish[SCHEMA_TABLES_MAX / 64]; /* bit = table's idx */
	uint64_t subscribe[SCHEMA_TABLES_MAX / 64];  /* the same */
	uint64_t restricted[SCHEMA_TABLES_MAX / 64]; /* of `subscribe`: only
							these symbols: */
	struct symbol_right *symbols;
	unsigned symbols_cnt;
	uint32_t view; /* rights_set_view */
	int policy;	     /* enum slow_policy; -1: slow.policy */
	int64_t spill_limit; /* ns; -1: slow.spill_limit */
	uint32_t limits[RIGHT_LIMITS]; /* 0: none of its own */
};

static inline bool
rights_may_publish(const struct rights *r, unsigned table_idx)
{
	return bits_has(r->publish, table_idx);
}

static inline bool
rights_may_subscribe(const struct rights *r, unsigned table_idx)
{
	return bits_has(r->subscribe, table_idx);
}

/* Whether the user may publish any table. */
static inline bool
rights_may_feed(const struct rights *r)
{
	return bits_next(r->publish, 0, SCHEMA_TABLES_MAX) < SCHEMA_TABLES_MAX;
}

/* Whether the user may subscribe to any table. */
static inline bool
rights_may_subscribe_any(const struct rights *r)
{
	return bits_next(r->subscribe, 0, SCHEMA_TABLES_MAX) <
	       SCHEMA_TABLES_MAX;
}

/* Whether the table exists for this user. */
static inline bool
rights_may_see(const struct rights *r, unsigned table_idx)
{
	return rights_may_publish(r, table_idx) ||
	       rights_may_subscribe(r, table_idx);
}

static inline bool
rights_is_restricted(const struct rights *r, unsigned table_idx)
{
	return bits_has(r->restricted, table_idx);
}

/* Whether rows with this symbol may be subscribed to, of a restricted table. */
bool rights_may_have(const struct rights *r, unsigned table_idx,
		     const char *symbol, size_t len);

/* The symbols of a restricted table: *out_cnt from the returned one on. */
const struct symbol_right *
rights_symbols(const struct rights *r, unsigned table_idx, unsigned *out_cnt);

/* The row of this name; NULL if there is none.  The second one is for rows that
 * rights_sort has sorted. */
const struct rights *rights_find(const struct rights *all, unsigned cnt,
				 const char *name);
const struct rights *rights_search(const struct rights *all, unsigned cnt,
				   const char *name);
void rights_sort(struct rights *all, unsigned cnt);

/* Whether both may have the same symbols of a restricted table. */
bool rights_have_same_symbols(const struct rights *a, const struct rights *b,
			      unsigned table_idx);

/* Starts as a user who may do nothing and has no settings.  Copies the name.
 * Returns false if memory is missing. */
bool rights_init(struct rights *r, const char *name);
void rights_fini(struct rights *r);

/* Every table of the schema, and the other rights of `may`. */
void rights_give_all(struct rights *r, const struct schema *schema,
		     unsigned may);

/* Lets the user subscribe to the whole table. */
void rights_give_table(struct rights *r, unsigned table_idx);

/* Lets the user subscribe to the rows of one symbol, which is copied; without
 * effect if the user may have the whole table.  Call rights_finish after the
 * last one.  Returns false if memory is missing. */
bool rights_give_symbol(struct rights *r, unsigned table_idx,
			const char *symbol);

/* Adds what a role may do.  A setting of *r that is set already stays.  Returns
 * false if memory is missing. */
bool rights_add_role(struct rights *r, const struct rights *role);

/* Sorts the symbols. */
void rights_finish(struct rights *r);

/* Sets *r's view: a number of 31 bits for what may be subscribed to, which is
 * another one if that is another, in every run; 0 if it is everything. */
void rights_set_view(struct rights *r, const struct schema *schema);

#endif
