#include "config.h"

#include "q/eval.h"

#include <string.h>

#include "base/util.h"
#include "q/eval_private.h"
#include "q/pykx_probe.h"

const char request_must_wait[] = "wait";
const char request_is_malformed[] = "badmsg";
const char evaluate_stack[] = "stack";

/* ---- names ---- */

static const struct request_name *
find_row(const struct request_world *world, struct text name)
{
	for (size_t i = 0; i < world->names_cnt; i++)
		if (strncmp(world->names[i].name, name.at, name.len) == 0 &&
		    world->names[i].name[name.len] == '\0')
			return &world->names[i];
	return NULL;
}

/* The part after "space." of a row's name; NULL if the row is not in the
 * namespace. */
static const char *
member_of(const struct request_name *row, struct text space)
{
	if (space.len == 0 || strncmp(row->name, space.at, space.len) != 0 ||
	    row->name[space.len] != '.' || row->name[space.len + 1] == '\0')
		return NULL;
	return row->name + space.len + 1;
}

static bool
is_space_name(const struct request_world *world, struct text name)
{
	for (size_t i = 0; i < world->names_cnt; i++)
		if (member_of(&world->names[i], name) != NULL)
			return true;
	return false;
}

/* The error of an undefined name is the name itself. */
static const char *
name_error(struct evaluation *e, struct text name)
{
	char *error = e->world->error;
	size_t len = min_u64(name.len, REQUEST_ERROR_MAX - 1);

	if (len == 0)
		return query_not_understood;
	memcpy(error, name.at, len);
	error[len] = '\0';
	return error;
}

static const char *
row_value(struct evaluation *e, const struct request_name *row,
	  struct request_arg *out)
{
	size_t off = wire_written(&e->work);
	const char *error = NULL;

	if (row->args_cnt >= 0)
		value_put_own(&e->work, OWN_NAME,
			      (unsigned)(row - e->world->names));
	else
		error = row->call(e->world->context, NULL, 0, &e->work);
	if (row->args_cnt < 0 && !evaluation_called(e) && error == NULL)
		error = query_limit;
	return error != NULL ? error : evaluation_take(e, off, out);
}

/* Finds a parameter of the lambda that is being evaluated. */
static bool
find_param(const struct frame *frame, struct text name, struct request_arg *out)
{
	for (unsigned i = 0; frame != NULL && i < frame->lambda->params_cnt;
	     i++) {
		const struct text *param = &frame->lambda->params[i];

		if (param->len == name.len &&
		    memcmp(param->at, name.at, name.len) == 0) {
			*out = frame->values[i];
			return true;
		}
	}
	return false;
}

/* Writes the value of a name that has no row; false if it is undefined. */
static bool
put_other(struct evaluation *e, struct text name)
{
	const struct request_world *world = e->world;
	uint8_t *top = e->work.at;
	const struct verb *verb = verb_find(name);

	if (verb != NULL)
		value_put_own(&e->work, OWN_VERB, verb_idx(verb));
	else if (is_space_name(world, name))
		value_put_space(&e->work, name);
	else if (world->put_other != NULL)
		world->put_other(world->context, name.at, name.len, &e->work);
	return e->work.is_full || e->work.at > top;
}

const char *
evaluate_name(struct evaluation *e, struct text name, struct request_arg *out)
{
	const struct request_name *row = find_row(e->world, name);
	size_t off = wire_written(&e->work);

	if (row != NULL)
		return row_value(e, row, out);
	if (!evaluation_spend(e, REQUEST_NAME_STEPS))
		return query_limit;
	if (!put_other(e, name))
		return name_error(e, name);
	return evaluation_take(e, off, out);
}

bool
evaluate_is_defined(struct evaluation *e, struct text name)
{
	uint8_t *top = e->work.at;
	bool is_defined =
		find_row(e->world, name) != NULL || put_other(e, name);

	e->work.at = top;
	return is_defined;
}

/* Pushes the value of "space.key", or :: if there is none. */
static const char *
place_member(struct evaluation *e, struct text space, struct text key)
{
	const struct request_world *world = e->world;
	size_t off = wire_written(&e->work);
	struct request_arg v;
	const char *error;

	for (size_t i = 0; i < world->names_cnt; i++) {
		const char *member = member_of(&world->names[i], space);

		if (member == NULL || strlen(member) != key.len ||
		    memcmp(member, key.at, key.len) != 0)
			continue;
		error = row_value(e, &world->names[i], &v);
		return error != NULL ? error : evaluation_place(e, off, &v);
	}
	wire_put_null(&e->work);
	return NULL;
}

const char *
evaluate_member(struct evaluation *e, struct text space,
		const struct request_arg *key, struct request_arg *out)
{
	size_t off = wire_written(&e->work);
	struct items items = items_of(key);
	const char *error;

	if (value_type(key) == -KT_SYMBOL) {
		error = place_member(e, space, value_symbol(key));
		return error != NULL ? error : evaluation_take(e, off, out);
	}
	if (items.type != KT_SYMBOL)
		return "type";
	wire_put_list(&e->work, KT_LIST, KA_NONE, (uint32_t)items.cnt);
	while (items.cnt > 0) {
		struct item item = items_next(&items);

		if (!evaluation_spend(e, REQUEST_NAME_STEPS))
			return query_limit;
		error = place_member(
			e, space,
			(struct text){ (const char *)item.at, item.len - 1 });
		if (error != NULL)
			return error;
	}
	value_collapse(&e->work, off);
	return evaluation_take(e, off, out);
}

/* The empty symbol comes first, as in q. */
const char *
evaluate_members(struct evaluation *e, struct text space,
		 struct request_arg *out)
{
	size_t off = wire_written(&e->work);
	uint32_t cnt = 1;

	wire_put_list(&e->work, KT_SYMBOL, KA_NONE, 0);
	wire_put_symbol_item(&e->work, "", 0);
	for (size_t i = 0; i < e->world->names_cnt; i++) {
		const char *member = member_of(&e->world->names[i], space);

		if (member == NULL)
			continue;
		wire_put_symbol_item(&e->work, member, strlen(member));
		cnt++;
	}
	if (!e->work.is_full)
		wire_store_u32(e->work.base + off + 2, cnt);
	return evaluation_take(e, off, out);
}

/* ---- nodes ---- */

static const char *
evaluate_list(struct evaluation *e, const struct node *n,
	      struct request_arg *out)
{
	const struct node *item = n->children;
	size_t off = wire_written(&e->work);

	wire_put_list(&e->work, KT_LIST, KA_NONE, n->children_cnt);
	for (; item != NULL; item = item->next) {
		size_t base = wire_written(&e->work);
		struct request_arg v;
		const char *error = evaluate_node(e, item, &v);

		if (error == NULL)
			error = evaluation_place(e, base, &v);
		if (error != NULL)
			return error;
	}
	value_collapse(&e->work, off);
	return evaluation_take(e, off, out);
}

static const char *
evaluate_sequence(struct evaluation *e, const struct node *n,
		  struct request_arg *out)
{
	uint8_t *top = e->work.at;
	const char *error = NULL;

	for (n = n->children; n != NULL && error == NULL; n = n->next) {
		e->work.at = top;
		error = evaluate_node(e, n, out);
	}
	return error;
}

static const char *
evaluate_call(struct evaluation *e, const struct node *n,
	      struct request_arg *out)
{
	struct request_arg args[REQUEST_ARGS_MAX], f;
	const struct node *arg = n->children->next;
	const char *error;
	unsigned cnt = 0;

	if (n->children_cnt - 1 > REQUEST_ARGS_MAX)
		return "rank";
	for (; arg != NULL; arg = arg->next) {
		error = evaluate_node(e, arg, &args[cnt++]);
		if (error != NULL)
			return error;
	}
	error = evaluate_node(e, n->children, &f);
	return error != NULL ? error : evaluate_apply(e, &f, args, cnt, out);
}

static const char *
evaluate_cond(struct evaluation *e, const struct node *n,
	      struct request_arg *out)
{
	uint8_t *top = e->work.at;

	for (n = n->children; n->next != NULL; n = n->next->next) {
		bool is_true;
		const char *error = evaluate_node(e, n, out);

		if (error == NULL)
			error = verb_truth(out, &is_true);
		if (error != NULL)
			return error;
		e->work.at = top;
		if (is_true)
			return evaluate_node(e, n->next, out);
	}
	return evaluate_node(e, n, out);
}

static const char *
evaluate_derived(struct evaluation *e, const struct node *n,
		 struct request_arg *out)
{
	size_t off = wire_written(&e->work), base;
	struct request_arg f;
	const char *error;

	wire_put_u8(&e->work, n->adverb);
	base = wire_written(&e->work);
	error = evaluate_node(e, n->children, &f);
	if (error == NULL)
		error = evaluation_place(e, base, &f);
	return error != NULL ? error : evaluation_take(e, off, out);
}

static const char *
evaluate_kind(struct evaluation *e, const struct node *n,
	      struct request_arg *out)
{
	switch (n->kind) {
	case NODE_VALUE:
		*out = n->value;
		return NULL;
	case NODE_NAME:
		return find_param(e->frame, n->name, out)
			       ? NULL
			       : evaluate_name(e, n->name, out);
	case NODE_LIST:
		return evaluate_list(e, n, out);
	case NODE_SEQUENCE:
		return evaluate_sequence(e, n, out);
	case NODE_CALL:
		return evaluate_call(e, n, out);
	case NODE_COND:
		return evaluate_cond(e, n, out);
	case NODE_DERIVED:
		return evaluate_derived(e, n, out);
	}
	return query_not_understood;
}

const char *
evaluate_node(struct evaluation *e, const struct node *n,
	      struct request_arg *out)
{
	size_t off = wire_written(&e->work);
	const char *error = evaluation_enter(e);

	if (error != NULL)
		return error;
	error = evaluate_kind(e, n, out);
	return evaluation_leave(e, error, off, out);
}

/* ---- texts ---- */

/* For a text that is not understood: an undefined name in it says more than
 * 'nyi. */
static const char *
text_error(struct evaluation *e, struct text text, const char *error)
{
	const char *at = text.at;
	struct text name;

	if (error != query_not_understood)
		return error;
	while (query_next_name(&at, text.at + text.len, &name)) {
		if (!evaluation_spend(e, REQUEST_NAME_STEPS))
			return query_limit;
		if (!(name.len == 1 && *name.at == '.') &&
		    !evaluate_is_defined(e, name))
			return name_error(e, name);
	}
	return error;
}

/* \p is system"p". */
static const char *
evaluate_system(struct evaluation *e, struct text text, struct request_arg *out)
{
	static const struct text system = { "system", 6 };
	size_t off;
	struct request_arg f, arg;
	const char *error = evaluate_name(e, system, &f);

	if (error != NULL)
		return error;
	off = wire_written(&e->work);
	wire_put_list(&e->work, KT_CHAR, KA_NONE, (uint32_t)text.len - 1);
	wire_put_bytes(&e->work, text.at + 1, text.len - 1);
	error = evaluation_take(e, off, &arg);
	return error != NULL ? error : evaluate_apply(e, &f, &arg, 1, out);
}

static const char *
evaluate_text(struct evaluation *e, struct text text, struct request_arg *out)
{
	struct query q = { .stack = &e->work, .steps = &e->steps };
	const struct frame *outer = e->frame;
	const struct node *root;
	const char *error;

	if (!evaluation_spend(e, text.len / REQUEST_STEP_CHARS))
		return query_limit;
	e->frame = NULL; /* a text has no parameters */
	if (query_is_name(&text)) {
		error = evaluate_name(e, text, out);
	} else if (text.len > 0 && *text.at == '\\') {
		error = evaluate_system(e, text, out);
	} else {
		root = query_parse(&q, text);
		error = root != NULL ? evaluate_node(e, root, out)
				     : text_error(e, text, q.error);
	}
	e->frame = outer;
	return error;
}

/* ---- objects ---- */

/* Answers the question what a name is (pykx_probe.h). */
static const char *
answer_probe(struct evaluation *e, struct text name, struct request_arg *out)
{
	const char *error =
		probe_knows(name) ? NULL : evaluate_name(e, name, out);
	const char *marker;
	size_t off = wire_written(&e->work);

	if (error != NULL)
		return error;
	marker = probe_marker(name, out);
	if (marker == NULL)
		return NULL;
	wire_put_symbol(&e->work, marker);
	return evaluation_take(e, off, out);
}

/* Applies the first part to the others.  If it is a text, its value is
 * applied. */
static const char *
call_parts(struct evaluation *e, const struct request_arg *parts, unsigned cnt,
	   struct request_arg *out)
{
	struct request_arg f = parts[0];
	struct text text;
	const char *error;

	text.at = request_arg_text(&f, &text.len);
	if (text.at == NULL || value_type(&f) == -KT_SYMBOL)
		return evaluate_apply(e, &f, parts + 1, cnt - 1, out);
	if (cnt == 2 && value_type(&parts[1]) == -KT_SYMBOL && probe_is(text))
		return answer_probe(e, value_symbol(&parts[1]), out);
	error = evaluate_text(e, text, &f);
	return error != NULL ? error
			     : evaluate_apply(e, &f, parts + 1, cnt - 1, out);
}

/* Applies a list of the request.  The last item, often the data of an update,
 * is not walked. */
static const char *
call_list(struct evaluation *e, const struct request_arg *list,
	  struct request_arg *out)
{
	struct request_arg parts[1 + REQUEST_ARGS_MAX];
	uint64_t cnt = value_count(list);
	const uint8_t *at = list->at + WIRE_LIST_HEADER_BYTES;

	if (cnt > ARRAY_LEN(parts))
		return "rank";
	for (uint64_t i = 0; i < cnt; i++) {
		parts[i].at = at;
		parts[i].len = i + 1 < cnt
				       ? value_walk(at, &e->steps)
				       : (size_t)(list->at + list->len - at);
		if (parts[i].len == 0)
			return query_limit;
		at += parts[i].len;
	}
	return call_parts(e, parts, (unsigned)cnt, out);
}

/* `f`a`b is (`f;`a;`b). */
static const char *
call_symbols(struct evaluation *e, const struct request_arg *symbols,
	     struct request_arg *out)
{
	struct request_arg parts[REQUEST_ARGS_MAX + 1];
	struct items items = items_of(symbols);
	unsigned cnt = 0;

	if (items.cnt == 0)
		return "type";
	if (items.cnt > ARRAY_LEN(parts))
		return "rank";
	while (items.cnt > 0) {
		struct item item = items_next(&items);
		struct request_arg *part = &parts[cnt++];

		part->at = e->work.at;
		value_put_item(&e->work, &item);
		part->len = (size_t)(e->work.at - part->at);
	}
	if (e->work.is_full)
		return query_limit;
	return cnt == 1 ? evaluate_name(e, value_symbol(&parts[0]), out)
			: call_parts(e, parts, cnt, out);
}

const char *
evaluate_value(struct evaluation *e, const struct request_arg *x,
	       struct request_arg *out)
{
	int type = value_type(x);
	size_t off = wire_written(&e->work);
	struct request_arg keys;
	struct text text;

	text.at = request_arg_text(x, &text.len);
	if (type == -KT_SYMBOL)
		return evaluate_name(e, text, out);
	if (text.at != NULL)
		return evaluate_text(e, text, out);
	if (type == KT_SYMBOL)
		return call_symbols(e, x, out);
	if (type == KT_LIST && value_count(x) > 0)
		return call_list(e, x, out);
	/* The generic null is its own value; so is (), as a request. */
	if (type == KT_LIST || value_is_null(x)) {
		wire_put_null(&e->work);
		return evaluation_take(e, off, out);
	}
	if (type == KT_DICT || type == KT_SORTED_DICT) {
		value_split_dict(x, &keys, out);
		return NULL;
	}
	return type < KT_TABLE ? "type" : query_not_understood;
}

/* A value on the stack may contain functions, or be nested deeper than a
 * message may be. */
static const char *
check_value(const struct evaluation *e, const struct request_arg *v)
{
	struct wire_reader r = wire_reader(v->at, v->len, false);

	if (v->at < e->work.base || v->at >= e->work.at)
		return NULL;
	if (value_has_own(v))
		return query_not_understood;
	wire_skip(&r);
	return r.bad == NULL ? NULL : query_limit;
}

const char *
request_evaluate(const struct request_world *world, const uint8_t *body,
		 size_t len, struct wire_writer *out)
{
	struct evaluation e = {
		.world = world,
		.work = wire_writer(world->work, world->work_len),
		.steps = *world->steps,
		.look_at = *world->steps -
			   (unsigned)min_u64(*world->steps, REQUEST_LOOK_STEPS),
	};
	const struct request_arg request = { body, len };
	struct request_arg v;
	const char *error = evaluate_value(&e, &request, &v);

	if (error == NULL)
		error = check_value(&e, &v);
	*world->steps = e.steps;
	if (error != NULL)
		return error;
	if (out->is_full || v.len > (size_t)(out->end - out->at))
		return query_too_much;
	wire_put_bytes(out, v.at, v.len);
	return NULL;
}
