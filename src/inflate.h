/*
 * kdb+ IPC decompression (wire.md section 4).  Pure; every read and copy is
 * bounded; a stream is accepted only if it is consumed to its last byte.
 */
#ifndef RINGTICK_INFLATE_H
#define RINGTICK_INFLATE_H

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

#endif
