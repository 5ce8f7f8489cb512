/*
 * For the tests of consumers: streams, a journal, and readers, each held
 * against a model that knows nothing of rings and positions: the list of
 * frames and replies that the reader is owed, in order.  What the "kernel"
 * accepts must be that list, byte for byte; and after every step what a
 * consumer says that it lacks must be what is left of it, to the byte.
 *
 * The test plays client/delivery.c (it writes), client/catchup.c (it fills the
 * buffers of those who read the past) and journal/journal.c (frames reach the
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
#include "ring/stream.h"

enum {
	RING_BYTES = 16384,
	FILTERED_BYTES = 8192,
	FILTERED_MAX = 2,
	FRAME_MAX = 1800,
	REPLY_MAX = 600,
	PAST_BYTES = 5000, /* of the buffer for what is read from files */
	READERS = 8,
	SKIPPERS = 3, /* the first so many have policy skip, others spill */
	OWED_MAX = 1 << 14,
	PUBLISHED_MAX = 1 << 17,
	/* What others have written to a file before: so long in it. */
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
	int fd; /* of its file: a number that no other file has had */
	uint64_t off, record; /* a mark's: the end of its file */
	bool is_foreign;      /* was never in the stream */
};

/* A frame or a reply that a reader is owed. */
struct owed {
	bool is_reply;
	const struct frame *frame;
	uint64_t number; /* the reply's */
	size_t len;
	uint64_t gate_pos;	     /* not before the journal is there ... */
	bool has_gate;		     /* ... if so */
	const struct stream *stream; /* that brings it; NULL: the past */
	bool is_notice; /* the mark that a skip went over: it comes first */
};

struct reader {
	struct consumer c;
	uint8_t reply[REPLY_MAX];
	uint8_t rest[FRAME_MAX];
	uint8_t past[PAST_BYTES];
	bool is_rest_taken;
	unsigned laziness; /* 0: reads at once; else one try in so many */

	/* the model */
	struct owed owed[OWED_MAX];
	size_t first, cnt;
	size_t sent; /* bytes of owed[first] */
	bool is_cut; /* owed[first] is the rest of a frame left by a skip */
	bool is_subscribed;
	bool is_vague; /* it asked for the past: nobody can tell how much that
			  is before it is in the ring again */
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
	uint64_t number; /* of the next frame or reply */
	int64_t now;

	/* everything that was ever published: the journal, once written */
	struct frame published[PUBLISHED_MAX];
	size_t published_cnt;
	size_t visible_cnt; /* fewer where the main stream is gated */
	size_t written_cnt;
	uint64_t written_pos;
	struct frame foreign[FOREIGN_MAX];
	size_t foreign_cnt;
	struct cursor journal; /* holds what is not written */
	struct history history;
	int last_fd;

	/* how often it went where it hurts */
	uint64_t refusals, seams, torn_skips, read_skips, stream_changes;
	uint64_t spills, torn_spills, busy_spills, change_spills, far_spills;
	uint64_t requests, old_requests, past_changes, past_replies, marks,
		rests, pieces;
	uint64_t returns, filtered_returns, gate_waits, trims;
};

extern struct model m;

/* The schema; for all tests. */
void model_open(void);
void model_close(void);

/* Empty streams and a first file, at a position; readers without anything. */
void model_start(uint64_t pos, bool is_gated);

/* All readers go; then nothing may be held by anybody. */
void model_stop(void);

/* ---- what can happen; each call checks what it does ---- */

/* NULL: a mark */
const struct schema_table *model_table(int table);

/* Publishes. false if there is no room. */
bool put(int table, size_t len);

/* The journal writes so many frames, if there are. */
void journal_write(size_t frames);

/* A write as client/delivery.c starts it. false: there is nothing to do. */
bool submit(struct reader *r, size_t span_max);

/* It ends, so many bytes were taken. */
void complete(struct reader *r, size_t accepted);

/* A reply, and for subscriptions (selection not NULL) a change of stream or,
 * for one that reads the past (stream NULL), of what it reads there. */
void queue(struct reader *r, size_t len, struct stream *stream,
	   const struct selection *selection, bool has_gate);

/*
 * What rejoin and subfrom do: a reply, and then the selection's records from
 * number `record` of a file on, without the first so many: fewer if the file
 * has not so many that can be seen.
 */
void ask(struct reader *r, size_t len, struct history_file *file,
	 uint64_t record, uint64_t skip_records,
	 const struct selection *selection);

/* The number of the next record of a file to become visible, counting on
 * through the files behind it. */
uint64_t visible_records(const struct history_file *file);

/* Policy skip. Not while a part of the stream is in flight. */
void skip_ahead(struct reader *r);

/* Policy spill, as daemon/slow_consumers.c does it. false if the journal is not
 * there yet.  Not while a part of the stream is in flight. */
bool spill(struct reader *r);

/* How a long record is served: like any other, from a buffer of its own, or a
 * part of it. */
enum serving { SERVE_WHOLE, SERVE_REST, SERVE_PIECE };

/* A reader that needs a read gets up to so many frames from the journal; of the
 * two other ways, one. */
void serve(struct reader *r, size_t frames, enum serving how);

/* It goes back to the ring, if it can. */
bool come_back(struct reader *r);

/* The connection ends. Not while a write is in flight. */
void vanish(struct reader *r);

/* Writes, journal and streams go on until nothing moves: everybody has
 * everything, and is back in the rings where one was free. */
void drain(void);

/* What it says of itself is what the model says; after every step. */
void check_reader(struct reader *r);

#endif
