/*
 * A fixed number of equal buffers for what is too long for a connection's own:
 * a long message being received, a long reply, the rest of a frame cut off by a
 * skip.  Memory is reserved at start and taken page by page when first used.
 */
#ifndef RINGTICK_BASE_POOL_H
#define RINGTICK_BASE_POOL_H

#include <stddef.h>
#include <stdint.h>

enum pool_use {
	POOL_INPUT, /* comes in */
	POOL_REPLY, /* goes out */
	POOL_REST,  /* goes out */
};

/* Of a buffer that is in use. */
struct pool_hold {
	void *holder; /* NULL: it is free */
	enum pool_use use;
	int64_t since_ns;
	uint64_t moved_bytes; /* when it was looked at last ... */
	int64_t moved_ns;     /* ... and since when that has not changed */
};

struct pool {
	uint8_t *memory;
	size_t buffer_bytes;
	unsigned cnt;
	unsigned free_cnt;
	uint8_t **free; /* a stack of free_cnt buffers */
	struct pool_hold *holds; /* cnt, in the order of memory */
};

/* 0 or -ENOMEM. */
int pool_open(struct pool *p, unsigned cnt, size_t buffer_bytes);
void pool_close(struct pool *p);

/* NULL if none is free. `hold` says for whom it is, never NULL. */
uint8_t *pool_take(struct pool *p, struct pool_hold hold);

/* Accepts NULL. */
void pool_give(struct pool *p, uint8_t *buffer);

#endif
