/*
 * Feeding one message of the main stream to filtered streams.  streams_feed and
 * batch_feed choose the streams, all fed up to one place of the main stream,
 * and put them into all->group.  Here it is decided which of these get the
 * message, which have no room, and when the time for long messages is over.
 */
#ifndef RINGTICK_RING_FANOUT_H
#define RINGTICK_RING_FANOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct schema_table;
struct stream;
struct streams;

/* Puts the streams of all->group that get a message (t NULL: a mark) into
 * all->receivers; all->filter has then looked at the message if its table is
 * filtered. */
void fanout_find_receivers(struct streams *all, const struct schema_table *t,
			   const uint8_t *frame);

/* Writes a receiver's part of the message, and returns its length, at most the
 * message's.  The filter must have looked at the message. */
size_t fanout_write_selected(struct streams *all, const struct stream *s,
			     const struct schema_table *t, const uint8_t *frame,
			     uint8_t *at);

/* When the message at pos of the main stream came; what has become visible
 * since the last feeding counts as new. */
int64_t fanout_time(const struct streams *all, uint64_t pos, int64_t now_ns);

/* Whether the time for feeding is over.  It begins with the first call, for the
 * first long message. */
bool fanout_is_time_over(struct streams *all);

/* The time is over: the streams of `those` from index idx on wait before the
 * message at pos until the next turn, and all->is_cut is set. records: of the
 * main stream before pos.  The other streams continue. */
void fanout_cut(struct streams *all, const uint64_t *those, unsigned idx,
		uint64_t pos, uint64_t records);

/* Stops feeding a stream, which has no room, until the next streams_feed. */
void fanout_leave_out(struct streams *all, const struct stream *s);

/* Feeds all->group with the message at pos of the main stream. records: of the
 * main stream before pos. */
void fanout_message(struct streams *all, uint64_t pos, uint64_t records,
		    int64_t now_ns);

/* Feeds a long message, which is timed: all->is_cut is set if the time was over
 * before all had it. frame: the message as it is in the main stream. */
void fanout_long(struct streams *all, uint64_t pos, uint64_t records,
		 const struct schema_table *t, const uint8_t *frame,
		 int64_t now_ns);

/* Notes that all->group has been fed up to `to`, before which the main stream
 * has `records` records. */
void fanout_note_fed(struct streams *all, uint64_t to, uint64_t records);

#endif
