#include "config.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "base/util.h"
#include "load.h"
#include "measure.h"
#include "sockets.h"
#include "tools/histogram.h"

#define LEAD_NS	 NS_PER_MS	  /* before the first message */
#define LATE_NS	 (50 * NS_PER_US) /* after its time: counted as sent late */
#define GRACE_NS (4 * NS_PER_S)	  /* for what is lost */

static struct histogram histogram;
static int64_t received_ns;

static void
take(unsigned subscriber, const uint8_t *frame)
{
	int64_t due_ns;

	memcpy(&due_ns, frame + load.delivered.time_off, sizeof(due_ns));
	histogram_add(&histogram,
		      received_ns > due_ns ? (uint64_t)(received_ns - due_ns)
					   : 0);
	load.got[subscriber]++;
}

static void
receive_from_all(void)
{
	struct epoll_event events[LOAD_EVENTS];
	int n = epoll_wait(load.poller, events, LOAD_EVENTS, 0);

	for (int i = 0; i < n; i++) {
		received_ns = clock_monotonic_ns();
		if (!load_receive(events[i].data.u32, take))
			give_up("the server has closed a connection");
	}
	/* Kernel threads of this CPU run now, not after a time slice. */
	if (n <= 0)
		(void)sched_yield();
}

static double
percentile_us(double percent)
{
	return (double)histogram_percentile(&histogram, percent) / NS_PER_US;
}

static void
print_result(const struct load_usage *before, uint64_t lost, uint64_t late)
{
	static const double percents[] = { 0,  10, 25,	 50,   75,   90,
					   95, 99, 99.5, 99.9, 99.99 };
	struct load_usage after = load_usage();
	int64_t daemon_ns = after.daemon_cpu_ns - before->daemon_cpu_ns;

	printf("{\"mode\":\"lat\",\"size\":%zu,\"subs\":%u,\"rate\":%.0f,"
	       "\"n\":%llu,\"lost\":%llu,\"late\":%llu,\"p50\":%.1f,"
	       "\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f,\"bcpu_core\":%.3f,"
	       "\"other\":%.3f,\"rss\":%ld,\"q\":[",
	       load.size, load.subs, load.rate,
	       (unsigned long long)histogram.total, (unsigned long long)lost,
	       (unsigned long long)late, percentile_us(50), percentile_us(99),
	       percentile_us(99.9), percentile_us(100),
	       (double)daemon_ns / (double)(after.at_ns - before->at_ns),
	       load_others(before, &after), process_rss_kib(load.daemon_pid));
	for (size_t i = 0; i < ARRAY_LEN(percents); i++)
		printf("[%g,%.1f],", percents[i], percentile_us(percents[i]));
	printf("[100,%.1f]]}\n", percentile_us(100));
}

/*
 * Spins on its own CPU: only the server's waking and work are in the figure.  A
 * message is stamped with the time at which the schedule wanted it sent, so
 * that a message that a stall held back counts as late too.  The first tenth is
 * not counted.
 */
void
load_latency(void)
{
	struct load_frame *frame = &load.sent;
	uint64_t wanted = (uint64_t)(load.rate * load.secs);
	uint64_t sent = 0, late = 0;
	int64_t start_ns = clock_monotonic_ns() + LEAD_NS, now_ns;
	int64_t until_ns = start_ns + (int64_t)(load.secs * 1e9) + GRACE_NS;
	struct load_usage before = load_usage();

	load_receivers_open();
	do {
		int64_t due_ns =
			start_ns + (int64_t)((double)sent * 1e9 / load.rate);

		now_ns = clock_monotonic_ns();
		if (sent < wanted && now_ns >= due_ns) {
			if (sent == wanted / 10) {
				histogram = (struct histogram){ 0 };
				before = load_usage();
			}
			late += now_ns > due_ns + LATE_NS;
			memcpy(frame->bytes + frame->time_off, &due_ns,
			       sizeof(due_ns));
			send_all(load.publisher, frame->bytes, frame->len);
			sent++;
		}
		receive_from_all();
	} while (now_ns <= until_ns &&
		 (sent < wanted || load_least_got(0) < wanted));
	print_result(&before, wanted - load_least_got(0), late);
}
