/*
 * The start of a journal: finding, checking, mending and creating its files.
 * It may take its time: while updates flow, the next day's file is opened by a
 * job (io/file_jobs.h).
 */
#ifndef RINGTICK_JOURNAL_OPEN_H
#define RINGTICK_JOURNAL_OPEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "journal/history.h"

/* `<directory>/<name>YYYY.MM.DD`, absolute. false with err and errno if the
 * directory is not there. */
bool journal_path(const char *directory, const char *name, int32_t day,
		  char *path, size_t path_len, char *err, size_t err_len);

/*
 * Takes the one lock for all files of this name in this directory, whatever
 * their days: that of `<name>.lock`, which stays there empty.  A descriptor
 * that holds it until it is closed; -1 with err and errno if another has it.
 */
int journal_lock(const char *directory, const char *name, char *err,
		 size_t err_len);

/*
 * Whether that lock's file still has its name, once a second: 0.  If not, a new
 * one is made and locked behind the same descriptor: 1.  -errno if that cannot
 * be; -EWOULDBLOCK if another daemon has one.
 */
int journal_lock_again(const char *directory, const char *name, int fd);

/*
 * Each file is locked, too: whatever becomes of `<name>.lock`, two daemons
 * never write one file, and nobody repairs what a daemon has open. A past one
 * is only read.  false with err and errno if another has it.
 */
bool journal_lock_file(const char *path, int fd, bool is_past, char *err,
		       size_t err_len);

/* Names what daemons that brought a file of this name back have left: copies
 * that did not get the name, and what had it meanwhile. */
void journal_tell_left(const char *directory, const char *name);

/*
 * While set, it is called after each stretch of a file that was read for its
 * check: by the start alone, and not while updates flow.
 */
extern void (*journal_start_progress)(uint64_t done, uint64_t bytes);

enum journal_use {
	JOURNAL_WRITE, /* created if it is not there */
	JOURNAL_AGAIN, /* this process may have it open still: it is locked by
			  whoever closes that */
	JOURNAL_PAST,
};

/*
 * Opens and locks the journal at path, begins it with its header if it is new,
 * checks and indexes every record, and cuts a torn tail into `path.torn.N`. The
 * caller frees the file, or gives it to the history.  NULL with err and errno.
 */
struct history_file *journal_open_file(const char *path, enum journal_use use,
				       char *err, size_t err_len);

#endif
