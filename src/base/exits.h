/*
 * The daemon's exit statuses, numbered as in sysexits(3): from them systemd and
 * scripts decide whether another start can help.  A failed CHECK has none of
 * these: it ends the process by SIGABRT, for the core dump.
 */
#ifndef RINGTICK_BASE_EXITS_H
#define RINGTICK_BASE_EXITS_H

enum exit_status {
	EXIT_OTHER = 1, /* may pass by itself, such as a port in use */
	EXIT_BUG = 70,	/* the self-test failed */
	EXIT_DISK = 74, /* the disk lied: somebody must look at it first */
	EXIT_ROOM = 75, /* memory, descriptors or disk space are missing */
	EXIT_MEND = 78, /* the configuration, the command line or the machine's
			   permissions must be changed */
};

/*
 * The exit status for an errno that made the start fail: EXIT_ROOM if a
 * resource is lacking, EXIT_MEND for a value, path or permission that cannot
 * work, EXIT_DISK for EIO and for EBADMSG (a journal that is not as it was
 * written).
 */
enum exit_status exit_status_of(int err);

#endif
