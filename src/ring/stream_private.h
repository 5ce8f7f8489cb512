/*
 * Shared by stream.c (one stream), streams.c (all streams), fanout.c and
 * batch.c (feeding).
 */
#ifndef RINGTICK_RING_STREAM_PRIVATE_H
#define RINGTICK_RING_STREAM_PRIVATE_H

#include "ring/streams.h"

/* bytes: size of the ring. touch: allocate all the memory now. unit_max: as in
 * struct stream.  Returns 0 or -errno; stream_close must follow in either
 * case. */
int stream_open(struct stream *s, size_t bytes, bool huge_pages, bool touch,
		uint64_t unit_max);
void stream_close(struct stream *s);

static inline bool
stream_is_in_use(const struct stream *s)
{
	return s->is_main || s->fed.stream != NULL;
}

/* Moves the tail to the index entry at or before the slowest cursor.  A walk to
 * the cursor starts at that entry, so those frames must not be overwritten
 * either. */
void stream_refresh_tail(struct stream *s);

/* No cursor lags: drops all bytes and index entries, so that the next message
 * gets an entry. */
void stream_forget_all(struct stream *s);

/* streams_may_be_slow for one stream. */
bool stream_may_be_slow(struct stream *s, unsigned percent);

/* ---- feeding: the streams in all->group are fed together ---- */

static inline bool
streams_is_any_here(const struct streams *all)
{
	return bits_next(all->group, 0, all->filtered_cnt) < all->filtered_cnt;
}

/* Puts the streams of all->group that get a message (t NULL: a mark) into
 * all->receivers; all->filter has then looked at the message if its table is
 * filtered. */
void streams_find_receivers(struct streams *all, const struct schema_table *t,
			    const uint8_t *frame);

/* Writes a receiver's part of the message, and returns its length, at most the
 * message's.  The filter must have looked at the message. */
size_t streams_write_selected(struct streams *all, const struct stream *s,
			      const struct schema_table *t,
			      const uint8_t *frame, uint8_t *at);

/* Whether the time for feeding is over.  It begins with the first call, for the
 * first long message. */
bool streams_is_time_over(struct streams *all);

/* The time is over: the streams of `those` from index idx on wait before the
 * message at pos until the next turn, and all->is_cut is set. records: of the
 * main stream before pos.  The other streams continue. */
void streams_cut(struct streams *all, const uint64_t *those, unsigned idx,
		 uint64_t pos, uint64_t records);

/* Stops feeding a stream, which has no room, until the next streams_feed. */
void streams_leave_out(struct streams *all, const struct stream *s);

/* Feeds all->group with the message at pos of the main stream. records: of the
 * main stream before pos. */
void streams_feed_message(struct streams *all, uint64_t pos, uint64_t records,
			  int64_t now_ns);

/* Feeds a long message, which is timed: all->is_cut is set if the time was over
 * before all had it. frame: the message as it is in the main stream. */
void streams_feed_long(struct streams *all, uint64_t pos, uint64_t records,
		       const struct schema_table *t, const uint8_t *frame,
		       int64_t now_ns);

/* Notes that all->group has been fed up to `to`, before which the main stream
 * has `records` records. */
void streams_fed(struct streams *all, uint64_t to, uint64_t records);

/* Frees a filtered stream, whose last cursor is gone. */
void streams_end_filtered(struct stream *s);

#endif
