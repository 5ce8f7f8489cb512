/*
 * The bytes of a journal's file for the walks of journal/file.h, read piece by
 * piece.  A file that is cut meanwhile, or that the disk cannot read, is an
 * error.
 *
 * Owns its buffer: JOURNAL_WINDOW_BYTES, or the length of the longest record
 * that was walked (of those up to bytes.fetch_max, unless that is 0), rounded
 * up to a power of two.  May block.
 */
#ifndef RINGTICK_JOURNAL_WINDOW_H
#define RINGTICK_JOURNAL_WINDOW_H

#include <stddef.h>
#include <stdint.h>

#include "journal/file.h"

enum { JOURNAL_WINDOW_BYTES = 256 << 10 };

struct journal_window {
	struct journal_bytes bytes;
	int fd;
	int err; /* -errno; -ESTALE: the file was cut.  Not 0: no result of a
		    walk must be used */
	uint8_t *buffer;
	size_t room;
	/* Called, unless NULL, for each stretch of the file that is read, with
	 * the bytes before it and the bytes of the file. */
	void (*progress)(uint64_t done, uint64_t bytes);
	uint64_t told_off; /* it is due from there on */
};

/* A window over the first len bytes of a file, whose descriptor stays the
 * caller's.  Starts empty; journal_window_close frees its buffer. */
struct journal_window journal_window_open(int fd, uint64_t len);

void journal_window_close(struct journal_window *w);

#endif
