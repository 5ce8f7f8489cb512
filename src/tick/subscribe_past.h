/*
 * Joining late, over the wire: the names of our own that go back to the
 * journal's past (doc/protocol.md).
 *
 *   .ringtick.subfrom[tables;`;i]   subscribes from record i of the day on
 *   .ringtick.rejoin[tables;`;(epoch;day;i;n)]
 *                                   goes on behind the first n records of these
 *                                   tables from record i of that day on
 *   .ringtick.epoch                 of this run
 *
 * Both take the place of what the connection was subscribed to.
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

/* The error of what cannot be promised while the journal does not move. */
extern const char no_journal_now[];

/*
 * Whether a subscription would have to wait for a journal that does not move:
 * then it begins behind what is written, as if it had asked for that (*out is
 * told so), or cannot be had now.  NULL or an error.
 */
const char *subscribe_from_written(struct call *c);

#endif
