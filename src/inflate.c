#include "config.h"

#include "inflate.h"

#include <stdbool.h>
#include <string.h>

#include "wire.h"

enum {
	RUN_MIN = 2,	     /* bytes of a copy with k = 0 */
	EXPANSION_MAX = 129, /* 8 runs of 257 bytes from 17, rounded up */
};

/* Bytes in front of the stream: the header and the uncompressed length. */
static size_t
stream_off(const uint8_t *frame)
{
	return frame[2] == 1 ? 12 : 16;
}

const char inflate_too_long[] =
	"the uncompressed frame is longer than the limit";

size_t
inflate_length(const uint8_t *frame, size_t len, size_t len_max,
	       const char **why)
{
	struct wire_reader r;
	uint64_t out_len;

	if (len < WIRE_HEADER_BYTES || frame[2] < 1 || frame[2] > 2) {
		*why = "the frame is not compressed";
		return 0;
	}
	r = wire_reader(frame, len, frame[0] == 0);
	r.at += WIRE_HEADER_BYTES;
	out_len = frame[2] == 1 ? wire_get_u32(&r) : wire_get_u64(&r);
	if (r.bad != NULL) {
		*why = "the header of the compressed frame is cut";
		return 0;
	}
	if (out_len < WIRE_FRAME_MIN) {
		*why = "the uncompressed frame is too short for an object";
		return 0;
	}
	if (out_len > len_max) {
		*why = inflate_too_long;
		return 0;
	}
	if (out_len - WIRE_HEADER_BYTES >
	    EXPANSION_MAX * (uint64_t)(len - stream_off(frame))) {
		*why = "the uncompressed length cannot come from so few bytes";
		return 0;
	}
	return (size_t)out_len;
}

/*
 * The state of section 4's decoder.  last_pos[h] is the latest registered
 * position i with out[i] ^ out[i + 1] == h, or 0: positions start at 8.  A
 * registered pair is complete, so a copy from it never needs a bound of its
 * own below written.
 */
struct inflate {
	const uint8_t *in, *in_end;
	uint8_t *out;
	size_t written, out_len;
	size_t registered; /* pairs before this one are in last_pos */
	size_t last_pos[256];
};

static inline void
register_pairs(struct inflate *z, size_t end)
{
	for (; z->registered < end; z->registered++) {
		const uint8_t *at = z->out + z->registered;

		z->last_pos[at[0] ^ at[1]] = z->registered;
	}
}

/*
 * Copies len bytes to `to` from before it; where they overlap the bytes repeat,
 * as if copied one by one.  room is what may be written at `to`.
 */
static inline void
copy_run(uint8_t *to, const uint8_t *from, size_t len, size_t room)
{
	size_t period = (size_t)(to - from);

	/* Most runs are short: two moves, and what is too much is overwritten
	 * by what follows. */
	if (len <= 16 && period >= 8 && room >= 16) {
		memcpy(to, from, 8);
		memcpy(to + 8, from + 8, 8);
		return;
	}
	/* What is copied lengthens what can be copied at once. */
	for (; len > period; period *= 2) {
		memcpy(to, from, period);
		to += period;
		len -= period;
	}
	memcpy(to, from, len);
}

static const char *
inflate_copy(struct inflate *z)
{
	size_t from, len, start = z->written;

	if (z->in_end - z->in < 2)
		return "the compressed stream ends inside a copy";
	from = z->last_pos[z->in[0]];
	len = RUN_MIN + (size_t)z->in[1];
	z->in += 2;
	if (from == 0)
		return "a copy in the compressed stream has no source";
	if (len > z->out_len - start)
		return "the compressed stream is longer than announced";
	copy_run(z->out + start, z->out + from, len, z->out_len - start);
	/* Only the pairs that its first two bytes complete: the encoder does
	 * not register the rest of a run. */
	register_pairs(z, start + 1);
	z->written = z->registered = start + len;
	return NULL;
}

static const char *
inflate_literal(struct inflate *z)
{
	if (z->in == z->in_end)
		return "the compressed stream is shorter than announced";
	z->out[z->written++] = *z->in++;
	register_pairs(z, z->written - 1);
	return NULL;
}

static const char *
inflate_stream(struct inflate *z)
{
	while (z->written < z->out_len) {
		unsigned control;

		if (z->in == z->in_end)
			return "the compressed stream is shorter than "
			       "announced";
		control = *z->in++;
		for (int bit = 0; bit < 8 && z->written < z->out_len; bit++) {
			bool is_copy = (control >> bit & 1) != 0;
			const char *bad;

			bad = is_copy ? inflate_copy(z) : inflate_literal(z);
			if (bad != NULL)
				return bad;
		}
	}
	return z->in == z->in_end ? NULL : "bytes follow the compressed stream";
}

const char *
inflate(const uint8_t *frame, size_t len, uint8_t *out, size_t out_len)
{
	struct inflate z = {
		.in = frame + stream_off(frame),
		.in_end = frame + len,
		.out = out,
		.written = WIRE_HEADER_BYTES,
		.out_len = out_len,
		.registered = WIRE_HEADER_BYTES,
	};
	uint32_t low = (uint32_t)out_len;

	out[0] = frame[0];
	out[1] = frame[1];
	out[2] = 0;
	out[3] = (uint8_t)((uint64_t)out_len >> 32);
	wire_store_u32(out + 4, frame[0] == 0 ? __builtin_bswap32(low) : low);
	return inflate_stream(&z);
}
