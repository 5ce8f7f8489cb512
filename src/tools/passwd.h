/*
 * `ringtick passwd`: makes a line of the users file.
 */
#ifndef RINGTICK_TOOLS_PASSWD_H
#define RINGTICK_TOOLS_PASSWD_H

/* Returns the exit status. */
int passwd_main(int argc, char **argv);

#endif
