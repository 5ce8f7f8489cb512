/*
 * Opens a journal: names, locks, checks, mends and creates its files.  May take
 * long: while updates flow, the next day's file is opened by a job
 * (io/file_jobs.h).
 */
#ifndef RINGTICK_JOURNAL_OPEN_H
#define RINGTICK_JOURNAL_OPEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "journal/file.h"
#include "journal/history.h"

/* Writes the absolute path `<directory>/<name>YYYY.MM.DD`.  false with err and
 * errno if the directory does not exist, or the path is too long. */
bool journal_path(const char *directory, const char *name, int32_t day,
		  char *path, size_t path_len, char *err, size_t err_len);

/*
 * Takes the one lock for all files of this name in this directory, whatever
 * their days: that of `<name>.lock`, an empty file that is never removed.
 * Returns a descriptor that holds the lock until the caller closes it; -1 with
 * err and errno if another process holds it, or it cannot be taken.
 */
int journal_lock(const char *directory, const char *name, char *err,
		 size_t err_len);

/*
 * Called once a second.  0 if the file of that lock still has its name.  If
 * not, makes and locks a new one, to which fd then refers: 1.  -errno if that
 * fails; -EWOULDBLOCK if another daemon holds one.
 */
int journal_lock_again(const char *directory, const char *name, int fd);

/*
 * Locks a journal's file, too: whatever becomes of `<name>.lock`, two daemons
 * never write one file, and no tool repairs a file that a daemon has open.  A
 * past file is not written; its lock is shared.  false with err and errno if
 * another process holds the lock; true if the file system has no locks.
 */
bool journal_lock_file(const char *path, int fd, bool is_past, char *err,
		       size_t err_len);

/* Logs the files that daemons left when they brought a file of this name back:
 * copies that did not get the name, and files that had it meanwhile. */
void journal_tell_left(const char *directory, const char *name);

/*
 * Called, unless NULL, for each stretch of a file that is read for its check,
 * or written anew (unsynced.c), with the bytes done and the bytes of the file.
 * Only set during the start, not while updates flow.
 */
extern void (*journal_start_progress)(uint64_t done, uint64_t bytes);

enum journal_use {
	JOURNAL_WRITE, /* created if it does not exist */
	JOURNAL_AGAIN, /* the same, but this process may still have it open:
			  it is not locked here (wrong_day.c) */
	JOURNAL_PAST,  /* must exist; its lock is shared */
};

/* What the check of an existing file has found. */
struct journal_found {
	bool is_new; /* the file did not exist */
	uint64_t bytes;
	int64_t took_ns;
	struct journal_check check;
};

/*
 * Opens and locks the journal at path, writes its header if it is new, checks
 * and indexes every record, and moves a torn tail into `path.torn.N`.  Nothing
 * but the copy of that tail is brought to the disk.  The caller frees the file,
 * or gives it to the history.  NULL with err and errno.
 */
struct history_file *journal_open_file(const char *path, enum journal_use use,
				       struct journal_found *out, char *err,
				       size_t err_len);

/* Logs that an existing file was checked, and what is unknown in it: to be
 * called once when it is taken, since an opening may be tried again and again.
 */
void journal_tell_found(const char *path, const struct journal_found *found);

#endif
