#include "config.h"

#include "login/worker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "auth/login_message.h"
#include "base/clock.h"
#include "base/exits.h"
#include "base/log.h"
#include "base/util.h"

struct worker {
	const struct door *door;
	struct worker_note *note;
	struct crypt_hash_memory memory;
	struct log_limit refused, unknown, strange; /* a line a second each */
};

enum { REASON_BYTES = 128 };

static enum login_answer_kind
check_in_file(struct worker *w, const struct login_request *r, char *reason)
{
	static const struct {
		enum login_answer_kind kind;
		const char *reason;
	} answers[] = {
		[USERS_RIGHT] = { LOGIN_YES, "" },
		[USERS_WRONG] = { LOGIN_NO, "wrong password" },
		[USERS_UNKNOWN] = { LOGIN_NO, "no such user" },
		[USERS_FAILED] = { LOGIN_UNKNOWN, "" },
	};
	const struct users *u = &w->door->users;
	enum users_verdict verdict;

	if (r->kind == LOGIN_ACCOUNT)
		verdict = users_find(u, r->user) != NULL ? USERS_RIGHT
							 : USERS_UNKNOWN;
	else
		/* A password that is too long is empty here, and so wrong. */
		verdict = users_check(u, &w->memory, r->user, r->password);
	(void)snprintf(reason, REASON_BYTES, "%s",
		       verdict == USERS_FAILED ? strerror(errno)
		       : r->is_too_long	       ? "the password is too long"
					       : answers[verdict].reason);
	return answers[verdict].kind;
}

static void
log_answer(struct worker *w, const struct login_request *r,
	   enum login_answer_kind kind, const char *reason)
{
	char user[USER_BYTES_MAX + 1], peer[LOGIN_PEER_BYTES_MAX + 1];
	char why[REASON_BYTES];
	bool is_unknown = kind == LOGIN_UNKNOWN;
	uint64_t held;

	/* Who was connected and must go is the daemon's to tell. */
	if (kind == LOGIN_YES || (r->kind == LOGIN_ACCOUNT && !is_unknown))
		return;
	if (!log_may(is_unknown ? &w->unknown : &w->refused,
		     clock_monotonic_ns(), &held))
		return;
	log_line(is_unknown ? LOG_ERROR : LOG_NOTE,
		 is_unknown ? "login_unknown" : "login_refused",
		 "user=%s peer=%s reason=\"%s\" held=%llu",
		 log_value(user, sizeof(user), r->user, strlen(r->user)),
		 log_value(peer, sizeof(peer), r->peer, strlen(r->peer)),
		 log_text(why, sizeof(why), reason, strlen(reason)),
		 (unsigned long long)held);
}

static void
answer(struct worker *w, struct login_request *r)
{
	char reason[REASON_BYTES] = "";
	struct login_answer a;
	enum login_answer_kind kind;

	w->note->id = r->id;
	atomic_store(&w->note->is_busy, true);
	(void)alarm(WORKER_SECONDS_MAX);
	kind = w->door->has_pam ? pam_door_check(&w->door->pam, r, reason,
						 sizeof(reason))
				: check_in_file(w, r, reason);
	(void)alarm(0);
	/* Who has the answer knows that it is nowhere here. */
	explicit_bzero(r->password, sizeof(r->password));
	login_write_answer(&a, r->id, kind);
	/* If the daemon has gone, the next recv says so. */
	while (send(LOGIN_FD, &a, sizeof(a), MSG_NOSIGNAL) < 0 &&
	       errno == EINTR)
		;
	atomic_store(&w->note->is_busy, false);
	log_answer(w, r, kind, reason);
}

static void
log_strange(struct worker *w, size_t len)
{
	uint64_t held;

	if (log_may(&w->strange, clock_monotonic_ns(), &held))
		log_line(LOG_ERROR, "login_strange_request",
			 "bytes=%zu held=%llu", len,
			 (unsigned long long)held);
}

void
worker_run(const struct door *door, struct worker_note *note)
{
	struct worker w = { .door = door, .note = note };
	struct login_request request;

	for (;;) {
		/* MSG_TRUNC: the length that was sent, also if it is more */
		ssize_t n = recv(LOGIN_FD, &request, sizeof(request),
				 MSG_TRUNC);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(n == 0 ? 0 : EXIT_OTHER);
		if (login_request_is_good(&request, (size_t)n))
			answer(&w, &request);
		else
			log_strange(&w, (size_t)n);
		explicit_bzero(&request, sizeof(request));
	}
}
