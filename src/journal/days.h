/*
 * In which day a run begins, with which files, and what it leaves for the next
 * one: never in a day that has ended, so that a claim of a client, which names
 * a day, means one file.
 *
 *   sym2026.11.22     the newest older file: checked and mended too, and its
 *                     `.u.end` owed to who rejoins in it
 *   sym2026.11.23     the day's
 *   sym.epoch         what the last run left (epoch.h)
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

/* The next day's file is opened so long before the day ends. */
#define JOURNAL_AHEAD_NS (60 * NS_PER_S)

/* The moment of the start, in ns since 2000.01.01. */
struct journal_moment {
	int64_t utc_ns;
	int64_t local_ns; /* in the zone of days */
	bool is_again;	  /* no start: the date is corrected in a run, ... */
	int32_t day_floor; /* ... to no earlier day than this */
};

struct journal_days {
	int32_t day;		     /* that runs now */
	char path[4096];	     /* of its file */
	struct history_file *file;   /* the caller frees it, or gives it to
					the history */
	struct history_file *before; /* the same; NULL: there is none */
	int32_t before_day;
};

/* The same as journal_open_file, and what is in the file, which already counts
 * as on the disk, is brought there if anything promises it. */
struct history_file *journal_days_open(const struct settings *settings,
				       const char *path, enum journal_use use,
				       char *err, size_t err_len);

/*
 * The same for the next day, while a run is open.  What is in the file already
 * no stream of this run has had: who comes over the end of the day counts from
 * there, who begins with record 0 does not.  The next run must know that.
 */
struct history_file *journal_days_open_next(const struct settings *settings,
					    int32_t day, const char *path,
					    char *err, size_t err_len);

/* Stores what is in e, of a run that goes on; tells if it cannot. */
void journal_days_note(const struct settings *settings, const struct epochs *e);

/* Decides, opens, and begins the epoch.  false with err and errno: nothing is
 * open then. */
bool journal_days_begin(const struct settings *settings,
			const struct journal_moment *now, struct epochs *e,
			struct journal_days *out, char *err, size_t err_len);

/* The run has ended well, in `day`; no earlier one than day_floor may run. */
void journal_days_end(const struct settings *settings, struct epochs *e,
		      const struct history *h, int32_t day, int32_t day_floor);

#endif
