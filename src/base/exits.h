/*
 * How the daemon ends, numbered as in sysexits(3): systemd and scripts decide
 * by it whether another start can help.  A failed CHECK has none of these: it
 * ends by SIGABRT, for the sake of the core dump.
 */
#ifndef RINGTICK_BASE_EXITS_H
#define RINGTICK_BASE_EXITS_H

enum exit_status {
	EXIT_OTHER = 1, /* may mend itself, such as a port in use */
	EXIT_BUG = 70,	/* the self-test failed */
	EXIT_DISK = 74, /* the disk lied: somebody must look at it first */
	EXIT_ROOM = 75, /* memory, descriptors or disk space are missing */
	EXIT_MEND = 78, /* the configuration, the command line, or what the
			   machine permits is wrong */
};

/*
 * For what failed with an errno at the start: lack of something is EXIT_ROOM, a
 * value, path or permission that cannot work EXIT_MEND, EBADMSG (a journal that
 * is not as it was written) EXIT_DISK.
 */
enum exit_status exit_status_of(int err);

#endif
