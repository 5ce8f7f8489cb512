/*
 * libFuzzer: the beginning of a connection as the daemon takes it, and what it
 * says to ringtick-login.  The first byte says how long the pieces are, the
 * second what the listener wants: the header of a TLS terminator, a
 * certificate, an address in a network.  However the bytes are cut, the end is
 * the same, for the same reason; nobody is let in; texts are safe; a
 * certificate counts only where it was asked for.  Who is to be checked has a
 * request that is good.
 *
 * With the highest bit of the second byte the rest is a packet to or from
 * ringtick-login: what is taken for good has texts that end.
 */
#include "config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/login_message.h"
#include "base/util.h"
#include "config/network.h"
#include "daemon/hello.h"
#include "daemon/login.h"

/* The least connections.receive_buffer, and the least with a short
 * message.max. */
enum { BUFFER_BYTES = 4096, SHORT_BYTES = 1024 };

enum wanted {
	WANTS_PROXY = 1 << 0,
	WANTS_CERTIFICATE = 1 << 1, /* with listen.proxy */
	WANTS_NETWORK = 1 << 2,	    /* 10.0.0.0/8 */
	WANTS_SHARE = 1 << 3,	    /* 10.0.0.9 has its only connection */
	IS_SHORT = 1 << 4,	    /* the buffer */
	IS_PACKET = 1 << 7,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct network networks[1];
static struct rights nothing;
static struct settings settings;
static struct server server;
static uint8_t reply[8], *buffers[2];

/* How a connection went. */
struct course {
	enum hello_result result;
	enum close_reason reason;
	const char *why;
	size_t taken; /* bytes of header and handshake */
	bool has_tls;
	char name[USER_BYTES_MAX + 1], peer[64], tls[PROXY_TLS_MAX + 1];
	char certified[PROXY_NAME_MAX + 1];
	struct login_request request;
};

/* Whoever comes so far as to be let in has not the role. */
static void
open_server(void)
{
	struct peer_address taken = { .at.sa.sa_family = AF_INET };

	if (buffers[0] != NULL)
		return;
	buffers[0] = malloc(BUFFER_BYTES);
	buffers[1] = malloc(SHORT_BYTES);
	CHECK(buffers[0] != NULL && buffers[1] != NULL);
	CHECK(network_parse("10.0.0.0/8", &networks[0]) == NULL);
	settings.listen.networks = networks;
	settings.listen.has_roles = true;
	settings.auth.others = &nothing;
	server.settings = &settings;
	server.now_ns = 1000 * NS_PER_S;
	server.listeners.all[0].settings = &settings.listen;
	login_init(&server.login);
	CHECK(shares_open(&server.shares, 4, 1) == 0);
	memcpy(&taken.at.v4.sin_addr, "\x0a\0\0\x09", 4);
	CHECK(shares_join(&server.shares,
			  shares_of_address(&server.shares, &taken), 0) !=
	      NULL);
}

static void
set_listener(unsigned wanted)
{
	settings.listen.proxy = (wanted & WANTS_PROXY) != 0;
	settings.listen.networks_cnt = (wanted & WANTS_NETWORK) != 0;
	settings.connections.per_address = (wanted & WANTS_SHARE) != 0;
	settings.auth.certificate = (wanted & WANTS_CERTIFICATE) != 0;
	server.login.is_on = true;
}

static void
check_text(const char *text)
{
	for (; *text != '\0'; text++)
		CHECK(*text > ' ' && *text < 0x7f && *text != '"' &&
		      *text != '=');
}

/* Of who has come to his name. */
static void
check_name(const struct connection *c, unsigned wanted, struct course *out)
{
	bool has_certificate = (wanted & WANTS_PROXY) != 0 &&
			       (wanted & WANTS_CERTIFICATE) != 0;

	memcpy(out->name, c->name, sizeof(out->name));
	if (out->reason == CLOSE_role)
		CHECK(has_certificate && strcmp(c->name, c->certified) == 0 &&
		      c->name[0] != '\0');
	if (out->result != HELLO_CHECKING)
		return;
	CHECK(!has_certificate && c->state == CONNECTION_CHECKING);
	CHECK(c->password == NULL ||
	      (c->password > c->buffer &&
	       c->password + c->password_len < c->buffer + c->parsed));
	login_write_check(&out->request, 1, c->name, (const char *)c->password,
			  c->password_len, c->peer);
	CHECK(login_request_is_good(&out->request, sizeof(out->request)));
}

static void
check_address(const struct connection *c, unsigned wanted,
	      const struct course *out)
{
	const uint8_t *v4 = (const uint8_t *)&c->from.at.v4.sin_addr;
	bool is_past = out->result == HELLO_CHECKING ||
		       out->reason == CLOSE_role;

	if (!is_past || c->awaits_proxy || c->from.at.sa.sa_family != AF_INET)
		return;
	if ((wanted & WANTS_NETWORK) != 0)
		CHECK(v4[0] == 10);
	if ((wanted & WANTS_SHARE) != 0)
		CHECK(memcmp(v4, "\x0a\0\0\x09", 4) != 0);
}

static void
check_end(const struct connection *c, unsigned wanted, struct course *out)
{
	char address[LOGIN_PEER_BYTES_MAX + 1];

	CHECK(out->result == HELLO_MORE || out->result == HELLO_CHECKING ||
	      out->result == HELLO_REFUSED);
	check_text(c->user);
	check_text(c->peer);
	check_text(c->tls);
	CHECK((wanted & WANTS_PROXY) != 0 ||
	      (!c->has_tls && c->tls[0] == '\0' && c->certified[0] == '\0'));
	CHECK(strlen(login_peer_address(address, c->peer)) <= strlen(c->peer));
	check_name(c, wanted, out);
	if ((wanted & WANTS_PROXY) != 0)
		check_address(c, wanted, out);
	out->has_tls = c->has_tls;
	memcpy(out->peer, c->peer, sizeof(out->peer));
	memcpy(out->tls, c->tls, sizeof(out->tls));
	memcpy(out->certified, c->certified, sizeof(out->certified));
}

static struct course
run(const uint8_t *data, size_t len, size_t piece, unsigned wanted)
{
	bool is_short = (wanted & IS_SHORT) != 0;
	struct connection c = {
		.small = buffers[is_short],
		.small_bytes = is_short ? SHORT_BYTES : BUFFER_BYTES,
	};
	struct course out = { .result = HELLO_MORE };
	size_t received = 0, room, n;
	uint8_t *at;

	c.consumer.reply = reply;
	connection_start(&c, 3, SLOW_SPILL);
	list_init(&c.hello_node);
	list_init(&c.login_node);
	c.awaits_proxy = settings.listen.proxy;
	c.from.at.sa.sa_family = AF_UNIX;
	(void)peer_text(&c.from, c.peer, sizeof(c.peer));
	while (out.result == HELLO_MORE && received < len) {
		connection_room(&c, &at, &room);
		n = min_u64(min_u64(piece, len - received), room);
		memcpy(at, data + received, n);
		c.filled += n;
		received += n;
		out.reason = CLOSE_COUNT;
		out.why = NULL;
		out.result = hello_serve(&server, &c, &out.reason, &out.why);
		CHECK(c.parsed <= c.filled && c.filled <= c.small_bytes);
	}
	CHECK(out.result != HELLO_REFUSED || out.reason < CLOSE_COUNT);
	check_end(&c, wanted, &out);
	out.taken = received - (c.filled - c.parsed);
	login_forget(&server, &c);
	shares_leave(&server.shares, c.address_share);
	connection_fini(&c);
	return out;
}

static void
check_packet(const uint8_t *data, size_t len)
{
	struct login_request request = { 0 };
	struct login_answer answer = { 0 };

	memcpy(&request, data, min_u64(len, sizeof(request)));
	memcpy(&answer, data, min_u64(len, sizeof(answer)));
	if (login_request_is_good(&request, len)) {
		CHECK(len == sizeof(request));
		CHECK(memchr(request.user, '\0', sizeof(request.user)) &&
		      memchr(request.password, '\0',
			     sizeof(request.password)) &&
		      memchr(request.peer, '\0', sizeof(request.peer)));
		CHECK(request.password[0] == '\0' || !request.is_too_long);
	}
	if (login_answer_is_good(&answer, len)) {
		CHECK(len == sizeof(answer) && answer.kind >= LOGIN_READY);
		CHECK(memchr(answer.text, '\0', sizeof(answer.text)));
		CHECK(answer.kind == LOGIN_FAILED || answer.text[0] == '\0');
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct course whole, pieces;
	unsigned wanted;

	if (len < 2)
		return 0;
	wanted = data[1];
	if ((wanted & IS_PACKET) != 0) {
		check_packet(data + 2, len - 2);
		return 0;
	}
	open_server();
	set_listener(wanted);
	whole = run(data + 2, len - 2, SIZE_MAX, wanted);
	pieces = run(data + 2, len - 2, 1 + data[0] % 64, wanted);
	CHECK(whole.result == pieces.result && whole.reason == pieces.reason);
	CHECK(whole.why == pieces.why || whole.result != HELLO_REFUSED);
	CHECK(whole.result != HELLO_CHECKING || whole.taken == pieces.taken);
	CHECK(whole.has_tls == pieces.has_tls);
	CHECK(strcmp(whole.name, pieces.name) == 0 &&
	      strcmp(whole.peer, pieces.peer) == 0 &&
	      strcmp(whole.tls, pieces.tls) == 0 &&
	      strcmp(whole.certified, pieces.certified) == 0);
	CHECK(memcmp(&whole.request, &pieces.request,
		     sizeof(whole.request)) == 0);
	return 0;
}
