/*
 * Shared by stream.c (one stream), streams.c (all of them), fanout.c (a
 * message to some of them) and batch.c (a batch).  Each of the last three
 * knows struct streams; streams.c calls batch.c, and both call fanout.c.
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

/* While feeding: whether a stream of all->group still has room and time. */
static inline bool
streams_is_any_left(const struct streams *all)
{
	return bits_next(all->group, 0, all->filtered_cnt) < all->filtered_cnt;
}

#endif
