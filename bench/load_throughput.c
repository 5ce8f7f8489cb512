#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/util.h"
#include "load.h"
#include "measure.h"

enum {
	BATCH_BYTES = 64 << 10,	   /* most of one send; at least a message */
	IN_FLIGHT_BYTES = 8 << 20, /* of messages that not all have */
	IN_FLIGHT_MIN = 16,	   /* messages */
	RECEIVE_BYTES = 256 << 10,
	PUBLISHER = UINT16_MAX, /* in place of a subscriber's index */
	WAIT_MS = 20,
	LEFT_WAIT_MS = 500,
};
#define LOOK_NS	 (50 * NS_PER_MS) /* at memory, and at who has stopped */
#define STALL_NS (6 * NS_PER_S)	  /* nothing is delivered */
#define STALL_BESIDE_STOPPED_NS (15 * NS_PER_S)
#define LEFT_NS	 (3 * NS_PER_S) /* for what the stopped one can still read */

static struct {
	unsigned from; /* 1: the first subscriber does not read */
	uint8_t *batch;
	size_t batch_len, batch_off;
	uint64_t in_flight_max; /* messages */
	uint64_t sent;		/* bytes */
	uint64_t delivered;	/* messages, to all that read */
	int64_t delivered_ns, received_ns, look_ns, longest_gap_ns;
	long rss_before_kib, rss_kib;
	bool is_ending, is_full, is_stalled, is_closed;
} run;

static uint8_t received[RECEIVE_BYTES];

static void
open_run(bool is_one_stopped)
{
	size_t messages = max_u64(BATCH_BYTES / load.sent.len, 1);
	struct epoll_event e = { .events = EPOLLOUT | EPOLLET,
				 .data.u32 = PUBLISHER };

	run.from = is_one_stopped;
	run.batch_len = messages * load.sent.len;
	run.batch = malloc(run.batch_len);
	CHECK(run.batch != NULL);
	for (size_t i = 0; i < messages; i++)
		memcpy(run.batch + i * load.sent.len, load.sent.bytes,
		       load.sent.len);
	run.in_flight_max = max_u64(IN_FLIGHT_BYTES / load.size, IN_FLIGHT_MIN);
	(void)epoll_ctl(load.poller, EPOLL_CTL_ADD, load.publisher, &e);
	if (is_one_stopped)
		(void)epoll_ctl(load.poller, EPOLL_CTL_DEL, load.subscribers[0],
				NULL);
	run.rss_before_kib = run.rss_kib = process_rss_kib(load.daemon_pid);
	run.delivered_ns = run.received_ns = clock_monotonic_ns();
	run.look_ns = run.delivered_ns;
}

/* Messages, the one included that is begun. */
static uint64_t
sent_cnt(void)
{
	return run.sent / load.sent.len;
}

static void
note_progress(int64_t now_ns)
{
	uint64_t delivered = load_least_got(run.from) / load.delivered.len;

	if (delivered == run.delivered)
		return;
	run.delivered = delivered;
	if (now_ns - run.delivered_ns > run.longest_gap_ns)
		run.longest_gap_ns = now_ns - run.delivered_ns;
	run.delivered_ns = now_ns;
}

static void
look(int64_t now_ns)
{
	struct pollfd fd = { .fd = load.subscribers[0], .events = POLLRDHUP };
	long rss_kib;

	if (now_ns <= run.look_ns)
		return;
	run.look_ns = now_ns + LOOK_NS;
	rss_kib = process_rss_kib(load.daemon_pid);
	if (rss_kib > run.rss_kib)
		run.rss_kib = rss_kib;
	if (run.from > 0 && poll(&fd, 1, 0) > 0)
		run.is_closed = true;
}

/* Returns how much may be sent now. */
static size_t
permitted_len(void)
{
	size_t begun = run.sent % load.sent.len;
	size_t len = run.batch_len - run.batch_off;
	uint64_t room;

	if (run.is_ending)
		return begun == 0 ? 0 : load.sent.len - begun;
	if (begun > 0)
		return len;
	if (sent_cnt() - run.delivered >= run.in_flight_max)
		return 0;
	room = run.in_flight_max - (sent_cnt() - run.delivered);
	return room * load.sent.len < len ? room * load.sent.len : len;
}

/* Returns whether anything was sent. */
static bool
publish(void)
{
	size_t len = run.is_full ? 0 : permitted_len();
	ssize_t n;

	if (len == 0)
		return false;
	n = send(load.publisher, run.batch + run.batch_off, len,
		 MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN)
		give_up("cannot publish");
	run.is_full = n < 0;
	if (n < 0)
		return false;
	run.sent += (size_t)n;
	run.batch_off = (run.batch_off + (size_t)n) % run.batch_len;
	return true;
}

/* False: a connection has ended. */
static bool
receive(int wait_ms)
{
	struct epoll_event events[LOAD_EVENTS];
	int cnt = epoll_wait(load.poller, events, LOAD_EVENTS, wait_ms);

	for (int i = 0; i < cnt; i++) {
		uint32_t subscriber = events[i].data.u32;
		ssize_t n;

		if (subscriber == PUBLISHER) {
			run.is_full = false;
			continue;
		}
		n = recv(load.subscribers[subscriber], received, RECEIVE_BYTES,
			 MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			return false;
		if (n > 0)
			load.got[subscriber] += (uint64_t)n;
	}
	if (cnt > 0)
		run.received_ns = clock_monotonic_ns();
	return true;
}

static void
transfer(int64_t start_ns)
{
	int64_t until_ns = start_ns + (int64_t)(load.secs * 1e9);
	int64_t stall_ns = run.from > 0 ? STALL_BESIDE_STOPPED_NS : STALL_NS;
	double bytes_max = load.megabytes_max * 1048576;

	while (!run.is_stalled) {
		int64_t now_ns = clock_monotonic_ns();

		note_progress(now_ns);
		if (now_ns >= until_ns ||
		    (double)(sent_cnt() * load.size) >= bytes_max)
			run.is_ending = true;
		if (run.is_ending && run.sent % load.sent.len == 0 &&
		    run.delivered >= sent_cnt())
			return;
		look(now_ns);
		run.is_stalled = now_ns - run.delivered_ns > stall_ns ||
				 !receive(publish() ? 0 : WAIT_MS);
	}
}

/* Whether the connection of the one that stopped ends, when it reads again. */
static void
look_at_stopped(void)
{
	int64_t until_ns = clock_monotonic_ns() + LEFT_NS;
	struct pollfd fd = { .fd = load.subscribers[0], .events = POLLIN };

	while (clock_monotonic_ns() < until_ns &&
	       poll(&fd, 1, LEFT_WAIT_MS) > 0)
		if (recv(fd.fd, received, RECEIVE_BYTES, MSG_DONTWAIT) <= 0) {
			run.is_closed = true;
			return;
		}
}

void
load_throughput(bool is_one_stopped)
{
	struct load_usage before, after;
	double secs, gb = 0, daemon_secs, own_secs;
	size_t message_len = load.delivered.message_len;

	open_run(is_one_stopped);
	before = load_usage();
	transfer(before.at_ns);
	after = load_usage();
	secs = (double)((run.is_stalled ? run.delivered_ns : run.received_ns) -
			before.at_ns) / 1e9;
	for (unsigned i = run.from; i < load.subs; i++)
		gb += (double)(load.got[i] / load.delivered.len * message_len) /
		      1e9;
	daemon_secs =
		(double)(after.daemon_cpu_ns - before.daemon_cpu_ns) / 1e9;
	own_secs = (double)(after.own_cpu_ns - before.own_cpu_ns) / 1e9;
	if (is_one_stopped)
		look_at_stopped();
	run.delivered = load_least_got(run.from) / load.delivered.len;
	printf("{\"mode\":\"%s\",\"size\":%zu,\"subs\":%u,\"secs\":%.4f,"
	       "\"msgs\":%llu,\"mps\":%.0f,\"mbps\":%.2f,\"bcpu_gb\":%.4f,"
	       "\"syscpu_gb\":%.4f,\"other\":%.3f,\"stall\":%d,\"rss0\":%ld,"
	       "\"rss\":%ld,\"maxgap_ms\":%.1f,\"closed\":%d}\n",
	       load.mode, load.size, load.subs, secs,
	       (unsigned long long)run.delivered, (double)run.delivered / secs,
	       (double)(run.delivered * message_len) / secs / 1e6,
	       daemon_secs / gb, (daemon_secs + own_secs) / gb,
	       load_others(&before, &after), run.is_stalled, run.rss_before_kib,
	       run.rss_kib, (double)run.longest_gap_ns / NS_PER_MS,
	       run.is_closed);
}
