/*
 * The functions and operators of q that ringtick knows, one row each.  Those
 * that need more than their arguments (names, other functions) are marked and
 * implemented in apply.c.
 *
 * Pure: a function reads its arguments and appends one value to out.  It
 * returns NULL, or the text of the kdb+ error; after an error out may have any
 * part of a value.
 */
#ifndef RINGTICK_Q_VERBS_H
#define RINGTICK_Q_VERBS_H

#include "q/value.h"

enum verb_place {
	VERB_PREFIX,   /* count x, count[x] */
	VERB_INFIX,    /* x in y, in[x;y] */
	VERB_OPERATOR, /* x,y: the same, but not of letters */
};

enum verb_special {
	VERB_PLAIN,   /* call does all; NULL: 'nyi */
	VERB_OF_NAME, /* a symbol argument is replaced by the value of its
			 name */
	VERB_KEY,
	VERB_VALUE,
	VERB_EACH,
	VERB_AT,
	VERB_DOT,
};

/* The quantity that the work is proportional to. */
enum verb_cost {
	COST_RESULT,  /* length of the result; dictionaries and tables are
			 walked */
	COST_ARGS,    /* items of the arguments */
	COST_TEXTS,   /* the same, and each item is made into a text, or back */
	COST_JOIN,    /* the same, unless both are vectors of one type */
	COST_PRODUCT, /* items of the first argument times those of the
			 second */
};

typedef const char *(*verb_call)(const struct request_arg *args,
				 struct wire_writer *out);

struct verb {
	const char *name;
	enum verb_place place;
	unsigned args_cnt; /* exact number; @ and . also take 3 */
	verb_call call;
	enum verb_special special;
	enum verb_cost cost;
};

/* The function of that name; NULL if there is none. */
const struct verb *verb_find(struct text name);
/* The operator of that character; NULL if there is none. */
const struct verb *verb_operator(char c);
unsigned verb_idx(const struct verb *verb);
const struct verb *verb_at(unsigned idx);

/* Sets *out to whether v is not zero.  Returns NULL, or 'type for types other
 * than booleans and whole numbers. */
const char *verb_truth(const struct request_arg *v, bool *out);

#endif
