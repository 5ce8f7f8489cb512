/*
 * The q that clients send, in a bounded subset: a request is the value of a
 * text, of a name, or of a list whose first item is a function
 * (tick-contract.md section 0, rule 1).  This file knows the language; what the
 * names mean is a table that the caller passes (tick/dispatch.c).
 *
 * Understood:
 *   objects   ()/"" -> ::      `.u.i -> value of the name
 *             (f;a;b), `f`a`b (a symbol vector): f is a symbol or text, whose
 *             value is applied, or a lambda
 *             "text": evaluated;  "\p": system"p"
 *   text      statements := expr ; expr ; ...      the value of the last
 *             expr := term | term expr | term infix expr
 *             term := primary { adverb | [ expr ; ... ] }
 *             primary := literal | name | ( expr ; ... ) | operator
 *             literal := ` `sym `sym`sym "text" 1 1h 1i 1j 1.5 1e 1f 0101b
 *                        2026.11.22 0N 0n 0Nd 1 2 3 :: {x} {[a;b] statements}
 *             adverb := ' \: /:
 *             $[c;t;f], also of more pairs: only what is chosen is evaluated
 *   functions the rows of verbs.c; @[f;x;e] and .[f;args;e] are traps
 * Lists and arguments are evaluated from left to right, arguments before what
 * they are applied to.  Lists of atoms of one type collapse to a vector, as in
 * q.  Arguments that are left out make a projection.  A lambda sees its own
 * parameters and the names; nothing can be assigned to.
 *
 * Invariant: bounded depth, steps and memory; reads only its input; writes only
 * to out and its work area.  On an error everything written to out is taken
 * back.
 */
#ifndef RINGTICK_Q_EVAL_H
#define RINGTICK_Q_EVAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "q/value.h"
#include "wire/wire.h"

enum {
	REQUEST_CALLS_MAX = 128,      /* one within the other; more is 'stack */
	REQUEST_STEPS_MAX = 10000,    /* more is 'limit; see below */
	REQUEST_TIME_US = 10000,      /* so is more time, however few steps */
	REQUEST_BRIEF_US = 200,	      /* of one that others wait for, ... */
	REQUEST_BRIEF_STEPS = 500,    /* ... and about the same */
	REQUEST_LOOK_STEPS = 500,     /* between two looks at the clock */
	REQUEST_STEP_BYTES = 1024,    /* copied: so many are a step, ... */
	REQUEST_STEP_CHARS = 256,     /* ... of q text that is read, ... */
	REQUEST_STEP_TEXTS = 4,       /* ... items made to texts, or back */
	REQUEST_NAME_STEPS = 3,	      /* of a name that is looked for */
	REQUEST_CALL_STEPS = 4,	      /* of a call of a row's function */
	REQUEST_WORK_BYTES = 1 << 20, /* a work area needs no more for nodes
					 and values of usual requests */
	REQUEST_ERROR_MAX = 128,
};

/*
 * Writes the value as one object to out.  NULL, or the kdb+ error text; it
 * must live until the reply is written (a constant, or the error buffer of
 * the context).
 */
typedef const char *(*request_call)(void *context,
				    const struct request_arg *args,
				    unsigned args_cnt, struct wire_writer *out);

/* Errors by which a function ends the whole request: no trap catches them. */
extern const char request_must_wait[];
extern const char request_is_malformed[];

struct request_name {
	const char *name;  /* ".u.sub" */
	request_call call; /* of a variable: called with no arguments */
	int args_cnt;	   /* -1: a variable; else the most arguments */
};

struct request_world {
	const struct request_name *names; /* any order */
	size_t names_cnt;
	/* Writes the value of a name that has no row; nothing if there is
	 * none. May be NULL. */
	void (*put_other)(void *context, const char *name, size_t len,
			  struct wire_writer *out);
	void *context;
	/* Around what a trap may catch, in pairs, one in the other: when it has
	 * failed, what functions have changed since is taken back.  false: too
	 * many of them. May be NULL. */
	bool (*begin_trap)(void *context);
	void (*end_trap)(void *context, bool has_failed);
	/* Nodes, temporary values and the result: a stack. */
	uint8_t *work;
	size_t work_len;
	char *error; /* REQUEST_ERROR_MAX bytes for texts made here */
	unsigned *steps; /* that are left, at most REQUEST_STEPS_MAX */
	struct cpu_limit *time; /* that has begun; NULL: time does not count */
};

/*
 * Evaluates the checked little-endian body of a request.  An unknown name is,
 * when it is evaluated, an error whose text is the name; too many arguments is
 * 'rank.  Of a namespace d[`a`b] each value is that of "d.a"; one that is
 * unknown is ::.  Text that is not in the subset: an undefined name in it if
 * there is one, else 'nyi; then nothing was called.  A function is no value
 * that could be sent: 'nyi, but for lambdas and what consists of them.
 *
 * Steps are nodes that are read, expressions and applications that are
 * evaluated, and what they do by its bytes and items; it is charged for before
 * it is done.  A step takes up to 300 ns.  The clock is looked at after each
 * call of a row and every REQUEST_LOOK_STEPS.
 *
 * NULL (the value is in out) or the error text; query_too_much if it is only
 * out that is too small.
 */
const char *request_evaluate(const struct request_world *world,
			     const uint8_t *body, size_t len,
			     struct wire_writer *out);

#endif
