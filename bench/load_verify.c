#include "config.h"

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/util.h"
#include "load.h"
#include "measure.h"

enum {
	MESSAGES_MAX = 20000,
	IN_FLIGHT_MAX = 256,
	IN_FLIGHT_BYTES = 8 << 20,
	SUBSCRIBERS_MAX = 256,
};
#define VERIFY_NS (20 * NS_PER_S)

static uint64_t bad_cnt;
static uint64_t next[SUBSCRIBERS_MAX]; /* number that each is to get */

/* The size of the first row has the message's number. */
static void
compare(unsigned subscriber, const uint8_t *frame)
{
	const struct load_frame *wanted = &load.delivered;
	size_t off = wanted->size_off, after = off + sizeof(uint64_t);
	uint64_t number;

	memcpy(&number, frame + off, sizeof(number));
	if (number != next[subscriber] ||
	    memcmp(frame, wanted->bytes, off) != 0 ||
	    memcmp(frame + after, wanted->bytes + after,
		   wanted->len - after) != 0)
		bad_cnt++;
	next[subscriber] = number + 1;
	load.got[subscriber]++;
}

static void
receive_from_all(void)
{
	struct epoll_event events[LOAD_EVENTS];
	int n = epoll_wait(load.poller, events, LOAD_EVENTS, 0);

	for (int i = 0; i < n; i++)
		if (!load_receive(events[i].data.u32, compare))
			give_up("the server has closed a connection");
}

void
load_verify(void)
{
	struct load_frame *frame = &load.sent;
	uint64_t wanted = load.size > 65536  ? 400
			  : load.size > 8192 ? 4000
					     : MESSAGES_MAX;
	uint64_t sent = 0, got;
	size_t off = frame->len; /* of the frame, sent */
	int64_t until_ns = clock_monotonic_ns() + VERIFY_NS;

	CHECK(load.subs <= SUBSCRIBERS_MAX);
	load_receivers_open();
	while ((got = load_least_got(0)) < wanted &&
	       clock_monotonic_ns() < until_ns) {
		if (off == frame->len && sent < wanted &&
		    sent - got < IN_FLIGHT_MAX &&
		    sent - got < IN_FLIGHT_BYTES / load.size) {
			memcpy(frame->bytes + frame->size_off, &sent,
			       sizeof(sent));
			sent++;
			off = 0;
		}
		if (off < frame->len) {
			ssize_t n = send(load.publisher, frame->bytes + off,
					 frame->len - off,
					 MSG_DONTWAIT | MSG_NOSIGNAL);

			off += n > 0 ? (size_t)n : 0;
		}
		receive_from_all();
	}
	printf("{\"mode\":\"verify\",\"size\":%zu,\"subs\":%u,\"sent\":%llu,"
	       "\"min_got\":%llu,\"bad\":%llu,\"ok\":%d}\n",
	       load.size, load.subs, (unsigned long long)sent,
	       (unsigned long long)load_least_got(0),
	       (unsigned long long)bad_cnt,
	       load_least_got(0) == wanted && bad_cnt == 0);
}
