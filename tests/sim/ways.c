/*
 * The ways on which clients come in: the listener, the address, the header of a
 * TLS terminator, user and password.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "doors.h"

enum {
	FAILURES_MAX = 128,
	FAILURES_FREE = 3, /* of a user */
	DEBTS_MAX = 32,	   /* of an address, which may have ... */
	NETWORK_BITS = 8, /* of the addresses in DOOR_LOCAL's network */
	PROXY_NETWORK_BITS = 16,
};

/* A failure counts for so long, and bars for so long at most. */
#define FAILURE_NS (300 * NS_PER_S)
#define BARRED_NS  (33 * NS_PER_S)
#define DEBT_NS	   (2 * NS_PER_S) /* ... one more after this */

static const char tls_version[] = "TLSv1.3";

static struct failure {
	char user[16];
	uint32_t host;
	unsigned cnt;
	int64_t at_ns;
} failures[FAILURES_MAX];

/* ---- a good way ---- */

void
ways_draw(struct client *c)
{
	struct way *w = &c->as;

	*w = (struct way){ .port = DOOR_PLAIN,
			   .host = HOST,
			   .user_no = c->user_no };
	memcpy(w->user, c->user, sizeof(w->user));
	if (!world.doors.is_on)
		return;
	if (world.doors.is_spread)
		w->host += c->user_no;
	if (world.doors.has_users || sim_chance(100))
		(void)snprintf(w->password, sizeof(w->password), "%.15s%u",
			       c->user, doors_password(c->user_no));
	if (world.doors.has_listeners && sim_chance(250)) {
		w->port = DOOR_PROXY;
		w->proxy = PROXY_TRUE;
	} else if (world.doors.has_listeners && doors_has_role(c) &&
		   sim_chance(400)) {
		w->port = DOOR_LOCAL;
	}
	if (w->port != DOOR_PROXY || !world.doors.has_certificates)
		return;
	/* The certificate says who it is, whatever it says itself. */
	memcpy(w->certified, c->user, sizeof(w->certified));
	w->is_verified = true;
}

bool
ways_has_certificate(const struct client *c)
{
	return world.doors.has_certificates && c->as.port == DOOR_PROXY &&
	       c->as.is_verified && c->as.certified[0] != '\0';
}

static bool
is_in(uint32_t host, unsigned bits)
{
	return host >> bits == (uint32_t)HOST >> bits;
}

bool
ways_is_good(const struct client *c)
{
	const struct way *w = &c->as;

	if (w->port == DOOR_PLAIN)
		return w->proxy == PROXY_NONE;
	if (w->port == DOOR_LOCAL)
		return w->proxy == PROXY_NONE && is_in(w->host, NETWORK_BITS);
	return w->proxy == PROXY_TRUE && is_in(w->host, PROXY_NETWORK_BITS) &&
	       (!world.doors.has_certificates || ways_has_certificate(c));
}

void
ways_check_tls(const struct client *c, const char *tls, const char *certificate)
{
	const struct way *w = &c->as;

	SIM_CHECK(strcmp(tls, w->has_tls ? tls_version : "") == 0 &&
			  strcmp(certificate,
				 w->is_verified ? w->certified : "") == 0,
		  "%s is said to have TLS \"%s\" and the certificate \"%s\"",
		  c->user, tls, certificate);
}

/* ---- the first bytes ---- */

static void
put_big(struct bytes *b, uint32_t value, unsigned len)
{
	for (unsigned i = len; i-- > 0;) {
		uint8_t byte = (uint8_t)(value >> 8 * i);

		bytes_add(b, &byte, 1);
	}
}

static void
put_part(struct bytes *b, uint8_t type, const void *at, size_t len)
{
	bytes_add(b, &type, 1);
	put_big(b, (uint32_t)len, 2);
	bytes_add(b, at, len);
}

static void
put_tls(struct bytes *b, const struct way *w)
{
	struct bytes tls = { 0 };
	uint8_t flags = 1;

	if (w->certified[0] != '\0')
		flags |= 2;
	bytes_add(&tls, &flags, 1);
	put_big(&tls, !w->is_verified, 4);
	put_part(&tls, 0x21, tls_version, strlen(tls_version));
	if (w->certified[0] != '\0')
		put_part(&tls, 0x22, w->certified, strlen(w->certified));
	put_part(b, 0x20, tls.at, tls.len);
	bytes_free(&tls);
}

static void
put_proxy(struct bytes *b, const struct client *c)
{
	static const uint8_t signature[12] = "\r\n\r\n\0\r\nQUIT\n";
	const struct way *w = &c->as;
	struct bytes parts = { 0 };

	put_big(&parts, w->host, 4);
	put_big(&parts, 0x7f000001, 4);
	put_big(&parts, c->port, 2);
	put_big(&parts, DOOR_PROXY, 2);
	if (w->has_tls)
		put_tls(&parts, w);
	/* One that is not known, and means nothing. */
	if (sim_chance(300))
		put_part(&parts, 0x04, "0123456789", sim_below(10));
	bytes_add(b, signature, sizeof(signature));
	put_big(b, w->proxy == PROXY_BAD && sim_chance(500) ? 0x31 : 0x21, 1);
	put_big(b, w->proxy == PROXY_BAD ? 0x31 : 0x11, 1);
	put_big(b, (uint32_t)parts.len, 2);
	bytes_add(b, parts.at, parts.len);
	bytes_free(&parts);
}

void
ways_put_hello(struct client *c)
{
	struct way *w = &c->as;

	if (w->proxy != PROXY_NONE) {
		w->has_tls = w->certified[0] != '\0' || sim_chance(500);
		put_proxy(&c->out, c);
	}
	if (w->proxy == PROXY_HALF) {
		c->out.len = 1 + sim_below(c->out.len - 1);
		return;
	}
	bytes_add(&c->out, w->user, strlen(w->user));
	if (w->password[0] != '\0') {
		bytes_add(&c->out, ":", 1);
		bytes_add(&c->out, w->password, strlen(w->password));
	}
	bytes_add(&c->out, "\3", 2);
}

/* ---- failures ---- */

static struct failure *
failure_of(const char *user, uint32_t host)
{
	struct failure *free_one = &failures[0];

	for (unsigned i = 0; i < FAILURES_MAX; i++) {
		struct failure *f = &failures[i];

		if (f->host == host && strcmp(f->user, user) == 0)
			return f;
		if (f->at_ns < free_one->at_ns)
			free_one = f;
	}
	*free_one = (struct failure){ .host = host };
	(void)snprintf(free_one->user, sizeof(free_one->user), "%s", user);
	return free_one;
}

/* The daemon does not hear all of these. */
void
ways_note_failure(const char *user, uint32_t host)
{
	struct failure *f = failure_of(user, host);

	if (f->at_ns + FAILURE_NS < sim_now_ns())
		f->cnt = 0;
	f->cnt++;
	f->at_ns = sim_now_ns();
	/* Those of all users of an address are in the row of none. */
	f = failure_of("", host);
	f->at_ns = max_i64(f->at_ns, sim_now_ns()) + DEBT_NS;
}

bool
ways_has_failed(const struct client *c)
{
	const struct failure *f = failure_of(c->as.user, c->as.host);

	return (f->cnt >= FAILURES_FREE &&
		f->at_ns + BARRED_NS > sim_now_ns()) ||
	       failure_of("", c->as.host)->at_ns - sim_now_ns() >=
		       (DEBTS_MAX - 1) * DEBT_NS;
}
