#include "config.h"

#include "journal/unsynced.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/disk_read.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/util.h"
#include "journal/open.h"

enum {
	PIECE_BYTES = 1 << 20,
	PROGRESS_BYTES = 64 << 20, /* it is told after each such stretch */
	BLOCK_BYTES = 4096, /* the unit in which a disk loses bytes */
	DOUBTS_MAX = 8,	    /* more than the files that a run has open */
};

static const char first_line[] = "ringtick unsynced 2\n";
static const char first_line_1[] = "ringtick unsynced 1\n"; /* one file */

/* A file that is in doubt from byte off on. */
struct doubt {
	uint64_t off, record;
	char file[NAME_MAX + 1];
};

struct note {
	char path[PATH_MAX];
	struct doubt doubts[DOUBTS_MAX];
	unsigned cnt;
};

/* The file that is being mended. */
struct work {
	char path[PATH_MAX];
	uint64_t off, record; /* from there on it is in doubt */
	bool is_dry;	      /* nothing is written */
	bool is_gone;	      /* there is no such file */
	uint64_t size;
	int fd, disk_fd;
	uint8_t *cached, *disk; /* PIECE_BYTES each */
	uint64_t differing;	/* bytes that only the page cache had */
	uint64_t sum;		/* of all bytes that were written anew */
	uint64_t zeros_off;	/* first block of zeros before other bytes; 0 */
	uint64_t last_zeros_off; /* the same, with no other bytes yet */
};

/* ---- the note ---- */

static void
note_path(const char *directory, const char *name, char *path)
{
	(void)snprintf(path, PATH_MAX, "%s/%s.unsynced", directory, name);
}

static bool
read_doubt(const char *line, struct doubt *d)
{
	int end = 0, n;

	n = sscanf(line, "%" SCNu64 " %" SCNu64 " %255[^\n/]%n", &d->off,
		   &d->record, d->file, &end);
	return n == 3 && strcmp(line + end, "\n") == 0;
}

static bool
read_lines(FILE *f, struct note *n)
{
	char line[NAME_MAX + 64];

	if (fgets(line, sizeof(line), f) == NULL ||
	    (strcmp(line, first_line) != 0 && strcmp(line, first_line_1) != 0))
		return false;
	while (fgets(line, sizeof(line), f) != NULL)
		if (n->cnt == DOUBTS_MAX ||
		    !read_doubt(line, &n->doubts[n->cnt++]))
			return false;
	return !ferror(f) && n->cnt > 0;
}

/* Reads the note at path; no note is one without doubts.  0; -EBADMSG if it
 * is not a note; or -errno. */
static int
read_note(const char *path, struct note *n)
{
	FILE *f = fopen(path, "re");
	bool is_good;

	n->cnt = 0;
	if (f == NULL)
		return errno == ENOENT ? 0 : -errno;
	is_good = read_lines(f, n);
	(void)fclose(f);
	return is_good ? 0 : -EBADMSG;
}

/* Whether the file at path has these doubts, be they on the disk or not. */
static bool
has_doubts(const char *path, const struct note *wanted)
{
	struct note is;

	if (read_note(path, &is) != 0 || is.cnt != wanted->cnt)
		return false;
	for (unsigned i = 0; i < is.cnt; i++)
		if (is.doubts[i].off != wanted->doubts[i].off ||
		    strcmp(is.doubts[i].file, wanted->doubts[i].file) != 0)
			return false;
	return true;
}

/*
 * Replaces the note in one step; without doubts, removes it.  0 or -errno.  A
 * note that cannot be brought to the disk is good until the machine crashes,
 * and after that a start that finds it empty refuses.
 */
static int
store_note(const struct note *n)
{
	char text[sizeof(first_line) + DOUBTS_MAX * (NAME_MAX + 64)];
	char aside[PATH_MAX + 4];
	size_t len = (size_t)snprintf(text, sizeof(text), "%s", first_line);
	int err, dir_err;

	if (n->cnt == 0) {
		if (unlink(n->path) != 0)
			return -errno;
		return fs_sync_directory_of(n->path);
	}
	for (unsigned i = 0; i < n->cnt; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					"%" PRIu64 " %" PRIu64 " %s\n",
					n->doubts[i].off, n->doubts[i].record,
					n->doubts[i].file);
	(void)snprintf(aside, sizeof(aside), "%s.new", n->path);
	err = fs_write_file(aside, text, len);
	if (err != 0 && !has_doubts(aside, n)) {
		(void)unlink(aside);
		return err;
	}
	if (rename(aside, n->path) != 0)
		return -errno;
	dir_err = fs_sync_directory_of(n->path);
	return err != 0 ? err : dir_err;
}

/* Adds a doubt, or widens one.  false: there is no room for it. */
static bool
add_doubt(struct note *n, const char *file, uint64_t off, uint64_t record)
{
	struct doubt *d = n->doubts;

	while (d < n->doubts + n->cnt && strcmp(d->file, file) != 0)
		d++;
	if (d == n->doubts + DOUBTS_MAX)
		return false;
	if (d < n->doubts + n->cnt && d->off <= off)
		return true;
	d->off = off;
	d->record = record;
	(void)snprintf(d->file, sizeof(d->file), "%s", file);
	if (d == n->doubts + n->cnt)
		n->cnt++;
	return true;
}

int
journal_unsynced_note(const char *directory, const char *name,
		      const char *path, uint64_t off, uint64_t record)
{
	struct note n;
	int err;

	note_path(directory, name, n.path);
	err = read_note(n.path, &n);
	/* A spoilt note stays: with it no start believes any file. */
	if (err != 0)
		return err;
	if (!add_doubt(&n, strrchr(path, '/') + 1, off, record))
		return -E2BIG;
	return store_note(&n);
}

/* ---- mending ---- */

static uint64_t
sum_up(uint64_t sum, const uint8_t *at, size_t len)
{
	for (size_t i = 0; i < len; i += sizeof(uint64_t)) {
		uint64_t word = 0;

		memcpy(&word, at + i,
		       (size_t)min_u64(len - i, sizeof(uint64_t)));
		sum = hash_add(sum, word);
	}
	return sum;
}

/* Looks for blocks of zeros with other bytes after them: the disk may have lost
 * such blocks inside a record, where no check of records sees it. */
static void
look_for_zeros(struct work *w, uint64_t off, size_t len)
{
	static const uint8_t zeros[BLOCK_BYTES];

	for (size_t i = 0; i < len; i += BLOCK_BYTES) {
		size_t n = (size_t)min_u64(len - i, BLOCK_BYTES);
		bool is_zero = memcmp(w->cached + i, zeros, n) == 0;

		if (is_zero && n == BLOCK_BYTES && off + i >= w->off) {
			if (w->last_zeros_off == 0)
				w->last_zeros_off = off + i;
		} else if (!is_zero && w->zeros_off == 0) {
			w->zeros_off = w->last_zeros_off;
		}
	}
}

/* 0 or -errno. */
static int
write_anew(struct work *w, uint64_t off, size_t len)
{
	ssize_t on_disk = disk_read_at(w->disk_fd, w->disk, PIECE_BYTES, off);
	size_t done = 0;

	if (on_disk < 0)
		return (int)on_disk;
	for (size_t i = 0; i < len; i++)
		w->differing +=
			i >= (size_t)on_disk || w->disk[i] != w->cached[i];
	while (done < len) {
		ssize_t n = pwrite(w->fd, w->cached + done, len - done,
				   (off_t)(off + done));

		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	w->sum = sum_up(w->sum, w->cached, len);
	return 0;
}

static void
tell_progress(const struct work *w, uint64_t off)
{
	uint64_t begin = w->off - w->off % DISK_READ_ALIGN;

	if (journal_start_progress != NULL &&
	    (off - begin) % PROGRESS_BYTES == 0)
		journal_start_progress(off, w->size);
}

/* Where the page cache differs from the disk, it has the written bytes: so they
 * are written once more.  0 or -errno. */
static int
write_all_anew(struct work *w)
{
	uint64_t off = w->off - w->off % DISK_READ_ALIGN;

	for (; off < w->size; off += PIECE_BYTES) {
		size_t len = (size_t)min_u64(w->size - off, PIECE_BYTES);
		ssize_t n = pread(w->fd, w->cached, len, (off_t)off);
		int res;

		tell_progress(w, off);
		if (n != (ssize_t)len)
			return n < 0 ? -errno : -EIO;
		look_for_zeros(w, off, len);
		res = w->is_dry ? 0 : write_anew(w, off, len);
		if (res != 0)
			return res;
	}
	return !w->is_dry && fdatasync(w->fd) != 0 ? -errno : 0;
}

/* The errno for a part that could not be mended for a reason (-errno): room may
 * come, but all else is the disk's. */
static int
error_of(int res)
{
	return res == -ENOSPC || res == -EDQUOT || res == -EIO ? -res : EBADMSG;
}

/* 0; -EBADMSG if the disk does not have the written bytes; or -errno. */
static int
read_back(const struct work *w)
{
	uint64_t off = w->off - w->off % DISK_READ_ALIGN, sum = 0;

	for (; off < w->size; off += PIECE_BYTES) {
		size_t len = (size_t)min_u64(w->size - off, PIECE_BYTES);
		ssize_t n = disk_read_at(w->disk_fd, w->disk, PIECE_BYTES,
					  off);

		tell_progress(w, off);
		if (n < 0)
			return (int)n;
		if ((size_t)n < len)
			return -EBADMSG;
		sum = sum_up(sum, w->disk, len);
	}
	return sum == w->sum ? 0 : -EBADMSG;
}

static bool
mend_file(struct work *w, const char *note, char *err, size_t err_len)
{
	static const char doubt[] =
		"%s: an fdatasync had failed, and from byte %" PRIu64
		" (record %" PRIu64 ") on %s (%s); check the disk (dmesg), "
		"compare the file with another copy, and remove %s to take it "
		"as it is";
	int res = write_all_anew(w);

	if (res != 0)
		return fail_with(error_of(res), err, err_len, doubt, w->path,
				 w->off, w->record,
				 "it could not be written anew",
				 strerror(-res), note);
	res = w->is_dry ? 0 : read_back(w);
	if (res != 0)
		return fail_with(error_of(res), err, err_len, doubt, w->path,
				 w->off, w->record,
				 res == -EBADMSG ? "the disk does not have "
						   "what was written anew"
						 : "it could not be read back",
				 res == -EBADMSG ? "other bytes"
						 : strerror(-res),
				 note);
	if (w->zeros_off != 0)
		return fail_with(EBADMSG, err, err_len,
				 "%s: an fdatasync had failed, and from byte "
				 "%" PRIu64 " on there are zeros, which may be "
				 "lost records; look at them with: ringtick "
				 "log "
				 "%s, and remove %s to take the file as it is",
				 w->path, w->zeros_off, w->path, note);
	if (w->is_dry)
		return true;
	log_line(LOG_WARN, "journal_rewritten",
		 "file=%s from_byte=%" PRIu64 " from_record=%" PRIu64
		 " bytes=%" PRIu64 " differing_bytes=%" PRIu64
		 " why=\"an fdatasync had failed before the last stop; it was "
		 "written anew and read back from the disk\"",
		 LOG_QUOTED(w->path), w->off, w->record,
		 w->size > w->off ? w->size - w->off : 0, w->differing);
	return true;
}

static bool
open_and_mend(struct work *w, const char *note, char *err, size_t err_len)
{
	struct stat st;

	w->fd = open(w->path, O_RDWR | O_CLOEXEC);
	/* Moved away, or deleted: the operator has dealt with it. */
	w->is_gone = w->fd < 0 && errno == ENOENT;
	if (w->is_gone)
		return true;
	if (w->fd < 0 || fstat(w->fd, &st) != 0)
		return fail_with(errno, err, err_len, "%s: %s", w->path,
				 strerror(errno));
	w->size = (uint64_t)st.st_size;
	w->disk_fd = disk_read_open(w->path);
	if (w->disk_fd < 0)
		return fail_with(EBADMSG, err, err_len,
				 "%s: an fdatasync had failed, and its file "
				 "system cannot tell what is on the disk (%s); "
				 "compare the file with another copy from byte "
				 "%" PRIu64 " on, and remove %s to take it as "
				 "it is",
				 w->path, strerror(-w->disk_fd), w->off, note);
	w->cached = aligned_alloc(DISK_READ_ALIGN, PIECE_BYTES);
	w->disk = aligned_alloc(DISK_READ_ALIGN, PIECE_BYTES);
	if (w->cached == NULL || w->disk == NULL)
		return fail_with(ENOMEM, err, err_len,
				 "no memory for reading the journal");
	return mend_file(w, note, err, err_len);
}

/* Mends, or only judges, one file of the note. */
static bool
work_on(struct work *w, const char *directory, const struct note *n,
	const struct doubt *d, char *err, size_t err_len)
{
	int error, len;
	bool ok;

	w->fd = w->disk_fd = -1;
	w->off = d->off;
	w->record = d->record;
	len = snprintf(w->path, sizeof(w->path), "%s/%s", directory, d->file);
	if (len < 0 || (size_t)len >= sizeof(w->path))
		return fail_with(ENAMETOOLONG, err, err_len,
				 "journal.directory is too long");
	ok = open_and_mend(w, n->path, err, err_len);
	error = errno;
	if (w->fd >= 0)
		(void)close(w->fd);
	if (w->disk_fd >= 0)
		(void)close(w->disk_fd);
	free(w->cached);
	free(w->disk);
	errno = error;
	return ok;
}

static bool
begin(struct note *n, const char *directory, const char *name, char *err,
      size_t err_len)
{
	int res;

	note_path(directory, name, n->path);
	res = read_note(n->path, n);
	if (res == 0)
		return true;
	return fail_with(-res, err, err_len,
			 "%s cannot be read (%s): an fdatasync had failed, and "
			 "which records are in doubt is not known; check the "
			 "disk and the journal, then remove it",
			 n->path,
			 res == -EBADMSG ? "it is spoilt, or of a newer "
					   "ringtickd"
					 : strerror(-res));
}

bool
journal_unsynced_mend(const char *directory, const char *name,
		      const char *path, char *err, size_t err_len)
{
	struct note n;
	unsigned i = 0;
	int res;

	if (!begin(&n, directory, name, err, err_len))
		return false;
	while (i < n.cnt) {
		struct doubt *d = &n.doubts[i];
		struct work w = { .is_dry = false };

		if (path != NULL && strcmp(d->file, strrchr(path, '/') + 1)) {
			i++;
			continue;
		}
		if (!work_on(&w, directory, &n, d, err, err_len))
			return false;
		*d = n.doubts[--n.cnt];
		res = store_note(&n);
		if (res != 0)
			return fail_with(-res, err, err_len,
					 "%s cannot be %s: %s", n.path,
					 n.cnt == 0 ? "removed" : "shortened",
					 strerror(-res));
	}
	return true;
}

/* Writes a sentence about a file that was judged. */
static void
describe(const struct work *w, const struct note *n, char *text,
	 size_t text_len)
{
	if (w->is_gone)
		(void)snprintf(text, text_len,
			       "%s, which %s says is in doubt, is gone: a "
			       "start does not miss it",
			       w->path, n->path);
	else
		(void)snprintf(text, text_len,
			       "%s is in doubt from byte %" PRIu64
			       " (record %" PRIu64 ") on, since an fdatasync "
			       "failed: a start writes %" PRIu64 " bytes anew "
			       "and reads them back, and refuses with status "
			       "%d if the disk does not have them then",
			       w->path, w->off, w->record,
			       w->size > w->off ? w->size - w->off : 0,
			       EXIT_DISK);
}

bool
journal_unsynced_foresee(const char *directory, const char *name, char *text,
			 size_t text_len, char *err, size_t err_len)
{
	struct note n;
	size_t len = 0;

	text[0] = '\0';
	if (!begin(&n, directory, name, err, err_len))
		return false;
	for (unsigned i = 0; i < n.cnt && len + 2 < text_len; i++) {
		struct work w = { .is_dry = true };

		if (!work_on(&w, directory, &n, &n.doubts[i], err, err_len))
			return false;
		if (i > 0)
			text[len++] = '\n';
		describe(&w, &n, text + len, text_len - len);
		len += strlen(text + len);
	}
	return true;
}
