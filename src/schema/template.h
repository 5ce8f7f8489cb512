/*
 * A quick way for updates that begin like an earlier one.  A feed's frames
 * mostly have the same bytes up to the first column or cell (function, table,
 * number of columns) and the type of that item, and the same bytes mean the
 * same.  A template is such a beginning with its meaning; a frame that begins
 * with a template is parsed and written in one pass.
 *
 * Only for the usual items (wire/skip.h).  Other frames take the general way
 * (update_parse, update_write); both write the same bytes.
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
	TEMPLATES_MAX = 32,	 /* kept at once, for all feeds together */
	TEMPLATE_START_MAX = 64, /* bytes of a beginning, without the header */
};

struct template
{
	const struct schema_table *table;
	bool is_row;   /* the items are cells, else columns */
	bool has_time; /* else the time is added */
	unsigned items_cnt;
	size_t factor, growth; /* see template_room */
	size_t start_len;      /* bytes of `start` */
	uint8_t head[4];       /* the frame's bytes before its length */
	uint8_t start[TEMPLATE_START_MAX]; /* the bytes after the header, up to
					      the type of the first item */
};

struct templates {
	struct template all[TEMPLATES_MAX];
	unsigned cnt;
	unsigned last; /* index of the one found last */
	unsigned next; /* index of the one to be replaced next */
};

/* Makes a template of the frame (little-endian, asynchronous, not compressed)
 * of an accepted update u, which points into it.  Replaces the oldest one if
 * all are in use; does nothing if the beginning is known or unsuitable. */
void template_learn(struct templates *s, const uint8_t *frame,
		    const struct update *u);

/* The template of a frame of len bytes; NULL if there is none.  Good until the
 * next template_learn. */
const struct template *template_of(struct templates *s, const uint8_t *frame,
				   size_t len);

/* The template of the frame at `at`; NULL also if the avail bytes do not hold
 * the whole frame.  *out_len is the frame's length as announced, 0 if its first
 * bytes are missing. */
static inline const struct template *
template_find(struct templates *s, const uint8_t *at, size_t avail,
	      uint64_t *out_len)
{
	uint64_t len = avail < WIRE_FRAME_MIN ? 0 : wire_load_u32(at + 4);

	*out_len = len;
	return len < WIRE_FRAME_MIN || len > avail ? NULL
						   : template_of(s, at, len);
}

/* How many bytes of its output template_write may touch for a frame of len
 * bytes. */
static inline uint64_t
template_room(const struct template *template, uint64_t len)
{
	return len * template->factor + template->growth;
}

/*
 * Writes the published message of a frame of this template into template_room
 * bytes.  Returns its length and sets *out_rows; or returns 0 if an item is not
 * a usual one or there are no rows: take the general way then.  `avail` (at
 * least len) bytes are readable from the start of the frame; the bytes after
 * the frame may be read, but have no effect.  local_ns as in update_write.
 */
size_t template_write(const struct template *template, const uint8_t *frame,
		      size_t len, size_t avail, int64_t local_ns, uint8_t *at,
		      uint64_t *out_rows);

#endif
