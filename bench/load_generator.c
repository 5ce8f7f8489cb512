/*
 * The feed and all subscribers of bench/compare_brokers.sh, in one thread.  It
 * speaks each protocol raw, without a client library, so that the client's cost
 * is the same for every server.
 *
 *   load_generator -proto NAME -port N -bpid PID -mode MODE [OPTION VALUE]...
 *
 * -proto     kdb (what is sent comes back), ringtick (.u.upd comes back as upd
 *            of a table), redis, nats, zmtp (its publishers have -pport N)
 * -bpid      the server's process, whose CPU time and memory are measured; it
 *            is pinned to the CPU -bcore (0), or with -1 to none
 * -cpu       the CPU of this process (-1: any)
 * -mode      tput    as fast as 8 MiB in flight permit; nothing is lost
 *            slow    the same, but one subscriber does not read
 *            verify  each byte of each message is compared
 *            lat     at a fixed -rate (10000), with the time of each message
 * -size      bytes of a message (100); -subs the number of subscribers (1)
 * -secs      (0.8); -capmb most MiB that are sent (1024)
 *
 * Prints a line of JSON.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"
#include "load.h"
#include "measure.h"
#include "sockets.h"

enum { WARM_UP_MESSAGES = 20, RUN_SECONDS_MAX = 60 };
#define WARM_UP_NS (5 * NS_PER_S) /* for one of its messages */

struct load load = {
	.mode = "tput",
	.cpu = -1,
	.size = 100,
	.subs = 1,
	.secs = 0.8,
	.rate = 10000,
	.megabytes_max = 1024,
};

uint64_t
load_least_got(unsigned from)
{
	uint64_t least = UINT64_MAX;

	for (unsigned i = from; i < load.subs; i++)
		least = min_u64(least, load.got[i]);
	return least;
}

struct load_usage
load_usage(void)
{
	return (struct load_usage){
		.at_ns = clock_monotonic_ns(),
		.daemon_cpu_ns = process_cpu_ns(load.daemon_pid) +
				 ksoftirqd_cpu_ns(load.daemon_cpu),
		.own_cpu_ns = process_cpu_ns(0),
		.machine_cpu_ns = machine_cpu_ns(),
	};
}

double
load_others(const struct load_usage *a, const struct load_usage *b)
{
	int64_t ns = b->machine_cpu_ns - a->machine_cpu_ns -
		     (b->daemon_cpu_ns - a->daemon_cpu_ns) -
		     (b->own_cpu_ns - a->own_cpu_ns);

	return (double)ns / (double)(b->at_ns - a->at_ns);
}

/* ---- connections ---- */

static void
open_subscribers(void)
{
	load.poller = epoll_create1(EPOLL_CLOEXEC);
	load.subscribers = calloc(load.subs, sizeof(load.subscribers[0]));
	load.got = calloc(load.subs, sizeof(load.got[0]));
	CHECK(load.subscribers != NULL && load.got != NULL);
	for (unsigned i = 0; i < load.subs; i++) {
		struct epoll_event e = { .events = EPOLLIN, .data.u32 = i };
		int fd = socket_connect(load.port);

		load.protocol->greet(fd, true);
		(void)epoll_ctl(load.poller, EPOLL_CTL_ADD, fd, &e);
		load.subscribers[i] = fd;
	}
}

static void
receive_some(void)
{
	static uint8_t bytes[64 << 10];
	struct epoll_event events[LOAD_EVENTS];
	int n = epoll_wait(load.poller, events, LOAD_EVENTS, 100);

	for (int i = 0; i < n; i++) {
		uint32_t subscriber = events[i].data.u32;
		ssize_t len = recv(load.subscribers[subscriber], bytes,
				   sizeof(bytes), MSG_DONTWAIT);

		if (len == 0 || (len < 0 && errno != EAGAIN))
			give_up("the server has closed a connection");
		if (len > 0)
			load.got[subscriber] += (uint64_t)len;
	}
}

/* Proves that every subscription works. */
static void
warm_up(void)
{
	for (unsigned i = 1; i <= WARM_UP_MESSAGES; i++) {
		int64_t until_ns = clock_monotonic_ns() + WARM_UP_NS;

		send_all(load.publisher, load.sent.bytes, load.sent.len);
		while (load_least_got(0) < i * load.delivered.len) {
			receive_some();
			if (clock_monotonic_ns() > until_ns) {
				errno = ETIMEDOUT;
				give_up("message %u has not come to all", i);
			}
		}
	}
	memset(load.got, 0, load.subs * sizeof(load.got[0]));
}

/* ---- main ---- */

/* False: there is no such option. */
static bool
take_option(const char *name, const char *value)
{
	const struct {
		const char *name;
		int *to;
	} integers[] = {
		{ "-port", &load.port },
		{ "-pport", &load.publisher_port },
		{ "-bpid", &load.daemon_pid },
		{ "-bcore", &load.daemon_cpu },
		{ "-cpu", &load.cpu },
	};
	const struct {
		const char *name;
		double *to;
	} numbers[] = {
		{ "-secs", &load.secs },
		{ "-rate", &load.rate },
		{ "-capmb", &load.megabytes_max },
	};

	for (size_t i = 0; i < ARRAY_LEN(integers); i++)
		if (strcmp(name, integers[i].name) == 0)
			return *integers[i].to = (int)number_from(value), true;
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		if (strcmp(name, numbers[i].name) == 0)
			return *numbers[i].to = number_from(value), true;
	if (strcmp(name, "-size") == 0)
		load.size = (size_t)number_from(value);
	else if (strcmp(name, "-subs") == 0)
		load.subs = (unsigned)number_from(value);
	else if (strcmp(name, "-mode") == 0)
		load.mode = value;
	else if (strcmp(name, "-proto") == 0)
		load.protocol = load_protocol_find(value);
	else
		return false;
	return true;
}

static int
usage(void)
{
	fprintf(stderr, "see the head of bench/load_generator.c\n");
	return EXIT_FAILURE;
}

int
main(int argc, char **argv)
{
	for (int i = 1; i < argc; i += 2)
		if (i + 1 == argc || !take_option(argv[i], argv[i + 1]))
			return usage();
	if (load.protocol == NULL || load.subs == 0)
		return usage();
	ignore_sigpipe();
	alarm(RUN_SECONDS_MAX);
	pin_to(load.cpu);
	load_frame_sent(&load.sent, load.protocol, load.size);
	load_frame_delivered(&load.delivered, load.protocol, load.size);
	open_subscribers();
	load.publisher = socket_connect(
		load.publisher_port != 0 ? load.publisher_port : load.port);
	load.protocol->greet(load.publisher, false);
	(void)poll(NULL, 0, load.protocol->settle_ms);
	warm_up();
	if (strcmp(load.mode, "tput") == 0)
		load_throughput(false);
	else if (strcmp(load.mode, "slow") == 0)
		load_throughput(true);
	else if (strcmp(load.mode, "verify") == 0)
		load_verify();
	else if (strcmp(load.mode, "lat") == 0)
		load_latency();
	else
		return usage();
	return EXIT_SUCCESS;
}
