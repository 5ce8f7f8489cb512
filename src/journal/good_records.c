#include "config.h"

#include "journal/good_records.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "journal/file.h"
#include "journal/torn_tail.h"
#include "journal/window.h"

enum {
	WINDOW_BYTES = 1 << 20,
	PIECE_BYTES = 64 << 20, /* of a recheck: about 0.1 s */
};

uint64_t
good_records_safe_off(const struct good_records *k)
{
	uint64_t missing = k->end_off - k->size;

	/* A longer file was written to at its end, or is another file. */
	if (k->size >= k->end_off)
		return k->seen_off;
	return k->seen_off > missing ? k->seen_off - missing : 0;
}

static int
read_all(int fd, uint8_t *at, size_t len, uint64_t off)
{
	while (len > 0) {
		ssize_t n = pread(fd, at, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ESTALE;
		at += n;
		len -= (size_t)n;
		off += (uint64_t)n;
	}
	return 0;
}

/* Counts the whole records from *off on that end at or before end_off; *off
 * becomes the end of the last one.  0 or -errno. */
static int
count_records(int fd, uint64_t *off, uint64_t end_off, uint64_t *records)
{
	struct journal_window window = journal_window_open(fd, end_off);
	struct journal_record record;
	const char *why;

	window.bytes.fetch_max = JOURNAL_WINDOW_BYTES;
	while (journal_read(&window.bytes, *off, &record, &why) ==
	       JOURNAL_RECORD) {
		*off += record.len;
		(*records)++;
	}
	journal_window_close(&window);
	return window.err;
}

/* 1: the file begins as it did; 0: it does not; or -errno. */
static int
has_head(const struct good_records *k, int fd)
{
	size_t len = (size_t)min_u64(k->head->len, good_records_safe_off(k));
	uint8_t bytes[HISTORY_HEAD_BYTES];
	int err = read_all(fd, bytes, len, 0);

	return err != 0 ? err : memcmp(bytes, k->head->bytes, len) == 0;
}

/* Moves *end_off back to the first byte that differs from memory: another
 * file's records may be as long as ours.  0 or -errno. */
static int
compare_with_memory(const struct good_records *k, int fd, uint64_t *end_off)
{
	uint64_t upto = min_u64(*end_off, k->memory_off + k->memory_len);
	uint64_t off = k->memory_off;
	uint8_t *window;
	int err = 0;

	if (k->memory == NULL || off >= upto)
		return 0;
	window = malloc(WINDOW_BYTES);
	if (window == NULL)
		return -ENOMEM;
	while (err == 0 && off < upto) {
		size_t len = (size_t)min_u64(WINDOW_BYTES, upto - off), i = 0;
		const uint8_t *own = k->memory + (off - k->memory_off);

		err = read_all(fd, window, len, off);
		while (err == 0 && i < len && window[i] == own[i])
			i++;
		if (err == 0 && i < len)
			upto = *end_off = off + i;
		off += len;
	}
	free(window);
	return err;
}

/* Finds the good records.  0 or -errno. */
static int
find_good(struct good_records *k, int fd)
{
	uint64_t off = JOURNAL_HEADER_BYTES, records = 0;
	uint64_t safe_off = good_records_safe_off(k);
	int err;

	k->good_off = k->good_records = 0;
	if (safe_off < JOURNAL_HEADER_BYTES)
		return 0;
	err = has_head(k, fd);
	if (err <= 0)
		return err;
	err = compare_with_memory(k, fd, &safe_off);
	/* A file without the known record in its place is not to be trusted. */
	if (err == 0 && k->known_off <= safe_off)
		err = count_records(fd, &off, k->known_off, &records);
	if (err != 0 ||
	    (k->known_off <= safe_off &&
	     (off != k->known_off || records != k->known_record)))
		return err;
	err = count_records(fd, &off, safe_off, &records);
	k->good_off = off;
	k->good_records = records;
	return err;
}

int
good_records_recheck(struct good_records *k, int fd)
{
	uint64_t from_off = k->good_off, *off = &k->good_off;
	uint64_t end_off = min_u64(k->known_off, from_off + PIECE_BYTES);
	int err;

	if (from_off == JOURNAL_HEADER_BYTES) {
		k->end_off = k->size = k->seen_off = k->known_off;
		err = has_head(k, fd);
		if (err <= 0)
			return err < 0 ? err : -EBADMSG;
	}
	err = count_records(fd, off, end_off, &k->good_records);
	/* a record longer than a piece */
	if (err == 0 && *off == from_off)
		err = count_records(fd, off, k->known_off, &k->good_records);
	if (err != 0)
		return err;
	if (*off == k->known_off)
		return k->good_records == k->known_record ? 0 : -EBADMSG;
	return *off > from_off ? 0 : -EBADMSG;
}

static int
put_header(struct good_records *k, int fd)
{
	ssize_t n = pwrite(fd, journal_header, JOURNAL_HEADER_BYTES, 0);

	if (n != JOURNAL_HEADER_BYTES)
		return n < 0 ? -errno : -ENOSPC;
	k->good_off = JOURNAL_HEADER_BYTES;
	return fdatasync(fd) == 0 ? 0 : -errno;
}

/* Readers compare the file with these bytes until more is written. */
static int
read_tail(struct good_records *k, int fd)
{
	struct history_tail *tail = &k->tail;

	tail->len = (size_t)min_u64(k->good_off, sizeof(tail->bytes));
	tail->off = k->good_off - tail->len;
	return read_all(fd, tail->bytes, tail->len, tail->off);
}

int
good_records_keep(struct good_records *k, const char *path, int fd)
{
	struct stat st;
	int err;

	k->side[0] = '\0';
	if (fstat(fd, &st) != 0)
		return -errno;
	if ((uint64_t)st.st_size != k->size)
		return -ESTALE;
	err = find_good(k, fd);
	/* Read before the cut: a failure after it could not be undone. */
	if (err == 0)
		err = read_tail(k, fd);
	if (err == 0 && k->good_off < k->size)
		err = torn_tail_cut(fd, path, k->good_off, k->size, k->side,
				    sizeof(k->side));
	if (err == 0 && k->side[0] != '\0' && fsync(fd) != 0)
		err = -errno;
	if (err == 0 && k->good_off == 0)
		err = put_header(k, fd);
	return err;
}
