#include "config.h"

#include "schema/schema.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "wire/wire.h"

enum {
	NAME_MAX_BYTES = 127, /* of a table or column; q has no limit */
};

static const struct column_type {
	const char *name;
	char letter;
	int8_t type;
} types[] = {
	{ "boolean", 'b', KT_BOOLEAN },
	{ "guid", 'g', KT_GUID },
	{ "byte", 'x', KT_BYTE },
	{ "short", 'h', KT_SHORT },
	{ "int", 'i', KT_INT },
	{ "long", 'j', KT_LONG },
	{ "real", 'e', KT_REAL },
	{ "float", 'f', KT_FLOAT },
	{ "char", 'c', KT_CHAR },
	{ "symbol", 's', KT_SYMBOL },
	{ "timestamp", 'p', KT_TIMESTAMP },
	{ "month", 'm', KT_MONTH },
	{ "date", 'd', KT_DATE },
	{ "datetime", 'z', KT_DATETIME },
	{ "timespan", 'n', KT_TIMESPAN },
	{ "minute", 'u', KT_MINUTE },
	{ "second", 'v', KT_SECOND },
	{ "time", 't', KT_TIME },
};

const char *
schema_type_name(int type)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (types[i].type == type || types[i].type == -type)
			return types[i].name;
	switch (type) {
	case KT_LIST:
		return "list";
	case KT_TABLE:
		return "table";
	case KT_DICT:
	case KT_SORTED_DICT:
		return "dictionary";
	case KT_UNARY: /* (::) among them */
		return "function or (::)";
	}
	return "function";
}

const char *
schema_type_form(int type)
{
	if (wire_is_atom(type))
		return " atom";
	return wire_is_list(type) && type != KT_LIST ? " vector" : "";
}

/* ---- tables and columns ---- */

__attribute__((format(printf, 3, 4))) static int
fail(struct schema_error *err, int code, const char *format, ...)
{
	va_list args;

	*err = (struct schema_error){ 0 };
	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	return code;
}

static int
fail_memory(struct schema_error *err)
{
	return fail(err, -ENOMEM, "out of memory");
}

static int
check_name(const char *name, struct schema_error *err)
{
	static const char letters[] = "_0123456789abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	size_t len = strspn(name, letters);

	if (name[len] == '\0' && len <= NAME_MAX_BYTES && name[0] > '9' &&
	    name[0] != '_')
		return 0;
	return fail(err, -EINVAL,
		    "\"%.40s\" cannot be a name; allowed: a letter, then "
		    "letters, digits and _, %d in all",
		    name, NAME_MAX_BYTES);
}

int
schema_add_table(struct schema *s, const char *name, struct schema_table **out,
		 struct schema_error *err)
{
	struct schema_table *tables;
	char *copy;
	int res = check_name(name, err);

	if (res != 0)
		return res;
	for (unsigned i = 0; i < s->tables_cnt; i++)
		if (strcmp(s->tables[i].name, name) == 0)
			return fail(err, -EEXIST, "table %s is defined twice",
				    name);
	if (s->tables_cnt == SCHEMA_TABLES_MAX)
		return fail(err, -E2BIG,
			    "table %s is one too many; allowed: %d tables",
			    name, SCHEMA_TABLES_MAX);
	tables = reallocarray(s->tables, s->tables_cnt + 1, sizeof(*tables));
	if (tables == NULL)
		return fail_memory(err);
	s->tables = tables;
	copy = strdup(name);
	if (copy == NULL)
		return fail_memory(err);
	*out = &tables[s->tables_cnt++];
	**out = (struct schema_table){ .name = copy };
	return 0;
}

/* The row of `types` for a q name or letter; NULL if the word is neither. */
static const struct column_type *
find_type(const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (strcmp(types[i].name, word) == 0 ||
		    (tolower((unsigned char)word[0]) == types[i].letter &&
		     word[1] == '\0'))
			return &types[i];
	return NULL;
}

/* Each table begins with time and sym: tick.q refuses to start otherwise. */
static int
check_begin(const struct schema_table *t, const char *name, int type,
	    const char *type_name, struct schema_error *err)
{
	static const char *const begin[] = { "time", "sym" };
	unsigned idx = t->columns_cnt;

	if (idx >= ARRAY_LEN(begin))
		return 0;
	if (strcmp(name, begin[idx]) != 0)
		return fail(err, -EINVAL,
			    "column %u of table %s is %s; allowed: %s, as each "
			    "table begins with time and sym",
			    idx + 1, t->name, name, begin[idx]);
	if (idx == 0 && type != KT_TIMESPAN && type != KT_TIMESTAMP &&
	    type != KT_TIME)
		return fail(err, -EINVAL,
			    "column time of table %s is a %s; allowed: "
			    "timespan, timestamp, time",
			    t->name, type_name);
	return 0;
}

int
schema_add_column(struct schema_table *t, const char *name, const char *type,
		  uint8_t attr, struct schema_error *err)
{
	static const struct column_type list = { "list", ' ', KT_LIST };
	static const struct column_type string = { "string", ' ', KT_LIST };
	const struct column_type *row = find_type(type);
	struct schema_column *columns;
	char *copy;
	int res = check_name(name, err);

	CHECK(attr <= KA_GROUPED);
	if (res != 0)
		return res;
	if (type[0] == '\0' || strcmp(type, list.name) == 0)
		row = &list;
	if (strcmp(type, string.name) == 0)
		row = &string;
	if (row == NULL)
		return fail(err, -ENOENT,
			    "\"%.40s\" is no type of a column; allowed: "
			    "types of q by name or letter, such as timespan "
			    "or n, and string, list",
			    type);
	for (unsigned i = 0; i < t->columns_cnt; i++)
		if (strcmp(t->columns[i].name, name) == 0)
			return fail(err, -EEXIST,
				    "table %.40s has a column %s already",
				    t->name, name);
	res = check_begin(t, name, row->type, row->name, err);
	if (res != 0)
		return res;
	if (t->columns_cnt == SCHEMA_COLUMNS_MAX)
		return fail(err, -E2BIG,
			    "column %s is one too many; allowed: %d columns",
			    name, SCHEMA_COLUMNS_MAX);
	columns =
		reallocarray(t->columns, t->columns_cnt + 1, sizeof(*columns));
	if (columns == NULL)
		return fail_memory(err);
	t->columns = columns;
	copy = strdup(name);
	if (copy == NULL)
		return fail_memory(err);
	columns[t->columns_cnt++] = (struct schema_column){
		.name = copy,
		.type = row->type,
		.is_string = row == &string,
		.attr = attr,
	};
	return 0;
}

/* ---- the constant bytes ---- */

static int
compare_names(const void *a, const void *b)
{
	const struct schema_table *left = a, *right = b;

	return strcmp(left->name, right->name);
}

static size_t
symbol_bytes(const char *name)
{
	return strlen(name) + 1;
}

/*
 * The length of the start of a table in both constants: wrapper, column names,
 * and the header of the list of columns (wire.md 3, table 98).
 */
static size_t
table_start_bytes(const struct schema_table *t)
{
	size_t bytes = 2 + 1 + 6 + 6;

	for (unsigned i = 0; i < t->columns_cnt; i++)
		bytes += symbol_bytes(t->columns[i].name);
	return bytes;
}

static void
put_table_start(struct wire_writer *w, const struct schema_table *t)
{
	wire_put_u8(w, KT_TABLE);
	wire_put_u8(w, KA_NONE);
	wire_put_u8(w, KT_DICT);
	wire_put_list(w, KT_SYMBOL, KA_NONE, t->columns_cnt);
	for (unsigned i = 0; i < t->columns_cnt; i++)
		wire_put_symbol_item(w, t->columns[i].name,
				     strlen(t->columns[i].name));
	wire_put_list(w, KT_LIST, KA_NONE, t->columns_cnt);
}

static int
build_publish_prefix(struct schema_table *t)
{
	static const char function[] = "upd";
	size_t len = WIRE_HEADER_BYTES + 6 + 1 + sizeof(function) + 1 +
		     symbol_bytes(t->name) + table_start_bytes(t);
	uint8_t *bytes = malloc(len);
	struct wire_writer w;

	if (bytes == NULL)
		return -ENOMEM;
	w = wire_writer(bytes, len);
	(void)wire_begin_frame(&w, WIRE_ASYNC);
	wire_put_list(&w, KT_LIST, KA_NONE, 3);
	wire_put_symbol(&w, function);
	wire_put_symbol(&w, t->name);
	put_table_start(&w, t);
	CHECK(!w.is_full && wire_written(&w) == len);
	t->publish_prefix = bytes;
	t->publish_prefix_len = len;
	return 0;
}

/*
 * `(name; @[0#table; `sym; `g#])`: by that attribute, the r.q of kdb+tick finds
 * the tables to group at the end of the day (tick-contract.md 2.3).
 */
static int
build_sub_reply(struct schema_table *t)
{
	size_t len = 6 + 1 + symbol_bytes(t->name) + table_start_bytes(t) +
		     6 * (size_t)t->columns_cnt;
	uint8_t *bytes = malloc(len);
	struct wire_writer w;

	if (bytes == NULL)
		return -ENOMEM;
	w = wire_writer(bytes, len);
	wire_put_list(&w, KT_LIST, KA_NONE, 2);
	wire_put_symbol(&w, t->name);
	put_table_start(&w, t);
	for (unsigned i = 0; i < t->columns_cnt; i++)
		wire_put_list(&w, t->columns[i].type,
			      i == 1 ? KA_GROUPED : KA_NONE, 0);
	CHECK(!w.is_full && wire_written(&w) == len);
	t->sub_reply = bytes;
	t->sub_reply_len = len;
	return 0;
}

int
schema_finish(struct schema *s, struct schema_error *err)
{
	*err = (struct schema_error){ 0 };
	if (s->tables_cnt == 0) {
		snprintf(err->text, sizeof(err->text),
			 "there is no table in it");
		return -EINVAL;
	}
	qsort(s->tables, s->tables_cnt, sizeof(*s->tables), compare_names);
	for (unsigned i = 0; i < s->tables_cnt; i++) {
		struct schema_table *t = &s->tables[i];

		/* schema_add_column has checked the names of the first two. */
		if (t->columns_cnt < 2) {
			snprintf(err->text, sizeof(err->text),
				 "table %s does not begin with columns time "
				 "and sym",
				 t->name);
			return -EINVAL;
		}
		CHECK(t->publish_prefix == NULL && t->sub_reply == NULL);
		t->idx = i;
		t->name_len = strlen(t->name);
		if (build_publish_prefix(t) != 0 || build_sub_reply(t) != 0) {
			snprintf(err->text, sizeof(err->text), "out of memory");
			return -ENOMEM;
		}
	}
	return 0;
}

const struct schema_table *
schema_find(const struct schema *s, const char *name, size_t name_len)
{
	unsigned from = 0, to = s->tables_cnt;

	while (from < to) {
		unsigned middle = from + (to - from) / 2;
		const struct schema_table *t = &s->tables[middle];
		size_t len = t->name_len;
		/* A name from a char vector may hold NULs. */
		int order = memcmp(t->name, name, min_u64(len, name_len));

		if (order == 0 && len == name_len)
			return t;
		if (order < 0 || (order == 0 && len < name_len))
			from = middle + 1;
		else
			to = middle;
	}
	return NULL;
}

void
schema_fini(struct schema *s)
{
	for (unsigned i = 0; i < s->tables_cnt; i++) {
		struct schema_table *t = &s->tables[i];

		for (unsigned k = 0; k < t->columns_cnt; k++)
			free(t->columns[k].name);
		free(t->columns);
		free(t->name);
		free(t->publish_prefix);
		free(t->sub_reply);
	}
	free(s->tables);
	*s = (struct schema){ 0 };
}
