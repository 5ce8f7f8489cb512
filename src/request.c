#include "config.h"

#include "request.h"

#include "query.h"
#include "util.h"

/*
 * Values are made on the output itself, which serves as a stack: the arguments
 * of a call are written there, the call appends its value, and the value is
 * moved down over them.
 */
struct evaluation {
	struct query_names names;
	void *context;
	struct wire_writer *out;
};

/* ---- values ---- */

/* Bytes behind the type byte of an atom. */
static size_t
atom_bytes(const uint8_t *at, int type)
{
	return type == KT_SYMBOL ? strlen((const char *)at) + 1
				 : wire_item_bytes(type);
}

/*
 * What q does with a list whose items are atoms of one type: the list that was
 * written at list_off up to the end becomes a vector.
 */
static void
collapse_list(struct wire_writer *out, size_t list_off)
{
	uint8_t *list = out->base + list_off, *items = list + 6, *to = items;
	int type;

	if (out->is_full || items == out->at)
		return;
	type = -(int8_t)*items;
	if (type < KT_BOOLEAN || type > KT_TIME)
		return;
	for (const uint8_t *at = items; at < out->at;
	     at += 1 + atom_bytes(at + 1, type))
		if (-(int8_t)*at != type)
			return;
	for (const uint8_t *at = items; at < out->at;) {
		size_t bytes = atom_bytes(at + 1, type);

		memmove(to, at + 1, bytes);
		to += bytes;
		at += 1 + bytes;
	}
	*list = (uint8_t)type;
	out->at = to;
}

/* Drops what was written from `from` to `to`; what follows moves down. */
static void
drop_bytes(struct wire_writer *out, size_t from, size_t to)
{
	size_t len = wire_written(out) - to;

	memmove(out->base + from, out->base + to, len);
	out->at = out->base + from + len;
}

static const char *
call_name(struct evaluation *e, const struct request_name *name,
	  const struct request_arg *args, unsigned args_cnt)
{
	size_t off = wire_written(e->out);
	const char *error;

	/* The arguments may be incomplete. */
	if (e->out->is_full)
		return query_too_much;
	error = name->call(e->context, args, args_cnt, e->out);
	if (error == NULL && e->out->is_full)
		return query_too_much;
	CHECK(error != NULL || wire_written(e->out) > off);
	return error;
}

static const char *
index_key(struct evaluation *e, struct text dict, struct text key)
{
	const struct request_name *name =
		query_find_member(&e->names, dict, &key);

	if (name == NULL) {
		wire_put_null(e->out);
		return NULL;
	}
	if (name->args_cnt >= 0)
		return query_not_understood; /* functions are not sent */
	return call_name(e, name, NULL, 0);
}

/* dict[key], and dict[key1 key2 ...], which is a list. */
static const char *
index_dict(struct evaluation *e, struct text dict,
	   const struct request_arg *arg)
{
	struct wire_reader r = wire_reader(arg->at, arg->len, false);
	int type = (int8_t)wire_get_u8(&r);
	size_t off = wire_written(e->out);
	struct text key;
	uint64_t count;

	if (type == -KT_SYMBOL) {
		key.at = wire_get_symbol(&r, &key.len);
		return index_key(e, dict, key);
	}
	if (type != KT_SYMBOL)
		return "type";
	count = wire_get_count(&r, 1, NULL);
	wire_put_list(e->out, KT_LIST, KA_NONE, (uint32_t)count);
	for (uint64_t i = 0; i < count && !e->out->is_full; i++) {
		const char *error;

		key.at = wire_get_symbol(&r, &key.len);
		error = index_key(e, dict, key);
		if (error != NULL)
			return error;
	}
	collapse_list(e->out, off);
	return NULL;
}

static bool
is_null(const struct request_arg *arg)
{
	return arg->len == 2 && arg->at[0] == KT_UNARY && arg->at[1] == 0;
}

/* ---- nodes to values ---- */

static const char *evaluate(struct evaluation *e, const struct node *n);

static void
put_string(struct wire_writer *out, const struct node *n)
{
	const char *at = n->text.at + 1, *end = n->text.at + n->text.len - 1;

	if (n->number == 1)
		wire_put_u8(out, (uint8_t)-KT_CHAR);
	else
		wire_put_list(out, KT_CHAR, KA_NONE, (uint32_t)n->number);
	while (at < end && !out->is_full) {
		int c = *at++;

		if (c == '\\')
			c = query_read_escape(&at, end);
		wire_put_u8(out, (uint8_t)c);
	}
}

static void
put_symbols(struct wire_writer *out, const struct node *n)
{
	const char *at = n->text.at, *end = at + n->text.len;

	if (n->number == 1)
		wire_put_u8(out, (uint8_t)-KT_SYMBOL);
	else
		wire_put_list(out, KT_SYMBOL, KA_NONE, (uint32_t)n->number);
	while (at < end && !out->is_full) {
		struct text symbol = query_read_symbol(&at, end);

		wire_put_symbol_item(out, symbol.at, symbol.len);
	}
}

static const char *
evaluate_list(struct evaluation *e, const struct node *n)
{
	const struct node *item = n->children;
	size_t off = wire_written(e->out);

	wire_put_list(e->out, KT_LIST, KA_NONE, n->children_cnt);
	for (unsigned i = 0; i < n->children_cnt; i++, item = item->next) {
		const char *error = evaluate(e, item);

		if (error != NULL)
			return error;
	}
	collapse_list(e->out, off);
	return NULL;
}

static const char *
evaluate_sequence(struct evaluation *e, const struct node *n)
{
	size_t off = wire_written(e->out);
	const char *error = NULL;

	for (n = n->children; n != NULL && error == NULL; n = n->next) {
		e->out->at = e->out->base + off;
		error = evaluate(e, n);
	}
	return error;
}

/* Calls and indexes: arguments, value, then the value alone. */
static const char *
evaluate_call(struct evaluation *e, const struct node *n)
{
	struct request_arg args[REQUEST_ARGS_MAX];
	const struct node *child = n->children;
	size_t off = wire_written(e->out), value_off;
	const char *error;

	for (unsigned i = 0; i < n->children_cnt; i++, child = child->next) {
		args[i].at = e->out->at;
		error = evaluate(e, child);
		if (error != NULL)
			return error;
		args[i].len = (size_t)(e->out->at - args[i].at);
	}
	if (e->out->is_full)
		return query_too_much;
	value_off = wire_written(e->out);
	if (n->kind == NODE_INDEX)
		error = index_dict(e, n->text, &args[0]);
	else
		error = call_name(e, n->name, args, n->children_cnt);
	if (error == NULL)
		drop_bytes(e->out, off, value_off);
	return error;
}

static const char *
evaluate(struct evaluation *e, const struct node *n)
{
	switch (n->kind) {
	case NODE_NULL:
		wire_put_null(e->out);
		return NULL;
	case NODE_BOOLEAN:
		wire_put_u8(e->out, (uint8_t)-KT_BOOLEAN);
		wire_put_u8(e->out, (uint8_t)n->number);
		return NULL;
	case NODE_LONG:
		wire_put_long(e->out, n->number);
		return NULL;
	case NODE_STRING:
		put_string(e->out, n);
		return NULL;
	case NODE_SYMBOLS:
		put_symbols(e->out, n);
		return NULL;
	case NODE_LIST:
		return evaluate_list(e, n);
	case NODE_SEQUENCE:
		return evaluate_sequence(e, n);
	case NODE_VARIABLE:
		return call_name(e, n->name, NULL, 0);
	case NODE_CALL:
	case NODE_INDEX:
		return evaluate_call(e, n);
	case NODE_FUNCTION:
	case NODE_DICT:
		break; /* parse_expr lets none through */
	}
	return query_not_understood;
}

static const char *
evaluate_text(struct evaluation *e, struct text text)
{
	struct query query; /* 20 KiB of stack, for a text of any length */
	const struct node *root = query_parse(&query, &e->names, text);

	return root == NULL ? query.error : evaluate(e, root);
}

/* ---- objects ---- */

static const char *
apply_name(struct evaluation *e, struct text text,
	   const struct request_arg *args, unsigned args_cnt)
{
	const struct request_name *name = query_find(&e->names, text);
	bool has_null = args_cnt == 1 && is_null(&args[0]);

	if (name == NULL && !query_is_dict(&e->names, text))
		return query_name_error(&e->names, text);
	if (name == NULL)
		return args_cnt == 1 ? index_dict(e, text, &args[0])
				     : query_not_understood;
	/* (`f;::) calls a function of no arguments; v[::] is v. */
	if (has_null && name->args_cnt <= 0)
		args_cnt = 0;
	if (name->args_cnt < 0 && args_cnt > 0)
		return query_not_understood;
	if (name->args_cnt >= 0 && args_cnt > (unsigned)name->args_cnt)
		return "rank";
	return call_name(e, name, args, args_cnt);
}

/* A symbol names a variable; the value of a function is not sent. */
static const char *
evaluate_symbol(struct evaluation *e, struct text text)
{
	const struct request_name *name = query_find(&e->names, text);

	if (name == NULL && !query_is_dict(&e->names, text))
		return query_name_error(&e->names, text);
	if (name == NULL || name->args_cnt >= 0)
		return query_not_understood;
	return call_name(e, name, NULL, 0);
}

/* `f`a`b is (`f;`a;`b): the arguments are made atoms on the output. */
static const char *
evaluate_symbols(struct evaluation *e, struct wire_reader *r)
{
	uint64_t count = wire_get_count(r, 1, NULL);
	struct request_arg args[REQUEST_ARGS_MAX];
	size_t off = wire_written(e->out), value_off, len;
	struct text name;
	const char *error;

	if (count == 0)
		return "type";
	if (count > REQUEST_ARGS_MAX + 1)
		return "rank";
	name.at = wire_get_symbol(r, &name.len);
	for (uint64_t i = 0; i + 1 < count; i++) {
		const char *symbol = wire_get_symbol(r, &len);

		args[i].at = e->out->at;
		wire_put_u8(e->out, (uint8_t)-KT_SYMBOL);
		wire_put_symbol_item(e->out, symbol, len);
		args[i].len = len + 2;
	}
	if (e->out->is_full)
		return query_too_much;
	value_off = wire_written(e->out);
	error = apply_name(e, name, args, (unsigned)count - 1);
	if (error == NULL)
		drop_bytes(e->out, off, value_off);
	return error;
}

/* A string in the place of the function must be its name and nothing else. */
static const char *
apply_text(struct evaluation *e, struct text text,
	   const struct request_arg *args, unsigned args_cnt)
{
	if (!query_is_name(&text))
		return query_text_error(&e->names, text);
	return apply_name(e, text, args, args_cnt);
}

static const char *
evaluate_call_object(struct evaluation *e, struct wire_reader *r)
{
	uint64_t count = wire_get_count(r, 2, NULL);
	struct request_arg parts[1 + REQUEST_ARGS_MAX];
	struct text text;

	if (count == 0) {
		wire_put_null(e->out);
		return NULL;
	}
	if (count > ARRAY_LEN(parts))
		return "rank";
	for (uint64_t i = 0; i < count; i++) {
		parts[i].at = r->at;
		/* The last is most of an update: do not walk it again. */
		if (i + 1 < count)
			wire_skip(r);
		else
			r->at = r->end;
		parts[i].len = (size_t)(r->at - parts[i].at);
	}
	text.at = request_arg_text(&parts[0], &text.len);
	if (text.at == NULL)
		return (int8_t)*parts[0].at < KT_TABLE ? "type"
						       : query_not_understood;
	if ((int8_t)*parts[0].at == -KT_SYMBOL)
		return apply_name(e, text, parts + 1, (unsigned)count - 1);
	return apply_text(e, text, parts + 1, (unsigned)count - 1);
}

static const char *
evaluate_body(struct evaluation *e, const uint8_t *body, size_t len)
{
	struct request_arg all = { body, len };
	struct wire_reader r = wire_reader(body, len, false);
	int type = (int8_t)wire_get_u8(&r);
	struct text text;

	/* The generic null is its own value. */
	if (type == KT_UNARY && len == 2 && body[1] == 0) {
		wire_put_null(e->out);
		return NULL;
	}
	if (type == KT_LIST)
		return evaluate_call_object(e, &r);
	if (type == KT_SYMBOL)
		return evaluate_symbols(e, &r);
	text.at = request_arg_text(&all, &text.len);
	if (text.at != NULL)
		return type == -KT_SYMBOL ? evaluate_symbol(e, text)
					  : evaluate_text(e, text);
	return type < KT_TABLE ? "type" : query_not_understood;
}

const char *
request_evaluate(const struct request_name *names, size_t cnt, void *context,
		 const uint8_t *body, size_t len, struct wire_writer *out,
		 char *error)
{
	struct evaluation e = {
		.names = { names, cnt, error },
		.context = context,
		.out = out,
	};
	uint8_t *start = out->at;
	const char *bad = evaluate_body(&e, body, len);

	if (bad == NULL && out->is_full)
		bad = query_too_much;
	if (bad != NULL) {
		out->at = start;
		out->is_full = false;
	}
	return bad;
}

const char *
request_arg_text(const struct request_arg *arg, size_t *out_len)
{
	struct wire_reader r = wire_reader(arg->at, arg->len, false);
	int type = (int8_t)wire_get_u8(&r);
	uint64_t count;

	if (type == -KT_SYMBOL)
		return wire_get_symbol(&r, out_len);
	if (type == -KT_CHAR)
		count = 1;
	else if (type == KT_CHAR)
		count = wire_get_count(&r, 1, NULL);
	else
		return NULL;
	*out_len = count;
	return (const char *)r.at;
}
