/*
 * All streams: the main one, which has every message, and the filtered ones,
 * each for one selection, which are fed from it.
 */
#ifndef RINGTICK_RING_STREAMS_H
#define RINGTICK_RING_STREAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ring/filter.h"
#include "ring/selection.h"
#include "ring/stream.h"
#include "schema/schema.h"

enum {
	STREAM_LONG_BYTES = 64 << 10, /* from this length on, feeding a message
					 is timed */
	STREAMS_SHARE = 8, /* the last eighth of the filtered streams is ... */
	STREAMS_FEW = 2,   /* ... for addresses that have begun fewer than
			      this */
	STREAM_PIECE_ROWS = 16 << 10, /* of a long message, between two looks at
					 the clock: less than 1 ms */
	STREAM_GROUP_MAX = 8, /* streams between two looks at the clock, while
				 they get a long batch of several updates */
};

struct batch;

/* The totals of [from_pos, to_pos) of the main stream, by table index.  Kept,
 * because they are mostly asked for by one consumer after the other. */
struct stream_tail {
	uint64_t from_pos, to_pos;
	uint64_t mark_bytes;
	struct stream_total *tables;
};

struct streams {
	struct stream main;
	struct stream *filtered;
	unsigned filtered_cnt;
	const struct schema *schema;
	struct stream_total *tables; /* totals of the main stream, by table
					index */
	struct stream_tail *unpublished;

	/* Bit sets with one bit per filtered stream, `words` words each. */
	struct filter filter;
	struct filter long_filter; /* looks at a long message in pieces */
	size_t words;
	uint64_t *in_use;
	uint64_t *whole;     /* one set per table: streams that want all its
				rows */
	uint32_t *filterers; /* by table: number of streams that want some of
				its rows */
	uint64_t *group;     /* while feeding: streams fed up to one place,
				... */
	uint64_t *no_room;   /* ... streams without room, ... */
	uint64_t *receivers; /* ... streams that get the message, ... */
	uint64_t *group_of;  /* ... and the streams to which a long batch is
				given group by group */
	uint64_t news_pos;   /* messages of the main stream from here on have
				become visible since the last feeding */
	uint64_t feeds;	     /* messages committed to filtered streams so far;
				delivery compares it to know whether it must
				wake readers */

	int64_t (*clock_ns)(void); /* NULL: feeding has no limit */
	uint64_t long_bytes;	   /* shorter messages are not timed: without a
				      clock, all are shorter */
	uint32_t piece_rows;	   /* rows of a long message between two looks
				      at the clock */
	unsigned group_max;	   /* streams that get a long batch between two
				      looks */
	int64_t until_ns;	   /* when the time is over; 0: it has not
				      begun */
	bool is_cut;		   /* it was over before all streams were fed */
	const uint8_t *looked;	   /* the long message that long_filter looks
				      at, or NULL */
	uint64_t look_pos;	   /* position of the last message looked at in
				      pieces */
	const struct stream *half; /* stream with an unfinished part of that
				      message after its head, or NULL, ... */
	uint64_t picks;		   /* ... written from long_filter's pick of
				      this number */
	uint64_t half_pos;	   /* position of the last message written in
				      pieces ... */
	unsigned half_id;	   /* ... and the id of the stream it was
				      written to */
	struct batch *batch; /* NULL: each update is a message */
	struct cursor shown; /* in batches: holds the messages that are not
				visible yet */
};

struct streams_options {
	size_t main_bytes; /* size of the main ring; all memory is allocated at
			      once */
	bool huge_pages;
	bool is_in_core; /* the main ring is in core dumps */
	unsigned filtered_max;
	size_t filtered_bytes; /* size of each filtered ring; memory is used on
				  first touch */
	uint32_t symbols_max;  /* different symbols that can be filtered by at
				  once */
	uint32_t sets_max;     /* different sets of symbols held at once */
	size_t message_max;    /* longest message */
	size_t unit_max;       /* longest batch of more than one update; 0:
				  message_max */
	uint64_t seed;	       /* of the symbols' hash (symbols.h) */
	bool is_batched;       /* filtered streams get one message per table and
				  interval; the main stream is gated, and no
				  consumer reads it */
};

/* Opens the main stream and all filtered ones.  The schema must outlive them.
 * Returns 0 or -errno; streams_close must follow in either case. */
int streams_open(struct streams *all, const struct schema *schema,
		 const struct streams_options *options);

/* Accepts a zeroed or half-opened object. */
void streams_close(struct streams *all);

/*
 * The stream of a selection: the main one for all tables, else the one that has
 * this selection already, else a free one, which starts at the main stream's
 * visible end.  The caller attaches a cursor before anything else happens: a
 * filtered stream without cursors is free.  `address` is the peer's.  NULL if
 * no stream is free, or if only the last eighth is free and the address has
 * begun STREAMS_FEW streams already (one, and one to change to).
 */
struct stream *streams_find(struct streams *all,
			    const struct selection *selection,
			    uint64_t address);

/*
 * Attaches a cursor to the stream of a selection, at the first byte that comes
 * from main_pos or later, a frame boundary of the main stream: the way back
 * from the journal.  Begins a filtered stream there if none has the selection.
 * false if the rings no longer have all bytes from there on, or no stream is
 * free for the address (as in streams_find).
 */
bool streams_resume(struct streams *all, const struct selection *selection,
		    uint64_t address, uint64_t main_pos,
		    struct cursor *cursor);

/* Detaches a reader's cursor; without effect on a detached one.  A filtered
 * stream becomes free with its last cursor, and then holds no bytes of the main
 * one. */
void streams_detach(struct cursor *cursor);

/* The totals of the selection's tables in the visible part of the main stream,
 * since the start of the daemon; the bytes include marks.  Of a filtered table
 * all rows are counted. */
struct stream_total streams_total(const struct streams *all,
				  const struct selection *selection);

/* Whether streams_total is exactly what a consumer with the selection gets: not
 * with symbols, nor in batches. */
bool streams_can_count(const struct streams *all,
		       const struct selection *selection);

/* The totals of visible messages that a stream in use has not been fed, because
 * its ring is full or the time was over.  Where its part cannot be counted
 * (streams_can_count), all messages of the main stream are. */
struct stream_total streams_unfed(const struct streams *all,
				  const struct stream *s);

/* The lowest position of the main stream that a cursor of any stream still
 * needs. */
uint64_t streams_oldest_pos(struct streams *all);

/*
 * Copies the newly visible messages of the main stream to the filtered streams
 * that have room.  To pick rows from a long message takes time for each stream:
 * with a clock, feeding ends after 2 ms, even in the middle of a stream's rows,
 * and is_cut is set.  The next call continues; streams that have the long
 * message are fed the following ones meanwhile.  No other long message is
 * accepted until all streams have this one (tick/publish.c), so that feeding
 * comes to an end.  A piece of work that was lost and has to be repeated is
 * done without looking at the clock.
 */
void streams_feed(struct streams *all, int64_t now_ns);

/* Whether the feeding of a message of this length is limited in time. */
static inline bool
streams_is_long(const struct streams *all, uint64_t len)
{
	return len >= all->long_bytes;
}

/* Whether a stream has been fed all that is visible in the main stream: only
 * then do both end at the same record.  A stream without readers is level too:
 * it is not fed, and to wait for it would never end. */
bool streams_is_level(const struct streams *all, const struct stream *s);

/* Whether any cursor may lag by `percent` of its ring or more, or may be in the
 * way (stream_is_in_the_way).  Cheap while all consumers keep up. */
bool streams_may_be_slow(struct streams *all, unsigned percent);

/* Counts a record of len bytes for its table.  The caller commits it to the
 * main stream before the totals are read. */
static inline void
streams_count(struct streams *all, unsigned table_idx, uint64_t len)
{
	all->tables[table_idx].records++;
	all->tables[table_idx].bytes += len;
}

/* Commits a record of len bytes to the main stream, and counts it. */
void streams_commit(struct streams *all, unsigned table_idx, uint64_t len,
		    int64_t now_ns);

/* The same as stream_show in batches: the batch ends at pos. */
void streams_show_batch(struct streams *all, uint64_t pos, int64_t now_ns);

#endif
