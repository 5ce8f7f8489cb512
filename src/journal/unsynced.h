/*
 * The journal after a failed fdatasync: from some byte on it is not known what
 * is on the disk.  The kernel takes the pages for clean from then on, so
 * another fdatasync would succeed and prove nothing.
 *
 * `<directory>/<name>.unsynced` remembers it until the next start:
 *
 *   ringtick unsynced 1
 *   8123 57 sym2026.11.22      first byte, its record, file
 *
 * The next start writes that part of the file anew, and reads it back from the
 * disk, past the page cache.  If doubt remains, the daemon does not start until
 * the operator has checked the disk and removed `.unsynced`.
 *
 * May block: called at the start, by jobs, and before the end.
 */
#ifndef RINGTICK_JOURNAL_UNSYNCED_H
#define RINGTICK_JOURNAL_UNSYNCED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Notes that the journal's file at path is in doubt from byte off on, in which
 * record number `record` is.  A failing disk may not allow that: logs it. */
void journal_unsynced_note(const char *directory, const char *name,
			   const char *path, uint64_t off, uint64_t record);

/*
 * Mends the file that was noted, if one was, and removes the note.  false with
 * err and errno: EBADMSG if the operator must check the disk first.
 */
bool journal_unsynced_mend(const char *directory, const char *name, char *err,
			   size_t err_len);

#endif
