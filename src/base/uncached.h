/*
 * A file as it is on the disk: read past the page cache, whose pages may be
 * other than the disk's after a write-back that failed.
 */
#ifndef RINGTICK_BASE_UNCACHED_H
#define RINGTICK_BASE_UNCACHED_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { UNCACHED_ALIGN = 4096 }; /* of memory, lengths and offsets */

/* A descriptor, or -errno: -EINVAL where the file system cannot. */
int uncached_open(const char *path);

/* Bytes, fewer at the file's end only; or -errno. */
ssize_t uncached_read(int fd, void *at, size_t len, uint64_t off);

#endif
