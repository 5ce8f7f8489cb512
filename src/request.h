/*
 * The q that clients send, in a small and bounded subset: a request is the
 * value of a text, of a name, or of a list whose first item names a function
 * (tick-contract.md section 0, rule 1).  This file knows the grammar; what the
 * names mean is a table that the caller passes (tick.c).
 *
 * Understood:
 *   objects   ()/"" -> ::      `.u.i -> value of the name
 *             (`f;a;b), `f`a`b (a symbol vector), ("f";a;b): call of f
 *             "text": evaluated
 *   text      expr := list | call | index | name | literal
 *             list := ( expr ; expr ; ... )      one expr in () is itself
 *             call := name [ expr ; ... ]        also name[]
 *             index := name literal              .u `i`L, `.u `i`L, .u[`i`L]
 *             literal := ` `sym `sym`sym "text" integer 0b 1b ::
 *             expr ; expr at top level: the value of the last
 * Lists of atoms of one type collapse to a vector, as in q.
 *
 * Invariant: bounded depth and work; reads only its input; writes only to out.
 * On an error everything written to out is taken back.
 */
#ifndef RINGTICK_REQUEST_H
#define RINGTICK_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#include "wire.h"

enum {
	REQUEST_ARGS_MAX = 8,
	REQUEST_DEPTH_MAX = 16,
	REQUEST_ERROR_MAX = 128,
};

/* One object, checked, little-endian. */
struct request_arg {
	const uint8_t *at;
	size_t len;
};

/*
 * Writes the value as one object to out.  NULL, or the kdb+ error text; it
 * must live until the reply is written (a constant, or the error buffer of
 * the context).
 */
typedef const char *(*request_call)(void *context,
				    const struct request_arg *args,
				    unsigned args_cnt,
				    struct wire_writer *out);

struct request_name {
	const char *name;     /* ".u.sub" */
	request_call call;    /* of a variable: called with no arguments */
	int args_cnt;	      /* -1: a variable; else the most arguments */
};

/*
 * Evaluates the checked little-endian body of a request against the names
 * (any order, cnt of them).  An unknown name is an error whose text is the
 * name; too many arguments is 'rank.  Of a dictionary index d[`a`b] each value
 * is that of the variable "d.a"; one that is unknown is ::.  Text that is not
 * in the subset: an undefined name in it if there is one, else 'nyi.
 * error has REQUEST_ERROR_MAX bytes for texts made here.
 * NULL (the value is in out) or the error text. out->is_full is 'limit.
 */
const char *request_evaluate(const struct request_name *names, size_t cnt,
			     void *context, const uint8_t *body, size_t len,
			     struct wire_writer *out, char *error);

/*
 * The argument as a symbol or char vector; NULL if it is neither. Not
 * terminated. A char atom is a string of one.
 */
const char *request_arg_text(const struct request_arg *arg, size_t *out_len);

#endif
