/*
 * A request that is being evaluated: what eval.c (nodes, names, objects)
 * and apply.c (functions) share.  Private to them.
 *
 * Values are bytes that lie in the request, among the literals of a text, or
 * on the work area, which is a stack.  What a function here gives as *out lies
 * below what the stack had when it was called, or is exactly what was put on
 * it since: nothing else is left behind.
 *
 * Functions return NULL or the text of an error, and then the stack may hold
 * anything above what it had.
 */
#ifndef RINGTICK_Q_EVAL_PRIVATE_H
#define RINGTICK_Q_EVAL_PRIVATE_H

#include "q/eval.h"
#include "q/parse.h"
#include "q/value.h"

/* The parameters of the lambda that is evaluated. */
struct frame {
	const struct query_lambda *lambda;
	const struct request_arg *values;
};

struct evaluation {
	const struct request_world *world;
	struct wire_writer work;
	const struct frame *frame; /* NULL outside of lambdas */
	unsigned depth;
	unsigned steps; /* that are left */
	unsigned look_at; /* with so many left the clock is looked at */
};

extern const char evaluate_stack[]; /* the error of too deep calls */

/* ---- the stack ---- */

/* Takes from the steps; false if there are not enough, or the time is over. */
bool evaluation_spend(struct evaluation *e, uint64_t steps);

/* A function of the names was called, of which nobody knows what it costs. */
bool evaluation_called(struct evaluation *e);

/* What len bytes that are copied cost. */
bool evaluation_charge(struct evaluation *e, uint64_t len);

/* The value of what was written from off on. */
const char *evaluation_take(struct evaluation *e, size_t off,
			    struct request_arg *out);

/* Drops all that was put on the stack from off on, but *v, which moves; if
 * there are not enough steps for that, there are none left. */
void evaluation_settle(struct evaluation *e, size_t off, struct request_arg *v);

/* The same, and *v lies at off, wherever it was before. */
const char *evaluation_place(struct evaluation *e, size_t off,
			     struct request_arg *v);

/* ---- eval.c ---- */

/* The value of a name: a function, variable, table or namespace.  Symbols do
 * not name parameters. */
const char *evaluate_name(struct evaluation *e, struct text name,
			  struct request_arg *out);

/* Whether it has one. */
bool evaluate_is_defined(struct evaluation *e, struct text name);

/* space[key], and the symbols of the names in a namespace. */
const char *evaluate_member(struct evaluation *e, struct text space,
			    const struct request_arg *key,
			    struct request_arg *out);
const char *evaluate_members(struct evaluation *e, struct text space,
			     struct request_arg *out);

const char *evaluate_node(struct evaluation *e, const struct node *n,
			  struct request_arg *out);

/* value x: of a text, a name, or a list of a function and arguments. */
const char *evaluate_value(struct evaluation *e, const struct request_arg *x,
			   struct request_arg *out);

/* ---- apply.c ---- */

/* f[args], for whatever f is: a function, or what can be indexed. */
const char *evaluate_apply(struct evaluation *e, const struct request_arg *f,
			   const struct request_arg *args, unsigned args_cnt,
			   struct request_arg *out);

/* The items of a list as arguments; what has to be made goes to the stack. */
const char *evaluate_spread(struct evaluation *e,
			    const struct request_arg *list,
			    struct request_arg *out_args, unsigned *out_cnt);

#endif
