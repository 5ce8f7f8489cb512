#include "config.h"

#include "journal/journal_private.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "journal/file.h"
#include "journal/unsynced.h"

/* How long the jobs may take that go on when the daemon ends. */
#define LAST_JOBS_NS (1 * NS_PER_S)

/* Logs a failed fdatasync (an errno), and notes for the next start that the
 * file is in doubt from byte off on. */
static void
note_failure(const struct journal *j, const char *path, uint64_t off,
	     uint64_t record, int error)
{
	const char *name = j->settings->journal.name;
	int err;

	log_line(LOG_ERROR, "journal_unsynced",
		 "file=%s from_byte=%" PRIu64 " from_record=%" PRIu64
		 " error=\"%s\" hint=\"fdatasync failed: check the disk "
		 "(dmesg); the next start writes that part anew and reads it "
		 "back\"",
		 LOG_QUOTED(path), off, record, strerror(error));
	err = journal_unsynced_note(j->settings->journal.directory, name, path,
				    off, record);
	if (err != 0)
		log_line(LOG_ERROR, "unsynced_not_noted",
			 "file=%s from_byte=%" PRIu64 " error=\"%s\" "
			 "hint=\"%s.unsynced is not on the disk, and the next "
			 "start may not know of the doubt: compare the file "
			 "with another copy first\"",
			 LOG_QUOTED(path), off, strerror(-err), name);
}

void
journal_note_unsynced(const struct journal *j, int error)
{
	/* With journal.sync "none" no byte was ever known to be on disk. */
	bool is_none = j->settings->journal.sync == SYNC_NONE;

	note_failure(j, j->state.path,
		     is_none ? JOURNAL_HEADER_BYTES : j->synced_off,
		     is_none ? 0 : j->state.synced_records, error);
}

int
journal_sync_ended(const struct journal *j, const struct history_file *f)
{
	char path[JOURNAL_PATH_MAX], err[256];
	int error;

	if (j->settings->journal.sync != SYNC_NONE || fdatasync(f->fd) == 0)
		return 0;
	error = errno;
	if (journal_path(j->settings->journal.directory,
			 j->settings->journal.name, f->day, path, sizeof(path),
			 err, sizeof(err)))
		note_failure(j, path, JOURNAL_HEADER_BYTES, 0, error);
	return error;
}

void
journal_sync_failed(struct journal *j, int error)
{
	journal_note_unsynced(j, error);
	/* A file without a name would vanish with this process.  A job that
	 * brings it back has its copy. */
	if (file_jobs_finish(j->jobs, clock_monotonic_ns() + LAST_JOBS_NS))
		(void)journal_save_unnamed(j);
	die(EXIT_DISK,
	    "journal %s: fdatasync failed (%s): records from %" PRIu64
	    " on may not be on disk; stopped, because no later success could "
	    "be believed; check the disk, then start again",
	    j->state.path, strerror(error), j->state.synced_records);
}
