/*
 * libFuzzer: the first bytes of a connection, in pieces.  The first byte says
 * how long the pieces are.  However they are cut, the handshake is the same;
 * names are safe, and a message after it is found whole and where it is, in
 * the small buffer or in one of message.buffers.
 */
#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "client/connection.h"
#include "wire/wire.h"

enum { SMALL_BYTES = 256, MESSAGE_MAX = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* How a connection went. */
struct course {
	enum wire_result hello;
	uint8_t capability;
	enum close_reason reason;
	const char *why;
	char name[USER_BYTES_MAX + 1];
	unsigned frames_cnt;
	size_t frames_bytes;
	enum frame_result last;
};

/* The peer's bytes, and how many of them were received or handled. */
struct peer {
	const uint8_t *data;
	size_t len, received, handled;
};

static uint8_t reply[8];

static struct connection
open_connection(void)
{
	struct connection c = { .small = malloc(SMALL_BYTES),
				.small_bytes = SMALL_BYTES };

	CHECK(c.small != NULL);
	c.consumer.reply = reply;
	connection_start(&c, 3, SLOW_SPILL);
	return c;
}

static void
close_connection(struct connection *c)
{
	free(connection_drop_input(c));
	connection_fini(c);
	free(c->small);
}

/* Returns whether the peer had more bytes. */
static bool
receive(struct connection *c, struct peer *p, size_t piece)
{
	size_t room, n = min_u64(piece, p->len - p->received);
	uint8_t *at;

	connection_room(c, &at, &room);
	n = min_u64(n, room);
	memcpy(at, p->data + p->received, n);
	c->filled += n;
	p->received += n;
	CHECK(c->filled - c->parsed == p->received - p->handled);
	return n > 0;
}

static void
check_names(const struct connection *c, const struct peer *p)
{
	size_t len = strlen(c->name);

	CHECK(len <= USER_BYTES_MAX && memcmp(c->name, p->data, len) == 0);
	CHECK(strchr(c->name, ':') == NULL && c->user[0] != '\0');
	for (const char *at = c->user; *at != '\0'; at++)
		CHECK(*at > ' ' && *at < 0x7f && *at != '"' && *at != '=');
}

static void
say_hello(struct connection *c, struct peer *p, size_t piece,
	  struct course *out)
{
	size_t filled;

	do {
		filled = c->filled;
		out->hello = connection_hello(c, &out->capability,
					      &out->reason, &out->why);
	} while (out->hello == WIRE_MORE && receive(c, p, piece));
	CHECK(c->filled >= filled);
	switch (out->hello) {
	case WIRE_OK:
		CHECK(out->capability <= WIRE_CAPABILITY);
		CHECK(c->parsed > 0 && p->data[c->parsed - 1] == 0);
		p->handled = c->parsed;
		memcpy(out->name, c->name, sizeof(out->name));
		check_names(c, p);
		break;
	case WIRE_MORE:
		CHECK(p->received == p->len && p->len < SMALL_BYTES);
		break;
	case WIRE_BAD:
		CHECK(out->why != NULL);
		CHECK(out->reason == CLOSE_http ||
		      out->reason == CLOSE_bad_handshake);
		break;
	}
}

/* Returns whether to go on. */
static bool
take_frame(struct connection *c, struct peer *p, size_t piece,
	   struct course *out)
{
	struct wire_header header;
	const uint8_t *frame;
	const char *why;
	uint8_t *buffer;

	out->last = connection_frame(c, MESSAGE_MAX, &header, &frame, &why);
	switch (out->last) {
	case FRAME_WHOLE:
		CHECK(header.len <= MESSAGE_MAX &&
		      header.len <= p->received - p->handled);
		CHECK(memcmp(frame, p->data + p->handled, header.len) == 0);
		p->handled += header.len;
		out->frames_cnt++;
		out->frames_bytes += header.len;
		free(connection_consume(c, header.len));
		return true;
	case FRAME_MORE:
		return receive(c, p, piece);
	case FRAME_TOO_BIG:
		CHECK(header.len > SMALL_BYTES && header.len <= MESSAGE_MAX);
		buffer = malloc(header.len);
		CHECK(buffer != NULL);
		connection_use_buffer(c, buffer, header.len);
		return true;
	case FRAME_BAD:
		CHECK(why != NULL);
		return false;
	case FRAME_TOO_LONG:
		CHECK(header.len > MESSAGE_MAX);
		return false;
	}
	return false;
}

static struct course
run(const uint8_t *data, size_t len, size_t piece)
{
	struct course course = { .hello = WIRE_MORE };
	struct peer peer = { .data = data, .len = len };
	struct connection c = open_connection();

	say_hello(&c, &peer, piece, &course);
	if (course.hello == WIRE_OK)
		while (take_frame(&c, &peer, piece, &course))
			continue;
	close_connection(&c);
	return course;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct course whole, pieces;

	if (len == 0)
		return 0;
	whole = run(data + 1, len - 1, SIZE_MAX);
	pieces = run(data + 1, len - 1, 1 + data[0] % 64);
	CHECK(whole.hello == pieces.hello);
	CHECK(whole.reason == pieces.reason || whole.hello != WIRE_BAD);
	CHECK(whole.capability == pieces.capability);
	CHECK(strcmp(whole.name, pieces.name) == 0);
	CHECK(whole.frames_cnt == pieces.frames_cnt &&
	      whole.frames_bytes == pieces.frames_bytes &&
	      whole.last == pieces.last);
	return 0;
}
