/*
 * The journal's file lost its name while it is open: it gets it back.  Deleted,
 * it takes all that is written to it along, but can still be read: it is
 * copied, under a name of its own until the copy is whole.  Moved, it is linked
 * to its name again.  What has got the name meanwhile, be it a file, a link or
 * a directory, is put aside and never overwritten.
 *
 * Every function may take its time: they run as jobs (io/file_jobs.h), and log
 * nothing.  mend.c decides when.
 */
#ifndef RINGTICK_JOURNAL_RESCUE_H
#define RINGTICK_JOURNAL_RESCUE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

enum rescue_name {
	RESCUE_NAMED,	/* the name is the open file's */
	RESCUE_MOVED,	/* it has another name, and not this one */
	RESCUE_DELETED, /* it has none */
	RESCUE_UNKNOWN,
};

struct rescue_look {
	enum rescue_name name;
	bool is_linked; /* it has a name, this one or another */
	uint64_t size;
	uint64_t device, inode;
	int err;	/* RESCUE_UNKNOWN: why */
};

/* Whether path names the file open as fd. */
struct rescue_look rescue_look(const char *path, int fd);

/* What else has the name. */
struct rescue_aside {
	bool is_allowed;     /* else it stays there: -EEXIST */
	char path[PATH_MAX]; /* path.aside.N, where it is now; "" if nothing
				was put aside */
};

/* RESCUE_MOVED: gives it its name again, on the disk if must_sync. 0 or
 * -errno. */
int rescue_link(const char *path, int fd, bool must_sync,
		struct rescue_aside *aside);

/* A copy that is being made.  path.rescue.N, until it is whole. */
struct rescue_copy {
	int fd; /* -1: not begun */
	uint64_t len;
	char path[PATH_MAX];
};

/* Copies on until the copy has len bytes of fd, or all that it has; begins it
 * if need be.  0 or -errno, and then nothing is left of it. */
int rescue_copy(struct rescue_copy *c, const char *path, int fd, uint64_t len);

/*
 * The same for all that is left, whoever wrote it; then the copy gets the
 * name, synced if must_sync, and fd becomes the copy: who reads by this number
 * goes on in it.
 * 0 or -errno.  The copy stays, to go on with, if it has the len bytes that
 * were written and only cannot get the name; else nothing is left of it.
 */
int rescue_copy_finish(struct rescue_copy *c, const char *path, int fd,
		       uint64_t len, bool must_sync,
		       struct rescue_aside *aside);

/* Ends a copy that nobody wants any more. */
void rescue_copy_drop(struct rescue_copy *c);

#endif
