/*
 * The configuration, read again while the daemon runs: by SIGHUP, or by
 * .ringtick.reload[] of an administrator.  And ringtick-login, which is started
 * anew with each.
 *
 * A thread of its own reads and checks the files, so that neither the
 * application's thread nor a job of the journal waits for them.  All that can
 * change takes effect, or nothing does; what needs a restart is named, and
 * keeps its value.  The open connections get their new rights some at a time;
 * one that has lost the right to its subscription is disconnected.
 */
#ifndef RINGTICK_DAEMON_RELOAD_H
#define RINGTICK_DAEMON_RELOAD_H

#include "daemon/server.h"

/* `path` and *settings, which are changed, must outlive it.  0 or -errno. */
int reload_open(struct server *s, struct settings *settings, const char *path);

/* From now on the engine reports what the thread has done. */
void reload_arm(struct server *s);

/* Starts ringtick-login if passwords are wanted, and waits for it; ends the
 * process if it cannot.  After reload_arm. */
void reload_start_login(struct server *s);

/* A completion of kind ENGINE_LOGIN. */
void reload_login_completed(struct server *s, const struct completion *done);

/* A completion of kind ENGINE_RELOAD. */
void reload_completed(struct server *s);

/* Begins to read the files; once more if they are being read already. */
void reload_begin(struct server *s);

/* For tick.reload; context is the server.  NULL if the client's reload has
 * succeeded, request_must_wait while it is under way, or what is wrong. */
const char *reload_ask(void *context, const struct tick_client *client);

/* Gives new rights to some connections, after a reload.  Returns whether there
 * are more. */
bool reload_run(struct server *s);

/* Whether `c` need not wait for the reload that it asked for. */
bool reload_is_over(const struct server *s, const struct connection *c);

/* False if the thread hangs: its memory must not be freed then. */
bool reload_close(struct server *s);

#endif
