/*
 * The journal, among its own files:
 *
 *   journal.c        staging, writing, syncing; the turn; open and close
 *   state.c          how far it is
 *   write_failure.c  logs that writing fails or is slow
 *   sync_failure.c   a failed fdatasync: what is in doubt, and the end
 *   watch.c          looks at the file with each batch
 *   mend.c           looks after the file, and mends it
 *   refill.c         continues after what is left of a file that was cut
 *   roll.c           the next day's file
 *   wrong_day.c      the right day's file, where a wrong clock has begun this
 *                    one
 *
 * All of it runs on the application's thread and never blocks; slow file work
 * is a job (io/file_jobs.h).
 */
#ifndef RINGTICK_JOURNAL_JOURNAL_PRIVATE_H
#define RINGTICK_JOURNAL_JOURNAL_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "journal/journal.h"

/* The kind of an operation of the journal: the slot of its ticket. */
enum journal_op { OP_WRITE, OP_SYNC, OP_RECYCLE, OP_LOOK };

static inline struct ticket
journal_ticket(enum journal_op op)
{
	return (struct ticket){ .slot = (uint16_t)op, .kind = ENGINE_JOURNAL };
}

/* ---- state.c ---- */

enum { JOURNAL_RECYCLE_BYTES = 64 << 20 }; /* given back to the kernel at a
					      time */

/* The file has all bytes before a place, or they are on the disk. */
void journal_set_written(struct journal *j, struct journal_point to);
void journal_set_synced(struct journal *j, struct journal_point to);

/* Holds the messages that the journal needs in the ring. */
void journal_hold_ring(struct journal *j);

/* Enters JOURNAL_FAILED, with a time for the next try. */
void journal_try_later(struct journal *j, int64_t now_ns);

/* Continues in the file of a day, from main stream position pos on.  Copies
 * path; the history owns f from now on. */
void journal_take_file(struct journal *j, const char *path,
		       struct history_file *f, int32_t day, uint64_t pos);

/* The caller has moved `written` and state.records: sets all that follows from
 * them. */
void journal_reset_written(struct journal *j);

/* Makes visible what publish.after allows.  In batches the publisher does that,
 * when a batch is due. */
void journal_show(struct journal *j, int64_t now_ns);

/* ---- write_failure.c ---- */

/* Counts a failure of the operation `what` (err is an errno), and logs it, at
 * most once a minute. */
void journal_complain(struct journal *j, const char *what, int err,
		      int64_t now_ns);

/* The file works again: logs the end of a failure, if there was one. */
void journal_recovered(struct journal *j, int64_t now_ns);

/* Sets state.is_stuck and state.is_file_stuck: the journal fails, or has not
 * moved for a second. */
void journal_watch_progress(struct journal *j, int64_t now_ns);

/* Logs that the disk is slow or hangs: after a second, then every minute, and
 * when it has kept up again. */
void journal_watch_lag(struct journal *j, int64_t now_ns);

/* ---- sync_failure.c ---- */

/* An fdatasync of the running file has failed (an errno): logs it, and notes
 * for the next start what is in doubt. */
void journal_note_unsynced(const struct journal *j, int error);

/* Before a file that has ended is closed: with journal.sync "none" it was not
 * brought to the disk when it ended.  0; or an errno, logged and noted.  On the
 * other thread. */
int journal_sync_ended(const struct journal *j, const struct history_file *f);

/*
 * The same for the running file, and ends the process.  The kernel may have
 * dropped the dirty pages, and the next fdatasync would succeed: what is on the
 * disk is unknown from then on, so the daemon stops instead of promising what
 * it cannot keep.
 */
_Noreturn void journal_sync_failed(struct journal *j, int error);

/* ---- watch.c ---- */

/* Starts a look at the file if one is due. */
void journal_look_run(struct journal *j, int64_t now_ns);

/* When a look is due by the clock; INT64_MAX: never. */
int64_t journal_look_due_ns(const struct journal *j);

/* The look has completed; result is 0 or -errno. */
void journal_look_completed(struct journal *j, int32_t result, int64_t now_ns);

/* Whether the next write has to wait for the look in flight. */
bool journal_look_holds(struct journal *j, int64_t now_ns);

/* The written bytes are now in another file, or elsewhere in it: the look in
 * flight does not count. */
void journal_look_anew(struct journal *j);

/* ---- mend.c ---- */

/*
 * Whether the file was cut and cannot be mended: nothing may be written until
 * it is.  Records written after a cut would not be at their known places, and
 * memory would let go of them.  A stop has no time to wait for the mending.
 */
static inline bool
journal_is_barred(const struct journal *j)
{
	return j->mend.is_barred && !j->is_stopping;
}

/* Looks after the file, once a second.  false: nothing may be written now. */
bool journal_tend(struct journal *j, int64_t now_ns);

/*
 * Whether a look that was started by this function found a name for the file,
 * and nothing was written since.  If not, starts a look: ask again when the job
 * is done.
 */
bool journal_is_looked_after(struct journal *j, int64_t now_ns);

/*
 * At a stop: whether the file needs no more rechecks, or was read once more;
 * true as well if it can be neither read nor mended.  If not, starts that: ask
 * again when the job is done.
 */
bool journal_is_rechecked(struct journal *j, int64_t now_ns);

/* A write was begun, or another file taken: the last look does not count. */
void journal_note_write(struct journal *j);

/* Whether the file is being mended, or waits for that. */
static inline bool
journal_is_mending(const struct journal *j)
{
	return j->mend.step != MEND_IDLE ||
	       (j->mend.job.is_busy && j->mend.what != MEND_LOOK &&
		j->mend.what != MEND_RECHECK);
}

/* When mending continues by the clock, if writing or rolling waits for it;
 * INT64_MAX: a completion continues it. */
int64_t journal_mend_due_ns(const struct journal *j);

/* At the end, on the other thread: a file without a name would be lost with the
 * process, so it is copied.  Returns whether it had no name, and logs that. */
bool journal_save_unnamed(struct journal *j);

/* Logs that the thing that had the name path was put aside, if it was. */
void journal_tell_aside(const char *path, const struct lost_name_aside *a);

/* After a failed write: starts to cut the file to its last whole record. */
void journal_cut_back(struct journal *j);

/* ---- refill.c ---- */

/* The staging ring has the file's written bytes from here on. */
uint64_t journal_staging_oldest_off(const struct journal *j);

/*
 * Only the good records of k are left of the file: continues after them with
 * the records that memory has.  Returns whether records are lost; then there is
 * a new epoch, and state.loss says which.
 */
bool journal_refill(struct journal *j, const struct good_records *k);

/* ---- roll.c ---- */

/* Opens the next day's file shortly before it is needed. */
void journal_prepare(struct journal *j, int32_t today, int64_t local_ns,
		     int64_t now_ns);

/* To be called when everything before the mark is in the file and nothing is in
 * flight: continues in the next day's file, once that is open. */
void journal_roll(struct journal *j, int32_t today, int64_t local_ns,
		  int64_t now_ns);

/* Closes files that have no readers any more, one after the other. */
void journal_trim(struct journal *j);

/* ---- set up the jobs of each file ---- */

void journal_init_wrong_day(struct journal *j);
void journal_init_mend(struct journal *j);
void journal_init_roll(struct journal *j);

#endif
