/*
 * A file as it is on the disk, read without the page cache, whose pages may
 * differ from the disk's after a failed write-back.
 */
#ifndef RINGTICK_BASE_DISK_READ_H
#define RINGTICK_BASE_DISK_READ_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { DISK_READ_ALIGN = 4096 }; /* of memory, lengths and offsets */

/* A descriptor, which the caller closes, or -errno: -EINVAL where the file
 * system has no O_DIRECT. */
int disk_read_open(const char *path);

/* Reads len bytes at off; `at`, len and off are multiples of DISK_READ_ALIGN.
 * Returns the bytes read, fewer than len only at the file's end; or -errno. */
ssize_t disk_read_at(int fd, void *at, size_t len, uint64_t off);

#endif
