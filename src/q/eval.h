/*
 * The q that clients send, in a bounded subset: a request is the value of a
 * text, of a name, or of a list whose first item is a function
 * (tick-contract.md section 0, rule 1).  This file knows the language; the
 * caller passes a table with the meaning of the names (tick/dispatch.c).
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
 *             $[c;t;f], also of more pairs: only the chosen branch is evaluated
 *   functions the rows of verbs.c; @[f;x;e] and .[f;args;e] are traps
 * Lists and arguments are evaluated from left to right, arguments before the
 * function that is applied to them.  Lists of atoms of one type collapse to a
 * vector, as in q.  Omitted arguments make a projection.  A lambda sees its own
 * parameters and the names; there is no assignment.
 *
 * Invariant: bounded depth, steps and memory; reads only its input; writes only
 * to out and its work area.  On an error nothing has been written to out.
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
	REQUEST_CALLS_MAX = 128,      /* nested; more is 'stack */
	REQUEST_STEPS_MAX = 10000,    /* more is 'limit; see below */
	REQUEST_TIME_US = 10000,      /* more time is 'limit too, however few
					 the steps */
	REQUEST_BRIEF_US = 200,	      /* limit of a request while other clients
					 wait, ... */
	REQUEST_BRIEF_STEPS = 500,    /* ... and about the same in steps */
	REQUEST_LOOK_STEPS = 500,     /* steps between two looks at the clock */
	REQUEST_STEP_BYTES = 1024,    /* bytes copied per step */
	REQUEST_STEP_CHARS = 256,     /* characters of q text read per step */
	REQUEST_STEP_TEXTS = 4,	      /* items per step that are made into
					 texts, or back */
	REQUEST_NAME_STEPS = 3,	      /* cost of looking up a name */
	REQUEST_CALL_STEPS = 4,	      /* cost of calling a function of the table
					 of names */
	REQUEST_WORK_BYTES = 1 << 20, /* work area for the nodes and values of
					 usual requests */
	REQUEST_ERROR_MAX = 128,
};

/*
 * Writes the value as one object to out.  Returns NULL, or the kdb+ error text,
 * which must live until the reply is written (a constant, or the error buffer
 * of the context).
 */
typedef const char *(*request_call)(void *context,
				    const struct request_arg *args,
				    unsigned args_cnt, struct wire_writer *out);

/* Errors that end the whole request: no trap catches them. */
extern const char request_must_wait[];
extern const char request_is_malformed[];

struct request_name {
	const char *name;  /* ".u.sub" */
	request_call call; /* a variable's is called without arguments */
	int args_cnt;	   /* most arguments; -1: a variable */
};

struct request_world {
	const struct request_name *names; /* any order */
	size_t names_cnt;
	/* Writes the value of a name that is not in `names`, or nothing if
	 * there is none.  May be NULL. */
	void (*put_other)(void *context, const char *name, size_t len,
			  struct wire_writer *out);
	void *context;
	/* Enclose an evaluation under a trap; calls are paired and nested.  If
	 * it has failed, and the error is caught, the effects of functions
	 * since are undone.  begin_trap
	 * returns false if too many are nested.  May be NULL. */
	bool (*begin_trap)(void *context);
	void (*end_trap)(void *context, bool has_failed);
	/* The stack, for nodes, temporary values and the result. */
	uint8_t *work;
	size_t work_len;
	char *error;	 /* buffer of REQUEST_ERROR_MAX bytes for error texts */
	unsigned *steps; /* steps left, at most REQUEST_STEPS_MAX; updated */
	struct cpu_limit *time; /* begun by the caller; NULL: no time limit */
};

/*
 * Evaluates the checked little-endian body of a request.  To evaluate an
 * unknown name is an error whose text is the name; too many arguments are
 * 'rank.  The values of d[`a`b], with a namespace d, are those of "d.a" and
 * "d.b", or :: for an unknown name.  The error of a text that is not in the
 * subset is an undefined name in it if there is one, else 'nyi; then no
 * function was called.  Functions cannot be sent ('nyi), except lambdas and
 * values made of them.
 *
 * Steps are counted for nodes read, for expressions and applications evaluated,
 * and for their work in bytes and items, before it is done.  A step takes up to
 * 300 ns.  The clock is read after each call of a function of `names` and after
 * every REQUEST_LOOK_STEPS.
 *
 * Returns NULL (the value is in out) or the error text; query_too_much if out
 * is too small for the value.
 */
const char *request_evaluate(const struct request_world *world,
			     const uint8_t *body, size_t len,
			     struct wire_writer *out);

#endif
