/*
 * The journal's file lost its name while it is open: it gets it back.  Deleted,
 * it takes all that is written to it along, but can still be read: its bytes
 * are copied to a new file of the name.  Moved, it is linked to its name again.
 */
#ifndef RINGTICK_JOURNAL_RESCUE_H
#define RINGTICK_JOURNAL_RESCUE_H

#include <stdbool.h>
#include <stdint.h>

enum rescue_result {
	RESCUE_NOT_NEEDED, /* the name is the open file's */
	RESCUE_COPIED,	   /* it was deleted: fd is of the copy now, locked */
	RESCUE_LINKED,	   /* it was moved: it has both names now */
	RESCUE_FAILED,	   /* errno says why; another file may have the name */
};

/*
 * Looks whether path still names the file open as fd, and mends it if not.
 * len bytes of it are copied (and synced, where must_sync): what was promised
 * of the old file must be true of the copy.
 */
enum rescue_result journal_rescue(const char *path, int fd, uint64_t len,
				  bool must_sync);

/* Whether an open file has no name at all: closing it would lose it. */
bool journal_is_deleted(int fd);

#endif
