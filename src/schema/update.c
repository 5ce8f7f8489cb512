#include "config.h"

#include "schema/update.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/util.h"
#include "wire/skip.h"
#include "wire/wire.h"

enum { REFUSAL_BYTES = 160 }; /* the text of an error; names are cut at 48 */

/* The state of one parse. */
struct parse {
	struct wire_reader r;
	const struct schema_column *columns;
	enum check_mode check;
	const char *refused; /* the text of the first refusal, or NULL */
	struct update u;
};

static int
type_at(const struct wire_reader *r)
{
	return (int8_t)*r->at;
}

/* Whether a column of this type may be a column of strings; an atom counts as
 * the column that it is extended to. */
static bool
may_be_strings(int type)
{
	return type == KT_LIST || type == KT_CHAR || type == -KT_CHAR;
}

/* Static and not in struct parse, so that no good update pays for clearing it.
 */
static char refusal[REFUSAL_BYTES];

/* Refuses the update; `word` is q's word for the error.  c is NULL if the error
 * is about the whole update. */
__attribute__((cold, noinline, format(printf, 4, 5))) static void
refuse(struct parse *p, const char *word, const struct schema_column *c,
       const char *format, ...)
{
	va_list args;
	int n;

	if (p->refused != NULL)
		return;
	p->refused = refusal;
	n = snprintf(refusal, sizeof(refusal), "%s: %.48s%s%.48s: ", word,
		     p->u.table->name, c != NULL ? "." : "",
		     c != NULL ? c->name : "");
	va_start(args, format);
	(void)vsnprintf(refusal + n, sizeof(refusal) - (size_t)n, format,
			args);
	va_end(args);
}

static const char *
wanted_name(const struct schema_column *c)
{
	return c->is_string ? "string" : schema_type_name(c->type);
}

__attribute__((cold, noinline)) static void
refuse_column(struct parse *p, const struct schema_column *c, int came)
{
	refuse(p, "type", c, "%s wanted, %s came", wanted_name(c),
	       schema_type_name(came));
}

/* A cell of a column of strings. */
__attribute__((cold, noinline)) static void
refuse_string(struct parse *p, const struct schema_column *c, int came,
	      uint32_t row)
{
	refuse(p, "type", c, "string wanted, %s%s came in row %u",
	       schema_type_name(came), schema_type_form(came), row);
}

__attribute__((cold, noinline)) static void
refuse_cell(struct parse *p, const struct schema_column *c, int came)
{
	refuse(p, "type", c, "%s%s wanted, %s%s came", wanted_name(c),
	       c->is_string ? "" : " atom", schema_type_name(came),
	       schema_type_form(came));
}

/* The number of items is wrong.  A first column that does not have the type of
 * the time column means that the time was left out, as in q. */
__attribute__((cold, noinline)) static void
refuse_count(struct parse *p, int first_type, uint64_t cnt)
{
	const struct schema_table *t = p->u.table;

	if (p->u.has_time)
		refuse(p, "length", NULL, "%u columns wanted, %llu came",
		       t->columns_cnt, (unsigned long long)cnt);
	else
		refuse(p, "length", NULL,
		       "%u columns wanted after the time (%s), %llu came, the "
		       "first %s",
		       t->columns_cnt - 1, wanted_name(&t->columns[0]),
		       (unsigned long long)cnt, schema_type_name(first_type));
}

/* ---- one column or cell against the schema ---- */

static void
check_column_type(struct parse *p, const struct schema_column *c, int type)
{
	if (wire_is_atom(type))
		type = -type;
	if (p->check == CHECK_SHAPE || (c->type == KT_LIST && !c->is_string))
		return;
	if (type != c->type)
		refuse_column(p, c, type);
}

static void
check_cell_type(struct parse *p, const struct schema_column *c, int type)
{
	if (p->check == CHECK_SHAPE || (c->type == KT_LIST && !c->is_string))
		return;
	if (c->is_string ? type != KT_CHAR && type != -KT_CHAR
			 : type != -c->type)
		refuse_cell(p, c, type);
}

/* The length of a vector of n equal atoms. */
static uint64_t
extended_len(uint64_t atom_data_len, uint64_t n)
{
	return WIRE_LIST_HEADER_BYTES + n * atom_data_len;
}

/* ---- the items of an update ---- */

/* The rows of the first column.  Its count is not yet checked: parse_column
 * does that. */
static inline uint64_t
first_rows(const struct wire_reader *r)
{
	const uint8_t *at = r->at;
	uint32_t cnt;

	return skip_header(type_at(r), &at, r->end, &cnt) ? cnt : wire_count(r);
}

/* Moves past the next item.  Returns whether it can be checked further: there
 * is one, it is well-formed, and it need not be rewritten first. */
static bool
next_item(struct parse *p, int *out_type)
{
	*out_type = p->r.at < p->r.end ? type_at(&p->r) : 0;
	wire_skip(&p->r);
	return p->r.bad == NULL && !p->r.has_long_counts;
}

/* The length of a string of one char. */
enum { STRING_OF_CHAR_BYTES = WIRE_LIST_HEADER_BYTES + 1 };

static void
parse_list_of_strings(struct parse *p, const struct schema_column *c,
		      const uint8_t *at)
{
	struct wire_reader r = wire_reader(at, (size_t)(p->r.at - at), false);
	uint32_t cnt = wire_load_u32(at + 2);

	p->u.frame_len += (uint64_t)(p->r.at - at);
	r.at += WIRE_LIST_HEADER_BYTES;
	for (uint32_t i = 0; i < cnt; i++) {
		int type = type_at(&r);

		if (type == -KT_CHAR) {
			p->u.is_verbatim = false;
			p->u.frame_len += STRING_OF_CHAR_BYTES - 2;
		} else if (type != KT_CHAR && p->check != CHECK_SHAPE) {
			refuse_string(p, c, type, i);
			return;
		}
		wire_skip(&r);
	}
}

/*
 * A column of strings that are not all char vectors.  In q, "2" in ("one";"2")
 * is a char, and ("1";"2") is one char vector: in a column of strings, each of
 * these chars is a string of one.
 */
static void
parse_strings(struct parse *p, const struct schema_column *c, const uint8_t *at,
	      int type)
{
	if (type == KT_LIST) {
		parse_list_of_strings(p, c, at);
		return;
	}
	p->u.is_verbatim = false;
	p->u.frame_len += extended_len(STRING_OF_CHAR_BYTES, p->u.rows);
}

static void
parse_column(struct parse *p, const struct schema_column *c)
{
	const uint8_t *at = p->r.at;
	const uint8_t *end =
		skip_column(c->type, c->is_string, at, p->r.end, p->u.rows);
	int type;

	if (end != NULL) {
		p->u.frame_len += (uint64_t)(end - at);
		p->r.at = end;
		return;
	}
	if (!next_item(p, &type))
		return;
	if (wire_is_list(type) && wire_load_u32(at + 2) != p->u.rows) {
		refuse(p, "length", c, "%llu rows wanted, %u came",
		       (unsigned long long)p->u.rows, wire_load_u32(at + 2));
		return;
	}
	if (c->is_string && may_be_strings(type)) {
		parse_strings(p, c, at, type);
		return;
	}
	if (wire_is_list(type)) {
		p->u.frame_len += (uint64_t)(p->r.at - at);
	} else if (wire_is_atom(type)) {
		p->u.is_verbatim = false;
		p->u.frame_len +=
			extended_len((uint64_t)(p->r.at - at) - 1, p->u.rows);
	} else {
		refuse_column(p, c, type);
		return;
	}
	check_column_type(p, c, type);
}

/* The length of a string cell given as a char: a list of one string of one
 * char. */
#define CHAR_AS_STRING_BYTES (WIRE_LIST_HEADER_BYTES + STRING_OF_CHAR_BYTES)

static void
parse_cell(struct parse *p, const struct schema_column *c)
{
	const uint8_t *at = p->r.at, *end = skip_atom(c->type, at, p->r.end);
	int type;
	uint64_t len;

	if (end != NULL) {
		p->u.frame_len += extended_len((uint64_t)(end - at) - 1, 1);
		p->r.at = end;
		return;
	}
	if (!next_item(p, &type))
		return;
	len = (uint64_t)(p->r.at - at);
	if (type == -KT_CHAR && c->is_string)
		p->u.frame_len += CHAR_AS_STRING_BYTES;
	else if (wire_is_atom(type))
		p->u.frame_len += extended_len(len - 1, 1);
	else
		p->u.frame_len += WIRE_LIST_HEADER_BYTES + len;
	check_cell_type(p, c, type);
}

/* ---- the forms of x ---- */

/* Sets the fields that depend on whether the first item is the time, and checks
 * the number of items.  Returns the column of the first item. */
static const struct schema_column *
expect_columns(struct parse *p, int first_type, uint64_t cnt)
{
	const struct schema_table *t = p->u.table;
	unsigned missing;

	p->u.has_time = first_type == t->columns[0].type ||
			-first_type == t->columns[0].type;
	missing = p->u.has_time ? 0 : 1;
	if (cnt != t->columns_cnt - missing)
		refuse_count(p, first_type, cnt);
	p->u.items_cnt = (unsigned)(t->columns_cnt - missing);
	p->u.frame_len = t->publish_prefix_len;
	return t->columns + missing;
}

static void
add_time_len(struct parse *p)
{
	size_t width = wire_item_bytes(p->u.table->columns[0].type);

	if (!p->u.has_time)
		p->u.frame_len += extended_len(width, p->u.rows);
}

/* Reads the items of a refused update, so that malformed bytes in them are
 * still found: the connection is then closed, not answered. */
static void
pass_items(struct parse *p, uint64_t cnt)
{
	for (uint64_t i = 0; i < cnt && p->r.bad == NULL; i++)
		wire_skip(&p->r);
}

static void
parse_columns(struct parse *p, uint64_t cnt)
{
	const struct schema_column *c;

	p->u.form = UPDATE_COLUMNS;
	p->u.is_verbatim = true;
	p->u.items = p->r.at;
	p->u.rows = wire_is_list(type_at(&p->r)) ? first_rows(&p->r) : 0;
	c = expect_columns(p, type_at(&p->r), cnt);
	if (p->refused != NULL) {
		pass_items(p, cnt);
		return;
	}
	for (uint64_t i = 0; i < cnt && p->r.bad == NULL; i++)
		parse_column(p, c + i);
	add_time_len(p);
}

static void
parse_cells(struct parse *p, uint64_t cnt)
{
	const struct schema_column *c;

	p->u.form = UPDATE_CELLS;
	p->u.items = p->r.at;
	p->u.rows = 1;
	c = expect_columns(p, type_at(&p->r), cnt);
	if (p->refused != NULL) {
		pass_items(p, cnt);
		return;
	}
	for (uint64_t i = 0; i < cnt && p->r.bad == NULL; i++)
		parse_cell(p, c + i);
	add_time_len(p);
}

/* x is a general list: the first item tells rows from columns, as in q. */
static void
parse_list(struct parse *p)
{
	uint8_t attr;
	uint64_t cnt;
	int first;

	p->r.at++;
	cnt = wire_get_count(&p->r, 2, &attr);
	if (p->r.bad != NULL)
		return;
	if (cnt == 0) {
		refuse(p, "length", NULL, "%u columns wanted, none came",
		       p->u.table->columns_cnt);
		return;
	}
	first = type_at(&p->r);
	if (wire_is_list(first)) {
		parse_columns(p, cnt);
	} else if (wire_is_atom(first)) {
		parse_cells(p, cnt);
	} else {
		refuse(p, "type", NULL,
		       "columns or cells wanted, the first is a %s",
		       schema_type_name(first));
		pass_items(p, cnt);
	}
}

/* x is a typed vector: one row whose cells all have that type. */
static void
parse_vector(struct parse *p)
{
	int type = type_at(&p->r);
	struct wire_reader items = p->r;
	const struct schema_column *c;
	uint8_t attr;
	uint64_t cnt;

	wire_skip(&p->r);
	if (p->r.bad != NULL || p->r.has_long_counts)
		return;
	items.at++;
	cnt = wire_get_count(&items, 1, &attr);
	p->u.form = UPDATE_VECTOR;
	p->u.vector_type = (int8_t)type;
	p->u.items = items.at;
	p->u.rows = 1;
	c = expect_columns(p, -type, cnt);
	if (p->refused != NULL)
		return;
	p->u.frame_len += (uint64_t)(p->r.at - items.at);
	for (unsigned i = 0; i < p->u.items_cnt; i++) {
		check_cell_type(p, c + i, -type);
		p->u.frame_len += WIRE_LIST_HEADER_BYTES;
		if (type == KT_CHAR && c[i].is_string)
			p->u.frame_len += CHAR_AS_STRING_BYTES -
					  (WIRE_LIST_HEADER_BYTES + 1);
	}
	add_time_len(p);
}

static void
parse_atom(struct parse *p)
{
	/* The same bytes as a list of one cell, without the list's header. */
	parse_cells(p, 1);
}

static bool
is_name(const struct schema_column *c, const char *name, size_t len)
{
	return strlen(c->name) == len && memcmp(c->name, name, len) == 0;
}

/* Refuses names that are not those of the schema, with or without the first. */
static void
check_names(struct parse *p, struct wire_reader names, uint64_t cnt)
{
	const struct schema_table *t = p->u.table;
	const struct schema_column *c = t->columns;
	const struct schema_column *end = c + t->columns_cnt;

	for (uint64_t i = 0; i < cnt; i++, c++) {
		size_t len;
		const char *name = wire_get_symbol(&names, &len);

		if (i == 0 && cnt < t->columns_cnt && !is_name(c, name, len))
			c++;
		if (c == end) {
			refuse(p, "mismatch", NULL,
			       "%u columns wanted, also %.48s came",
			       t->columns_cnt, name);
			return;
		}
		if (!is_name(c, name, len)) {
			refuse(p, "mismatch", c, "column wanted, %.48s came",
			       len == 0 ? "no name" : name);
			return;
		}
	}
	if (c != end)
		refuse(p, "mismatch", c, "column wanted, none came");
}

static void
parse_table(struct parse *p)
{
	const struct wire_reader whole = p->r;
	struct wire_table t;

	wire_skip(&p->r);
	if (p->r.bad != NULL || p->r.has_long_counts)
		return;
	t = wire_open_table(&whole);
	check_names(p, t.names, t.columns_cnt);
	if (p->refused != NULL)
		return;
	p->r.at = t.columns.at;
	parse_columns(p, t.columns_cnt);
}

enum update_result
update_parse(const struct schema_table *table, const uint8_t *x, size_t len,
	     enum check_mode check, struct update *out, const char **why)
{
	struct parse p = { .r = wire_reader(x, len, false),
			   .check = check,
			   .u.table = table };
	int type;

	if (len < 2) {
		*why = "the data is missing";
		return UPDATE_BAD;
	}
	wire_bound(&p.r);
	type = type_at(&p.r);
	if (type == KT_LIST) {
		parse_list(&p);
	} else if (wire_is_list(type)) {
		parse_vector(&p);
	} else if (wire_is_atom(type)) {
		parse_atom(&p);
	} else if (type == KT_TABLE) {
		parse_table(&p);
	} else {
		wire_skip(&p.r);
		refuse(&p, "type", NULL, "columns wanted, a %s came",
		       schema_type_name(type));
	}
	*why = p.r.bad;
	if (p.r.bad != NULL)
		return UPDATE_BAD;
	*why = "bytes after the data";
	if (p.r.at != p.r.end)
		return UPDATE_BAD;
	if (p.r.has_long_counts)
		return UPDATE_REWRITE;
	*why = p.refused;
	if (p.refused != NULL)
		return UPDATE_REFUSED;
	p.u.items_len = (size_t)(p.r.end - p.u.items);
	*out = p.u;
	return UPDATE_OK;
}

/* ---- writing ---- */

static uint8_t *
put_header(uint8_t *at, int type, uint64_t cnt)
{
	at[0] = (uint8_t)type;
	at[1] = KA_NONE;
	wire_store_u32(at + 2, (uint32_t)cnt);
	return at + WIRE_LIST_HEADER_BYTES;
}

static uint8_t *
put_bytes(uint8_t *at, const uint8_t *from, size_t len)
{
	memcpy(at, from, len);
	return at + len;
}

uint8_t *
update_put_time(const struct schema_table *t, uint64_t rows, int64_t local_ns,
		uint8_t *at)
{
	int type = t->columns[0].type;
	int64_t of_day = local_ns - (int64_t)clock_day(local_ns) * NS_PER_DAY;
	int64_t value = type == KT_TIMESTAMP ? local_ns : of_day;

	at = put_header(at, type, rows);
	for (uint64_t i = 0; i < rows; i++) {
		if (type == KT_TIME) {
			wire_store_u32(at, (uint32_t)(of_day / NS_PER_MS));
			at += 4;
		} else {
			wire_store_u64(at, (uint64_t)value);
			at += 8;
		}
	}
	return at;
}

/* The atom at `from` (type byte first) as a vector of n. */
static uint8_t *
put_extended(uint8_t *at, const uint8_t *from, size_t len, uint64_t n)
{
	at = put_header(at, -(int8_t)from[0], n);
	for (uint64_t i = 0; i < n; i++)
		at = wire_copy_short(at, from + 1, len - 1);
	return at;
}

static uint8_t *
put_string_of_char(uint8_t *at, uint8_t c)
{
	at = put_header(at, KT_CHAR, 1);
	*at = c;
	return at + 1;
}

static uint8_t *
put_char_as_string(uint8_t *at, uint8_t c)
{
	return put_string_of_char(put_header(at, KT_LIST, 1), c);
}

static uint8_t *
put_list_of_strings(uint8_t *at, const uint8_t *from, size_t len, uint64_t rows)
{
	const uint8_t *item = from + WIRE_LIST_HEADER_BYTES, *end = from + len;

	at = put_bytes(at, from, WIRE_LIST_HEADER_BYTES);
	for (uint64_t i = 0; i < rows; i++) {
		const uint8_t *next = skip_checked(item, end);

		if ((int8_t)*item == -KT_CHAR)
			at = put_string_of_char(at, item[1]);
		else
			at = put_bytes(at, item, (size_t)(next - item));
		item = next;
	}
	return at;
}

/* Writes a column that parse_strings has read. */
static uint8_t *
put_strings(uint8_t *at, const uint8_t *from, size_t len, uint64_t rows)
{
	int type = (int8_t)*from;

	if (type == KT_LIST)
		return put_list_of_strings(at, from, len, rows);
	at = put_header(at, KT_LIST, rows);
	from += type == KT_CHAR ? WIRE_LIST_HEADER_BYTES : 1;
	for (uint64_t i = 0; i < rows; i++)
		at = put_string_of_char(at, from[type == KT_CHAR ? i : 0]);
	return at;
}

static uint8_t *
put_cell(uint8_t *at, const struct schema_column *c, const uint8_t *from,
	 size_t len)
{
	int type = (int8_t)from[0];

	if (type == -KT_CHAR && c->is_string)
		return put_char_as_string(at, from[1]);
	if (wire_is_atom(type))
		return put_extended(at, from, len, 1);
	at = put_header(at, KT_LIST, 1);
	return put_bytes(at, from, len);
}

static uint8_t *
put_items(const struct update *u, uint8_t *at)
{
	const struct schema_column *c = u->table->columns + !u->has_time;
	const uint8_t *from = u->items, *end = u->items + u->items_len, *next;

	for (unsigned i = 0; i < u->items_cnt; i++, from = next) {
		size_t len;

		next = skip_checked(from, end);
		len = (size_t)(next - from);
		if (u->form == UPDATE_CELLS)
			at = put_cell(at, c + i, from, len);
		else if (c[i].is_string && may_be_strings((int8_t)*from))
			at = put_strings(at, from, len, u->rows);
		else if (wire_is_atom((int8_t)from[0]))
			at = put_extended(at, from, len, u->rows);
		else
			at = put_bytes(at, from, len);
	}
	return at;
}

static uint8_t *
put_vector_items(const struct update *u, uint8_t *at)
{
	const struct schema_column *c = u->table->columns + !u->has_time;
	const uint8_t *from = u->items, *end = u->items + u->items_len, *next;

	for (unsigned i = 0; i < u->items_cnt; i++, from = next) {
		next = skip_checked_items(u->vector_type, from, end, 1);
		if (u->vector_type == KT_CHAR && c[i].is_string) {
			at = put_char_as_string(at, *from);
		} else {
			at = put_header(at, u->vector_type, 1);
			at = put_bytes(at, from, (size_t)(next - from));
		}
	}
	return at;
}

void
update_write(const struct update *u, int64_t local_ns, uint8_t *at)
{
	const struct schema_table *t = u->table;
	uint8_t *start = at;

	at = put_bytes(at, t->publish_prefix, t->publish_prefix_len);
	wire_store_u32(start + 4, (uint32_t)u->frame_len);
	if (!u->has_time)
		at = update_put_time(t, u->rows, local_ns, at);
	if (u->form == UPDATE_VECTOR)
		at = put_vector_items(u, at);
	else if (u->is_verbatim)
		at = put_bytes(at, u->items, u->items_len);
	else
		at = put_items(u, at);
	CHECK((uint64_t)(at - start) == u->frame_len);
}
