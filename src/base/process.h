/*
 * What a process puts right before it does anything else, whoever started it:
 * the daemon and the tools.  Called from main alone; prints nothing.
 */
#ifndef RINGTICK_BASE_PROCESS_H
#define RINGTICK_BASE_PROCESS_H

#include <signal.h>

/*
 * Fills descriptors 0 to 2 where the caller left them closed: else the next
 * file that is opened gets their number, and what is meant for the log is
 * written into it.  They are opened for the wrong direction, so that output
 * that is lost is an error and no success.
 */
void process_fill_descriptors(void);

/*
 * A write behind a limit of the process (ulimit -f) is an error, EFBIG, and not
 * the end without a word.
 */
void process_ignore_file_limit(void);

/*
 * For the daemon.  SIGHUP and SIGUSR1 wait until somebody reads them: before
 * that they would end it.  SIGTERM and SIGINT end it as they always do, until
 * there is something to close.
 */
void process_hold_signals(void);

/* From now on all that process_signals() names wait. */
void process_hold_stops(void);

/* SIGTERM, SIGINT, SIGUSR1, SIGHUP: for signalfd. */
sigset_t process_signals(void);

#endif
