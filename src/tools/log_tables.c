#include "config.h"

#include "tools/log_tables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/print.h"
#include "wire/wire.h"

static bool
is_wanted(const char *wanted, const char *name, size_t len)
{
	for (const char *at = wanted; at != NULL; at++) {
		size_t one = strcspn(at, ",");

		if (one == len && memcmp(at, name, len) == 0)
			return true;
		at += one;
		if (*at == '\0')
			return false;
	}
	return true;
}

static bool
is_table(const struct log_table *t, const struct journal_record *record)
{
	return t->name_len == record->table_len &&
	       memcmp(t->name, record->table, record->table_len) == 0;
}

struct log_table *
log_tables_find(struct log_tables *l, const struct journal_record *record)
{
	struct log_table *t;

	if (l->cnt > 0 && is_table(&l->tables[l->idx], record))
		return &l->tables[l->idx];
	for (l->idx = 0; l->idx < l->cnt; l->idx++)
		if (is_table(&l->tables[l->idx], record))
			return &l->tables[l->idx];
	l->idx = 0;
	if (l->cnt == l->cap) {
		size_t cap = l->cap == 0 ? 64 : 2 * l->cap;

		t = reallocarray(l->tables, cap, sizeof(*t));
		if (t == NULL)
			return NULL;
		l->tables = t;
		l->cap = cap;
	}
	t = &l->tables[l->cnt];
	*t = (struct log_table){
		.name = strndup(record->table, record->table_len),
		.name_len = record->table_len,
		.is_wanted =
			is_wanted(l->wanted, record->table, record->table_len),
	};
	if (t->name == NULL)
		return NULL;
	l->idx = l->cnt++;
	return t;
}

void
log_table_add(struct log_table *t, const struct journal_record *record,
	      const struct log_payload *p)
{
	size_t bytes = wire_item_bytes(p->time_type);

	t->rows += p->rows;
	t->bytes += record->len;
	if (p->time_first == NULL)
		return;
	if (t->first_type == 0) {
		t->first_type = p->time_type;
		memcpy(t->first, p->time_first, bytes);
	}
	t->last_type = p->time_type;
	memcpy(t->last, p->time_last, bytes);
}

void
log_tables_tell_missing(const struct log_tables *l, const char *path)
{
	for (const char *at = l->wanted; at != NULL && *at != '\0';) {
		size_t len = strcspn(at, ","), i = 0;

		while (i < l->cnt && (l->tables[i].name_len != len ||
				      memcmp(l->tables[i].name, at, len) != 0))
			i++;
		if (i == l->cnt)
			fprintf(stderr,
				"ringtick log: %s: no record of table %.*s was "
				"found\n",
				path, (int)len, at);
		at += len;
		at += *at == ',';
	}
}

/* Prints the name with escapes, as print.c shows a symbol. */
static void
print_name(const struct log_table *t)
{
	struct print_text text = { .len = 0 };
	size_t len = t->name_len + 2;
	uint8_t *atom = malloc(len);

	if (atom != NULL) {
		atom[0] = 256 - KT_SYMBOL;
		memcpy(atom + 1, t->name, t->name_len + 1);
		print_object(&text, wire_reader(atom, len, false));
	}
	printf("table=%s", atom == NULL ? "" : text.text + 1);
	free(atom);
}

static void
print_time(const char *key, int type, const uint8_t *item)
{
	struct print_text text = { .len = 0 };

	if (type != 0)
		print_item(&text, type, item);
	printf(" %s=%s", key, type != 0 ? text.text : "");
}

void
log_tables_print(const struct log_tables *l)
{
	for (size_t i = 0; i < l->cnt; i++) {
		const struct log_table *t = &l->tables[i];

		if (t->records == 0)
			continue;
		print_name(t);
		printf(" records=%llu rows=%llu bytes=%llu",
		       (unsigned long long)t->records,
		       (unsigned long long)t->rows,
		       (unsigned long long)t->bytes);
		print_time("first", t->first_type, t->first);
		print_time("last", t->last_type, t->last);
		putchar('\n');
	}
}

void
log_tables_fini(struct log_tables *l)
{
	for (size_t i = 0; i < l->cnt; i++)
		free(l->tables[i].name);
	free(l->tables);
	*l = (struct log_tables){ 0 };
}
