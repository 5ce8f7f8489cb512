/*
 * q text to nodes: the lexer and parser behind request.h, whose head comment
 * has the grammar.  Names are resolved and arguments counted here, so that a
 * text with an error anywhere in it has called nothing yet.
 *
 * Invariant: bounded depth and memory, whatever the text; the nodes are in the
 * struct query and point into the text and the table of names.
 * Called by: request.c only.  Never evaluates.
 */
#ifndef RINGTICK_QUERY_H
#define RINGTICK_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "request.h"

enum { QUERY_NODES_MAX = 256 };

/* Error texts of kdb+. */
extern const char query_not_understood[]; /* nyi */
extern const char query_too_much[];	  /* limit */

/* Characters of the input; not terminated. */
struct text {
	const char *at;
	size_t len;
};

/* What is defined, and where the text of an error may be made. */
struct query_names {
	const struct request_name *names;
	size_t cnt;
	char *error; /* REQUEST_ERROR_MAX bytes */
};

/* NULL if it is not defined. */
const struct request_name *query_find(const struct query_names *names,
				      struct text name);

/* The name "dict.key"; with a key of NULL, any name that is in dict. */
const struct request_name *query_find_member(const struct query_names *names,
					     struct text dict,
					     const struct text *key);

/* Whether a defined name begins with "name.". */
bool query_is_dict(const struct query_names *names, struct text name);

/* The error of an undefined name: the name itself. */
const char *query_name_error(const struct query_names *names, struct text name);

/*
 * The error for text that is not understood: an undefined name in it says more
 * than 'nyi.  Names inside lambdas do not count, they may be parameters.
 */
const char *query_text_error(const struct query_names *names, struct text text);

/* Takes spaces from both ends; true if one name is left, defined or not. */
bool query_is_name(struct text *text);

enum node_kind {
	NODE_NULL,
	NODE_BOOLEAN,
	NODE_LONG,
	NODE_STRING,
	NODE_SYMBOLS, /* one, or a vector of those that stand together */
	NODE_LIST,
	NODE_SEQUENCE, /* statements; the value is that of the last */
	NODE_VARIABLE,
	NODE_CALL,     /* the children are the arguments */
	NODE_INDEX,    /* text is the dictionary, the child the key */
	NODE_FUNCTION, /* the name of one; never in a finished tree */
	NODE_DICT,     /* likewise */
};

struct node {
	enum node_kind kind;
	unsigned children_cnt;
	struct node *children, *last, *next;
	const struct request_name *name;
	struct text text; /* as it stands there, quotes and backticks too */
	int64_t number;	  /* value; bytes of a string; symbols of a vector */
};

struct query {
	const struct query_names *names;
	const char *at, *end;
	const char *error; /* the first one */
	unsigned depth;
	size_t nodes_cnt;
	struct node nodes[QUERY_NODES_MAX];
};

/* The root of the tree, which lives in *q; NULL with q->error set. */
const struct node *query_parse(struct query *q, const struct query_names *names,
			       struct text text);

/*
 * For the values of strings and symbols.  Each moves *at behind what it reads,
 * before end: the byte behind a backslash (-1 if it is no escape), and the
 * symbol behind a backtick.
 */
int query_read_escape(const char **at, const char *end);
struct text query_read_symbol(const char **at, const char *end);

#endif
