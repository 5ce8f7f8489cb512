/*
 * The journal that `ringtick log` reads, which may grow meanwhile.
 *
 * Owns the descriptors and the window.  Called by log.c and log_repair.c;
 * prints nothing.
 */
#ifndef RINGTICK_TOOLS_LOG_FILE_H
#define RINGTICK_TOOLS_LOG_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "journal/window.h"

struct log_file {
	const char *path;
	int fd;	      /* -1 when closed */
	int watch_fd; /* inotify; -1 before the first wait */
	struct journal_window window; /* its len: at the last look */
	int own_watch;	    /* the watch of watch_fd on the file itself */
	bool has_days;	    /* the name has a date */
	bool is_folder_new; /* the files of later days must be looked at */
	char next[PATH_MAX]; /* the next day's file, once it has records */
};

/* The value of a closed object. */
#define LOG_FILE_CLOSED ((struct log_file){ .fd = -1, .watch_fd = -1 })

/* 0, or -errno; -EINVAL if it is not a regular file.  path must outlive m. */
int log_file_open(struct log_file *m, const char *path, bool is_writable);

/* Accepts a closed one. */
void log_file_close(struct log_file *m);

/*
 * Looks whether the file has grown.  1 if it has, 0 if not, -ESTALE if it is
 * shorter than before, -ENOENT if it is as long but deleted, or -errno.
 */
int log_file_grow(struct log_file *m);

/*
 * Waits until the file has grown.  1; or 0 if it will not grow any more,
 * because the next day's file, m->next, has records; -EINTR once a signal has
 * asked for the end (cli_catch_signals); -ESTALE if the file is cut, -ENOENT if
 * it is deleted, or -errno.  Notices only writes by this machine.
 */
int log_file_wait(struct log_file *m);

#endif
