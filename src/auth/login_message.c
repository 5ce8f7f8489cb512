#include "config.h"

#include "auth/login_message.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"

static_assert(sizeof(struct login_request) == 16 + 128 + 512 + 64,
	      "both programs mean the same bytes");
static_assert(sizeof(struct login_answer) == 20 + 512,
	      "both programs mean the same bytes");

static void
write_user(struct login_request *out, uint64_t id,
	   enum login_request_kind kind, const char *user)
{
	memset(out, 0, sizeof(*out));
	out->id = id;
	out->kind = kind;
	CHECK(strlen(user) < sizeof(out->user));
	memcpy(out->user, user, strlen(user));
}

void
login_write_check(struct login_request *out, uint64_t id, const char *user,
		  const char *password, size_t password_len, const char *peer)
{
	write_user(out, id, LOGIN_CHECK, user);
	out->is_too_long = password_len > PASSWORD_BYTES_MAX;
	if (!out->is_too_long && password_len > 0)
		memcpy(out->password, password, password_len);
	(void)snprintf(out->peer, sizeof(out->peer), "%s", peer);
}

void
login_write_account(struct login_request *out, uint64_t id, const char *user)
{
	write_user(out, id, LOGIN_ACCOUNT, user);
}

void
login_write_answer(struct login_answer *out, uint64_t id,
		   enum login_answer_kind kind)
{
	memset(out, 0, sizeof(*out));
	out->id = id;
	out->kind = kind;
}

void
login_write_ready(struct login_answer *out, unsigned users_cnt,
		  unsigned memory_kb)
{
	login_write_answer(out, 0, LOGIN_READY);
	out->users_cnt = users_cnt;
	out->memory_kb = memory_kb;
}

void
login_write_failed(struct login_answer *out, const char *text)
{
	login_write_answer(out, 0, LOGIN_FAILED);
	(void)snprintf(out->text, sizeof(out->text), "%s",
		       text[0] == '\0' ? "no reason" : text);
	for (char *c = out->text; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = '?';
}

static bool
is_terminated(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

static bool
is_line(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 127)
			return false;
	return true;
}

bool
login_request_is_good(const struct login_request *r, size_t received)
{
	if (received != sizeof(*r) ||
	    !is_terminated(r->user, sizeof(r->user)) ||
	    !is_terminated(r->password, sizeof(r->password)) ||
	    !is_terminated(r->peer, sizeof(r->peer)))
		return false;
	if (r->kind == LOGIN_ACCOUNT)
		return r->is_too_long == 0 && r->password[0] == '\0';
	return r->kind == LOGIN_CHECK &&
	       (r->is_too_long == 0 ||
		(r->is_too_long == 1 && r->password[0] == '\0'));
}

bool
login_answer_is_good(const struct login_answer *a, size_t received)
{
	if (received != sizeof(*a) ||
	    !is_terminated(a->text, sizeof(a->text)) ||
	    a->kind < LOGIN_READY || a->kind > LOGIN_UNKNOWN)
		return false;
	if (a->kind <= LOGIN_FAILED && a->id != 0)
		return false;
	if (a->kind != LOGIN_READY && (a->users_cnt | a->memory_kb) != 0)
		return false;
	return (a->kind == LOGIN_FAILED) == (a->text[0] != '\0') &&
	       is_line(a->text);
}

const char *
login_peer_address(char buf[LOGIN_PEER_BYTES_MAX + 1], const char *peer)
{
	const char *colon = strrchr(peer, ':');
	size_t len = strlen(peer);

	if (colon != NULL && peer[0] == '[' && colon > peer &&
	    colon[-1] == ']') {
		len = (size_t)(colon - peer) - 2;
		peer++;
	} else if (colon != NULL && memchr(peer, ':', len) == colon) {
		len = (size_t)(colon - peer);
	}
	/* IPv4 on a socket for both */
	if (len > 7 && strncmp(peer, "::ffff:", 7) == 0 &&
	    memchr(peer, '.', len) != NULL) {
		len -= 7;
		peer += 7;
	}
	len = min_u64(len, LOGIN_PEER_BYTES_MAX);
	memcpy(buf, peer, len);
	buf[len] = '\0';
	return buf;
}
