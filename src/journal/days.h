/*
 * Decides on which day a run begins and with which files, and what it leaves
 * for the next run.  No run begins in a day that has ended, so that a claim of
 * a client, which names a day, means one file.
 *
 *   sym2026.11.22     the newest older file: checked and mended too; a client
 *                     that rejoins in it is still owed its `.u.end`
 *   sym2026.11.23     the file of the day
 *   sym.epoch         left by the last run (epoch.h)
 *
 * Synchronous: called at the start, and by jobs (io/file_jobs.h).
 */
#ifndef RINGTICK_JOURNAL_DAYS_H
#define RINGTICK_JOURNAL_DAYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/settings.h"
#include "journal/epoch.h"
#include "journal/history.h"
#include "journal/open.h"

/* How long before the end of a day the file of the next day is opened. */
#define JOURNAL_AHEAD_NS (60 * NS_PER_S)

/* The time at which a day is decided, in ns since 2000.01.01. */
struct journal_moment {
	int64_t utc_ns;
	int64_t local_ns; /* in the zone of days */
	bool is_again;	  /* not at a start: a run corrects its date, ... */
	int32_t day_floor; /* ... to this day or a later one */
};

struct journal_days {
	int32_t day;		     /* the running day */
	char path[4096];	     /* of its file */
	struct history_file *file;   /* the caller frees it, or gives it to
					the history */
	struct history_file *before; /* the same; NULL: no older file */
	int32_t before_day;
};

/*
 * Opens the file of the next day, while a run is open; if it is in doubt, it is
 * mended first, as at a start.  If the file has records already, no stream of
 * this run had them: a client that comes over the end of the day counts from
 * after them, a client that begins with record 0 counts them.  This is noted in
 * the epoch file for the next run.  NULL with err, and the disk's own errno.
 */
struct history_file *journal_days_open_next(const struct settings *settings,
					    int32_t day, const char *path,
					    char *err, size_t err_len);

/* Stores e while the run continues.  Logs an error (-errno) unless *told is the
 * same, and then sets that. */
void journal_days_note(const struct settings *settings, const struct epochs *e,
		       int *told);

/* Decides the day, opens its files, and begins the epoch.  false with err and
 * errno: nothing is open then. */
bool journal_days_begin(const struct settings *settings,
			const struct journal_moment *now, struct epochs *e,
			struct journal_days *out, char *err, size_t err_len);

/* Stores in e and its file that the run has ended well, in `day`, and that no
 * day before day_floor may run any more; logs an error. */
void journal_days_end(const struct settings *settings, struct epochs *e,
		      const struct history *h, int32_t day, int32_t day_floor);

#endif
