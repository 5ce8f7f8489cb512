#include "config.h"

#include "tick/subscribe.h"

#include <errno.h>
#include <string.h>

#include "q/parse.h"
#include "tick/position.h"
#include "wire/wire.h"

enum {
	NAME_BYTES_MAX = 255, /* of a table's name in a list */
	LATE_ITEMS = 1024,    /* items between two looks at the clock */
};

static const char bad_type[] = "type";
static const char too_many[] = "symbols";

/* ---- the selection while it changes ---- */

static struct symbols *
symbols_of(const struct call *c)
{
	return &c->tick->streams->filter.symbols;
}

/* The filters, for a change; NULL if there are too many different ones. */
static struct symbol_set *
filters_of(struct call *c)
{
	if (c->filters == NULL)
		c->filters =
			symbols_begin(symbols_of(c), c->out->selection.symbols);
	return c->filters;
}

void
subscribe_finish(struct call *c)
{
	struct selection *s = &c->out->selection;

	if (c->filters != NULL)
		s->symbols = symbols_finish(symbols_of(c), c->filters);
	else
		symbols_hold(s->symbols);
	c->filters = NULL;
	c->holds_selection = true;
}

void
subscribe_undo(struct call *c)
{
	symbols_release(symbols_of(c), c->filters);
	c->filters = NULL;
	if (c->holds_selection)
		symbols_release(symbols_of(c), c->out->selection.symbols);
	c->holds_selection = false;
	c->out->selection = c->client->selection;
}

bool
subscribe_begin_trap(void *context)
{
	struct call *c = context;
	struct call_trap *trap = &c->traps[c->traps_cnt];

	if (c->traps_cnt == CALL_TRAPS_MAX)
		return false;
	*trap = (struct call_trap){ .out = *c->out,
				    .is_subscribing = c->is_subscribing };
	if (c->filters != NULL)
		trap->filters = symbols_begin(symbols_of(c), c->filters);
	if (c->filters != NULL && trap->filters == NULL)
		return false;
	c->traps_cnt++;
	return true;
}

void
subscribe_end_trap(void *context, bool has_failed)
{
	struct call *c = context;
	struct call_trap *trap = &c->traps[--c->traps_cnt];
	struct symbol_set *after = c->filters;

	if (!has_failed) {
		symbols_release(symbols_of(c), trap->filters);
		return;
	}
	*c->out = trap->out;
	c->is_subscribing = trap->is_subscribing;
	c->filters = trap->filters;
	symbols_release(symbols_of(c), after);
}

void
subscribe_forget(struct call *c)
{
	symbols_release(symbols_of(c), c->filters);
	c->filters = NULL;
	c->out->selection = (struct selection){ 0 };
}

/* ---- filters on the wire ---- */

static bool
is_null_symbol(const struct request_arg *arg)
{
	return (int8_t)arg->at[0] == -KT_SYMBOL && arg->len == 2;
}

static bool
is_empty_list(const struct request_arg *arg)
{
	return value_is_list(arg) && wire_load_u32(arg->at + 2) == 0;
}

/* Whether items of the filter can be in the table's sym column. */
static bool
can_match(const struct schema_table *t, const struct request_arg *filter)
{
	int type = (int8_t)filter->at[0], wanted = t->columns[1].type;

	return is_empty_list(filter) ||
	       (wanted != KT_LIST && (type == wanted || type == -wanted));
}

/* The limit of the client's user. */
static const char *
check_symbols(struct call *c)
{
	uint32_t max = c->client->rights->limits[LIMIT_SYMBOLS];

	if (max == 0 || c->filters->cnt <= max)
		return NULL;
	c->is_over_limit = true;
	c->tick->counters->over_symbols++;
	return too_many;
}

/* Adds one item of the table's sym column to the filter, unless its rows are
 * kept from the client's user.  Returns NULL or the text of an error. */
static const char *
add_item(struct call *c, const struct schema_table *t, const uint8_t *item,
	 size_t len)
{
	const struct rights *rights = c->client->rights;

	if (rights_is_restricted(rights, t->idx) &&
	    !rights_may_have(rights, t->idx, (const char *)item, len))
		return NULL;
	switch (symbols_add(symbols_of(c), c->filters, t->idx, item, len)) {
	case 0:
		return check_symbols(c);
	case -E2BIG:
		return "length";
	default:
		return too_many;
	}
}

static const char *
add_items(struct call *c, const struct schema_table *t,
	  const struct request_arg *filter)
{
	struct wire_reader r = wire_reader(filter->at, filter->len, false);
	int type = (int8_t)wire_get_u8(&r), item_type = t->columns[1].type;
	uint64_t cnt = 1;
	const char *error = NULL;

	if (is_empty_list(filter))
		return NULL;
	if (type > 0)
		cnt = wire_get_count(&r, 1, NULL);
	for (; cnt > 0 && error == NULL; cnt--) {
		const uint8_t *item = r.at;

		if (cnt % LATE_ITEMS == 0 && tick_is_late(c->tick))
			return query_limit;
		size_t len = wire_item_bytes(item_type);

		if (item_type == KT_SYMBOL)
			(void)wire_get_symbol(&r, &len);
		else
			r.at += len;
		error = add_item(c, t, item, len);
	}
	return error;
}

/* ---- one table ---- */

/* Of a restricted table: all rows that the client's user may have. */
static const char *
take_allowed(struct call *c, const struct schema_table *t)
{
	unsigned cnt;
	const struct symbol_right *one =
		rights_symbols(c->client->rights, t->idx, &cnt);
	const char *error = NULL;

	selection_add(&c->out->selection, t->idx);
	if (filters_of(c) == NULL)
		return too_many;
	symbols_forget(symbols_of(c), c->filters, t->idx);
	symbols_filter(c->filters, t->idx);
	for (; cnt > 0 && error == NULL; cnt--, one++) {
		if (cnt % LATE_ITEMS == 0 && tick_is_late(c->tick))
			return query_limit;
		error = add_item(c, t, (const uint8_t *)one->symbol,
				 strlen(one->symbol));
	}
	return error;
}

/* Selects the whole table, without a filter. */
static const char *
take_whole(struct call *c, const struct schema_table *t)
{
	selection_add(&c->out->selection, t->idx);
	if (c->filters == NULL && c->out->selection.symbols == NULL)
		return NULL;
	if (filters_of(c) == NULL)
		return too_many;
	symbols_forget(symbols_of(c), c->filters, t->idx);
	return NULL;
}

/* Selects the rows of some symbols, instead of the earlier selection of the
 * table. */
static const char *
take_some(struct call *c, const struct schema_table *t,
	  const struct request_arg *filter)
{
	if (!can_match(t, filter))
		return bad_type;
	if (filters_of(c) == NULL)
		return too_many;
	selection_add(&c->out->selection, t->idx);
	symbols_forget(symbols_of(c), c->filters, t->idx);
	symbols_filter(c->filters, t->idx);
	return add_items(c, t, filter);
}

static const char *
take_table(struct call *c, const struct schema_table *t,
	   const struct request_arg *filter)
{
	if (!is_null_symbol(filter))
		return take_some(c, t, filter);
	return rights_is_restricted(c->client->rights, t->idx)
		       ? take_allowed(c, t)
		       : take_whole(c, t);
}

/*
 * Works like "union" in q: a client that had the whole table, whose filter is
 * `, gets a filter of the null symbol and the added ones.
 */
static const char *
take_more(struct call *c, const struct schema_table *t,
	  const struct request_arg *filter)
{
	const char *error = NULL;
	bool had_all;

	if (!selection_has(&c->out->selection, t->idx))
		return take_table(c, t, filter);
	if (filters_of(c) == NULL)
		return too_many;
	had_all = !symbols_is_filtered(c->filters, t->idx);
	if (!is_null_symbol(filter) && !can_match(t, filter))
		return bad_type;
	/* A column of numbers cannot have the null symbol. */
	if ((had_all || is_null_symbol(filter)) &&
	    t->columns[1].type != KT_SYMBOL)
		return bad_type;
	symbols_filter(c->filters, t->idx);
	if (had_all)
		error = add_item(c, t, (const uint8_t *)"", 0);
	return error != NULL ? error : add_items(c, t, filter);
}

/* ---- .u.sub, .u.add, .u.del ---- */

typedef const char *(*change_table)(struct call *c,
				    const struct schema_table *t,
				    const struct request_arg *filter);

static void
put_sub_reply(struct wire_writer *out, const struct schema_table *t)
{
	wire_put_bytes(out, t->sub_reply, t->sub_reply_len);
}

/* The tables that the client's user may not subscribe to are left out; it is
 * refused if none is left. */
static const char *
select_all(struct call *c, change_table change,
	   const struct request_arg *filter, struct wire_writer *out)
{
	const struct schema *schema = &c->tick->settings->tables;
	const struct rights *rights = c->client->rights;
	uint32_t cnt = 0;

	for (unsigned i = 0; i < schema->tables_cnt; i++)
		cnt += rights_may_subscribe(rights, i);
	if (cnt == 0)
		return call_refuse(c);
	wire_put_list(out, KT_LIST, KA_NONE, cnt);
	for (unsigned i = 0; i < schema->tables_cnt; i++) {
		const char *error;

		if (!rights_may_subscribe(rights, i))
			continue;
		error = change(c, &schema->tables[i], filter);
		if (error != NULL)
			return error;
		put_sub_reply(out, &schema->tables[i]);
	}
	return NULL;
}

/* Changes the selection of one table, or of all if it is `. */
static const char *
select_tables(struct call *c, const struct request_arg *table,
	      change_table change, const struct request_arg *filter,
	      struct wire_writer *out)
{
	const struct schema *schema = &c->tick->settings->tables;
	const struct schema_table *found;

	if ((int8_t)table->at[0] != -KT_SYMBOL)
		return bad_type;
	c->is_subscribing = true;
	if (is_null_symbol(table))
		return select_all(c, change, filter, out);
	found = schema_find(schema, (const char *)table->at + 1,
			    table->len - 2);
	if (found == NULL)
		return call_name_error(c->tick, table);
	if (!rights_may_subscribe(c->client->rights, found->idx))
		return call_refuse(c);
	put_sub_reply(out, found);
	return change(c, found, filter);
}

const char *
subscribe_tables(struct call *c, const struct request_arg *table,
	       const struct request_arg *symbols, struct wire_writer *out)
{
	return select_tables(c, table, take_table, symbols, out);
}

const char *
subscribe_each(struct call *c, const struct request_arg *tables,
		    const struct request_arg *symbols, struct wire_writer *out)
{
	struct wire_reader r = wire_reader(tables->at, tables->len, false);
	uint8_t symbol[1 + NAME_BYTES_MAX + 1] = { 256 - KT_SYMBOL };
	uint64_t count;

	CHECK(wire_get_u8(&r) == KT_SYMBOL);
	count = wire_get_count(&r, 1, NULL);
	if (count == 0 || count > c->tick->settings->tables.tables_cnt)
		return "length";
	wire_put_list(out, KT_LIST, KA_NONE, (uint32_t)count);
	for (; count > 0; count--) {
		size_t len;
		const char *name = wire_get_symbol(&r, &len);
		struct request_arg one = { symbol, len + 2 };
		const char *error;

		if (len > NAME_BYTES_MAX)
			return "length";
		memcpy(symbol + 1, name, len);
		symbol[1 + len] = '\0';
		error = subscribe_tables(c, &one, symbols, out);
		if (error != NULL)
			return error;
	}
	return NULL;
}

/* Writes (.u.i;.u.L;schemas), as mgkdb's tickerplant does for a list of tables
 * (doc/notes/clients.md). */
static const char *
subscribe_as_mgkdb(struct call *c, const struct request_arg *tables,
		   const struct request_arg *symbols, struct wire_writer *out)
{
	const char *error;

	c->is_subscribing = true;
	wire_put_list(out, KT_LIST, KA_NONE, 3);
	error = position_put(c, out);
	return error != NULL ? error
			     : subscribe_each(c, tables, symbols, out);
}

const char *
call_sub(void *context, const struct request_arg *args, unsigned args_cnt,
	 struct wire_writer *out)
{
	struct call *c = context;

	if (args_cnt != 2)
		return call_bad_rank;
	if ((int8_t)args[0].at[0] == KT_SYMBOL &&
	    c->tick->settings->compatibility.sub_list == SUB_LIST_MGKDB)
		return subscribe_as_mgkdb(c, &args[0], &args[1], out);
	return subscribe_tables(c, &args[0], &args[1], out);
}

const char *
call_add(void *context, const struct request_arg *args, unsigned args_cnt,
	 struct wire_writer *out)
{
	if (args_cnt != 2)
		return call_bad_rank;
	/* Unlike in .u.sub, ` does not mean all tables. */
	if (is_null_symbol(&args[0]))
		return call_name_error(((struct call *)context)->tick,
				       &args[0]);
	return select_tables(context, &args[0], take_more, &args[1], out);
}

const char *
call_del(void *context, const struct request_arg *args, unsigned args_cnt,
	 struct wire_writer *out)
{
	struct call *c = context;
	const struct schema_table *found;

	if (args_cnt != 2)
		return call_bad_rank;
	if ((int8_t)args[0].at[0] != -KT_SYMBOL ||
	    (int8_t)args[1].at[0] != -KT_INT)
		return bad_type;
	found = schema_find(&c->tick->settings->tables,
			    (const char *)args[0].at + 1, args[0].len - 2);
	if (found == NULL)
		return call_name_error(c->tick, &args[0]);
	if ((int32_t)wire_load_u32(args[1].at + 1) != c->client->handle)
		return "access";
	wire_put_null(out);
	if (!selection_has(&c->out->selection, found->idx))
		return NULL;
	c->is_subscribing = true;
	selection_remove(&c->out->selection, found->idx);
	if (c->filters == NULL && c->out->selection.symbols == NULL)
		return NULL;
	if (filters_of(c) == NULL)
		return too_many;
	symbols_forget(symbols_of(c), c->filters, found->idx);
	return NULL;
}
