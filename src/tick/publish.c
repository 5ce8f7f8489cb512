#include "config.h"

#include "tick/publish.h"

#include <stdio.h>

#include "schema/update.h"

static const char *
refuse_update(struct call *c, const struct request_arg *table, const char *text)
{
	c->tick->counters->rejected++;
	c->out->why = text;
	c->out->table = *table;
	return text;
}

static const char *
refuse_table(struct call *c, const struct request_arg *table)
{
	int came = (int8_t)table->at[0];
	bool is_symbol = came == -KT_SYMBOL; /* so it is empty */

	(void)snprintf(c->tick->error, sizeof(c->tick->error),
		       "type: table: symbol wanted, %s%s came",
		       is_symbol ? "empty symbol" : schema_type_name(came),
		       is_symbol ? "" : schema_type_form(came));
	return refuse_update(c, table, c->tick->error);
}

/* The update is too long as it would be published. */
static const char *
refuse_long(struct call *c, const struct request_arg *table,
	    const struct update *u)
{
	(void)snprintf(c->tick->error, sizeof(c->tick->error),
		       "limit: %.48s: %llu bytes wanted at most (message.max), "
		       "%llu came",
		       u->table->name,
		       (unsigned long long)c->tick->settings->message.max,
		       (unsigned long long)u->frame_len);
	return refuse_update(c, table, c->tick->error);
}

/* Of two long updates all streams have one before the next is accepted. */
static bool
must_be_fed(const struct call *c, uint64_t len)
{
	const struct streams *all = c->tick->streams;

	return all->is_cut && !c->has_effects && streams_is_long(all, len);
}

static const char *
try_publish(struct call *c, const struct request_arg *table,
	    const struct update *u)
{
	struct tick *t = c->tick;
	struct stream *s = &t->streams->main;

	if (u->rows == 0)
		return NULL;
	c->out->waits_for = t->is_day_pending	? WAIT_DAY
			    : t->is_held	? WAIT_HOLD
			    : must_be_fed(c, u->frame_len) ? WAIT_FED
			    : c->client->must_queue	   ? WAIT_ROOM
			    : stream_has_room(s, u->frame_len) ? WAIT_NOTHING
							       : WAIT_ROOM;
	if (c->out->waits_for != WAIT_NOTHING)
		return c->has_effects ? refuse_update(c, table, "full")
				      : request_must_wait;
	c->has_effects = true;
	update_write(u, t->local_ns, stream_head(s));
	streams_commit(t->streams, u->table->idx, u->frame_len, t->now_ns);
	t->counters->in_records++;
	t->counters->in_rows += u->rows;
	t->counters->in_bytes += u->frame_len;
	return NULL;
}

static bool
is_whole_object(const struct request_arg *x)
{
	struct wire_reader r = wire_reader(x->at, x->len, false);

	wire_bound(&r);
	wire_skip(&r);
	return r.bad == NULL && r.at == r.end;
}

const char *
publish_update(struct call *c, const struct request_arg *table,
	       const struct request_arg *x)
{
	struct tick *t = c->tick;
	enum check_mode check = t->settings->schema.check;
	const struct schema_table *found;
	struct update u;
	const char *why;

	c->out->is_update = true;
	if (must_be_fed(c, x->len))
		return call_must_wait(c, WAIT_FED);
	if ((int8_t)table->at[0] != -KT_SYMBOL || table->at[1] == '\0')
		return refuse_table(c, table);
	found = schema_find(&t->settings->tables, (const char *)table->at + 1,
			    table->len - 2);
	if (found == NULL && !is_whole_object(x)) {
		c->out->why = "malformed data for an unknown table";
		return request_is_malformed;
	}
	if (found == NULL)
		return refuse_update(c, table, call_name_error(t, table));
	if (!rights_may_publish(c->client->rights, found->idx))
		return refuse_update(c, table, call_refuse(c));
	/* In tick.q batches are made by insert, which checks the types. */
	if (t->settings->publish.interval > 0)
		check = CHECK_TYPES;
	switch (update_parse(found, x->at, x->len, check, &u, &why)) {
	case UPDATE_OK:
		break;
	case UPDATE_REFUSED:
		return refuse_update(c, table, why);
	case UPDATE_BAD:
		c->out->why = why;
		c->out->is_too_long = why == wire_too_many;
		return request_is_malformed;
	case UPDATE_REWRITE:
		c->needs_rewrite = true;
		return request_is_malformed;
	}
	if (u.frame_len > t->settings->message.max)
		return refuse_long(c, table, &u);
	if (c->frame != NULL && c->is_matched)
		template_learn(&t->templates, c->frame, &u);
	return try_publish(c, table, &u);
}

const char *
publish_upd(void *context, const struct request_arg *args, unsigned args_cnt,
	    struct wire_writer *out)
{
	const char *error;

	if (args_cnt != 2)
		return call_bad_rank;
	if (call_is_too_brief(context))
		return call_must_wait(context, WAIT_DEAR);
	error = publish_update(context, &args[0], &args[1]);
	if (error == NULL)
		wire_put_null(out);
	return error;
}
