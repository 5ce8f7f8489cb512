/*
 * For the tests of consumers: streams, a journal, and readers, each compared
 * with a model that knows nothing of rings and positions: the list of frames
 * and replies that the reader is owed, in order.  The bytes that the "kernel"
 * accepts must be that list, byte for byte; and after every step the lag that a
 * consumer reports must be the rest of the list, to the byte.
 *
 * The test plays client/delivery.c (it writes), client/catchup.c (it fills the
 * buffers of readers of the past) and journal/journal.c (frames reach the
 * history's files some time after the ring; a mark ends a file).
 */
#ifndef RINGTICK_TESTS_CONSUMER_MODEL_H
#define RINGTICK_TESTS_CONSUMER_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/consumer.h"
#include "frames.h"
#include "journal/history.h"
#include "schema/schema.h"
#include "ring/selection.h"
#include "ring/streams.h"

enum {
	RING_BYTES = 16384,
	FILTERED_BYTES = 8192,
	FILTERED_MAX = 2,
	FRAME_MAX = 1800,
	REPLY_MAX = 600,
	PAST_BYTES = 5000, /* size of the buffer for reads of files */
	READERS = 8,
	SKIPPERS = 3, /* this many readers have policy skip, the others spill */
	OWED_MAX = 1 << 14,
	PUBLISHED_MAX = 1 << 17,
	/* Length of the records that a file has from before the run. */
	FOREIGN_MAX = 1 << 15,
	FOREIGN_BYTES = 100,
	FOREIGN_FRAME_BYTES = 150,
	MARK = -1,
};

/* A frame, most of them in the order of the main stream. */
struct frame {
	int table; /* or MARK */
	uint64_t number;
	size_t len;
	uint64_t pos;
	int64_t time_ns;

	/* once it is in the journal: */
	int fd; /* number of its file, which no other file has had */
	uint64_t off, record; /* a mark's: the end of its file */
	bool is_foreign;      /* the frame was never in the stream */
};

/* A frame or a reply that a reader is owed. */
struct owed {
	bool is_reply;
	const struct frame *frame;
	uint64_t number; /* number of the reply */
	size_t len;
	uint64_t gate_pos;	     /* waits until the journal has come to
					here, ... */
	bool has_gate;		     /* ... if this is set */
	const struct stream *stream; /* stream that brings it; NULL: the past */
	bool is_notice; /* the mark that a skip went over, which comes first */
};

struct reader {
	struct consumer c;
	uint8_t reply[REPLY_MAX];
	uint8_t rest[FRAME_MAX];
	uint8_t past[PAST_BYTES];
	bool is_rest_taken;
	unsigned laziness; /* 0: reads at once; else at one try of this many */

	/* the model */
	struct owed owed[OWED_MAX];
	size_t first, cnt;
	size_t sent; /* bytes of owed[first] */
	bool is_cut; /* owed[first] is the rest of a frame left by a skip */
	bool is_subscribed;
	bool is_vague; /* it asked for the past: its lag is unknown until it is
			  in the ring again */
	const struct stream *stream; /* NULL: the past */
	struct selection selection;
	uint64_t sent_bytes;
	uint64_t skips, skipped, spills;
	int64_t past_ns, past_since_ns;
	bool was_filtered; /* when it left */

	struct span span; /* the write in flight */
};

struct model {
	struct schema schema;
	struct streams all;
	struct reader readers[READERS];
	uint64_t number; /* number of the next frame or reply */
	int64_t now;

	/* all frames ever published; once written, these are the journal */
	struct frame published[PUBLISHED_MAX];
	size_t published_cnt;
	size_t visible_cnt; /* fewer if the main stream is gated */
	size_t written_cnt;
	uint64_t written_pos;
	struct frame foreign[FOREIGN_MAX];
	size_t foreign_cnt;
	struct cursor journal; /* holds the frames that are not written */
	struct history history;
	int last_fd;

	/* counts of the rare cases */
	uint64_t refusals, seams, torn_skips, read_skips, stream_changes;
	uint64_t spills, torn_spills, busy_spills, change_spills, far_spills;
	uint64_t requests, old_requests, past_changes, past_replies, marks,
		rests, pieces;
	uint64_t returns, filtered_returns, gate_waits, trims;
};

extern struct model m;

/* The schema of all tests. */
void model_open(void);
void model_close(void);

/* Empty streams and a first file, at a position; readers that are owed
 * nothing. */
void model_start(uint64_t pos, bool is_gated);

/* All readers leave; then no stream, file or symbol may be held. */
void model_stop(void);

/* ---- events; each call checks its effect ---- */

/* NULL: a mark */
const struct schema_table *model_table(int table);

/* Publishes a frame; false if there is no room. */
bool put(int table, size_t len);

/* The journal writes up to cnt frames. */
void journal_write(size_t frames);

/* Starts a write like client/delivery.c; false: there is nothing to write. */
bool submit(struct reader *r, size_t span_max);

/* The write completes, with this many bytes accepted. */
void complete(struct reader *r, size_t accepted);

/* Queues a reply, and for subscriptions (selection not NULL) a change of stream
 * or, for a reader of the past (stream NULL), of its selection there. */
void queue(struct reader *r, size_t len, struct stream *stream,
	   const struct selection *selection, bool has_gate);

/*
 * Acts like rejoin and subfrom: a reply, then the selection's records from
 * number `record` of a file on, without the first skip_records, or fewer if the
 * file has fewer visible ones.
 */
void ask(struct reader *r, size_t len, struct history_file *file,
	 uint64_t record, uint64_t skip_records,
	 const struct selection *selection);

/* The number of the next record of a file to become visible, counted on through
 * the later files. */
uint64_t visible_records(const struct history_file *file);

/* Policy skip. Not while a part of the stream is in flight. */
void skip_ahead(struct reader *r);

/* Policy spill, as in daemon/slow_consumers.c; false if the journal has not
 * come to the place yet.  Not while a part of the stream is in flight. */
bool spill(struct reader *r);

/* The ways to serve a long record: like any other, from a buffer of its own, or
 * in parts. */
enum serving { SERVE_WHOLE, SERVE_REST, SERVE_PIECE };

/* A reader that needs a read gets up to this many frames from the journal; one
 * frame with the two other ways. */
void serve(struct reader *r, size_t frames, enum serving how);

/* Returns to the ring, if it can. */
bool come_back(struct reader *r);

/* The connection ends. Not while a write is in flight. */
void vanish(struct reader *r);

/* Writes, journal and streams continue until nothing moves: all readers have
 * all frames, and are back in the rings if a stream was free. */
void drain(void);

/* Compares the consumer's figures with the model's; called after every step. */
void check_reader(struct reader *r);

#endif
