#include "config.h"

#include "tick/introspect.h"

#include <string.h>
#include <unistd.h>

#include "q/parse.h"

enum {
	KDB_DATE = 7429, /* 2020.05.04: of the kdb+ that .z.K names */
	HOST_BYTES_MAX = 64,
	NS_PER_MILLI = 1000000,
};

static const double kdb_version = 4.0;

/* ---- tables ---- */

void
ask_put_names(const struct schema *schema, struct wire_writer *out)
{
	wire_put_list(out, KT_SYMBOL, KA_NONE, schema->tables_cnt);
	for (unsigned i = 0; i < schema->tables_cnt; i++)
		wire_put_symbol_item(out, schema->tables[i].name,
				     strlen(schema->tables[i].name));
}

/* The tables that the client's user may see. */
static void
put_seen_names(const struct call *c, struct wire_writer *out)
{
	const struct schema *schema = &c->tick->settings->tables;
	const struct rights *rights = c->client->rights;
	uint32_t cnt = 0;

	for (unsigned i = 0; i < schema->tables_cnt; i++)
		cnt += rights_may_see(rights, i);
	/* `s# only with two tables or more, as in q (tick-contract.md 2.1) */
	wire_put_list(out, KT_SYMBOL, cnt > 1 ? KA_SORTED : KA_NONE, cnt);
	for (unsigned i = 0; i < schema->tables_cnt; i++)
		if (rights_may_see(rights, i))
			wire_put_symbol_item(out, schema->tables[i].name,
					     strlen(schema->tables[i].name));
}

const char *
ask_tables(void *context, const struct request_arg *args, unsigned args_cnt,
	   struct wire_writer *out)
{
	const struct call *c = context;
	const char *space;
	size_t len;

	if (args_cnt > 0 && args[0].at[0] != KT_UNARY) {
		if ((int8_t)args[0].at[0] != -KT_SYMBOL)
			return "type";
		space = request_arg_text(&args[0], &len);
		/* The null symbol and `.  are the root namespace; the others
		 * have no tables. */
		if (len != 0 && !(len == 1 && *space == '.')) {
			wire_put_list(out, KT_SYMBOL, KA_NONE, 0);
			return NULL;
		}
	}
	put_seen_names(c, out);
	return NULL;
}

const char *
ask_day(void *context, const struct request_arg *args, unsigned args_cnt,
	struct wire_writer *out)
{
	struct call *c = context;

	(void)args;
	(void)args_cnt;
	wire_put_date(out, c->tick->day);
	return NULL;
}

const char *
ask_names(void *context, const struct request_arg *args, unsigned args_cnt,
	  struct wire_writer *out)
{
	const struct call *c = context;

	(void)args;
	(void)args_cnt;
	put_seen_names(c, out);
	return NULL;
}

void
ask_put_table(void *context, const char *name, size_t len,
	      struct wire_writer *out)
{
	const struct call *c = context;
	const struct schema_table *t =
		schema_find(&c->tick->settings->tables, name, len);
	size_t start = 6 + 1 + len + 1; /* list of two, `name */

	if (t != NULL && rights_may_see(c->client->rights, t->idx))
		wire_put_bytes(out, t->sub_reply + start,
			       t->sub_reply_len - start);
}

/* ---- connections ---- */

static const char *
put_table(const struct call *c, enum tick_table table, struct wire_writer *out)
{
	if (!call_may(c, RIGHT_ASK))
		return call_refuse(c);
	return c->tick->put_table(c->tick->context, table, out);
}

const char *
ask_lag(void *context, const struct request_arg *args, unsigned args_cnt,
	struct wire_writer *out)
{
	struct call *c = context;
	const char *error;

	(void)args;
	(void)args_cnt;
	/* It visits every consumer: not if there is no reply. */
	if (!c->is_sync) {
		wire_put_null(out);
		return NULL;
	}
	if (c->has_told_lag)
		return query_too_much;
	c->has_told_lag = true;
	error = put_table(c, TICK_LAG, out);
	/* It is bounded by connections.max and allowed once, so its time does
	 * not count as the request's. */
	if (!c->client->is_brief)
		cpu_limit_begin(&c->tick->time, REQUEST_TIME_US * NS_PER_US);
	return error;
}

const char *
ask_subscribers(void *context, const struct request_arg *args,
		unsigned args_cnt, struct wire_writer *out)
{
	const struct call *c = context;

	(void)args;
	(void)args_cnt;
	return put_table(c, TICK_SUBSCRIBERS, out);
}

const char *
ask_queues(void *context, const struct request_arg *args, unsigned args_cnt,
	   struct wire_writer *out)
{
	const struct call *c = context;

	(void)args;
	(void)args_cnt;
	return put_table(c, TICK_QUEUES, out);
}

/* ---- the process ---- */

const char *
ask_system(void *context, const struct request_arg *args, unsigned args_cnt,
	   struct wire_writer *out)
{
	const struct call *c = context;
	const char *text = NULL;
	size_t len;

	if (args_cnt == 1 && (int8_t)args[0].at[0] != -KT_SYMBOL)
		text = request_arg_text(&args[0], &len);
	if (text == NULL)
		return "type";
	if (len != 1 || *text != 'p')
		return "access";
	wire_put_int(out, (int32_t)c->tick->port);
	return NULL;
}

static int64_t
local_ns(const struct call *c)
{
	return c->tick->local_ns;
}

static int64_t
utc_ns(const struct call *c)
{
	return c->tick->local_ns - c->tick->zone.offset_ns;
}

static int64_t
of_day(int64_t ns)
{
	return ns - (int64_t)clock_day(ns) * NS_PER_DAY;
}

static void
put_u32(struct wire_writer *out, int type, uint32_t v)
{
	wire_put_u8(out, (uint8_t)-type);
	wire_put_u32(out, v);
}

static void
put_u64(struct wire_writer *out, int type, int64_t v)
{
	wire_put_u8(out, (uint8_t)-type);
	wire_put_u64(out, (uint64_t)v);
}

static void
put_host(struct wire_writer *out)
{
	char host[HOST_BYTES_MAX + 1] = "";

	(void)gethostname(host, sizeof(host) - 1);
	wire_put_symbol(out, host);
}

static void
put_version(struct wire_writer *out)
{
	wire_put_u8(out, (uint8_t)-KT_FLOAT);
	wire_put_bytes(out, &kdb_version, sizeof(kdb_version));
}

#define VARIABLE(letter, put)                                                  \
	const char *ask_z_##letter(void *context,                              \
				   const struct request_arg *args,             \
				   unsigned args_cnt, struct wire_writer *out) \
	{                                                                      \
		const struct call *c = context;                                \
                                                                               \
		(void)c;                                                       \
		(void)args;                                                    \
		(void)args_cnt;                                                \
		put;                                                           \
		return NULL;                                                   \
	}

VARIABLE(D, wire_put_date(out, clock_day(local_ns(c))))
VARIABLE(d, wire_put_date(out, clock_day(utc_ns(c))))
VARIABLE(P, put_u64(out, KT_TIMESTAMP, local_ns(c)))
VARIABLE(p, put_u64(out, KT_TIMESTAMP, utc_ns(c)))
VARIABLE(N, put_u64(out, KT_TIMESPAN, of_day(local_ns(c))))
VARIABLE(n, put_u64(out, KT_TIMESPAN, of_day(utc_ns(c))))
VARIABLE(T,
	 put_u32(out, KT_TIME, (uint32_t)(of_day(local_ns(c)) / NS_PER_MILLI)))
VARIABLE(t, put_u32(out, KT_TIME, (uint32_t)(of_day(utc_ns(c)) / NS_PER_MILLI)))
VARIABLE(K, put_version(out))
VARIABLE(k, wire_put_date(out, KDB_DATE))
VARIABLE(h, put_host(out))
VARIABLE(i, wire_put_int(out, getpid()))
VARIABLE(f, wire_put_symbol(out, "ringtickd"))
VARIABLE(u,
	 wire_put_symbol(out, c->client->user == NULL ? "" : c->client->user))
VARIABLE(w, wire_put_int(out, c->client->handle))
