/*
 * What streams.c (all of them) knows of stream.c (one of them), and the other
 * way round.
 */
#ifndef RINGTICK_RING_STREAM_PRIVATE_H
#define RINGTICK_RING_STREAM_PRIVATE_H

#include "ring/stream.h"

/* touch: take all the memory now. 0 or -errno. */
int stream_open(struct stream *s, size_t bytes, bool huge_pages, bool touch,
		uint64_t unit_max);
void stream_close(struct stream *s);

static inline bool
stream_is_in_use(const struct stream *s)
{
	return s->is_main || s->fed.stream != NULL;
}

/* Moves the tail to the entry at or before the slowest cursor: the walk to it
 * starts there, so those frames must not be overwritten either. */
void stream_refresh_tail(struct stream *s);

/* Nobody lags: no byte is needed, and the next message gets an entry. */
void stream_forget_all(struct stream *s);

/* Whether any cursor can lag by `percent` of the ring, or be in the way. */
bool stream_may_be_slow(struct stream *s, unsigned percent);

/* ---- feeding: all->group are those that are fed together ---- */

static inline bool
streams_is_any_here(const struct streams *all)
{
	return bits_next(all->group, 0, all->filtered_cnt) < all->filtered_cnt;
}

/* Those of all->group who get a message (t NULL: a mark), into all->receivers;
 * the filter has then looked at it. */
void streams_find_receivers(struct streams *all, const struct schema_table *t,
			    const uint8_t *frame);

/* Writes what a receiver gets of it, and returns the length: no more than the
 * message has. */
size_t streams_write_selected(struct streams *all, const struct stream *s,
			      const struct schema_table *t,
			      const uint8_t *frame, uint8_t *at);

/* Whether the time for feeding is over.  It begins with the first long message.
 */
bool streams_is_time_over(struct streams *all);

/* The time is over: those of them from idx on stay before the message at pos,
 * until the next turn.  Who is beyond it goes on. */
void streams_cut(struct streams *all, const uint64_t *those, unsigned idx,
		 uint64_t pos, uint64_t records);

/* It has no room: it is not fed any more, this time. */
void streams_leave_out(struct streams *all, const struct stream *s);

/* The message at pos of the main stream, before which that had so many
 * records. */
void streams_feed_message(struct streams *all, uint64_t pos, uint64_t records,
			  int64_t now_ns);

/* A long one, which is timed: all->is_cut if the time was over.  In batches
 * `frame` is what has been made of it. */
void streams_feed_long(struct streams *all, uint64_t pos, uint64_t records,
		       const struct schema_table *t, const uint8_t *frame,
		       int64_t now_ns);

/* All of them have what is before `to`. */
void streams_fed(struct streams *all, uint64_t to, uint64_t records);

/* The last cursor of a filtered stream is gone. */
void streams_end_filtered(struct stream *s);

#endif
