/*
 * Feeds send the same again and again: what stands in a frame up to its first
 * column or cell (function, table, number of columns) and that one's type are
 * mostly byte for byte what stood there before, and then mean the same.  A
 * shape is such a beginning, with what it means; an update of a known shape is
 * parsed and written in one pass.
 *
 * Only for the usual items (wire/skip.h).  For anything else the general way
 * (update_parse, update_write) is there; both write the same bytes.
 *
 * Pure; shapes are learned from updates that the general way has accepted.
 */
#ifndef RINGTICK_SCHEMA_TEMPLATE_H
#define RINGTICK_SCHEMA_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/schema.h"
#include "schema/update.h"

enum {
	SHAPES_MAX = 32,      /* that are known at once, of all feeds */
	SHAPE_START_MAX = 64, /* bytes of a beginning, without the length */
};

struct shape {
	const struct schema_table *table;
	bool is_row;	     /* cells, else columns */
	bool has_time;	     /* else it is added */
	unsigned items_cnt;
	size_t factor, growth; /* what is written is at most so much longer */
	size_t start_len;    /* from behind the frame's length on, with the
				type of the first item */
	uint8_t head[4];     /* what stands before the length */
	uint8_t start[SHAPE_START_MAX];
};

struct shapes {
	struct shape all[SHAPES_MAX];
	unsigned cnt;
	unsigned last; /* the one found last */
	unsigned next; /* the one to be replaced next */
};

/* An update that came as a frame of its own: little-endian, asynchronous and
 * not compressed; u points into it. */
void shapes_learn(struct shapes *s, const uint8_t *frame,
		  const struct update *u);

/* The shape of a whole frame of len bytes (at least WIRE_FRAME_MIN); NULL if it
 * is not known. */
const struct shape *shapes_find(struct shapes *s, const uint8_t *frame,
				size_t len);

/* How many bytes shape_write may touch for a frame of len bytes. */
static inline uint64_t
shape_room(const struct shape *shape, uint64_t len)
{
	return len * shape->factor + shape->growth;
}

/*
 * Writes the message to be published of a frame of this shape, into shape_room
 * bytes.  Returns its length, or 0: it is not plain, or has no rows; else
 * *out_rows is set.  `avail` (at least len) bytes can be read from the frame's
 * beginning on: what stands behind it may be touched, and means nothing.
 * local_ns as in update_write.
 */
size_t shape_write(const struct shape *shape, const uint8_t *frame, size_t len,
		   size_t avail, int64_t local_ns, uint8_t *at,
		   uint64_t *out_rows);

#endif
