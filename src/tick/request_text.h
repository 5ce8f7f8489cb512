/*
 * A request as a few words for the log: "(.u.updd;trade;list)", the text that
 * was sent, the names.  Cut where it is long; safe between quotes, whatever
 * was sent.
 *
 * Pure.  Reads no further than it writes: it costs the same for a long request
 * as for a short one.
 */
#ifndef RINGTICK_TICK_REQUEST_TEXT_H
#define RINGTICK_TICK_REQUEST_TEXT_H

#include <stddef.h>
#include <stdint.h>

enum { ASKED_BYTES = 96 };

/* Of a checked little-endian body, into a buffer of ASKED_BYTES. Returns it. */
const char *asked_text(char *buf, const uint8_t *body, size_t len);

#endif
