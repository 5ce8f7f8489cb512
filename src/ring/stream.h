/*
 * A stream: a ring, its index, and the cursors of those who read it.
 *
 *          tail                                   head
 *            v                                      v
 *   ---------|======================================|- - - - - - room
 *            ^            ^                 ^
 *         cursor       cursor             cursor
 *
 * Invariant: head - size <= tail <= every cursor <= head.  Bytes at or after
 * the tail are never overwritten.  A cursor is a consumer's offset (which stays
 * at the start of the span in flight until its completion), or the position in
 * the main stream up to which a filtered stream has been fed.
 *
 * The main stream has every message; a filtered stream has those that one
 * selection of tables and symbols wants, or the wanted rows of them.  Consumers
 * with equal selections share a stream.
 *
 * Messages are whole kdb+ frames.  Records are updates; a mark (`.u.end`) is a
 * message too, but no record, and goes into every stream.
 */
#ifndef RINGTICK_RING_STREAM_H
#define RINGTICK_RING_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"
#include "ring/filter.h"
#include "ring/index.h"
#include "ring/ring.h"
#include "ring/selection.h"
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
struct stream;
struct streams;

struct cursor {
	struct list node;
	struct stream *stream; /* NULL: detached */
	uint64_t pos;
};

/* Updates put in so far, of some tables. */
struct stream_total {
	uint64_t records;
	uint64_t bytes; /* lengths of the published frames */
};

struct stream {
	struct ring ring;
	struct index index;
	struct index_entry *index_entries;
	struct list cursors;
	uint64_t head_pos;   /* end of the last message */
	uint64_t tail_pos;   /* at or before every cursor; at an index entry or
				the head; moved only when room is needed */
	uint64_t wanted_bytes;	/* room that a writer waits for, else 0 */
	uint64_t slowest_pos;	/* the lowest cursor when tail_pos was
				   refreshed */
	uint64_t visible_pos;	/* consumers may read up to here: the head, or
				   less if the main stream is gated */
	uint64_t records;	/* number put into this stream so far */
	uint64_t marks;		/* the same for marks */
	uint64_t mark_bytes;	/* bytes of all marks so far */
	uint64_t last_mark_pos; /* start of the last mark; valid if marks > 0 */
	unsigned id;	     /* 0: the main stream */
	bool is_main;
	int64_t revealed_ns; /* when more than a quarter of a gated ring became
				visible at once, monotonic; 0: never */
	bool is_gated;	     /* stream_show moves visible_pos; stream_commit
				does not */

	/* Of a filtered stream: */
	struct streams *all;
	uint64_t address;	    /* of the peer that began it */
	struct selection selection; /* kept while it is in use */
	struct cursor fed; /* in the main stream; unused: stream == NULL */
	uint64_t fed_records;	 /* records of the main stream before fed.pos */
	uint64_t first_main_pos; /* positions of the main stream before this one
				    cannot be found here */
	struct stream_total missed; /* the part of the selection's total that is
				       in no record and at no position of this
				       stream; modular */
	uint64_t unit_max;  /* in batches: the most bytes between two entries
			       of the index; else 0 */
	uint64_t ahead_pos; /* uncommitted bytes have been written up to
			       here: older bytes of the ring there are
			       overwritten */
	uint64_t wants_pos; /* start of a long message for which there was no
			       room, ... */
	uint64_t wants_len; /* ... and the room it needs; 0: not known */
	size_t batch_len;   /* uncommitted bytes of a batch after the head */
	unsigned batch_cnt; /* messages in these bytes */
};

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
	uint64_t feeds;	     /* messages committed to filtered streams so far;
				delivery compares it to know whether it must
				wake readers */

	int64_t (*clock_ns)(void); /* NULL: feeding has no limit */
	uint32_t long_bytes;	   /* shorter messages are not timed */
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

/* Whether to feed a message of so many bytes has a limit of time. */
static inline bool
streams_is_long(const struct streams *all, uint64_t len)
{
	return all->clock_ns != NULL && len >= all->long_bytes;
}

/* Whether a stream has been fed all that is visible in the main stream: only
 * then do both end at the same record.  A stream without readers is level too:
 * it is not fed, and to wait for it would never end. */
bool streams_is_level(const struct streams *all, const struct stream *s);

/* Whether any cursor may lag by `percent` of its ring or more, or may be in the
 * way (stream_is_in_the_way).  Cheap while all consumers keep up. */
bool streams_may_be_slow(struct streams *all, unsigned percent);

/* ---- writing ---- */

/* Whether len bytes can be written at the head now.  If not, wanted_bytes is
 * len until the next call. */
bool stream_has_room(struct stream *s, uint64_t len);

/* Whether a cursor at pos may be the reason that wanted_bytes do not fit: such
 * a consumer is treated as past the leave mark, wherever the mark is. */
bool stream_is_in_the_way(const struct stream *s, uint64_t pos);

/* The address of the next message.  As many bytes are writable from there as
 * stream_has_room was asked for. */
static inline uint8_t *
stream_head(const struct stream *s)
{
	return ring_at(&s->ring, s->head_pos);
}

/*
 * Commits len bytes that were written at the head: one message with `records` 0
 * (a mark) or 1, or several updates with their number.  Several updates in the
 * main stream must be no longer than a gap of the index and one message, or
 * places within them could not be found fast. now_ns is monotonic.
 */
void stream_commit(struct stream *s, uint64_t len, unsigned records,
		   int64_t now_ns);

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

/* Lets consumers of a gated stream read up to pos, a frame boundary. now_ns is
 * monotonic. */
void stream_show(struct stream *s, uint64_t pos, int64_t now_ns);

/* The same in batches: the batch ends at pos. */
void streams_show_batch(struct streams *all, uint64_t pos, int64_t now_ns);

/* ---- reading ---- */

/* Attaches a detached cursor at pos, within [tail, head]. The stream keeps a
 * pointer to it until cursor_detach. */
void cursor_attach(struct cursor *c, struct stream *s, uint64_t pos);

/* Detaches a cursor; without effect on a detached one.  A filtered stream
 * becomes free with its last cursor. */
void cursor_detach(struct cursor *c);

/* Visible bytes after the cursor; 0 if it is detached. */
static inline uint64_t
cursor_lag(const struct cursor *c)
{
	return c->stream == NULL ? 0 : c->stream->visible_pos - c->pos;
}

enum reply_kind {
	REPLY_OF_UPDATE, /* the update is in the stream and cannot be taken
			    back */
	REPLY_OF_SUBSCRIPTION,
	REPLY_OF_QUESTION, /* an error can take its place */
};

/*
 * The condition of a reply, besides its turn: *reached, a position in the main
 * stream that another part of the daemon moves, has come to pos. reached NULL:
 * no condition.
 */
struct reply_gate {
	const uint64_t *reached;
	uint64_t pos;
	enum reply_kind kind;
	bool is_early; /* queued after the visible messages, not after all
			  committed ones, which may become visible much later */
};

/* ---- the meaning of a position; `pos` is in [tail, head] ---- */

struct stream_place {
	uint64_t frame_pos;  /* start of the message that pos lies in, or pos
				itself at a boundary */
	uint64_t frame_end;  /* end of that message; pos itself at a boundary */
	uint64_t record;     /* number in this stream of the first record that
				starts at or after frame_pos */
	int64_t time_ns;     /* when that message was put in, to 10 ms */
};

/* The message that pos lies in.  Walks at most 64 KiB of frames, or one
 * message. */
struct stream_place stream_locate(const struct stream *s, uint64_t pos);

/* The place in the main stream that bytes of a stream come from. */
struct stream_source {
	uint64_t main_pos;
	uint64_t main_record; /* number of the record there, or the next */
	uint64_t skip_bytes;  /* from main_pos on, the reader has had this many
				 bytes of its selection */
};

/* Where a reader that leaves the stream at pos continues in the main stream; in
 * batches, a reader at stream_unit_end(pos). */
struct stream_source stream_main_place(const struct stream *s, uint64_t pos);

/*
 * In batches only a position that has an index entry is known to correspond to
 * a place in the main stream: returns the first such position at or after pos,
 * which is at most unit_max away.  Without batches, and within a longer batch
 * (of one update), returns pos.
 */
uint64_t stream_unit_end(const struct stream *s, uint64_t pos);

/* A position in the main stream: all bytes before pos come from before it. */
uint64_t stream_main_end(const struct stream *s, uint64_t pos);

/*
 * The number in the main stream of the first record at or after pos; in a
 * filtered stream it can be too low, by the records of 64 KiB or 10 ms.
 */
uint64_t stream_main_record(const struct stream *s, uint64_t pos);

/* Whether there is a mark in [pos, to_pos), both frame boundaries. *out_day:
 * the day that the last of them ends, in days since 2000-01-01; set only if
 * there is one. */
bool stream_find_mark(const struct stream *s, uint64_t pos, uint64_t to_pos,
		      int32_t *out_day);

/* ---- frames in streams ---- */

uint32_t stream_frame_len(const uint8_t *frame);

/* Whether a frame of a stream is a record; else it is a mark. */
bool stream_frame_is_record(const uint8_t *frame);

#endif
