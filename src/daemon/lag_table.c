#include "config.h"

#include "daemon/lag_table.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/report.h"
#include "q/parse.h"

enum {
	LATE_ROWS = 32,	     /* between two looks at the clock */
	KERNEL_ROWS = 1000,  /* for which the kernel is asked: a call each */
};

/* A consumer and its figures, all of one moment. */
struct row {
	struct connection *c;
	struct figures figures;
};

typedef void (*put_cell)(struct server *s, const struct row *row,
			 struct wire_writer *out);

/* ---- cells ---- */

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

/* A vector of names, in each cell. */
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
#include "daemon/figures.def"
#undef FIGURE
};

/* false: it took too long. */
static bool
read_rows(struct server *s, struct row *rows, uint32_t *out_cnt)
{
	uint32_t cnt = 0;

	for (struct list *n = s->open.next; n != &s->open; n = n->next) {
		struct connection *c =
			container_of(n, struct connection, open_node);

		if (!consumer_is_subscribed(&c->consumer))
			continue;
		rows[cnt].c = c;
		rows[cnt].figures =
			report_figures(s, c, cnt < KERNEL_ROWS);
		cnt++;
		/* In its turn it is told whole, however many there are. */
		if (!s->serves_dear && cnt % LATE_ROWS == 0 &&
		    tick_is_late(&s->tick))
			return false;
	}
	*out_cnt = cnt;
	return true;
}

const char *
lag_table_put(void *context, struct wire_writer *out)
{
	struct server *s = context;
	struct row *rows = calloc(s->open_cnt, sizeof(*rows));
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
