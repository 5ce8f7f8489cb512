#include "config.h"

#include "wire/inflate.h"

#include <stdbool.h>
#include <string.h>

#include "wire/wire.h"

enum {
	RUN_MIN = 2,	     /* bytes of a copy with k = 0 */
	EXPANSION_MAX = 129, /* 8 runs of 257 bytes from 17, rounded up */
};

/* Where the compressed stream begins: after the header and the uncompressed
 * length. */
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

/* The state of a running decoder, in local variables: the bytes that it writes
 * cannot alias them, so that they stay in registers. */
struct decoder {
	const uint8_t *in, *in_end;
	uint8_t *out;
	size_t written, out_len, registered;
	size_t *last_pos; /* as in struct inflate */
};

static inline void
register_pairs(struct decoder *w, size_t end)
{
	for (; w->registered < end; w->registered++) {
		const uint8_t *at = w->out + w->registered;

		w->last_pos[at[0] ^ at[1]] = w->registered;
	}
}

/*
 * Copies len bytes from `from` to `to`, which is later in the same buffer.  If
 * they overlap, the bytes repeat, as if copied one by one.  Up to `room` bytes
 * may be written at `to`.
 */
static inline void
copy_run(uint8_t *to, const uint8_t *from, size_t len, size_t room)
{
	size_t period = (size_t)(to - from);

	/* Most runs are short: two moves.  The bytes after the run are
	 * overwritten by the next token. */
	if (len <= 16 && period >= 8 && room >= 16) {
		memcpy(to, from, 8);
		memcpy(to + 8, from + 8, 8);
		return;
	}
	/* Each copy doubles the length that can be copied at once. */
	for (; len > period; period *= 2) {
		memcpy(to, from, period);
		to += period;
		len -= period;
	}
	memcpy(to, from, len);
}

static const char *
inflate_copy(struct decoder *w)
{
	size_t from, len, start = w->written;

	if (w->in_end - w->in < 2)
		return "the compressed stream ends inside a copy";
	from = w->last_pos[w->in[0]];
	len = RUN_MIN + (size_t)w->in[1];
	w->in += 2;
	if (from == 0)
		return "a copy in the compressed stream has no source";
	if (len > w->out_len - start)
		return "the compressed stream is longer than announced";
	copy_run(w->out + start, w->out + from, len, w->out_len - start);
	/* Registers only the pairs that the first two bytes of the run
	 * complete: the encoder does not register the others. */
	register_pairs(w, start + 1);
	w->written = w->registered = start + len;
	return NULL;
}

static const char *
inflate_literal(struct decoder *w)
{
	if (w->in == w->in_end)
		return "the compressed stream is shorter than announced";
	w->out[w->written++] = *w->in++;
	register_pairs(w, w->written - 1);
	return NULL;
}

/* Decodes until `end` bytes are written; stops only after all tokens of a
 * control byte, or at the end of the frame. */
static inline const char *
inflate_until(struct decoder *w, size_t end)
{
	while (w->written < end) {
		unsigned control;

		if (w->in == w->in_end)
			return "the compressed stream is shorter than "
			       "announced";
		control = *w->in++;
		for (int bit = 0; bit < 8 && w->written < w->out_len;
		     bit++) {
			bool is_copy = (control >> bit & 1) != 0;
			const char *bad;

			bad = is_copy ? inflate_copy(w) : inflate_literal(w);
			if (bad != NULL)
				return bad;
		}
	}
	if (w->written < w->out_len || w->in == w->in_end)
		return NULL;
	return "bytes follow the compressed stream";
}

void
inflate_begin(struct inflate *z, const uint8_t *frame, uint8_t *out,
	      size_t out_len)
{
	uint32_t low = (uint32_t)out_len;

	*z = (struct inflate){ .read = stream_off(frame),
			       .written = WIRE_HEADER_BYTES,
			       .registered = WIRE_HEADER_BYTES,
			       .out_len = out_len };
	out[0] = frame[0];
	out[1] = frame[1];
	out[2] = 0;
	out[3] = (uint8_t)((uint64_t)out_len >> 32);
	wire_store_u32(out + 4, frame[0] == 0 ? __builtin_bswap32(low) : low);
}

const char *
inflate_some(struct inflate *z, const uint8_t *frame, size_t len, uint8_t *out,
	     size_t more)
{
	struct decoder w = {
		.in = frame + z->read,
		.in_end = frame + len,
		.out = out,
		.written = z->written,
		.registered = z->registered,
		.out_len = z->out_len,
		.last_pos = z->last_pos,
	};
	size_t left = z->out_len - z->written;
	const char *why;

	why = inflate_until(&w, z->written + (more < left ? more : left));
	z->read = (size_t)(w.in - frame);
	z->written = w.written;
	z->registered = w.registered;
	return why;
}

const char *
inflate(const uint8_t *frame, size_t len, uint8_t *out, size_t out_len)
{
	struct inflate z;

	inflate_begin(&z, frame, out, out_len);
	return inflate_some(&z, frame, len, out, out_len);
}
