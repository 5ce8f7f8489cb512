#include "config.h"

#include <string.h>

#include "doors.h"

enum { READ_BYTES = 65536 };

static struct client *
client_of(struct peer *p)
{
	return container_of(p, struct client, peer);
}

void
client_flush(struct client *c)
{
	size_t n;

	while (c->socket != NULL && !c->socket->client_ended &&
	       c->out.len > 0 &&
	       (n = net_send(c->socket, c->out.at, c->out.len)) > 0) {
		bytes_drop(&c->out, n);
		c->sent_bytes += n;
	}
}

static void
forget(struct client *c)
{
	if (c->socket != NULL) {
		limits_left(c);
		net_leave(c->socket);
	}
	c->socket = NULL;
	c->has_hello = false;
	c->in.len = c->out.len = 0;
}

void
client_leave(struct client *c)
{
	forget(c);
}

bool
client_was_turned_away(const struct client *c)
{
	return !c->was_let_in &&
	       (net_faults.accept_per_mille > 0 || world.doors.is_on);
}

/* The daemon's answer to the handshake is one byte. */
static bool
take_hello(struct client *c)
{
	if (c->in.len == 0)
		return false;
	SIM_CHECK(c->in.at[0] == 3, "the handshake of %s is answered with %u",
		  c->user, c->in.at[0]);
	bytes_drop(&c->in, 1);
	c->taken_bytes = 1;
	c->has_hello = c->was_let_in = true;
	doors_was_let_in(c);
	c->ready(c);
	return true;
}

static void
take_frames(struct client *c)
{
	size_t done = 0;

	if (!c->has_hello && !take_hello(c))
		return;
	while (c->socket != NULL && done < c->in.len) {
		struct seen s = read_frame(c->in.at + done, c->in.len - done);

		if (s.kind == SEEN_MORE)
			break;
		SIM_CHECK(s.kind != SEEN_BAD, "%s gets a frame that is none",
			  c->user);
		world.counts.frames++;
		c->taken_bytes += s.len;
		c->frame(c, &s, c->in.at + done);
		done += s.len;
	}
	/* A handler may have left. */
	if (c->socket != NULL)
		bytes_drop(&c->in, done);
}

static void
read_on(void *who, uint64_t what)
{
	struct client *c = who;

	(void)what;
	c->is_timed = false;
	client_go_on(c);
}

/* One read.  Returns whether there may be more at once. */
static bool
read_some(struct client *c)
{
	uint8_t piece[READ_BYTES];
	size_t most = sizeof(piece), n;

	if (c->read_most > 0)
		most = min_u64(most, c->read_most);
	n = net_read(c->socket, piece, most);
	if (n == 0)
		return false;
	bytes_add(&c->in, piece, n);
	take_frames(c);
	if (c->read_most == 0)
		return true;
	c->is_timed = true;
	sim_at(sim_now_ns() + c->read_ns, read_on, c, 0);
	return false;
}

void
client_read_rest(struct client *c)
{
	uint64_t most = c->read_most;

	c->read_most = 0;
	while (c->socket != NULL && read_some(c))
		;
	c->read_most = most;
}

void
client_go_on(struct client *c)
{
	client_flush(c);
	while (c->socket != NULL && !c->is_paused && !c->is_stalled &&
	       !c->is_timed && read_some(c))
		;
	if (c->socket != NULL && !c->is_paused && !c->is_stalled &&
	    net_is_over(c->socket)) {
		forget(c);
		c->over(c);
	}
}

static void
wake(struct peer *p)
{
	client_go_on(client_of(p));
}

void
client_init(struct client *c, const char *user)
{
	*c = (struct client){ .peer = { .wake = wake } };
	memcpy(c->user, user, strlen(user) + 1);
	c->as.user_no = c->user_no = doors_add_user(c);
}

bool
client_connect(struct client *c)
{
	CHECK(c->socket == NULL);
	if (!c->is_stranger)
		ways_draw(c);
	c->socket = net_connect(&c->peer, c->as.port);
	if (c->socket == NULL)
		return false;
	c->socket->host = c->as.host;
	c->socket->user_no = c->as.user_no;
	c->port = c->socket->port;
	c->connect_ns = sim_now_ns();
	c->since = doors_now();
	c->verdicts = 0;
	c->is_denied = c->is_gone = false;
	world.counts.connects++;
	c->start = world.starts;
	c->sent_bytes = 0;
	c->was_let_in = false;
	ways_put_hello(c);
	client_flush(c);
	return true;
}
