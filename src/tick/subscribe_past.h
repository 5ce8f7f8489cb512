/*
 * Joining late: our own names for subscriptions that begin in the journal's
 * past (doc/protocol.md).
 *
 *   .ringtick.subfrom[tables;`;i]
 *           subscribes from record i of the day on
 *   .ringtick.rejoin[tables;`;(epoch;day;i;n)]
 *           continues after the first n records of these tables from record i
 *           of that day on
 *   .ringtick.epoch
 *           the epoch of this run
 *
 * Both replace the connection's earlier subscriptions.
 */
#ifndef RINGTICK_TICK_SUBSCRIBE_PAST_H
#define RINGTICK_TICK_SUBSCRIBE_PAST_H

#include "tick/call.h"

const char *call_subfrom(void *context, const struct request_arg *args,
			 unsigned args_cnt, struct wire_writer *out);
const char *call_rejoin(void *context, const struct request_arg *args,
			unsigned args_cnt, struct wire_writer *out);
const char *get_epoch(void *context, const struct request_arg *args,
		      unsigned args_cnt, struct wire_writer *out);

/* The error for a request that cannot be promised while the journal does not
 * move. */
extern const char no_journal_now[];

/*
 * For a subscription that would have to wait for a journal that does not move:
 * lets it begin after the written records, as if the client had asked for that
 * (c->out is set).  Returns NULL, or an error if it cannot begin there.
 */
const char *subscribe_from_written(struct call *c);

#endif
