#include "config.h"

#include "pool.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "util.h"

int
pool_open(struct pool *p, unsigned cnt, size_t buffer_bytes)
{
	void *memory = mmap(NULL, cnt * buffer_bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	*p = (struct pool){ .buffer_bytes = buffer_bytes, .cnt = cnt };
	if (memory == MAP_FAILED)
		return -ENOMEM;
	p->memory = memory;
	p->free = calloc(cnt, sizeof(*p->free));
	if (p->free == NULL) {
		pool_close(p);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < cnt; i++)
		pool_give(p, p->memory + (cnt - 1 - i) * buffer_bytes);
	return 0;
}

void
pool_close(struct pool *p)
{
	if (p->memory != NULL)
		(void)munmap(p->memory, p->cnt * p->buffer_bytes);
	free(p->free);
	*p = (struct pool){ 0 };
}

uint8_t *
pool_take(struct pool *p)
{
	return p->free_cnt == 0 ? NULL : p->free[--p->free_cnt];
}

void
pool_give(struct pool *p, uint8_t *buffer)
{
	if (buffer == NULL)
		return;
	CHECK(p->free_cnt < p->cnt);
	p->free[p->free_cnt++] = buffer;
}
