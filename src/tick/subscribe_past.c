#include "config.h"

#include "tick/subscribe_past.h"

#include <string.h>

#include "tick/position.h"
#include "tick/subscribe.h"
#include "wire/wire.h"

const char no_journal_now[] = "journal";

/* Subscribes to a table, or to each of a vector. */
static const char *
subscribe_to(struct call *c, const struct request_arg *tables,
	     const struct request_arg *symbols, struct wire_writer *out)
{
	subscribe_forget(c);
	return (int8_t)tables->at[0] == KT_SYMBOL
		       ? subscribe_each(c, tables, symbols, out)
		       : subscribe_tables(c, tables, symbols, out);
}

/* Reads a non-negative int or long. */
static bool
read_integer(struct wire_reader *r, int64_t *out)
{
	switch ((int8_t)wire_get_u8(r)) {
	case -KT_LONG:
		*out = (int64_t)wire_get_u64(r);
		break;
	case -KT_INT:
		*out = (int32_t)wire_get_u32(r);
		break;
	default:
		return false;
	}
	return r->bad == NULL && *out >= 0;
}

/* The number of a file's records that are visible. */
static uint64_t
records_of(const struct call *c, const struct history_file *file)
{
	return file->is_ended ? file->written_records
			      : position_visible_records(c);
}

/* Requests the records from number i of the file on, and those of later
 * files. */
static const char *
ask_for(struct call *c, struct history_file *file, uint64_t i)
{
	struct past_request *past = &c->out->past;
	struct history_file *next;

	if (i > records_of(c, file))
		return "range";
	if (!file->is_ended && i > position_promised_records(c))
		return no_journal_now;
	*past = (struct past_request){
		.place = history_find_record(file, i),
		.record = i,
		.end_record = records_of(c, file),
	};
	while ((next = history_next(c->tick->history, file)) != NULL) {
		past->end_record += records_of(c, next) -
				    history_follow(file, next).record;
		file = next;
	}
	c->out->has_past = true;
	return NULL;
}

const char *
subscribe_from_written(struct call *c)
{
	if (c->out->has_past || !position_is_stuck(c))
		return NULL;
	/* It has later records already. */
	if (c->client->stream != NULL || c->client->is_behind)
		return no_journal_now;
	return ask_for(c, history_last(c->tick->history),
		       c->tick->journal->records);
}

const char *
call_subfrom(void *context, const struct request_arg *args, unsigned args_cnt,
	     struct wire_writer *out)
{
	struct call *c = context;
	struct wire_reader r;
	const char *error;
	int64_t i;

	if (args_cnt != 3)
		return call_bad_rank;
	if (!call_may(c, RIGHT_PAST))
		return call_refuse(c);
	r = wire_reader(args[2].at, args[2].len, false);
	if (!read_integer(&r, &i))
		return "type";
	if (tick_is_between_files(c->tick))
		return call_must_wait(c, WAIT_FILE);
	error = ask_for(c, history_last(c->tick->history), (uint64_t)i);
	return error != NULL ? error : subscribe_to(c, &args[0], &args[1], out);
}

/*
 * The epoch, as clients are told it: in its upper half is what their user may
 * subscribe to.  A count of messages means others after that has changed.
 */
static int64_t
epoch_told(const struct call *c)
{
	return (int64_t)((uint64_t)c->client->rights->view << 32 |
			 (c->tick->journal->epochs.now & UINT32_MAX));
}

/* A client's claim: it has the whole day up to record i, and n records of its
 * tables after that. */
struct claim {
	int64_t epoch;
	uint32_t view; /* of its user, then */
	int32_t day;
	int64_t i;
	int64_t n;
};

static bool
read_claim(const struct request_arg *arg, struct claim *out)
{
	struct wire_reader r = wire_reader(arg->at, arg->len, false);

	if (wire_get_u8(&r) != KT_LIST)
		return false;
	(void)wire_get_u8(&r);
	if (wire_get_u32(&r) != 4 || !read_integer(&r, &out->epoch) ||
	    (int8_t)wire_get_u8(&r) != -KT_DATE)
		return false;
	out->view = (uint32_t)(out->epoch >> 32);
	out->epoch &= UINT32_MAX;
	out->day = (int32_t)wire_get_u32(&r);
	return read_integer(&r, &out->i) && read_integer(&r, &out->n);
}

const char *
call_rejoin(void *context, const struct request_arg *args, unsigned args_cnt,
	    struct wire_writer *out)
{
	struct call *c = context;
	const struct tick *t = c->tick;
	struct history_file *file;
	struct claim claim;
	const char *error;
	uint64_t sure;

	if (args_cnt != 3)
		return call_bad_rank;
	if (!call_may(c, RIGHT_PAST))
		return call_refuse(c);
	/* The number of updates in a batch is not known to a client. */
	if (t->settings->publish.interval > 0)
		return "nyi";
	if (!read_claim(&args[2], &claim))
		return "type";
	if (tick_is_between_files(c->tick))
		return call_must_wait(c, WAIT_FILE);
	file = history_find_day(t->history, claim.day, t->day);
	if (file == NULL)
		return "day";
	if (!epoch_sure_records(&t->journal->epochs, (uint64_t)claim.epoch,
				claim.day, records_of(c, file), &sure) ||
	    (uint64_t)claim.i + (uint64_t)claim.n > sure)
		return "epoch";
	/* With the schema, or the rights, of that time other records were
	 * sent. */
	if (claim.n > 0 && (claim.view != c->client->rights->view ||
			    ((uint64_t)claim.i < file->since &&
			     (uint64_t)claim.epoch < file->since_epoch)))
		return "schema";
	/* Only written records can be counted for the client. */
	if (!file->is_ended &&
	    (uint64_t)claim.i + (uint64_t)claim.n >
		    position_promised_records(c))
		return no_journal_now;
	error = ask_for(c, file, (uint64_t)claim.i);
	if (error != NULL)
		return error;
	c->out->past.skip_records = (uint64_t)claim.n;
	c->out->past.epoch_limit = sure;
	return subscribe_to(c, &args[0], &args[1], out);
}

const char *
get_epoch(void *context, const struct request_arg *args, unsigned args_cnt,
	  struct wire_writer *out)
{
	(void)args;
	(void)args_cnt;
	if (!call_may_follow(context))
		return call_refuse(context);
	wire_put_long(out, epoch_told(context));
	return NULL;
}
