/*
 * The journal: a consumer of the main stream that writes it into a file which
 * q's -11! can replay at every moment (tick-contract.md 2.7, 3; wire.md section
 * 5).
 *
 *   main ring:    ...====|--------- not yet staged ---------| head
 *                        cursor
 *   staging ring: |== in the file ==|== being written ==|== staged ==|
 *                 file offset:   written              batch end    staged
 *
 * A record is the frame without its IPC header and without the table wrapper
 * around the columns: two pieces of the ring, copied to a staging ring that has
 * the bytes of the file (measured against gathered writes: three times cheaper
 * at 100 bytes, equal at 1 KiB; doc/notes/costs.md).  At most one write is in
 * flight; it ends at the end of a record, and the next one takes all records
 * that were staged meanwhile: that is the batching.
 *
 * Invariants: the file never shows a hole or zeros; its first state.records
 * records are whole; a failed write is cut back to a whole record and tried
 * again, for ever; the rings keep every record that is not in the file.
 *
 * A mark (`.u.end`) in the stream ends the file: the next record goes into the
 * file of the next day.
 */
#ifndef RINGTICK_JOURNAL_JOURNAL_H
#define RINGTICK_JOURNAL_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/log.h"
#include "config/settings.h"
#include "io/engine.h"
#include "io/file_jobs.h"
#include "journal/days.h"
#include "journal/good_records.h"
#include "journal/history.h"
#include "journal/lost_name.h"
#include "journal/open.h"
#include "journal/reserve.h"
#include "journal/state.h"
#include "ring/ring.h"
#include "ring/streams.h"

enum journal_phase {
	JOURNAL_READY, /* nothing in flight */
	JOURNAL_WRITING,
	JOURNAL_SYNCING, /* fdatasync in flight */
	JOURNAL_CUTTING, /* the remains of a failed write are cut off */
	JOURNAL_FAILED,	 /* waits for the next try */
};

/* Looks after the file, and mends it: mend.c. */
enum mend_what {
	MEND_LOOK,
	MEND_LINK,
	MEND_COPY,
	MEND_COPY_LAST,
	MEND_RELEASE, /* closes the file that was copied */
	MEND_KEEP,  /* the good records of a file that others have changed */
	MEND_EPOCH, /* stores the epoch that begins then */
	MEND_RECHECK, /* reads a piece of the file some time after that */
};

enum mend_step {
	MEND_IDLE,
	MEND_COPYING,  /* the file is written to meanwhile */
	MEND_QUIETING, /* the next job waits until nothing is in flight */
	MEND_LAST,     /* that job runs: nothing is written */
};

struct journal_mend {
	struct file_job job;
	enum mend_step step;
	enum mend_what next;  /* MEND_QUIETING */
	uint64_t seen_off;    /* the file once had all bytes before it */
	uint64_t uncut_bytes; /* of failed writes, still in a cut file */
	int64_t next_ns;      /* MEND_IDLE: next look */
	unsigned rounds;      /* MEND_COPYING */
	bool has_failed;      /* the last look, or the mending after it */
	bool has_failed_at_stop;
	bool is_quiet;	      /* nothing written since the last look began */
	bool is_looked_after; /* is_quiet, and that look found a name */
	bool is_asked;	      /* ... and was journal_is_looked_after's */
	bool is_barred;	      /* it was cut and is not mended: no writes */
	unsigned tries;	      /* MEND_KEEP: times that others interfered */
	int64_t recheck_ns;   /* when MEND_RECHECK is due; INT64_MAX: never */
	int64_t recheck_wait_ns; /* since the time before */
	bool is_rechecking;   /* some pieces are read, others not yet */
	bool is_spoilt;	      /* MEND_RECHECK has found bad records */
	bool is_lock_lost;    /* this process no longer holds NAME.lock */

	/* of the job */
	enum mend_what what;
	const char *path;
	int fd;
	uint64_t len; /* bytes written when the job began */
	const struct settings *settings;
	bool must_sync;
	struct lost_name_look look;
	struct lost_name_copy copy;
	struct lost_name_aside aside;
	struct good_records keep;
	struct good_records recheck;
	struct epochs epochs;
	int lock_fd;
	int lock; /* MEND_LOOK: result of journal_lock_again */
	bool is_epoch_owed; /* the new epoch could not be stored yet */
	int err;  /* 0 or errno */
};

/* The look at the file with each batch: watch.c. */
struct journal_look {
	struct statx seen; /* result of the look in flight ... */
	char path[JOURNAL_PATH_MAX]; /* ... at this name */
	uint64_t from_off; /* bytes written when it began */
	bool is_busy;	   /* a look is in flight */
	bool is_due;	   /* something was written since it began */
	bool is_stale;	   /* the file is another one since it began */
	bool is_held;	   /* the next write waits for it */
	int64_t next_ns;   /* earliest time of the next look */
	int64_t unsure_since_ns; /* since then something was written during
				    each look; 0: not during the last one */
};

/* Cuts off the remains of a failed write: mend.c. */
struct journal_cut {
	struct file_job job;
	bool is_needed; /* the cut failed: no writes before it succeeds */
	int fd;
	uint64_t off;	  /* size that the file is cut to */
	uint64_t end_off; /* size that it must have for that */
	bool is_kept;	  /* out: it was shorter, and was left as it is */
	int err;
};

/* The file of the next day: roll.c. */
struct journal_next {
	struct file_job job; /* opens the file, and owns this struct then */
	struct history_file *file; /* NULL: not open */
	int32_t day;
	int64_t retry_ns; /* next time that it may be opened ahead */
	int64_t next_complaint_ns;
	bool is_awaited; /* the day before has ended ... */
	bool is_early;	 /* ... earlier than by the clock */
	struct epochs epochs; /* is_early: to be stored */
	struct lost_name_aside aside; /* at a stop: another file that has
					 the name */
	int epoch_err;	      /* of the epochs: the last one that was logged */
	const struct settings *settings;
	struct history_file *stale; /* of a day that did not come */
	char path[JOURNAL_PATH_MAX];
	char err[1024];
	int error;
};

/* Replaces the files of a day that a wrong clock has begun by those of the
 * right day: wrong_day.c. */
struct journal_wrong_day {
	struct file_job job; /* opens the new files, or closes the old ones */
	bool is_closing;
	bool is_too_late; /* the running day stays, and so does its epoch */
	int64_t retry_ns;
	bool has_changed; /* the next journal_correct_day returns true */
	const struct settings *settings;
	struct journal_moment now;
	struct journal_days days;
	struct epochs epochs;
	struct history old; /* to be closed */
	bool is_begun;	    /* out: `days` and `epochs` are set */
	char err[1024];
};

/* Closes a file that has no readers any more. */
struct journal_old {
	struct file_job job;
	struct history_file *file;
};

/* The end: syncs the file and closes all files. */
struct journal_end {
	struct file_job job;
	bool is_clean;
	int32_t day_floor;
	int sync_err; /* out: of fdatasync; 0 or errno */
	bool is_unnamed; /* out: the file has no name, and is lost now */
};

/* A place between two records, in all three measures. */
struct journal_point {
	uint64_t off;	  /* in the file */
	uint64_t pos;	  /* in the main stream */
	uint64_t records; /* of the main stream */
};

/* Whether work moves. */
struct journal_progress {
	uint64_t seen;	  /* a measure of the work, which only grows ... */
	int64_t moved_ns; /* ... and when it last grew or nothing was to do */
	bool has_work;	  /* in the last turn */
};

struct journal {
	const struct settings *settings;
	struct engine *engine;
	struct file_jobs *jobs;
	int lock_fd; /* holds the lock of journal_lock */
	struct streams *streams;
	struct stream *main;
	const struct schema *schema;
	struct journal_state state;
	struct history history;
	struct cursor cursor; /* the main ring keeps messages from here on */
	struct ring staging;
	uint64_t shift; /* offset in the file + shift: position in staging */
	struct journal_point staging_begin; /* staging has nothing before it */
	struct journal_point staged;
	struct journal_point batch; /* end of the write in flight */
	struct journal_point written;
	uint64_t batch_off; /* end of the part of it that is in the file */
	enum journal_phase phase;
	bool is_rolling;  /* a mark is at staged.pos */
	int64_t retry_ns; /* JOURNAL_FAILED: time of the next try */
	int64_t next_sync_ns;
	uint64_t dropped_off; /* pages before it were given back */
	unsigned ops_cnt;     /* in flight, the look not counted */
	uint64_t synced_off;  /* the offset of state.synced_pos */

	/* trouble, for the log and the counters */
	int64_t failing_since_ns; /* 0: no trouble */
	int64_t next_complaint_ns;
	uint64_t failures;
	uint64_t written_bytes;
	uint64_t syncs;
	int64_t write_since_ns;
	int64_t write_max_ns;  /* longest write since the last report */
	int64_t slow_since_ns; /* 0: it keeps up */
	int64_t next_slow_ns;
	bool is_slow_told;
	bool hangs; /* the file system has not answered for a second */
	struct journal_progress writing; /* accepted messages are not safe */
	struct journal_progress working; /* jobs run */
	struct journal_progress naming;	 /* the file has no name */
	bool is_gone; /* the file could not be mended yet */

	struct journal_reserve reserve;
	bool is_stopping;
	int last_error; /* errno of the last failure */

	struct journal_mend mend;
	struct journal_look look;
	struct journal_cut cut;
	struct journal_next next;
	struct journal_old old;
	struct journal_wrong_day wrong_day;
	struct journal_end end;
};

/*
 * Opens the file of the day that days.h decides (state.day), checked, counted
 * and mended.  false with err and errno if it cannot be used: what is wrong,
 * where, and what the operator can do.  With journal.directory "" the journal
 * is off: true.  settings, engine, jobs and streams must outlive it.
 */
bool journal_open(struct journal *j, const struct settings *settings,
		  struct engine *engine, struct file_jobs *jobs,
		  struct streams *streams, const struct journal_moment *now,
		  char *err, size_t err_len);

/*
 * Replaces the running day, which the clock shows to be wrong, by the right
 * one, but none before now->day_floor; a new epoch begins.  Waits until that is
 * safe: the day's file has no records, no file has readers, and nothing is in
 * flight.  To be called until it returns true: then state.day and
 * state.epochs.day are new.
 */
bool journal_correct_day(struct journal *j, const struct journal_moment *now,
			 int64_t now_ns);

/* Stages, writes, syncs and rolls as far as each is due.  today is the
 * running day, local_ns the time in the zone of days, in ns since 2000.01.01;
 * now_ns, here and below, is monotonic. */
void journal_run(struct journal *j, int32_t today, int64_t local_ns,
		 int64_t now_ns);

/* The daemon stops: from now on the reserve is given up if the disk is full. */
void journal_stop(struct journal *j);

/* The position up to which publish.after lets consumers read the main stream;
 * not before its visible_pos. */
uint64_t journal_safe_pos(const struct journal *j);

/* An operation of the journal has completed. */
void journal_completed(struct journal *j, struct ticket ticket, int32_t result,
		       int64_t now_ns);

/* When journal_run has something to do by the clock, monotonic; INT64_MAX:
 * never. */
int64_t journal_due_ns(const struct journal *j);

/* Its trouble, for STATUS: " journal=failing" or " journal=slow"; "" if it has
 * no trouble. */
const char *journal_trouble(const struct journal *j);

/* Whether the last operation on the file failed, and is tried again. */
bool journal_is_failing(const struct journal *j);

/* The turn was overlong by ns, in which no work could move. */
void journal_excuse(struct journal *j, int64_t ns);

/* How long accepted messages have waited without any being written; 0: the
 * journal is not stuck. */
int64_t journal_stuck_ns(const struct journal *j, int64_t now_ns);

/* Whether accepted messages are not in the file yet, and it takes them; or a
 * failed write is being tried again, or its remains are being cut off. */
bool journal_is_trying(const struct journal *j);

/* Whether every committed message is in the file, and on the disk if
 * publish.after waits for that; true if the journal is off. */
bool journal_has_drained(const struct journal *j);

/* Whether it has drained and the file was looked at since, so that a cut is
 * mended before the stop; true as well if the file cannot be mended.  To be
 * called until it returns true. */
bool journal_may_close(struct journal *j, int64_t now_ns);

/*
 * Closes the files; a clean stop if every accepted message is in them.  No day
 * before day_floor may run any more.  Returns 0, or the exit status that says
 * what is missing, or that the disk hangs until until_ns (monotonic).  If it
 * hangs, its files and buffers stay, and the process can only end when the
 * kernel lets it.
 */
int journal_close(struct journal *j, int32_t day_floor, int64_t until_ns);

#endif
