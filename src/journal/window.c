#include "config.h"

#include "journal/window.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"

enum { PROGRESS_BYTES = 64 << 20 };

/* Gives the buffer room for `need` bytes, at most all of the file.  0 or
 * -errno. */
static int
widen(struct journal_window *w, uint64_t need)
{
	uint64_t room = max_u64(w->room, JOURNAL_WINDOW_BYTES);
	uint8_t *wider;

	while (room < need)
		room *= 2;
	room = min_u64(room, w->bytes.len);
	if (room == w->room)
		return 0;
	wider = realloc(w->buffer, room);
	if (wider == NULL)
		return -ENOMEM;
	w->buffer = wider;
	w->room = room;
	return 0;
}

/* Reads up to the end of the buffer or of the file.  0 or -errno. */
static int
fill(struct journal_window *w)
{
	struct journal_bytes *b = &w->bytes;

	for (;;) {
		uint64_t off = b->off + b->avail;
		size_t len = min_u64(w->room - b->avail, b->len - off);
		ssize_t n;

		if (len == 0)
			return 0;
		if (w->progress != NULL && off >= w->told_off) {
			w->told_off = off + PROGRESS_BYTES;
			w->progress(off, b->len);
		}
		n = pread(w->fd, w->buffer + b->avail, len, (off_t)off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ESTALE;
		b->avail += (size_t)n;
	}
}

static void
move(struct journal_bytes *b, uint64_t off, uint64_t need)
{
	struct journal_window *w =
		container_of(b, struct journal_window, bytes);
	uint64_t end_off = b->off + b->avail;

	if (w->err == 0)
		w->err = widen(w, need);
	b->at = w->buffer;
	b->avail = 0;
	if (w->err == 0 && off >= b->off && off < end_off) {
		b->avail = end_off - off;
		memmove(w->buffer, w->buffer + (off - b->off), b->avail);
	}
	b->off = off;
	if (w->err == 0)
		w->err = fill(w);
	if (w->err != 0)
		b->len = min_u64(b->len, off + b->avail);
}

struct journal_window
journal_window_open(int fd, uint64_t len)
{
	return (struct journal_window){
		.bytes = { .len = len, .move = move }, .fd = fd
	};
}

void
journal_window_close(struct journal_window *w)
{
	free(w->buffer);
	w->buffer = NULL;
}
