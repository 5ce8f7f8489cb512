/*
 * The magic ring: one memfd mapped twice, back to back.
 *
 *      base                 base + size          base + 2 * size
 *        |  pages 0 .. n-1    |  pages 0 .. n-1    |
 *        +--------------------+--------------------+
 *        |      ######A       |      ######A       |   a span inside
 *        |#B                ##|#B                ##|   a span over the seam:
 *        +--------------------+--------------------+   contiguous at ##|#B
 *
 * So every span of up to `size` bytes is contiguous in memory, wherever it
 * starts, and nobody who writes or sends a message knows of a seam.
 *
 * A position counts the bytes ever put into the ring; it is 64 bits and never
 * wraps (at 100 GB/s that takes 5 years; the arithmetic is modular all the
 * same).  The mask is applied only at the access.
 */
#ifndef RINGTICK_RING_RING_H
#define RINGTICK_RING_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring {
	uint8_t *base;	  /* of the first view; 2 * size bytes are mapped */
	size_t size;	  /* a power of two */
	bool is_huge;	  /* made of huge pages */
};

/*
 * Maps a ring of `size` bytes, a power of two and a multiple of the page.
 * huge_pages: try 2 MiB pages (size must be a multiple of them), fall back to
 * normal ones; is_huge tells what was got.  touch: take all the memory now.
 * 0 or -errno; *r is then zeroed.
 */
int ring_open(struct ring *r, size_t size, bool huge_pages, bool touch);

/* Leaves the ring out of core dumps; else its first view is in them, and the
 * second, which is the same memory, never. */
void ring_hide_from_core(const struct ring *r);

/* Accepts a zeroed ring. */
void ring_close(struct ring *r);

static inline uint8_t *
ring_at(const struct ring *r, uint64_t pos)
{
	return r->base + (pos & (r->size - 1));
}

#endif
