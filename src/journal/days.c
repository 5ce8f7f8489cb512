#include "config.h"

#include "journal/days.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/util.h"
#include "journal/file.h"
#include "journal/open.h"
#include "journal/settings_hash.h"
#include "journal/unsynced.h"

enum { FAR_DAYS = 31 };

/* ---- the files in the folder ---- */

/* Whether a name is that of the journal's file of a day, which is *out_day. */
static bool
is_of_day(const char *file, const char *name, int32_t *out_day)
{
	size_t len = strlen(name);

	return strncmp(file, name, len) == 0 &&
	       strlen(file + len) == CLOCK_DATE_BYTES &&
	       clock_read_date(file + len, out_day);
}

struct folder {
	int32_t newest;	       /* day of the newest file with records */
	int32_t newest_before; /* of the newest file before a day */
};

/* Whether a file of that name is a journal; or may be one, if it cannot be
 * opened.  Whatever else has the name of a day says nothing about that day. */
static bool
is_journal(const char *path, struct stat *st)
{
	uint8_t head[JOURNAL_HEADER_BYTES];
	ssize_t n;
	int fd;

	if (stat(path, st) != 0 || !S_ISREG(st->st_mode))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return true;
	n = pread(fd, head, sizeof(head), 0);
	(void)close(fd);
	return n == sizeof(head) &&
	       memcmp(head, journal_header, sizeof(head)) == 0;
}

/* Finds the newest files; INT32_MIN if there is no such file. */
static bool
look_through(const struct settings *set, int32_t before, struct folder *out,
	     char *err, size_t err_len)
{
	DIR *dir = opendir(set->journal.directory);
	struct dirent *entry;
	char path[PATH_MAX];
	struct stat st;
	int32_t day;

	*out = (struct folder){ INT32_MIN, INT32_MIN };
	if (dir == NULL) {
		(void)snprintf(err, err_len,
			       "journal.directory \"%s\": %s; make it with: "
			       "install -d -o ringtick %s",
			       set->journal.directory, strerror(errno),
			       set->journal.directory);
		return false;
	}
	while ((entry = readdir(dir)) != NULL) {
		if (!is_of_day(entry->d_name, set->journal.name, &day))
			continue;
		if (day < before && day > out->newest_before)
			out->newest_before = day;
		(void)snprintf(path, sizeof(path), "%s/%s",
			       set->journal.directory, entry->d_name);
		if (day > out->newest &&
		    is_journal(path, &st) &&
		    st.st_size > JOURNAL_HEADER_BYTES)
			out->newest = day;
	}
	(void)closedir(dir);
	return true;
}

/*
 * Whether no other daemon holds a file of day `from` or later.  NAME.lock,
 * which is ours, does not exclude that: it is a new file if the one that a
 * running daemon holds was removed.  But such a daemon also holds the lock of
 * its day's file, and its day is not before the newest file with records.
 */
static bool
are_free(const struct settings *set, int32_t from, char *err, size_t err_len)
{
	const char *directory = set->journal.directory;
	DIR *dir = opendir(directory);
	struct dirent *entry;
	char path[PATH_MAX];
	bool are = true;
	int32_t day;

	while (dir != NULL && are && (entry = readdir(dir)) != NULL) {
		int fd;

		if (!is_of_day(entry->d_name, set->journal.name, &day) ||
		    day < from)
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", directory,
			       entry->d_name);
		fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0)
			continue;
		are = journal_lock_file(path, fd, true, err, err_len);
		(void)close(fd);
	}
	if (dir != NULL)
		(void)closedir(dir);
	return are;
}

/*
 * Whether a run that did not end well had begun the day after `day`: the file
 * of that day exists, and not only because it was opened ahead of midnight.
 */
static bool
was_begun(const struct settings *set, int32_t day)
{
	int64_t end_ns = (int64_t)(day + 1) * NS_PER_DAY, made_ns;
	char path[4096], err[256];
	struct stat st;
	struct zone zone; /* its offset may have been another one then */

	if (!journal_path(set->journal.directory, set->journal.name, day + 1,
			  path, sizeof(path), err, sizeof(err)) ||
	    !is_journal(path, &st))
		return false;
	made_ns = (st.st_mtim.tv_sec - CLOCK_KDB_EPOCH_S) * NS_PER_S +
		  st.st_mtim.tv_nsec;
	zone_init(&zone, set->day.zone_is_local, set->day.zone_offset_ns);
	made_ns = zone_local_ns(&zone, made_ns);
	return made_ns < end_ns - JOURNAL_AHEAD_NS;
}

/* The first day that may run: the days before it have ended. */
static int32_t
find_floor(const struct settings *set, const struct journal_moment *now,
	   const struct epochs *e, enum epoch_found found, int32_t newest)
{
	int32_t today = clock_day(now->local_ns);
	int32_t floor = newest;

	if (now->is_again) /* the run knows it */
		return now->day_floor > newest ? now->day_floor : newest;
	if (found != EPOCH_SPOILT && e->day > floor)
		floor = e->day;
	if ((found != EPOCH_CLEAN || e->day == INT32_MIN) && floor <= today &&
	    was_begun(set, today))
		floor = today + 1;
	return floor;
}

/* ---- opening ---- */

/* What is known of a file before it is opened. */
struct known {
	int32_t day;
	const struct epochs *epochs;
	enum epoch_found found;
};

/*
 * An fdatasync has failed (error is an errno).  A second one would succeed and
 * prove nothing: so a file without records is made anew by the next try, and
 * what no earlier fdatasync has covered is noted as in doubt.
 */
static void
explain_unsynced(const struct settings *set, const char *path,
		 const struct history_file *f, const struct known *k, int error,
		 char *err, size_t err_len)
{
	struct epoch_file is = { .day = k->day,
				 .records = f->first_record,
				 .bytes = f->first_off };
	struct epoch_file synced = { .bytes = JOURNAL_HEADER_BYTES };
	int res;

	(void)epoch_synced(k->epochs, k->found, &is, &synced);
	if (is.bytes == JOURNAL_HEADER_BYTES)
		(void)unlink(path);
	if (is.bytes == synced.bytes) {
		(void)fail_with(error, err, err_len,
				"%s cannot be brought to the disk (%s); "
				"nothing in it is in doubt; check the disk "
				"(dmesg)",
				path, strerror(error));
		return;
	}
	res = journal_unsynced_note(set->journal.directory, set->journal.name,
				    path, synced.bytes, synced.records);
	(void)fail_with(error, err, err_len,
			"%s cannot be brought to the disk (%s): from byte "
			"%" PRIu64 " (record %" PRIu64 ") on it is in doubt, "
			"and %s/%s.unsynced %s%s%s; check the disk (dmesg)%s; "
			"the next try writes that part anew",
			path, strerror(error), synced.bytes, synced.records,
			set->journal.directory, set->journal.name,
			res == 0 ? "says so" : "is not on the disk (",
			res == 0 ? "" : strerror(-res), res == 0 ? "" : ")",
			res == 0 ? "" : ", compare the file with another copy");
}

/* Brings what the file has to the disk, since its records count as there.  With
 * journal.sync "none" that matters only for those of earlier runs.  0; or
 * -errno with err, and the file must not be used. */
static int
bring_to_disk(const struct settings *set, const char *path,
	      const struct history_file *f, const struct known *k, char *err,
	      size_t err_len)
{
	int error;

	if ((set->journal.sync == SYNC_NONE && f->first_record == 0) ||
	    fdatasync(f->fd) == 0)
		return 0;
	error = errno;
	explain_unsynced(set, path, f, k, error, err, err_len);
	return -error;
}

static void
tell_not_stored(const struct settings *set, int err)
{
	if (err != 0)
		log_line(LOG_WARN, "epoch_not_stored",
			 "directory=%s error=\"%s\"",
			 LOG_QUOTED(set->journal.directory), strerror(-err));
}

void
journal_days_note(const struct settings *set, const struct epochs *e, int *told)
{
	int err = epoch_store(e, set->journal.directory, set->journal.name);

	if (err != *told)
		tell_not_stored(set, err);
	*told = err;
}

struct history_file *
journal_days_open_next(const struct settings *set, int32_t day,
		       const char *path, char *err, size_t err_len)
{
	struct known known = { .day = day };
	struct journal_found seen;
	struct history_file *f;
	struct epochs e;
	char why[1024];
	int res;

	if (!epoch_load(&e, set->journal.directory, set->journal.name,
			&known.found, why, sizeof(why)))
		known.found = EPOCH_SPOILT;
	known.epochs = &e;
	if (!journal_unsynced_mend(set->journal.directory, set->journal.name,
				   path, err, err_len))
		return NULL;
	f = journal_open_file(path, JOURNAL_WRITE, &seen, err, err_len);
	if (f == NULL)
		return NULL;
	res = bring_to_disk(set, path, f, &known, err, err_len);
	if (res != 0) {
		history_file_free(f);
		errno = -res;
		return NULL;
	}
	journal_tell_found(path, &seen);
	if (f->first_record == 0)
		return f;
	f->since = f->first_record;
	f->since_epoch = EPOCH_NEVER;
	if (known.found == EPOCH_OPEN)
		tell_not_stored(set,
				epoch_note_file(
					&e, set->journal.directory,
					set->journal.name,
					(struct epoch_file){
						.day = day,
						.records = f->first_record,
						.bytes = f->first_off,
						.since = f->since,
						.since_epoch =
							f->since_epoch }));
	return f;
}

/* At a start, whatever the disk says of a failed fdatasync, somebody must look
 * at it: EBADMSG. */
static struct history_file *
open_day(const struct settings *set, const struct known *k,
	 enum journal_use use, char *path, size_t path_len, char *err,
	 size_t err_len)
{
	struct journal_found seen;
	struct history_file *f;

	if (!journal_path(set->journal.directory, set->journal.name, k->day,
			  path, path_len, err, err_len))
		return NULL;
	f = journal_open_file(path, use, &seen, err, err_len);
	if (f == NULL)
		return NULL;
	if (bring_to_disk(set, path, f, k, err, err_len) != 0) {
		history_file_free(f);
		errno = EBADMSG;
		return NULL;
	}
	journal_tell_found(path, &seen);
	return f;
}

/*
 * Whether no file is missing between the files of the days `before` and `day`:
 * the last run may have had one that is gone now.
 */
static bool
is_next_to(const struct epochs *e, enum epoch_found found, int32_t before,
	   int32_t day)
{
	if (found != EPOCH_CLEAN)
		return true; /* claims of other days are refused anyway */
	if (e->files_cnt == 0)
		return false;
	for (unsigned i = 0; i < e->files_cnt; i++)
		if (e->files[i].day > before && e->files[i].day < day)
			return false;
	return true;
}

/* Opens the newest older file.  An error in it does not keep the day from
 * running. */
static void
open_before(const struct settings *set, const struct epochs *e,
	    enum epoch_found found, int32_t newest_before, bool is_again,
	    struct journal_days *out)
{
	struct known known = { newest_before, e, found };
	char path[4096], err[4096 + 512];

	if (newest_before == INT32_MIN ||
	    !is_next_to(e, found, newest_before, out->day))
		return;
	out->before_day = newest_before;
	out->before = open_day(set, &known,
			       is_again ? JOURNAL_AGAIN : JOURNAL_PAST,
			       path, sizeof(path), err, sizeof(err));
	if (out->before == NULL)
		log_line(LOG_WARN, "journal_day_before_unusable",
			 "why=%s hint=\"today runs without it; a subscriber "
			 "that rejoins in that day has to begin anew\"",
			 LOG_QUOTED(err));
}

static void
take_since(struct history_file *f, const struct epoch_file *from)
{
	f->since = from->since;
	f->since_epoch = from->since_epoch;
}

static struct epoch_file
epoch_file_of(int32_t day, const struct history_file *f)
{
	return (struct epoch_file){ .day = day,
				    .records = f->written_records,
				    .bytes = f->written_off,
				    .since = f->since,
				    .since_epoch = f->since_epoch };
}

/* ---- begin and end ---- */

/* Either the clock is wrong, or no update has come for long. */
static void
warn_of_clock(int32_t today, int32_t newest)
{
	char clock[16], file[16];

	if (newest != INT32_MIN &&
	    (newest > today + 1 || newest < today - FAR_DAYS))
		log_line(
			LOG_WARN, "clock_far",
			"clock=%s newest_file=%s hint=\"%s\"",
			clock_date_text(clock, today),
			clock_date_text(file, newest),
			newest > today
				? "its day continues: a day with records is "
				  "never left for an earlier one. If the clock "
				  "is right, move that file away and start "
				  "again"
				: "is the clock right?");
}

/* An epoch after all earlier ones: the seconds since 2000.01.01, by the clock
 * or by the newest file, are more than any count of starts. */
static uint64_t
late_epoch(const struct journal_moment *now, int32_t newest)
{
	int64_t clock_s = now->utc_ns / NS_PER_S;
	int64_t newest_s = newest < 0 ? 0 : (int64_t)newest * 86400;

	return (uint64_t)(clock_s > newest_s ? clock_s : newest_s);
}

static void
tell_epochs(const struct settings *set, const struct epochs *e, uint64_t before,
	    enum epoch_found found, bool is_changed)
{
	const char *directory = set->journal.directory;
	char path[PATH_MAX];

	if (e->now > before + 1) {
		(void)snprintf(path, sizeof(path), "%s/%s.epoch", directory,
			       set->journal.name);
		log_line(LOG_ERROR, "epoch_unknown",
			 "file=%s was=%s epoch=%" PRIu64
			 " hint=\"earlier epochs are no longer known: "
			 "subscribers have to begin the day anew\"",
			 LOG_QUOTED(path),
			 found == EPOCH_NONE ? "missing" : "spoilt", e->now);
	}
	if (is_changed)
		log_line(LOG_ERROR, "journal_changed",
			 "directory=%s name=%s epoch=%" PRIu64
			 " hint=\"a file is shorter or has other records than "
			 "at the last stop: subscribers that have its records "
			 "must begin the day anew\"",
			 LOG_QUOTED(directory), set->journal.name, e->now);
}

static bool
begin_epoch(const struct settings *set, const struct journal_moment *now,
	    enum epoch_found found, int32_t floor, struct epochs *e,
	    struct journal_days *days, char *err, size_t err_len)
{
	struct history_file *files[EPOCH_FILES] = { days->before, days->file };
	uint64_t before = e->now;
	bool is_changed;
	struct epoch_run run = {
		.settings = settings_hash(set),
		.at_least = late_epoch(now, days->day),
		.day = floor,
	};

	for (unsigned i = 0; i < EPOCH_FILES; i++)
		if (files[i] != NULL)
			run.files[run.files_cnt++] = (struct epoch_file){
				.day = i == 0 ? days->before_day : days->day,
				.records = files[i]->first_record,
				.bytes = files[i]->first_off,
			};
	if (!epoch_begin(e, set->journal.directory, set->journal.name, found,
			 &run, &is_changed, err, err_len))
		return false;
	tell_epochs(set, e, before, found, is_changed);
	take_since(days->file, &e->files[e->files_cnt - 1]);
	if (days->before != NULL)
		take_since(days->before, &e->files[0]);
	return true;
}

static const char *
last_stop(const struct journal_moment *now, enum epoch_found found,
	  const struct epochs *e)
{
	if (now->is_again)
		return "none";
	/* The epoch file was deleted, and there are records. */
	if (found == EPOCH_NONE && e->now > 0)
		return epoch_found_names[EPOCH_SPOILT];
	return epoch_found_names[found];
}

bool
journal_days_begin(const struct settings *set, const struct journal_moment *now,
		   struct epochs *e, struct journal_days *out, char *err,
		   size_t err_len)
{
	int32_t today = clock_day(now->local_ns), floor;
	enum epoch_found found;
	struct folder folder;

	*out = (struct journal_days){ .day = today };
	if (!look_through(set, today, &folder, err, err_len) ||
	    (!now->is_again && !are_free(set, folder.newest, err, err_len)) ||
	    !epoch_load(e, set->journal.directory, set->journal.name, &found,
			err, err_len))
		return false;
	if (!now->is_again)
		warn_of_clock(today, folder.newest);
	floor = find_floor(set, now, e, found, folder.newest);
	if (floor > today) {
		out->day = floor;
		if (!look_through(set, floor, &folder, err, err_len))
			return false;
	}
	out->file = open_day(set, &(struct known){ out->day, e, found },
			     now->is_again ? JOURNAL_AGAIN : JOURNAL_WRITE,
			     out->path, sizeof(out->path), err, err_len);
	if (out->file == NULL)
		return false;
	open_before(set, e, found, folder.newest_before, now->is_again, out);
	if (!begin_epoch(set, now, found, floor, e, out, err, err_len)) {
		history_file_free(out->file);
		history_file_free(out->before);
		return false;
	}
	log_line(LOG_INFO, "journal",
		 "file=%s records=%" PRIu64 " bytes=%" PRIu64 " epoch=%" PRIu64
		 " last_stop=%s",
		 LOG_QUOTED(out->path), out->file->first_record,
		 out->file->first_off, e->now,
		 last_stop(now, found, e));
	return true;
}

void
journal_days_end(const struct settings *set, struct epochs *e,
		 const struct history *h, int32_t day, int32_t day_floor)
{
	const struct history_file *last = history_last(h);
	const struct history_file *before = history_before(h, last);

	/* Without a floor every day may run: that is known, too. */
	e->day = day_floor == INT32_MIN ? 0 : day_floor;
	e->files_cnt = 0;
	if (before != NULL)
		e->files[e->files_cnt++] = epoch_file_of(before->day, before);
	e->files[e->files_cnt++] = epoch_file_of(day, last);
	tell_not_stored(set, epoch_end(e, set->journal.directory,
				       set->journal.name));
}
