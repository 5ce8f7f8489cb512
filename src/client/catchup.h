/*
 * Catching up: serves consumers that left the ring, or asked for the past, out
 * of the journal's files.
 *
 *   journal ──read──► one of a few read buffers ──frames rebuilt──► consumer's
 *                     (shared by all who stand there)               buffer ──►
 *
 * A consumer whose buffer is empty queues for a read.  What is read is often
 * enough for others whose places are near: they take from it too.  Records
 * become the frames that the ring had, byte for byte (schema/record.h), so that
 * the socket never notices.  A record that is too long for a read is read whole
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

#include "base/util.h"
#include "client/connection.h"
#include "client/delivery.h"
#include "config/settings.h"
#include "io/engine.h"
#include "journal/history.h"
#include "ring/filter.h"
#include "ring/stream.h"

enum {
	CATCHUP_READ_BYTES = 256 << 10,
	CATCHUP_READS = 4, /* at once, and one of a long record */
	CATCHUP_SCRATCHES = 3,
};

struct catchup_read {
	struct history_file *file; /* held; NULL: not in use */
	uint64_t off;
	uint8_t *at;
	size_t len;
	struct connection *owner; /* if it still has the generation */
	uint32_t generation;

	/* catchup_check.c: */
	bool is_checking;  /* the data is here, the end is read again */
	int32_t got;	   /* bytes of data */
	uint64_t changes;  /* history.changes when it began */
	struct history_tail wanted;
	uint8_t found[HISTORY_TAIL_BYTES];
};

enum catchup_stage {
	MAKE_NOTHING,
	MAKE_LOOK,  /* its rows are looked at, in long_read */
	MAKE_WRITE, /* those that are wanted are written */
	MAKE_DONE,
};

/* The frame of a long record that has another form in the file. */
struct catchup_made {
	enum catchup_stage stage;
	/* of which record, for which symbols; held: */
	struct history_file *file;
	uint64_t off;
	uint64_t changes; /* history.changes when it was read */
	struct symbol_set *symbols;
	unsigned table_idx;
	struct connection *owner; /* who asked for it, or took of it last; if
				     it still has the generation */
	uint32_t generation;
	struct past_message message;
	struct filter filter;
	uint8_t *frame;	 /* message.max */
	int64_t done_ns;
	bool is_awaited; /* others want the place */
};

struct catchup {
	const struct settings *settings;
	struct engine *engine;
	struct streams *streams;
	struct history *history;
	struct delivery *delivery;
	uint8_t *memory;
	uint8_t *scratch; /* of message.max each: */
	uint8_t *whole;	/* ... a message of others, */
	struct catchup_made made; /* ... the frame of a long record, ... */
	struct catchup_read reads[CATCHUP_READS];
	struct catchup_read long_read; /* ... and its bytes */
	struct list need_read;
	struct list outcomes;	  /* consumers that have one */
	uint64_t refused_records; /* not of the schema, in files of others */
	unsigned doubts; /* one after the other, of what was read */
	uint64_t doubted_changes; /* history.changes at the last */
};

/* 0 or -ENOMEM. */
int catchup_open(struct catchup *cu, const struct settings *settings,
		 struct engine *engine, struct streams *streams,
		 struct history *history, struct delivery *delivery);

void catchup_close(struct catchup *cu);

/* Bytes that catchup_open would map. */
uint64_t catchup_memory(size_t message_max);

/* The consumer may have something to send, or need to be fed: to be called when
 * it has left the ring, and whenever a write of it has completed. */
void catchup_wake(struct catchup *cu, struct connection *c);

/* Moves it into its ring, if it is near enough and has all that it read: at
 * once and not in catchup_run. Harmless on any other. */
void catchup_try_return(struct catchup *cu, struct connection *c,
			int64_t now_ns);

/* Starts reads for those who need them, and works for 2 ms on a long record;
 * lets go who has caught up. */
void catchup_run(struct catchup *cu, int64_t now_ns);

/* When it has to run again, though nothing comes. */
int64_t catchup_due_ns(const struct catchup *cu);

/* A read has completed. */
void catchup_completed(struct catchup *cu, struct ticket ticket,
		       int32_t result);

/* The outcome that has waited longest, and whose it is; OUTCOME_NONE: none
 * waits. */
enum catchup_outcome catchup_next_outcome(struct catchup *cu,
					  struct connection **out);

/* The consumer is to end: no more is read for it. */
void catchup_stop(struct connection *c);

/* It has ended: gives its memory back. */
void catchup_forget(struct connection *c);

/* Whether reads are in flight. */
bool catchup_is_reading(const struct catchup *cu);

#endif
