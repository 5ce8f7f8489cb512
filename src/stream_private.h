/*
 * What streams.c (all of them) knows of stream.c (one of them), and the other
 * way round.
 */
#ifndef RINGTICK_STREAM_PRIVATE_H
#define RINGTICK_STREAM_PRIVATE_H

#include "stream.h"

/* touch: take all the memory now. 0 or -errno. */
int stream_open(struct stream *s, size_t bytes, bool huge_pages, bool touch);
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

/* The last cursor of a filtered stream is gone. */
void streams_end_filtered(struct stream *s);

#endif
