/*
 * The history: where in the journal's files the messages are that have left the
 * ring.  Main stream positions continue from file to file, over the ends of
 * days:
 *
 *   file of the 22nd            mark    file of the 23rd
 *   first_pos ... written_pos   27 B    first_pos ... written_pos
 *
 * A file that existed at the start has records from before this run.  They get
 * positions too, counted back from its first_pos by their bytes in the file: no
 * stream ever had them, but a reader that has read them continues at first_pos.
 *
 * The journal keeps the history up to date; client/catchup.c reads the files.
 */
#ifndef RINGTICK_JOURNAL_HISTORY_H
#define RINGTICK_JOURNAL_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"
#include "journal/index.h"

enum { HISTORY_HEAD_BYTES = 256 };

/* The first bytes of a file, fewer if it is shorter: they differ if another
 * file is copied over it. */
struct history_head {
	size_t len;
	uint8_t bytes[HISTORY_HEAD_BYTES];
};

struct history_file {
	struct list node;
	int fd;
	uint64_t first_off; /* of the first record of this run ... */
	uint64_t first_record; /* ... its number, from 0 */
	uint64_t first_pos;
	uint64_t written_off; /* whole records up to here can be read */
	uint64_t written_pos;
	uint64_t written_records;
	bool is_ended;	  /* a mark is at written_pos; the next file continues
			     after it */
	int32_t day;	  /* that the mark ends; only if is_ended */
	int32_t begin_day; /* first day of the file, since days may be skipped;
			      INT32_MAX: not known, only its last counts */
	bool is_past;	  /* it ended before this run, or the next file has
			     lost records: see history_follow */
	bool is_end_told; /* the mark was sent to a reader of the file */
	uint64_t since;	  /* claims can be checked from this record on, ... */
	uint64_t since_epoch; /* ... those of this epoch on from the first */
	unsigned readers; /* who hold a place in the file */
	struct history_head head;
	struct journal_index index;
};

/* The place of the next record to be read; at the end of a file, its mark. */
struct history_place {
	struct history_file *file;
	uint64_t off;
	uint64_t pos;	 /* in the main stream */
	uint64_t record; /* its number in the file */
	int64_t time_ns; /* about when it came, monotonic; for a record from
			    before this run, when its file was last written;
			    0: not known */
};

enum { HISTORY_TAIL_BYTES = 64 };

/* The last bytes that were written, and their offset: as long as the file has
 * these bytes there, no cut has moved them. */
struct history_tail {
	uint64_t off;
	size_t len; /* 0: nothing was written since it was opened or mended */
	uint8_t bytes[HISTORY_TAIL_BYTES];
};

struct history {
	struct list files; /* oldest first; the journal writes the last */

	/* of the last file: */
	struct history_tail tail;
	bool is_doubted;  /* others may have changed it: it must not be read
			     before the journal has checked it */
	uint64_t changes; /* times that it was mended */
};

/* Makes an empty history. */
void history_init(struct history *h);

/*
 * The journal continues in file f, with the next record at main stream position
 * pos.  The caller has set fd, first_off, first_record and the index (without
 * positions).  The history owns the file from now on.
 */
void history_begin(struct history *h, struct history_file *f, uint64_t pos);

/* Closes and frees a file that is in no history.  Accepts NULL. */
void history_file_free(struct history_file *f);

/*
 * Begins an empty history with a file that ended before this run, in `day`.  To
 * be called before history_begin(h, next, next_pos).  The history owns f from
 * now on.
 */
void history_begin_past(struct history *h, struct history_file *f, int32_t day,
			const struct history_file *next, uint64_t next_pos);

/* The last file is good only up to off, and will be written anew from there. */
void history_cut(struct history *h, uint64_t off);

/*
 * Records after off are lost; `records` are before it, and the next one to be
 * written is at main stream position pos.  The last file is then as after
 * history_begin: no stream had its records.  To be called after history_cut.
 */
void history_lose(struct history *h, uint64_t off, uint64_t records,
		  uint64_t pos);

/* The last file has ended, with a mark that ends `day`. */
void history_end(struct history *h, int32_t day);

/* The last file; NULL if there is no file. */
struct history_file *history_last(const struct history *h);

/* The file after an ended one; NULL if it was not begun yet. */
struct history_file *history_next(const struct history *h,
				  const struct history_file *file);

/* The file before another one; NULL if there is no such file, or no more. */
struct history_file *history_before(const struct history *h,
				    const struct history_file *file);

/* Where a reader of an ended file continues after its mark: at the first record
 * of this run in the next file; if is_past, at the first record of all. */
struct history_place history_follow(const struct history_file *ended,
				    struct history_file *next);

/* The place of the first record of this run in a file. */
struct history_place history_start(struct history_file *file);

/* A place in a file at or before the record of a number, to walk from. */
struct history_place history_find_record(struct history_file *file,
					 uint64_t record);

/* The file of a day, where today is the running day.  NULL if there is no such
 * file, or no more. */
struct history_file *history_find_day(const struct history *h, int32_t day,
				      int32_t today);

/*
 * Finds a place at or before a main stream position, to walk from.  false if
 * the position is before the history, or is not in a file yet.
 */
bool history_find_pos(const struct history *h, uint64_t pos,
		      struct history_place *out);

/* The offset at which the record at a place ends, a record from before this
 * run; 0 if that is not known without reading the record. */
uint64_t history_record_end(const struct history_place *place);

/* About when the record at a place came, as time_ns of struct history_place. */
int64_t history_time(const struct history_place *place);

/* Whether there are more files than the journal's and the one before it. */
bool history_is_long(const struct history *h);

/*
 * Removes the oldest file if it has no readers and ends before tail_pos, so
 * that no consumer can come to it from the ring.  Keeps the two last files: a
 * client that lost its connection around the end of the day may want to
 * continue there.  Returns the file, which the caller must free; NULL if no
 * file was removed.
 */
struct history_file *history_trim(struct history *h, uint64_t tail_pos);

/* Whether any file has readers. */
bool history_is_read(const struct history *h);

/* Appends a file, or all files of h, to a history that only closes them.  It
 * owns them from now on. */
void history_put(struct history *to, struct history_file *f);
void history_hand_over(struct history *h, struct history *to);

/* Closes and frees all files. */
void history_close(struct history *h);

#endif
