/*
 * The bytes after a journal's last whole record: moved into a file of their
 * own, never thrown away.
 *
 * Invariant: no byte of a journal is gone before its copy is on the disk, and
 * no file is overwritten.  The caller brings the shorter journal to the disk:
 * if that fails, what is before the tail is in doubt too.  Called by open.c,
 * good_records.c and tools/log_repair.c; logs nothing.
 */
#ifndef RINGTICK_JOURNAL_TORN_TAIL_H
#define RINGTICK_JOURNAL_TORN_TAIL_H

#include <stddef.h>
#include <stdint.h>

/*
 * Moves the bytes after the first good_bytes of the journal at path, open in fd
 * for reading and writing and `bytes` long, into the first free PATH.torn.N,
 * whose mode is the journal's, less the umask.  good_bytes < bytes.
 *
 * 0 with the name of that file in out_side; or -errno, and then the journal is
 * as it was and there is no such file.  -ESTALE if the journal is no longer
 * `bytes` long or has been deleted.
 */
int torn_tail_cut(int fd, const char *path, uint64_t good_bytes, uint64_t bytes,
		  char *out_side, size_t side_len);

#endif
