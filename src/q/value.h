/*
 * kdb+ objects as values of an evaluation: little-endian bytes that are known
 * to be good, because they were checked when they came or were made here.
 *
 * Beside the types of the wire there is one of our own, for what a name may
 * stand for and what is never sent: KT_OWN, a byte of enum own_kind, then the
 * index (u16) of a function or the text of a namespace (a symbol).  What a
 * client sends cannot have it: wire_skip knows no type 112.
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
	REQUEST_STEP_ITEMS = 16, /* looked at or compared: so many are a step
				    (eval.h) */
};

/* One object, checked, little-endian. */
struct request_arg {
	const uint8_t *at;
	size_t len;
};

enum {
	KT_OWN = 112,
	UNARY_ELIDED = 0xff, /* of KT_UNARY: an argument still to come */
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

/* Anything that q calls a function. */
static inline bool
value_is_function(const struct request_arg *v)
{
	int type = value_type(v);

	return type >= KT_LAMBDA && type <= KT_OWN &&
	       !(type == KT_OWN && v->at[1] == OWN_SPACE);
}

/* `::`, and an argument that was left out. */
bool value_is_null(const struct request_arg *v);
bool value_is_elided(const struct request_arg *v);

bool value_is_own(const struct request_arg *v, enum own_kind kind);
unsigned value_own_idx(const struct request_arg *v);
void value_put_own(struct wire_writer *out, enum own_kind kind, unsigned idx);
void value_put_space(struct wire_writer *out, struct text name);

/* Bytes of the object that begins at `at`. */
size_t value_bytes(const uint8_t *at);

/* The same, for what may be large: takes a step for each REQUEST_STEP_ITEMS
 * objects and symbols in it; 0, and none are left, if there are not enough. */
size_t value_walk(const uint8_t *at, unsigned *steps);

/* Items; of a dictionary its keys; rows of a table; 1 of everything else. */
uint64_t value_count(const struct request_arg *v);

/* The two sides of a dictionary. */
void value_split_dict(const struct request_arg *dict, struct request_arg *keys,
		      struct request_arg *values);

/* Names (a symbol vector) and columns (a general list). */
void value_split_table(const struct request_arg *table,
		       struct request_arg *names, struct request_arg *columns);

/*
 * The argument as a symbol or char vector; NULL if it is neither. Not
 * terminated. A char atom is a string of one.
 */
const char *request_arg_text(const struct request_arg *arg, size_t *out_len);

/* The characters of a symbol atom. */
struct text value_symbol(const struct request_arg *v);

/* A boolean, byte, short, int or long. false for any other type. */
bool value_integer(const struct request_arg *v, int64_t *out);

/* Equal but for attributes, as ~ of q. */
bool value_match(const struct request_arg *a, const struct request_arg *b);

/* Whether there is a KT_OWN in it, which cannot be sent. */
bool value_has_own(const struct request_arg *v);

/* ---- items ---- */

/* One item, as it stands in a vector or list: without the type byte, but for
 * those of a general list, which are objects. */
struct item {
	int type; /* of the atom, positive; 0: an object */
	const uint8_t *at;
	size_t len;
};

/* The items of a list one by one; of anything else, itself for ever. */
struct items {
	int type; /* of the vector; -1: always the same */
	const uint8_t *at;
	uint64_t cnt; /* that are still to come */
	struct item same;
};

struct items items_of(const struct request_arg *v);
struct item items_next(struct items *items);

/* v as an item: an atom without its type byte, else the object. */
struct item item_of(const struct request_arg *v);

bool item_match(const struct item *a, const struct item *b);

/* The item as an object of its own. */
void value_put_item(struct wire_writer *out, const struct item *item);

/* The null atom of a type; of KT_LIST, an empty list. */
void value_put_null_of(struct wire_writer *out, int type);

/* What q does with a list whose items are atoms of one type: the list that was
 * written at list_off up to the end becomes a vector. */
void value_collapse(struct wire_writer *out, size_t list_off);

/* Where the item is in the list, which has value_count items; that count if it
 * is not there. */
uint64_t value_find(const struct request_arg *list, const struct item *item);

/*
 * v[key]: of a list by number, of a dictionary by key, of a table by column;
 * by a vector of these, a list.  What is not there is a null.
 */
const char *value_index(const struct request_arg *v,
			const struct request_arg *key, struct wire_writer *out);

#endif
