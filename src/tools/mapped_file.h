/*
 * A file mapped into memory, which may grow while it is read.
 *
 * Owns the descriptors and the map.  Invariant: bytes [0, len) are mapped and
 * were in the file at the last look; pointers into them are valid until
 * mapped_file_grow() or mapped_file_wait() has returned more than 0.  Called by
 * log.c and log_repair.c.  Prints only that the file was cut during a read:
 * SIGBUS leaves no other way.
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
	int watch_fd; /* inotify; -1 before the first wait */
	const uint8_t *bytes;
	uint64_t len;
	uint64_t room;	    /* bytes of the map, at least len; 0: there is no
			       map */
	uint64_t ready_off; /* pages before this offset are mapped already */
	int own_watch;	    /* the watch of watch_fd on the file itself */
	bool has_days;	    /* the name has a date */
	bool is_folder_new; /* the files of later days must be looked at */
	char next[PATH_MAX]; /* the next day's file, once it has records */
};

/* The value of a closed object. */
#define MAPPED_FILE_CLOSED ((struct mapped_file){ .fd = -1, .watch_fd = -1 })

/* Opens and maps a file.  0, or -errno; -EINVAL if it is not a regular file.
 * path must outlive m.  Installs a handler of SIGBUS that ends the process. */
int mapped_file_open(struct mapped_file *m, const char *path, bool is_writable);

/* Accepts a closed one. */
void mapped_file_close(struct mapped_file *m);

/*
 * Looks whether the file has grown.  1 if it has, 0 if not, -ESTALE if it is
 * shorter than before, -ENOENT if it is as long but deleted, or -errno.
 */
int mapped_file_grow(struct mapped_file *m);

/*
 * Waits until the file has grown.  1; or 0 if it will not grow any more,
 * because the next day's file, m->next, has records; -EINTR once a signal has
 * asked for the end (cli_catch_signals); -ESTALE if the file is cut, -ENOENT if
 * it is deleted, or -errno.  Notices only writes by this machine.
 */
int mapped_file_wait(struct mapped_file *m);

/* Maps many pages from `off` on at once. */
void mapped_file_read_ahead(struct mapped_file *m, uint64_t off);

/* Must be called on the way through the file: saves a page fault for each
 * page. */
static inline void
mapped_file_touch(struct mapped_file *m, uint64_t off)
{
	if (off >= m->ready_off)
		mapped_file_read_ahead(m, off);
}

#endif
