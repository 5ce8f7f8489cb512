#include "config.h"

#include "tick/position.h"

#include <stdio.h>

#include "base/util.h"

/* The number of published records: without those that wait for the end of a
 * batch. */
static uint64_t
published_records(const struct call *c)
{
	const struct journal_state *j = c->tick->journal;
	const struct streams *all = c->tick->streams;

	return j->records - j->stream_records +
	       streams_total(all, &all->main.selection).records;
}

/* Those that are safe; or more while the end of a damaged file is written once
 * more, since what is visible stays so. */
static uint64_t
shown_records(const struct call *c, uint64_t safe_pos, uint64_t safe_records)
{
	const struct journal_state *j = c->tick->journal;
	const struct stream *main = &c->tick->streams->main;

	if ((int64_t)(main->visible_pos - safe_pos) <= 0)
		return safe_records;
	return j->records - j->stream_records +
	       stream_locate(main, main->visible_pos).record;
}

uint64_t
position_visible_records(const struct call *c)
{
	const struct journal_state *j = c->tick->journal;

	if (c->tick->settings->publish.interval > 0)
		return published_records(c);

	switch (c->tick->settings->publish.after) {
	case AFTER_RING:
		return j->records + c->tick->streams->main.records -
		       j->stream_records;
	case AFTER_JOURNAL:
		return shown_records(c, j->written_pos, j->records);
	case AFTER_SYNC:
		return shown_records(c, j->synced_pos, j->synced_records);
	}
	return j->records;
}

bool
position_is_stuck(const struct call *c)
{
	const struct journal_state *j = c->tick->journal;

	return j->is_stuck && position_visible_records(c) > j->records;
}

uint64_t
position_promised_records(const struct call *c)
{
	return position_is_stuck(c) ? c->tick->journal->records
				    : position_visible_records(c);
}

/* Whether a client that is told the position now would replay another file, or
 * none. */
static bool
cannot_replay(const struct call *c)
{
	return tick_is_between_files(c->tick) || c->tick->journal->is_nameless;
}

/*
 * .u.i alone is the number of records that can be read now; together with a
 * subscription, the number that its client has to replay (its reply is held
 * until these can be read).  In batches neither exceeds the number of published
 * records.
 */
const char *
position_i(void *context, const struct request_arg *args, unsigned args_cnt,
	   struct wire_writer *out)
{
	struct call *c = context;
	uint64_t i = c->tick->journal->records;

	(void)args;
	(void)args_cnt;
	if (!call_may_follow(c))
		return call_refuse(c);
	if (cannot_replay(c))
		return call_must_wait(c, WAIT_FILE);
	c->has_told_i = !c->is_subscribing;
	c->has_promised_i |= c->is_subscribing;
	if (c->is_subscribing)
		i = position_promised_records(c);
	else if (c->tick->settings->publish.interval > 0)
		i = min_u64(i, published_records(c));
	wire_put_long(out, (int64_t)i);
	return NULL;
}

/* .u.j: the number of records in the file, published or not. */
const char *
position_j(void *context, const struct request_arg *args, unsigned args_cnt,
	   struct wire_writer *out)
{
	struct call *c = context;

	(void)args;
	(void)args_cnt;
	if (!call_may_follow(c))
		return call_refuse(c);
	if (tick_is_between_files(c->tick))
		return call_must_wait(c, WAIT_FILE);
	wire_put_long(out, (int64_t)c->tick->journal->records);
	return NULL;
}

const char *
position_L(void *context, const struct request_arg *args, unsigned args_cnt,
	   struct wire_writer *out)
{
	struct call *c = context;
	char handle[JOURNAL_PATH_MAX + 1];

	(void)args;
	(void)args_cnt;
	if (!call_may_follow(c))
		return call_refuse(c);
	if (cannot_replay(c))
		return call_must_wait(c, WAIT_FILE);
	(void)snprintf(handle, sizeof(handle), ":%s", c->tick->journal->path);
	wire_put_symbol(out, handle);
	return NULL;
}

const char *
position_put(struct call *c, struct wire_writer *out)
{
	const char *error;

	if (!c->tick->journal->is_on) {
		wire_put_null(out);
		wire_put_null(out);
		return NULL;
	}
	error = position_i(c, NULL, 0, out);
	return error != NULL ? error : position_L(c, NULL, 0, out);
}

const char *
position_l(void *context, const struct request_arg *args, unsigned args_cnt,
	   struct wire_writer *out)
{
	struct call *c = context;

	(void)args;
	(void)args_cnt;
	if (!call_may_follow(c))
		return call_refuse(c);
	wire_put_int(out, c->tick->journal->fd);
	return NULL;
}
