#include "config.h"

#include "base/memory.h"

#include <sys/mman.h>

void *
memory_map(size_t len)
{
	void *at = mmap(NULL, len, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

void
memory_unmap(void *at, size_t len)
{
	if (at != NULL)
		(void)munmap(at, len);
}
