#include "config.h"

#include "base/pool.h"

#include <errno.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/util.h"

int
pool_open(struct pool *p, unsigned cnt, size_t buffer_bytes)
{
	*p = (struct pool){ .buffer_bytes = buffer_bytes, .cnt = cnt };
	p->memory = memory_map(cnt * buffer_bytes);
	p->free = calloc(cnt, sizeof(*p->free));
	p->holds = calloc(cnt, sizeof(*p->holds));
	if (p->memory == NULL || p->free == NULL || p->holds == NULL) {
		pool_close(p);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < cnt; i++)
		p->free[i] = p->memory + (cnt - 1 - i) * buffer_bytes;
	p->free_cnt = cnt;
	return 0;
}

void
pool_close(struct pool *p)
{
	memory_unmap(p->memory, p->cnt * p->buffer_bytes);
	free(p->free);
	free(p->holds);
	*p = (struct pool){ 0 };
}

static struct pool_hold *
hold_of(struct pool *p, const uint8_t *buffer)
{
	return &p->holds[(size_t)(buffer - p->memory) / p->buffer_bytes];
}

uint8_t *
pool_take(struct pool *p, struct pool_hold hold)
{
	uint8_t *buffer;

	CHECK(hold.holder != NULL);
	if (p->free_cnt == 0)
		return NULL;
	buffer = p->free[--p->free_cnt];
	*hold_of(p, buffer) = hold;
	return buffer;
}

void
pool_give(struct pool *p, uint8_t *buffer)
{
	if (buffer == NULL)
		return;
	CHECK(p->free_cnt < p->cnt && hold_of(p, buffer)->holder != NULL);
	hold_of(p, buffer)->holder = NULL;
	p->free[p->free_cnt++] = buffer;
}
