/*
 * A file as memory, which may grow while it is read.
 *
 * Owns the descriptors and the map.  Invariant: bytes [0, len) are mapped and
 * were in the file when it was last looked at; pointers into them are good
 * until mapped_file_grow() or mapped_file_wait() has returned more than 0.
 * Called by log.c, log_repair.c.  Prints only what leaves no other way: that
 * the file was cut below us.
 */
#ifndef RINGTICK_TOOLS_MAPPED_FILE_H
#define RINGTICK_TOOLS_MAPPED_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mapped_file {
	const char *path;
	int fd;	      /* -1 when closed */
	int watch_fd; /* inotify; -1 until somebody waits */
	const uint8_t *bytes;
	uint64_t len;
	uint64_t room;	    /* that the map has, in bytes; 0: there is none */
	uint64_t ready_off; /* pages were taken out of the cache up to here */
	int own_watch;	    /* of watch_fd: of the file itself */
	bool has_days;	    /* the name has a date */
	bool is_folder_new; /* the files of later days are to be looked at */
	char next[PATH_MAX]; /* the next day's file, once it has records */
};

/* For an object to be closed. */
#define MAPPED_FILE_CLOSED ((struct mapped_file){ .fd = -1, .watch_fd = -1 })

/* 0, or -errno; -EINVAL if it is no regular file.  path must outlive m. */
int mapped_file_open(struct mapped_file *m, const char *path, bool is_writable);

/* Accepts one that is closed. */
void mapped_file_close(struct mapped_file *m);

/*
 * Looks how long the file is now.  1 if there is more, 0 if not, -ESTALE if it
 * is shorter than it was, else -errno.
 */
int mapped_file_grow(struct mapped_file *m);

/*
 * Waits until there is more.  1; 0 if nothing comes any more, since the next
 * day's file, m->next, has records; -EINTR once a signal has asked for the end
 * (cli_catch_signals); -ESTALE if the file is cut, -ENOENT if it is
 * deleted, else -errno.  Sees only what this machine writes.
 */
int mapped_file_wait(struct mapped_file *m);

/* Takes the pages from off on out of the cache in one go. */
void mapped_file_read_ahead(struct mapped_file *m, uint64_t off);

/* To be called on the way through the file: saves a fault for each page. */
static inline void
mapped_file_touch(struct mapped_file *m, uint64_t off)
{
	if (off >= m->ready_off)
		mapped_file_read_ahead(m, off);
}

#endif
