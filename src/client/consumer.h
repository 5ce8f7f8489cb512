/*
 * A consumer: the output side of one connection.  It has no output queue: it is
 * an offset into a stream, and an ordered list of parts:
 *
 *   rest, notice | stream, up to the limit | reply | stream, from `next` on
 *   (of a frame    here.pos ----> limit_pos  bytes   next.pos
 *    cut off by
 *    a skip)
 *
 * Instead of a stream it may read the past: the journal's files, through a
 * small buffer that catchup.c fills.  Then it holds no bytes of any ring.  A
 * long rest is read in the same way, if the journal has it.
 *
 * A part starts when the one before was fully accepted by the kernel.  At most
 * one write is in flight, and an offset moves only by what its completion
 * reported.  While a reply waits, no further request of the connection may be
 * handled: so the list never gets longer than this.
 *
 * Pure: decides what to write next; delivery.c does the writing.
 */
#ifndef RINGTICK_CLIENT_CONSUMER_H
#define RINGTICK_CLIENT_CONSUMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"
#include "client/reply_gate.h"
#include "client/slow_policy.h"
#include "config/settings.h"
#include "journal/history.h"
#include "journal/state.h"
#include "ring/streams.h"
#include "schema/mark.h"

/* Each consumer's buffer for the past, or for a rest. */
enum { CATCHUP_BUFFER_BYTES = 256 << 10 };

/*
 * What a consumer reads.  consumer_move is the only way from one state to
 * another.
 *
 *   NONE <---> LIVE <----> LEAVING
 *     |        ^  ^
 *     v        |  +------> REST
 *   JOURNAL <--+
 */
enum consumer_state {
	CONSUMER_NONE,	  /* nothing; it may still have replies */
	CONSUMER_LIVE,	  /* a stream */
	CONSUMER_LEAVING, /* a stream, whose write in flight was cancelled; when
			     that completes, it leaves the ring or skips */
	CONSUMER_REST,	  /* the rest of one frame, from the journal; then its
			     stream, if any */
	CONSUMER_JOURNAL, /* the journal; it holds no bytes of any ring */
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
 * How much is still to be sent: `fixed`, plus the growth of the selection's
 * total since `since`.
 */
struct consumer_backlog {
	struct stream_total fixed;
	struct stream_total since;
	bool is_all; /* counts all tables, from from_pos of the main stream on:
			the selection's part cannot be known */
	uint64_t from_pos;
};

/* A request for a selection's records from number `record` of a file on. */
struct past_request {
	struct history_place place; /* at or before that record */
	uint64_t record;
	uint64_t skip_records; /* the client has this many of the selection's
				  first records */
	uint64_t epoch_limit;  /* these must all come before this record */
	uint64_t end_record;   /* number of the next record to become visible */
};

/* What catchup.c reports about a consumer. */
enum catchup_outcome {
	OUTCOME_NONE,
	OUTCOME_CAUGHT_UP,  /* it is back in a ring */
	OUTCOME_ANSWERED,   /* a reply without bytes has had its turn: the
			       connection's requests continue */
	OUTCOME_UNREADABLE, /* its part of the journal cannot be read */
	OUTCOME_LOST,	    /* the client has records that a crash took from the
			       journal */
};

/* Reading the journal. Positions are of the main stream. */
struct past {
	struct history_place at;    /* the next record to read; file held */
	struct selection selection; /* the selection whose records are sent;
				       kept */
	uint64_t from_pos;	    /* records before this position are not
				       sent, ... */
	uint64_t from_record;	    /* ... nor before this one of the file,
				       ... */
	uint64_t skip_bytes;	    /* ... nor these bytes, sent before, ... */
	uint64_t skip_records;	    /* ... nor these records, which the client
				       has; ... */
	uint64_t epoch_limit;	    /* ... if they are not all before this one,
				       the client has lost ones */
	uint8_t *buffer; /* the connection's; has whole frames, or the end of
			    one, or a piece */
	bool is_touched; /* the buffer has memory that can be given back */
	size_t len, sent;
	size_t first_len;     /* of these, bytes of the first message ... */
	bool is_first_record; /* ... which is a record */
	int64_t time_ns;      /* about when the oldest message in the buffer was
				 published; 0: unknown */
	bool has_next;	      /* after the reply it reads the past: */
	struct selection next_selection;
	struct past_request next; /* file NULL: continues at `at`; file held */

	/* The account: */
	struct consumer_backlog backlog;      /* of `selection`, up to the limit
						 ... */
	struct consumer_backlog next_backlog; /* ... and of next_selection */
	int64_t since_ns;		/* when it left the ring */
	uint64_t served_records;	/* over the connection's life */
	int64_t spent_ns;		/* before since_ns, in the past */
	uint64_t spills;

	/* For catchup.c: */
	struct list node;
	enum catchup_outcome outcome;
	bool is_reading;   /* a read for it is in flight */
	size_t long_bytes; /* the next record is long: bytes to read to learn
			      its length; 0: it is short */
	size_t long_len;   /* length of the long record that is sent in pieces;
			      0: none */
	const struct schema_table *long_table;
};

/*
 * A notice that follows a skip and precedes new messages: the end of a day that
 * the skip went over, and, for a client that asked, the range of the records
 * missed.
 */
struct notice {
	bool has_mark;
	int32_t mark_day; /* the last one skipped */
	bool has_range;
	uint64_t from_record, to_record; /* [from, to) in the day, which comes
					    after ... */
	uint64_t range_marks;		 /* ... these of the main stream */
	uint8_t bytes[MARK_BYTES + 80];
	size_t len, sent;
	bool is_all; /* `bytes` has all of the above; else another notice
			follows */
	bool is_after_reply; /* the reply's bytes had begun to be sent */
};

struct consumer {
	enum consumer_state state;

	/* The parts: */
	uint8_t *rest; /* past.buffer, or a pool buffer for a longer rest; NULL:
			  no rest, or it is read from the journal */
	size_t rest_len, rest_sent;
	struct notice notice;
	struct cursor here;
	uint64_t limit_pos;	 /* while is_replying: where `here` pauses,
				    ... */
	uint64_t limit_main_pos; /* ... the same position in the main stream,
				    where the past pauses, ... */
	struct stream_total limit_total; /* ... and the main stream's total
					    there; bytes only for a
					    subscription */
	bool is_replying;
	uint8_t *reply;	     /* the connection's reply buffer */
	uint8_t *long_reply; /* a pool buffer instead, or NULL */
	size_t reply_len, reply_sent;
	struct reply_gate gate;
	struct cursor next; /* attached while a change of stream waits for the
			       reply */
	struct past past;
	struct streams *streams;

	/* The write in flight: */
	enum consumer_part writing; /* PART_NONE: no write is in flight */
	size_t writing_len;
	const uint8_t *writing_at;
	uint64_t writing_sum; /* only with --enable-span-check */
	int64_t writing_since_ns;
	bool is_counted; /* in delivery's count of bytes in flight */

	/* Being slow: */
	uint64_t address; /* shares_of_address; each has a share of the
			     streams */
	enum slow_policy policy;
	bool wants_skips; /* the client asked for notices of skips */
	struct lag_state lag;
	int64_t blameless_until_ns; /* its lag was caused by the journal */

	/* For delivery.c: */
	struct list queue_node;
	struct list flight_node;

	/* Counters: */
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

/* reply and past_buffer (CATCHUP_BUFFER_BYTES) belong to the caller and outlive
 * the consumer. */
void consumer_init(struct consumer *c, struct streams *streams, uint8_t *reply,
		   uint8_t *past_buffer, enum slow_policy policy);

/* Whether it reads a stream or the past, now or after its reply. */
static inline bool
consumer_is_subscribed(const struct consumer *c)
{
	return c->state != CONSUMER_NONE || c->next.stream != NULL ||
	       c->past.has_next;
}

/* Whether requests of this connection have to wait for the reply. */
static inline bool
consumer_is_busy(const struct consumer *c)
{
	return c->is_replying;
}

/*
 * Queues a reply of len bytes (0: none), which are in the reply buffer already,
 * after the messages that the stream holds now.  It is sent when the gate
 * opens; a reply without bytes cannot have a gate.  After it the consumer reads
 * `stream`, from the end of its visible part now (NULL: the same stream as
 * before).  Not while consumer_is_busy.
 */
void consumer_queue(struct consumer *c, size_t len, struct stream *stream,
		    struct reply_gate gate);

/*
 * The same, but after the reply the consumer reads the past: from `request` on,
 * or, for a consumer that reads the past already, if request is NULL, from the
 * end of the visible part now.  selection and request are copied; the holds of
 * the caller remain.
 */
void consumer_queue_past(struct consumer *c, size_t len,
			 const struct selection *selection,
			 const struct past_request *request,
			 struct reply_gate gate, int64_t now_ns);

/* Sets *out to the next write, at most span_max bytes if it is of a stream.
 * false: there is nothing to write.  Only while no write is in flight. */
bool consumer_next(struct consumer *c, size_t span_max, struct span *out);

/* The write in flight has completed, and the kernel took `accepted` bytes.
 * Returns a pool buffer that is no longer needed, or NULL. */
uint8_t *consumer_written(struct consumer *c, size_t accepted);

/* Notes that the write in flight, of a stream, was cancelled: the consumer can
 * leave the stream when it completes.  false: it was cancelled before. */
bool consumer_cancel(struct consumer *c);

/* Whether a reply waits that consumer_hurry_reply may place earlier: the answer
 * to a question, or the answer to a subscription that waits for the journal, by
 * its gate or at its place; and no byte of it has been sent. */
bool consumer_has_question(const struct consumer *c);

/* The journal does not move: moves the reply to the end of the messages that
 * are visible and written now.  Returns whether its gate is open.  Only if
 * consumer_has_question. */
bool consumer_hurry_reply(struct consumer *c);

/* Replaces the reply that waits for a gate by one of len bytes, which are in
 * the reply buffer already, and opens the gate. */
void consumer_replace_reply(struct consumer *c, size_t len);

/* Whether it waits only for its reply's gate: then it is not to blame for its
 * lag. */
bool consumer_waits_for_gate(const struct consumer *c);

/* Bytes still to be sent, of all parts; updates high_bytes. */
uint64_t consumer_lag_bytes(struct consumer *c);

/* Its lag in bytes in the ring whose larger share it holds, and that ring's
 * size; 0 and 0 if it reads none.  A consumer in the way of a message counts as
 * lagging the whole ring. */
void consumer_ring_lag(const struct consumer *c, uint64_t *out_lag_bytes,
		       uint64_t *out_ring_bytes);

/* Records still to be sent, including a half-sent one; and the age of the
 * oldest message that was not fully accepted, in ns (0: none).  now_ns is
 * monotonic. */
void consumer_lag_records(const struct consumer *c, int64_t now_ns,
			  uint64_t *out_records, int64_t *out_age_ns);

/* Bytes left of a half-sent frame, which a skip has to copy or read first; 0 at
 * a frame boundary.  Not while a part of the stream is in flight. */
size_t consumer_torn_bytes(const struct consumer *c);

/* A position in the main stream: the half-sent frame comes from before it. */
uint64_t consumer_torn_end(const struct consumer *c);

struct skipped {
	uint64_t records; /* number lost to this consumer */
	/* The lost records are among [from_record, to_record) of the main
	 * stream, in which it continues at to_pos. */
	uint64_t from_record, to_record, to_pos;
};

/*
 * Moves to the head, at a frame boundary, after the rest of a half-sent frame;
 * the last end of a day on the way is kept as a notice.  `buffer`, a pool
 * buffer that takes consumer_torn_bytes(), becomes `rest`; NULL if these bytes
 * fit into CATCHUP_BUFFER_BYTES, or are read from `place` on, which is at or
 * before consumer_main_place (NULL: not read).  Not while a part of the stream
 * is in flight.
 */
struct skipped consumer_skip(struct consumer *c, uint8_t *buffer,
			     const struct history_place *place);

/* Queues a notice that it may lack records [from_record, to_record) of the day
 * that follows `marks` ends of day in the main stream:
 * (`.ringtick.skipped;from;to).  None if these are no records: all that it
 * lacks are of a day that has ended. */
void consumer_tell_skip(struct consumer *c, uint64_t from_record,
			uint64_t to_record, uint64_t marks);

/* The journal has lost records: a notice that has not gone yet names records by
 * their new numbers. */
void consumer_renumber_skips(struct consumer *c,
			     const struct journal_loss *loss);

/* ---- the past ---- */

/* The place in the main stream where it continues if it leaves now. */
struct stream_source consumer_main_place(const struct consumer *c);

/* Leaves the rings for the past, at a place at or before consumer_main_place.
 * In batches, the rest of a unit is copied first.  Not while a part of the
 * stream is in flight. */
void consumer_leave(struct consumer *c, const struct history_place *place,
		    int64_t now_ns);

/* Whether its buffer has to be filled. */
bool consumer_needs_read(const struct consumer *c);

/*
 * Ends a reply without bytes at the consumer's place; true if it ended, and
 * requests of the connection may be handled again.  To be called before the
 * buffer is filled.
 */
bool consumer_advance(struct consumer *c);

/* The position of the main stream up to which the past may be read into the
 * buffer now. */
uint64_t consumer_past_end(const struct consumer *c);

/* A message of the journal, for a reader of the past.  Lengths are in bytes. */
struct past_message {
	bool is_record;	   /* else a mark, at the end of a file */
	bool is_selected;  /* the consumer wants it, or it is a mark */
	size_t record_len; /* in the file; 0 for a mark */
	size_t frame_len;  /* as sent */
	size_t pos_len;	   /* in the main stream */
};

/* The number of bytes at the end of the message at past.at that are still to be
 * sent. */
size_t consumer_wants(const struct consumer *c, const struct past_message *m);

/* Notes that the first `len` of the wanted bytes of that message are in the
 * buffer; more are to follow. */
void consumer_pass_piece(struct consumer *c, size_t len);

/* Moves past that message, whose wanted bytes are in the buffer. */
void consumer_pass(struct consumer *c, const struct past_message *m);

/* Whether the client claims to have more records than the journal had before
 * the epoch began: it has lost ones. */
bool consumer_claims_too_much(const struct consumer *c);

/* Whether only records that are not written yet can tell if the client's claim
 * is true. */
bool consumer_claims_unwritten(const struct consumer *c);

/* Moves to the start of the next file. */
void consumer_next_file(struct consumer *c, struct history_file *file);

/* Returns to the ring if that has every byte from past.at on; whether it
 * did. */
bool consumer_return(struct consumer *c, int64_t now_ns);

/* Total time spent in the past, in ns. */
int64_t consumer_past_ns(const struct consumer *c, int64_t now_ns);

/* Whether it holds a file of the journal. */
static inline bool
consumer_holds_file(const struct consumer *c)
{
	return c->past.at.file != NULL || c->past.next.place.file != NULL;
}

/* Releases cursors, files and selections.  Not while a write is in flight.
 * Returns a pool buffer that is no longer needed, or NULL. */
uint8_t *consumer_fini(struct consumer *c);

#endif
