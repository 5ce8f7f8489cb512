#include "config.h"

#include "q/value.h"

#include <string.h>

#include "base/util.h"
#include "wire/skip.h"

/* ---- one object ---- */

bool
value_is_null(const struct request_arg *v)
{
	return v->at[0] == KT_UNARY && v->at[1] == 0;
}

bool
value_is_elided(const struct request_arg *v)
{
	return v->at[0] == KT_UNARY && v->at[1] == UNARY_ELIDED;
}

bool
value_is_own(const struct request_arg *v, enum own_kind kind)
{
	return v->at[0] == KT_OWN && v->at[1] == kind;
}

unsigned
value_own_idx(const struct request_arg *v)
{
	return v->at[2] | (unsigned)v->at[3] << 8;
}

void
value_put_own(struct wire_writer *out, enum own_kind kind, unsigned idx)
{
	const uint8_t bytes[] = { KT_OWN, (uint8_t)kind, (uint8_t)idx,
				  (uint8_t)(idx >> 8) };

	wire_put_bytes(out, bytes, sizeof(bytes));
}

void
value_put_space(struct wire_writer *out, struct text name)
{
	wire_put_u8(out, KT_OWN);
	wire_put_u8(out, OWN_SPACE);
	wire_put_symbol_item(out, name.at, name.len);
}

static size_t
symbol_bytes(const uint8_t *at)
{
	return strlen((const char *)at) + 1;
}

/* The length of an atom after its type byte, or of an item of a vector. */
static size_t
atom_bytes(const uint8_t *at, int type)
{
	return type == KT_SYMBOL ? symbol_bytes(at) : wire_item_bytes(type);
}

/*
 * The length of an object without the objects inside it, which follow; their
 * number is added to *inner_cnt.
 */
static size_t
shell_bytes(const uint8_t *at, uint64_t *inner_cnt)
{
	const uint8_t *end = at;
	struct skip_shell shell;

	if (*at == KT_OWN)
		return at[1] == OWN_SPACE ? 2 + symbol_bytes(at + 2) : 4;
	CHECK(skip_read_shell(at, SIZE_MAX, false, &shell) == SKIP_WHOLE);
	*inner_cnt += shell.objects;
	end += shell.header + shell.bytes;
	for (; shell.symbols > 0; shell.symbols--)
		end += symbol_bytes(end);
	return (size_t)(end - at);
}

size_t
value_bytes(const uint8_t *at)
{
	const uint8_t *start = at;

	for (uint64_t cnt = 1; cnt > 0; cnt--)
		at += shell_bytes(at, &cnt);
	return (size_t)(at - start);
}

size_t
value_walk(const uint8_t *at, unsigned *steps)
{
	uint64_t left = (uint64_t)*steps * REQUEST_STEP_ITEMS;
	const uint8_t *start = at;

	for (uint64_t cnt = 1; cnt > 0; cnt--) {
		uint64_t seen = 1;

		if (*at == KT_SYMBOL)
			seen += wire_load_u32(at + 2);
		if (seen > left) {
			*steps = 0;
			return 0;
		}
		left -= seen;
		at += shell_bytes(at, &cnt);
	}
	*steps = (unsigned)((left + REQUEST_STEP_ITEMS - 1) /
			    REQUEST_STEP_ITEMS);
	return (size_t)(at - start);
}

static struct request_arg
object_at(const uint8_t *at)
{
	return (struct request_arg){ at, value_bytes(at) };
}

/* The last part of v, from `at` on: no need to walk it for its length. */
static struct request_arg
rest_of(const struct request_arg *v, const uint8_t *at)
{
	return (struct request_arg){ at, (size_t)(v->at + v->len - at) };
}

void
value_split_dict(const struct request_arg *dict, struct request_arg *keys,
		 struct request_arg *values)
{
	*keys = object_at(dict->at + 1);
	*values = rest_of(dict, keys->at + keys->len);
}

void
value_split_table(const struct request_arg *table, struct request_arg *names,
		  struct request_arg *columns)
{
	struct request_arg dict = rest_of(table, table->at + 2);

	value_split_dict(&dict, names, columns);
}

uint64_t
value_count(const struct request_arg *v)
{
	struct wire_reader r = wire_reader(v->at, v->len, false);

	return value_is_list(v) ? wire_load_u32(v->at + 2) : wire_count(&r);
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

struct text
value_symbol(const struct request_arg *v)
{
	return (struct text){ (const char *)v->at + 1, v->len - 2 };
}

bool
value_integer(const struct request_arg *v, int64_t *out)
{
	const uint8_t *at = v->at + 1;

	switch (value_type(v)) {
	case -KT_BOOLEAN:
	case -KT_BYTE:
		*out = *at;
		return true;
	case -KT_SHORT:
		*out = (int16_t)(at[0] | at[1] << 8);
		return true;
	case -KT_INT:
		*out = (int32_t)wire_load_u32(at);
		return true;
	case -KT_LONG:
		*out = (int64_t)wire_load_u64(at);
		return true;
	default:
		return false;
	}
}

bool
value_match(const struct request_arg *a, const struct request_arg *b)
{
	const uint8_t *left = a->at, *right = b->at;

	if (a->len != b->len)
		return false;
	for (uint64_t cnt = 1; cnt > 0; cnt--) {
		uint64_t cnt_right = cnt;
		size_t len, skip = 0;

		if (*left != *right)
			return false;
		/* Attributes are not compared. */
		if (*left <= KT_TIME || *left == KT_TABLE)
			skip = 2;
		len = shell_bytes(left, &cnt);
		if (shell_bytes(right, &cnt_right) != len ||
		    memcmp(left + skip, right + skip, len - skip) != 0)
			return false;
		left += len;
		right += len;
	}
	return true;
}

bool
value_has_own(const struct request_arg *v)
{
	const uint8_t *at = v->at;

	for (uint64_t cnt = 1; cnt > 0; cnt--) {
		if (*at == KT_OWN)
			return true;
		at += shell_bytes(at, &cnt);
	}
	return false;
}

/* ---- items ---- */

struct item
item_of(const struct request_arg *v)
{
	int type = value_type(v);

	if (type < 0)
		return (struct item){ -type, v->at + 1, v->len - 1 };
	return (struct item){ KT_LIST, v->at, v->len };
}

struct items
items_of(const struct request_arg *v)
{
	if (!value_is_list(v))
		return (struct items){ .type = -1, .same = item_of(v) };
	return (struct items){ .type = value_type(v),
			       .at = v->at + WIRE_LIST_HEADER_BYTES,
			       .cnt = wire_load_u32(v->at + 2) };
}

struct item
items_next(struct items *items)
{
	struct item item = { items->type, items->at, 0 };

	if (items->type < 0)
		return items->same;
	if (items->type != KT_LIST) {
		item.len = atom_bytes(item.at, item.type);
	} else if ((int8_t)*item.at < 0) {
		/* an atom in a general list */
		item.type = -(int8_t)*item.at++;
		item.len = atom_bytes(item.at, item.type);
	} else {
		item.len = value_bytes(item.at);
	}
	items->at = item.at + item.len;
	items->cnt--;
	return item;
}

bool
item_match(const struct item *a, const struct item *b)
{
	const struct request_arg left = { a->at, a->len };
	const struct request_arg right = { b->at, b->len };

	if (a->type != b->type || a->len != b->len)
		return false;
	return a->type == KT_LIST ? value_match(&left, &right)
				  : memcmp(a->at, b->at, a->len) == 0;
}

void
value_put_item(struct wire_writer *out, const struct item *item)
{
	if (item->type != KT_LIST)
		wire_put_u8(out, (uint8_t)-item->type);
	wire_put_bytes(out, item->at, item->len);
}

void
value_put_null_of(struct wire_writer *out, int type)
{
	static const uint8_t nulls[][8] = {
		[KT_BYTE] = { 0 },
		[KT_SHORT] = { 0, 0x80 },
		[KT_INT] = { 0, 0, 0, 0x80 },
		[KT_LONG] = { 0, 0, 0, 0, 0, 0, 0, 0x80 },
		[KT_REAL] = { 0, 0, 0xc0, 0xff },
		[KT_FLOAT] = { 0, 0, 0, 0, 0, 0, 0xf8, 0xff },
		[KT_CHAR] = { ' ' },
		[KT_TIMESTAMP] = { 0, 0, 0, 0, 0, 0, 0, 0x80 },
		[KT_MONTH] = { 0, 0, 0, 0x80 },
		[KT_DATE] = { 0, 0, 0, 0x80 },
		[KT_DATETIME] = { 0, 0, 0, 0, 0, 0, 0xf8, 0xff },
		[KT_TIMESPAN] = { 0, 0, 0, 0, 0, 0, 0, 0x80 },
		[KT_MINUTE] = { 0, 0, 0, 0x80 },
		[KT_SECOND] = { 0, 0, 0, 0x80 },
		[KT_TIME] = { 0, 0, 0, 0x80 },
	};
	static const uint8_t guid[16];

	if (type == KT_LIST) {
		wire_put_list(out, KT_LIST, KA_NONE, 0);
		return;
	}
	wire_put_u8(out, (uint8_t)-type);
	if (type == KT_GUID)
		wire_put_bytes(out, guid, sizeof(guid));
	else
		wire_put_bytes(out, nulls[type],
			       type == KT_SYMBOL ? 1 : wire_item_bytes(type));
}

void
value_collapse(struct wire_writer *out, size_t list_off)
{
	uint8_t *list = out->base + list_off;
	uint8_t *items = list + WIRE_LIST_HEADER_BYTES, *to = items;
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

uint64_t
value_find(const struct request_arg *list, const struct item *item)
{
	struct items items = items_of(list);
	uint64_t cnt = items.cnt;

	while (items.cnt > 0) {
		struct item one = items_next(&items);

		if (item_match(&one, item))
			return cnt - items.cnt - 1;
	}
	return cnt;
}

/* ---- indexing ---- */

/* Writes item i, or the null of the list's type if there is none. */
static void
put_nth(struct wire_writer *out, const struct request_arg *list, uint64_t i)
{
	struct items items = items_of(list);
	size_t width = wire_item_bytes(items.type);
	struct item item;
	uint64_t cnt = items.cnt;

	if (i >= cnt) {
		if (items.type == KT_LIST && cnt > 0)
			items.type = items_next(&items).type;
		value_put_null_of(out, items.type);
		return;
	}
	if (width > 0) {
		item = (struct item){ items.type, items.at + i * width, width };
	} else {
		for (item = items_next(&items); i > 0; i--)
			item = items_next(&items);
	}
	value_put_item(out, &item);
}

static const char *
index_list(const struct request_arg *list, const struct item *key,
	   struct wire_writer *out)
{
	uint8_t atom[16];
	struct request_arg number = { atom, 1 + key->len };
	int64_t i;

	if (key->len >= sizeof(atom) || key->type < KT_BYTE ||
	    key->type > KT_LONG)
		return "type";
	atom[0] = (uint8_t)-key->type;
	memcpy(atom + 1, key->at, key->len);
	if (!value_integer(&number, &i))
		return "type";
	put_nth(out, list, (uint64_t)i);
	return NULL;
}

static const char *
index_one(const struct request_arg *v, const struct item *key,
	  struct wire_writer *out)
{
	struct request_arg keys, values;
	uint64_t i;

	if (value_is_list(v))
		return index_list(v, key, out);
	if (value_type(v) == KT_TABLE)
		value_split_table(v, &keys, &values);
	else
		value_split_dict(v, &keys, &values);
	if (!value_is_list(&keys) || !value_is_list(&values))
		return "nyi"; /* keyed tables */
	if (value_type(v) == KT_TABLE && key->type != KT_SYMBOL)
		return "nyi"; /* a row is a dictionary */
	i = value_find(&keys, key);
	if (value_type(v) == KT_TABLE && i == value_count(&keys))
		return "type";
	put_nth(out, &values, i);
	return NULL;
}

const char *
value_index(const struct request_arg *v, const struct request_arg *key,
	    struct wire_writer *out)
{
	int type = value_type(v);
	size_t off = wire_written(out);
	struct items items;
	struct item item;
	const char *error;

	if (!value_is_list(v) && type != KT_TABLE && type != KT_DICT &&
	    type != KT_SORTED_DICT)
		return "type";
	if (!value_is_list(key)) {
		item = item_of(key);
		return index_one(v, &item, out);
	}
	items = items_of(key);
	wire_put_list(out, KT_LIST, KA_NONE, (uint32_t)items.cnt);
	while (items.cnt > 0 && !out->is_full) {
		item = items_next(&items);
		error = index_one(v, &item, out);
		if (error != NULL)
			return error;
	}
	value_collapse(out, off);
	return NULL;
}
