/*
 * Why the input of a connection stands still.  Each reason has a queue of its
 * own (daemon/wait.h): only equal reasons stand behind each other.
 */
#ifndef RINGTICK_CLIENT_WAIT_REASON_H
#define RINGTICK_CLIENT_WAIT_REASON_H

enum wait_reason {
	WAIT_NOTHING,
	WAIT_DAY,    /* an update: the mark of the last day has no room yet */
	WAIT_HOLD,   /* an update: a consumer with policy block holds feeds */
	WAIT_ROOM,   /* the main ring has no room for what the frame puts in */
	WAIT_FED,    /* a long update: filtered streams have not had one before
			it yet, for which a turn was too short */
	WAIT_LEVEL,  /* a reply's place in a filtered stream is not known before
			that stream has had all that is visible */
	WAIT_FILE,   /* between the end of a day and the next file numbers of
			records have no meaning, nor where the file has lost
			its name */
	WAIT_BUFFER, /* a long message needs a pool buffer ... */
	WAIT_REPLY,  /* ... or a long reply does */
	WAIT_UNPACK, /* a long compressed message: another one is inflated */
	WAIT_TURN,   /* it has had its share of this turn (turn_budget.h) */
	WAIT_DEAR,   /* the same, and what it asks for, or has asked for, is
			more than a share: one of these is served in a turn */
	WAIT_REASONS,
};

#endif
