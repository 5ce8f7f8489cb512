/*
 * For the tests of the journal: a disk that does what the test says, and a
 * model that every step is held against.
 *
 * The disk is the four calls with which the journal asks the engine for
 * something, and the one that starts a job; they are defined here (and the
 * library's engine is not linked).  They note what is asked.  The test lets it
 * happen: whole, in part, later, or not at all.  Jobs are run by model_turn,
 * but for a test that holds them.  Files are real, in a folder of their own;
 * time is a number.
 * log_line and die are defined here too, to be looked at.
 *
 * The model is all records committed, in the order in which the files must have
 * them.  After every call below holds, or the test fails:
 *
 * - the file has `written` whole records of the day, the right ones, and while
 *   a write is in flight the beginning of what follows, else nothing more;
 * - what the journal tells of itself (struct journal_state) says the same;
 * - `synced` are those that an fdatasync was begun for when they were written,
 *   and that has succeeded (with journal.sync = none it is as `written`);
 * - subscribers see what publish.after promises, neither less nor more;
 * - at most one write or fdatasync is in flight; a write ends with a record of
 *   the same day; no file is closed or replaced under an operation;
 * - a file is left only with all records of its day in it, and synced.
 */
#ifndef RINGTICK_TESTS_JOURNAL_MODEL_H
#define RINGTICK_TESTS_JOURNAL_MODEL_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/engine.h"
#include "journal/journal.h"
#include "config/settings.h"
#include "ring/streams.h"

enum {
	MODEL_RING_BYTES = 16 << 10,
	MODEL_STAGING_BYTES = 4 << 20,	/* what the journal takes */
	MODEL_RECYCLE_BYTES = 64 << 20, /* of the file, at a time */
	MODEL_FIRST_DATE = 9822,	/* 2026.11.22 */
};

#define MODEL_RETRY_NS	  (250 * NS_PER_MS)
#define MODEL_INTERVAL_NS (100 * NS_PER_MS) /* journal.sync_interval */

enum op_kind { OP_WRITE, OP_SYNC, OP_RECYCLE };

struct op {
	enum op_kind kind;
	int fd;
	const uint8_t *at;
	size_t len;
	uint64_t off;
	uint64_t upto; /* records written when it has succeeded, or synced */
	struct ticket ticket;
};

struct model {
	struct settings settings;
	struct streams all;
	struct journal journal;
	int64_t now_ns, local_ns;
	int32_t today;
	uint64_t records; /* committed since the start */
	uint64_t written;
	uint64_t synced;
	unsigned rolled;  /* days, over to the next file */
	struct op ops[4]; /* in flight, in no order */
	unsigned ops_cnt;
	struct file_jobs jobs;
	struct file_job *job[4]; /* started, oldest first */
	unsigned jobs_cnt;
	bool are_jobs_held; /* none is run by model_turn() */
	const char *look_path;
	struct statx *look_at; /* in flight; NULL: none is */
	struct ticket look_ticket;
	bool are_looks_held;
	char last_words[512]; /* of die() */
	enum exit_status last_status;
	jmp_buf death;	      /* where die() goes on */
	uint64_t lost_off;    /* the disk has zeros from there on; 0: all */
	bool does_disk_heal;  /* once what is lost was read: as if rewritten */
};
extern struct model m;

/* ---- the whole ---- */

/* Group set-up and tear-down. */
int model_open(void **state);
int model_close(void **state);

/* The look in flight completes. */
void disk_look(void);

/* Runs the oldest job, and tells the journal. */
void disk_do_job(void);

/* Streams that begin shortly before positions wrap, and a journal on them; the
 * log is forgotten. */
void model_start(enum journal_sync sync, enum publish_after after);

/* Stops the daemon with everything written: all files are closed.  Starts it
 * again on what it left. */
void model_restart(void);

/* The daemon has died: it is started again on what is in the files. false with
 * err and errno where it refuses. */
bool model_rise(char *err, size_t err_len);

/* For the end of a test; removes the files. */
int model_stop(void **state);

/* ---- what happens ---- */

/* Commits an update with text_len bytes of text.  false: there is no room. */
bool model_put(size_t text_len);

/* Commits cnt short updates, for which there is room. */
void model_put_many(unsigned cnt);

/* Ends the day; `skipped` days are left out before the next one.  false: there
 * is no room for the mark. */
bool model_end_day(int32_t skipped);

/*
 * Turns as the server does, ns later, until there is nothing more to do at this
 * moment.  That must come soon, and what is left must wait for a completion or
 * a time.
 */
void model_turn(int64_t ns);

/* ---- what the disk does ---- */

/* The operation of a kind that is in flight, NULL if there is none. */
const struct op *disk_op(enum op_kind kind);

/* Bytes of the write in flight; 0 if there is none. */
size_t disk_asked(void);

/* The operation completes. The journal has not had a turn since. */
void disk_complete(enum op_kind kind, int32_t result);

/* So many bytes of the write in flight get into the file; then it completes. */
void disk_write(size_t len, int32_t result);
void disk_write_all(void);

/* It does all that it is asked for, while time goes by, until everything is
 * synced and nothing more is asked. */
void disk_drain(void);

/* ---- to look at ---- */

/* Lines of an event among the first lines of the log. */
unsigned model_said(const char *event);

/* The path of a day's file, in a static buffer. */
const char *model_path(int32_t date);

/* The position in the stream after the first n records. */
uint64_t model_pos(uint64_t n);

/* Bytes of all records in the files. */
size_t model_bytes(void);

#endif
