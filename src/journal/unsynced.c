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

#include "base/fs.h"
#include "base/log.h"
#include "base/uncached.h"
#include "base/util.h"

enum {
	PIECE_BYTES = 1 << 20,
	BLOCK_BYTES = 4096, /* the unit in which a disk loses bytes */
};

static const char first_line[] = "ringtick unsynced 1\n";

/* The file that is being mended. */
struct work {
	char path[PATH_MAX];
	uint64_t off, record; /* from there on it is in doubt */
	uint64_t size;
	int fd, disk_fd;
	uint8_t *cached, *disk; /* PIECE_BYTES each */
	uint64_t differing;	/* bytes that only the page cache had */
	uint64_t sum;		/* of all bytes that were written anew */
	uint64_t zeros_off;	/* first block of zeros before other bytes; 0 */
	uint64_t last_zeros_off; /* the same, with no other bytes yet */
};

static void
note_path(const char *directory, const char *name, char *path)
{
	(void)snprintf(path, PATH_MAX, "%s/%s.unsynced", directory, name);
}

/* ---- remembering ---- */

void
journal_unsynced_note(const char *directory, const char *name,
		      const char *path, uint64_t off, uint64_t record)
{
	const char *file = strrchr(path, '/') + 1;
	char note[PATH_MAX];
	FILE *f;
	bool ok;

	note_path(directory, name, note);
	f = fopen(note, "we");
	ok = f != NULL &&
	     fprintf(f, "%s%" PRIu64 " %" PRIu64 " %s\n", first_line, off,
		     record, file) > 0 &&
	     fflush(f) == 0 && fsync(fileno(f)) == 0;
	if (f != NULL)
		(void)fclose(f);
	if (!ok || fs_sync_directory_of(note) != 0)
		log_line(LOG_ERROR, "unsynced_not_noted",
			 "file=%s hint=\"the next start may not know that "
			 "the journal is in doubt from byte %" PRIu64
			 " on: compare it with another copy first\"",
			 LOG_QUOTED(note), off);
}

/* 1: there is something to mend; 0: nothing; -1: it cannot be read. */
static int
read_note(const char *directory, const char *note, struct work *w)
{
	char line[sizeof(first_line)], file[NAME_MAX + 1];
	FILE *f = fopen(note, "re");
	int n;

	if (f == NULL)
		return errno == ENOENT ? 0 : -1;
	n = fgets(line, sizeof(line), f) != NULL &&
			    strcmp(line, first_line) == 0
		    ? fscanf(f, "%" SCNu64 " %" SCNu64 " %255[^\n]", &w->off,
			     &w->record, file)
		    : 0;
	(void)fclose(f);
	errno = EBADMSG;
	if (n != 3 || strchr(file, '/') != NULL)
		return -1;
	n = snprintf(w->path, sizeof(w->path), "%s/%s", directory, file);
	return n > 0 && (size_t)n < sizeof(w->path) ? 1 : -1;
}

/* ---- mending ---- */

static uint64_t
sum_up(uint64_t sum, const uint8_t *at, size_t len)
{
	/* FNV-1a, by words: it detects accidents, not attacks */
	for (size_t i = 0; i < len; i += sizeof(uint64_t)) {
		uint64_t word = 0;

		memcpy(&word, at + i,
		       (size_t)min_u64(len - i, sizeof(uint64_t)));
		sum = (sum ^ word) * 0x100000001b3;
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
	ssize_t on_disk = uncached_read(w->disk_fd, w->disk, PIECE_BYTES, off);
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

/* Where the page cache differs from the disk, it has the written bytes: so they
 * are written once more.  0 or -errno. */
static int
write_all_anew(struct work *w)
{
	uint64_t off = w->off - w->off % UNCACHED_ALIGN;

	for (; off < w->size; off += PIECE_BYTES) {
		size_t len = (size_t)min_u64(w->size - off, PIECE_BYTES);
		ssize_t n = pread(w->fd, w->cached, len, (off_t)off);
		int res;

		if (n != (ssize_t)len)
			return n < 0 ? -errno : -EIO;
		look_for_zeros(w, off, len);
		res = write_anew(w, off, len);
		if (res != 0)
			return res;
	}
	return fdatasync(w->fd) != 0 ? -errno : 0;
}

/* 0; -EBADMSG if the disk does not have the written bytes; or -errno. */
static int
read_back(const struct work *w)
{
	uint64_t off = w->off - w->off % UNCACHED_ALIGN, sum = 0;

	for (; off < w->size; off += PIECE_BYTES) {
		size_t len = (size_t)min_u64(w->size - off, PIECE_BYTES);
		ssize_t n = uncached_read(w->disk_fd, w->disk, PIECE_BYTES,
					  off);

		if (n < 0)
			return (int)n;
		if ((size_t)n < len)
			return -EBADMSG;
		sum = sum_up(sum, w->disk, len);
	}
	return sum == w->sum ? 0 : -EBADMSG;
}

static bool
mend(struct work *w, const char *note, char *err, size_t err_len)
{
	static const char doubt[] =
		"%s: an fdatasync had failed, and from byte %" PRIu64
		" (record %" PRIu64 ") on %s (%s); check the disk (dmesg), "
		"compare the file with another copy, and remove %s to take it "
		"as it is";
	int res = write_all_anew(w);

	if (res != 0)
		return fail_with(EBADMSG, err, err_len, doubt, w->path, w->off,
				 w->record, "it could not be written anew",
				 strerror(-res), note);
	res = read_back(w);
	if (res != 0)
		return fail_with(EBADMSG, err, err_len, doubt, w->path, w->off,
				 w->record,
				 "the disk does not have what was written anew",
				 strerror(-res), note);
	if (w->zeros_off != 0)
		return fail_with(EBADMSG, err, err_len,
				 "%s: an fdatasync had failed, and from byte "
				 "%" PRIu64 " on there are zeros, which may be "
				 "lost records; look at them with: ringtick "
				 "log "
				 "%s, and remove %s to take the file as it is",
				 w->path, w->zeros_off, w->path, note);
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
	if (w->fd < 0 && errno == ENOENT)
		return true;
	if (w->fd < 0 || fstat(w->fd, &st) != 0)
		return fail_with(errno, err, err_len, "%s: %s", w->path,
				 strerror(errno));
	w->size = (uint64_t)st.st_size;
	w->disk_fd = uncached_open(w->path);
	if (w->disk_fd < 0)
		return fail_with(EBADMSG, err, err_len,
				 "%s: an fdatasync had failed, and its file "
				 "system cannot tell what is on the disk (%s); "
				 "compare the file with another copy from byte "
				 "%" PRIu64 " on, and remove %s to take it as "
				 "it is",
				 w->path, strerror(-w->disk_fd), w->off, note);
	w->cached = aligned_alloc(UNCACHED_ALIGN, PIECE_BYTES);
	w->disk = aligned_alloc(UNCACHED_ALIGN, PIECE_BYTES);
	if (w->cached == NULL || w->disk == NULL)
		return fail_with(ENOMEM, err, err_len,
				 "no memory for reading the journal");
	return mend(w, note, err, err_len);
}

bool
journal_unsynced_mend(const char *directory, const char *name, char *err,
		      size_t err_len)
{
	struct work w = { .fd = -1, .disk_fd = -1 };
	char note[PATH_MAX];
	int error;
	bool ok;

	note_path(directory, name, note);
	switch (read_note(directory, note, &w)) {
	case 0:
		return true;
	case 1:
		break;
	default:
		return fail_with(errno, err, err_len,
				 "%s cannot be read (%s): an fdatasync had "
				 "failed, and which records are in doubt is "
				 "not known; check the disk and the journal, "
				 "then remove it",
				 note, strerror(errno));
	}
	ok = open_and_mend(&w, note, err, err_len);
	error = errno;
	if (w.fd >= 0)
		(void)close(w.fd);
	if (w.disk_fd >= 0)
		(void)close(w.disk_fd);
	free(w.cached);
	free(w.disk);
	errno = error;
	if (ok && (unlink(note) != 0 || fs_sync_directory_of(note) != 0))
		return fail_with(errno, err, err_len,
				 "%s cannot be removed: %s",
				 note, strerror(errno));
	return ok;
}
