#include "config.h"

#include "tools/sub_tables.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "wire/wire.h"

static bool
is_name(const char *symbol, size_t len, const char *name)
{
	return strlen(name) == len && memcmp(symbol, name, len) == 0;
}

static bool
is_sequence_name(const struct sub_tables *s, const char *symbol, size_t len)
{
	if (s->column != NULL)
		return is_name(symbol, len, s->column);
	return is_name(symbol, len, "size") || is_name(symbol, len, "asize");
}

static bool
has_head(const struct sub_table *t, const uint8_t *body, size_t len)
{
	return t->head_len > 0 && t->head_len <= len &&
	       memcmp(t->head, body, t->head_len) == 0;
}

struct sub_table *
sub_tables_find(struct sub_tables *s, const uint8_t *body, size_t len)
{
	if (s->tables_cnt > 0 && has_head(s->tables[s->table_idx], body, len))
		return s->tables[s->table_idx];
	for (unsigned i = 0; i < s->tables_cnt; i++)
		if (has_head(s->tables[i], body, len)) {
			s->table_idx = i;
			return s->tables[i];
		}
	return NULL;
}

/* Finds the table with that name, or adds it; NULL: no memory, or too many. */
static struct sub_table *
table_named(struct sub_tables *s, const char *name, size_t len)
{
	struct sub_table *t;

	len = min_u64(len, SUB_NAME_MAX - 1);
	for (unsigned i = 0; i < s->tables_cnt; i++)
		if (is_name(name, len, s->tables[i]->name)) {
			s->table_idx = i;
			return s->tables[i];
		}
	if (s->tables_cnt == SUB_TABLES_MAX)
		return NULL;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return NULL;
	memcpy(t->name, name, len);
	s->table_idx = s->tables_cnt;
	s->tables[s->tables_cnt++] = t;
	return t;
}

/*
 * Moves r past (`upd;`name; of an update and returns the name; false if the
 * body is something else.
 */
static bool
read_upd(struct wire_reader *r, const char **out_name, size_t *out_len)
{
	const char *symbol;
	uint8_t attr;

	if (wire_get_u8(r) != KT_LIST || wire_get_count(r, 1, &attr) != 3 ||
	    (int8_t)wire_get_u8(r) != -KT_SYMBOL)
		return false;
	symbol = wire_get_symbol(r, out_len);
	if (!is_name(symbol, *out_len, "upd") ||
	    (int8_t)wire_get_u8(r) != -KT_SYMBOL)
		return false;
	*out_name = wire_get_symbol(r, out_len);
	return true;
}

struct sub_table *
sub_tables_learn(struct sub_tables *s, const uint8_t *body, size_t len)
{
	struct wire_reader r = wire_reader(body, len, false);
	struct sub_table *t;
	const char *name;
	size_t name_len;
	struct wire_table table;
	uint8_t *head;

	if (!read_upd(&r, &name, &name_len) || *r.at != KT_TABLE)
		return NULL;
	t = table_named(s, name, name_len);
	if (t == NULL)
		return NULL;
	t->time_idx = t->sequence_idx = -1;
	table = wire_open_table(&r);
	for (uint64_t i = 0; i < table.columns_cnt; i++) {
		name = wire_get_symbol(&table.names, &name_len);
		if (is_name(name, name_len, "time"))
			t->time_idx = (int)i;
		if (is_sequence_name(s, name, name_len))
			t->sequence_idx = (int)i;
	}
	CHECK(table.columns.bad == NULL);

	head = realloc(t->head, (size_t)(table.columns.at - body));
	if (head == NULL)
		return NULL;
	t->head = head;
	t->head_len = (size_t)(table.columns.at - body);
	memcpy(t->head, body, t->head_len);
	return t;
}

const char *
sub_table_read(const struct sub_table *t, const uint8_t *body, size_t len,
	       bool is_time_wanted, bool is_sequence_wanted,
	       struct sub_update *out)
{
	struct wire_reader r =
		wire_reader(body + t->head_len, len - t->head_len, false);
	int time_idx = is_time_wanted ? t->time_idx : -1;
	int sequence_idx = is_sequence_wanted ? t->sequence_idx : -1;

	*out = (struct sub_update){ .rows = 0 };
	for (int i = 0; i == 0 || i <= time_idx || i <= sequence_idx; i++) {
		struct wire_reader column = r;
		uint64_t count;
		uint8_t attr;
		int type;

		wire_skip(&r);
		if (r.bad != NULL)
			return r.bad;
		type = (int8_t)wire_get_u8(&column);
		if (type < 0 || type > KT_TIME)
			return "a column of a table is not a list";
		count = wire_get_count(&column, 1, &attr);
		if (i == 0)
			out->rows = count;
		if (i == time_idx && count > 0) {
			out->time_type = type;
			out->time = column.at;
		}
		if (i == sequence_idx && type == KT_LONG) {
			out->sequence = column.at;
			out->sequence_cnt = count;
		}
	}
	return NULL;
}

void
sub_table_count(struct sub_table *t, const struct sub_update *update)
{
	const uint8_t *items = update->sequence;

	for (uint64_t i = 0; i < update->sequence_cnt; i++, items += 8)
		sequence_add(&t->sequence, (int64_t)wire_load_u64(items));
}

void
sub_tables_fini(struct sub_tables *s)
{
	for (unsigned i = 0; i < s->tables_cnt; i++) {
		free(s->tables[i]->head);
		free(s->tables[i]);
	}
	s->tables_cnt = 0;
}
