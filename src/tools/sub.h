/*
 * `ringtick sub`: a subscriber that prints, counts or checks updates, or is
 * slow on purpose. Called by main.c only.
 */
#ifndef RINGTICK_TOOLS_SUB_H
#define RINGTICK_TOOLS_SUB_H

/* argv[0] is "ringtick sub". Returns the exit status, see CLI_EXIT_*. */
int sub_main(int argc, char **argv);

#endif
