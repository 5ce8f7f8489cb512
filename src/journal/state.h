/*
 * How far the journal is: the part that the rest of the daemon may know.  The
 * journal keeps it up to date; tick/position.c answers .u.i and .u.L from it.
 *
 * Positions are of the main stream, and always ends of messages.
 */
#ifndef RINGTICK_JOURNAL_STATE_H
#define RINGTICK_JOURNAL_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "journal/epoch.h"

enum { JOURNAL_PATH_MAX = 4096 };

/*
 * The last time that records in the file were lost.  Places known from before
 * are void: records after the lost ones have numbers that are lower by `cnt`.
 */
struct journal_loss {
	uint64_t times;	 /* that this happened; 0: never */
	uint64_t marks;	 /* of the main stream before the file's records */
	uint64_t record; /* number of the first lost one in the file */
	uint64_t cnt;
};

struct journal_state {
	bool is_on;
	char path[JOURNAL_PATH_MAX]; /* of the file, absolute */
	int fd;
	int32_t day;		 /* of the file */
	uint64_t records;	 /* in the file, readable by others */
	uint64_t stream_records; /* the main stream's count at written_pos */
	uint64_t written_pos;	 /* all before it is in the file */
	uint64_t synced_pos;	 /* all before it is on disk, or is taken to
				    be, with journal.sync "none" */
	uint64_t synced_records; /* records in the file before synced_pos */
	bool is_nameless; /* the file has lost its name, and cannot be
			     replayed before it has the name again */
	bool is_stuck;		 /* it does not move: not to be waited for */
	bool is_file_stuck; /* the next file, or the name, does not come
			       soon: not to be waited for */
	uint64_t marks;		 /* of the main stream, passed by rolling */
	struct journal_loss loss;
	struct epochs epochs;
};

#endif
