#include "config.h"

#include "lag_table.h"

#include <string.h>

#include "report.h"

typedef void (*put_cell)(struct server *s, struct connection *c,
			 struct wire_writer *out);

/* ---- cells ---- */

static void
put_text(struct wire_writer *out, const char *text)
{
	wire_put_symbol_item(out, text, strlen(text));
}

static void
put_consumer(struct server *s, struct connection *c, struct wire_writer *out)
{
	(void)s;
	wire_put_u32(out, c->slot);
}

static void
put_user(struct server *s, struct connection *c, struct wire_writer *out)
{
	(void)s;
	put_text(out, c->user);
}

static void
put_peer(struct server *s, struct connection *c, struct wire_writer *out)
{
	(void)s;
	put_text(out, c->peer);
}

/* A vector of names, in each cell. */
static void
put_tables(struct server *s, struct connection *c, struct wire_writer *out)
{
	const struct schema *schema = &s->settings->tables;
	uint32_t cnt = 0;

	for (unsigned i = 0; i < schema->tables_cnt; i++)
		cnt += selection_has(&c->selection, i);
	wire_put_list(out, KT_SYMBOL, KA_NONE, cnt);
	for (unsigned i = 0; i < schema->tables_cnt; i++)
		if (selection_has(&c->selection, i))
			put_text(out, schema->tables[i].name);
}

static void
put_state(struct server *s, struct connection *c, struct wire_writer *out)
{
	put_text(out, report_state(s, c));
}

static void
put_policy(struct server *s, struct connection *c, struct wire_writer *out)
{
	(void)s;
	put_text(out, slow_policy_names[c->consumer.policy]);
}

#define FIGURE(name, column, sentence)                                         \
	static void put_##name(struct server *s, struct connection *c,         \
			       struct wire_writer *out)                        \
	{                                                                      \
		wire_put_u64(out, (uint64_t)report_figures(s, c).name);        \
	}
#include "figures.def"
#undef FIGURE

/* ---- the table ---- */

static const struct {
	const char *name;
	int type; /* of the column's vector */
	put_cell put;
} columns[] = {
	{ "consumer", KT_INT, put_consumer },
	{ "user", KT_SYMBOL, put_user },
	{ "peer", KT_SYMBOL, put_peer },
	{ "tables", KT_LIST, put_tables },
	{ "state", KT_SYMBOL, put_state },
	{ "policy", KT_SYMBOL, put_policy },
#define FIGURE(name, column, sentence) { #column, KT_LONG, put_##name },
#include "figures.def"
#undef FIGURE
};

static struct connection *
next_consumer(struct server *s, struct connection *c)
{
	struct list *n = c == NULL ? s->open.next : c->open_node.next;

	for (; n != &s->open; n = n->next) {
		c = container_of(n, struct connection, open_node);
		if (consumer_is_subscribed(&c->consumer))
			return c;
	}
	return NULL;
}

void
lag_table_put(void *context, struct wire_writer *out)
{
	struct server *s = context;
	struct connection *c;
	uint32_t cnt = 0;

	for (c = next_consumer(s, NULL); c != NULL; c = next_consumer(s, c))
		cnt++;
	wire_put_u8(out, KT_TABLE);
	wire_put_u8(out, KA_NONE);
	wire_put_u8(out, KT_DICT);
	wire_put_list(out, KT_SYMBOL, KA_NONE, ARRAY_LEN(columns));
	for (size_t i = 0; i < ARRAY_LEN(columns); i++)
		put_text(out, columns[i].name);
	wire_put_list(out, KT_LIST, KA_NONE, ARRAY_LEN(columns));
	for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
		wire_put_list(out, columns[i].type, KA_NONE, cnt);
		for (c = next_consumer(s, NULL); c != NULL;
		     c = next_consumer(s, c))
			columns[i].put(s, c, out);
	}
}
