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
 * starts, and the code that writes or sends a message knows of no seam.
 *
 * A position counts the bytes ever put into the ring; it is 64 bits and never
 * wraps (at 100 GB/s that takes 5 years; all arithmetic is modular anyway).
 * The mask is applied only at the access.
 */
#ifndef RINGTICK_RING_RING_H
#define RINGTICK_RING_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring {
	uint8_t *base;	  /* start of the first view; 2 * size bytes are
			     mapped */
	size_t size;	  /* a power of two */
	bool is_huge;	  /* made of huge pages */
};

/*
 * Maps a ring of `size` bytes, a power of two and a multiple of the page size.
 * huge_pages: try 2 MiB pages (only if size is a multiple of them) and fall
 * back to normal ones; is_huge tells the result. touch: allocate all the memory
 * now.  Returns 0 or -errno; on failure *r is zeroed.
 */
int ring_open(struct ring *r, size_t size, bool huge_pages, bool touch);

/* Leaves the whole ring out of core dumps.  Without this call the first view is
 * in them; the second, which is the same memory, never is. */
void ring_hide_from_core(const struct ring *r);

/* Accepts a zeroed ring. */
void ring_close(struct ring *r);

static inline uint8_t *
ring_at(const struct ring *r, uint64_t pos)
{
	return r->base + (pos & (r->size - 1));
}

#endif
