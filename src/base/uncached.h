/*
 * A file as it is on the disk, read without the page cache, whose pages may
 * differ from the disk's after a failed write-back.
 */
#ifndef RINGTICK_BASE_UNCACHED_H
#define RINGTICK_BASE_UNCACHED_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { UNCACHED_ALIGN = 4096 }; /* of memory, lengths and offsets */

/* A descriptor, which the caller closes, or -errno: -EINVAL where the file
 * system has no O_DIRECT. */
int uncached_open(const char *path);

/* Reads len bytes at off; `at`, len and off are multiples of UNCACHED_ALIGN.
 * Returns the bytes read, fewer than len only at the file's end; or -errno. */
ssize_t uncached_read(int fd, void *at, size_t len, uint64_t off);

#endif
