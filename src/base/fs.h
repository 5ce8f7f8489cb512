/*
 * Steps with which a file gets its bytes and its name so that a crash, or
 * another process, leaves no half of it.  Owns nothing, logs nothing; called by
 * the journal and by the tools.
 */
#ifndef RINGTICK_BASE_FS_H
#define RINGTICK_BASE_FS_H

#include <stddef.h>

/* 0 or -errno. */
int fs_write_all(int fd, const void *bytes, size_t len);

/* Not over a file that has the name: then -EEXIST.  0 or -errno. */
int fs_rename_new(const char *from, const char *to);

/*
 * Brings a file's new name to the disk: its bytes may be there and belong to
 * no name after a power failure.  0 or -errno.
 */
int fs_sync_directory_of(const char *path);

#endif
