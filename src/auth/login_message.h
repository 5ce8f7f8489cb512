/*
 * What the daemon and ringtick-login say to each other, over a SOCK_SEQPACKET
 * socket pair: one packet is one struct, of one size each way.
 *
 *	daemon                                  ringtick-login
 *	                                        READY or FAILED, once
 *	CHECK, ACCOUNT: any number         ►
 *	                                   ◄    YES, NO or UNKNOWN for each
 *
 * READY or FAILED is the first answer; after FAILED the program ends.  Nothing
 * is to be sent before READY, which takes as long as a hash of each kind in
 * the file, 20 s at most for each.  If the socket closes without FAILED, the
 * program has died, and another can be started.
 *
 * Several workers answer, each one request at a time: answers come in any
 * order, and only the id says which request an answer belongs to.  The daemon
 * chooses ids, does not use one twice, and ignores an answer whose id it does
 * not await: a worker that dies when it has just answered is answered for
 * again.
 *
 * At most LOGIN_OUTSTANDING_MAX requests may be without an answer; others wait
 * in a queue of the daemon's, which has a limit.  So many fit into the socket,
 * each way, even if nobody reads (93 requests in the kernel's usual 208 KiB).
 * A send does not have to wait, but poll calls the socket writable only while
 * three quarters of it are free.
 *
 * A check may take seconds (PAM asks servers), at most a minute; after that, or
 * if its worker dies, the answer is UNKNOWN.  The daemon has a limit of its own
 * for how long it waits.
 *
 * When the users file changes, another ringtick-login is started with the new
 * one: it says READY or FAILED, and only after READY the daemon turns to it,
 * asks with ACCOUNT for each user who is connected, and closes the old one's
 * socket.  That ends the old one, with all that it has not answered.
 *
 * The program is started by exec, from a thread that lives as long as the
 * daemon (it is killed when that thread ends), with the socket as descriptor
 * LOGIN_FD, and closes all others but 0 to 2.
 *
 * A request holds a password: who has sent or read it wipes it
 * (explicit_bzero).
 */
#ifndef RINGTICK_AUTH_LOGIN_MESSAGE_H
#define RINGTICK_AUTH_LOGIN_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/user_name.h"
#include "config/settings.h"

enum {
	LOGIN_FD = 3,
	LOGIN_OUTSTANDING_MAX = 64,
	LOGIN_PEER_BYTES_MAX = 63,
	LOGIN_TEXT_BYTES_MAX = 511,
};

enum login_request_kind {
	LOGIN_CHECK = 1,   /* may this user come in with this password? */
	LOGIN_ACCOUNT = 2, /* is there still such a user, who may come? */
};

/* Texts end with a NUL. */
struct login_request {
	uint64_t id;
	uint32_t kind;
	uint32_t is_too_long; /* the password, which is not here; the answer is
				 NO */
	char user[USER_BYTES_MAX + 1];
	char password[PASSWORD_BYTES_MAX + 1]; /* of CHECK, else empty */
	char peer[LOGIN_PEER_BYTES_MAX + 1]; /* address and port, or "unix":
						for the log, and PAM's rules */
} __attribute__((packed));

enum login_answer_kind {
	LOGIN_READY = 1,
	LOGIN_FAILED = 2,  /* no start: text says why */
	LOGIN_YES = 3,
	LOGIN_NO = 4,
	LOGIN_UNKNOWN = 5, /* it could not be found out: let nobody in, but it
			      is not the peer's fault */
};

struct login_answer {
	uint64_t id; /* of the request; READY, FAILED: 0 */
	uint32_t kind;
	uint32_t users_cnt; /* of READY; 0 with PAM, which does not know */
	uint32_t memory_kb; /* of READY: all that it may take; the same */
	char text[LOGIN_TEXT_BYTES_MAX + 1]; /* of FAILED: one line; else
						empty */
} __attribute__((packed));

/* Fills a request with what a client sent: its user and its password, which
 * hold no NUL; the password may be missing (NULL, 0).  A password of more than
 * PASSWORD_BYTES_MAX bytes is left out: nobody has such a one.  A longer peer
 * is cut. */
void login_write_check(struct login_request *out, uint64_t id,
		       const char *user, const char *password,
		       size_t password_len, const char *peer);
void login_write_account(struct login_request *out, uint64_t id,
			 const char *user);

/* Fills an answer; the text of FAILED is made one line, and cut. */
void login_write_answer(struct login_answer *out, uint64_t id,
			enum login_answer_kind kind);
void login_write_ready(struct login_answer *out, unsigned users_cnt,
		       unsigned memory_kb);
void login_write_failed(struct login_answer *out, const char *text);

/* Whether a packet of `received` bytes is such a message, whole, with values
 * that are allowed.  To be asked before anything of it is looked at. */
bool login_request_is_good(const struct login_request *r, size_t received);
bool login_answer_is_good(const struct login_answer *a, size_t received);

/* The address of a peer without its port: "10.0.0.5" of "10.0.0.5:5010" and of
 * "[::ffff:10.0.0.5]:5010", "::1" of "[::1]:5010".  Anything else stays.
 * Returns buf. */
const char *login_peer_address(char buf[LOGIN_PEER_BYTES_MAX + 1],
			       const char *peer);

#endif
