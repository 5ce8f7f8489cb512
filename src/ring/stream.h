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
 * at the start of the span in flight until its completion), or the position up
 * to which a filtered stream has been fed.
 *
 * The main stream has every message; a filtered stream what one selection (of
 * tables, of symbols) leaves of them.  Consumers with equal selections share
 * one.
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
	STREAM_LONG_BYTES = 64 << 10, /* a message whose feeding is timed */
	STREAMS_SHARE = 8, /* the last eighth of the filtered ones is ... */
	STREAMS_FEW = 2,   /* ... for addresses that have begun fewer */
	STREAM_PIECE_ROWS = 16 << 10, /* of it: less than 1 ms */
	STREAM_GROUP_MAX = 8, /* streams between two looks at the clock, where
				 several updates are a long batch */
};

struct batch;
struct stream;
struct streams;

struct cursor {
	struct list node;
	struct stream *stream; /* NULL: reads nothing, holds nothing */
	uint64_t pos;
};

/* What was put in so far, of some tables. */
struct stream_total {
	uint64_t records;
	uint64_t bytes; /* as published */
};

struct stream {
	struct ring ring;
	struct index index;
	struct index_entry *index_entries;
	struct list cursors;
	uint64_t head_pos;   /* end of the last message */
	uint64_t tail_pos;   /* at or before every cursor, at an index entry or
				the head; refreshed on need */
	uint64_t wanted_bytes; /* room that somebody waits for, else 0 */
	uint64_t slowest_pos; /* of all cursors, when tail_pos was refreshed */
	uint64_t visible_pos; /* up to where consumers may read: the head, or
				 less where the main stream is gated */
	uint64_t records;    /* put into this stream so far */
	uint64_t marks;	     /* the same for messages that are no records */
	uint64_t mark_bytes; /* of them */
	uint64_t last_mark_pos; /* if there was one */
	unsigned id;	     /* 0: the main stream */
	bool is_main;
	int64_t revealed_ns; /* when more than a quarter of a gated ring became
			    visible at once; 0: never */
	bool is_gated;	     /* stream_show moves visible_pos, not commits */

	/* Of a filtered stream: */
	struct streams *all;
	uint64_t address; /* of who began it */
	struct selection selection; /* kept while it is in use */
	struct cursor fed; /* in the main stream; unused: stream == NULL */
	uint64_t fed_records; /* of the main stream before fed.pos */
	uint64_t first_main_pos; /* what was fed before cannot be found */
	struct stream_total missed; /* of the selection's total what is in no
				record and at no position here; modular */
	uint64_t unit_max;    /* in batches: bytes from one entry of the index
				 to the next, at most; else 0 */
	uint64_t ahead_pos;   /* up to here something was written already that
				 is not committed: what the ring had there
				 before is gone */
	uint64_t wants_pos;   /* of the long message there, for which it had no
				 room, ... */
	uint64_t wants_len;   /* ... it gets so much; 0: not known */
	size_t batch_len;     /* being written behind the head, not committed */
	unsigned batch_cnt;   /* messages in it */
};

/* What stands in the main stream in [from_pos, to_pos), by table index: kept,
 * because who asks for one consumer asks for the others too. */
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
	struct stream_total *tables; /* of the main stream, by table index */
	struct stream_tail *unpublished;

	/* Who gets what: bits by filtered stream, words of them. */
	struct filter filter;
	struct filter long_filter; /* looks at a long message meanwhile */
	size_t words;
	uint64_t *in_use;
	uint64_t *whole;     /* words for each table: who wants all its rows */
	uint32_t *filterers; /* of each table: how many want some rows of it */
	uint64_t *group;     /* while feeding: those at one place, ... */
	uint64_t *no_room;   /* ... those without room, ... */
	uint64_t *receivers; /* ... those who get the message, ... */
	uint64_t *group_of;  /* ... and of whom some get a long batch */
	uint64_t feeds;	     /* messages in filtered streams that are there to
				be read: delivery wakes by it who reads them */

	int64_t (*clock_ns)(void); /* NULL: feeding has no limit */
	uint32_t long_bytes;	   /* shorter messages have none */
	uint32_t piece_rows;	   /* of longer ones, between two looks at it */
	unsigned group_max;	   /* streams that get a long batch together */
	int64_t until_ns;	   /* ... which is this; 0: not begun */
	bool is_cut;		   /* it was over before all were fed */
	const uint8_t *looked;	   /* the long message that it looks at */
	uint64_t look_pos;	   /* the last that was looked at in pieces */
	const struct stream *half; /* has a part of what it gets of that behind
				      its head, ... */
	uint64_t picks;		   /* ... of the filter's pick of this number */
	uint64_t half_pos;	   /* the last that was written in pieces ... */
	unsigned half_id;	   /* ... and to which stream */
	struct batch *batch; /* NULL: each update is a message */
	struct cursor shown; /* in batches: holds what is not visible yet */
};

struct streams_options {
	size_t main_bytes;  /* of the main ring; all memory is taken at once */
	bool huge_pages;
	bool is_in_core; /* the main ring is in core dumps */
	unsigned filtered_max;
	size_t filtered_bytes; /* of each one's ring; taken when first used */
	uint32_t symbols_max; /* that can be filtered by at once */
	uint32_t sets_max;    /* different sets of them that are held */
	size_t message_max;   /* that is put in */
	size_t unit_max;      /* of a batch, unless it is one update; 0: as
				 long as a message */
	uint64_t seed;	      /* of the hash of symbols; symbols.h */
	bool is_batched;      /* streams get what has come as one message of
				 each table: the main one is gated, and
				 nobody reads it */
};

/* The schema must outlive it. 0 or -errno. */
int streams_open(struct streams *all, const struct schema *schema,
		 const struct streams_options *options);

/* Accepts a zeroed or half-opened object. */
void streams_close(struct streams *all);

/*
 * The stream of a selection: the main one for all tables, else the one that
 * has it already, else a free one, which starts at the main stream's head.
 * The caller attaches a cursor before anything else happens: a filtered stream
 * without cursors is free.  NULL if none is left; or the last ones are, and the
 * address of who asks has begun STREAMS_FEW already (one, and one to change
 * to).
 */
struct stream *streams_find(struct streams *all,
			    const struct selection *selection,
			    uint64_t address);

/*
 * Attaches a cursor where what follows main stream position main_pos (a frame
 * boundary) begins, of the selection: the way back from the journal.  Starts a
 * filtered stream there if none has the selection.  false if the rings no
 * longer have all of it, or no stream is free for the address.
 */
bool streams_resume(struct streams *all, const struct selection *selection,
		    uint64_t address, uint64_t main_pos,
		    struct cursor *cursor);

/* What is visible of a selection's tables, since the start, marks in the bytes;
 * of a table that is filtered, all rows. */
struct stream_total streams_total(const struct streams *all,
				  const struct selection *selection);

/* Whether streams_total is what the selection gets. */
bool streams_can_count(const struct streams *all,
		       const struct selection *selection);

/* Of what is visible, what a stream in use lacks: its ring is full, or it was
 * not fed.  Where it cannot be counted, what it has to look at. */
struct stream_total streams_unfed(const struct streams *all,
				  const struct stream *s);

/* No cursor of any stream needs what is before this main stream position. */
uint64_t streams_oldest_pos(struct streams *all);

/*
 * Copies what is new in the main stream to the filtered ones, as far as they
 * have room.  To pick from a long message takes its time for each of them: with
 * a clock it ends when 2 ms are over, in the midst of a stream's rows too, and
 * is_cut says so.  The next call goes on; who stands behind the message gets
 * what follows meanwhile.  Other long messages wait until it has ended
 * (tick/publish.c), so that it does.  What has to be done again is done in one
 * go.
 */
void streams_feed(struct streams *all, int64_t now_ns);

/* Whether a stream in use holds everything that is visible in the main stream:
 * only then do both end at the same record.  One that nobody reads any more is
 * level too: it gets nothing, and who waited for it would wait for ever. */
bool streams_is_level(const struct streams *all, const struct stream *s);

/* Whether any cursor can lag by `percent` of its ring or more, or be in the
 * way. Cheap while all keep up. */
bool streams_may_be_slow(struct streams *all, unsigned percent);

/* ---- writing ---- */

/* Whether len bytes can be put at the head now. If not, wanted_bytes keeps
 * the wish until the next call. */
bool stream_has_room(struct stream *s, uint64_t len);

/* Whether a cursor at pos may be what keeps wanted_bytes from fitting: such a
 * consumer is treated as past the leave mark, wherever the mark is. */
bool stream_is_in_the_way(const struct stream *s, uint64_t pos);

/* Where the next message goes; contiguous for as long as has_room said. */
static inline uint8_t *
stream_head(const struct stream *s)
{
	return ring_at(&s->ring, s->head_pos);
}

/* len bytes were written at the head: one message, of `records` (0 or 1); or
 * several of so many: of the main stream no more than a gap of the index and a
 * message, or places in it could not be found fast. */
void stream_commit(struct stream *s, uint64_t len, unsigned records,
		   int64_t now_ns);

/* Counts a record of len bytes for its table; what is counted is committed to
 * the main stream before anybody looks. */
static inline void
streams_count(struct streams *all, unsigned table_idx, uint64_t len)
{
	all->tables[table_idx].records++;
	all->tables[table_idx].bytes += len;
}

/* Commits a record to the main stream, counted. */
void streams_commit(struct streams *all, unsigned table_idx, uint64_t len,
		    int64_t now_ns);

/* Lets consumers of a gated stream read up to pos, a frame boundary. */
void stream_show(struct stream *s, uint64_t pos, int64_t now_ns);

/* The same for the batch that ends there. */
void streams_show_batch(struct streams *all, uint64_t pos, int64_t now_ns);

/* ---- reading ---- */

/* A detached cursor is put at pos, within [tail, head]. */
void cursor_attach(struct cursor *c, struct stream *s, uint64_t pos);

/* Harmless on a detached one. */
void cursor_detach(struct cursor *c);

/* What the cursor could have read and has not. */
static inline uint64_t
cursor_lag(const struct cursor *c)
{
	return c->stream == NULL ? 0 : c->stream->visible_pos - c->pos;
}

enum reply_kind {
	REPLY_OF_UPDATE, /* what is in the stream cannot be taken back */
	REPLY_OF_SUBSCRIPTION,
	REPLY_OF_QUESTION, /* an error can take its place */
};

/*
 * What a reply waits for besides its turn: that *reached (a position in the
 * main stream) has come to pos.  reached NULL: nothing.
 */
struct reply_gate {
	const uint64_t *reached;
	uint64_t pos;
	enum reply_kind kind;
	bool is_early; /* it stands behind what is visible, not behind all that
			  was committed: that may take long to become so */
};

/* ---- what a position means; `pos` is in [tail, head] ---- */

struct stream_place {
	uint64_t frame_pos;  /* start of the message that pos lies in, or pos
				itself at a boundary */
	uint64_t frame_end;  /* its end; pos itself at a boundary */
	uint64_t record;     /* number in this stream of the first record that
				starts at or after frame_pos */
	int64_t time_ns;     /* when that message was put in, to 10 ms */
};

/* Costs a walk over at most 64 KiB of frames. */
struct stream_place stream_locate(const struct stream *s, uint64_t pos);

/* Where in the main stream something comes from. */
struct stream_source {
	uint64_t main_pos;
	uint64_t main_record; /* number of the record there, or the next */
	uint64_t skip_bytes;  /* so much of what the selection leaves of it and
				 of what follows stands before */
};

/* Where the reader of pos must go on in the main stream; in batches, the reader
 * of its unit's end. */
struct stream_source stream_main_place(const struct stream *s, uint64_t pos);

/*
 * In batches only where an entry of the index is, is it known what comes next:
 * the first such position at or after pos.  It is no further than unit_max.
 * Else, and within a longer batch, which is one update, pos itself.
 */
uint64_t stream_unit_end(const struct stream *s, uint64_t pos);

/* What stands before pos comes from before this place in the main stream. */
uint64_t stream_main_end(const struct stream *s, uint64_t pos);

/*
 * The number in the main stream of the first record at or after pos that the
 * stream has; of a filtered one, at most 64 KiB or 10 ms of it too low.
 */
uint64_t stream_main_record(const struct stream *s, uint64_t pos);

/* Whether a mark stands in [pos, to_pos), both frame boundaries; the day that
 * the last one ends. */
bool stream_find_mark(const struct stream *s, uint64_t pos, uint64_t to_pos,
		      int32_t *out_day);

/* ---- frames as streams hold them ---- */

uint32_t stream_frame_len(const uint8_t *frame);

/* Whether a frame of a stream is a record (else it is a mark). */
bool stream_frame_is_record(const uint8_t *frame);

#endif
