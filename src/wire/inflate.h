/*
 * kdb+ IPC decompression (wire.md section 4).  Pure; every read and copy is
 * bounded; a stream is accepted only if it is consumed to its last byte.
 */
#ifndef RINGTICK_WIRE_INFLATE_H
#define RINGTICK_WIRE_INFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The uncompressed length (header included) that a compressed frame of `len`
 * bytes announces.  0, with *why set, if it is below WIRE_FRAME_MIN, above
 * len_max, or not reachable from so few bytes (section 4: at most 129 to 1).
 */
extern const char inflate_too_long[]; /* of the reasons: above len_max */

size_t inflate_length(const uint8_t *frame, size_t len, size_t len_max,
		      const char **why);

/*
 * Writes the uncompressed frame (compression flag 0, length patched, byte
 * order as in the input) to out, which has room for the out_len bytes that
 * inflate_length returned.  NULL when good, else the reason; out is then
 * undefined.
 */
const char *inflate(const uint8_t *frame, size_t len, uint8_t *out,
		    size_t out_len);

/* ---- the same in several goes, of a long frame ---- */

/*
 * The state of section 4's decoder.  last_pos[h] is the latest registered
 * position i with out[i] ^ out[i + 1] == h, or 0: positions start at 8.  A
 * registered pair is complete, so a copy from it never needs a bound of its
 * own below written.
 */
struct inflate {
	size_t read; /* of the frame */
	size_t written, out_len;
	size_t registered; /* pairs before this one are in last_pos */
	size_t last_pos[256];
};

/* Writes the header. */
void inflate_begin(struct inflate *z, const uint8_t *frame, uint8_t *out,
		   size_t out_len);

/*
 * Goes on until `more` bytes or a little more are written, or all.  The bytes
 * of frame and out are those of the calls before.  NULL when good so far, else
 * the reason.
 */
const char *inflate_some(struct inflate *z, const uint8_t *frame, size_t len,
			 uint8_t *out, size_t more);

static inline bool
inflate_is_done(const struct inflate *z)
{
	return z->written == z->out_len;
}

#endif
