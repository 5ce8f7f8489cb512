#include "config.h"

#include "daemon/subscribers.h"

#include "q/parse.h"
#include "tick/introspect.h"

/* ---- .u.w ---- */

/* As the table's sym column would have them, in no special order. */
static void
put_filter(struct server *s, const struct connection *c,
	   const struct schema_table *t, struct wire_writer *out)
{
	const struct symbols *symbols = &s->streams.filter.symbols;
	int type = t->columns[1].type;
	size_t list_off = wire_written(out), len;
	const uint8_t *symbol;
	uint32_t cnt = 0, at = 0;

	if (!selection_filters(&c->selection, t->idx)) {
		wire_put_symbol(out, "");
		return;
	}
	wire_put_list(out, type, KA_NONE, 0);
	for (; !out->is_full &&
	       symbols_next(symbols, c->selection.symbols, t->idx, &at, &symbol,
			    &len);
	     cnt++) {
		if (type == KT_SYMBOL)
			wire_put_symbol_item(out, (const char *)symbol, len);
		else
			wire_put_bytes(out, symbol, len);
	}
	if (!out->is_full)
		wire_store_u32(out->base + list_off + 2, cnt);
}

static bool
is_subscribed(const struct connection *c, const struct schema_table *t)
{
	return consumer_is_subscribed(&c->consumer) &&
	       selection_has(&c->selection, t->idx);
}

static const char *
put_table(struct server *s, const struct schema_table *t,
	  struct wire_writer *out)
{
	struct connection *c = NULL;
	uint32_t cnt = 0;

	while ((c = server_next_open(s, c)) != NULL)
		cnt += is_subscribed(c, t);
	wire_put_list(out, KT_LIST, KA_NONE, cnt);
	while ((c = server_next_open(s, c)) != NULL) {
		if (!is_subscribed(c, t))
			continue;
		wire_put_list(out, KT_LIST, KA_NONE, 2);
		wire_put_int(out, c->fd);
		put_filter(s, c, t, out);
		if (selection_filters(&c->selection, t->idx) &&
		    tick_is_late(&s->tick))
			return query_limit;
	}
	return tick_is_late(&s->tick) ? query_limit : NULL;
}

const char *
subscribers_put(void *context, struct wire_writer *out)
{
	struct server *s = context;
	const struct schema *schema = &s->settings->tables;
	const char *error = NULL;

	wire_put_u8(out, KT_DICT);
	ask_put_names(schema, false, out);
	wire_put_list(out, KT_LIST, KA_NONE, schema->tables_cnt);
	for (unsigned i = 0; i < schema->tables_cnt && error == NULL; i++)
		error = put_table(s, &schema->tables[i], out);
	return error;
}

/* ---- .z.W ---- */

const char *
subscribers_put_queues(void *context, struct wire_writer *out)
{
	struct server *s = context;
	struct connection *c = NULL;

	wire_put_u8(out, KT_DICT);
	wire_put_list(out, KT_INT, KA_NONE, s->open_cnt);
	while ((c = server_next_open(s, c)) != NULL)
		wire_put_u32(out, (uint32_t)c->fd);
	wire_put_list(out, KT_LONG, KA_NONE, s->open_cnt);
	while ((c = server_next_open(s, c)) != NULL)
		wire_put_u64(out, consumer_lag_bytes(&c->consumer));
	return NULL;
}
