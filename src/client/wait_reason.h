/*
 * The reasons why the input of a connection waits.  Each reason has a queue of
 * its own (daemon/wait.h): a connection waits only after others with the same
 * reason.
 */
#ifndef RINGTICK_CLIENT_WAIT_REASON_H
#define RINGTICK_CLIENT_WAIT_REASON_H

enum wait_reason {
	WAIT_NOTHING,
	WAIT_DAY,      /* an update: the mark of the last day has no room yet */
	WAIT_HOLD,     /* an update: a consumer with policy block holds feeds */
	WAIT_ROOM,     /* the main ring has no room for the frame's messages */
	WAIT_FED,      /* a long update: filtered streams have not been fed an
			  earlier one, for which a turn was too short */
	WAIT_LEVEL,    /* a reply's place in a filtered stream is unknown until
			  the stream has been fed all that is visible */
	WAIT_FILE,     /* record numbers have no meaning between the end of a
			  day and the next file, or while the file has lost its
			  name */
	WAIT_BUFFER,   /* a long message needs a pool buffer ... */
	WAIT_REPLY,    /* ... or a long reply does */
	WAIT_INFLATE,  /* a long compressed message: another one is inflated */
	WAIT_RELOAD,   /* the configuration is read again */
	WAIT_TURN,     /* the connection has used up its share of the turn
			  (turn_budget.h) */
	WAIT_DEAR,     /* the same, and its requests cost more than a share: one
			  of these is served per turn */
	WAIT_REASONS,
};

#endif
