/*
 * Catching up: serves consumers that left the ring, or asked for the past, from
 * the journal's files.
 *
 *   journal ──read──► one of a few read buffers ──frames rebuilt──► consumer's
 *                     (shared by all consumers near)                buffer ──►
 *
 * A consumer whose buffer is empty queues for a read.  Other consumers whose
 * places are in the same read take their records from it too.  Records become
 * the frames that the ring had, byte for byte (schema/record.h), so a client
 * cannot tell the source.  A record that is too long for a read is read whole
 * once, to know its length, and then sent in pieces (catchup_long.c).  Once a
 * consumer's lag is under the return mark it goes back to the ring.
 *
 * Nothing waits for the disk: reads are operations of the engine.
 */
#ifndef RINGTICK_CLIENT_CATCHUP_H
#define RINGTICK_CLIENT_CATCHUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "base/util.h"
#include "client/connection.h"
#include "client/delivery.h"
#include "config/settings.h"
#include "io/engine.h"
#include "journal/history.h"
#include "ring/filter.h"
#include "ring/streams.h"

enum {
	CATCHUP_READ_BYTES = 256 << 10,
	CATCHUP_READS = 4, /* at once, besides one of a long record */
	CATCHUP_SCRATCHES = 3,
};

struct catchup_read {
	struct history_file *file; /* held; NULL: not in use */
	uint64_t off;
	uint8_t *at;
	size_t len;
	struct connection *owner; /* valid while it has `generation` */
	uint32_t generation;

	/* For catchup_check.c: */
	bool is_checking; /* the data was read; the end of the file is being
			     read */
	int32_t got;	  /* bytes of data, or -errno */
	uint64_t changes; /* history.changes when the read began */
	struct history_tail wanted;
	uint8_t found[HISTORY_TAIL_BYTES];
};

enum catchup_stage {
	MAKE_NOTHING,
	MAKE_LOOK,  /* the rows in long_read are looked at */
	MAKE_WRITE, /* the wanted rows are written */
	MAKE_DONE,
};

/* The frame of a long record whose form in the file is another one. */
struct catchup_made {
	enum catchup_stage stage;
	/* The record's place and the filter's symbols; both held: */
	struct history_file *file;
	uint64_t off;
	uint64_t changes; /* history.changes when the record was read */
	struct symbol_set *symbols;
	unsigned table_idx;
	struct connection *owner; /* consumer that asked for it, or took a piece
				     last; valid while it has `generation` */
	uint32_t generation;
	struct past_message message;
	struct filter filter;
	uint8_t *frame; /* buffer of message.max bytes */
	int64_t done_ns;
	bool is_awaited; /* other consumers wait for it to be released */
};

struct catchup {
	const struct settings *settings;
	struct engine *engine;
	struct streams *streams;
	struct history *history;
	struct delivery *delivery;
	uint8_t *memory;
	uint8_t *scratch;	  /* three buffers of message.max bytes: */
	uint8_t *whole;		  /* ... a message from before this run, */
	struct catchup_made made; /* ... the frame of a long record, ... */
	struct catchup_read reads[CATCHUP_READS];
	struct catchup_read long_read; /* ... and its bytes in the file */
	struct list need_read;
	struct list outcomes; /* consumers with an outcome to report: a queue,
				 since one walk of need_read can find many, and
				 to act on one (its connection may end, or its
				 next request be executed) changes need_read */
	int64_t now_ns;	  /* of the last catchup_run */
	struct log_limit unreadable_log;
	uint64_t refused_records; /* records in files that do not fit the
				     schema */
	unsigned doubts;	  /* consecutive reads that were doubted */
	uint64_t doubted_changes; /* history.changes at the last doubt */
};

/* All arguments must outlive *cu.  Returns 0 or -ENOMEM. */
int catchup_open(struct catchup *cu, const struct settings *settings,
		 struct engine *engine, struct streams *streams,
		 struct history *history, struct delivery *delivery);

void catchup_close(struct catchup *cu);

/* Bytes of address space that catchup_open would map. */
uint64_t catchup_memory(size_t message_max);

/* Queues a consumer that has bytes to send or needs a read: to be called when
 * it has left the ring, and whenever its write has completed. */
void catchup_wake(struct catchup *cu, struct connection *c);

/* Returns the consumer to its ring now, without waiting for catchup_run, if it
 * is near enough and has sent all that was read.  No effect on any other
 * consumer. */
void catchup_try_return(struct catchup *cu, struct connection *c,
			int64_t now_ns);

/* Starts reads for the consumers that need one, and works for at most 2 ms on a
 * long record; consumers that have caught up return to their rings.  now_ns is
 * monotonic. */
void catchup_run(struct catchup *cu, int64_t now_ns);

/* The time at which catchup_run is due even if no event occurs, monotonic: 0:
 * now, INT64_MAX: never. */
int64_t catchup_due_ns(const struct catchup *cu);

/* Handles the completion of a read: bytes or -errno. */
void catchup_completed(struct catchup *cu, struct ticket ticket,
		       int32_t result);

/* Removes the oldest outcome and sets *out to its connection; OUTCOME_NONE if
 * none waits. */
enum catchup_outcome catchup_next_outcome(struct catchup *cu,
					  struct connection **out);

/* Stops reading for a consumer that is about to end. */
void catchup_stop(struct connection *c);

/* Gives back the memory of a consumer that has ended. */
void catchup_forget(struct connection *c);

/* Whether a read is in flight. */
bool catchup_is_reading(const struct catchup *cu);

#endif
