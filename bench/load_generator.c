/*
 * Load generator for TCP brokers. Speaks each protocol raw (no client library),
 * so that the client's cost is the same for every broker: kdb (what is sent
 * comes back), ringtick (.u.upd comes back as upd), redis, nats, mqtt, zmtp, sp.
 * One thread is the publisher and all N subscribers.
 *
 *   load -proto P -port N -bpid PID [-mode M] [-size BYTES] [-subs N] ...
 *
 * modes: tput (bounded window, lossless), verify (every message compared), lat
 * (fixed rate), slow (one reader stops). Prints one line of JSON.
 */
#include "common.h"
#include <sys/ioctl.h>
#include <linux/sockios.h>

static uint64_t bcpu(void);
static const char *proto = "kdb", *mode = "tput";
static int pport = 0, bcore = 0, port = 5010, N = 1, bpid = 0, cpu = -1,
	   trunc_ = 0;
static size_t S = 100, window = 8u << 20, batch = 64u << 10,
	      rbuf_sz = 256u << 10;
static int lag = 0, yield_ = 0, burst = 1;
static double secs = 0.8, rate = 10000, cap_mb = 1024;
/* The frame that is sent, and its body as it comes back: ringtick publishes what
 * came as (`.u.upd;t;columns) as (`upd;t;table), which is longer. */
static uint8_t *msg, *want;
static size_t ts_off, seq_off, R;
static const char *table = "trade", *selected = "";
static uint8_t pre[64], suf[2];
/* publisher frame, delivered frame, payload offset in the delivered frame */
static size_t npre, nsuf, F, DF, DP;
static uint8_t dpre[64];
static int pubfd, *sfd, ep;
static uint64_t *cnt;

/* bcore: the core the broker is pinned to, -1 if it is free */
static uint64_t
bcpu(void)
{
	return pid_cpu_ns(bpid) + ksoftirqd_ns(bcore);
}
static int
is(const char *p)
{
	return !strcmp(proto, p);
}
static size_t
varint(uint8_t *o, size_t v)
{
	size_t n = 0;
	do {
		o[n++] = (v & 127) | (v > 127 ? 128 : 0);
		v >>= 7;
	} while (v);
	return n;
}
static void
frames(void)
{
	size_t dn = 0;
	if (is("redis")) {
		npre = sprintf((char *)pre,
			       "*3\r\n$7\r\nPUBLISH\r\n$1\r\nt\r\n$%zu\r\n", S);
		dn = sprintf((char *)dpre,
			     "*3\r\n$7\r\nmessage\r\n$1\r\nt\r\n$%zu\r\n", S);
		memcpy(suf, "\r\n", nsuf = 2);
	} else if (is("nats")) {
		npre = sprintf((char *)pre, "PUB t %zu\r\n", S);
		dn = sprintf((char *)dpre, "MSG t 1 %zu\r\n", S);
		memcpy(suf, "\r\n", nsuf = 2);
	} else if (is("mqtt")) {
		pre[0] = 0x30;
		npre = 1 + varint(pre + 1, 3 + S);
		memcpy(pre + npre, "\0\1t", 3);
		npre += 3;
		memcpy(dpre, pre, dn = npre);
	} else if (is("zmtp")) {
		if (S < 256) {
			pre[0] = 0;
			pre[1] = S;
			npre = 2;
		} else {
			pre[0] = 2;
			for (int i = 0; i < 8; i++)
				pre[1 + i] = (uint64_t)S >> (56 - 8 * i);
			npre = 9;
		}
		memcpy(dpre, pre, dn = npre);
	} else if (is("sp")) {
		for (int i = 0; i < 8; i++)
			pre[i] = (uint64_t)S >> (56 - 8 * i);
		npre = 8;
		memcpy(dpre, pre, dn = npre);
	}
	R = is("ringtick") ? S + KDB_PUBLISHED_MORE : S;
	F = npre + S + nsuf;
	DF = dn + R + nsuf;
	DP = dn;
}
/* text protocols, at connect only */
static void
rd_until(int fd, const char *tok)
{
	char b[8192];
	size_t n = 0;
	while (n < sizeof b - 1) {
		rd_all(fd, b + n, 1);
		b[++n] = 0;
		if (strstr(b, tok))
			return;
	}
	DIE("no %s", tok);
}
static int
conn(int sub)
{
	int fd = tcp_connect(!sub && pport ? pport : port);
	if (is("kdb") || is("ringtick")) {
		char c;
		wr_all(fd, "bench:x\3", 9);
		rd_all(fd, &c, 1);
		if (sub) {
			uint8_t b[64];
			size_t o = 8;
			uint32_t l;
			memcpy(b, "\1\1\0\0", 4);
			memcpy(b + o, "\0\0\3\0\0\0", 6);
			o += 6;
			memcpy(b + o, "\365.u.sub", 8);
			o += 8;
			o += (size_t)sprintf((char *)b + o, "\365%s", selected) + 1;
			memcpy(b + o, "\365", 2);
			o += 2;
			l = o;
			memcpy(b + 4, &l, 4);
			wr_all(fd, b, o);
			rd_all(fd, b, 8);
			memcpy(&l, b + 4, 4);
			for (l -= 8; l; l--)
				rd_all(fd, b, 1);
		}
	} else if (is("redis")) {
		if (sub) {
			const char *r =
				"*3\r\n$9\r\nsubscribe\r\n$1\r\nt\r\n:1\r\n";
			char b[64];
			wr_all(fd, "SUBSCRIBE t\r\n", 13);
			rd_all(fd, b, strlen(r));
		} else
			wr_all(fd, "CLIENT REPLY OFF\r\n", 18);
	} else if (is("nats")) {
		rd_until(fd, "\r\n");
		const char *c = "CONNECT "
				"{\"verbose\":false,\"pedantic\":false,\"tls_"
				"required\":false,\"lang\":\"c\",\"version\":"
				"\"1\"}\r\n";
		wr_all(fd, c, strlen(c));
		if (sub)
			wr_all(fd, "SUB t 1\r\n", 9);
		wr_all(fd, "PING\r\n", 6);
		rd_until(fd, "PONG\r\n");
	} else if (is("mqtt")) {
		uint8_t b[64] = { 0x10, 0, 0, 4, 'M', 'Q', 'T',
				  'T',	4, 2, 0, 0,   0,   6 };
		static int id;
		sprintf((char *)b + 14, "c%05d", id++);
		b[1] = 18;
		wr_all(fd, b, 20);
		rd_all(fd, b, 4);
		if (b[3])
			DIE("connack %d", b[3]);
		if (sub) {
			wr_all(fd, "\x82\x06\x00\x01\x00\x01t\x00", 8);
			rd_all(fd, b, 5);
		}
	} else if (is("zmtp")) {
		uint8_t g[64] = { 0xff, 0,    0, 0, 0,	 0,   0,   0,
				  0,	0x7f, 3, 0, 'N', 'U', 'L', 'L' },
			b[256];
		wr_all(fd, g, 64);
		rd_all(fd, b, 64);
		const char *ty = sub ? "SUB" : "PUB";
		uint8_t r[64];
		size_t o = 2;
		memcpy(r + o, "\5READY\13Socket-Type\0\0\0\3", 22);
		o += 22;
		memcpy(r + o, ty, 3);
		o += 3;
		r[0] = 4;
		r[1] = o - 2;
		wr_all(fd, r, o);
		rd_all(fd, b, 2);
		rd_all(fd, b + 2, b[1]);
		if (sub)
			wr_all(fd, "\0\1\1", 3);
	} else if (is("sp")) {
		uint8_t h[8] = { 0, 'S', 'P', 0, 0, sub ? 0x21 : 0x20, 0, 0 },
			b[8];
		wr_all(fd, h, 8);
		rd_all(fd, b, 8);
	}
	return fd;
}
static void
msg_init(void)
{
	int is_strings = !strcmp(table, "notes");
	size_t ts, seq;

	msg = malloc(S);
	want = malloc(R);
	kdb_upd(msg, S, 0, table, is_strings, &ts, &seq);
	kdb_upd(want, S, R != S, table, is_strings, &ts_off, &seq_off);
}
static size_t
put(uint8_t *o)
{
	memcpy(o, pre, npre);
	memcpy(o + npre, msg, S);
	memcpy(o + npre + S, suf, nsuf);
	return F;
}
static uint8_t *rb;
static ssize_t
sink(int i)
{
	ssize_t r = recv(sfd[i], rb, trunc_ ? (4u << 20) : rbuf_sz,
			 MSG_DONTWAIT | (trunc_ ? MSG_TRUNC : 0));
	if (r > 0)
		cnt[i] += r;
	return r;
}
static uint64_t
min_cnt(int from)
{
	uint64_t m = ~0ull;
	for (int i = from; i < N; i++)
		if (cnt[i] < m)
			m = cnt[i];
	return m;
}
static void
setup(void)
{
	rb = malloc(rbuf_sz + 4096);
	memset(rb, 1, rbuf_sz);
	frames();
	msg_init();
	ep = epoll_create1(0);
	sfd = calloc(N, sizeof *sfd);
	cnt = calloc(N, sizeof *cnt);
	for (int i = 0; i < N; i++) {
		sfd[i] = conn(1);
		struct epoll_event e = { .events = EPOLLIN, .data.u32 = i };
		epoll_ctl(ep, EPOLL_CTL_ADD, sfd[i], &e);
	}
	pubfd = conn(0);
	/* Where a subscription is not answered, it needs its time. */
	usleep(is("zmtp") || is("sp") ? 300000 : 20000);
	/* warm up; also proves that every subscription works */
	uint8_t *f = malloc(F);
	put(f);
	for (int k = 0; k < 20; k++) {
		wr_all(pubfd, f, F);
		uint64_t t = now_ns() + 5000000000ull;
		while (min_cnt(0) < (k + 1) * DF) {
			struct epoll_event ev[64];
			int n = epoll_wait(ep, ev, 64, 100);
			for (int i = 0; i < n; i++)
				sink(ev[i].data.u32);
			if (now_ns() > t)
				DIE("warm-up: message %d not delivered to all "
				    "(%lu of %zu)",
				    k, min_cnt(0), (k + 1) * DF);
		}
	}
	free(f);
	memset(cnt, 0, N * sizeof *cnt);
}
/* subs from..N-1 count for the window */
static void
tput(int slow)
{
	size_t K = batch / F ? batch / F : 1, BL = K * F, pos = 0;
	uint8_t *blk = malloc(BL);
	for (size_t k = 0; k < K; k++)
		put(blk + k * F);
	struct epoll_event pe = { .events = EPOLLOUT | EPOLLET,
				  .data.u32 = 1u << 30 },
			   ev[64];
	epoll_ctl(ep, EPOLL_CTL_ADD, pubfd, &pe);
	int from = slow ? 1 : 0, blocked = 0, stop = 0, stalled = 0, closed = 0;
	if (slow)
		epoll_ctl(ep, EPOLL_CTL_DEL, sfd[0], NULL);
	uint64_t steal0, steal1, sys0 = sys_busy_ns(&steal0),
				 k0 = ksoftirqd_ns(bcore), b0 = bcpu(),
				 me0 = self_cpu_ns(), t0 = now_ns(),
				 tend = t0 + secs * 1e9;
	uint64_t sent = 0, tl = t0, lastmin = 0, lastprog = t0, next_s = t0,
		 maxgap = 0;
	long rss0 = pid_rss_kb(bpid), rss = rss0, tmem = tcp_mem_kb(),
	     tm0 = tmem;
	double closed_at = -1;
	uint64_t Wd = window / S ? window / S : 1;
	if (window / S < 16)
		Wd = 16;
	/* nng pub drops beyond its send queue */
	if (is("sp") && Wd > 4096)
		Wd = 4096;
	for (;;) {
		uint64_t t = now_ns(), m = min_cnt(from) / DF, sm = sent / F;
		if (m != lastmin) {
			lastmin = m;
			if (t - lastprog > maxgap)
				maxgap = t - lastprog;
			lastprog = t;
		}
		if (!stop && (t >= tend || sm * S >= cap_mb * 1048576))
			stop = 1;
		if (stop && pos % F == 0 && m * 1 >= sm)
			break;
		if (t - lastprog > (slow ? 15000000000ull : 6000000000ull)) {
			stalled = 1;
			break;
		}
		if (t > next_s) {
			next_s = t + 50000000;
			long r = pid_rss_kb(bpid), q = slow ? tcp_mem_kb() : 0;
			if (r > rss)
				rss = r;
			if (q > tmem)
				tmem = q;
			if (slow && !closed) {
				struct pollfd p = { .fd = sfd[0],
						    .events = POLLRDHUP };
				if (poll(&p, 1, 0) > 0 &&
				    (p.revents &
				     (POLLRDHUP | POLLHUP | POLLERR))) {
					closed = 1;
					closed_at = (t - t0) / 1e9;
				}
			}
		}
		int can = 0;
		/* -burst: that many writes before the subscribers are polled
		 * again */
		for (int bu = 0; bu < burst; bu++) {
			sm = sent / F;
			can = !blocked && (!stop || pos % F) &&
			      (pos % F || sm - m < Wd);
			if (can) {
				size_t len = BL - pos;
				if (stop)
					len = F - pos % F;
				else if (pos % F == 0) {
					uint64_t room = Wd - (sm - m);
					if (room * F < len)
						len = room * F;
				}
				ssize_t r = send(pubfd, blk + pos, len,
						 MSG_DONTWAIT | MSG_NOSIGNAL);
				if (r < 0) {
					if (errno != EAGAIN)
						DIE("pub");
					blocked = 1;
				} else {
					pos += r;
					sent += r;
					if (pos == BL)
						pos = 0;
				}
			} else
				break;
		}
		int n = epoll_wait(ep, ev, 64, can && !blocked ? 0 : 20);
		for (int i = 0; i < n; i++) {
			if (ev[i].data.u32 & (1u << 30)) {
				blocked = 0;
				continue;
			}
			ssize_t r = sink(ev[i].data.u32);
			if (r == 0 || (r < 0 && errno != EAGAIN)) {
				stalled = 2;
				goto out;
			}
		}
		if (n > 0)
			tl = now_ns();
	}
out:;
	uint64_t k1 = ksoftirqd_ns(bcore), b1 = bcpu(), me1 = self_cpu_ns(),
		 sys1 = sys_busy_ns(&steal1), t1 = stalled ? lastprog : tl,
		 tt = now_ns();
	double w = (t1 - t0) / 1e9, wall = (tt - t0) / 1e9,
	       msgs = min_cnt(from) / DF, gb = 0;
	for (int i = from; i < N; i++)
		gb += (double)(cnt[i] / DF) * R / 1e9;
	double other = ((double)(sys1 - sys0) - (double)(b1 - b0) -
			(double)(me1 - me0)) /
		       1e9 / wall;
	uint64_t slow_got = 0;
	/* what can the stopped reader still read, at the end */
	if (slow) {
		uint64_t t = now_ns() + 3000000000ull;
		for (;;) {
			struct pollfd p = { .fd = sfd[0], .events = POLLIN };
			if (poll(&p, 1, 500) <= 0 || now_ns() > t)
				break;
			ssize_t r = recv(sfd[0], rb, rbuf_sz, MSG_DONTWAIT);
			if (r <= 0) {
				closed |= 2;
				break;
			}
			slow_got += r;
		}
	}
	printf("{\"mode\":\"%s\",\"proto\":\"%s\",\"size\":%zu,\"subs\":%d,"
	       "\"secs\":%.4f,\"msgs\":%.0f,\"mps\":%.0f,\"mbps\":%.2f,\"gb\":%"
	       ".4f,"
	       "\"bcpu\":%.4f,\"ksoft\":%.4f,\"lcpu\":%.4f,\"bcpu_gb\":%.4f,"
	       "\"syscpu_gb\":%.4f,\"other\":%.3f,\"steal\":%.3f,\"stall\":%d,"
	       "\"rss0\":%ld,\"rss\":%ld",
	       mode, proto, S, N, w, msgs, msgs / w, msgs * R / w / 1e6, gb,
	       (b1 - b0) / 1e9, (k1 - k0) / 1e9, (me1 - me0) / 1e9,
	       (b1 - b0) / 1e9 / gb, ((b1 - b0) + (me1 - me0)) / 1e9 / gb,
	       other, (steal1 - steal0) / 1e9 / wall, stalled, rss0, rss);
	if (slow)
		printf(",\"maxgap_ms\":%.1f,\"tcpmem0\":%ld,\"tcpmem\":%ld,"
		       "\"sent_mb\":%.1f,\"closed\":%d,\"closed_at\":%.2f,"
		       "\"slow_got_mb\":%.1f",
		       maxgap / 1e6, tm0, tmem, sent / F * S / 1e6, closed,
		       closed_at, slow_got / DF * S / 1e6);
	printf("}\n");
}
/* per-subscriber stream parser: calls cb(sub, payload) for each whole frame */
typedef struct {
	uint8_t *b;
	size_t n;
	uint64_t seq;
} pst;
static pst *ps;
static size_t PB;
static int
parse(int i, void (*cb)(int, uint8_t *))
{
	pst *p = ps + i;
	ssize_t r = recv(sfd[i], p->b + p->n, PB - p->n, MSG_DONTWAIT);
	if (r <= 0)
		return r < 0 && errno == EAGAIN ? 0 : -1;
	p->n += r;
	size_t o = 0;
	for (;;) {
		if (is("nats") && p->n - o >= 6 &&
		    !memcmp(p->b + o, "PING\r\n", 6)) {
			o += 6;
			wr_all(sfd[i], "PONG\r\n", 6);
			continue;
		}
		if (p->n - o < DF)
			break;
		if (DP && memcmp(p->b + o, dpre, DP))
			DIE("bad frame head from broker");
		cb(i, p->b + o + DP);
		o += DF;
	}
	if (o) {
		memmove(p->b, p->b + o, p->n - o);
		p->n -= o;
	}
	return 1;
}
static void
parsers(void)
{
	PB = (DF * 2 > 65536 ? DF * 2 : 65536) + 64;
	ps = calloc(N, sizeof *ps);
	for (int i = 0; i < N; i++)
		ps[i].b = malloc(PB);
}
static uint64_t bad;
static void
vcb(int i, uint8_t *p)
{
	uint64_t q;
	memcpy(&q, p + seq_off, 8);
	if (q != ps[i].seq || memcmp(p, want, seq_off) ||
	    memcmp(p + seq_off + 8, want + seq_off + 8,
		   R - seq_off - 8))
		bad++;
	ps[i].seq = q + 1;
	cnt[i]++;
}
static void
verify(void)
{
	parsers();
	uint64_t M = S > 65536	? 400
		     : S > 8192 ? 4000
				: 20000,
		 sent = 0, nextrd = 0, t = now_ns() + 20000000000ull, m;
	uint8_t *f = malloc(F);
	put(f);
	size_t pos = F;
	while ((m = min_cnt(0)) < M && now_ns() < t) {
		if (pos == F && sent < M && (sent - m < 256 || lag) &&
		    sent - m < (8u << 20) / S) {
			memcpy(f + npre + S - R + seq_off, &sent, 8);
			sent++;
			pos = 0;
		}
		if (pos < F) {
			ssize_t r = send(pubfd, f + pos, F - pos,
					 MSG_DONTWAIT | MSG_NOSIGNAL);
			if (r > 0)
				pos += r;
		}
		struct epoll_event ev[64];
		/* -lag ms: read seldom, so that data waits in the sockets */
		if (lag && now_ns() < nextrd)
			continue;
		if (lag)
			nextrd = now_ns() + lag * 1000000ull;
		int n = epoll_wait(ep, ev, 64, 0);
		for (int i = 0; i < n; i++)
			while (lag) {
				int r = parse(ev[i].data.u32, vcb);
				if (r < 0)
					DIE("verify: closed");
				if (!r)
					break;
			}
		if (!lag)
			for (int i = 0; i < n; i++)
				if (parse(ev[i].data.u32, vcb) < 0)
					DIE("verify: closed");
	}
	printf("{\"mode\":\"verify\",\"proto\":\"%s\",\"size\":%zu,\"subs\":%d,"
	       "\"sent\":%lu,\"min_got\":%lu,\"bad\":%lu,\"ok\":%d}\n",
	       proto, S, N, sent, min_cnt(0), bad, min_cnt(0) == M && !bad);
}
/* Latencies in buckets that are 1/128 of their value wide, at most. */
enum { SUB_BITS = 7, BUCKETS = (64 - SUB_BITS) << SUB_BITS };
static uint64_t hist[BUCKETS], hist_n, hist_max, tnow;
static void
hist_add(uint64_t ns)
{
	unsigned shift = 0;

	if (ns >> (SUB_BITS + 1))
		shift = 64 - SUB_BITS - 1 - (unsigned)__builtin_clzll(ns);
	hist[(shift << SUB_BITS) + (ns >> shift)]++;
	hist_n++;
	if (ns > hist_max)
		hist_max = ns;
}
/* The upper end of the bucket, in us */
static double
hist_at(double q)
{
	uint64_t rank = (uint64_t)((double)hist_n * q), seen = 0;

	if (rank >= hist_n - 1)
		return (double)hist_max / 1e3;
	for (size_t i = 0; i < BUCKETS; i++) {
		unsigned shift = i >> SUB_BITS ? (unsigned)(i >> SUB_BITS) - 1
					       : 0;

		seen += hist[i];
		if (seen > rank)
			return (double)((i - ((size_t)shift << SUB_BITS) + 1)
					<< shift) /
			       1e3;
	}
	return 0;
}
static void
lcb(int i, uint8_t *p)
{
	uint64_t ts;

	memcpy(&ts, p + ts_off, 8);
	hist_add(tnow > ts ? tnow - ts : 0);
	cnt[i]++;
}
/*
 * Spins on its own core: only the broker's wake-up and work are in the figure.
 * A message is stamped with the time at which the schedule wanted it sent, so
 * that what a stall kept from being sent counts as late too.
 */
static void
lat(void)
{
	uint8_t *f = malloc(F);
	double gap = 1e9 / rate;
	uint64_t M = (uint64_t)(rate * secs), sent = 0, late = 0, b0 = 0,
		 me0 = 0, sys0 = 0, t0 = 0, t = now_ns(), start = t + 1000000,
		 skip = M / 10,
		 giveup = start + (uint64_t)(secs * 1e9) + 4000000000ull;

	parsers();
	put(f);
	for (;;) {
		uint64_t due = start + (uint64_t)((double)sent * gap);
		struct epoll_event ev[64];
		int n;

		t = now_ns();
		if (sent < M && t >= due) {
			if (sent == skip) {
				memset(hist, 0, sizeof hist);
				hist_n = hist_max = 0;
				b0 = bcpu();
				me0 = self_cpu_ns();
				sys0 = sys_busy_ns(NULL);
				t0 = now_ns();
			}
			late += t > due + 50000;
			memcpy(f + npre + S - R + ts_off, &due, 8);
			wr_all(pubfd, f, F);
			sent++;
		}
		n = epoll_wait(ep, ev, 64, 0);
		for (int i = 0; i < n; i++) {
			tnow = now_ns();
			if (parse(ev[i].data.u32, lcb) < 0)
				DIE("lat: closed");
		}
		/* Kernel threads of this core run now, not at the end of a time
		 * slice. */
		if (yield_ && n <= 0)
			sched_yield();
		if ((sent == M && min_cnt(0) == M) || t > giveup)
			break;
	}
	uint64_t b1 = bcpu(), me1 = self_cpu_ns(), sys1 = sys_busy_ns(NULL);
	double wall = (double)(now_ns() - t0) / 1e9;
	static const double qs[] = { 0,	  .1,  .25,  .5,   .75,	 .9,
				     .95, .99, .995, .999, .9999 };

	printf("{\"mode\":\"lat\",\"proto\":\"%s\",\"size\":%zu,\"subs\":%d,"
	       "\"rate\":%.0f,\"n\":%lu,\"lost\":%lu,\"late\":%lu,"
	       "\"p50\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f,"
	       "\"bcpu_core\":%.3f,\"other\":%.3f,\"rss\":%ld,\"q\":[",
	       proto, S, N, rate, hist_n, M - min_cnt(0), late, hist_at(.5),
	       hist_at(.99), hist_at(.999), (double)hist_max / 1e3,
	       (double)(b1 - b0) / 1e9 / wall,
	       ((double)(sys1 - sys0) - (double)(b1 - b0) -
		(double)(me1 - me0)) /
		       1e9 / wall,
	       pid_rss_kb(bpid));
	for (size_t i = 0; i < sizeof qs / sizeof *qs; i++)
		printf("[%g,%.1f],", qs[i] * 100, hist_at(qs[i]));
	printf("[100,%.1f]]}\n", (double)hist_max / 1e3);
}
int
main(int ac, char **av)
{
	for (int i = 1; i + 1 < ac; i += 2) {
		char *k = av[i], *v = av[i + 1];
#define A(n) else if (!strcmp(k, n))
		if (0)
			;
		A("-proto") proto = v;
		A("-port") port = atoi(v);
		A("-size") S = atol(v);
		A("-subs") N = atoi(v);
		A("-mode") mode = v;
		A("-secs") secs = atof(v);
		A("-window") window = atol(v);
		A("-bpid") bpid = atoi(v);
		A("-cpu") cpu = atoi(v);
		A("-sink") trunc_ = v[0] == 't';
		A("-batch") batch = atol(v);
		A("-rate") rate = atof(v);
		A("-burst") burst = atoi(v);
		A("-lag") lag = atoi(v);
		A("-yield") yield_ = atoi(v);
		A("-capmb") cap_mb = atof(v);
		A("-pport") pport = atoi(v);
		A("-bcore") bcore = atoi(v);
		A("-table") table = v;
		A("-select") selected = v;
		else DIE("option %s", k);
	}
	signal(SIGPIPE, SIG_IGN);
	alarm(60);
	pin(cpu);
	setup();
	if (!strcmp(mode, "tput"))
		tput(0);
	else if (!strcmp(mode, "slow"))
		tput(1);
	else if (!strcmp(mode, "verify"))
		verify();
	else
		lat();
	return 0;
}
