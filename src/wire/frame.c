#include "config.h"

#include "base/util.h"
#include "wire/skip.h"
#include "wire/wire.h"

/* ---- frames ---- */

/* The fault of the first bad field among the `avail` bytes, or NULL. */
static const char *
header_fault(const uint8_t *at, size_t avail, uint64_t len_max)
{
	if (avail > 0 && at[0] > 1)
		return "the byte order is neither 0 nor 1";
	if (avail > 1 && at[1] > WIRE_RESPONSE)
		return "the message type is not 0, 1 or 2";
	/* 3 means pointers inside one process, never valid from a socket */
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

	if (fault != NULL) {
		*why = fault;
		return WIRE_BAD;
	}
	if (avail < WIRE_HEADER_BYTES)
		return WIRE_MORE;
	h.is_big_endian = at[0] == 0;
	h.message = (enum wire_message)at[1];
	h.compression = at[2];
	h.len = wire_decode_u32(at + 4, h.is_big_endian) | (uint64_t)at[3]
								   << 32;
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
	/* With the slash, since a user may be called GET. */
	static const char *const methods[] = {
		"GET /",    "POST /",  "PUT /",	   "HEAD /",	 "DELETE /",
		"CONNECT ", "PATCH /", "OPTIONS ", "PRI * HTTP",
	};

	/* A TLS record: handshake (0x16), version 3.x. */
	if (avail >= 2 && at[0] == 0x16 && at[1] == 3)
		return "this is TLS";
	/* Which would pass for a user's name and its end. */
	if (avail >= 5 && memcmp(at, "\r\n\r\n\0", 5) == 0)
		return "this is a header of PROXY protocol";
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
	/* A last byte below the printable ones is a capability (section 1). */
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

/* ---- rewriting ---- */

enum { GUID_BYTES = 16 }; /* a guid is not a number and is never swapped */

struct rewrite {
	struct wire_reader in;
	uint8_t *out;
};

static void
copy_bytes(struct rewrite *c, size_t len)
{
	const uint8_t *at = wire_get_bytes(&c->in, len);

	CHECK(at != NULL); /* the caller has checked the frame */
	memcpy(c->out, at, len);
	c->out += len;
}

static void
swap_items(uint8_t *out, const uint8_t *in, size_t bytes, size_t item_bytes)
{
	for (size_t i = 0; i < bytes; i += item_bytes)
		for (size_t j = 0; j < item_bytes; j++)
			out[i + j] = in[i + item_bytes - 1 - j];
}

static void
copy_items(struct rewrite *c, size_t bytes, size_t item_bytes)
{
	const uint8_t *at;

	if (item_bytes == 1 || item_bytes == GUID_BYTES ||
	    !c->in.is_big_endian) {
		copy_bytes(c, bytes);
		return;
	}
	at = wire_get_bytes(&c->in, bytes);
	CHECK(at != NULL);
	swap_items(c->out, at, bytes, item_bytes);
	c->out += bytes;
}

static void
copy_symbols(struct rewrite *c, uint64_t count)
{
	const uint8_t *at = c->in.at;

	wire_skip_symbols(&c->in, count);
	CHECK(c->in.bad == NULL);
	memcpy(c->out, at, (size_t)(c->in.at - at));
	c->out += c->in.at - at;
}

static void
copy_u32(struct rewrite *c, uint32_t v)
{
	wire_store_u32(c->out, v);
	c->out += 4;
}

/* Copies the header of an object of `len` bytes; an 8-byte count becomes one
 * of 4 bytes. */
static void
copy_header(struct rewrite *c, size_t len)
{
	const uint8_t *at = wire_get_bytes(&c->in, len);
	bool is_big_endian = c->in.is_big_endian;

	CHECK(at != NULL);
	*c->out++ = *at;
	if (len == 2) {
		*c->out++ = at[1];
	} else if (len == 5) {
		copy_u32(c, wire_decode_u32(at + 1, is_big_endian));
	} else if (len == WIRE_LIST_HEADER_BYTES) {
		*c->out++ = at[1];
		copy_u32(c, wire_decode_u32(at + 2, is_big_endian));
	} else if (len > WIRE_LIST_HEADER_BYTES) {
		*c->out++ = (uint8_t)(at[1] & ~WIRE_LONG_COUNT);
		copy_u32(c, (uint32_t)wire_decode_u64(at + 2, is_big_endian));
	}
}

/* Copies the items of a list up to the first that is not an atom of fixed
 * width.  Returns how many of the count are left. */
static uint64_t
copy_atoms(struct rewrite *c, uint64_t count)
{
	const uint8_t *at = c->in.at;
	uint8_t *out = c->out;

	for (; count > 0 && at < c->in.end; count--) {
		size_t len = skip_atom_bytes(*at);

		if (len == 2 && count >= 4 && c->in.end - at >= 8 &&
		    skip_are_four_atoms(at)) {
			memcpy(out, at, 8);
			out += 8;
			at += 8;
			count -= 3;
			continue;
		}
		if (len == 0)
			break;
		*out = *at;
		if (c->in.is_big_endian && len <= GUID_BYTES)
			for (size_t i = 1; i < len; i++)
				out[i] = at[len - i];
		else
			memcpy(out + 1, at + 1, len - 1);
		out += len;
		at += len;
	}
	c->in.at = at;
	c->out = out;
	return count;
}

/* Recursion is bounded: the frame was checked, its depth with it. */
static void
copy_objects(struct rewrite *c, uint64_t count)
{
	for (; (count = copy_atoms(c, count)) > 0; count--) {
		const uint8_t *at = c->in.at;
		struct skip_shell shell;

		CHECK(skip_read_shell(at, (size_t)(c->in.end - at),
				      c->in.is_big_endian,
				      &shell) == SKIP_WHOLE);
		copy_header(c, shell.header);
		if (shell.bytes > 0)
			copy_items(c, shell.bytes, wire_item_bytes(*at));
		copy_symbols(c, shell.symbols);
		copy_objects(c, shell.objects);
	}
}

size_t
wire_rewrite(const uint8_t *frame, size_t len, uint8_t *out)
{
	struct rewrite c = {
		.in = wire_reader(frame, len, frame[0] == 0),
		.out = out,
	};
	size_t out_len;

	copy_bytes(&c, WIRE_HEADER_BYTES);
	if ((int8_t)*c.in.at == KT_ERROR)
		copy_bytes(&c, (size_t)(c.in.end - c.in.at));
	else
		copy_objects(&c, 1);
	CHECK((size_t)(c.in.end - c.in.at) == 0);
	out_len = (size_t)(c.out - out);
	out[0] = 1;
	out[3] = (uint8_t)((uint64_t)out_len >> 32);
	wire_store_u32(out + 4, (uint32_t)out_len);
	return out_len;
}
