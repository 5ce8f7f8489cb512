/*
 * Logins: asks ringtick-login whether a user may come in, and whether one who
 * is connected may stay.
 *
 *   handshake ──► waiting, oldest first ──► asked, LOGIN_OUTSTANDING_MAX at
 *                      └──► held ──────────►  most ──► an answer: open, or
 *                                             refused
 *
 * Fair: of one address LOGIN_SHARE are asked at a time, and only one after a
 * failure; who cannot be asked is held, in nobody's way, and so are open
 * connections that are asked about after a reload.  A user who has failed
 * LOGIN_FAILURES_FREE times from an address is not asked about, for a second,
 * and twice as long each time up to LOGIN_PENALTY_MAX seconds.  Nor is anybody
 * from an address that has failed LOGIN_DEBT_MAX times, whatever the names
 * were: then one more may fail each LOGIN_DEBT_SECONDS.
 *
 * Until there is an answer nothing is received from a connection, and its
 * password stays in its buffer; with the answer it is wiped.
 */
#ifndef RINGTICK_DAEMON_LOGIN_H
#define RINGTICK_DAEMON_LOGIN_H

#include <stdbool.h>

#include "daemon/server.h"

void login_init(struct login *l);

/* From now on the program behind fd is asked; -1: nobody needs a password.
 * Those who were asked elsewhere are asked again. */
void login_use(struct server *s, int fd);

/* Whether a password is needed. */
static inline bool
login_is_on(const struct login *l)
{
	return l->is_on;
}

/* Whether the user, or the address, has failed too often: not even asked. */
bool login_is_barred(const struct server *s, const struct connection *c);

/* Asks about a connection: one in state CHECKING, which waits for that; or an
 * open one, whose user may have gone. */
void login_ask(struct server *s, struct connection *c);

/* The connection has ended: an answer does not reach it any more. */
void login_forget(struct server *s, struct connection *c);

enum login_verdict {
	VERDICT_NONE, /* nobody has been answered */
	VERDICT_YES,
	VERDICT_NO,	 /* a wrong password, or no such user */
	VERDICT_UNKNOWN, /* it cannot be found out now */
	VERDICT_GONE,	 /* ringtick-login has ended; *out is NULL */
};

/* A completion of kind ENGINE_LOGIN.  Who was answered is in *out. */
enum login_verdict login_completed(struct server *s, struct ticket ticket,
				   int32_t result, struct connection **out);

/* Asks for those who wait.  To be called after answers. */
void login_run(struct server *s);

/* The same: a pause may be over.  And asks again about open connections whose
 * account could not be found out: such a user may have been removed. */
void login_run_each_second(struct server *s);

/* A ringtick-login has ended: the kernel forgets it. */
void login_reap(void);

/* At a stop: nobody is asked any more, reads end, and login_use closes what it
 * is given. */
void login_stop(struct server *s);
bool login_is_reading(const struct login *l);

/* Closes the sockets; no read may be in flight. */
void login_close(struct server *s);

#endif
