/*
 * Turns q text into nodes: the lexer and parser for eval.h, whose head comment
 * has the grammar.  Names are looked up only when they are evaluated.
 *
 * Invariant: bounded depth, steps and memory for any text.  The nodes and the
 * bytes of literals are appended to the caller's stack; names point into the
 * text.  Called by: eval.c and apply.c.  Never evaluates.
 */
#ifndef RINGTICK_Q_PARSE_H
#define RINGTICK_Q_PARSE_H

#include "q/value.h"
#include "q/verbs.h"

enum {
	QUERY_DEPTH_MAX = 32, /* nested expressions; more is 'limit */
	QUERY_PARAMS_MAX = REQUEST_ARGS_MAX,
};

/* Error texts of kdb+. */
extern const char query_not_understood[]; /* nyi */
extern const char query_too_much[];	  /* limit: the reply is too long */
extern const char query_limit[];	  /* limit: the request costs too
					     much */

enum node_kind {
	NODE_VALUE, /* a literal, or a lambda in its form on the wire */
	NODE_NAME,
	NODE_LIST,
	NODE_SEQUENCE, /* statements; the value is that of the last */
	NODE_CALL,     /* the first child is applied to the others */
	NODE_COND,     /* $[c;t;f] */
	NODE_DERIVED,  /* the child, with an adverb */
};

struct node {
	enum node_kind kind;
	unsigned children_cnt;
	struct node *children, *last, *next;
	struct text name;
	struct request_arg value;
	const struct verb *verb; /* the verb, if the value is one */
	uint8_t adverb;		 /* KT_EACH, KT_EACH_LEFT, KT_EACH_RIGHT */
};

struct query {
	struct wire_writer *stack;
	unsigned *steps; /* steps left; a node costs one */
	const char *begin, *at, *end;
	const char *error; /* the first error, or NULL */
	unsigned depth;
	unsigned implicit_cnt; /* implicit parameters (x, y, z) of the lambda
				  that is being read */
};

struct query_lambda {
	struct text params[QUERY_PARAMS_MAX];
	unsigned params_cnt; /* if implicit, at least x */
	const struct node *body;
};

/* Parses the statements of a text.  Returns NULL, with q->error set, on an
 * error. */
const struct node *query_parse(struct query *q, struct text text);

/* Parses the text of a lambda, including its braces.  Returns false, with
 * q->error set, on an error. */
bool query_parse_lambda(struct query *q, struct text text,
			struct query_lambda *out);

/* Trims spaces from both ends; true if the rest is one name, defined or not. */
bool query_is_name(struct text *text);

/* Moves *at to the end of the next name that is not in a string, symbol or
 * lambda; false at the end of the text. */
bool query_next_name(const char **at, const char *end, struct text *out);

#endif
