/*
 * The least that a relay of kdb+ messages can do, to compare ringtick with: one
 * thread with epoll and send, which reads nothing of a message but its length.
 * Publishers are received straight into one ring; a subscriber is a position in
 * the ring; all whole messages are sent at once; EPOLLOUT is asked for only
 * after EAGAIN.  A subscriber that is a whole ring behind is dropped.
 *
 *   plain_relay -p PORT [-j JOURNAL] [-b] [-v]
 *
 * -j  Writes the messages without their headers, as kdb+'s log has them.  The
 *     file is written out, and its pages leave the page cache 64 MiB later.
 * -b  Never waits in the kernel.
 * -v  Sends page references (doc/notes/page-references.md): in place of the
 *     ring there is a long area of private 2 MiB pages, which only grows.
 *     vmsplice() puts them into a pipe of each subscriber, splice() into its
 *     socket.  Pages that all subscribers have are unmapped and never written
 *     again: the sockets, and on loopback the readers' sockets, keep their
 *     references as long as they need them.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/util.h"
#include "measure.h"
#include "ring/ring.h"
#include "sockets.h"
#include "wire/wire.h"

enum {
	SUBSCRIBERS_MAX = 4096,
	EVENTS = 256,
	CHUNK_BYTES = 1 << 20,	 /* most of one recv */
	BACKLOG_MAX = 64 << 20,	 /* the ring; with -v most that is kept */
	MESSAGE_MAX = BACKLOG_MAX / 4,
	PAGE_BYTES = 2 << 20,	 /* -v: of the area */
	PIPE_BYTES = 1 << 20,	 /* -v */
	SPLICE_MIN = 16 << 10,	 /* -v: less is copied */
	PIECES_MAX = 1024,
	RECYCLE_BYTES = 16 << 20,
	RECYCLE_LAG = 4,	 /* pieces of RECYCLE_BYTES */
};
#define AREA_BYTES (1ull << 38) /* -v: sparse */

enum peer_state { HANDSHAKE, PUBLISHER, SUBSCRIBER };

struct peer {
	int fd;
	enum peer_state state;
	bool is_blocked, is_dead;
	unsigned idx;	  /* a subscriber's, in subscribers[] */
	uint64_t pos;	  /* sent until here */
	uint8_t *stash;	  /* a begun message, while others use the ring */
	size_t stash_len;
	int pipe[2];	  /* -v */
	size_t piped;	  /* bytes after pos in the pipe */
	struct peer *next_dead;
};

static struct ring ring; /* with -v the area */
/* Whole messages end at whole_pos; after them is what `owner` has begun. */
static uint64_t head_pos, whole_pos, unmapped_pos;
static struct peer *owner, *subscribers[SUBSCRIBERS_MAX], *dead;
static unsigned subscribers_cnt;
static int poller, journal = -1;
static uint64_t journal_len;
static bool has_references; /* -v */

static uint32_t
message_len(uint64_t pos)
{
	return wire_load_u32(ring_at(&ring, pos) + 4);
}

/* ---- peers ---- */

static void
wait_for(struct peer *p, int operation, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = p };

	(void)epoll_ctl(poller, operation, p->fd, &e);
}

/* It is freed when all events of this round were looked at. */
static void
drop(struct peer *p)
{
	if (p->state == SUBSCRIBER) {
		subscribers[p->idx] = subscribers[--subscribers_cnt];
		subscribers[p->idx]->idx = p->idx;
		if (has_references) {
			(void)close(p->pipe[0]);
			(void)close(p->pipe[1]);
		}
	}
	if (owner == p) {
		owner = NULL;
		head_pos = whole_pos;
	}
	(void)close(p->fd);
	free(p->stash);
	p->is_dead = true;
	p->next_dead = dead;
	dead = p;
}

static void
free_dead(void)
{
	while (dead != NULL) {
		struct peer *p = dead;

		dead = p->next_dead;
		free(p);
	}
}

/* ---- sending ---- */

/* By references; as send(). */
static ssize_t
splice_some(struct peer *p)
{
	ssize_t n;

	if (p->piped == 0) {
		struct iovec all = { ring_at(&ring, p->pos),
				     whole_pos - p->pos };

		n = vmsplice(p->pipe[1], &all, 1, SPLICE_F_NONBLOCK);
		if (n <= 0)
			return n;
		p->piped = (size_t)n;
	}
	n = splice(p->pipe[0], NULL, p->fd, NULL, p->piped, SPLICE_F_NONBLOCK);
	if (n > 0)
		p->piped -= (size_t)n;
	return n;
}

/* Sends what the socket takes of all that it lacks. False: it is gone. */
static bool
pump(struct peer *p)
{
	while (p->pos < whole_pos) {
		uint64_t len = whole_pos - p->pos;
		ssize_t n;

		if (has_references && (p->piped > 0 || len >= SPLICE_MIN))
			n = splice_some(p);
		else
			n = send(p->fd, ring_at(&ring, p->pos), len,
				 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN)
			return false;
		if (n < 0) {
			if (!p->is_blocked)
				wait_for(p, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
			p->is_blocked = true;
			return true;
		}
		p->pos += (uint64_t)n;
	}
	if (p->is_blocked)
		wait_for(p, EPOLL_CTL_MOD, EPOLLIN);
	p->is_blocked = false;
	return true;
}

static void
pump_all(void)
{
	for (unsigned i = subscribers_cnt; i-- > 0;)
		if (!subscribers[i]->is_blocked && !pump(subscribers[i]))
			drop(subscribers[i]);
}

/* All subscribers are up to here. *out_slowest: NULL if none lacks anything. */
static uint64_t
find_tail(struct peer **out_slowest)
{
	uint64_t tail_pos = whole_pos;

	*out_slowest = NULL;
	for (unsigned i = 0; i < subscribers_cnt; i++)
		if (subscribers[i]->pos < tail_pos) {
			tail_pos = subscribers[i]->pos;
			*out_slowest = subscribers[i];
		}
	return tail_pos;
}

static void
unmap_sent(void)
{
	struct peer *slowest;
	uint64_t tail_pos = find_tail(&slowest) & ~(PAGE_BYTES - 1ull);

	if (tail_pos < unmapped_pos + 2 * PAGE_BYTES)
		return;
	(void)madvise(ring.base + unmapped_pos, tail_pos - unmapped_pos,
		      MADV_DONTNEED);
	unmapped_pos = tail_pos;
}

/* ---- the journal ---- */

/* Pages leave the page cache: finding new ones for each write is expensive. */
static void
recycle(uint64_t len)
{
	uint64_t before = journal_len / RECYCLE_BYTES;
	uint64_t now = (journal_len + len) / RECYCLE_BYTES;
	off_t off = (off_t)((now - 1) * RECYCLE_BYTES);

	journal_len += len;
	if (before == now)
		return;
	(void)sync_file_range(journal, off, RECYCLE_BYTES,
			      SYNC_FILE_RANGE_WRITE);
	off -= (off_t)RECYCLE_LAG * RECYCLE_BYTES;
	if (off < 0)
		return;
	(void)sync_file_range(journal, off, RECYCLE_BYTES,
			      SYNC_FILE_RANGE_WAIT_BEFORE |
				      SYNC_FILE_RANGE_WRITE |
				      SYNC_FILE_RANGE_WAIT_AFTER);
	(void)posix_fadvise(journal, off, RECYCLE_BYTES, POSIX_FADV_DONTNEED);
}

static void
write_journal(uint64_t pos, uint64_t end_pos)
{
	struct iovec pieces[PIECES_MAX];

	while (pos < end_pos) {
		int cnt = 0;
		ssize_t n;

		for (; pos < end_pos && cnt < PIECES_MAX; cnt++) {
			uint32_t len = message_len(pos);

			pieces[cnt] = (struct iovec){
				ring_at(&ring, pos) + WIRE_HEADER_BYTES,
				len - WIRE_HEADER_BYTES
			};
			pos += len;
		}
		n = writev(journal, pieces, cnt);
		if (n < 0)
			give_up("cannot write the journal");
		recycle((uint64_t)n);
	}
}

/* ---- receiving ---- */

/* Puts aside what another publisher has begun, and brings back its own. */
static void
own_ring(struct peer *p)
{
	if (owner == p)
		return;
	if (owner != NULL && head_pos > whole_pos) {
		owner->stash_len = head_pos - whole_pos;
		owner->stash = realloc(owner->stash, owner->stash_len);
		CHECK(owner->stash != NULL);
		memcpy(owner->stash, ring_at(&ring, whole_pos),
		       owner->stash_len);
	}
	head_pos = whole_pos + p->stash_len;
	owner = p;
	if (p->stash_len > 0)
		memcpy(ring_at(&ring, whole_pos), p->stash, p->stash_len);
	p->stash_len = 0;
}

/* Once all is sent the ring begins again: that memory is in the cache. */
static void
rewind_ring(void)
{
	head_pos = whole_pos = 0;
	for (unsigned i = 0; i < subscribers_cnt; i++)
		subscribers[i]->pos = 0;
}

/* A chunk, or the rest of a begun message. */
static uint64_t
wanted_len(void)
{
	uint64_t begun = head_pos - whole_pos;

	if (begun < WIRE_HEADER_BYTES)
		return CHUNK_BYTES;
	return max_u64(message_len(whole_pos) - begun, CHUNK_BYTES);
}

/* Drops those who are in the way. Returns the bytes that there is room for. */
static uint64_t
make_room(void)
{
	struct peer *slowest;
	uint64_t tail_pos = find_tail(&slowest), len;

	if (!has_references && tail_pos == head_pos) {
		rewind_ring();
		tail_pos = 0;
	}
	len = wanted_len();
	while (slowest != NULL && head_pos - tail_pos + len > BACKLOG_MAX) {
		drop(slowest);
		tail_pos = find_tail(&slowest);
	}
	len = min_u64(len, BACKLOG_MAX - (head_pos - tail_pos));
	/* Sockets may still refer to what was at the start. */
	if (has_references && head_pos + len > ring.size)
		give_up("-v relays %zu GiB at most", ring.size >> 30);
	return len;
}

/* A synchronous request makes a subscriber; it is answered by (::). */
static bool
subscribe(struct peer *p)
{
	uint8_t answer[WIRE_FRAME_MIN];
	struct wire_writer w = wire_writer(answer, sizeof(answer));
	size_t header = wire_begin_frame(&w, WIRE_RESPONSE);

	wire_put_null(&w);
	wire_end_frame(&w, header);
	head_pos = whole_pos;
	owner = NULL;
	if (subscribers_cnt == SUBSCRIBERS_MAX ||
	    send(p->fd, answer, wire_written(&w), MSG_NOSIGNAL) !=
		    (ssize_t)wire_written(&w))
		return false;
	if (has_references) {
		if (pipe2(p->pipe, O_NONBLOCK | O_CLOEXEC) != 0)
			return false;
		(void)fcntl(p->pipe[1], F_SETPIPE_SZ, PIPE_BYTES);
	}
	p->state = SUBSCRIBER;
	p->pos = whole_pos;
	p->idx = subscribers_cnt;
	subscribers[subscribers_cnt++] = p;
	return true;
}

/* Moves whole_pos after what has come whole. False: the peer is wrong. */
static bool
take_messages(struct peer *p)
{
	while (head_pos - whole_pos >= WIRE_HEADER_BYTES) {
		uint32_t len = message_len(whole_pos);

		if (len < WIRE_FRAME_MIN || len > MESSAGE_MAX)
			return false;
		if (head_pos - whole_pos < len)
			break;
		if (ring_at(&ring, whole_pos)[1] == WIRE_SYNC)
			return subscribe(p);
		whole_pos += len;
	}
	return true;
}

static bool
on_publisher(struct peer *p)
{
	uint64_t before_pos, len;
	ssize_t n;

	own_ring(p);
	len = make_room();
	if (len == 0)
		return true;
	n = recv(p->fd, ring_at(&ring, head_pos), len, MSG_DONTWAIT);
	if (n <= 0)
		return n < 0 && errno == EAGAIN;
	head_pos += (uint64_t)n;
	before_pos = whole_pos;
	if (!take_messages(p))
		return false;
	if (journal >= 0)
		write_journal(before_pos, whole_pos);
	if (whole_pos != before_pos)
		pump_all();
	if (has_references)
		unmap_sent();
	return true;
}

/* Before its first message it sends "user:password", a byte and a NUL. */
static bool
on_handshake(struct peer *p)
{
	char hello[256];
	ssize_t n = recv(p->fd, hello, sizeof(hello), MSG_DONTWAIT);

	if (n <= 0)
		return n < 0 && errno == EAGAIN;
	if (memchr(hello, 0, (size_t)n) == NULL)
		return true;
	p->state = PUBLISHER;
	return send(p->fd, "\3", 1, MSG_NOSIGNAL) == 1;
}

/* Its bytes are thrown away. */
static bool
on_subscriber(struct peer *p)
{
	char bytes[4096];
	ssize_t n = recv(p->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	return n > 0 || (n < 0 && errno == EAGAIN);
}

static bool
on_readable(struct peer *p)
{
	switch (p->state) {
	case HANDSHAKE:
		return on_handshake(p);
	case PUBLISHER:
		return on_publisher(p);
	case SUBSCRIBER:
		return on_subscriber(p);
	}
	return false;
}

/* ---- main ---- */

static void
open_area(void)
{
	uint8_t *at = mmap(NULL, AREA_BYTES + PAGE_BYTES,
			   PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		give_up("cannot map the area");
	ring.base = at + (-(uintptr_t)at & (PAGE_BYTES - 1));
	ring.size = AREA_BYTES;
	(void)madvise(ring.base, ring.size, MADV_HUGEPAGE);
}

static void
accept_peer(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct peer *p;

	if (fd < 0)
		return;
	socket_set_nodelay(fd);
	p = calloc(1, sizeof(*p));
	CHECK(p != NULL);
	p->fd = fd;
	wait_for(p, EPOLL_CTL_ADD, EPOLLIN);
}

static void
on_event(const struct epoll_event *event, int listener)
{
	struct peer *p = event->data.ptr;

	if (p == NULL)
		accept_peer(listener);
	else if (!p->is_dead && (event->events & EPOLLOUT) != 0 && !pump(p))
		drop(p);
	else if (!p->is_dead &&
		 (event->events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 &&
		 !on_readable(p) && !p->is_dead)
		drop(p);
}

static void
open_journal(const char *path)
{
	journal = open(path,
		       O_CREAT | O_TRUNC | O_WRONLY | O_APPEND | O_CLOEXEC,
		       0600);
	if (journal < 0)
		give_up("cannot open %s", path);
}

int
main(int argc, char **argv)
{
	struct epoll_event events[EVENTS];
	struct epoll_event e = { .events = EPOLLIN };
	int port = 0, wait_ms = -1, letter, listener;

	while ((letter = getopt(argc, argv, "p:j:bv")) >= 0)
		if (letter == 'p')
			port = (int)number_from(optarg);
		else if (letter == 'j')
			open_journal(optarg);
		else if (letter == 'b')
			wait_ms = 0;
		else if (letter == 'v')
			has_references = true;
		else
			return EXIT_FAILURE;
	ignore_sigpipe();
	if (has_references)
		open_area();
	else if (ring_open(&ring, BACKLOG_MAX, false, false) != 0)
		give_up("cannot map the ring");
	listener = socket_listen(port);
	poller = epoll_create1(EPOLL_CLOEXEC);
	(void)epoll_ctl(poller, EPOLL_CTL_ADD, listener, &e);
	for (;;) {
		int n = epoll_wait(poller, events, EVENTS, wait_ms);

		for (int i = 0; i < n; i++)
			on_event(&events[i], listener);
		free_dead();
	}
}
