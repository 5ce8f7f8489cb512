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
 * around the columns: two pieces of the ring, copied to a staging ring whose
 * positions are the file's offsets (measured against gathered writes: three
 * times cheaper at 100 bytes, equal at 1 KiB; doc/design.md).  One write
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
#ifndef RINGTICK_JOURNAL_H
#define RINGTICK_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine.h"
#include "history.h"
#include "journal_days.h"
#include "journal_reserve.h"
#include "journal_start.h"
#include "journal_state.h"
#include "log.h"
#include "ring.h"
#include "settings.h"
#include "stream.h"

enum journal_phase {
	JOURNAL_READY, /* nothing in flight */
	JOURNAL_WRITING,
	JOURNAL_SYNCING, /* fdatasync in flight */
	JOURNAL_FAILED,	 /* waits for its next try */
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
	struct streams *streams;
	struct stream *main;
	const struct schema *schema;
	struct journal_state state;
	struct history history; /* what is in its files */
	struct cursor cursor; /* what the ring keeps for it begins here */
	struct ring staging;
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
	int64_t next_roll_complaint_ns;
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
	bool is_behind;	      /* not all is in the file */
	int64_t next_look_ns; /* whether the file is still there */
	bool is_gone;	      /* it was not, and is not back yet */

	struct journal_reserve reserve;
	struct file_jobs *stop_jobs; /* NULL: it does not stop */
	int last_error;		     /* of what failed last */

	struct { /* the next day's file, opened ahead */
		struct history_file *file; /* NULL: not yet */
		int32_t day;
		int64_t retry_ns;
	} next;
};

/*
 * Opens the file of the day that journal_days.h decides (state.day), checked,
 * counted and mended.  false with err and errno if it cannot be used: what is
 * wrong, where, and what the operator can do.  Off (true) when
 * journal.directory is "".
 */
bool journal_open(struct journal *j, const struct settings *settings,
		  struct engine *engine, struct streams *streams,
		  const struct journal_moment *now, char *err, size_t err_len);

/* Stages, writes, syncs, rolls: whatever is due. today is the running day,
 * local_ns the moment in the zone of days. */
void journal_run(struct journal *j, int32_t today, int64_t local_ns,
		 int64_t now_ns);

/* The daemon stops: a full disk gives its reserve up, by a job. */
void journal_stop(struct journal *j, struct file_jobs *fj);

/* Up to where publish.after lets the main stream be seen. */
uint64_t journal_safe_pos(const struct journal *j);

/* An operation of the journal has completed. */
void journal_completed(struct journal *j, struct ticket ticket, int32_t result,
		       int64_t now_ns);

/* When journal_run has something to do by the clock; INT64_MAX: nothing. */
int64_t journal_due_ns(const struct journal *j);

/* For how long nothing of what is accepted was written; 0: it moves. */
int64_t journal_stuck_ns(const struct journal *j, int64_t now_ns);

/* Everything committed is in the file, and on disk if anything promises so. */
bool journal_has_drained(const struct journal *j);

/* Closes the file; a clean stop, if everything accepted is in it. No day before
 * day_floor may run any more.  0, or the exit status that says what is
 * missing. */
int journal_close(struct journal *j, int32_t day_floor);

#endif
