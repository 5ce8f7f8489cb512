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
#include "ring/index.h"
#include "ring/ring.h"
#include "ring/selection.h"

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

/* Lets consumers of a gated stream read up to pos, a frame boundary. now_ns is
 * monotonic. */
void stream_show(struct stream *s, uint64_t pos, int64_t now_ns);

/* ---- reading ---- */

/* Attaches a detached cursor at pos, within [tail, head]. The stream keeps a
 * pointer to it until cursor_detach. */
void cursor_attach(struct cursor *c, struct stream *s, uint64_t pos);

/* Detaches a cursor; without effect on a detached one.  Returns whether the
 * stream has no cursor since then: a reader of a filtered stream leaves by
 * streams_detach, which frees the stream in that case. */
bool cursor_detach(struct cursor *c);

/* Visible bytes after the cursor; 0 if it is detached. */
static inline uint64_t
cursor_lag(const struct cursor *c)
{
	return c->stream == NULL ? 0 : c->stream->visible_pos - c->pos;
}

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

/* Whether the last mark is at or after pos. */
bool stream_has_mark_after(const struct stream *s, uint64_t pos);

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
