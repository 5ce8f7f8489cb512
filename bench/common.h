/* What the bench programs share: clocks, CPU and RSS samples, kdb+ updates. */
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static inline uint64_t
now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + t.tv_nsec;
}
static inline uint64_t
self_cpu_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + t.tv_nsec;
}
#define DIE(...)                                                             \
	do {                                                                 \
		fprintf(stderr, __VA_ARGS__);                                \
		fprintf(stderr, " (errno %d %s)\n", errno, strerror(errno)); \
		exit(2);                                                     \
	} while (0)

/*
 * CPU ns of all threads of a process, those that have ended too; kernel threads
 * that work for it (SQPOLL, io-wq) are among them. IRQ_TIME_ACCOUNTING is off on
 * usual kernels, so softirq work done in a thread's context (loopback receive
 * processing) is included.
 */
static inline uint64_t
pid_cpu_ns(int pid)
{
	clockid_t clock;
	struct timespec t;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &t))
		return 0;
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}
/* CPU ns of ksoftirqd/<cpu>: under load the loopback receive work of the pinned
 * process moves there */
static inline uint64_t
ksoftirqd_ns(int cpu)
{
	static int pids[64];
	if (cpu < 0 || cpu > 63)
		return 0;
	if (!pids[cpu]) {
		pids[cpu] = -1;
		char want[32];
		int wl = snprintf(want, sizeof want, "ksoftirqd/%d\n", cpu);
		DIR *d = opendir("/proc");
		struct dirent *e;
		while (d && (e = readdir(d))) {
			char f[300], c[32] = "";
			if (e->d_name[0] < '0' || e->d_name[0] > '9' ||
			    atoi(e->d_name) > 4000)
				continue;
			snprintf(f, sizeof f, "/proc/%s/comm", e->d_name);
			FILE *fp = fopen(f, "r");
			if (!fp)
				continue;
			if (fgets(c, sizeof c, fp) && !strncmp(c, want, wl))
				pids[cpu] = atoi(e->d_name);
			fclose(fp);
		}
		if (d)
			closedir(d);
	}
	return pids[cpu] > 0 ? pid_cpu_ns(pids[cpu]) : 0;
}
static inline long
pid_rss_kb(int pid)
{
	char p[64];
	snprintf(p, sizeof p, "/proc/%d/statm", pid);
	FILE *f = fopen(p, "r");
	long a = 0, b = 0;
	if (!f)
		return -1;
	if (fscanf(f, "%ld %ld", &a, &b) != 2)
		b = -1;
	fclose(f);
	return b * 4;
}
/* all non-idle CPU of the machine in ns (10 ms grain), all modes: user nice
 * system irq softirq steal */
static inline uint64_t
sys_busy_ns(uint64_t *steal)
{
	FILE *f = fopen("/proc/stat", "r");
	unsigned long long u, n, s, id, io, hi, si, st;
	if (!f || fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &u,
			 &n, &s, &id, &io, &hi, &si, &st) != 8) {
		if (f)
			fclose(f);
		return 0;
	}
	fclose(f);
	if (steal)
		*steal = st * 10000000ull;
	return (u + n + s + hi + si) * 10000000ull;
}
static inline long
tcp_mem_kb(void)
{
	FILE *f = fopen("/proc/net/sockstat", "r");
	char l[256];
	long m = -1;
	if (!f)
		return -1;
	while (fgets(l, sizeof l, f)) {
		char *p = strstr(l, "TCP:");
		if (p && (p = strstr(l, " mem ")))
			m = atol(p + 5) * 4;
	}
	fclose(f);
	return m;
}
static inline void
pin(int cpu)
{
	if (cpu < 0)
		return;
	cpu_set_t s;
	CPU_ZERO(&s);
	CPU_SET(cpu, &s);
	if (sched_setaffinity(0, sizeof s, &s))
		DIE("affinity");
}
static inline struct sockaddr_in
loopback(int port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons(port),
				     .sin_addr.s_addr =
					     htonl(INADDR_LOOPBACK) };
}
static inline int
tcp_connect(int port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	struct sockaddr_in a = loopback(port);
	if (fd < 0 || connect(fd, (void *)&a, sizeof a))
		DIE("connect %d", port);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return fd;
}
static inline int
tcp_listen(int port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	struct sockaddr_in a = loopback(port);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (fd < 0 || bind(fd, (void *)&a, sizeof a) || listen(fd, 256))
		DIE("listen %d", port);
	return fd;
}
static inline void
wr_all(int fd, const void *b, size_t n)
{
	while (n) {
		ssize_t r = send(fd, b, n, MSG_NOSIGNAL);
		if (r <= 0)
			DIE("send");
		b = (const char *)b + r;
		n -= r;
	}
}
static inline void
rd_all(int fd, void *b, size_t n)
{
	while (n) {
		ssize_t r = recv(fd, b, n, 0);
		if (r <= 0)
			DIE("recv");
		b = (char *)b + r;
		n -= r;
	}
}
/*
 * A kdb+ IPC asynchronous message (`.u.upd;`table;(time;sym;price;size;cond)) of
 * exactly S bytes, or what a tickerplant publishes of it: (`upd;`table;x) with
 * x a table, S + KDB_PUBLISHED_MORE bytes. The columns are those of the tables
 * that bench/compare_brokers.py gives to ringtick: of trade, cond is a symbol column, of
 * notes a list of strings. The items of cond fill up to S.
 */
enum { KDB_PUBLISHED_MORE = 3 + 6 + 25 - 3 };
static inline size_t
kdb_upd(uint8_t *b, size_t S, int is_published, const char *table,
	int is_strings, size_t *ts_off, size_t *seq_off)
{
	static const char names[] = "time\0sym\0price\0size\0cond";
	size_t head = 14 + 8 + strlen(table) + 2 + 6 + 5 * 6;
	size_t row = 8 + 5 + 8 + 8 + (is_strings ? 6 : 1), n, m, o = 0;

	if (S < head + row)
		DIE("size %zu is too small", S);
	n = (S - head) / (row + 4);
	n = n ? n : 1;
	m = S - head - row * n;
#define P8(v) (b[o++] = (uint8_t)(v))
#define P32(v)                               \
	do {                                 \
		uint32_t x_ = (uint32_t)(v); \
		memcpy(b + o, &x_, 4);       \
		o += 4;                      \
	} while (0)
#define PLIST(type, cnt)  \
	do {              \
		P8(type); \
		P8(0);    \
		P32(cnt); \
	} while (0)
#define PNUMBERS(type, ctype, value)                     \
	do {                                             \
		PLIST(type, n);                          \
		for (size_t i = 0; i < n; i++, o += 8) { \
			ctype v_ = (ctype)(value);       \
			memcpy(b + o, &v_, 8);           \
		}                                        \
	} while (0)
	memcpy(b, "\1\0\0\0", 4);
	o = 4;
	S += is_published ? KDB_PUBLISHED_MORE : 0;
	P32(S);
	PLIST(0, 3);
	o += (size_t)sprintf((char *)b + o, "\365%s",
			     is_published ? "upd" : ".u.upd") + 1;
	o += (size_t)sprintf((char *)b + o, "\365%s", table) + 1;
	if (is_published) {
		P8(98), P8(0), P8(99);
		PLIST(11, 5);
		memcpy(b + o, names, sizeof names);
		o += sizeof names;
	}
	PLIST(0, 5);
	*ts_off = o + 6;
	PNUMBERS(12, uint64_t, 800000000000000000ull + i);
	PLIST(11, n);
	for (size_t i = 0; i < n; i++, o += 5)
		memcpy(b + o, "AAPL", 5);
	PNUMBERS(9, double, 100.0 + (double)(i % 100) * 0.01);
	*seq_off = o + 6;
	PNUMBERS(7, uint64_t, 100 * (i + 1));
	PLIST(is_strings ? 0 : 11, n);
	for (size_t i = 0; i < n; i++) {
		size_t l = i + 1 == n ? m - (m / n) * (n - 1) : m / n;

		if (is_strings)
			PLIST(10, l);
		memset(b + o, 'N', l);
		o += l;
		if (!is_strings)
			P8(0);
	}
	if (o != S)
		DIE("builder %zu != %zu", o, S);
	return S;
}
