/*
 * Many updates that begin like earlier ones, published at a fraction of the
 * cost.
 */
#ifndef RINGTICK_TICK_PUBLISH_BY_TEMPLATE_H
#define RINGTICK_TICK_PUBLISH_BY_TEMPLATE_H

#include <stddef.h>
#include <stdint.h>

#include "tick/tick.h"

/*
 * Handles whole frames at the front of a client's input, as long as they are
 * plain updates like earlier ones, of tables that its user may publish, and
 * there is room: the same as dispatch_frame does, at a fraction of the cost.
 * Not for a client that reads a stream, whose replies have places in it.
 * Returns the number of bytes consumed; *out_records is the number of frames.
 */
size_t publish_by_template(struct tick *t, const struct rights *rights,
			   const uint8_t *at, size_t avail,
			   uint64_t *out_records);

#endif
