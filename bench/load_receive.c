#include "config.h"

#include "load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/util.h"
#include "measure.h"
#include "sockets.h"

enum { RECEIVE_MIN = 64 << 10 };

/* What has come of a subscriber and is not taken yet. */
struct receiver {
	uint8_t *bytes;
	size_t len;
};

static struct receiver *receivers;
static size_t cap; /* of each */

void
load_receivers_open(void)
{
	cap = max_u64(2 * load.delivered.len, RECEIVE_MIN);
	receivers = calloc(load.subs, sizeof(*receivers));
	CHECK(receivers != NULL);
	for (unsigned i = 0; i < load.subs; i++) {
		receivers[i].bytes = malloc(cap);
		CHECK(receivers[i].bytes != NULL);
	}
}

/* A question of the server, between messages. */
static bool
is_ping(const uint8_t *at, size_t len)
{
	const char *ping = load.protocol->ping;

	return ping != NULL && len >= strlen(ping) &&
	       memcmp(at, ping, strlen(ping)) == 0;
}

bool
load_receive(unsigned subscriber,
	     void (*take)(unsigned subscriber, const uint8_t *frame))
{
	const struct load_frame *frame = &load.delivered;
	struct receiver *r = &receivers[subscriber];
	int fd = load.subscribers[subscriber];
	ssize_t n = recv(fd, r->bytes + r->len, cap - r->len, MSG_DONTWAIT);
	size_t off = 0;

	if (n <= 0)
		return n < 0 && errno == EAGAIN;
	r->len += (size_t)n;
	for (;;) {
		const uint8_t *at = r->bytes + off;

		if (is_ping(at, r->len - off)) {
			const char *pong = load.protocol->pong;

			off += strlen(load.protocol->ping);
			send_all(fd, pong, strlen(pong));
			continue;
		}
		if (r->len - off < frame->len)
			break;
		if (memcmp(at, frame->bytes, frame->head_len) != 0)
			give_up("what comes is no message of %s",
				load.protocol->name);
		take(subscriber, at);
		off += frame->len;
	}
	r->len -= off;
	memmove(r->bytes, r->bytes + off, r->len);
	return true;
}
