/*
 * Descriptors and signals, put right by the daemon and the tools before they do
 * anything else, whoever started them.  Called from main alone; prints nothing.
 */
#ifndef RINGTICK_BASE_PROCESS_H
#define RINGTICK_BASE_PROCESS_H

#include <signal.h>

/*
 * Opens descriptors 0 to 2 where the caller left them closed: otherwise the
 * next file opened would get their number, and the log would be written into
 * it.  They are opened for the wrong direction, so that lost output is an error
 * and not a success.
 */
void process_fill_descriptors(void);

/*
 * Makes a write past the process's file size limit (ulimit -f) fail with EFBIG
 * instead of ending the process without a word.
 */
void process_ignore_file_limit(void);

/*
 * For the daemon.  Blocks SIGHUP and SIGUSR1 until the signalfd reads them:
 * their default would end the process.  SIGTERM and SIGINT keep their default,
 * which ends the process, until process_hold_stops: before that there is
 * nothing to close.  Ignores SIGPIPE.
 */
void process_hold_signals(void);

/* Blocks all signals of process_signals() from now on. */
void process_hold_stops(void);

/* SIGTERM, SIGINT, SIGUSR1, SIGHUP and SIGCHLD: the set for signalfd. */
sigset_t process_signals(void);

#endif
