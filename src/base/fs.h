/*
 * The steps that give a file its bytes and its name in such a way that neither
 * a crash nor another process leaves half a file.  Owns nothing, logs nothing;
 * called by the journal and by the tools.
 */
#ifndef RINGTICK_BASE_FS_H
#define RINGTICK_BASE_FS_H

#include <stddef.h>

/* Writes all len bytes, in as many calls as it takes.  0 or -errno. */
int fs_write_all(int fd, const void *bytes, size_t len);

/* Writes a whole file, and brings its bytes to the disk: a new one, or over an
 * older one, which is lost if that fails.  0 or -errno. */
int fs_write_file(const char *path, const void *bytes, size_t len);

/* Renames, but never over an existing file: then -EEXIST.  0 or -errno. */
int fs_rename_new(const char *from, const char *to);

/*
 * Syncs the directory of a file with a new name: otherwise its bytes can be on
 * the disk after a power failure, but under no name.  0 or -errno.
 */
int fs_sync_directory_of(const char *path);

#endif
