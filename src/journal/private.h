/*
 * The journal, among its own files:
 *
 *   journal.c          staging, writing, syncing; the turn; open and close
 *   trouble.c  what is said when the disk fails or is slow
 *   watch.c     looks at the file with each batch
 *   mend.c     looks after the file, and mends it
 *   lost.c     goes on behind what is left of a file that was cut
 *   roll.c     the next day's file
 *   redate.c   another day's, where a wrong clock has begun this one
 *
 * All of it runs on the application's thread and waits for nothing; what may
 * take its time is a job (io/file_jobs.h).
 */
#ifndef RINGTICK_JOURNAL_PRIVATE_H
#define RINGTICK_JOURNAL_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "journal/journal.h"

/* ---- journal.c ---- */

/* What an operation of the journal was: the slot of its ticket. */
enum journal_op { OP_WRITE, OP_SYNC, OP_RECYCLE, OP_LOOK };

static inline struct ticket
journal_ticket(enum journal_op op)
{
	return (struct ticket){ .slot = (uint16_t)op, .kind = ENGINE_JOURNAL };
}

/* Waits for the next try. */
void journal_try_later(struct journal *j, int64_t now_ns);

/* Goes on in the file of a day, from main stream position pos on. */
void journal_take_file(struct journal *j, const char *path,
		       struct history_file *f, int32_t day, uint64_t pos);

/* state.records and `written` were set back: so is all that follows them. */
void journal_reset_written(struct journal *j);

/* Subscribers see what publish.after promises; in batches, when it is time. */
void journal_show(struct journal *j, int64_t now_ns);

/* ---- trouble.c ---- */

/* Counts it, and says it once a minute. */
void journal_complain(struct journal *j, const char *what, int err,
		      int64_t now_ns);

/* It works again. */
void journal_recovered(struct journal *j, int64_t now_ns);

/* Whether it is stuck: it fails, or has not moved for a second. */
void journal_watch_progress(struct journal *j, int64_t now_ns);

/* The disk is slow: told after a second of it, every minute, and when it
 * ends. */
void journal_watch_lag(struct journal *j, int64_t now_ns);

/* ---- watch.c ---- */

/* Looks at the file if that is due (is_due: a batch was written). */
void journal_look_run(struct journal *j, int64_t now_ns);
int64_t journal_look_due_ns(const struct journal *j);

/* That has completed. */
void journal_look_completed(struct journal *j, int32_t result, int64_t now_ns);

/* Whether the next write has to wait for a look. */
bool journal_look_holds(struct journal *j, int64_t now_ns);

/* What was written is now in another file, or elsewhere in it. */
void journal_look_anew(struct journal *j);

/* ---- mend.c ---- */

/* Whether the file was cut and cannot be mended: nothing may be written until
 * it is. */
bool journal_is_barred(const struct journal *j);

/* Looks after the file, each second.  false: nothing may be written now. */
bool journal_tend(struct journal *j, int64_t now_ns);

/*
 * Whether the file, to which nothing will be written any more, has been looked
 * at for this question, and has a name.  If not, it is looked at now: ask again
 * when the job is done.
 */
bool journal_is_looked_after(struct journal *j, int64_t now_ns);

/* A write was begun. */
void journal_note_write(struct journal *j);

/* Whether the file is being mended, or waits for that. */
bool journal_is_mending(const struct journal *j);

/* When it goes on by the clock, if writing or rolling waits for it. */
int64_t journal_mend_due_ns(const struct journal *j);

/* At the end, on the other thread: a file that has no name goes with the
 * process, so it is copied.  Whether it had none; it is told. */
bool journal_save_unnamed(struct journal *j);

/* Cuts the file back to its last whole record: what a failed write left. */
void journal_cut_back(struct journal *j);

/* ---- lost.c ---- */

/*
 * Of the file that was written only this is left: goes on behind it with what
 * memory has.  Returns whether records are lost; then there is a new epoch, and
 * state.losses has grown.
 */
bool journal_go_on_behind(struct journal *j, const struct journal_keep *k);

/* ---- roll.c ---- */

/* Opens the next day's file shortly before it is needed. */
void journal_prepare(struct journal *j, int32_t today, int64_t local_ns,
		     int64_t now_ns);

/* Everything before the mark is in the file, and nothing is in flight: goes on
 * in the next day's. */
void journal_roll(struct journal *j, int32_t today, int64_t local_ns,
		  int64_t now_ns);

/* Closes, one after the other, files that nobody reads any more. */
void journal_trim(struct journal *j);

/* Sets up the jobs of redate.c. */
void journal_init_redate(struct journal *j);

/* Sets up the jobs of a file. */
void journal_init_mend(struct journal *j);
void journal_init_roll(struct journal *j);

#endif
