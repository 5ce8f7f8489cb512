/*
 * kdb+ IPC decompression (wire.md section 4).  Pure; every read and copy is
 * bounded; a stream is accepted only if it is consumed to its last byte.
 */
#ifndef RINGTICK_WIRE_INFLATE_H
#define RINGTICK_WIRE_INFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The reason that inflate_length gives for a length above len_max. */
extern const char inflate_too_long[];

/*
 * The uncompressed length in bytes, header included, that a compressed frame of
 * `len` bytes announces.  0, with a constant sentence in *why, if the frame is
 * not compressed or cut short, or if the length is below WIRE_FRAME_MIN, above
 * len_max, or more than `len` bytes can expand to (section 4: at most 129 to
 * 1).
 */
size_t inflate_length(const uint8_t *frame, size_t len, size_t len_max,
		      const char **why);

/*
 * Writes the uncompressed frame (compression flag 0, its own length, byte order
 * as in the input) to out, which must have room for the out_len bytes that
 * inflate_length returned and must not overlap the input.  Returns NULL if the
 * stream is good; else the reason as a constant sentence, and out is undefined.
 */
const char *inflate(const uint8_t *frame, size_t len, uint8_t *out,
		    size_t out_len);

/* ---- the same in several steps, for long frames ---- */

/*
 * The state of section 4's decoder.  last_pos[h] is the latest registered
 * position i with out[i] ^ out[i + 1] == h, or 0 (positions start at 8).  Both
 * bytes of a registered pair are written, so the source of a copy needs no
 * bounds check of its own.
 */
struct inflate {
	size_t read; /* bytes of the frame, its header included */
	size_t written, out_len;
	size_t registered; /* pairs before this one are in last_pos */
	size_t last_pos[256];
};

/* Starts z and writes the header of the frame; out and out_len as in inflate.
 */
void inflate_begin(struct inflate *z, const uint8_t *frame, uint8_t *out,
		   size_t out_len);

/*
 * Writes `more` bytes or a few more (up to 8 runs), or as many as are missing.
 * frame, len and out must be the same in each call.  Returns NULL if the stream
 * is good so far, else the reason as a constant sentence.
 */
const char *inflate_some(struct inflate *z, const uint8_t *frame, size_t len,
			 uint8_t *out, size_t more);

static inline bool
inflate_is_done(const struct inflate *z)
{
	return z->written == z->out_len;
}

#endif
