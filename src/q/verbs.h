/*
 * The functions and operators of q that ringtick knows: a row each.  Those
 * that need more than their arguments (names, other functions) are marked and
 * done by apply.c.
 *
 * Pure: reads the arguments, appends one value to out.  NULL, or the text of
 * the kdb+ error; after an error out may have any part of a value.
 */
#ifndef RINGTICK_Q_VERBS_H
#define RINGTICK_Q_VERBS_H

#include "q/value.h"

enum verb_place {
	VERB_PREFIX,   /* count x, count[x] */
	VERB_INFIX,    /* x in y, in[x;y] */
	VERB_OPERATOR, /* x,y: the same, but no letters */
};

enum verb_special {
	VERB_PLAIN,   /* all is in call; NULL: 'nyi */
	VERB_OF_NAME, /* call gets the value of a symbol's name */
	VERB_KEY,
	VERB_VALUE,
	VERB_EACH,
	VERB_AT,
	VERB_DOT,
};

/* What its work grows with. */
enum verb_cost {
	COST_RESULT,  /* its length; dictionaries and tables are walked */
	COST_ARGS,    /* the items of the arguments */
	COST_TEXTS,   /* the same, and each item is made to a text, or back */
	COST_JOIN,    /* the same, unless both are vectors of one type */
	COST_PRODUCT, /* items of the first times those of the second */
};

typedef const char *(*verb_call)(const struct request_arg *args,
				 struct wire_writer *out);

struct verb {
	const char *name;
	enum verb_place place;
	unsigned args_cnt; /* exactly; of @ and . also 3 */
	verb_call call;
	enum verb_special special;
	enum verb_cost cost;
};

/* NULL if there is none. */
const struct verb *verb_find(struct text name);
/* The operator whose character this is; NULL if it is none. */
const struct verb *verb_operator(char c);
unsigned verb_idx(const struct verb *verb);
const struct verb *verb_at(unsigned idx);

/* true for 0b, 0, 0i, ...; anything but these types is 'type. */
const char *verb_truth(const struct request_arg *v, bool *out);

#endif
