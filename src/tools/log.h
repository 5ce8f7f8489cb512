/*
 * `ringtick log`: reads, checks, repairs, filters and replays a journal, of
 * ringtickd or of q.  Called by main.c only.
 */
#ifndef RINGTICK_TOOLS_LOG_H
#define RINGTICK_TOOLS_LOG_H

/* argv[0] is "ringtick log". Returns the exit status, see CLI_EXIT_*. */
int log_main(int argc, char **argv);

#endif
