#include "config.h"

#include "config/rights.h"

#include <stdlib.h>
#include <string.h>

/* ---- symbols ---- */

static int
compare(unsigned a_idx, const char *a, size_t a_len, unsigned b_idx,
	const char *b, size_t b_len)
{
	int order;

	if (a_idx != b_idx)
		return a_idx < b_idx ? -1 : 1;
	order = memcmp(a, b, a_len < b_len ? a_len : b_len);
	if (order != 0)
		return order;
	return (a_len > b_len) - (a_len < b_len);
}

static int
compare_symbols(const void *x, const void *y)
{
	const struct symbol_right *a = x, *b = y;

	return compare(a->table_idx, a->symbol, strlen(a->symbol), b->table_idx,
		       b->symbol, strlen(b->symbol));
}

/* The number of symbols before this one in the order. */
static unsigned
find_place(const struct rights *r, unsigned table_idx, const char *symbol,
	   size_t len)
{
	unsigned low = 0, high = r->symbols_cnt;

	while (low < high) {
		unsigned mid = low + (high - low) / 2;
		const struct symbol_right *s = &r->symbols[mid];

		if (compare(s->table_idx, s->symbol, strlen(s->symbol),
			    table_idx, symbol, len) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool
rights_may_have(const struct rights *r, unsigned table_idx, const char *symbol,
		size_t len)
{
	unsigned at = find_place(r, table_idx, symbol, len);

	return at < r->symbols_cnt &&
	       compare(r->symbols[at].table_idx, r->symbols[at].symbol,
		       strlen(r->symbols[at].symbol), table_idx, symbol,
		       len) == 0;
}

const struct symbol_right *
rights_symbols(const struct rights *r, unsigned table_idx, unsigned *out_cnt)
{
	unsigned first = find_place(r, table_idx, "", 0);

	*out_cnt = find_place(r, table_idx + 1, "", 0) - first;
	return &r->symbols[first];
}

bool
rights_have_same_symbols(const struct rights *a, const struct rights *b,
			 unsigned table_idx)
{
	unsigned a_cnt, b_cnt;
	const struct symbol_right *x = rights_symbols(a, table_idx, &a_cnt);
	const struct symbol_right *y = rights_symbols(b, table_idx, &b_cnt);

	if (a_cnt != b_cnt)
		return false;
	for (unsigned i = 0; i < a_cnt; i++)
		if (strcmp(x[i].symbol, y[i].symbol) != 0)
			return false;
	return true;
}

/* Removes the table's symbols. */
static void
drop_symbols(struct rights *r, unsigned table_idx)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < r->symbols_cnt; i++) {
		if (r->symbols[i].table_idx == table_idx)
			free(r->symbols[i].symbol);
		else
			r->symbols[kept++] = r->symbols[i];
	}
	r->symbols_cnt = kept;
}

void
rights_finish(struct rights *r)
{
	unsigned kept = 0;

	if (r->symbols_cnt == 0)
		return;
	qsort(r->symbols, r->symbols_cnt, sizeof(*r->symbols), compare_symbols);
	for (unsigned i = 1; i < r->symbols_cnt; i++) {
		if (compare_symbols(&r->symbols[kept], &r->symbols[i]) == 0)
			free(r->symbols[i].symbol);
		else
			r->symbols[++kept] = r->symbols[i];
	}
	r->symbols_cnt = kept + 1;
}

/* ---- rows ---- */

const struct rights *
rights_find(const struct rights *all, unsigned cnt, const char *name)
{
	for (unsigned i = 0; i < cnt; i++)
		if (strcmp(all[i].name, name) == 0)
			return &all[i];
	return NULL;
}

static int
compare_names(const void *x, const void *y)
{
	const struct rights *a = x, *b = y;

	return strcmp(a->name, b->name);
}

void
rights_sort(struct rights *all, unsigned cnt)
{
	qsort(all, cnt, sizeof(*all), compare_names);
}

static int
compare_name(const void *name, const void *row)
{
	return strcmp(name, ((const struct rights *)row)->name);
}

const struct rights *
rights_search(const struct rights *all, unsigned cnt, const char *name)
{
	return cnt == 0 ? NULL
			: bsearch(name, all, cnt, sizeof(*all), compare_name);
}

/* ---- one row ---- */

bool
rights_init(struct rights *r, const char *name)
{
	*r = (struct rights){ .policy = -1, .spill_limit = -1 };
	r->name = strdup(name);
	return r->name != NULL;
}

void
rights_fini(struct rights *r)
{
	for (unsigned i = 0; i < r->symbols_cnt; i++)
		free(r->symbols[i].symbol);
	free(r->symbols);
	free(r->name);
	*r = (struct rights){ 0 };
}

void
rights_give_all(struct rights *r, const struct schema *schema, unsigned may)
{
	for (unsigned i = 0; i < schema->tables_cnt; i++) {
		bits_set(r->publish, i, true);
		rights_give_table(r, i);
	}
	r->publishes_all = true;
	r->may |= may;
}

void
rights_give_table(struct rights *r, unsigned table_idx)
{
	bits_set(r->subscribe, table_idx, true);
	if (!rights_is_restricted(r, table_idx))
		return;
	bits_set(r->restricted, table_idx, false);
	drop_symbols(r, table_idx);
}

bool
rights_give_symbol(struct rights *r, unsigned table_idx, const char *symbol)
{
	struct symbol_right *larger;

	if (rights_may_subscribe(r, table_idx) &&
	    !rights_is_restricted(r, table_idx))
		return true;
	larger =
		realloc(r->symbols, (r->symbols_cnt + 1) * sizeof(*r->symbols));
	if (larger == NULL)
		return false;
	r->symbols = larger;
	larger[r->symbols_cnt].table_idx = table_idx;
	larger[r->symbols_cnt].symbol = strdup(symbol);
	if (larger[r->symbols_cnt].symbol == NULL)
		return false;
	r->symbols_cnt++;
	bits_set(r->subscribe, table_idx, true);
	bits_set(r->restricted, table_idx, true);
	return true;
}

/* With the NUL: names do not run into each other. */
static uint64_t
add_name(uint64_t hash, const char *name)
{
	do
		hash = hash_add(hash, (uint8_t)*name);
	while (*name++ != '\0');
	return hash;
}

void
rights_set_view(struct rights *r, const struct schema *schema)
{
	uint64_t hash = HASH_BEGIN;
	unsigned whole_cnt = 0;

	for (unsigned i = 0; i < schema->tables_cnt; i++) {
		const struct symbol_right *one;
		unsigned cnt = 0;

		if (!rights_may_subscribe(r, i))
			continue;
		hash = add_name(hash, schema->tables[i].name);
		if (rights_is_restricted(r, i))
			one = rights_symbols(r, i, &cnt);
		else
			whole_cnt++;
		hash = hash_add(hash, cnt);
		for (; cnt > 0; cnt--, one++)
			hash = add_name(hash, one->symbol);
	}
	r->view = (uint32_t)(hash ^ hash >> 32) & INT32_MAX;
	if (r->view == 0)
		r->view = 1;
	if (whole_cnt == schema->tables_cnt)
		r->view = 0;
}

bool
rights_add_role(struct rights *r, const struct rights *role)
{
	for (unsigned i = 0; i < SCHEMA_TABLES_MAX; i++)
		if (rights_may_subscribe(role, i) &&
		    !rights_is_restricted(role, i))
			rights_give_table(r, i);
	for (unsigned i = 0; i < role->symbols_cnt; i++)
		if (!rights_give_symbol(r, role->symbols[i].table_idx,
					role->symbols[i].symbol))
			return false;
	for (size_t i = 0; i < ARRAY_LEN(r->publish); i++)
		r->publish[i] |= role->publish[i];
	for (size_t i = 0; i < ARRAY_LEN(r->roles); i++)
		r->roles[i] |= role->roles[i];
	r->publishes_all = r->publishes_all || role->publishes_all;
	r->may |= role->may;
	if (r->policy < 0)
		r->policy = role->policy;
	if (r->spill_limit < 0)
		r->spill_limit = role->spill_limit;
	for (size_t i = 0; i < ARRAY_LEN(r->limits); i++)
		if (r->limits[i] == 0)
			r->limits[i] = role->limits[i];
	return true;
}
