/*
 * A consumer: the output side of one connection.  It owns nothing of what it
 * sends: it is an offset into a stream, and an ordered list of parts:
 *
 *   rest, notice | stream, up to the limit | reply | stream, from `next` on
 *   (of a frame    here.pos ----> limit_pos  bytes   next.pos
 *    cut off by
 *    a skip)
 *
 * Instead of a stream it may read the past: the journal's files, through a
 * small buffer that catchup.c fills.  Then it holds nothing of any ring.  A
 * long rest is read in the same way, where the journal has it.
 *
 * A part starts when the one before was fully accepted by the kernel.  At most
 * one write is in flight, and an offset moves only by what its completion
 * reported.  While a reply waits, no further request of the connection may be
 * handled: that keeps this list so short.
 *
 * Pure: decides what to write next; delivery.c does the writing.
 */
#ifndef RINGTICK_CLIENT_CONSUMER_H
#define RINGTICK_CLIENT_CONSUMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"
#include "client/slow_policy.h"
#include "config/settings.h"
#include "journal/history.h"
#include "ring/stream.h"
#include "schema/mark.h"

/* Of each consumer, for what it reads of the past; else for a rest. */
enum { CATCHUP_BUFFER_BYTES = 256 << 10 };

/*
 * Where a consumer reads.  consumer_move is the only way from one to another.
 *
 *   NONE <---> LIVE <----> LEAVING
 *     |        ^  ^
 *     v        |  +------> REST
 *   JOURNAL <--+
 */
enum consumer_state {
	CONSUMER_NONE,	  /* nothing, but it may have replies */
	CONSUMER_LIVE,	  /* a stream */
	CONSUMER_LEAVING, /* the same; its write in flight was cancelled, after
			     which it leaves the ring or skips */
	CONSUMER_REST,	  /* the rest of one frame, from the journal; then the
			     stream that it is in, if any */
	CONSUMER_JOURNAL, /* the journal; it holds nothing of any ring */
};

enum consumer_part {
	PART_NONE,
	PART_REST,
	PART_NOTICE,
	PART_JOURNAL,
	PART_STREAM,
	PART_REPLY,
};

/*
 * How much is still to be sent: `fixed`, and all that came to the selection's
 * total since.
 */
struct consumer_backlog {
	struct stream_total fixed;
	struct stream_total since;
	bool is_all; /* counts what is gone through, of all tables, from this
			position of the main stream on: nobody knows how much
			of the selection is in it */
	uint64_t from_pos;
};

/* A selection's records from number `record` of a file on. */
struct past_request {
	struct history_place place; /* at or before that record */
	uint64_t record;
	uint64_t skip_records; /* so many of the selection's first */
	uint64_t epoch_limit;  /* they must come before this one */
	uint64_t end_record;   /* number of the next one to become visible */
};

/* What catchup.c has to say of a consumer. */
enum catchup_outcome {
	OUTCOME_NONE,
	OUTCOME_CAUGHT_UP,  /* it is back in a ring */
	OUTCOME_ANSWERED,   /* a reply without bytes is done: the connection's
			       requests continue */
	OUTCOME_UNREADABLE, /* the journal cannot be read for it */
	OUTCOME_LOST,	    /* it has what a crash took from the journal */
};

/* Reading the journal. Positions are of the main stream. */
struct past {
	struct history_place at;    /* the next record to look at; held */
	struct selection selection; /* of what is there this, which is kept, is
				       sent ... */
	uint64_t from_pos;	    /* ... from here on, ... */
	uint64_t from_record;	    /* ... from this record of the file on, */
	uint64_t skip_bytes;	    /* but for these, which were sent, ... */
	uint64_t skip_records;	    /* ... and these, which the client has; */
	uint64_t epoch_limit;	    /* if they are not all before this record,
				       it has what was lost */
	uint8_t *buffer; /* the connection's: frames, whole or the end of one */
	bool is_touched; /* it has memory that can be given back */
	size_t len, sent;
	size_t first_len;     /* of it, the end of the first message ... */
	bool is_first_record; /* ... which is a record */
	int64_t time_ns;      /* about when it came */
	bool has_next;	      /* behind the reply: */
	struct selection next_selection;
	struct past_request next; /* file NULL: goes on where it is; held */

	/* the account */
	struct consumer_backlog backlog; /* of selection; up to the limit ... */
	struct consumer_backlog next_backlog; /* ... and of next_selection */
	int64_t since_ns;		/* when it left the ring */
	uint64_t served_records;	/* in all its life */
	int64_t spent_ns;		/* before since_ns, if it is there */
	uint64_t spills;

	/* for catchup.c */
	struct list node;
	enum catchup_outcome outcome;
	bool is_reading;   /* a read for it is in flight */
	size_t long_bytes; /* the next record is long: how much to read to see
			      its length, 0: it is short */
	size_t long_len;   /* its length, 0: not known yet */
	const struct schema_table *long_table;
};

/*
 * What comes behind a skip and before what is new: the end of a day that it
 * would have missed, and, for who asked, word of the records that it did miss.
 */
struct notice {
	bool has_mark;
	int32_t mark_day; /* of several the last */
	bool has_range;
	uint64_t from_record, to_record; /* of the day; `to` is not missed */
	uint8_t bytes[MARK_BYTES + 80];
	size_t len, sent;
	bool is_all; /* bytes has all of the above, else more is to come */
	bool is_after_reply; /* which had begun */
};

struct consumer {
	enum consumer_state state;

	/* the parts */
	uint8_t *rest; /* past.buffer or, if it is too long for that, a pool
			  buffer; NULL when there is none, or it is read */
	size_t rest_len, rest_sent;
	struct notice notice;
	struct cursor here;
	uint64_t limit_pos;	 /* while is_replying: where `here` pauses */
	uint64_t limit_main_pos; /* the same in the main stream: where the past
				    pauses, ... */
	struct stream_total limit_total; /* ... and what it has had there; the
					    bytes only for a subscription */
	bool is_replying;
	uint8_t *reply;	     /* the connection's reply buffer */
	uint8_t *long_reply; /* a pool buffer instead, or NULL */
	size_t reply_len, reply_sent;
	struct reply_gate gate;
	struct cursor next; /* attached while a change of stream waits */
	struct past past;
	struct streams *streams;

	/* the write in flight */
	enum consumer_part writing; /* PART_NONE: nothing is in flight */
	size_t writing_len;
	const uint8_t *writing_at;
	uint64_t writing_sum; /* only with --enable-span-check */
	int64_t writing_since_ns;
	bool is_counted;   /* in delivery's bytes in flight */

	/* being slow */
	uint64_t address; /* peers_address: of the streams it has a share */
	enum slow_policy policy;
	bool wants_skips; /* asked to be told */
	struct lag_state lag;
	int64_t blameless_until_ns; /* its lag was the journal's */

	/* for delivery.c */
	struct list queue_node;
	struct list flight_node;

	/* counters */
	uint64_t sent_bytes;
	uint64_t high_bytes; /* the longest lag seen */
	uint64_t skips;
	uint64_t skipped_records;
};

/* What to write next. */
struct span {
	enum consumer_part part;
	const uint8_t *at;
	size_t len;
	bool is_in_main_ring;
};

/* reply and past_buffer are the connection's. */
void consumer_init(struct consumer *c, struct streams *streams, uint8_t *reply,
		   uint8_t *past_buffer, enum slow_policy policy);

/* Reads a stream or the past, now or from its next part on. */
static inline bool
consumer_is_subscribed(const struct consumer *c)
{
	return c->state != CONSUMER_NONE || c->next.stream != NULL ||
	       c->past.has_next;
}

/* Whether requests of this connection have to wait. */
static inline bool
consumer_is_busy(const struct consumer *c)
{
	return c->is_replying;
}

/*
 * Queues a reply of len bytes (0: none), which already are in the reply
 * buffer, behind what the stream holds now, to be sent when the gate opens
 * (a gate needs a reply);
 * then goes on in `stream` from what is visible in it now (NULL: in the same
 * one as before).  Not while is_busy.
 */
void consumer_queue(struct consumer *c, size_t len, struct stream *stream,
		    struct reply_gate gate);

/*
 * The same, but behind the reply it reads the past, from what is requested on;
 * or, where that is NULL, for one that reads the past already: from the end of
 * what is visible now.
 */
void consumer_queue_past(struct consumer *c, size_t len,
			 const struct selection *selection,
			 const struct past_request *request,
			 struct reply_gate gate, int64_t now_ns);

/* The next write, at most span_max bytes of a stream. false: nothing to do.
 * Only while none is in flight. */
bool consumer_next(struct consumer *c, size_t span_max, struct span *out);

/* The write in flight has completed: `accepted` bytes of it were taken.
 * Returns a pool buffer that is no longer needed, or NULL. */
uint8_t *consumer_written(struct consumer *c, size_t accepted);

/* The write in flight, of a stream, was cancelled: when it completes the
 * consumer can leave that stream.  false: it was cancelled before. */
bool consumer_cancel(struct consumer *c);

/* Whether the reply to a question waits, and nothing of it is on its way. */
bool consumer_has_question(const struct consumer *c);

/* Nothing becomes visible or written now: it stands behind what is.  Returns
 * whether its gate is open. */
bool consumer_hurry_reply(struct consumer *c);

/* Another reply of so many bytes in place of the one that waits for a gate; the
 * gate is open. */
void consumer_replace_reply(struct consumer *c, size_t len);

/* Whether it waits for a gate, and for nothing that it could do itself: it is
 * not to blame for its lag. */
bool consumer_waits_for_gate(const struct consumer *c);

/* Bytes that it lacks, of all parts; keeps high_bytes. */
uint64_t consumer_lag_bytes(struct consumer *c);

/* The longest share of a ring that it holds: its lag in that ring and that
 * ring's size. Being in the way of a message counts as a full ring. */
void consumer_ring_lag(const struct consumer *c, uint64_t *out_lag_bytes,
		       uint64_t *out_ring_bytes);

/* Records that it lacks, one half-sent included; and the age of the oldest
 * message that was not fully accepted, in ns (0: none). */
void consumer_lag_records(const struct consumer *c, int64_t now_ns,
			  uint64_t *out_records, int64_t *out_age_ns);

/* Bytes that a skip would have to copy out first, or read: what is left of a
 * half-sent frame. Not while a part of the stream is in flight. */
size_t consumer_torn_bytes(const struct consumer *c);

/* That frame comes from what the main stream has before this position. */
uint64_t consumer_torn_end(const struct consumer *c);

struct skipped {
	uint64_t records; /* lost to this consumer */
	/* They are among these of the main stream: */
	uint64_t from_record, to_record;
};

/*
 * Moves to the head, at a frame boundary; the last end of a day on the way is
 * not lost. `buffer` takes consumer_torn_bytes() and becomes `rest`; NULL if
 * they fit into CATCHUP_BUFFER_BYTES, or are read from `place` on, which is at
 * or before consumer_main_place.  Not while a part of the stream is in flight.
 */
struct skipped consumer_skip(struct consumer *c, uint8_t *buffer,
			     const struct history_place *place);

/* Tells it that it may lack records [from, to) of the day, in
 * (`.ringtick.skipped;from;to). */
void consumer_tell_skip(struct consumer *c, uint64_t from_record,
			uint64_t to_record);

/* ---- the past ---- */

/* What place in the main stream it must go on from if it leaves now. */
struct stream_source consumer_main_place(const struct consumer *c);

/* Leaves the rings for the past, at a place at or before consumer_main_place.
 * In batches, what is left of a unit is copied out.  Not while a part of the
 * stream is in flight. */
void consumer_leave(struct consumer *c, const struct history_place *place,
		    int64_t now_ns);

/* Whether its buffer wants to be filled. */
bool consumer_needs_read(const struct consumer *c);

/*
 * A reply without bytes, at the place that the consumer has come to, is done:
 * true, and requests of the connection may be handled again.  To be asked
 * before its buffer is filled.
 */
bool consumer_advance(struct consumer *c);

/* Up to where the past may be read into the buffer now. */
uint64_t consumer_past_end(const struct consumer *c);

/* A message of the journal, as what reads the past sees it. */
struct past_message {
	bool is_record;	   /* else a mark, at the end of a file */
	bool is_selected;  /* of a table that the consumer wants, or a mark */
	size_t record_len; /* in the file; 0 for a mark */
	size_t frame_len;  /* as sent */
	size_t pos_len;	   /* in the main stream */
};

/* How many of the last bytes of the message at past.at are to be sent. */
size_t consumer_wants(const struct consumer *c, const struct past_message *m);

/* The first `len` of the wanted bytes of that message are in the buffer; it is
 * longer than that. */
void consumer_pass_piece(struct consumer *c, size_t len);

/* Goes on behind that message: what was wanted of it is in the buffer. */
void consumer_pass(struct consumer *c, const struct past_message *m);

/* Whether it claims to have records that are not there. */
bool consumer_claims_too_much(const struct consumer *c);

/* Whether only what is not written yet can tell if it has what it claims. */
bool consumer_claims_unwritten(const struct consumer *c);

/* Goes on in the next file. */
void consumer_next_file(struct consumer *c, struct history_file *file);

/* Back to the ring if that has everything from past.at on: true. */
bool consumer_return(struct consumer *c, int64_t now_ns);

/* Time spent in the past, in all. */
int64_t consumer_past_ns(const struct consumer *c, int64_t now_ns);

/* Whether it has places in the journal's files. */
static inline bool
consumer_holds_file(const struct consumer *c)
{
	return c->past.at.file != NULL || c->past.next.place.file != NULL;
}

/* Gives up all cursors. Not while a part of the stream is in flight. Returns
 * a pool buffer that is no longer needed, or NULL. */
uint8_t *consumer_fini(struct consumer *c);

#endif
