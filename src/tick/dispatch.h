/*
 * Frames: brings a client's frame into the plain form, evaluates it and writes
 * its reply.  Has the table of names that a request can use.
 */
#ifndef RINGTICK_TICK_DISPATCH_H
#define RINGTICK_TICK_DISPATCH_H

#include "tick/tick.h"

/*
 * Handles one whole frame, and sets *out.  *client is not changed, except for
 * the bytes of client.reply; the caller applies the outcome.
 */
enum tick_result dispatch_frame(struct tick *t, struct tick_client *client,
				const struct wire_header *header,
				const uint8_t *frame, struct tick_outcome *out);

#endif
