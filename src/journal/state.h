/*
 * What the rest of the daemon may know of the journal: how far it is.  The
 * journal keeps it true; tick/position.c answers .u.i and .u.L from it.
 *
 * Positions are of the main stream and always ends of messages.
 */
#ifndef RINGTICK_JOURNAL_STATE_H
#define RINGTICK_JOURNAL_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "journal/epoch.h"

enum { JOURNAL_PATH_MAX = 4096 };

struct journal_state {
	bool is_on;
	char path[JOURNAL_PATH_MAX]; /* of the file, absolute */
	int fd;
	int32_t day;		 /* whose file it is */
	uint64_t records;	 /* in the file, readable by others */
	uint64_t stream_records; /* the main stream's count at written_pos */
	uint64_t written_pos;	 /* all before it is in the file */
	uint64_t synced_pos;	 /* all before it is on disk (as far as
				    journal.sync wants to know) */
	uint64_t synced_records; /* of `records`, those before synced_pos */
	bool is_nameless; /* the file has lost its name, and nobody can
			     replay it before it has it again */
	bool is_stuck;		 /* does not move: nobody is to wait for it */
	uint64_t marks;		 /* of the main stream, passed by rolling */
	uint64_t losses;	 /* times that records of it were lost: what
				    was known of places in it is not true any
				    more */
	struct epochs epochs;
};

#endif
