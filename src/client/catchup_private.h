/*
 * Shared by the files of catching up: catchup.c (the reads, and short records),
 * catchup_long.c (a record longer than a read), catchup_frame.c (one record),
 * catchup_check.c (whether another process had cut the file), and
 * catchup_reader.c (a consumer's queue, buffer and read).  Each calls only
 * those after it.
 */
#ifndef RINGTICK_CLIENT_CATCHUP_PRIVATE_H
#define RINGTICK_CLIENT_CATCHUP_PRIVATE_H

#include "client/catchup.h"
#include "journal/file.h"
#include "schema/update.h"

/* A record of a file, and its frame. */
struct catchup_found {
	struct journal_record record;
	const struct schema_table *table; /* NULL: it does not fit the schema
					     and is not sent */
	bool is_verbatim; /* its bytes are the frame's own; else: */
	struct update u;
	struct past_message message;
	uint32_t picked_cnt; /* rows in a filtered frame; 0: all rows, or
				none */
};

/* The connection that a piece of work is for; NULL if it has ended, or its slot
 * has another connection by now. */
static inline struct connection *
catchup_owner(struct connection *c, uint32_t generation)
{
	return c->generation == generation && c->state != CONNECTION_CLOSING
		       ? c
		       : NULL;
}

/* ---- catchup_reader.c: a consumer in the queues ---- */

static inline struct connection *
catchup_connection(struct list *node)
{
	return container_of(node, struct connection, consumer.past.node);
}

/* Starts to read up to len_max bytes at off of the consumer's file, into
 * read->at.  The consumer leaves the queue until the completion. */
void catchup_read_start(struct catchup *cu, struct catchup_read *read,
			unsigned slot, struct connection *c, uint64_t off,
			size_t len_max);

/* Frees the read and its bytes. */
void catchup_read_end(struct catchup_read *read);

/* Notes the first message of a buffer, which has len bytes of that message. */
void catchup_note_first(struct past *p, bool is_record, size_t len);

void catchup_empty_buffer(struct past *p);

/* Gives back the memory of the consumer's buffer. */
void catchup_free_buffer(struct connection *c);

void catchup_tell(struct catchup *cu, struct connection *c,
		  enum catchup_outcome outcome);

/* ---- catchup_frame.c ---- */

/* Finds out what f->record is, regardless of the rows that are wanted. */
void catchup_identify(struct catchup *cu, const struct consumer *c,
		      struct catchup_found *f);

/* The rows of a record that is verbatim. */
struct rows catchup_rows(const struct catchup_found *f);

/* As catchup_identify, and picks the rows that the consumer wants.  The frame
 * must be written before the next record is looked at.  catchup_frame_write
 * writes f->message.frame_len bytes. */
void catchup_look(struct catchup *cu, const struct consumer *c,
		  struct catchup_found *f);
void catchup_frame_write(const struct catchup *cu,
			 const struct catchup_found *f, uint8_t *at);

void catchup_tell_refused(struct catchup *cu, const struct journal_record *r);

/* Logs that nothing could be read for c at an offset, and tells its outcome. */
void catchup_unreadable(struct catchup *cu, struct connection *c, uint64_t off,
			const char *why);

/* ---- catchup_long.c: consumers with past.long_bytes ---- */

enum { CATCHUP_LONG_READ = CATCHUP_READS }; /* slot of its ticket */

/* Returns 0 or -ENOMEM. */
int catchup_long_open(struct catchup *cu);
void catchup_long_close(struct catchup *cu);

/* Works for at most 2 ms on the frame being made, or drops one that no consumer
 * wants. */
void catchup_long_run(struct catchup *cu);

/* Whether the bytes in long_read are still needed. */
static inline bool
catchup_is_making(const struct catchup *cu)
{
	return cu->made.stage == MAKE_LOOK || cu->made.stage == MAKE_WRITE;
}

/* For a consumer that needs a read: gives it a piece of the frame that is made,
 * or starts to read its record, or leaves it in the queue. */
void catchup_long_feed(struct catchup *cu, struct connection *c,
		       int64_t now_ns);

/* Handles len bytes of a consumer's long record, which were read. */
void catchup_long_completed(struct catchup *cu, struct connection *c,
			    size_t len);

/* For a record that has its frame's own bytes (past.long_len): the offset in
 * the record of the next piece, and the use of bytes read from there. */
uint64_t catchup_piece_off(const struct consumer *c);
void catchup_piece_take(struct connection *c, const uint8_t *bytes, size_t len);

/*
 * ---- catchup_check.c ----
 *
 * Bytes read from the journal are used only when it is known that no other
 * process had cut the file: after a cut, later records are at other offsets,
 * and a reader would take them for those that it lacks.
 *
 *   read the data        read the end of what is written, at its place
 *   ----------------> t1 ---------------------------------------------> t2
 *   cut before t1: at t2 the end is not there; cut later: the data was right
 *
 * The cost is one read of a few bytes that are in the page cache.
 */

/* The data was read with this result: starts to check it.  false if there is
 * nothing to check. */
bool catchup_check_begin(struct catchup *cu, struct catchup_read *read,
			 struct ticket ticket, int32_t result);

/* The end was read with this result.  Returns the result of the data; -EAGAIN
 * if the data must be read again, after the journal has looked at its file. */
int32_t catchup_check_end(struct catchup *cu, struct catchup_read *read,
			  int32_t result);

#endif
