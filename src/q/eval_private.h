/*
 * A request that is being evaluated: shared by eval.c (nodes, names, objects)
 * and apply.c (functions), which call each other.
 *
 * A value is bytes in the request, in the literals of a text, or in the work
 * area, which is a stack.  The *out of a function is either below the top that
 * the stack had at the call, or is the only thing pushed since.
 *
 * Functions return NULL or the text of an error; after an error the stack may
 * hold anything above its earlier top.
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
	unsigned steps;	  /* steps left */
	unsigned look_at; /* the clock is read when this many steps are left */
};

extern const char evaluate_stack[]; /* the error for calls nested too deeply */

/* ---- the stack ---- */

/* Charges steps; false if there are not enough, or the time is over. */
bool evaluation_spend(struct evaluation *e, uint64_t steps);

/* Charges the call of a function of the table of names, and reads the clock,
 * since its cost is unknown.  false as above. */
bool evaluation_called(struct evaluation *e);

/* Sets *out to the value that was written to the stack from off on. */
const char *evaluation_take(struct evaluation *e, size_t off,
			    struct request_arg *out);

/* Drops everything on the stack from off on except *v, which moves.  If there
 * are not enough steps for the move, none are left. */
void evaluation_settle(struct evaluation *e, size_t off, struct request_arg *v);

/* The same, and copies *v to off if it was below. */
const char *evaluation_place(struct evaluation *e, size_t off,
			     struct request_arg *v);

/* ---- a node, or a call ---- */

/* It takes a step, and is refused where it is nested too deeply. */
static inline const char *
evaluation_enter(struct evaluation *e)
{
	if (e->depth == REQUEST_CALLS_MAX)
		return evaluate_stack;
	if (!evaluation_spend(e, 1))
		return query_limit;
	e->depth++;
	return NULL;
}

/* What it ended with; on the stack it leaves its value only. */
static inline const char *
evaluation_leave(struct evaluation *e, const char *error, size_t off,
		 struct request_arg *out)
{
	e->depth--;
	if (error == NULL)
		evaluation_settle(e, off, out);
	return error;
}

/* ---- eval.c ---- */

/* Finds the value of a name: a function, variable, table or namespace.  Symbols
 * do not name parameters. */
const char *evaluate_name(struct evaluation *e, struct text name,
			  struct request_arg *out);

/* Whether the name has a value. */
bool evaluate_is_defined(struct evaluation *e, struct text name);

/* space[key], where key is a symbol or a vector of them; and the names in a
 * namespace, as a symbol vector. */
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

/* f[args]: f is a function, or a value that is indexed. */
const char *evaluate_apply(struct evaluation *e, const struct request_arg *f,
			   const struct request_arg *args, unsigned args_cnt,
			   struct request_arg *out);

#endif
