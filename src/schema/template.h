/*
 * Feeds send the same again and again: the bytes of a frame up to its first
 * column or cell (function, table, number of columns) and that item's type are
 * mostly those of a frame before, and then mean the same.  A template is such
 * a beginning, with what it means; an update that begins like a template is
 * parsed and written in one pass.
 *
 * Only for the usual items (wire/skip.h).  For anything else the general way
 * (update_parse, update_write) is there; both write the same bytes.
 *
 * Pure; templates are learned from updates that the general way has accepted.
 */
#ifndef RINGTICK_SCHEMA_TEMPLATE_H
#define RINGTICK_SCHEMA_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/schema.h"
#include "schema/update.h"
#include "wire/wire.h"

enum {
	TEMPLATES_MAX = 32,	 /* that are known at once, of all feeds */
	TEMPLATE_START_MAX = 64, /* bytes of a beginning, without the length */
};

struct template
{
	const struct schema_table *table;
	bool is_row;	     /* cells, else columns */
	bool has_time;	     /* else it is added */
	unsigned items_cnt;
	size_t factor, growth; /* what is written is at most so much longer */
	size_t start_len;    /* from behind the frame's length on, with the
				type of the first item */
	uint8_t head[4];     /* what stands before the length */
	uint8_t start[TEMPLATE_START_MAX];
};

struct templates {
	struct template all[TEMPLATES_MAX];
	unsigned cnt;
	unsigned last; /* the one found last */
	unsigned next; /* the one to be replaced next */
};

/* An update that came as a frame of its own: little-endian, asynchronous and
 * not compressed; u points into it. */
void template_learn(struct templates *s, const uint8_t *frame,
		    const struct update *u);

/* Of a frame of len bytes; NULL if it begins like none. */
const struct template *template_of(struct templates *s, const uint8_t *frame,
				   size_t len);

/* Of the frame at `at`, whose length is set; NULL also if the frame is not
 * whole in the avail bytes. */
static inline const struct template *
template_find(struct templates *s, const uint8_t *at, size_t avail,
	      uint64_t *out_len)
{
	uint64_t len = avail < WIRE_FRAME_MIN ? 0 : wire_load_u32(at + 4);

	*out_len = len;
	return len < WIRE_FRAME_MIN || len > avail ? NULL
						   : template_of(s, at, len);
}

/* How many bytes template_write may touch for a frame of len bytes. */
static inline uint64_t
template_room(const struct template *template, uint64_t len)
{
	return len * template->factor + template->growth;
}

/*
 * Writes the message to be published of a frame of this template, into
 * template_room bytes.  Returns its length, or 0: an item is not a usual one,
 * or there are no rows; else *out_rows is set.  `avail` (at least len) bytes
 * can be read from the frame's beginning on: those after the frame may be
 * touched, and mean nothing.  local_ns as in update_write.
 */
size_t template_write(const struct template *template, const uint8_t *frame,
		      size_t len, size_t avail, int64_t local_ns, uint8_t *at,
		      uint64_t *out_rows);

#endif
