/*
 * q text to nodes: the lexer and parser behind eval.h, whose head comment
 * has the grammar.  Names are not looked up here: a name means what it means
 * when it is evaluated.
 *
 * Invariant: bounded depth, steps and memory, whatever the text.  The nodes
 * and the bytes of literals are appended to a stack that the caller gives and
 * takes back; names point into the text.
 * Called by: eval.c and apply.c.  Never evaluates.
 */
#ifndef RINGTICK_Q_PARSE_H
#define RINGTICK_Q_PARSE_H

#include "q/value.h"
#include "q/verbs.h"

enum {
	QUERY_DEPTH_MAX = 32, /* more is 'limit */
	QUERY_PARAMS_MAX = REQUEST_ARGS_MAX,
};

/* Error texts of kdb+. */
extern const char query_not_understood[]; /* nyi */
extern const char query_too_much[];	  /* limit: of the reply */
extern const char query_limit[];	  /* limit: of the request itself */

enum node_kind {
	NODE_VALUE, /* a literal; a lambda is one too, as it is on the wire */
	NODE_NAME,
	NODE_LIST,
	NODE_SEQUENCE, /* statements; the value is that of the last */
	NODE_CALL,     /* the first child, a function, of the others */
	NODE_COND,     /* $[c;t;f] */
	NODE_DERIVED,  /* the child with an adverb */
};

struct node {
	enum node_kind kind;
	unsigned children_cnt;
	struct node *children, *last, *next;
	struct text name;
	struct request_arg value;
	const struct verb *verb; /* of a value that is one */
	uint8_t adverb;		 /* KT_EACH, KT_EACH_LEFT, KT_EACH_RIGHT */
};

struct query {
	struct wire_writer *stack;
	unsigned *steps; /* that are left; a node is one */
	const char *begin, *at, *end;
	const char *error; /* the first one */
	unsigned depth;
	unsigned implicit_cnt; /* of x, y, z in the lambda that is read */
};

struct query_lambda {
	struct text params[QUERY_PARAMS_MAX];
	unsigned params_cnt; /* of implicit ones at least x */
	const struct node *body;
};

/* A text: its statements. NULL with q->error set. */
const struct node *query_parse(struct query *q, struct text text);

/* The text of a lambda, braces and all. false with q->error set. */
bool query_parse_lambda(struct query *q, struct text text,
			struct query_lambda *out);

/* Takes spaces from both ends; true if one name is left, defined or not. */
bool query_is_name(struct text *text);

/* Moves *at behind the next name that stands neither in a string, nor in a
 * symbol, nor in a lambda. false at the end. */
bool query_next_name(const char **at, const char *end, struct text *out);

#endif
