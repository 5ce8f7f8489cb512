/*
 * A fixed number of equal buffers for data that is too long for a connection's
 * own buffers: a long message being received, a long reply, the rest of a frame
 * cut off by a skip.  Memory is reserved at the start; the kernel provides each
 * page when it is first used.
 */
#ifndef RINGTICK_BASE_POOL_H
#define RINGTICK_BASE_POOL_H

#include <stddef.h>
#include <stdint.h>

enum pool_use {
	POOL_INPUT, /* a message being received */
	POOL_REPLY, /* goes out */
	POOL_REST,  /* goes out */
};

/* The holder of a buffer that is in use. */
struct pool_hold {
	void *holder; /* NULL: the buffer is free */
	enum pool_use use;
	int64_t since_ns;
	uint64_t moved_bytes; /* at the last look ... */
	int64_t moved_ns;     /* ... and the time since which that has not
				 changed */
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

/* Takes a buffer for hold.holder, which is not NULL.  NULL if none is free. */
uint8_t *pool_take(struct pool *p, struct pool_hold hold);

/* Gives a buffer back.  Accepts NULL. */
void pool_give(struct pool *p, uint8_t *buffer);

#endif
