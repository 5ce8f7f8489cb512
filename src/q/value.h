/*
 * kdb+ objects as values of an evaluation: little-endian bytes that are valid,
 * since they were checked when received, or were made here.
 *
 * Besides the types of the wire there is one of our own, for the values of
 * names that are never sent: KT_OWN, a byte of enum own_kind, then the index
 * (u16) of a function or the text of a namespace (a symbol).  No client can
 * send it: wire_skip rejects type 112.
 *
 * Pure.  Nothing here recurses, however deeply values are nested.
 */
#ifndef RINGTICK_Q_VALUE_H
#define RINGTICK_Q_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/wire.h"

enum {
	REQUEST_ARGS_MAX = 8,
	REQUEST_STEP_ITEMS = 16, /* items looked at or compared per step
				    (eval.h) */
};

/* One object, checked, little-endian. */
struct request_arg {
	const uint8_t *at;
	size_t len;
};

enum {
	KT_OWN = 112,
	UNARY_ELIDED = 0xff, /* the KT_UNARY of an omitted argument */
};

enum own_kind {
	OWN_NAME,  /* a function of the table of names */
	OWN_VERB,  /* a function of verbs.h */
	OWN_SPACE, /* a namespace */
};

/* Characters; not terminated. */
struct text {
	const char *at;
	size_t len;
};

static inline int
value_type(const struct request_arg *v)
{
	return (int8_t)v->at[0];
}

/* Vectors and general lists. */
static inline bool
value_is_list(const struct request_arg *v)
{
	return wire_is_list(value_type(v));
}

/* Whether q calls the value a function. */
static inline bool
value_is_function(const struct request_arg *v)
{
	int type = value_type(v);

	return type >= KT_LAMBDA && type <= KT_OWN &&
	       !(type == KT_OWN && v->at[1] == OWN_SPACE);
}

/* Whether it is `::`, and whether it is an omitted argument. */
bool value_is_null(const struct request_arg *v);
bool value_is_elided(const struct request_arg *v);

bool value_is_own(const struct request_arg *v, enum own_kind kind);
unsigned value_own_idx(const struct request_arg *v);
void value_put_own(struct wire_writer *out, enum own_kind kind, unsigned idx);
void value_put_space(struct wire_writer *out, struct text name);

/* The length of the object that begins at `at`. */
size_t value_bytes(const uint8_t *at);

/* The same for an object that may be large: takes a step for each
 * REQUEST_STEP_ITEMS objects and symbols in it.  Returns 0, and leaves no
 * steps, if there are not enough. */
size_t value_walk(const uint8_t *at, unsigned *steps);

/* The number of items of a list, keys of a dictionary, rows of a table; 1 for
 * everything else. */
uint64_t value_count(const struct request_arg *v);

/* The two sides of a dictionary; both point into it. */
void value_split_dict(const struct request_arg *dict, struct request_arg *keys,
		      struct request_arg *values);

/* The names (a symbol vector) and columns (a general list) of a table; both
 * point into it. */
void value_split_table(const struct request_arg *table,
		       struct request_arg *names, struct request_arg *columns);

/*
 * The characters of a symbol or char vector, not terminated; NULL for any other
 * type.  A char atom is a string of one.
 */
const char *request_arg_text(const struct request_arg *arg, size_t *out_len);

/* The characters of a symbol atom. */
struct text value_symbol(const struct request_arg *v);

/* Reads a boolean, byte, short, int or long; false for any other type. */
bool value_integer(const struct request_arg *v, int64_t *out);

/* Whether two values are equal except for attributes, as q's ~ has it. */
bool value_match(const struct request_arg *a, const struct request_arg *b);

/* Whether it contains a KT_OWN, which cannot be sent. */
bool value_has_own(const struct request_arg *v);

/* ---- items ---- */

/* One item, in its form in a vector or list: without the type byte, except for
 * the items of a general list, which are objects. */
struct item {
	int type; /* of the atom, positive; 0: an object */
	const uint8_t *at;
	size_t len;
};

/* Iterates over the items of a list; any other value is repeated for ever. */
struct items {
	int type; /* of the vector; -1: a repeated value */
	const uint8_t *at;
	uint64_t cnt; /* items left */
	struct item same;
};

struct items items_of(const struct request_arg *v);
struct item items_next(struct items *items);

/* v as an item: an atom without its type byte, else the object. */
struct item item_of(const struct request_arg *v);

bool item_match(const struct item *a, const struct item *b);

/* Writes the item as an object of its own. */
void value_put_item(struct wire_writer *out, const struct item *item);

/* Writes the null atom of a type; for KT_LIST, an empty list. */
void value_put_null_of(struct wire_writer *out, int type);

/* Turns the list from list_off to the end of out into a vector if all its items
 * are atoms of one type, as q does. */
void value_collapse(struct wire_writer *out, size_t list_off);

/* The index of the item in the list; value_count of the list if it is not
 * there. */
uint64_t value_find(const struct request_arg *list, const struct item *item);

/*
 * Writes v[key]: a list is indexed by number, a dictionary by key, a table by
 * column; a vector of keys gives a list.  A missing item is a null.  Returns
 * NULL or the text of an error.
 */
const char *value_index(const struct request_arg *v,
			const struct request_arg *key, struct wire_writer *out);

#endif
