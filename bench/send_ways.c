/*
 * Ways from a ring to N TCP sockets: no daemon, one writer and a process that
 * reads all sockets. The writer fills the ring by a copy, as a recv would, and
 * each socket is an offset in it with one write in flight.
 *
 * send_ways -m WAY [-n sockets] [-s span] [-r ring MiB] [-c message bytes]
 *   [-t seconds] [-H] [-B SO_SNDBUF] [-L TCP_NOTSENT_LOWAT] [-C congestion]
 *   [-F] [-S] [-a address] [-x network namespace of the reader] [-P NAPI us]
 *
 * WAY    call         send(2) and epoll
 *        send         IORING_OP_SEND
 *        fixed        IORING_OP_WRITE_FIXED out of the registered ring
 *        zc           IORING_OP_SEND_ZC out of it
 *        sqpoll-send  send by an SQPOLL thread
 *        sqpoll       fixed by an SQPOLL thread
 *        sqpoll2      the same by two threads, the second on cloned buffers
 *        vectored     IORING_OP_WRITEV_FIXED of every second message
 *        copied       every second message copied to a second ring, and send
 *        ping         round trips of 100 bytes, and the NAPI id that was seen
 * -H     huge pages for the rings, as with ring.huge_pages (vm.nr_hugepages)
 * -S     ping looks for completions itself and does not wait in the kernel
 * -F     pin no process; else the writer and its threads have CPU 0, and the
 *        readers CPU 1
 *
 * Prints GB/s in all, CPU seconds per GB of writer, readers and both (each with
 * the ksoftirqd of its CPU), and the share of zc's notifications that say that
 * the kernel copied; or p50 and p99 of the round trips in us, and the id.
 * Exit status 77: the kernel does not have the way.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"
#include "measure.h"
#include "ring/ring.h"
#include "sockets.h"

/* Newer than liburing 2.3. */
enum {
	NOTIF_USAGE_BIT = 31,
	SEND_ZC_USAGE = 1 << 3,	     /* IORING_SEND_ZC_REPORT_USAGE, 6.2 */
	OP_WRITEV_FIXED = 61,	     /* 6.15 */
	REGISTER_NAPI = 27,	     /* 6.9 */
	REGISTER_CLONE_BUFFERS = 30, /* 6.12 */
};
struct clone_buffers {
	uint32_t src_fd, flags, src_off, dst_off, nr, pad[3];
};
struct napi {
	uint32_t busy_poll_to;
	uint8_t prefer_busy_poll, pad[3];
	uint64_t resv;
};

enum {
	SOCKETS_MAX = 256,
	PIECES_MAX = 1024,
	BLOCK_BYTES = 1 << 20,
	PING_BYTES = 100,
	UNSUPPORTED = 77,
};
enum op { OP_CALL, OP_SEND, OP_FIXED, OP_ZC, OP_VECTORED, OP_COPIED };
static const struct way {
	const char *name;
	enum op op;
	int rings; /* 0: none */
	int is_sqpoll;
} ways[] = {
	{ "call", OP_CALL, 0, 0 },	  { "send", OP_SEND, 1, 0 },
	{ "fixed", OP_FIXED, 1, 0 },	  { "zc", OP_ZC, 1, 0 },
	{ "sqpoll-send", OP_SEND, 1, 1 }, { "sqpoll", OP_FIXED, 1, 1 },
	{ "sqpoll2", OP_FIXED, 2, 1 },	  { "vectored", OP_VECTORED, 1, 0 },
	{ "copied", OP_COPIED, 1, 0 },	  { "ping", OP_SEND, 1, 0 },
};

static struct options {
	const struct way *way;
	int n, sndbuf, lowat, napi_us;
	bool is_huge, is_free, is_spinning;
	size_t span, ring, message;
	double seconds;
	const char *congestion, *address, *netns;
} o = { .n = 1,
	.span = 256 << 10,
	.ring = 64u << 20,
	.message = 1024,
	.seconds = 1,
	.sndbuf = 512 << 10, /* the daemon's: the kernel doubles it */
	.address = "127.0.0.1" };

/*
 * Positions are those of the stream that is sent: of the ring, or with every
 * second message of half the ring.
 */
static struct {
	struct ring ring, second;
	uint8_t *block;
	uint64_t head;
} stream;
static struct peer {
	int fd, is_busy, notifications;
	uint64_t offset;
	struct iovec pieces[PIECES_MAX];
} * peers;
static struct io_uring urings[2];
static int epoll = -1;
static uint64_t zc_done, zc_copied;

static void
check(int error, const char *what)
{
	if (error >= 0)
		return;
	errno = -error;
	if (error == -EINVAL || error == -EOPNOTSUPP)
		exit((perror(what), UNSUPPORTED));
	give_up("%s", what);
}

/* ---- sockets ---- */

static struct sockaddr_in
address(int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port) };

	if (inet_pton(AF_INET, o.address, &a.sin_addr) != 1)
		give_up("address %s", o.address);
	return a;
}

static int
listening(int *out_port)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in a = address(0);
	socklen_t len = sizeof(a);

	if (bind(fd, (void *)&a, len) || listen(fd, SOCKETS_MAX) ||
	    getsockname(fd, (void *)&a, &len))
		give_up("listen");
	if (o.congestion &&
	    setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, o.congestion,
		       (socklen_t)strlen(o.congestion)))
		give_up("congestion %s", o.congestion);
	*out_port = ntohs(a.sin_port);
	return fd;
}

static void
accept_peer(int listener, struct peer *p)
{
	int one = 1;

	p->fd = accept(listener, NULL, NULL);
	if (p->fd < 0)
		give_up("accept");
	setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (o.sndbuf)
		setsockopt(p->fd, SOL_SOCKET, SO_SNDBUF, &o.sndbuf,
			   sizeof(o.sndbuf));
	if (o.lowat)
		setsockopt(p->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &o.lowat,
			   sizeof(o.lowat));
}

/* ---- the readers' process ---- */

static void
read_all(int poller, int open, volatile uint64_t *got)
{
	uint8_t *b = malloc(BLOCK_BYTES);
	struct epoll_event events[64];

	while (open > 0) {
		int n = epoll_wait(poller, events, 64, -1);

		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;
			ssize_t r = recv(fd, b, 256 << 10, MSG_DONTWAIT);

			if (r > 0) {
				*got += (uint64_t)r;
			} else if (r == 0 || errno != EAGAIN) {
				close(fd);
				open--;
			}
		}
	}
}

static void
echo(int fd)
{
	uint8_t b[PING_BYTES];

	while (recv(fd, b, sizeof(b), MSG_WAITALL) == sizeof(b))
		send_all(fd, b, sizeof(b));
}

static void
reader(int port, volatile uint64_t *got)
{
	int poller = epoll_create1(0), ns, fd = -1, one = 1;
	struct sockaddr_in a = address(port);

	pin_to(o.is_free ? -1 : 1);
	if (o.netns) {
		ns = open(o.netns, O_RDONLY);
		if (ns < 0 || setns(ns, CLONE_NEWNET))
			give_up("namespace %s", o.netns);
	}
	for (int i = 0; i < o.n; i++) {
		struct epoll_event e = { .events = EPOLLIN };

		fd = e.data.fd = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(fd, (void *)&a, sizeof(a)))
			give_up("connect");
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e);
	}
	if (strcmp(o.way->name, "ping") == 0)
		echo(fd);
	else
		read_all(poller, o.n, got);
	exit(0);
}

/* ---- the ring ---- */

static void
map_ring(struct ring *ring)
{
	if (ring_open(ring, o.ring, o.is_huge, true) != 0)
		give_up("cannot map a ring");
	if (ring->is_huge != o.is_huge)
		give_up("no huge pages for a ring");
	memset(ring->base, 'x', o.ring);
}

static int
is_half(void)
{
	return o.way->op == OP_VECTORED || o.way->op == OP_COPIED;
}

static void
pick(uint64_t from, uint64_t to, uint64_t pos)
{
	for (; from < to; from += 2 * o.message, pos += o.message)
		memcpy(ring_at(&stream.second, pos),
		       ring_at(&stream.ring, from), o.message);
}

/* Keeps a span before those who have sent most, while there is room. */
static void
feed(void)
{
	uint64_t most = 0, least = UINT64_MAX, pos = stream.head;
	size_t add = o.span;

	for (int i = 0; i < o.n; i++) {
		uint64_t at = peers[i].offset;

		most = at > most ? at : most;
		least = at < least ? at : least;
	}
	if (is_half()) {
		pos *= 2;
		add *= 2;
		least *= 2;
	}
	if (stream.head - most >= o.span || pos + add - least > o.ring)
		return;
	for (size_t done = 0; done < add; done += BLOCK_BYTES)
		memcpy(ring_at(&stream.ring, pos + done), stream.block,
		       add - done < BLOCK_BYTES ? add - done : BLOCK_BYTES);
	if (o.way->op == OP_COPIED)
		pick(pos, pos + add, stream.head);
	stream.head += o.span;
}

/* ---- writes ---- */

static unsigned
gather(struct peer *p, uint64_t end)
{
	uint64_t pos = p->offset;
	unsigned n = 0;

	while (pos < end && n < PIECES_MAX) {
		size_t in = pos % o.message;
		size_t len = o.message - in;

		p->pieces[n++] = (struct iovec){
			ring_at(&stream.ring, 2 * (pos - in) + in), len
		};
		pos += len;
	}
	return n;
}

static void
prepare(struct io_uring_sqe *sqe, int i, uint64_t end)
{
	struct peer *p = &peers[i];
	uint8_t *at = ring_at(&stream.ring, p->offset);
	size_t len = end - p->offset;

	switch (o.way->op) {
	case OP_FIXED:
		io_uring_prep_write_fixed(sqe, i, at, (unsigned)len, 0, 0);
		break;
	case OP_ZC:
		io_uring_prep_send_zc_fixed(sqe, i, at, len, MSG_NOSIGNAL,
					    SEND_ZC_USAGE, 0);
		break;
	case OP_VECTORED:
		io_uring_prep_rw(OP_WRITEV_FIXED, sqe, i, p->pieces,
				 gather(p, end), 0);
		sqe->buf_index = 0;
		break;
	case OP_COPIED:
		at = ring_at(&stream.second, p->offset);
		io_uring_prep_send(sqe, i, at, len, MSG_NOSIGNAL);
		break;
	case OP_SEND:
	case OP_CALL:
		io_uring_prep_send(sqe, i, at, len, MSG_NOSIGNAL);
		break;
	}
	sqe->flags |= IOSQE_FIXED_FILE;
	sqe->user_data = (unsigned)i;
}

static void
call(struct peer *p, size_t len)
{
	ssize_t r = send(p->fd, ring_at(&stream.ring, p->offset), len,
			 MSG_DONTWAIT | MSG_NOSIGNAL);

	if (r > 0)
		p->offset += (uint64_t)r;
	else if (errno == EAGAIN)
		p->is_busy = 1;
	else
		give_up("send");
}

/* Returns whether anything was begun. */
static int
start_writes(void)
{
	int begun = 0;

	for (int i = 0; i < o.n; i++) {
		struct peer *p = &peers[i];
		uint64_t end = p->offset + o.span;

		end = end < stream.head ? end : stream.head;
		if (p->is_busy || end == p->offset)
			continue;
		begun = 1;
		if (o.way->rings == 0) {
			call(p, end - p->offset);
			continue;
		}
		prepare(io_uring_get_sqe(&urings[i % o.way->rings]), i, end);
		p->is_busy = 1;
	}
	return begun;
}

static int
take(struct io_uring *u)
{
	struct io_uring_cqe *cqe;
	unsigned head;
	int n = 0;

	io_uring_for_each_cqe(u, head, cqe)
	{
		struct peer *p = &peers[cqe->user_data];

		n++;
		if (cqe->flags & IORING_CQE_F_NOTIF) {
			p->notifications--;
			zc_done++;
			zc_copied += (uint32_t)cqe->res >> NOTIF_USAGE_BIT;
			continue;
		}
		check(cqe->res, o.way->name);
		p->offset += (uint64_t)cqe->res;
		p->is_busy = 0;
		p->notifications += !!(cqe->flags & IORING_CQE_F_MORE);
	}
	io_uring_cq_advance(u, (unsigned)n);
	return n;
}

static void
wait_for_calls(int begun)
{
	struct epoll_event events[64];
	int n = epoll_wait(epoll, events, 64, begun ? 0 : 100);

	for (int i = 0; i < n; i++)
		peers[events[i].data.u32].is_busy = 0;
}

/* Threads that submit are given work and let alone; one that is asked for
 * completions makes them itself. */
static void
turn(int begun)
{
	struct pollfd fds[2];
	int n = 0;

	if (o.way->rings == 0) {
		wait_for_calls(begun);
		return;
	}
	for (int i = 0; i < o.way->rings; i++) {
		if (!o.way->is_sqpoll)
			check(io_uring_submit_and_wait(&urings[i], 1), "enter");
		else
			check(io_uring_submit(&urings[i]), "submit");
		n += take(&urings[i]);
		fds[i] = (struct pollfd){ urings[i].ring_fd, POLLIN, 0 };
	}
	if (n == 0 && o.way->is_sqpoll)
		poll(fds, (nfds_t)o.way->rings, 100);
}

/* ---- start ---- */

static void
open_uring(int i, const int *fds)
{
	struct io_uring_params p = { .flags = IORING_SETUP_SINGLE_ISSUER };
	struct io_uring *u = &urings[i];
	struct iovec view = { stream.ring.base, 2 * o.ring };
	struct clone_buffers clone = { .src_fd = (uint32_t)urings[0].ring_fd };
	struct napi napi = { .busy_poll_to = (uint32_t)o.napi_us };

	if (o.way->is_sqpoll) {
		p.flags |= IORING_SETUP_SQPOLL;
		p.flags |= o.is_free ? 0 : IORING_SETUP_SQ_AFF;
		p.sq_thread_idle = 1000;
	} else {
		p.flags |= IORING_SETUP_DEFER_TASKRUN;
	}
	check(io_uring_queue_init_params(1024, u, &p), "io_uring_setup");
	check(io_uring_register_files(u, fds, (unsigned)o.n), "files");
	if (i == 0)
		check(io_uring_register_buffers(u, &view, 1), "buffers");
	else if (syscall(__NR_io_uring_register, u->ring_fd,
			 REGISTER_CLONE_BUFFERS, &clone, 1))
		check(-errno, "cloned buffers");
	if (o.napi_us && syscall(__NR_io_uring_register, u->ring_fd,
				 REGISTER_NAPI, &napi, 1))
		check(-errno, "NAPI");
}

static void
open_way(void)
{
	int fds[SOCKETS_MAX];

	for (int i = 0; i < o.n; i++)
		fds[i] = peers[i].fd;
	for (int i = 0; i < o.way->rings; i++)
		open_uring(i, fds);
	if (o.way->rings > 0)
		return;
	epoll = epoll_create1(0);
	for (int i = 0; i < o.n; i++) {
		struct epoll_event e = { .events = EPOLLOUT | EPOLLET,
					 .data.u32 = (uint32_t)i };

		epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &e);
	}
}

/* ---- what is measured ---- */

struct sample {
	int64_t at, writer, reader; /* ns */
	uint64_t got;
};

static struct sample
sample(int pid, const volatile uint64_t *got)
{
	return (struct sample){
		.at = clock_monotonic_ns(),
		.writer = process_cpu_ns(0) + ksoftirqd_cpu_ns(0),
		.reader = process_cpu_ns(pid) + ksoftirqd_cpu_ns(1),
		.got = *got,
	};
}

/* A fifth of the time is for buffers to grow, and is not counted. */
static void
measure(int pid, const volatile uint64_t *got)
{
	int64_t wanted_ns = (int64_t)(o.seconds * 1e9);
	int64_t start = clock_monotonic_ns() + wanted_ns / 5;
	struct sample a = { 0 }, b;
	double gb, writer, readers;

	for (;;) {
		int64_t now = clock_monotonic_ns();

		if (a.at == 0 && now >= start)
			a = sample(pid, got);
		if (now >= start + wanted_ns)
			break;
		feed();
		turn(start_writes());
	}
	b = sample(pid, got);
	gb = (double)(b.got - a.got) / 1e9;
	writer = (double)(b.writer - a.writer) / 1e9 / gb;
	readers = (double)(b.reader - a.reader) / 1e9 / gb;
	printf("%.3f %.4f %.4f %.4f %.2f\n", gb / ((double)(b.at - a.at) / 1e9),
	       writer, readers, writer + readers,
	       zc_done ? (double)zc_copied / (double)zc_done : 0);
}

static void
ping_once(void)
{
	struct io_uring *u = &urings[0];
	struct io_uring_cqe *cqe;
	struct io_uring_sqe *sqe = io_uring_get_sqe(u);
	uint8_t answer[PING_BYTES];

	io_uring_prep_send(sqe, 0, stream.ring.base, PING_BYTES, MSG_NOSIGNAL);
	sqe->flags |= IOSQE_FIXED_FILE;
	sqe = io_uring_get_sqe(u);
	io_uring_prep_recv(sqe, 0, answer, PING_BYTES, MSG_WAITALL);
	sqe->flags |= IOSQE_FIXED_FILE;
	check(io_uring_submit_and_wait(u, o.is_spinning ? 0 : 2), "enter");
	while (io_uring_cq_ready(u) < 2)
		io_uring_get_events(u);
	for (int i = 0; i < 2; i++) {
		check(io_uring_peek_cqe(u, &cqe), "completion");
		check(cqe->res, "ping");
		io_uring_cqe_seen(u, cqe);
	}
}

static void
ping(void)
{
	enum { ROUNDS = 20000 };
	static double ns[ROUNDS];
	double p50;
	unsigned id = 0;
	socklen_t len = sizeof(id);

	for (int i = 0; i < ROUNDS; i++) {
		int64_t from = clock_monotonic_ns();

		ping_once();
		ns[i] = (double)(clock_monotonic_ns() - from);
	}
	p50 = median(ns, ROUNDS); /* and now they are sorted */
	if (getsockopt(peers[0].fd, SOL_SOCKET, SO_INCOMING_NAPI_ID, &id, &len))
		give_up("SO_INCOMING_NAPI_ID");
	printf("%.1f %.1f %u\n", p50 / 1e3,
	       ns[ROUNDS / 100 * 99] / 1e3, id);
}

/* ---- main ---- */

static void
take_option(int letter)
{
	switch (letter) {
	case 'm':
		for (size_t i = 0; i < ARRAY_LEN(ways); i++)
			if (strcmp(optarg, ways[i].name) == 0)
				o.way = &ways[i];
		break;
	case 'n':
		o.n = (int)number_from(optarg);
		break;
	case 's':
		o.span = (size_t)number_from(optarg);
		break;
	case 'r':
		o.ring = (size_t)number_from(optarg) << 20;
		break;
	case 'c':
		o.message = (size_t)number_from(optarg);
		break;
	case 't':
		o.seconds = number_from(optarg);
		break;
	case 'H':
		o.is_huge = true;
		break;
	case 'B':
		o.sndbuf = (int)number_from(optarg);
		break;
	case 'L':
		o.lowat = (int)number_from(optarg);
		break;
	case 'C':
		o.congestion = optarg;
		break;
	case 'F':
		o.is_free = true;
		break;
	case 'S':
		o.is_spinning = true;
		break;
	case 'a':
		o.address = optarg;
		break;
	case 'x':
		o.netns = optarg;
		break;
	case 'P':
		o.napi_us = (int)number_from(optarg);
		break;
	default:
		exit(1);
	}
}

static int
is_power_of_two(size_t n)
{
	return n > 0 && (n & (n - 1)) == 0;
}

int
main(int argc, char **argv)
{
	uint64_t *got = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int letter, port, listener, pid;

	while ((letter = getopt(argc, argv, "m:n:s:r:c:t:HB:L:C:FSa:x:P:")) >=
	       0)
		take_option(letter);
	if (!o.way || o.n < 1 || o.n > SOCKETS_MAX ||
	    !is_power_of_two(o.span) || !is_power_of_two(o.ring) ||
	    !is_power_of_two(o.message) || 4 * o.span > o.ring ||
	    o.message > o.span) {
		fprintf(stderr, "see the head of bench/send_ways.c\n");
		return 1;
	}
	alarm(60);
	listener = listening(&port);
	pid = fork();
	if (pid == 0)
		reader(port, got);
	pin_to(o.is_free ? -1 : 0);
	peers = calloc((size_t)o.n, sizeof(*peers));
	for (int i = 0; i < o.n; i++)
		accept_peer(listener, &peers[i]);
	stream.block = malloc(BLOCK_BYTES);
	memset(stream.block, 'x', BLOCK_BYTES);
	map_ring(&stream.ring);
	if (o.way->op == OP_COPIED)
		map_ring(&stream.second);
	open_way();
	if (strcmp(o.way->name, "ping") == 0)
		ping();
	else
		measure(pid, got);
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
	return 0;
}
