/*
 * A request as a few words for the log: "(.u.updd;trade;list)", or the text or
 * the names that were sent.  A long one is cut; it is always safe between
 * quotes.
 *
 * Pure.  Reads only as much as it writes, so a long request costs no more than
 * a short one.
 */
#ifndef RINGTICK_TICK_REQUEST_TEXT_H
#define RINGTICK_TICK_REQUEST_TEXT_H

#include <stddef.h>
#include <stdint.h>

enum { ASKED_BYTES = 96 };

/* Writes the words for a checked little-endian body to buf, which has
 * ASKED_BYTES.  Returns buf. */
const char *asked_text(char *buf, const uint8_t *body, size_t len);

#endif
