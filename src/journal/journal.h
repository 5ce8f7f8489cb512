/*
 * The journal: a consumer of the main stream, into a file that q's -11! can
 * replay at every moment (tick-contract.md 2.7, 3; wire.md section 5).
 *
 *   main ring:    ...====|--------- not yet staged ---------| head
 *                        cursor
 *   staging ring: |== in the file ==|== being written ==|== staged ==|
 *                 file offset:   written              batch end    staged
 *
 * A record is the frame without its IPC header and without the table wrapper
 * around the columns: two pieces of the ring, copied to a staging ring in which
 * they stand as in the file (measured against gathered writes: three
 * times cheaper at 100 bytes, equal at 1 KiB; doc/notes/costs.md).  One write
 * is in flight at most; it ends at a record's end; the next one takes all that
 * was staged meanwhile: that is the batching.
 *
 * Invariants: the file never shows a hole or zeros; the first state.records
 * records are whole; a failed write is cut back to a whole record and tried
 * again, for ever; the ring keeps what is not in the file.
 *
 * A mark (`.u.end`) in the stream ends the file: the next record goes into the
 * next day's.
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
#include "journal/history.h"
#include "journal/keep.h"
#include "journal/open.h"
#include "journal/rescue.h"
#include "journal/reserve.h"
#include "journal/state.h"
#include "ring/ring.h"
#include "ring/stream.h"

enum journal_phase {
	JOURNAL_READY, /* nothing in flight */
	JOURNAL_WRITING,
	JOURNAL_SYNCING, /* fdatasync in flight */
	JOURNAL_CUTTING, /* what a failed write left is cut off */
	JOURNAL_FAILED,	 /* waits for its next try */
};

/* Looking after the file, and mending it: mend.c. */
enum mend_what {
	MEND_LOOK,
	MEND_LINK,
	MEND_COPY,
	MEND_COPY_LAST,
	MEND_KEEP,  /* what is good of a file that others have changed */
	MEND_EPOCH, /* and the new epoch's file */
};

enum mend_step {
	MEND_IDLE,
	MEND_COPYING,  /* the file is written on meanwhile */
	MEND_QUIETING, /* what is next waits until nothing is in flight */
	MEND_LAST,     /* it runs: nothing is written */
};

struct journal_mend {
	struct file_job job;
	enum mend_step step;
	enum mend_what next;  /* MEND_QUIETING */
	uint64_t seen_off;    /* all before it was in the file once */
	uint64_t uncut_bytes; /* of failed writes, still in it: it was cut */
	int64_t next_ns;      /* MEND_IDLE: next look */
	unsigned rounds;      /* MEND_COPYING */
	bool has_failed;      /* the last look, or what came of it */
	bool has_failed_at_stop;
	bool is_quiet;	      /* nothing written since the last look began */
	bool is_looked_after; /* nor is it lost: it has a name */
	bool is_asked;	      /* that look was for who asked for it */
	bool is_barred;	      /* it was cut and is not mended: no writes */
	unsigned tries;	      /* MEND_KEEP: others changed it meanwhile */
	bool is_lock_lost;    /* NAME.lock is another's, or nobody's */

	/* of the job */
	enum mend_what what;
	const char *path;
	int fd;
	uint64_t len; /* written when it began */
	const struct settings *settings;
	bool must_sync;
	struct rescue_look look;
	struct rescue_copy copy;
	struct rescue_aside aside;
	struct journal_keep keep;
	struct epochs epochs;
	int lock_fd;
	int lock; /* MEND_LOOK: journal_lock_again */
	bool is_epoch_owed; /* it could not be stored */
	int err;  /* 0 or errno */
};

/* The look at the file with each batch: watch.c. */
struct journal_look {
	struct statx seen; /* of the one in flight; the name it looks for: */
	char path[JOURNAL_PATH_MAX];
	uint64_t from_off; /* written when it began */
	bool is_busy;	   /* one is in flight */
	bool is_due;	   /* something was written since it began */
	bool is_stale;	   /* ... to what is another file by now */
	bool is_held;	   /* the next write waits for it */
	int64_t next_ns;   /* not before */
	int64_t unsure_since_ns; /* something was written during each since
				    then; 0: not during the last one */
};

/* What a failed write left is cut off: mend.c. */
struct journal_cut {
	struct file_job job;
	bool is_needed; /* it failed: nothing may be written before */
	int fd;
	uint64_t off;
	uint64_t end_off; /* what was written ends there */
	bool is_kept;	  /* it ends before: others have cut it */
	int err;
};

/* The next day's file: roll.c. */
struct journal_next {
	struct file_job job; /* opens it; nothing else is touched then */
	struct history_file *file; /* NULL: not open */
	int32_t day;
	int64_t retry_ns; /* when it is opened ahead */
	int64_t next_complaint_ns;
	bool is_awaited; /* the day has ended */
	bool is_early;	 /* ... before the clock has come to the next one */
	struct epochs epochs; /* which say so */
	const struct settings *settings;
	struct history_file *stale; /* of a day that did not come */
	char path[JOURNAL_PATH_MAX];
	char err[1024];
	int error;
};

/* Another day's files in the place of one that a wrong clock has begun:
 * redate.c. */
struct journal_redate {
	struct file_job job; /* opens them, or closes those of before */
	bool is_closing;
	int64_t retry_ns;
	bool has_changed; /* journal_redate is to be told */
	const struct settings *settings;
	struct journal_moment now;
	struct journal_days days;
	struct epochs epochs;
	struct history old; /* to be closed */
	bool is_begun;
	char err[1024];
};

/* A file that nobody reads any more is closed. */
struct journal_old {
	struct file_job job;
	struct history_file *file;
};

/* The end: what must be on the disk, and all files are closed. */
struct journal_end {
	struct file_job job;
	bool is_clean;
	int32_t day_floor;
	int sync_err; /* of fdatasync; 0 or errno */
	bool is_unnamed; /* the file goes with the process: it is nowhere */
};

/* The end of a write, in all three measures. */
struct journal_point {
	uint64_t off;	  /* in the file */
	uint64_t pos;	  /* in the main stream */
	uint64_t records; /* of the main stream */
};

struct journal {
	const struct settings *settings;
	struct engine *engine;
	struct file_jobs *jobs;
	int lock_fd; /* for all files of this name in the folder */
	struct streams *streams;
	struct stream *main;
	const struct schema *schema;
	struct journal_state state;
	struct history history; /* what is in its files */
	struct cursor cursor; /* what the ring keeps for it begins here */
	struct ring staging;
	uint64_t shift; /* from an offset in the file to staging's position */
	uint64_t staging_begin_off; /* what it has of the file begins there */
	struct journal_point staged;
	struct journal_point batch; /* end of the write in flight */
	struct journal_point written;
	uint64_t batch_off; /* of it, in the file so far */
	enum journal_phase phase;
	bool is_rolling;  /* a mark stands at the cursor */
	int64_t retry_ns; /* JOURNAL_FAILED: when */
	int64_t next_sync_ns;
	uint64_t dropped_off; /* pages before it were given back */
	unsigned ops_cnt;     /* in flight, all kinds */
	uint64_t synced_off;  /* as state.synced_pos */

	/* trouble, for the log and the counters */
	int64_t failing_since_ns; /* 0: all is well */
	int64_t next_complaint_ns;
	uint64_t failures;
	uint64_t written_bytes;
	uint64_t syncs;
	int64_t write_since_ns;
	int64_t write_max_ns;  /* longest write since the last report */
	int64_t slow_since_ns; /* 0: it keeps up */
	int64_t next_slow_ns;
	bool is_slow_told;
	uint64_t watched_pos; /* state.written_pos ... */
	int64_t moved_ns;     /* ... and when it was another, or all was in */
	bool is_behind;	      /* not all is in the file, or it is synced */
	bool is_gone; /* the file was not there, and is not back yet */

	struct journal_reserve reserve;
	bool is_stopping;
	int last_error; /* of what failed last */

	struct journal_mend mend;
	struct journal_look look;
	struct journal_cut cut;
	struct journal_next next;
	struct journal_old old;
	struct journal_redate redate;
	struct journal_end end;
};

/*
 * Opens the file of the day that days.h decides (state.day), checked,
 * counted and mended.  false with err and errno if it cannot be used: what is
 * wrong, where, and what the operator can do.  Off (true) when
 * journal.directory is "".
 */
bool journal_open(struct journal *j, const struct settings *settings,
		  struct engine *engine, struct file_jobs *jobs,
		  struct streams *streams, const struct journal_moment *now,
		  char *err, size_t err_len);

/*
 * The running day is to be another one, not before day_floor: begins in it, in
 * a new epoch, as soon as that is safe: nothing is in the day's file, nobody
 * reads the files of before, and nothing is under way.  To be called until it
 * returns true: then state.day and state.epochs.day are new.
 */
bool journal_redate(struct journal *j, const struct journal_moment *now,
		    int64_t now_ns);

/* Stages, writes, syncs, rolls: whatever is due. today is the running day,
 * local_ns the moment in the zone of days. */
void journal_run(struct journal *j, int32_t today, int64_t local_ns,
		 int64_t now_ns);

/* The daemon stops: a full disk gives its reserve up, by a job. */
void journal_stop(struct journal *j);

/* Up to where publish.after lets the main stream be seen. */
uint64_t journal_safe_pos(const struct journal *j);

/* An operation of the journal has completed. */
void journal_completed(struct journal *j, struct ticket ticket, int32_t result,
		       int64_t now_ns);

/* When journal_run has something to do by the clock; INT64_MAX: nothing. */
int64_t journal_due_ns(const struct journal *j);

/* Its trouble, for STATUS: " journal=failing", or " journal=slow"; "" without
 * one. */
const char *journal_trouble(const struct journal *j);

/* For how long nothing of what is accepted was written; 0: it moves. */
int64_t journal_stuck_ns(const struct journal *j, int64_t now_ns);

/* Whether a write after a failed one is under way, or what it left of a record
 * is being cut off. */
bool journal_is_trying(const struct journal *j);

/* Everything committed is in the file, and on disk if anything promises so. */
bool journal_has_drained(const struct journal *j);

/* And that file was looked at since, so that a cut of it is made good before
 * the stop.  To be called until it returns true; where the file cannot be
 * brought back there is nothing to wait for. */
bool journal_may_close(struct journal *j, int64_t now_ns);

/*
 * Closes the file; a clean stop, if everything accepted is in it. No day before
 * day_floor may run any more.  0, or the exit status that says what is missing:
 * also that the disk hangs until until_ns (monotonic).  Then what it holds
 * stays, and the process can only end when the kernel lets it.
 */
int journal_close(struct journal *j, int32_t day_floor, int64_t until_ns);

#endif
