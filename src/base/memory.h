/*
 * Large memory, taken at the start: zeroed, and the kernel provides each page
 * when it is first used.
 */
#ifndef RINGTICK_BASE_MEMORY_H
#define RINGTICK_BASE_MEMORY_H

#include <stddef.h>

/* len bytes, at a page boundary; the caller unmaps them.  NULL: there is no
 * room. */
void *memory_map(size_t len);

/* Accepts NULL. */
void memory_unmap(void *at, size_t len);

#endif
