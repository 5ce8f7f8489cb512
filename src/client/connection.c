#include "config.h"

#include "client/connection.h"

#include <string.h>

const char *const close_reason_names[CLOSE_COUNT] = {
#define CLOSE(name, level, sentence) #name,
#include "client/close_reasons.def"
#undef CLOSE
};

const enum log_level close_reason_levels[CLOSE_COUNT] = {
#define CLOSE(name, level, sentence) level,
#include "client/close_reasons.def"
#undef CLOSE
};

const char *const close_reason_sentences[CLOSE_COUNT] = {
#define CLOSE(name, level, sentence) sentence,
#include "client/close_reasons.def"
#undef CLOSE
};

void
connection_start(struct connection *c, int fd, enum slow_policy policy)
{
	struct consumer *consumer = &c->consumer;
	struct streams *streams = consumer->streams;
	uint8_t *reply = consumer->reply, *past = consumer->past.buffer;

	CHECK(c->state == CONNECTION_FREE);
	*c = (struct connection){ .state = CONNECTION_HELLO,
				  .slot = c->slot,
				  .generation = c->generation,
				  .fd = fd,
				  .buffer = c->small,
				  .capacity = c->small_bytes,
				  .small = c->small,
				  .small_bytes = c->small_bytes,
				  .user = "-" };
	consumer_init(consumer, streams, reply, past, policy);
}

void
connection_room(struct connection *c, uint8_t **out_at, size_t *out_len)
{
	CHECK(!c->is_receiving);
	if (c->parsed > 0) {
		memmove(c->buffer, c->buffer + c->parsed,
			c->filled - c->parsed);
		c->filled -= c->parsed;
		c->parsed = 0;
	}
	*out_at = c->buffer + c->filled;
	*out_len = c->capacity - c->filled;
	CHECK(*out_len > 0);
}

/* Of a handshake, if that fits into the buffer: tokens of some kilobytes are
 * sent as passwords where none is checked. */
enum { HELLO_BYTES_MAX = 16384 };

enum wire_result
connection_hello(struct connection *c, uint8_t *out_capability,
		 enum close_reason *reason, const char **why)
{
	struct wire_hello hello;
	enum wire_result result = wire_read_hello(c->buffer + c->parsed,
						  c->filled - c->parsed,
						  &hello, why);

	*reason = CLOSE_http;
	if ((result == WIRE_MORE &&
	     (c->filled - c->parsed == c->capacity ||
	      c->filled - c->parsed >= HELLO_BYTES_MAX)) ||
	    (result == WIRE_OK && hello.consumed > HELLO_BYTES_MAX)) {
		*reason = CLOSE_bad_handshake;
		*why = "the handshake is too long";
		return WIRE_BAD;
	}
	if (result != WIRE_OK)
		return result;
	if (hello.user_len > USER_BYTES_MAX) {
		*reason = CLOSE_bad_handshake;
		*why = "the user name is longer than 127 bytes";
		return WIRE_BAD;
	}
	memcpy(c->name, hello.user, hello.user_len);
	c->name[hello.user_len] = '\0';
	(void)log_value(c->user, sizeof(c->user), hello.user, hello.user_len);
	*out_capability = hello.capability < WIRE_CAPABILITY
				  ? hello.capability
				  : WIRE_CAPABILITY;
	c->password = (const uint8_t *)hello.password;
	c->password_len = hello.password_len;
	c->parsed += hello.consumed;
	return WIRE_OK;
}

enum frame_result
connection_frame(const struct connection *c, uint64_t message_max,
		 struct wire_header *header, const uint8_t **frame,
		 const char **why)
{
	const uint8_t *at = c->buffer + c->parsed;
	size_t avail = c->filled - c->parsed;

	*why = NULL;
	switch (wire_read_header(at, avail, UINT64_MAX, header, why)) {
	case WIRE_OK:
		break;
	case WIRE_MORE:
		return FRAME_MORE;
	case WIRE_BAD:
		return FRAME_BAD;
	}
	if (header->len > message_max)
		return FRAME_TOO_LONG;
	if (header->len <= avail) {
		*frame = at;
		return FRAME_WHOLE;
	}
	/* A pool buffer is given for bytes received, not for a length
	 * claimed. */
	return avail == c->capacity ? FRAME_TOO_BIG : FRAME_MORE;
}

void
connection_use_buffer(struct connection *c, uint8_t *buffer,
		      uint64_t frame_len)
{
	CHECK(c->buffer == c->small && !c->is_receiving);
	memcpy(buffer, c->buffer + c->parsed, c->filled - c->parsed);
	c->filled -= c->parsed;
	c->parsed = 0;
	c->buffer = buffer;
	c->capacity = frame_len;
}

void
connection_wipe_password(struct connection *c)
{
	if (c->password != NULL)
		explicit_bzero((void *)c->password, c->password_len);
	c->password = NULL;
	c->password_len = 0;
}

/* Returns to the small buffer, which is then empty. */
static uint8_t *
leave_buffer(struct connection *c)
{
	uint8_t *used = c->buffer == c->small ? NULL : c->buffer;

	c->buffer = c->small;
	c->capacity = c->small_bytes;
	c->parsed = c->filled = 0;
	return used;
}

uint8_t *
connection_consume(struct connection *c, uint64_t len)
{
	c->parsed += len;
	CHECK(c->parsed <= c->filled);
	if (c->parsed < c->filled)
		return NULL;
	return leave_buffer(c);
}

uint8_t *
connection_drop_input(struct connection *c)
{
	CHECK(!c->is_receiving);
	return leave_buffer(c);
}

void
connection_fini(struct connection *c)
{
	CHECK(c->ops_cnt == 0 && c->buffer == c->small);
	c->state = CONNECTION_FREE;
	c->generation++;
}
