/*
 * How far an object reaches, by the lengths that are in it alone: for objects
 * of which only the end matters, and whose bytes may not all be there.
 *
 * Knows every type whose length can be told and no rule beside lengths: what
 * wire_skip accepts ends here at the same byte, but not the other way round.
 * Nothing recurses, so the depth has no limit; the cost is linear.  Pure.
 * Called by journal/file.c.
 */
#ifndef RINGTICK_WIRE_EXTENT_H
#define RINGTICK_WIRE_EXTENT_H

#include <stdint.h>

/* Where a walk is; it can go on when more bytes are there. */
struct extent {
	uint64_t objects; /* that are still to come */
	uint64_t bytes;	  /* still to come of the one that has begun ... */
	uint64_t symbols; /* ... and then NULs */
};

/* In front of one object. */
#define EXTENT_ONE ((struct extent){ .objects = 1 })

enum extent_step {
	EXTENT_WHOLE,	/* *at is behind the object */
	EXTENT_MORE,	/* its counts reach beyond `end`; go on from *at */
	EXTENT_UNKNOWN, /* nobody knows how long it is */
};

/*
 * Walks on from *at, up to `end`.  Counts that no message can have are
 * unknown, not more: a single damaged bit must not claim the rest of a file.
 */
enum extent_step extent_walk(struct extent *e, const uint8_t **at,
			     const uint8_t *end);

#endif
