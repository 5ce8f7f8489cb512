#include "config.h"

#include <string.h>

#include "base/util.h"
#include "q/eval_private.h"

/* ---- the stack ---- */

static bool
look_at_clock(struct evaluation *e)
{
	const struct request_world *world = e->world;

	e->look_at = e->steps - (unsigned)min_u64(e->steps, REQUEST_LOOK_STEPS);
	if (world->time == NULL || !cpu_limit_is_over(world->time))
		return true;
	e->steps = 0;
	return false;
}

bool
evaluation_spend(struct evaluation *e, uint64_t steps)
{
	if (steps > e->steps) {
		e->steps = 0;
		return false;
	}
	e->steps -= (unsigned)steps;
	return e->steps > e->look_at || look_at_clock(e);
}

bool
evaluation_called(struct evaluation *e)
{
	e->look_at = e->steps;
	return evaluation_spend(e, REQUEST_CALL_STEPS);
}

/* Charges the copying of len bytes. */
static bool
charge_bytes(struct evaluation *e, uint64_t len)
{
	return evaluation_spend(e, len / REQUEST_STEP_BYTES);
}

/* Charges a walk over all objects in v. */
static bool
charge_walk(struct evaluation *e, const struct request_arg *v)
{
	return value_walk(v->at, &e->steps) > 0;
}

/* Charges a look at each item of v. */
static bool
charge_items(struct evaluation *e, const struct request_arg *v)
{
	if (!value_is_list(v) || value_type(v) == KT_LIST)
		return charge_walk(e, v) && charge_bytes(e, v->len);
	return charge_bytes(e, v->len) &&
	       evaluation_spend(e, value_count(v) / REQUEST_STEP_ITEMS);
}

const char *
evaluation_take(struct evaluation *e, size_t off, struct request_arg *out)
{
	if (e->work.is_full)
		return query_limit;
	out->at = e->work.base + off;
	out->len = wire_written(&e->work) - off;
	CHECK(out->len > 0);
	return charge_bytes(e, out->len) ? NULL : query_limit;
}

void
evaluation_settle(struct evaluation *e, size_t off, struct request_arg *v)
{
	uint8_t *base = e->work.base + off;
	bool is_above = v->at >= base && v->at < e->work.at;

	e->work.at = base;
	if (!is_above)
		return;
	if (v->at != base) {
		memmove(base, v->at, v->len);
		(void)charge_bytes(e, v->len);
	}
	v->at = base;
	e->work.at = base + v->len;
}

const char *
evaluation_place(struct evaluation *e, size_t off, struct request_arg *v)
{
	evaluation_settle(e, off, v);
	if (wire_written(&e->work) > off)
		return charge_bytes(e, v->len) ? NULL : query_limit;
	wire_put_bytes(&e->work, v->at, v->len);
	return evaluation_take(e, off, v);
}

/* ---- arguments ---- */

static const uint8_t null_bytes[] = { KT_UNARY, 0 };
static const struct request_arg null_arg = { null_bytes, sizeof(null_bytes) };

static bool
has_elided(const struct request_arg *args, unsigned args_cnt)
{
	for (unsigned i = 0; i < args_cnt; i++)
		if (value_is_elided(&args[i]))
			return true;
	return false;
}

/* Returns an item as an object; atoms of vectors are made on the stack. */
static struct request_arg
item_value(struct evaluation *e, const struct item *item)
{
	size_t off = wire_written(&e->work);

	if (item->type == KT_LIST)
		return (struct request_arg){ item->at, item->len };
	value_put_item(&e->work, item);
	return (struct request_arg){ e->work.base + off,
				     wire_written(&e->work) - off };
}

/* Sets out_args, which has REQUEST_ARGS_MAX elements, to the items of a list.
 * Items that have no object in the list are made on the stack. */
static const char *
spread_list(struct evaluation *e, const struct request_arg *list,
	    struct request_arg *out_args, unsigned *out_cnt)
{
	struct items items = items_of(list);

	if (items.type < 0)
		return "type";
	if (items.cnt > REQUEST_ARGS_MAX)
		return "rank";
	if (!charge_items(e, list))
		return query_limit;
	for (*out_cnt = 0; items.cnt > 0; ++*out_cnt) {
		struct item item = items_next(&items);

		out_args[*out_cnt] = item_value(e, &item);
	}
	return e->work.is_full ? query_limit : NULL;
}

/* Makes a projection, f with some of its arguments, in its form on the wire. */
static const char *
project(struct evaluation *e, const struct request_arg *f,
	const struct request_arg *args, unsigned args_cnt,
	struct request_arg *out)
{
	size_t off = wire_written(&e->work);

	wire_put_u8(&e->work, KT_PROJECTION);
	wire_put_u32(&e->work, 1 + args_cnt);
	wire_put_bytes(&e->work, f->at, f->len);
	for (unsigned i = 0; i < args_cnt; i++)
		wire_put_bytes(&e->work, args[i].at, args[i].len);
	return evaluation_take(e, off, out);
}

/* Applies the inner function to the arguments held, with the new ones in the
 * gaps and after them. */
static const char *
apply_projection(struct evaluation *e, const struct request_arg *f,
		 const struct request_arg *args, unsigned args_cnt,
		 struct request_arg *out)
{
	struct request_arg all[REQUEST_ARGS_MAX], inner;
	uint32_t held_cnt = wire_load_u32(f->at + 1);
	const uint8_t *at = f->at + 5;
	unsigned cnt = 0, used = 0;

	if (!charge_walk(e, f))
		return query_limit;
	if (held_cnt == 0 || held_cnt - 1 > REQUEST_ARGS_MAX)
		return "rank";
	inner = (struct request_arg){ at, value_bytes(at) };
	for (at += inner.len; cnt < held_cnt - 1; cnt++) {
		all[cnt] = (struct request_arg){ at, value_bytes(at) };
		at += all[cnt].len;
		if (value_is_elided(&all[cnt]) && used < args_cnt)
			all[cnt] = args[used++];
	}
	if (cnt + args_cnt - used > REQUEST_ARGS_MAX)
		return "rank";
	while (used < args_cnt)
		all[cnt++] = args[used++];
	return evaluate_apply(e, &inner, all, cnt, out);
}

/* ---- functions of the table of names, and lambdas ---- */

/* Checks an argument that was made on the stack, and not by the check of the
 * request. */
static const char *
check_made(struct evaluation *e, const struct request_arg *arg)
{
	struct wire_reader r = wire_reader(arg->at, arg->len, false);

	if (arg->at < e->work.base || arg->at >= e->work.at)
		return NULL;
	if (!charge_items(e, arg))
		return query_limit;
	wire_skip(&r);
	return r.bad == NULL && r.at == r.end ? NULL : "type";
}

static const char *
apply_name(struct evaluation *e, const struct request_arg *f,
	   const struct request_arg *args, unsigned args_cnt,
	   struct request_arg *out)
{
	const struct request_name *name = &e->world->names[value_own_idx(f)];
	size_t off = wire_written(&e->work);
	const char *error = NULL;

	if (args_cnt > (unsigned)name->args_cnt &&
	    !(args_cnt == 1 && value_is_null(&args[0])))
		return "rank";
	/* f[::] calls a function of no arguments. */
	if (args_cnt > (unsigned)name->args_cnt)
		args_cnt = 0;
	if (has_elided(args, args_cnt))
		return project(e, f, args, args_cnt, out);
	for (unsigned i = 0; i < args_cnt && error == NULL; i++)
		error = check_made(e, &args[i]);
	if (error != NULL)
		return error;
	error = name->call(e->world->context, args, args_cnt, &e->work);
	if (!evaluation_called(e) && error == NULL)
		return query_limit;
	return error != NULL ? error : evaluation_take(e, off, out);
}

/* The text is parsed at each call: so a lambda needs no memory besides its
 * bytes. */
static const char *
apply_lambda(struct evaluation *e, const struct request_arg *f,
	     const struct request_arg *args, unsigned args_cnt,
	     struct request_arg *out)
{
	struct query q = { .stack = &e->work, .steps = &e->steps };
	const struct frame *outer = e->frame;
	struct query_lambda lambda;
	struct frame frame = { &lambda, args };
	const uint8_t *text = f->at + 1 + strlen((const char *)f->at + 1) + 1;
	uint32_t text_len = wire_load_u32(text + 2);
	const char *error;

	if (!evaluation_spend(e, text_len / REQUEST_STEP_CHARS))
		return query_limit;
	if (!query_parse_lambda(
		    &q, (struct text){ (const char *)text + 6, text_len },
		    &lambda))
		return q.error;
	if (args_cnt > lambda.params_cnt &&
	    !(lambda.params_cnt == 0 && args_cnt == 1))
		return "rank";
	if (args_cnt == 0) {
		frame.values = &null_arg;
		args_cnt = 1;
	} else if (args_cnt < lambda.params_cnt || has_elided(args, args_cnt)) {
		return project(e, f, args, args_cnt, out);
	}
	if (args_cnt < lambda.params_cnt)
		return project(e, f, &null_arg, 1, out);
	e->frame = &frame;
	error = evaluate_node(e, lambda.body, out);
	e->frame = outer;
	return error;
}

/* ---- adverbs ---- */

/* The arguments whose items are taken one after the other. */
struct each {
	const struct request_arg *f;
	struct request_arg args[REQUEST_ARGS_MAX], keys;
	struct items items[REQUEST_ARGS_MAX];
	bool is_listed[REQUEST_ARGS_MAX];
	unsigned args_cnt;
	bool is_any, is_dict;
	uint64_t cnt;
};

static const char *
each_add(struct each *each, unsigned i)
{
	struct request_arg *arg = &each->args[i];
	int type = value_type(arg);
	uint64_t cnt = value_count(arg);

	if (type == KT_TABLE)
		return "nyi"; /* rows are dictionaries */
	if (type == KT_DICT || type == KT_SORTED_DICT) {
		if (each->is_dict)
			return "nyi";
		value_split_dict(arg, &each->keys, arg);
		if (!value_is_list(arg))
			return "nyi"; /* keyed tables */
		each->is_dict = true;
	}
	if (!value_is_list(arg))
		return NULL;
	if (each->is_any && each->cnt != cnt)
		return "length";
	each->items[i] = items_of(arg);
	each->is_listed[i] = each->is_any = true;
	each->cnt = cnt;
	return NULL;
}

static const char *
each_run(struct evaluation *e, struct each *each, struct request_arg *out)
{
	size_t off = wire_written(&e->work), list_off;
	const char *error;

	if (each->is_dict) {
		wire_put_u8(&e->work, KT_DICT);
		wire_put_bytes(&e->work, each->keys.at, each->keys.len);
	}
	list_off = wire_written(&e->work);
	wire_put_list(&e->work, KT_LIST, KA_NONE, (uint32_t)each->cnt);
	for (; each->cnt > 0; each->cnt--) {
		size_t base = wire_written(&e->work);
		struct request_arg v;

		for (unsigned i = 0; i < each->args_cnt; i++) {
			struct item item;

			if (!each->is_listed[i])
				continue;
			item = items_next(&each->items[i]);
			each->args[i] = item_value(e, &item);
		}
		if (e->work.is_full)
			return query_limit;
		error = evaluate_apply(e, each->f, each->args, each->args_cnt,
				       &v);
		if (error == NULL)
			error = evaluation_place(e, base, &v);
		if (error != NULL)
			return error;
	}
	value_collapse(&e->work, list_off);
	return evaluation_take(e, off, out);
}

/* f'[x;y], f\:[x;y], f/:[x;y] */
static const char *
apply_each(struct evaluation *e, int adverb, const struct request_arg *f,
	   const struct request_arg *args, unsigned args_cnt,
	   struct request_arg *out)
{
	struct each each = { .f = f, .args_cnt = args_cnt };
	unsigned from = adverb == KT_EACH_RIGHT, to = args_cnt;
	const char *error = NULL;

	if (adverb != KT_EACH && args_cnt != 2)
		return "rank";
	if (adverb == KT_EACH_LEFT)
		to = 1;
	memcpy(each.args, args, args_cnt * sizeof(args[0]));
	for (unsigned i = from; i < to && error == NULL; i++)
		error = charge_items(e, &args[i]) ? each_add(&each, i)
						  : query_limit;
	if (error != NULL)
		return error;
	if (!each.is_any)
		return evaluate_apply(e, f, args, args_cnt, out);
	return each_run(e, &each, out);
}

static const char *
apply_derived(struct evaluation *e, const struct request_arg *f,
	      const struct request_arg *args, unsigned args_cnt,
	      struct request_arg *out)
{
	const struct request_arg inner = { f->at + 1, f->len - 1 };

	if (has_elided(args, args_cnt))
		return project(e, f, args, args_cnt, out);
	return apply_each(e, value_type(f), &inner, args, args_cnt, out);
}

/* ---- the special functions ---- */

static bool
is_fatal(const char *error)
{
	return error == query_too_much || error == query_limit ||
	       error == evaluate_stack || error == request_must_wait ||
	       error == request_is_malformed;
}

/* Applies f between begin_trap and end_trap.  A fatal error ends the whole
 * request: what it waits for is not taken back. */
static const char *
apply_trapped(struct evaluation *e, const struct request_arg *f,
	      const struct request_arg *args, unsigned args_cnt,
	      struct request_arg *out)
{
	const struct request_world *world = e->world;
	const char *error;

	if (world->begin_trap != NULL && !world->begin_trap(world->context))
		return evaluate_stack;
	error = evaluate_apply(e, f, args, args_cnt, out);
	if (world->begin_trap != NULL)
		world->end_trap(world->context,
				error != NULL && !is_fatal(error));
	return error;
}

/* f[args], or the replacement if that is an error. */
static const char *
trap(struct evaluation *e, const struct request_arg *f,
     const struct request_arg *args, unsigned args_cnt,
     const struct request_arg *other, struct request_arg *out)
{
	size_t off = wire_written(&e->work);
	struct request_arg text;
	const char *error;

	error = apply_trapped(e, f, args, args_cnt, out);
	if (error == NULL || is_fatal(error))
		return error;
	if (e->work.is_full)
		return query_limit;
	e->work.at = e->work.base + off;
	*out = *other;
	if (!value_is_function(other))
		return NULL;
	wire_put_string(&e->work, error);
	error = evaluation_take(e, off, &text);
	return error != NULL ? error : evaluate_apply(e, other, &text, 1, out);
}

/* @[f;x], @[f;x;e], .[f;args], .[f;args;e] */
static const char *
apply_at(struct evaluation *e, bool is_dot, const struct request_arg *args,
	 unsigned args_cnt, struct request_arg *out)
{
	struct request_arg spread[REQUEST_ARGS_MAX];
	const struct request_arg *inner = &args[1];
	unsigned inner_cnt = 1;
	const char *error;

	/* Amending is not supported. */
	if (args_cnt == 3 && !value_is_function(&args[0]))
		return query_not_understood;
	if (is_dot) {
		error = spread_list(e, &args[1], spread, &inner_cnt);
		if (error != NULL)
			return error;
		inner = spread;
	}
	if (args_cnt == 2)
		return evaluate_apply(e, &args[0], inner, inner_cnt, out);
	return trap(e, &args[0], inner, inner_cnt, &args[2], out);
}

/* key x, where x is a dictionary, a namespace, or the name of one. */
static const char *
apply_key(struct evaluation *e, const struct request_arg *arg,
	  struct request_arg *out)
{
	size_t off = wire_written(&e->work);
	struct request_arg v = *arg, values;
	const char *error;

	if (value_type(arg) == -KT_SYMBOL) {
		if (!evaluate_is_defined(e, value_symbol(arg))) {
			wire_put_list(&e->work, KT_LIST, KA_NONE, 0);
			return evaluation_take(e, off, out);
		}
		error = evaluate_name(e, value_symbol(arg), &v);
		if (error != NULL)
			return error;
	}
	if (value_is_own(&v, OWN_SPACE))
		return evaluate_members(
			e, (struct text){ (const char *)v.at + 2, v.len - 3 },
			out);
	if (value_type(&v) == KT_DICT || value_type(&v) == KT_SORTED_DICT) {
		value_split_dict(&v, out, &values);
		return NULL;
	}
	*out = *arg; /* the symbol, since its name has a value */
	return value_type(arg) == -KT_SYMBOL ? NULL : "type";
}

static const char *
apply_special(struct evaluation *e, const struct verb *verb,
	      const struct request_arg *args, unsigned args_cnt,
	      struct request_arg *out)
{
	switch (verb->special) {
	case VERB_KEY:
		return apply_key(e, &args[0], out);
	case VERB_VALUE:
		return evaluate_value(e, &args[0], out);
	case VERB_EACH:
		return apply_each(e, KT_EACH, &args[0], &args[1], 1, out);
	case VERB_AT:
	case VERB_DOT:
		return apply_at(e, verb->special == VERB_DOT, args, args_cnt,
				out);
	case VERB_PLAIN:
	case VERB_OF_NAME:
		break;
	}
	return query_not_understood;
}

/* Whether the parts of v can only be found by a walk over the parts before. */
static bool
is_walked(const struct request_arg *v)
{
	int type = value_type(v);

	return type == KT_TABLE || type == KT_DICT || type == KT_SORTED_DICT;
}

static bool
is_vector(const struct request_arg *v)
{
	return value_is_list(v) && value_type(v) != KT_LIST;
}

static uint64_t
items_cnt(const struct request_arg *v)
{
	return value_is_list(v) ? value_count(v) : 1;
}

/* Charges `times` looks at all items of v. */
static bool
charge_times(struct evaluation *e, const struct request_arg *v, uint64_t times)
{
	unsigned before = e->steps;

	return times == 0 || (charge_items(e, v) &&
			      evaluation_spend(e, (times - 1) *
							  (before - e->steps)));
}

/* x in y: each item of x is searched in y.  Many items count even if y has
 * few. */
static bool
charge_product(struct evaluation *e, const struct request_arg *args)
{
	uint64_t times = value_is_list(&args[0]) ? value_count(&args[0]) : 1;

	return charge_items(e, &args[0]) && charge_times(e, &args[1], times) &&
	       evaluation_spend(e, times / REQUEST_STEP_ITEMS);
}

static bool
charge_arg(struct evaluation *e, const struct verb *verb,
	   const struct request_arg *arg)
{
	switch (verb->cost) {
	case COST_RESULT:
		return !is_walked(arg) || charge_items(e, arg);
	case COST_TEXTS:
		return charge_items(e, arg) &&
		       evaluation_spend(e, items_cnt(arg) / REQUEST_STEP_TEXTS);
	case COST_JOIN:
	case COST_ARGS:
	case COST_PRODUCT:
		break;
	}
	return charge_items(e, arg);
}

/* Charges a verb's work before it is done.  Results are charged for when they
 * are taken. */
static bool
charge_verb(struct evaluation *e, const struct verb *verb,
	    const struct request_arg *args)
{
	if (verb->cost == COST_PRODUCT)
		return charge_product(e, args);
	/* Vectors of one type are copied, without a look at their items. */
	if (verb->cost == COST_JOIN && is_vector(&args[0]) &&
	    value_type(&args[0]) == value_type(&args[1]))
		return true;
	for (unsigned i = 0; i < verb->args_cnt; i++)
		if (!charge_arg(e, verb, &args[i]))
			return false;
	return true;
}

static const char *
apply_verb(struct evaluation *e, const struct request_arg *f,
	   const struct request_arg *args, unsigned args_cnt,
	   struct request_arg *out)
{
	const struct verb *verb = verb_at(value_own_idx(f));
	bool is_trap = verb->special == VERB_AT || verb->special == VERB_DOT;
	size_t off = wire_written(&e->work);
	struct request_arg named;
	const char *error;

	if (args_cnt == 0)
		return evaluate_apply(e, f, &null_arg, 1, out);
	if (args_cnt > verb->args_cnt + is_trap)
		return "rank";
	if (args_cnt < verb->args_cnt || has_elided(args, args_cnt))
		return project(e, f, args, args_cnt, out);
	if (!charge_verb(e, verb, args))
		return query_limit;
	if (verb->call == NULL)
		return apply_special(e, verb, args, args_cnt, out);
	if (verb->special == VERB_OF_NAME &&
	    value_type(&args[0]) == -KT_SYMBOL) {
		error = evaluate_name(e, value_symbol(&args[0]), &named);
		if (error != NULL)
			return error;
		args = &named;
		off = wire_written(&e->work);
	}
	error = verb->call(args, &e->work);
	return error != NULL ? error : evaluation_take(e, off, out);
}

/* ---- any value ---- */

/* v[i;j;...]: the other arguments are applied to v[i]. */
static const char *
apply_data(struct evaluation *e, const struct request_arg *f,
	   const struct request_arg *args, unsigned args_cnt,
	   struct request_arg *out)
{
	size_t off = wire_written(&e->work);
	bool is_space = value_is_own(f, OWN_SPACE);
	uint64_t keys_cnt;
	struct request_arg found = *f;
	const char *error = NULL;

	if (args_cnt == 0 || (args_cnt == 1 && value_is_null(&args[0]))) {
		*out = *f;
		return NULL;
	}
	if (has_elided(args, args_cnt))
		return query_not_understood;
	keys_cnt = items_cnt(&args[0]);
	if (is_space) {
		error = evaluate_member(
			e, (struct text){ (const char *)f->at + 2, f->len - 3 },
			&args[0], &found);
	} else if (!charge_items(e, &args[0]) ||
		   (wire_item_bytes(value_type(f)) == 0 &&
		    !charge_times(e, f, keys_cnt))) {
		return query_limit;
	} else {
		error = value_index(f, &args[0], &e->work);
		if (error == NULL)
			error = evaluation_take(e, off, &found);
	}
	*out = found;
	if (error != NULL || args_cnt == 1)
		return error;
	return evaluate_apply(e, &found, args + 1, args_cnt - 1, out);
}

static const char *
apply_any(struct evaluation *e, const struct request_arg *f,
	  const struct request_arg *args, unsigned args_cnt,
	  struct request_arg *out)
{
	struct request_arg named;
	const char *error;

	switch (value_type(f)) {
	case KT_LAMBDA:
		return apply_lambda(e, f, args, args_cnt, out);
	case KT_PROJECTION:
		return apply_projection(e, f, args, args_cnt, out);
	case KT_EACH:
	case KT_EACH_LEFT:
	case KT_EACH_RIGHT:
		return apply_derived(e, f, args, args_cnt, out);
	case -KT_SYMBOL:
		error = evaluate_name(e, value_symbol(f), &named);
		if (error != NULL)
			return error;
		/* The value of a name is not followed again if it is a
		 * symbol. */
		return value_type(&named) == -KT_SYMBOL
			       ? apply_data(e, &named, args, args_cnt, out)
			       : evaluate_apply(e, &named, args, args_cnt, out);
	default:
		break;
	}
	if (value_is_own(f, OWN_NAME))
		return apply_name(e, f, args, args_cnt, out);
	if (value_is_own(f, OWN_VERB))
		return apply_verb(e, f, args, args_cnt, out);
	if (value_is_null(f) && args_cnt == 1) {
		*out = args[0];
		return NULL;
	}
	if (value_is_function(f))
		return query_not_understood;
	return apply_data(e, f, args, args_cnt, out);
}

const char *
evaluate_apply(struct evaluation *e, const struct request_arg *f,
	       const struct request_arg *args, unsigned args_cnt,
	       struct request_arg *out)
{
	size_t off = wire_written(&e->work);
	const char *error = evaluation_enter(e);

	if (error != NULL)
		return error;
	error = apply_any(e, f, args, args_cnt, out);
	return evaluation_leave(e, error, off, out);
}
