#include "config.h"

#include "base/util.h"
#include "wire/wire.h"

/* ---- frames ---- */

/* The first field, of those that are here, that no good frame has. */
static const char *
header_fault(const uint8_t *at, size_t avail, uint64_t len_max)
{
	if (avail > 0 && at[0] > 1)
		return "the byte order is neither 0 nor 1";
	if (avail > 1 && at[1] > WIRE_RESPONSE)
		return "the message type is not 0, 1 or 2";
	/* 3 is pointers inside one process: never from a socket */
	if (avail > 2 && at[2] > 2)
		return "the compression is not 0, 1 or 2";
	if (avail > 3 && (uint64_t)at[3] << 32 > len_max)
		return "the frame is longer than the limit";
	return NULL;
}

enum wire_result
wire_read_header(const uint8_t *at, size_t avail, uint64_t len_max,
		 struct wire_header *out, const char **why)
{
	const char *fault = header_fault(at, avail, len_max);
	struct wire_header h;
	uint32_t len;

	if (fault != NULL) {
		*why = fault;
		return WIRE_BAD;
	}
	if (avail < WIRE_HEADER_BYTES)
		return WIRE_MORE;
	h.is_big_endian = at[0] == 0;
	h.message = (enum wire_message)at[1];
	h.compression = at[2];
	len = wire_load_u32(at + 4);
	h.len = (h.is_big_endian ? __builtin_bswap32(len) : len) |
		(uint64_t)at[3] << 32;
	if (h.len < WIRE_FRAME_MIN) {
		*why = "the frame is too short for an object";
		return WIRE_BAD;
	}
	if (h.len > len_max) {
		*why = "the frame is longer than the limit";
		return WIRE_BAD;
	}
	*out = h;
	return WIRE_OK;
}

/* ---- handshake ---- */

static const char *
hello_fault(const uint8_t *at, size_t avail)
{
	/* The slash keeps a user who is called GET out of this. */
	static const char *const methods[] = {
		"GET /",    "POST /",  "PUT /",	   "HEAD /",	 "DELETE /",
		"CONNECT ", "PATCH /", "OPTIONS ", "PRI * HTTP",
	};

	/* A TLS record: handshake (0x16), version 3.x. */
	if (avail >= 2 && at[0] == 0x16 && at[1] == 3)
		return "this is TLS";
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		size_t len = strlen(methods[i]);

		if (avail >= len && memcmp(at, methods[i], len) == 0)
			return "this is HTTP";
	}
	return NULL;
}

enum wire_result
wire_read_hello(const uint8_t *at, size_t avail, struct wire_hello *out,
		const char **why)
{
	const char *fault = hello_fault(at, avail);
	struct wire_hello h = { 0 };
	const uint8_t *nul, *colon;
	size_t len;

	if (fault != NULL) {
		*why = fault;
		return WIRE_BAD;
	}
	nul = avail == 0 ? NULL : memchr(at, 0, avail);
	if (nul == NULL)
		return WIRE_MORE;
	len = (size_t)(nul - at);
	h.consumed = len + 1;
	/* Below the printable characters it is a capability (section 1). */
	if (len > 0 && at[len - 1] < 0x20)
		h.capability = at[--len];
	h.user = (const char *)at;
	h.user_len = len;
	colon = memchr(at, ':', len);
	if (colon != NULL) {
		h.user_len = (size_t)(colon - at);
		h.password = (const char *)colon + 1;
		h.password_len = len - h.user_len - 1;
	}
	*out = h;
	return WIRE_OK;
}
