/*
 * What a failed fdatasync leaves: from some byte of the journal on nobody knows
 * what is on the disk.  The kernel calls its pages clean from then on, so that
 * another fdatasync would succeed and mean nothing.
 *
 * `<directory>/<name>.unsynced` remembers it until the next start:
 *
 *   ringtick unsynced 1
 *   8123 57 sym2026.11.22      first byte, its record, file
 *
 * The next start writes that part of the file anew, and reads it back from the
 * disk, past the page cache.  What stays in doubt keeps it from starting, until
 * the operator has looked and removed `.unsynced`.
 *
 * Called where nothing else runs: at the start, and before the end.
 */
#ifndef RINGTICK_JOURNAL_UNSYNCED_H
#define RINGTICK_JOURNAL_UNSYNCED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Remembers it, as well as a failing disk allows: logs what it could not. path
 * is the journal's file. */
void journal_unsynced_note(const char *directory, const char *name,
			   const char *path, uint64_t off, uint64_t record);

/*
 * Mends what was remembered, if anything was.  false with err and errno:
 * EBADMSG where somebody must look at the disk first.
 */
bool journal_unsynced_mend(const char *directory, const char *name, char *err,
			   size_t err_len);

#endif
