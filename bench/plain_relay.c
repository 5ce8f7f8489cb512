/*
 * plain_relay: plain epoll+send kdb IPC tickerplant relay, single thread.
 * One magic (double mapped) ring shared by all; publishers recv() straight into
 * it; each subscriber is only an offset; whole batches are send()ed; EPOLLOUT
 * only after EAGAIN. Own code. -p port  -r ring MiB  -c recv chunk KiB  -s
 * evict|block  -j journal file  -S (strip headers: kdb log form) -R journal
 * pages are written out and dropped from the page cache 64 MiB behind (fresh
 * pages are dear in this VM) -b busy poll (never sleep) -w 0|1 rewind when
 * drained  -P pin cpu  -C congestion control -z file-backed append-only buffer
 * instead of the ring: batches of at least 8 KiB go out by sendfile() (page
 * references, no copy in), pages behind the slowest reader are freed by hole
 * punching, which is safe while sockets still refer to them -v the same with
 * private anonymous 2 MiB pages: vmsplice() into a pipe of each subscriber,
 * splice() to its socket. A page whose bytes have all been spliced to all is
 * unmapped, never written again: sockets, and on loopback those of the
 * readers, keep their references as long as they need them, and nobody tells.
 */
#include "common.h"
#include <sys/sendfile.h>
#include <sys/uio.h>

enum { HS, CLIENT, SUB };
typedef struct {
	int fd, st, blocked, idx;
	uint64_t off;
	uint8_t *stash;
	size_t stash_len;
	int dead, pp[2];
	size_t inp;
} conn;
static uint8_t *ring;
static size_t RS = 64u << 20, cap, chunk = 1u << 20;
/* commit_: end of whole messages; [commit_,head): partial of `owner` */
static uint64_t head, commit_;
static conn *owner, *subs[4096], *grave[4096];
static int nsubs, ngrave, ep, jfd = -1, evict = 1, strip, rewind_ = 1;
static uint64_t evicted, punched;
static int mfd, zc, vs, recyc;
static uint64_t jpos;
#define SEG (2ull << 20)
static char *cc;

static void
drop(conn *c)
{
	if (c->st == SUB) {
		subs[c->idx] = subs[--nsubs];
		subs[c->idx]->idx = c->idx;
	}
	if (owner == c) {
		owner = NULL;
		head = commit_;
	}
	if (vs && c->st == SUB) {
		close(c->pp[0]);
		close(c->pp[1]);
	}
	close(c->fd);
	free(c->stash);
	c->dead = 1;
	/* freed after this batch of events */
	grave[ngrave++] = c;
}
static void
mod(conn *c, uint32_t ev)
{
	struct epoll_event e = { .events = ev, .data.ptr = c };
	epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
}
/* send what s lacks; 0 if it died */
static int
pump(conn *s)
{
	while (s->off < commit_) {
		ssize_t r;
		/* s->off: sent; s->off + s->inp: in the pipe */
		if (vs && (s->inp || commit_ - s->off >= 16384)) {
			if (!s->inp) {
				struct iovec v = { ring + s->off,
						   commit_ - s->off };
				ssize_t q = vmsplice(s->pp[1], &v, 1,
						     SPLICE_F_NONBLOCK);
				if (q <= 0)
					return 0;
				s->inp = q;
			}
			r = splice(s->pp[0], NULL, s->fd, NULL, s->inp,
				   SPLICE_F_NONBLOCK);
			if (r > 0)
				s->inp -= r;
		} else if (zc && commit_ - s->off >= 8192) {
			off_t o = s->off;
			r = sendfile(s->fd, mfd, &o, commit_ - s->off);
		} else
			r = send(s->fd, ring + s->off % RS, commit_ - s->off,
				 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (r < 0) {
			if (errno == EAGAIN) {
				if (!s->blocked) {
					s->blocked = 1;
					mod(s, EPOLLIN | EPOLLOUT);
				}
				return 1;
			}
			return 0;
		}
		s->off += r;
	}
	if (s->blocked) {
		s->blocked = 0;
		mod(s, EPOLLIN);
	}
	return 1;
}
static void
fan(void)
{
	for (int i = nsubs - 1; i >= 0; i--)
		if (!subs[i]->blocked && !pump(subs[i]))
			drop(subs[i]);
}
static uint64_t
tail(conn **slow)
{
	uint64_t t = commit_;
	*slow = NULL;
	for (int i = 0; i < nsubs; i++)
		if (subs[i]->off < t) {
			t = subs[i]->off;
			*slow = subs[i];
		}
	return t;
}
static void
punch(void)
{
	conn *c;
	uint64_t t = tail(&c) & ~(vs ? SEG - 1 : 4095ull);
	if (t < punched + (4u << 20))
		return;
	if (vs) {
		madvise(ring + punched, t - punched, MADV_DONTNEED);
		punched = t;
		return;
	}
	fallocate(mfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, punched,
		  t - punched);
	punched = t;
}
static void
jrecycle(uint64_t n)
{
	const uint64_t seg = 16u << 20;
	uint64_t e = (jpos + n) / seg * seg;
	if (recyc && jpos / seg != (jpos + n) / seg) {
		sync_file_range(jfd, e - seg, seg, SYNC_FILE_RANGE_WRITE);
		if (e >= 5 * seg) {
			sync_file_range(jfd, e - 5 * seg, seg,
					SYNC_FILE_RANGE_WAIT_BEFORE |
						SYNC_FILE_RANGE_WRITE |
						SYNC_FILE_RANGE_WAIT_AFTER);
			posix_fadvise(jfd, e - 5 * seg, seg,
				      POSIX_FADV_DONTNEED);
		}
	}
	jpos += n;
}
static void
journal(uint64_t a, uint64_t b)
{
	if (jfd < 0 || a == b)
		return;
	if (!strip) {
		for (; a < b;) {
			ssize_t r = write(jfd, ring + a % RS, b - a);
			if (r < 0)
				DIE("journal");
			a += r;
			jrecycle(r);
		}
		return;
	}
	struct iovec v[1024];
	/* kdb log form: message bodies without the 8 byte IPC header */
	while (a < b) {
		int n = 0;
		while (a < b && n < 1024) {
			uint32_t l;
			memcpy(&l, ring + a % RS + 4, 4);
			v[n++] = (struct iovec){ ring + a % RS + 8, l - 8 };
			a += l;
		}
		ssize_t r = writev(jfd, v, n);
		if (r < 0)
			DIE("journal");
		jrecycle(r);
	}
}
/* 0: dead */
static int
readable(conn *c)
{
	if (c->st == HS) { // "user:pw" cap NUL -> cap
		char b[256];
		ssize_t r = recv(c->fd, b, sizeof b, MSG_DONTWAIT);
		if (r <= 0)
			return r < 0 && errno == EAGAIN;
		if (!memchr(b, 0, r))
			return 1;
		c->st = CLIENT;
		return send(c->fd, "\3", 1, MSG_NOSIGNAL) == 1;
	}
	if (c->st == SUB) {
		char b[4096];
		ssize_t r = recv(c->fd, b, sizeof b, MSG_DONTWAIT);
		return r > 0 || (r < 0 && errno == EAGAIN);
	}
	/* put the other's partial tail aside, bring mine back */
	if (owner != c) {
		if (owner && head > commit_) {
			owner->stash_len = head - commit_;
			owner->stash = realloc(owner->stash, owner->stash_len);
			memcpy(owner->stash, ring + commit_ % RS,
			       owner->stash_len);
		}
		head = commit_;
		owner = c;
		if (c->stash_len) {
			memcpy(ring + head % RS, c->stash, c->stash_len);
			head += c->stash_len;
			c->stash_len = 0;
		}
	}
	conn *slow;
	uint64_t t = tail(&slow);
	if (rewind_ && t == commit_ && head == commit_) {
		head = commit_ = t = 0;
		for (int i = 0; i < nsubs; i++)
			subs[i]->off = 0;
	}
	size_t want = chunk;
	/* rest of a large message, plus a chunk */
	if (head - commit_ >= 8) {
		uint32_t l;
		memcpy(&l, ring + commit_ % RS + 4, 4);
		if (l - (head - commit_) > want)
			want = l - (head - commit_);
	}
	while (cap < head - t + want && slow) {
		if (!evict) {
			if (cap > head - t)
				break;
			return 1;
		}
		drop(slow);
		evicted++;
		t = tail(&slow);
	}
	if (want > cap - (head - t))
		want = cap - (head - t);
	if (!want)
		return 1;
	/* sockets may still refer to what was at the start: no second lap */
	if ((zc || vs) && head + want > RS)
		DIE("%zu GiB are the most that -v and -z relay", RS >> 30);
	ssize_t r = recv(c->fd, ring + head % RS, want, MSG_DONTWAIT);
	if (r <= 0)
		return r < 0 && errno == EAGAIN;
	head += r;
	uint64_t a = commit_;
	while (head - commit_ >= 8) {
		uint8_t *m = ring + commit_ % RS;
		uint32_t l;
		memcpy(&l, m + 4, 4);
		if (l < 9 || l > cap / 4)
			return 0;
		if (head - commit_ < l)
			break;
		/* sync request = subscribe; answer with (::) and cut it from
		 * the ring */
		if (m[1] == 1) {
			static const uint8_t ans[10] = { 1, 2, 0, 0,	10,
							 0, 0, 0, 0x65, 0 };
			if (send(c->fd, ans, 10, MSG_NOSIGNAL) != 10)
				return 0;
			head = commit_;
			owner = NULL;
			c->st = SUB;
			c->off = commit_;
			c->idx = nsubs;
			if (vs) {
				if (pipe2(c->pp, O_NONBLOCK | O_CLOEXEC))
					return 0;
				fcntl(c->pp[1], F_SETPIPE_SZ, 1 << 20);
			}
			subs[nsubs++] = c;
			break;
		}
		commit_ += l;
	}
	journal(a, commit_);
	if (commit_ != a)
		fan();
	if (zc || vs)
		punch();
	return 1;
}
int
main(int ac, char **av)
{
	int port = 5010, o, cpu = -1, busy = 0;
	char *jpath = NULL;
	while ((o = getopt(ac, av, "p:r:c:s:j:Sw:P:C:zvbR")) != -1)
		switch (o) {
		case 'p':
			port = atoi(optarg);
			break;
		case 'r':
			RS = (size_t)atoi(optarg) << 20;
			break;
		case 'c':
			chunk = (size_t)atoi(optarg) << 10;
			break;
		case 's':
			evict = optarg[0] == 'e';
			break;
		case 'j':
			jpath = optarg;
			break;
		case 'S':
			strip = 1;
			break;
		case 'w':
			rewind_ = atoi(optarg);
			break;
		case 'P':
			cpu = atoi(optarg);
			break;
		case 'C':
			cc = optarg;
			break;
		case 'z':
			zc = 1;
			break;
		case 'v':
			vs = 1;
			break;
		case 'b':
			busy = 1;
			break;
		case 'R':
			recyc = 1;
			break;
		default:
			return 1;
		}
	pin(cpu);
	signal(SIGPIPE, SIG_IGN);
	/* largest backlog */
	cap = RS;
	/* sparse: only what is not yet read is resident */
	if (zc || vs) {
		RS = 1ull << 38;
		rewind_ = 0;
	}
	int one = 1;
	mfd = memfd_create("ring", MFD_CLOEXEC);
	if (vs) {
		ring = mmap(NULL, RS + SEG, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (ring == MAP_FAILED)
			DIE("mmap");
		ring = (uint8_t *)(((uintptr_t)ring + SEG - 1) & ~(SEG - 1));
		madvise(ring, RS, MADV_HUGEPAGE);
		goto mapped;
	}
	if (mfd < 0 || ftruncate(mfd, RS))
		DIE("memfd");
	ring = mmap(NULL, 2 * RS, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mmap(ring, RS, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, mfd,
		 0) == MAP_FAILED ||
	    mmap(ring + RS, RS, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		 mfd, 0) == MAP_FAILED)
		DIE("mmap");
mapped:
	if (jpath &&
	    (jfd = open(jpath,
			O_CREAT | O_TRUNC | O_WRONLY | O_APPEND | O_CLOEXEC,
			0600)) < 0)
		DIE("journal %s", jpath);
	int lfd = tcp_listen(port);
	if (cc)
		setsockopt(lfd, IPPROTO_TCP, TCP_CONGESTION, cc, strlen(cc));
	ep = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = NULL }, ev[256];
	epoll_ctl(ep, EPOLL_CTL_ADD, lfd, &e);
	for (;;) {
		int n = epoll_wait(ep, ev, 256, busy ? 0 : -1);
		for (int i = 0; i < n; i++) {
			conn *c = ev[i].data.ptr;
			if (!c) {
				int fd = accept4(lfd, NULL, NULL,
						 SOCK_CLOEXEC | SOCK_NONBLOCK);
				if (fd < 0)
					continue;
				setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one,
					   sizeof one);
				c = calloc(1, sizeof *c);
				c->fd = fd;
				struct epoll_event a = { .events = EPOLLIN,
							 .data.ptr = c };
				epoll_ctl(ep, EPOLL_CTL_ADD, fd, &a);
				continue;
			}
			if (c->dead)
				continue;
			if ((ev[i].events & EPOLLOUT) && c->st == SUB &&
			    !pump(c)) {
				drop(c);
				continue;
			}
			if ((ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) &&
			    !readable(c) && !c->dead)
				drop(c);
		}
		while (ngrave)
			free(grave[--ngrave]);
	}
}
