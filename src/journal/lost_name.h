/*
 * Gives the journal's file its name back if it loses it while it is open.  A
 * deleted file can still be read, but would be lost with the process: it is
 * copied, under another name until the copy is whole.  A moved file is linked
 * to its name again.  A file, link or directory that has got the name meanwhile
 * is put aside and never overwritten.
 *
 * Every function may take long: they run as jobs (io/file_jobs.h), and log
 * nothing.  mend.c decides when.
 */
#ifndef RINGTICK_JOURNAL_LOST_NAME_H
#define RINGTICK_JOURNAL_LOST_NAME_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

enum lost_name {
	NAME_KEPT,	/* the open file has the name */
	NAME_MOVED,	/* it has another name, and not this one */
	NAME_DELETED, /* it has no name */
	NAME_UNKNOWN,
};

struct lost_name_look {
	enum lost_name name;
	bool is_linked; /* it has a name, this one or another */
	uint64_t size;
	uint64_t device, inode;
	int err;	/* NAME_UNKNOWN: why */
};

/* Looks whether path names the file open as fd. */
struct lost_name_look lost_name_look(const char *path, int fd);

/* How to treat another file that has the name. */
struct lost_name_aside {
	bool is_allowed;     /* it may be put aside; else -EEXIST */
	char path[PATH_MAX]; /* out: path.aside.N, where it is now; "" if no
				file was put aside */
};

/* Renames whatever has the name.  0, also if nothing has it by now, or
 * -errno. */
int lost_name_put_aside(const char *path, struct lost_name_aside *a);

/* NAME_MOVED: gives fd's file the name again, and syncs it if must_sync.  0
 * or -errno. */
int lost_name_link(const char *path, int fd, bool must_sync,
		   struct lost_name_aside *aside);

/* A copy that is being made, as path.rescue.N until it is whole. */
struct lost_name_copy {
	int fd; /* -1: not begun */
	uint64_t len; /* bytes that it has */
	_Atomic uint64_t steps; /* pieces of copies so far; may be read while
				   one is being made */
	char path[PATH_MAX];
	int old_fd; /* the file that the last copy replaced; -1: none */
};

/*
 * Begins the copy if need be, and continues it until it has len bytes of fd, or
 * all that fd has.  With must_sync in each call the copy is on the disk, too.
 * 0; or -errno, and then the copy is removed.
 */
int lost_name_copy(struct lost_name_copy *c, const char *path, int fd,
		   uint64_t len, bool must_sync);

/*
 * The same for all bytes that are left in fd; then gives the copy the name,
 * syncs that if must_sync, and makes fd refer to the copy, so that readers of
 * fd continue in it.  Nothing is written meanwhile, so the file that fd
 * referred to stays open: lost_name_release closes it.  0 or -errno.  After an
 * error the copy is kept for the next try if it has exactly the len bytes that
 * were written, and only could not get the name; else it is removed.
 */
int lost_name_copy_finish(struct lost_name_copy *c, const char *path, int fd,
			  uint64_t len, bool must_sync,
			  struct lost_name_aside *aside);

/* Closes the file that was replaced, if there is one.  The kernel then gives
 * its pages and blocks back, which takes some 0.3 s for 1 GB. */
void lost_name_release(struct lost_name_copy *c);

#endif
