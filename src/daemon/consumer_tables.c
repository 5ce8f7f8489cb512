#include "config.h"

#include "daemon/consumer_tables.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/report.h"
#include "q/parse.h"
#include "tick/introspect.h"

enum {
	LATE_ROWS = 32,	     /* between two looks at the clock */
	KERNEL_ROWS = 1000,  /* rows with kernel_bytes, which costs a system
				call each */
};

/* A consumer and its figures, all from the same moment. */
struct row {
	struct connection *c;
	struct figures figures;
};

typedef void (*put_cell)(struct server *s, const struct row *row,
			 struct wire_writer *out);

/* ---- .ringtick.lag[]: cells ---- */

static void
put_text(struct wire_writer *out, const char *text)
{
	wire_put_symbol_item(out, text, strlen(text));
}

static void
put_consumer(struct server *s, const struct row *row, struct wire_writer *out)
{
	(void)s;
	wire_put_u32(out, row->c->slot);
}

static void
put_user(struct server *s, const struct row *row, struct wire_writer *out)
{
	(void)s;
	put_text(out, row->c->name);
}

static void
put_peer(struct server *s, const struct row *row, struct wire_writer *out)
{
	(void)s;
	put_text(out, row->c->peer);
}

static void
put_tls(struct server *s, const struct row *row, struct wire_writer *out)
{
	(void)s;
	put_text(out, row->c->has_tls ? row->c->tls : "");
}

static void
put_certificate(struct server *s, const struct row *row,
		struct wire_writer *out)
{
	(void)s;
	put_text(out, row->c->certified);
}

/* Each cell is a vector of names. */
static void
put_tables(struct server *s, const struct row *row, struct wire_writer *out)
{
	const struct schema *schema = &s->settings->tables;
	uint32_t cnt = 0;

	for (unsigned i = 0; i < schema->tables_cnt; i++)
		cnt += selection_has(&row->c->selection, i);
	wire_put_list(out, KT_SYMBOL, KA_NONE, cnt);
	for (unsigned i = 0; i < schema->tables_cnt; i++)
		if (selection_has(&row->c->selection, i))
			put_text(out, schema->tables[i].name);
}

static void
put_state(struct server *s, const struct row *row, struct wire_writer *out)
{
	put_text(out, report_state(s, row->c));
}

static void
put_policy(struct server *s, const struct row *row, struct wire_writer *out)
{
	(void)s;
	put_text(out, slow_policy_names[row->c->consumer.policy]);
}

#define FIGURE(name, column, sentence)                                         \
	static void put_##name(struct server *s, const struct row *row,        \
			       struct wire_writer *out)                        \
	{                                                                      \
		(void)s;                                                       \
		wire_put_u64(out, (uint64_t)row->figures.name);                \
	}
#include "daemon/figures.def"
#undef FIGURE

/* ---- .ringtick.lag[]: the table ---- */

static const struct {
	const char *name;
	int type; /* of the column's vector */
	put_cell put;
} columns[] = {
	{ "consumer", KT_INT, put_consumer },
	{ "user", KT_SYMBOL, put_user },
	{ "peer", KT_SYMBOL, put_peer },
	{ "tls", KT_SYMBOL, put_tls },
	{ "certificate", KT_SYMBOL, put_certificate },
	{ "tables", KT_LIST, put_tables },
	{ "state", KT_SYMBOL, put_state },
	{ "policy", KT_SYMBOL, put_policy },
#define FIGURE(name, column, sentence) { #column, KT_LONG, put_##name },
#include "daemon/figures.def"
#undef FIGURE
};

/* false: this took too long. */
static bool
read_rows(struct server *s, struct row *rows, uint32_t *out_cnt)
{
	struct connection *c = NULL;
	uint32_t cnt = 0;

	while ((c = clients_next(&s->clients, c)) != NULL) {
		if (!consumer_is_subscribed(&c->consumer))
			continue;
		rows[cnt].c = c;
		rows[cnt].figures =
			report_figures(s, c, cnt < KERNEL_ROWS);
		cnt++;
		/* With serves_dear the table is always complete, however long
		 * it is. */
		if (!s->serves_dear && cnt % LATE_ROWS == 0 &&
		    tick_is_late(&s->tick))
			return false;
	}
	*out_cnt = cnt;
	return true;
}

static const char *
put_lag(struct server *s, struct wire_writer *out)
{
	struct row *rows = calloc(s->clients.open_cnt, sizeof(*rows));
	uint32_t cnt;

	if (rows == NULL)
		return "wsfull";
	if (!read_rows(s, rows, &cnt)) {
		free(rows);
		return query_limit;
	}
	wire_put_u8(out, KT_TABLE);
	wire_put_u8(out, KA_NONE);
	wire_put_u8(out, KT_DICT);
	wire_put_list(out, KT_SYMBOL, KA_NONE, ARRAY_LEN(columns));
	for (size_t i = 0; i < ARRAY_LEN(columns); i++)
		put_text(out, columns[i].name);
	wire_put_list(out, KT_LIST, KA_NONE, ARRAY_LEN(columns));
	for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
		wire_put_list(out, columns[i].type, KA_NONE, cnt);
		for (uint32_t n = 0; n < cnt; n++)
			columns[i].put(s, &rows[n], out);
	}
	free(rows);
	return NULL;
}

/* ---- .u.w ---- */

/* The symbols in the type of the table's sym column, in no special order. */
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
put_subscribed(struct server *s, const struct schema_table *t,
	       struct wire_writer *out)
{
	struct connection *c = NULL;
	uint32_t cnt = 0;

	while ((c = clients_next(&s->clients, c)) != NULL)
		cnt += is_subscribed(c, t);
	wire_put_list(out, KT_LIST, KA_NONE, cnt);
	while ((c = clients_next(&s->clients, c)) != NULL) {
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

static const char *
put_subscribers(struct server *s, struct wire_writer *out)
{
	const struct schema *schema = &s->settings->tables;
	const char *error = NULL;

	wire_put_u8(out, KT_DICT);
	ask_put_names(schema, out);
	wire_put_list(out, KT_LIST, KA_NONE, schema->tables_cnt);
	for (unsigned i = 0; i < schema->tables_cnt && error == NULL; i++)
		error = put_subscribed(s, &schema->tables[i], out);
	return error;
}

/* ---- .z.W ---- */

static const char *
put_queues(struct server *s, struct wire_writer *out)
{
	struct connection *c = NULL;

	wire_put_u8(out, KT_DICT);
	wire_put_list(out, KT_INT, KA_NONE, s->clients.open_cnt);
	while ((c = clients_next(&s->clients, c)) != NULL)
		wire_put_u32(out, (uint32_t)c->fd);
	wire_put_list(out, KT_LONG, KA_NONE, s->clients.open_cnt);
	while ((c = clients_next(&s->clients, c)) != NULL)
		wire_put_u64(out, consumer_lag_bytes(&c->consumer));
	return NULL;
}

/* ---- all of them ---- */

const char *
consumer_tables_put(void *context, enum tick_table table,
		    struct wire_writer *out)
{
	switch (table) {
	case TICK_LAG:
		return put_lag(context, out);
	case TICK_SUBSCRIBERS:
		return put_subscribers(context, out);
	case TICK_QUEUES:
		return put_queues(context, out);
	}
	return NULL;
}
