/*
 * The journal after a failed fdatasync: from some byte on it is not known what
 * is on the disk.  The kernel takes the pages for clean from then on, so
 * another fdatasync would succeed and prove nothing.
 *
 * `<directory>/<name>.unsynced` remembers it until the next start:
 *
 *   ringtick unsynced 2
 *   8123 57 sym2026.11.22      first byte, its record, file
 *   8 0 sym2026.11.23
 *
 * The next start writes these parts of the files anew, and reads them back from
 * the disk, past the page cache.  If doubt remains, the daemon does not start
 * until the operator has checked the disk and removed `.unsynced`.
 *
 * Invariant: a doubt leaves the note only when its part of the file was read
 * back, or when the file is gone.
 *
 * May block: called at the start, by jobs, before the end, and by --check.
 */
#ifndef RINGTICK_JOURNAL_UNSYNCED_H
#define RINGTICK_JOURNAL_UNSYNCED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Notes that the journal's file at path is in doubt from byte off on, in which
 * record number `record` is; an earlier doubt about it, or about another file,
 * stays.  0; or -errno if that is not on the disk: a start may know it all the
 * same, unless the machine crashes first.
 */
int journal_unsynced_note(const char *directory, const char *name,
			  const char *path, uint64_t off, uint64_t record);

/*
 * Mends the files that were noted, or only the one at `path` if that is not
 * NULL, and removes them from the note.  false with err and errno: EIO or
 * EBADMSG if the operator must check the disk first.
 */
bool journal_unsynced_mend(const char *directory, const char *name,
			   const char *path, char *err, size_t err_len);

/*
 * For --check: what a start would do about the note, as a line for each
 * file in text; "" without a note.  false with err and errno if the start would
 * refuse, as far as that is seen without writing.
 */
bool journal_unsynced_foresee(const char *directory, const char *name,
			      char *text, size_t text_len, char *err,
			      size_t err_len);

#endif
