#include "config.h"

#include "journal/open.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/util.h"
#include "journal/file.h"
#include "journal/state.h"
#include "journal/torn_tail.h"
#include "journal/window.h"

enum {
	LOCK_TRIES = 10, /* times that its name may be taken away meanwhile */
	/* Whether a longer record is known is not looked at: a damaged count
	 * reaches up to 2 GiB. */
	FETCH_MAX_BYTES = 16 << 20,
};

void (*journal_start_progress)(uint64_t done, uint64_t bytes);

/* Explains errno. */
static bool
fail_directory(const char *directory, char *err, size_t err_len)
{
	return fail_with(errno, err, err_len,
			 "journal.directory \"%s\": %s; make it with: "
			 "install -d -o ringtick %s",
			 directory, strerror(errno), directory);
}

bool
journal_path(const char *directory, const char *name, int32_t day, char *path,
	     size_t path_len, char *err, size_t err_len)
{
	char real[PATH_MAX], date[16];
	int n;

	if (realpath(directory, real) == NULL)
		return fail_directory(directory, err, err_len);
	n = snprintf(path, path_len, "%s/%s%s", real, name,
		     clock_date_text(date, day));
	if (n < 0 || (size_t)n >= path_len)
		return fail_with(ENAMETOOLONG, err, err_len,
				 "journal.directory is too long");
	return true;
}

/* Whether fd's file still has the name; if not, a lock on it is worth
 * nothing. */
static bool
is_named(const char *path, int fd)
{
	struct stat file, named;

	return fstat(fd, &file) == 0 && stat(path, &named) == 0 &&
	       file.st_ino == named.st_ino && file.st_dev == named.st_dev;
}

/* A descriptor or -errno; -EWOULDBLOCK if another process holds the lock. */
static int
try_lock(const char *path)
{
	for (unsigned n = 0; n < LOCK_TRIES; n++) {
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
		int err = 0;

		if (fd < 0)
			return -errno;
		if (flock(fd, LOCK_EX | LOCK_NB) != 0)
			err = errno;
		else if (is_named(path, fd))
			return fd;
		(void)close(fd);
		if (err != 0)
			return -err;
	}
	return -EWOULDBLOCK;
}

static void
lock_path(const char *directory, const char *name, char *out, size_t out_len)
{
	(void)snprintf(out, out_len, "%s/%s.lock", directory, name);
}

int
journal_lock(const char *directory, const char *name, char *err, size_t err_len)
{
	char path[PATH_MAX];
	int fd;

	lock_path(directory, name, path, sizeof(path));
	fd = try_lock(path);
	if (fd >= 0)
		return fd;
	if (fd == -EWOULDBLOCK)
		(void)fail_with(-fd, err, err_len,
				"the journals \"%s\" in %s are in use by "
				"another ringtickd; find its process with: "
				"fuser %s",
				name, directory, path);
	else if (access(directory, F_OK) != 0)
		(void)fail_directory(directory, err, err_len);
	else
		(void)fail_with(-fd, err, err_len,
				"%s cannot be locked: %s; the daemon's user "
				"must be able to write in journal.directory",
				path, strerror(-fd));
	return -1;
}

int
journal_lock_again(const char *directory, const char *name, int fd)
{
	char path[PATH_MAX];
	int made, err;

	lock_path(directory, name, path, sizeof(path));
	if (is_named(path, fd))
		return 0;
	made = try_lock(path);
	if (made < 0)
		return made;
	err = dup3(made, fd, O_CLOEXEC) < 0 ? -errno : 1;
	(void)close(made);
	return err;
}

bool
journal_lock_file(const char *path, int fd, bool is_past, char *err,
		  size_t err_len)
{
	/* If these files cannot be locked, NAME.lock has to do. */
	if (flock(fd, (is_past ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0 ||
	    errno != EWOULDBLOCK)
		return true;
	return fail_with(EWOULDBLOCK, err, err_len,
			 "%s is in use by another ringtickd, or by ringtick "
			 "log --repair; find its process with: fuser %s",
			 path, path);
}

/* Logs a file that mending has left: its name is as sym2026.11.22.rescue.1. */
static void
tell_left(const char *directory, const char *name, const char *file,
	  const char *kind, const char *event, const char *hint)
{
	char pattern[JOURNAL_PATH_MAX], path[PATH_MAX];

	(void)snprintf(pattern, sizeof(pattern), "%s????.??.??.%s.*", name,
		       kind);
	if (fnmatch(pattern, file, 0) != 0)
		return;
	(void)snprintf(path, sizeof(path), "%s/%s", directory, file);
	log_line(LOG_WARN, event, "file=%s hint=\"%s\"", LOG_QUOTED(path),
		 hint);
}

void
journal_tell_left(const char *directory, const char *name)
{
	DIR *dir = opendir(directory);
	const struct dirent *entry;

	if (dir == NULL)
		return;
	while ((entry = readdir(dir)) != NULL) {
		tell_left(directory, name, entry->d_name, "rescue",
			  "journal_half_copy",
			  "a daemon ended while it copied a deleted journal to "
			  "this file: its complete records are good, and no "
			  "other copy is left; save them, then move it away");
		tell_left(directory, name, entry->d_name, "aside",
			  "journal_aside",
			  "it was given the journal's name while a daemon was "
			  "running, which put it aside; move it to where it "
			  "belongs");
	}
	(void)closedir(dir);
}

/* ---- an existing file ---- */

static bool
cut_tail(const char *path, int fd, const struct journal_check *check,
	 uint64_t bytes, char *err, size_t err_len)
{
	char side[PATH_MAX];
	int res = torn_tail_cut(fd, path, check->good_bytes, bytes, side,
				sizeof(side));

	if (res != 0)
		return fail_with(-res, err, err_len,
				 "%s: its torn tail cannot be moved to "
				 "%s.torn.N: %s",
				 path, path, strerror(-res));
	log_line(LOG_WARN, "journal_torn",
		 "file=%s records=%" PRIu64 " cut_bytes=%" PRIu64
		 " side_file=%s why=\"%s\"",
		 LOG_QUOTED(path), check->records, bytes - check->good_bytes,
		 LOG_QUOTED(side), check->why);
	if (check->tail_records > 0)
		log_line(LOG_ERROR, "journal_torn_records",
			 "side_file=%s records=%" PRIu64 " at_byte=%" PRIu64
			 " hint=\"no crash does that: a count before these "
			 "records is damaged, check the disk (dmesg). They are "
			 "no longer served: save them with (head -c 8 %s; tail "
			 "-c "
			 "+%" PRIu64 " %s) >BEHIND, see ringtick log BEHIND, "
			 "publish them with ringtick log --replay HOST:PORT "
			 "BEHIND\"",
			 LOG_QUOTED(side), check->tail_records,
			 check->tail_records_off - check->good_bytes, path,
			 check->tail_records_off - check->good_bytes + 1, side);
	return true;
}

static bool
judge_file(const char *path, int fd, const struct journal_check *check,
	   uint64_t bytes, char *err, size_t err_len)
{
	switch (check->verdict) {
	case JOURNAL_WHOLE:
		return true;
	case JOURNAL_TORN:
		return cut_tail(path, fd, check, bytes, err, err_len);
	case JOURNAL_DAMAGED:
		return fail_with(
			EBADMSG, err, err_len,
			"%s is damaged in the middle: record %" PRIu64
			" at byte %" PRIu64
			" is invalid (%s), and valid records follow at "
			"byte %" PRIu64 "; look at the file with: ringtick log "
			"--verify %s, then move it away or restore it",
			path, check->records, check->good_bytes, check->why,
			check->next_record_off, path);
	case JOURNAL_FOREIGN:
		return fail_with(EINVAL, err, err_len,
				 "%s is not a kdb+ journal (%s); move it away, "
				 "or change journal.directory or journal.name",
				 path, check->why);
	}
	return false;
}

/* A part of the file could not be read. */
static bool
tell_unreadable(const char *path, int fd, uint64_t len, char *err,
		size_t err_len)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && (uint64_t)st.st_size < len)
		return fail_with(ESTALE, err, err_len,
				 "%s was cut while it was checked: find out "
				 "which program did that",
				 path);
	return fail_with(EIO, err, err_len,
			 "parts of %s cannot be read; see dmesg, and restore "
			 "the file from a copy",
			 path);
}

/* When the file was last written, by the monotonic clock; 1 if that was before
 * the clock began, 0 if it is not known. */
static int64_t
written_at(int fd)
{
	struct timespec utc;
	struct stat st;
	int64_t age_ns, at_ns;

	(void)clock_gettime(CLOCK_REALTIME, &utc);
	if (fstat(fd, &st) != 0)
		return 0;
	age_ns = (utc.tv_sec - st.st_mtim.tv_sec) * NS_PER_S + utc.tv_nsec -
		 st.st_mtim.tv_nsec;
	at_ns = clock_monotonic_ns() - (age_ns > 0 ? age_ns : 0);
	return at_ns > 1 ? at_ns : 1;
}

/*
 * The file does not say when its records came, but they are no younger than its
 * last write.  So the reported lag of a consumer that is owed them is never too
 * long.
 */
static void
date_index(struct history_file *f, int64_t written_ns)
{
	for (size_t i = 0; i < f->index.cnt; i++)
		f->index.entries[i].time_ns = written_ns;
}

static bool
check_file(const char *path, struct history_file *f, uint64_t len,
	   struct journal_found *out, char *err, size_t err_len)
{
	struct journal_window window = journal_window_open(f->fd, len);
	struct journal_check check;
	int64_t written_ns = written_at(f->fd);
	int64_t since = clock_monotonic_ns();

	window.bytes.fetch_max = FETCH_MAX_BYTES;
	window.progress = journal_start_progress;
	check = journal_check(&window.bytes, &f->index);
	journal_window_close(&window);
	if (window.err == -ENOMEM)
		return fail_with(ENOMEM, err, err_len,
				 "no memory for reading %s", path);
	if (window.err != 0)
		return tell_unreadable(path, f->fd, len, err, err_len);
	since = clock_monotonic_ns() - since;
	if (!judge_file(path, f->fd, &check, len, err, err_len))
		return false;
	*out = (struct journal_found){
		.bytes = len, .took_ns = since, .check = check
	};
	f->first_record = check.records;
	f->first_off = check.good_bytes;
	date_index(f, written_ns);
	return true;
}

void
journal_tell_found(const char *path, const struct journal_found *found)
{
	const struct journal_check *check = &found->check;

	if (found->is_new)
		return;
	if (check->unknown_records > 0)
		log_line(LOG_WARN, "journal_unknown",
			 "file=%s records=%" PRIu64 " first_record=%" PRIu64
			 " why=\"%s\" hint=\"these records are kept as they "
			 "are, but not served to subscribers\"",
			 LOG_QUOTED(path), check->unknown_records,
			 check->unknown_first, check->unknown_why);
	log_line(LOG_NOTE, "journal_recovered",
		 "file=%s records=%" PRIu64 " bytes=%" PRIu64
		 " seconds=%.3f mb_s=%.0f",
		 LOG_QUOTED(path), check->records, check->good_bytes,
		 (double)found->took_ns / (double)NS_PER_S,
		 (double)found->bytes * 1e3 / (double)(found->took_ns + 1));
}

/* Syncs the name before the file gets its header: if that fails, the next try
 * finds the file unfinished, and does both again. */
static bool
begin_file(const char *path, struct history_file *f, char *err,
	   size_t err_len)
{
	int res = fs_sync_directory_of(path);
	ssize_t n;

	if (res != 0)
		return fail_with(-res, err, err_len,
				 "the directory of %s cannot be brought to the "
				 "disk: %s",
				 path, strerror(-res));
	n = pwrite(f->fd, journal_header, JOURNAL_HEADER_BYTES, 0);
	if (n != JOURNAL_HEADER_BYTES)
		return fail_with(n < 0 ? errno : ENOSPC, err, err_len,
				 "%s cannot be written: %s", path,
				 n < 0 ? strerror(errno) : "disk full");
	f->first_off = JOURNAL_HEADER_BYTES;
	return true;
}

/* Whether the file, shorter than a header, is the start of one. false: it
 * cannot be read. */
static bool
read_header_start(int fd, size_t len, bool *out)
{
	uint8_t start[JOURNAL_HEADER_BYTES];

	*out = len == 0;
	if (len == 0)
		return true;
	if (pread(fd, start, len, 0) != (ssize_t)len)
		return false;
	*out = memcmp(start, journal_header, len) == 0;
	return true;
}

/* Reads the first bytes, by which the file is known after others have written
 * to it. */
static bool
read_head(const char *path, struct history_file *f, char *err, size_t err_len)
{
	size_t len = (size_t)min_u64(sizeof(f->head.bytes), f->first_off);

	if (pread(f->fd, f->head.bytes, len, 0) != (ssize_t)len)
		return tell_unreadable(path, f->fd, f->first_off, err,
				       err_len);
	f->head.len = len;
	return true;
}

/* What mends an error of open(). */
static const char *
open_advice(int error)
{
	switch (error) {
	case EIO:
		return "check the disk (dmesg)";
	case EISDIR:
		return "move it away";
	default:
		return "the daemon's user must be able to write in "
		       "journal.directory";
	}
}

/* Checks or begins the file that f->fd is open on. */
static bool
take_open_file(const char *path, struct history_file *f,
	       struct journal_found *out, char *err, size_t err_len)
{
	bool is_unfinished = false;
	struct stat st;

	if (fstat(f->fd, &st) != 0)
		return fail_with(errno, err, err_len, "%s: %s", path,
				 strerror(errno));
	if (st.st_size < JOURNAL_HEADER_BYTES &&
	    !read_header_start(f->fd, (size_t)st.st_size, &is_unfinished))
		return tell_unreadable(path, f->fd, (uint64_t)st.st_size, err,
				       err_len);
	/* New, or cut off while it was made: nothing is lost. */
	if (is_unfinished) {
		out->is_new = true;
		return begin_file(path, f, err, err_len);
	}
	return check_file(path, f, (uint64_t)st.st_size, out, err, err_len);
}

struct history_file *
journal_open_file(const char *path, enum journal_use use,
		  struct journal_found *out, char *err, size_t err_len)
{
	struct history_file *f = calloc(1, sizeof(*f));

	if (f == NULL) {
		(void)fail_with(ENOMEM, err, err_len,
				"no memory for the journal's index");
		return NULL;
	}
	f->fd = open(path,
		     O_RDWR | (use == JOURNAL_PAST ? 0 : O_CREAT) | O_CLOEXEC,
		     0640);
	if (f->fd < 0) {
		(void)fail_with(errno, err, err_len,
				"%s cannot be opened: %s; %s", path,
				strerror(errno), open_advice(errno));
		free(f);
		return NULL;
	}
	if ((use != JOURNAL_AGAIN &&
	     !journal_lock_file(path, f->fd, use == JOURNAL_PAST, err,
				err_len)) ||
	    !take_open_file(path, f, out, err, err_len) ||
	    !read_head(path, f, err, err_len)) {
		history_file_free(f);
		return NULL;
	}
	return f;
}
