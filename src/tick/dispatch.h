/*
 * Frames: what a client sends is brought into the plain form and evaluated,
 * and its reply written.  Has the table of names that a request can use.
 */
#ifndef RINGTICK_TICK_DISPATCH_H
#define RINGTICK_TICK_DISPATCH_H

#include "tick/tick.h"

/*
 * Handles one whole frame.  client is only read, but for the bytes of
 * client.reply; the caller applies the outcome.
 */
enum tick_result dispatch_frame(struct tick *t, struct tick_client *client,
				const struct wire_header *header,
				const uint8_t *frame, struct tick_outcome *out);

#endif
