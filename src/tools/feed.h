/*
 * `ringtick feed`: a load generator.  Called by main.c only.
 */
#ifndef RINGTICK_TOOLS_FEED_H
#define RINGTICK_TOOLS_FEED_H

/* argv[0] is "ringtick feed". Returns the exit status, see CLI_EXIT_*. */
int feed_main(int argc, char **argv);

#endif
