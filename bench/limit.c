/*
 * No broker: one writer thread (core 0) sends from one buffer to N loopback
 * sockets; one sink thread (core 1) reads them. The kernel's ceiling for
 * fan-out.  Own code. limit -m send|sendfile|vmsplice|uring|sqpoll|uringzc -n
 * subs -c chunk -s span -t secs -k copy|trunc -C cong -B sndbuf (send with -c
 * 100 is the naive design: one system call for each message and subscriber)
 */
#include "common.h"
#include <liburing.h>
#include <pthread.h>
/* newer than Debian 12 liburing 2.3 */
#ifndef IORING_SEND_ZC_REPORT_USAGE
#define IORING_SEND_ZC_REPORT_USAGE (1U << 3)
#define IORING_NOTIF_USAGE_ZC_COPIED (1U << 31)
#endif
#include <sys/sendfile.h>

static int N = 1, *wfd, *sfd, trunc_, sink_cpu = 1, wr_cpu = 0, sndbuf = 0,
	   tun = 0;
static size_t chunk = 256u << 10, span = 256u << 10;
static double secs = 0.7;
static volatile int stop;
static uint64_t got, tlast;
static clockid_t sink_clk;
static const char *mode = "send", *cong;

static void *
sink(void *a)
{
	(void)a;
	pin(sink_cpu);
	pthread_getcpuclockid(pthread_self(), &sink_clk);
	int ep = epoll_create1(0), open_ = N;
	uint8_t *b = malloc(256u << 10);
	memset(b, 1, 256u << 10);
	for (int i = 0; i < N; i++) {
		struct epoll_event e = { .events = EPOLLIN, .data.fd = sfd[i] };
		epoll_ctl(ep, EPOLL_CTL_ADD, sfd[i], &e);
	}
	while (open_) {
		struct epoll_event ev[64];
		int n = epoll_wait(ep, ev, 64, -1);
		for (int i = 0; i < n; i++) {
			ssize_t r =
				recv(ev[i].data.fd, b,
				     trunc_ ? 4u << 20 : 256u << 10,
				     MSG_DONTWAIT | (trunc_ ? MSG_TRUNC : 0));
			if (r > 0)
				got += r;
			else if (r == 0 || errno != EAGAIN) {
				epoll_ctl(ep, EPOLL_CTL_DEL, ev[i].data.fd,
					  NULL);
				open_--;
			}
		}
		if (!stop)
			tlast = now_ns();
	}
	tlast = now_ns();
	return NULL;
}
int
main(int ac, char **av)
{
	int o;
	while ((o = getopt(ac, av, "m:n:c:s:t:k:C:B:W:S:T")) != -1)
		switch (o) {
		case 'm':
			mode = optarg;
			break;
		case 'n':
			N = atoi(optarg);
			break;
		case 'c':
			chunk = atol(optarg);
			break;
		case 's':
			span = atol(optarg);
			break;
		case 't':
			secs = atof(optarg);
			break;
		case 'k':
			trunc_ = optarg[0] == 't';
			break;
		case 'C':
			cong = optarg;
			break;
		case 'B':
			sndbuf = atoi(optarg);
			break;
		case 'W':
			wr_cpu = atoi(optarg);
			break;
		case 'S':
			sink_cpu = atoi(optarg);
			break;
		case 'T':
			tun = 1;
			break;
		default:
			return 1;
		}
	alarm(30);
	if (chunk > span)
		span = chunk;
	int mfd = memfd_create("buf", 0), one = 1;
	if (ftruncate(mfd, span))
		DIE("ftruncate");
	uint8_t *buf = mmap(NULL, 2 * span, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int k = 0; k < 2; k++)
		if (mmap(buf + k * span, span, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED | MAP_POPULATE, mfd,
			 0) == MAP_FAILED)
			DIE("mmap");
	memset(buf, 'x', span);
	wfd = calloc(N, sizeof *wfd);
	sfd = calloc(N, sizeof *sfd);
	int l = tcp_listen(0);
	struct sockaddr_in sa;
	socklen_t sl = sizeof sa;
	getsockname(l, (void *)&sa, &sl);
	if (cong)
		setsockopt(l, IPPROTO_TCP, TCP_CONGESTION, cong, strlen(cong));
	for (int i = 0; i < N; i++) {
		sfd[i] = tcp_connect(ntohs(sa.sin_port));
		wfd[i] = accept4(l, NULL, NULL, 0);
		setsockopt(wfd[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		if (sndbuf)
			setsockopt(wfd[i], SOL_SOCKET, SO_SNDBUF, &sndbuf,
				   sizeof sndbuf);
	}
	pthread_t th;
	pin(wr_cpu);
	int(*pp)[2] = calloc(N, sizeof *pp);
	size_t *inp = calloc(N, sizeof *inp);
	int uring = !strncmp(mode, "uring", 5) || !strcmp(mode, "sqpoll"),
	    zc = !strcmp(mode, "uringzc"), sf = !strcmp(mode, "sendfile"),
	    vs = !strcmp(mode, "vmsplice");
	struct io_uring R;
	/* private anonymous huge pages, one pipe for each socket */
	if (vs) {
		buf = mmap(NULL, (2 * span + (4u << 20)) & ~4095ul,
			   PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);
		buf = (uint8_t *)(((uintptr_t)buf + (2u << 20)) &
				  ~((2ul << 20) - 1));
		madvise(buf, 2 * span, MADV_HUGEPAGE);
		memset(buf, 'x', 2 * span);
		for (int i = 0; i < N; i++) {
			if (pipe2(pp[i], O_NONBLOCK))
				DIE("pipe");
			fcntl(pp[i][1], F_SETPIPE_SZ, 1 << 20);
		}
	}
	if (uring) {
		struct io_uring_params p = { 0 };
		if (!strcmp(mode, "sqpoll")) {
			p.flags = IORING_SETUP_SQPOLL | IORING_SETUP_SQ_AFF;
			p.sq_thread_cpu = wr_cpu;
			p.sq_thread_idle = 1000;
		} else
			p.flags = IORING_SETUP_SINGLE_ISSUER |
				  IORING_SETUP_DEFER_TASKRUN;
		int r = io_uring_queue_init_params(1024, &R, &p);
		if (r) {
			errno = -r;
			DIE("ring");
		}
		struct iovec v = { buf, 2 * span };
		if ((r = io_uring_register_files(&R, wfd, N))) {
			errno = -r;
			DIE("files");
		}
		if (zc && (r = io_uring_register_buffers(&R, &v, 1))) {
			errno = -r;
			DIE("buffers");
		}
		if (p.flags & IORING_SETUP_SQPOLL)
			pin(tun ? sink_cpu : wr_cpu);
	}
	pthread_create(&th, NULL, sink, NULL);
	usleep(50000);
	uint64_t s0 = sys_busy_ns(NULL),
		 c0 = pid_cpu_ns(getpid()) + ksoftirqd_ns(wr_cpu),
		 k0 = ksoftirqd_ns(wr_cpu), t0 = now_ns(),
		 tend = t0 + secs * 1e9, calls = 0, *off = calloc(N, 8),
		 copied = 0, zcn = 0;
	got = 0;
	if (!uring) {
		int ep = epoll_create1(0), nb = 0;
		char *blk = calloc(N, 1);
		for (int i = 0; i < N; i++) {
			struct epoll_event e = { .events = EPOLLOUT | EPOLLET,
						 .data.u32 = i };
			epoll_ctl(ep, EPOLL_CTL_ADD, wfd[i], &e);
			fcntl(wfd[i], F_SETFL, O_NONBLOCK);
		}
		int it = 0;
		while ((++it & 15) || now_ns() < tend) {
			for (int i = 0; i < N; i++) {
				if (blk[i])
					continue;
				ssize_t r;
				if (sf) {
					off_t of = off[i] % span;
					size_t len = chunk < span - of
							     ? chunk
							     : span - of;
					r = sendfile(wfd[i], mfd, &of, len);
				} else if (vs) {
					if (!inp[i]) {
						struct iovec v = {
							buf + off[i] % span,
							chunk
						};
						ssize_t q = vmsplice(
							pp[i][1], &v, 1,
							SPLICE_F_NONBLOCK);
						if (q <= 0)
							DIE("vmsplice");
						inp[i] = q;
					}
					r = splice(pp[i][0], NULL, wfd[i], NULL,
						   inp[i],
						   SPLICE_F_NONBLOCK |
							   SPLICE_F_MOVE);
					if (r > 0)
						inp[i] -= r;
				} else
					r = send(wfd[i], buf + off[i] % span,
						 chunk, MSG_NOSIGNAL);
				calls++;
				if (r > 0)
					off[i] += r;
				else if (errno == EAGAIN) {
					blk[i] = 1;
					nb++;
				} else
					DIE("write");
			}
			if (nb) {
				struct epoll_event ev[64];
				int n = epoll_wait(ep, ev, 64,
						   nb == N ? 100 : 0);
				for (int k = 0; k < n; k++)
					if (blk[ev[k].data.u32]) {
						blk[ev[k].data.u32] = 0;
						nb--;
					}
			}
		}
	} else {
		int infl = 0, fin = 0;
		char *busy = calloc(N, 1);
		for (;;) {
			if (now_ns() >= tend)
				fin = 1;
			if (!fin)
				for (int i = 0; i < N; i++) {
					if (busy[i])
						continue;
					struct io_uring_sqe *q =
						io_uring_get_sqe(&R);
					if (!q)
						break;
					if (zc)
						io_uring_prep_send_zc_fixed(
							q, i,
							buf + off[i] % span,
							chunk,
							MSG_NOSIGNAL |
								MSG_WAITALL,
							IORING_SEND_ZC_REPORT_USAGE,
							0);
					else
						io_uring_prep_send(
							q, i,
							buf + off[i] % span,
							chunk,
							MSG_NOSIGNAL |
								MSG_WAITALL);
					q->flags |= IOSQE_FIXED_FILE;
					q->user_data = i;
					busy[i] = 1;
					infl++;
					calls++;
				}
			if (!infl)
				break;
			int r = io_uring_submit_and_wait(&R, 1);
			if (r < 0 && r != -EINTR) {
				errno = -r;
				DIE("enter");
			}
			struct io_uring_cqe *c;
			unsigned h, n = 0;
			io_uring_for_each_cqe(&R, h, c)
			{
				n++;
				if (c->flags & IORING_CQE_F_NOTIF) {
					infl--;
					zcn++;
					if ((uint32_t)c->res &
					    IORING_NOTIF_USAGE_ZC_COPIED)
						copied++;
					continue;
				}
				if (c->res < 0) {
					errno = -c->res;
					DIE("cqe");
				}
				off[c->user_data] += c->res;
				busy[c->user_data] = 0;
				if (!(c->flags & IORING_CQE_F_MORE))
					infl--;
			}
			io_uring_cq_advance(&R, n);
		}
	}
	struct timespec st;
	stop = 1;
	clock_gettime(sink_clk, &st);
	uint64_t c1 = pid_cpu_ns(getpid()) + ksoftirqd_ns(wr_cpu),
		 k1 = ksoftirqd_ns(wr_cpu);
	uint64_t sink_cpu_ns = st.tv_sec * 1000000000ull + st.tv_nsec,
		 gotc = got;
	for (int i = 0; i < N; i++)
		shutdown(wfd[i], SHUT_WR);
	if (uring)
		io_uring_queue_exit(&R);
	pthread_join(th, NULL);
	uint64_t t1 = tlast, s1 = sys_busy_ns(NULL), sent = 0;
	for (int i = 0; i < N; i++)
		sent += off[i];
	double w = (t1 - t0) / 1e9, gb = gotc / 1e9,
	       wall = (now_ns() - t0) / 1e9;
	uint64_t wcpu = c1 - c0 > sink_cpu_ns ? c1 - c0 - sink_cpu_ns : 0;
	printf("{\"mode\":\"limit\",\"how\":\"%s\",\"sink\":\"%s\",\"cong\":\"%"
	       "s\",\"subs\":%d,\"chunk\":%zu,\"span\":%zu,\"secs\":%.3f,"
	       "\"mbps_total\":%.0f,\"mbps\":%.1f,\"calls_s\":%.0f,"
	       "\"wcpu_gb\":%.4f,\"scpu_gb\":%.4f,\"ksoft_gb\":%.4f,\"zc_"
	       "copied\":%.2f,\"lost\":%ld,\"other\":%.3f}\n",
	       mode, trunc_ ? "trunc" : "copy", cong ? cong : "default", N,
	       chunk, span, w, got / w / 1e6, got / w / 1e6 / N, calls / w,
	       wcpu / 1e9 / gb, sink_cpu_ns / 1e9 / gb, (k1 - k0) / 1e9 / gb,
	       zcn ? (double)copied / zcn : 0, (long)(sent - got),
	       ((double)(s1 - s0) - (double)(wcpu + sink_cpu_ns)) / 1e9 / wall);
	return 0;
}
