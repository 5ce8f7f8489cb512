/*
 * The history: where in the journal's files the messages stand that have left
 * the ring.  One main stream position after the other, over the ends of days:
 *
 *   file of the 22nd        mark    file of the 23rd
 *   first_pos ... end_pos   27 B    first_pos ...        written
 *
 * A file that was there at the start has records from before this run.  They
 * get positions too, counted back from its first_pos by their bytes in the
 * file: no stream ever had them, but what reads the file goes on from there.
 *
 * The journal tells it what happens; client/catchup.c reads what is in it.
 */
#ifndef RINGTICK_JOURNAL_HISTORY_H
#define RINGTICK_JOURNAL_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"
#include "journal/index.h"

struct history_file {
	struct list node;
	int fd;
	uint64_t first_off; /* of the first record of this run ... */
	uint64_t first_record; /* ... its number, and what was in the file */
	uint64_t first_pos;
	uint64_t written_off; /* whole records up to here can be read */
	uint64_t written_pos;
	uint64_t written_records;
	bool is_ended;	  /* a mark stands at written_pos; the next file goes on
			     behind it */
	int32_t day;	  /* that the mark ends; only if is_ended */
	int32_t begin_day; /* the first that it has: days may have been
			      skipped; INT32_MAX: not known, its own only */
	bool is_past;	  /* it ended before this run */
	bool is_end_told; /* somebody was sent that mark out of it */
	uint64_t since;	  /* claims can be checked from this record on */
	unsigned readers; /* places that are held */
	struct journal_index index;
};

/* A record's place: the next to be read. At the end of a file: its mark. */
struct history_place {
	struct history_file *file;
	uint64_t off;
	uint64_t pos;	 /* in the main stream */
	uint64_t record; /* its number in the file */
	int64_t time_ns; /* about when it came; from before this run: when
			    its file was last written; 0: not known */
};

enum { HISTORY_TAIL_BYTES = 64 };

/* The last bytes that were written, and where: as long as the file has them
 * there, nobody has cut it before. */
struct history_tail {
	uint64_t off;
	size_t len; /* 0: nothing was written since its end was looked at */
	uint8_t bytes[HISTORY_TAIL_BYTES];
};

struct history {
	struct list files; /* oldest first; the last is the journal's */

	/* of the last file: */
	struct history_tail tail;
	bool is_doubted;  /* others may have changed it: nobody reads it before
			     it was looked at */
	uint64_t changes; /* so often it was mended */
};

void history_init(struct history *h);

/*
 * The journal goes on in a file, the next record at main stream position pos.
 * fd, first_off, first_record and the index (without positions) are set.  The
 * file belongs to the history from now on.
 */
void history_begin(struct history *h, struct history_file *f, uint64_t pos);

/* Closes and frees a file that is in no history. Harmless on NULL. */
void history_file_free(struct history_file *f);

/*
 * Before the first file, which begins at pos: one that ended before this run,
 * in `day`.
 */
void history_begin_past(struct history *h, struct history_file *f, int32_t day,
			const struct history_file *next, uint64_t next_pos);

/* The last file is good up to off only; what is written behind it comes. */
void history_cut(struct history *h, uint64_t off);

/*
 * Records are lost behind off, of which `records` stand before it: what follows
 * is at main stream position pos.  The file is then as after history_begin: no
 * stream had what is in it.  To be called after history_cut.
 */
void history_lose(struct history *h, uint64_t off, uint64_t records,
		  uint64_t pos);

/* A mark at the end of the last file ends its day. */
void history_end(struct history *h, int32_t day);

/* The last file, NULL if there is none. */
struct history_file *history_last(const struct history *h);

/* The file that goes on behind an ended one; NULL if none was begun yet. */
struct history_file *history_next(const struct history *h,
				  const struct history_file *file);

/* The file before one; NULL if there is none (any more). */
struct history_file *history_before(const struct history *h,
				    const struct history_file *file);

/* Where a reader of an ended file goes on behind its mark: in the next one,
 * with the first record of this run, or, behind a file that ended before this
 * run, with the first one. */
struct history_place history_follow(const struct history_file *ended,
				    struct history_file *next);

/* The place of the first record of this run in a file. */
struct history_place history_start(struct history_file *file);

/* A place at or before a record of a file, to walk from. */
struct history_place history_find_record(struct history_file *file,
					 uint64_t record);

/* The file of a day; today is the running one. NULL if it is not there (any
 * more). */
struct history_file *history_find_day(const struct history *h, int32_t day,
				      int32_t today);

/*
 * A place at or before a main stream position, to walk from.  false if the
 * history does not go back so far, or not so far forward: it is not in a file
 * yet.
 */
bool history_find_pos(const struct history *h, uint64_t pos,
		      struct history_place *out);

/* Where the record at a place ends, one from before this run; 0 if that is not
 * known without reading it. */
uint64_t history_record_end(const struct history_place *place);

/* About when the record at a place came, as in struct history_place. */
int64_t history_time(const struct history_place *place);

/* Whether there is more than the journal's file and the one before it. */
bool history_is_long(const struct history *h);

/*
 * Forgets an ended file that nobody reads and that ends before tail_pos: nobody
 * can come from the ring for it.  But for the last one: who lost its
 * connection around the end of the day may want to go on there.  The file, to
 * be freed by the caller; NULL: there is none.
 */
struct history_file *history_trim(struct history *h, uint64_t tail_pos);

/* Whether anybody reads any of the files. */
bool history_is_read(const struct history *h);

/* Puts a file at the end of those that are only to be closed; or all of h. */
void history_put(struct history *to, struct history_file *f);
void history_hand_over(struct history *h, struct history *to);

/* Forgets and closes all. */
void history_close(struct history *h);

#endif
