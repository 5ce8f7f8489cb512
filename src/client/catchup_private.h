/*
 * What the files of catching up share: catchup.c (who reads, and what short
 * records become), catchup_frame.c (one record), catchup_long.c (one that is
 * longer than a read), catchup_check.c (whether others had cut the file).
 */
#ifndef RINGTICK_CLIENT_CATCHUP_PRIVATE_H
#define RINGTICK_CLIENT_CATCHUP_PRIVATE_H

#include "client/catchup.h"
#include "journal/file.h"
#include "schema/update.h"

/* A record as it is in the file, and what is known of its frame. */
struct catchup_found {
	struct journal_record record;
	const struct schema_table *table; /* NULL: nobody can have it */
	bool is_verbatim; /* it has the frame's own bytes; else: */
	struct update u;
	struct past_message message;
	uint32_t picked_cnt; /* rows in the frame, of one that is filtered; 0:
				all, or none */
};

/* ---- catchup.c ---- */

/* Reads up to len_max bytes of its file at off for a consumer, which
 * does not queue meanwhile. */
void catchup_read_start(struct catchup *cu, struct catchup_read *read,
			unsigned slot, struct connection *c, uint64_t off,
			size_t len_max);

/* The read is over, and its bytes are not needed any more. */
void catchup_read_end(struct catchup_read *read);

/* Accounts for the first message of a buffer: len bytes of it are there. */
void catchup_note_first(struct past *p, bool is_record, size_t len);

void catchup_empty_buffer(struct past *p);

void catchup_tell(struct catchup *cu, struct connection *c,
		  enum catchup_outcome outcome);

/* ---- catchup_frame.c ---- */

/* What a record (found.record) is, whatever rows of it are wanted. */
void catchup_identify(struct catchup *cu, const struct consumer *c,
		      struct catchup_found *f);

/* The columns of one that is verbatim. */
struct rows catchup_rows(const struct catchup_found *f);

/* The same with the rows that the consumer wants; the frame is to be written
 * before the next one is looked at. */
void catchup_look(struct catchup *cu, const struct consumer *c,
		  struct catchup_found *f);
void catchup_frame_write(const struct catchup *cu,
			 const struct catchup_found *f, uint8_t *at);

void catchup_tell_refused(struct catchup *cu, const struct journal_record *r);

/* ---- catchup_long.c: of who has past.long_bytes ---- */

enum { CATCHUP_LONG_READ = CATCHUP_READS }; /* slot of its ticket */

/* 0 or -ENOMEM. */
int catchup_long_open(struct catchup *cu);
void catchup_long_close(struct catchup *cu);

/* Works on the frame that is made; lets go of one that nobody wants. */
void catchup_long_run(struct catchup *cu);

/* Whether the bytes in long_read are still needed. */
static inline bool
catchup_is_making(const struct catchup *cu)
{
	return cu->made.stage == MAKE_LOOK || cu->made.stage == MAKE_WRITE;
}

/* Gives a consumer that needs a read a piece of the frame, or starts to read
 * the record; or it waits. */
void catchup_long_feed(struct catchup *cu, struct connection *c,
		       int64_t now_ns);

/* len bytes of the record of a consumer that needs a read are there. */
void catchup_long_completed(struct catchup *cu, struct connection *c,
			    size_t len);

/* Of a record that has its frame's own bytes (past.long_len): where the next
 * piece begins; what was read from there on. */
uint64_t catchup_piece_off(const struct consumer *c);
void catchup_piece_take(struct connection *c, const uint8_t *bytes, size_t len);

/*
 * ---- catchup_check.c ----
 *
 * Bytes of the journal are shown to nobody before it is known that others had
 * not cut the file when they were read: a cut moves all that is written after
 * it, and a reader would take other records for those that it lacks.
 *
 *   read the data        read the end of what is written, at its place
 *   ----------------> t1 ---------------------------------------------> t2
 *   cut before t1: at t2 the end is not there; cut later: the data was right
 *
 * Short: it costs one read of some bytes that are in the page cache.
 */

/* The data was read, with this result: begins to check it. false if there is
 * nothing to be checked. */
bool catchup_check_begin(struct catchup *cu, struct catchup_read *read,
			 struct ticket ticket, int32_t result);

/* The end was read, with this result. Returns that of the data; -EAGAIN if it
 * has to be read again, when the journal has looked at its file. */
int32_t catchup_check_end(struct catchup *cu, struct catchup_read *read,
			  int32_t result);

#endif
