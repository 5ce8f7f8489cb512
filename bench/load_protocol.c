#include "config.h"

#include "load_protocol.h"

#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "measure.h"
#include "sockets.h"
#include "wire/wire.h"

enum { TEXT_MAX = 8192, ZMTP_GREETING_BYTES = 64, ZMTP_SHORT_MAX = 255 };

static void
send_text(int fd, const char *text)
{
	send_all(fd, text, strlen(text));
}

/* Receives a byte at a time: nothing of what comes next is taken. */
static void
receive_until(int fd, const char *wanted)
{
	char text[TEXT_MAX];
	size_t len = 0;

	while (len + 1 < sizeof(text)) {
		receive_all(fd, text + len, 1);
		text[++len] = '\0';
		if (strstr(text, wanted) != NULL)
			return;
	}
	give_up("the server never says %s", wanted);
}

/* ---- kdb+ ---- */

static void
greet_kdb(int fd, bool is_subscriber)
{
	static const char hello[] = "bench:x\3";
	uint8_t bytes[64];
	struct wire_writer w = wire_writer(bytes, sizeof(bytes));
	size_t header;

	send_all(fd, hello, sizeof(hello));
	receive_all(fd, bytes, 1);
	if (!is_subscriber)
		return;
	header = wire_begin_frame(&w, WIRE_SYNC);
	wire_put_list(&w, KT_LIST, KA_NONE, 3);
	wire_put_symbol(&w, ".u.sub");
	wire_put_symbol(&w, "");
	wire_put_symbol(&w, "");
	wire_end_frame(&w, header);
	send_all(fd, bytes, wire_written(&w));
	receive_all(fd, bytes, WIRE_HEADER_BYTES);
	for (uint32_t len = wire_load_u32(bytes + 4); len > WIRE_HEADER_BYTES;
	     len--)
		receive_all(fd, bytes + WIRE_HEADER_BYTES, 1);
}

/* ---- redis ---- */

static void
greet_redis(int fd, bool is_subscriber)
{
	if (!is_subscriber) {
		send_text(fd, "CLIENT REPLY OFF\r\n");
		return;
	}
	send_text(fd, "SUBSCRIBE t\r\n");
	receive_until(fd, ":1\r\n");
}

static size_t
put_redis_head(uint8_t *at, size_t len, bool is_delivered)
{
	return (size_t)snprintf((char *)at, LOAD_HEAD_MAX,
				"*3\r\n$7\r\n%s\r\n$1\r\nt\r\n$%zu\r\n",
				is_delivered ? "message" : "PUBLISH", len);
}

/* ---- nats ---- */

static void
greet_nats(int fd, bool is_subscriber)
{
	receive_until(fd, "\r\n");
	send_text(fd, "CONNECT {\"verbose\":false,\"pedantic\":false,"
		      "\"tls_required\":false,\"lang\":\"c\","
		      "\"version\":\"1\"}\r\n");
	if (is_subscriber)
		send_text(fd, "SUB t 1\r\n");
	send_text(fd, "PING\r\n");
	receive_until(fd, "PONG\r\n");
}

static size_t
put_nats_head(uint8_t *at, size_t len, bool is_delivered)
{
	return (size_t)snprintf((char *)at, LOAD_HEAD_MAX, "%s %zu\r\n",
				is_delivered ? "MSG t 1" : "PUB t", len);
}

/* ---- ZeroMQ (ZMTP 3.0) ---- */

static void
greet_zmtp(int fd, bool is_subscriber)
{
	static const uint8_t greeting[ZMTP_GREETING_BYTES] = {
		[0] = 0xff, [9] = 0x7f, [10] = 3, [12] = 'N', 'U', 'L', 'L',
	};
	uint8_t ready[] = "\4\0\5READY\13Socket-Type\0\0\0\3PUB";
	uint8_t bytes[256];

	send_all(fd, greeting, sizeof(greeting));
	receive_all(fd, bytes, sizeof(greeting));
	ready[1] = sizeof(ready) - 3; /* after the first two, without the NUL */
	if (is_subscriber)
		memcpy(ready + sizeof(ready) - 4, "SUB", 3);
	send_all(fd, ready, sizeof(ready) - 1);
	receive_all(fd, bytes, 2);
	receive_all(fd, bytes + 2, bytes[1]);
	if (is_subscriber)
		send_all(fd, "\0\1\1", 3); /* to all */
}

static size_t
put_zmtp_head(uint8_t *at, size_t len, bool is_delivered)
{
	(void)is_delivered;
	if (len <= ZMTP_SHORT_MAX) {
		at[0] = 0;
		at[1] = (uint8_t)len;
		return 2;
	}
	at[0] = 2;
	for (unsigned i = 0; i < 8; i++)
		at[1 + i] = (uint8_t)((uint64_t)len >> (56 - 8 * i));
	return 9;
}

static const struct load_protocol protocols[] = {
	{ .name = "kdb", .greet = greet_kdb, .tail = "" },
	{ .name = "ringtick",
	  .greet = greet_kdb,
	  .tail = "",
	  .is_table = true },
	{ .name = "redis",
	  .greet = greet_redis,
	  .put_head = put_redis_head,
	  .tail = "\r\n" },
	{ .name = "nats",
	  .greet = greet_nats,
	  .put_head = put_nats_head,
	  .tail = "\r\n",
	  .ping = "PING\r\n",
	  .pong = "PONG\r\n" },
	{ .name = "zmtp",
	  .greet = greet_zmtp,
	  .put_head = put_zmtp_head,
	  .tail = "",
	  .settle_ms = 300 },
};

const struct load_protocol *
load_protocol_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(protocols); i++)
		if (strcmp(protocols[i].name, name) == 0)
			return &protocols[i];
	return NULL;
}
