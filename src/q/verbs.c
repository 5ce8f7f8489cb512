#include "config.h"

#include "q/verbs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/util.h"

static void
put_boolean(struct wire_writer *out, bool v)
{
	wire_put_u8(out, (uint8_t)-KT_BOOLEAN);
	wire_put_u8(out, v);
}

/* ---- counting and taking apart ---- */

static const char *
count(const struct request_arg *args, struct wire_writer *out)
{
	wire_put_long(out, (int64_t)value_count(args));
	return NULL;
}

static const char *
take(const struct request_arg *v, bool is_last, struct wire_writer *out)
{
	struct request_arg list = *v, keys;
	uint8_t key[9] = { 256 - KT_LONG };
	const struct request_arg number = { key, sizeof(key) };
	uint64_t cnt;

	if (value_type(v) == KT_DICT || value_type(v) == KT_SORTED_DICT)
		value_split_dict(v, &keys, &list);
	if (value_type(&list) == KT_TABLE)
		return "nyi"; /* a row is a dictionary */
	if (!value_is_list(&list)) {
		wire_put_bytes(out, list.at, list.len);
		return NULL;
	}
	cnt = value_count(&list);
	wire_store_u64(key + 1, is_last && cnt > 0 ? cnt - 1 : 0);
	return value_index(&list, &number, out);
}

static const char *
first(const struct request_arg *args, struct wire_writer *out)
{
	return take(args, false, out);
}

static const char *
last(const struct request_arg *args, struct wire_writer *out)
{
	return take(args, true, out);
}

static const char *
enlist(const struct request_arg *args, struct wire_writer *out)
{
	size_t off = wire_written(out);

	if (value_type(args) == KT_DICT || value_type(args) == KT_SORTED_DICT)
		return "nyi"; /* a table of one row */
	wire_put_list(out, KT_LIST, KA_NONE, 1);
	wire_put_bytes(out, args->at, args->len);
	value_collapse(out, off);
	return NULL;
}

static const char *
type(const struct request_arg *args, struct wire_writer *out)
{
	int v = value_type(args);

	if (v == KT_OWN)
		v = args->at[1] == OWN_SPACE  ? KT_DICT
		    : args->at[1] == OWN_NAME ? KT_LAMBDA
					      : KT_UNARY;
	wire_put_u8(out, (uint8_t)-KT_SHORT);
	wire_put_u8(out, (uint8_t)v);
	wire_put_u8(out, v < 0 ? 0xff : 0);
	return NULL;
}

/* ---- putting together ---- */

/* Two vectors of one type are joined to one, even if they are empty. */
static bool
join_vectors(const struct request_arg *x, const struct request_arg *y,
	     struct wire_writer *out)
{
	uint64_t cnt = value_count(x) + value_count(y);
	int of = value_type(x);

	if (!value_is_list(x) || value_type(y) != of || cnt > UINT32_MAX)
		return false;
	wire_put_list(out, of, KA_NONE, (uint32_t)cnt);
	wire_put_bytes(out, x->at + 6, x->len - 6);
	wire_put_bytes(out, y->at + 6, y->len - 6);
	if (of == KT_LIST && !out->is_full)
		value_collapse(out, wire_written(out) - 6 - (x->len - 6) -
					    (y->len - 6));
	return true;
}

static void
put_items(struct wire_writer *out, const struct request_arg *v)
{
	struct items items = items_of(v);

	if (items.type < 0 || items.type == KT_LIST) {
		size_t header = items.type < 0 ? 0 : 6;

		wire_put_bytes(out, v->at + header, v->len - header);
		return;
	}
	while (items.cnt > 0 && !out->is_full) {
		struct item item = items_next(&items);

		value_put_item(out, &item);
	}
}

static const char *
join(const struct request_arg *args, struct wire_writer *out)
{
	size_t off = wire_written(out);
	uint64_t cnt = 0;

	for (unsigned i = 0; i < 2; i++) {
		int of = value_type(&args[i]);

		if (of == KT_TABLE || of == KT_DICT || of == KT_SORTED_DICT)
			return "nyi";
		cnt += value_count(&args[i]);
	}
	if (cnt > UINT32_MAX)
		return "limit";
	if (join_vectors(&args[0], &args[1], out))
		return NULL;
	/* A vector joined with an empty list keeps its type. */
	for (unsigned i = 0; i < 2; i++)
		if (value_type(&args[i]) == KT_LIST &&
		    value_count(&args[i]) == 0 && value_is_list(&args[!i])) {
			wire_put_bytes(out, args[!i].at, args[!i].len);
			return NULL;
		}
	wire_put_list(out, KT_LIST, KA_NONE, (uint32_t)cnt);
	put_items(out, &args[0]);
	put_items(out, &args[1]);
	value_collapse(out, off);
	return NULL;
}

static const char *
dict(const struct request_arg *args, struct wire_writer *out)
{
	for (unsigned i = 0; i < 2; i++)
		if (!value_is_list(&args[i]) &&
		    value_type(&args[i]) != KT_TABLE)
			return "type";
	if (value_count(&args[0]) != value_count(&args[1]))
		return "length";
	wire_put_u8(out, KT_DICT);
	wire_put_bytes(out, args[0].at, args[0].len);
	wire_put_bytes(out, args[1].at, args[1].len);
	return NULL;
}

/* ---- comparing ---- */

static const char *
match(const struct request_arg *args, struct wire_writer *out)
{
	put_boolean(out, value_match(&args[0], &args[1]));
	return NULL;
}

static bool
item_integer(const struct item *item, int64_t *out)
{
	uint8_t atom[16];
	const struct request_arg v = { atom, 1 + item->len };

	if (item->len >= sizeof(atom) || item->type == KT_LIST)
		return false;
	atom[0] = (uint8_t)-item->type;
	memcpy(atom + 1, item->at, item->len);
	return value_integer(&v, out);
}

/* Compares two items of one type, or two whole numbers; any other pair is
 * 'type. */
static const char *
items_equal(const struct item *x, const struct item *y, bool *out)
{
	int64_t left, right;

	if (x->type != y->type) {
		if (!item_integer(x, &left) || !item_integer(y, &right))
			return x->type == KT_LIST || y->type == KT_LIST
				       ? "nyi"
				       : "type";
		*out = left == right;
		return NULL;
	}
	if (x->type == KT_LIST || x->type == KT_REAL || x->type == KT_FLOAT ||
	    x->type == KT_DATETIME)
		return "nyi";
	*out = item_match(x, y);
	return NULL;
}

static const char *
equal(const struct request_arg *args, struct wire_writer *out)
{
	struct items x = items_of(&args[0]), y = items_of(&args[1]);
	bool is_atom = x.type < 0 && y.type < 0;
	uint64_t cnt = x.type < 0 ? y.cnt : x.cnt;

	if (x.type >= 0 && y.type >= 0 && x.cnt != y.cnt)
		return "length";
	if (!is_atom)
		wire_put_list(out, KT_BOOLEAN, KA_NONE, (uint32_t)cnt);
	else
		cnt = 1;
	for (; cnt > 0 && !out->is_full; cnt--) {
		struct item left = items_next(&x), right = items_next(&y);
		const char *error;
		bool is_equal;

		error = items_equal(&left, &right, &is_equal);
		if (error != NULL)
			return error;
		if (is_atom)
			wire_put_u8(out, (uint8_t)-KT_BOOLEAN);
		wire_put_u8(out, is_equal);
	}
	return NULL;
}

static const char *
in(const struct request_arg *args, struct wire_writer *out)
{
	struct items x = items_of(&args[0]), y = items_of(&args[1]);
	uint64_t cnt = value_count(&args[1]);
	struct item item;

	if (y.type < 0) {
		if (value_type(&args[1]) > 0)
			return "type";
		return equal(args, out);
	}
	/* In a general list, x can be an item as a whole. */
	if (x.type < 0 || y.type == KT_LIST) {
		item = item_of(&args[0]);
		put_boolean(out, value_find(&args[1], &item) < cnt);
		return NULL;
	}
	wire_put_list(out, KT_BOOLEAN, KA_NONE, (uint32_t)x.cnt);
	while (x.cnt > 0 && !out->is_full) {
		item = items_next(&x);
		wire_put_u8(out, value_find(&args[1], &item) < cnt);
	}
	return NULL;
}

/* ---- functions of each atom ---- */

static bool
is_null_item(const struct item *item)
{
	uint8_t bytes[32];
	struct wire_writer w = wire_writer(bytes, sizeof(bytes));
	const uint8_t *at = item->at;

	switch (item->type) {
	case KT_BOOLEAN:
	case KT_BYTE:
		return false;
	case KT_REAL:
		return (wire_load_u32(at) & 0x7fffffff) > 0x7f800000;
	case KT_FLOAT:
	case KT_DATETIME:
		return (wire_load_u32(at + 4) & 0x7fffffff) >= 0x7ff80000;
	default:
		value_put_null_of(&w, item->type);
		return item->len == wire_written(&w) - 1 &&
		       memcmp(at, bytes + 1, item->len) == 0;
	}
}

static const char *
null(const struct request_arg *args, struct wire_writer *out)
{
	struct items items = items_of(args);
	struct item item;

	if (items.type < 0) {
		if (value_type(args) > 0 && value_type(args) < KT_LAMBDA)
			return "nyi"; /* dictionaries and tables */
		item = items.same;
		put_boolean(out, item.type == KT_LIST ? value_is_null(args)
						      : is_null_item(&item));
		return NULL;
	}
	wire_put_list(out, KT_BOOLEAN, KA_NONE, (uint32_t)items.cnt);
	while (items.cnt > 0 && !out->is_full) {
		item = items_next(&items);
		if (item.type == KT_LIST && *item.at < KT_LAMBDA)
			return "nyi"; /* lists in lists */
		wire_put_u8(out,
			    item.type == KT_LIST
				    ? item.at[0] == KT_UNARY && item.at[1] == 0
				    : is_null_item(&item));
	}
	return NULL;
}

const char *
verb_truth(const struct request_arg *v, bool *out)
{
	int64_t number;

	if (!value_integer(v, &number))
		return "type";
	*out = number != 0;
	return NULL;
}

static const char * not(const struct request_arg *args, struct wire_writer *out)
{
	struct items items = items_of(args);
	bool is_atom = items.type < 0;
	int64_t number;

	if (is_atom)
		items.cnt = 1;
	else
		wire_put_list(out, KT_BOOLEAN, KA_NONE, (uint32_t)items.cnt);
	for (uint64_t cnt = items.cnt; cnt > 0 && !out->is_full; cnt--) {
		struct item item = items_next(&items);

		if (!item_integer(&item, &number))
			return "type";
		if (is_atom)
			wire_put_u8(out, (uint8_t)-KT_BOOLEAN);
		wire_put_u8(out, number == 0);
	}
	return NULL;
}

static const char *
sum(const struct request_arg *args, struct wire_writer *out)
{
	struct request_arg list = *args, keys;
	struct items items;
	uint64_t total = 0;

	if (value_type(args) == KT_DICT || value_type(args) == KT_SORTED_DICT)
		value_split_dict(args, &keys, &list);
	items = items_of(&list);
	if (items.type < 0 || items.type == KT_LIST)
		return items.type == KT_LIST && items.cnt > 0
			       ? "nyi"
			       : take(args, false, out);
	if (items.type == KT_BYTE || items.type > KT_LONG)
		return "nyi";
	while (items.cnt > 0) {
		struct item item = items_next(&items);
		int64_t number = 0;
		bool is_there = !is_null_item(&item);

		if (!item_integer(&item, &number))
			return "nyi";
		total += is_there ? (uint64_t)number : 0;
	}
	if (items.type == KT_LONG)
		wire_put_long(out, (int64_t)total);
	else
		wire_put_int(out, (int32_t)(uint32_t)total);
	return NULL;
}

/* ---- text ---- */

static const char *
put_text(struct wire_writer *out, const void *at, size_t len)
{
	wire_put_list(out, KT_CHAR, KA_NONE, (uint32_t)len);
	wire_put_bytes(out, at, len);
	return NULL;
}

static const char *
put_string(struct wire_writer *out, const struct item *item)
{
	char text[32];
	int64_t number;

	if (item->type == KT_SYMBOL)
		return put_text(out, item->at, item->len - 1);
	if (item->type == KT_CHAR)
		return put_text(out, item->at, item->len);
	if (item->type == KT_DATE) {
		if (is_null_item(item))
			return put_text(out, "", 0);
		(void)clock_date_text(text, (int32_t)wire_load_u32(item->at));
		return put_text(out, text, strlen(text));
	}
	if (item->type == KT_BYTE || !item_integer(item, &number))
		return "nyi";
	if (is_null_item(item))
		return put_text(out, "", 0);
	(void)snprintf(text, sizeof(text), "%" PRId64, number);
	return put_text(out, text, strlen(text));
}

static const char *
string(const struct request_arg *args, struct wire_writer *out)
{
	struct items items = items_of(args);

	if (items.type < 0)
		return put_string(out, &items.same);
	wire_put_list(out, KT_LIST, KA_NONE, (uint32_t)items.cnt);
	while (items.cnt > 0 && !out->is_full) {
		struct item item = items_next(&items);
		const char *error;

		/* q would make a string of each character of a string. */
		if (item.type == KT_LIST)
			return "nyi";
		error = put_string(out, &item);
		if (error != NULL)
			return error;
	}
	return NULL;
}

/* "," vs "a,b" */
static const char *
vs(const struct request_arg *args, struct wire_writer *out)
{
	size_t off = wire_written(out), separator_len, len;
	const char *separator = request_arg_text(&args[0], &separator_len);
	const char *at = request_arg_text(&args[1], &len);
	uint32_t cnt = 1;

	if (separator == NULL || at == NULL ||
	    value_type(&args[0]) == -KT_SYMBOL ||
	    value_type(&args[1]) == -KT_SYMBOL)
		return "nyi";
	if (separator_len == 0)
		return "length";
	wire_put_list(out, KT_LIST, KA_NONE, 0);
	for (;; cnt++) {
		const char *found = memmem(at, len, separator, separator_len);

		if (found == NULL || out->is_full)
			break;
		(void)put_text(out, at, (size_t)(found - at));
		len -= (size_t)(found - at) + separator_len;
		at = found + separator_len;
	}
	(void)put_text(out, at, len);
	if (!out->is_full)
		wire_store_u32(out->base + off + 2, cnt);
	return NULL;
}

/* "," sv ("a";"b") */
static const char *
sv(const struct request_arg *args, struct wire_writer *out)
{
	size_t off = wire_written(out), separator_len, len;
	const char *separator = request_arg_text(&args[0], &separator_len);
	struct items items = items_of(&args[1]);
	bool is_first = true;

	if (separator == NULL || value_type(&args[0]) == -KT_SYMBOL ||
	    items.type != KT_LIST)
		return "nyi";
	wire_put_list(out, KT_CHAR, KA_NONE, 0);
	while (items.cnt > 0 && !out->is_full) {
		struct item item = items_next(&items);
		const struct request_arg one = { item.at, item.len };
		const char *at;

		if (item.type != KT_LIST || value_type(&one) != KT_CHAR)
			return "type";
		at = request_arg_text(&one, &len);
		if (!is_first)
			wire_put_bytes(out, separator, separator_len);
		wire_put_bytes(out, at, len);
		is_first = false;
	}
	if (!out->is_full)
		wire_store_u32(out->base + off + 2,
			       (uint32_t)(wire_written(out) - off - 6));
	return NULL;
}

/* Writes a text as a symbol, which cannot have a NUL. */
static const char *
put_cast_symbol(struct wire_writer *out, const struct request_arg *v)
{
	size_t len;
	const char *at = request_arg_text(v, &len);

	if (at == NULL)
		return "type";
	if (memchr(at, 0, len) != NULL)
		return "type";
	wire_put_u8(out, (uint8_t)-KT_SYMBOL);
	wire_put_symbol_item(out, at, len);
	return NULL;
}

/* `$"text" is the only cast. */
static const char *
cast(const struct request_arg *args, struct wire_writer *out)
{
	size_t off = wire_written(out);
	struct items items = items_of(&args[1]);

	if (value_type(&args[0]) != -KT_SYMBOL || args[0].len != 2)
		return "nyi";
	if (items.type != KT_LIST)
		return value_type(&args[1]) == KT_SYMBOL
			       ? "nyi"
			       : put_cast_symbol(out, &args[1]);
	wire_put_list(out, KT_LIST, KA_NONE, (uint32_t)items.cnt);
	while (items.cnt > 0 && !out->is_full) {
		struct item item = items_next(&items);
		size_t back = item.type == KT_LIST ? 0 : 1;
		const struct request_arg one = { item.at - back,
						 item.len + back };
		const char *error = put_cast_symbol(out, &one);

		if (error != NULL)
			return error;
	}
	value_collapse(out, off);
	return NULL;
}

/* ---- tables ---- */

static const char *
cols(const struct request_arg *args, struct wire_writer *out)
{
	struct request_arg names, columns;

	if (value_type(args) != KT_TABLE)
		return "type";
	value_split_table(args, &names, &columns);
	wire_put_list(out, KT_SYMBOL, KA_NONE, (uint32_t)value_count(&names));
	wire_put_bytes(out, names.at + 6, names.len - 6);
	return NULL;
}

static void
put_table_start(struct wire_writer *out, const char *names, size_t len,
		unsigned cnt)
{
	const uint8_t start[] = { KT_TABLE, KA_NONE, KT_DICT };

	wire_put_bytes(out, start, sizeof(start));
	wire_put_list(out, KT_SYMBOL, KA_NONE, cnt);
	wire_put_bytes(out, names, len);
	wire_put_list(out, KT_LIST, KA_NONE, cnt);
}

/* ([c] t; f; a) */
static const char *
meta(const struct request_arg *args, struct wire_writer *out)
{
	static const char letters[] = " bg xhijefcspmdznuvt";
	static const char attributes[][2] = { "", "s", "u", "p", "g" };
	struct request_arg names, columns;
	struct items items;
	uint32_t cnt;

	if (value_type(args) != KT_TABLE)
		return "type";
	value_split_table(args, &names, &columns);
	cnt = (uint32_t)value_count(&names);
	wire_put_u8(out, KT_DICT);
	put_table_start(out, "c", 2, 1);
	wire_put_list(out, KT_SYMBOL, KA_NONE, cnt);
	wire_put_bytes(out, names.at + 6, names.len - 6);
	put_table_start(out, "t\0f\0a", 6, 3);
	wire_put_list(out, KT_CHAR, KA_NONE, cnt);
	for (items = items_of(&columns); items.cnt > 0;) {
		struct item item = items_next(&items);

		wire_put_bytes(out,
			       &letters[*item.at <= KT_TIME ? *item.at : 0], 1);
	}
	wire_put_list(out, KT_SYMBOL, KA_NONE, cnt);
	for (uint32_t i = 0; i < cnt; i++)
		wire_put_u8(out, 0);
	wire_put_list(out, KT_SYMBOL, KA_NONE, cnt);
	for (items = items_of(&columns); items.cnt > 0;) {
		struct item item = items_next(&items);
		const char *name =
			attributes[*item.at <= KT_TIME ? item.at[1] : 0];

		wire_put_symbol_item(out, name, strlen(name));
	}
	return NULL;
}

/* ---- all of them ---- */

static const struct verb verbs[] = {
	{ "cols", VERB_PREFIX, 1, cols, VERB_OF_NAME, COST_ARGS },
	{ "count", VERB_PREFIX, 1, count, VERB_PLAIN, COST_RESULT },
	{ "each", VERB_INFIX, 2, NULL, VERB_EACH, COST_RESULT },
	{ "enlist", VERB_PREFIX, 1, enlist, VERB_PLAIN, COST_RESULT },
	{ "first", VERB_PREFIX, 1, first, VERB_PLAIN, COST_RESULT },
	{ "in", VERB_INFIX, 2, in, VERB_PLAIN, COST_PRODUCT },
	{ "key", VERB_PREFIX, 1, NULL, VERB_KEY, COST_ARGS },
	{ "last", VERB_PREFIX, 1, last, VERB_PLAIN, COST_ARGS },
	{ "meta", VERB_PREFIX, 1, meta, VERB_OF_NAME, COST_ARGS },
	{ "not", VERB_PREFIX, 1, not, VERB_PLAIN, COST_ARGS },
	{ "null", VERB_PREFIX, 1, null, VERB_PLAIN, COST_ARGS },
	{ "string", VERB_PREFIX, 1, string, VERB_PLAIN, COST_TEXTS },
	{ "sum", VERB_PREFIX, 1, sum, VERB_PLAIN, COST_ARGS },
	{ "sv", VERB_INFIX, 2, sv, VERB_PLAIN, COST_TEXTS },
	{ "type", VERB_PREFIX, 1, type, VERB_PLAIN, COST_RESULT },
	{ "value", VERB_PREFIX, 1, NULL, VERB_VALUE, COST_ARGS },
	{ "vs", VERB_INFIX, 2, vs, VERB_PLAIN, COST_TEXTS },
	{ "@", VERB_OPERATOR, 2, NULL, VERB_AT, COST_RESULT },
	{ ".", VERB_OPERATOR, 2, NULL, VERB_DOT, COST_RESULT },
	{ ",", VERB_OPERATOR, 2, join, VERB_PLAIN, COST_JOIN },
	{ "~", VERB_OPERATOR, 2, match, VERB_PLAIN, COST_ARGS },
	{ "=", VERB_OPERATOR, 2, equal, VERB_PLAIN, COST_ARGS },
	{ "!", VERB_OPERATOR, 2, dict, VERB_PLAIN, COST_RESULT },
	{ "$", VERB_OPERATOR, 2, cast, VERB_PLAIN, COST_TEXTS },
	/* known only so that text which is not evaluated may contain them */
	{ "+", VERB_OPERATOR, 2, NULL, VERB_PLAIN, COST_ARGS },
	{ "-", VERB_OPERATOR, 2, NULL, VERB_PLAIN, COST_ARGS },
	{ "*", VERB_OPERATOR, 2, NULL, VERB_PLAIN, COST_ARGS },
	{ "%", VERB_OPERATOR, 2, NULL, VERB_PLAIN, COST_ARGS },
	{ "&", VERB_OPERATOR, 2, NULL, VERB_PLAIN, COST_ARGS },
	{ "|", VERB_OPERATOR, 2, NULL, VERB_PLAIN, COST_ARGS },
	{ "<", VERB_OPERATOR, 2, NULL, VERB_PLAIN, COST_ARGS },
	{ ">", VERB_OPERATOR, 2, NULL, VERB_PLAIN, COST_ARGS },
	{ "#", VERB_OPERATOR, 2, NULL, VERB_PLAIN, COST_ARGS },
	{ "?", VERB_OPERATOR, 2, NULL, VERB_PLAIN, COST_ARGS },
	{ "^", VERB_OPERATOR, 2, NULL, VERB_PLAIN, COST_ARGS },
	{ "_", VERB_OPERATOR, 2, NULL, VERB_PLAIN, COST_ARGS },
};

const struct verb *
verb_find(struct text name)
{
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (verbs[i].place != VERB_OPERATOR &&
		    strlen(verbs[i].name) == name.len &&
		    memcmp(verbs[i].name, name.at, name.len) == 0)
			return &verbs[i];
	return NULL;
}

const struct verb *
verb_operator(char c)
{
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (verbs[i].place == VERB_OPERATOR && verbs[i].name[0] == c)
			return &verbs[i];
	return NULL;
}

unsigned
verb_idx(const struct verb *verb)
{
	return (unsigned)(verb - verbs);
}

const struct verb *
verb_at(unsigned idx)
{
	CHECK(idx < ARRAY_LEN(verbs));
	return &verbs[idx];
}
