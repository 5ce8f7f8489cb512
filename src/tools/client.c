#include "config.h"

#include "tools/client.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"
#include "tools/cli.h"
#include "wire/inflate.h"

/* Capability 3 pins every frame below 2 GiB (wire.md section 1). */
static const size_t frame_max = INT32_MAX;

void
client_target_init(struct client_target *target)
{
	const char *user = getenv("USER");

	*target = (struct client_target){
		.host = "127.0.0.1",
		.port = "5010",
		.user = user != NULL ? user : "ringtick",
		.place_option = "-h and -p",
		.timeout_ns = 5 * NS_PER_S,
	};
}

/*
 * Waits until the socket is ready for the events.  0, -ETIMEDOUT, -EINTR.
 * A signal that comes just before the poll is seen within a quarter second.
 */
static int
wait_ready(int fd, short events, int64_t deadline_ns)
{
	struct pollfd pollfd = { .fd = fd, .events = events };

	for (;;) {
		int64_t left_ns = deadline_ns - clock_monotonic_ns();
		int64_t left_ms = (left_ns + NS_PER_MS - 1) / NS_PER_MS;
		int n;

		if (cli_stopped())
			return -EINTR;
		if (left_ns <= 0)
			return -ETIMEDOUT;
		n = poll(&pollfd, 1, left_ms < 250 ? (int)left_ms : 250);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

int
client_send(struct client *client, const void *bytes, size_t len,
	    int64_t deadline_ns, size_t *out_sent)
{
	const uint8_t *at = bytes;

	*out_sent = 0;
	while (*out_sent < len) {
		ssize_t n = send(client->fd, at + *out_sent, len - *out_sent,
				 MSG_NOSIGNAL | MSG_DONTWAIT);
		int err;

		if (n >= 0) {
			*out_sent += (size_t)n;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		err = wait_ready(client->fd, POLLOUT, deadline_ns);
		if (err < 0)
			return err;
	}
	return 0;
}

void
client_end(struct client *client)
{
	if (client->give_up_ns == 0)
		client->give_up_ns = clock_monotonic_ns() + CLIENT_GRACE_NS;
	cli_resume();
}

int
client_send_all(struct client *client, const void *bytes, size_t len,
		int64_t look_ns, size_t *out_sent)
{
	const uint8_t *at = bytes;

	*out_sent = 0;
	for (;;) {
		bool is_ending = client->give_up_ns != 0;
		size_t sent;
		int err = client_send(client, at + *out_sent, len - *out_sent,
				      is_ending ? client->give_up_ns : look_ns,
				      &sent);

		*out_sent += sent;
		if (err != -EINTR)
			return err;
		if (is_ending)
			return -ETIMEDOUT;
		client_end(client);
	}
}

/* Makes room for at least one byte at the end of the buffer. */
static int
make_room(struct client *client)
{
	size_t cap = client->cap;
	uint8_t *buf;

	if (client->at > 0) {
		memmove(client->buf, client->buf + client->at,
			client->end - client->at);
		client->end -= client->at;
		client->at = 0;
	}
	if (client->end < cap)
		return 0;

	/*
	 * A frame longer than the buffer.  The buffer grows with the bytes that
	 * have arrived, not to the length that the header promises.
	 */
	cap = cap == 0 ? CLIENT_READ_BYTES : 2 * cap;
	buf = realloc(client->buf, cap);
	if (buf == NULL)
		return -ENOMEM;
	client->buf = buf;
	client->cap = cap;
	return 0;
}

int
client_receive(struct client *client, size_t max, int64_t deadline_ns)
{
	int err = make_room(client);
	size_t room;

	if (err < 0)
		return err;
	room = min_u64(client->cap - client->end,
		       min_u64(max, CLIENT_READ_BYTES));
	for (;;) {
		ssize_t n = recv(client->fd, client->buf + client->end, room,
				 MSG_DONTWAIT);

		if (n > 0) {
			client->end += (size_t)n;
			return (int)n;
		}
		if (n == 0)
			return -EPIPE;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		err = wait_ready(client->fd, POLLIN, deadline_ns);
		if (err < 0)
			return err;
	}
}

/* Grows client->plain to at least len bytes. */
static const char *
reserve_plain(struct client *client, size_t len)
{
	uint8_t *plain;

	if (client->plain_cap >= len)
		return NULL;
	plain = realloc(client->plain, len);
	if (plain == NULL)
		return "no memory for a frame of that length";
	client->plain = plain;
	client->plain_cap = len;
	return NULL;
}

/*
 * Turns a compressed or big-endian frame into a plain one in client->plain.
 * ringtickd sends neither; a q tickerplant on another machine compresses.
 */
static const char *
make_plain(struct client *client, const uint8_t *frame,
	   const struct wire_header *header, size_t *out_len)
{
	size_t frame_len = header->len;
	const uint8_t *from = frame;
	uint8_t *inflated = NULL;
	bool has_long_counts;
	const char *why;

	if (header->compression != 0) {
		frame_len = inflate_length(frame, header->len, frame_max, &why);
		if (frame_len == 0)
			return why;
		inflated = malloc(frame_len);
		if (inflated == NULL)
			return "no memory for a frame of that length";
		why = inflate(frame, header->len, inflated, frame_len);
		if (why != NULL)
			goto done;
		from = inflated;
	}
	why = wire_check_body(from + WIRE_HEADER_BYTES,
			      frame_len - WIRE_HEADER_BYTES,
			      header->is_big_endian, &has_long_counts);
	if (why == NULL)
		why = reserve_plain(client, frame_len);
	if (why == NULL)
		*out_len = wire_rewrite(from, frame_len, client->plain);
done:
	free(inflated);
	return why;
}

enum wire_result
client_next(struct client *client, struct client_frame *out)
{
	const uint8_t *frame;
	size_t avail = client->end - client->at, len;
	struct wire_header header;
	const char *why = NULL;
	enum wire_result result;

	/* A long frame arrives in many pieces: its header is read once.  At
	 * first there is no buffer. */
	if (avail == 0 || avail < client->need)
		return WIRE_MORE;
	frame = client->buf + client->at;
	result = wire_read_header(frame, avail, frame_max, &header, &why);
	if (result == WIRE_BAD)
		goto bad;
	if (result == WIRE_MORE)
		return WIRE_MORE;
	if (avail < header.len) {
		client->need = header.len;
		return WIRE_MORE;
	}
	len = header.len;
	if (header.compression != 0 || header.is_big_endian) {
		why = make_plain(client, frame, &header, &len);
		if (why != NULL)
			goto bad;
		frame = client->plain;
	}
	client->at += header.len;
	client->need = 0;
	*out = (struct client_frame){
		.message = header.message,
		.body = frame + WIRE_HEADER_BYTES,
		.body_len = len - WIRE_HEADER_BYTES,
		.wire_len = header.len,
	};
	return WIRE_OK;

bad:
	snprintf(client->error, sizeof(client->error),
		 "the server sent a frame that is not kdb+ IPC (%s); is this "
		 "the port of a tickerplant?",
		 why);
	return WIRE_BAD;
}

/* ---- connecting ---- */

static int
open_socket(int family, const struct sockaddr *address, socklen_t address_len,
	    const struct client_target *target, int64_t deadline_ns)
{
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	socklen_t err_len = sizeof(int);
	int one = 1, err = 0;

	if (fd < 0)
		return -errno;
	/* Before connect: the window that the server sees is made from it. */
	if (target->receive_buffer > 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF,
				 &target->receive_buffer, sizeof(int));
	if (family != AF_UNIX)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one,
				 sizeof(one));
	if (connect(fd, address, address_len) == 0)
		return fd;
	err = -errno;
	if (err == -EINPROGRESS) {
		err = wait_ready(fd, POLLOUT, deadline_ns);
		if (err == 0 &&
		    getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &err_len) == 0)
			err = -err;
	}
	if (err == 0)
		return fd;
	close(fd);
	return err;
}

/*
 * The abstract socket of q: its length is exact, without a final NUL
 * (wire.md section 1).
 */
static int
open_unix(const struct client_target *target, int64_t deadline_ns)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int len = snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1,
			   "/tmp/kx.%s", target->port);

	CHECK(len > 0 && (size_t)len < sizeof(address.sun_path) - 1);
	return open_socket(AF_UNIX, (const struct sockaddr *)&address,
			   (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
				       1 + (size_t)len),
			   target, deadline_ns);
}

/* Tries each address in turn; the error is the last one's. */
static int
open_tcp(const struct client_target *target, int64_t deadline_ns,
	 const char **out_why)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	const char *at = target->host;
	size_t len = strlen(at);
	char host[256];
	int fd = -EADDRNOTAVAIL, found;

	/* An address in brackets, as it is written with a port. */
	if (len > 2 && at[0] == '[' && at[len - 1] == ']') {
		at++;
		len -= 2;
	}
	(void)snprintf(host, sizeof(host), "%.*s", (int)len, at);
	found = getaddrinfo(host, target->port, &hints, &list);

	if (found != 0) {
		*out_why = gai_strerror(found);
		return -EADDRNOTAVAIL;
	}
	for (struct addrinfo *a = list; a != NULL && fd < 0; a = a->ai_next)
		fd = open_socket(a->ai_family, a->ai_addr, a->ai_addrlen,
				 target, deadline_ns);
	freeaddrinfo(list);
	if (fd < 0)
		*out_why = strerror(-fd);
	return fd;
}

/* `credentials capability NUL`; the answer is one byte, a refusal is FIN. */
static int
shake_hands(struct client *client, const struct client_target *target,
	    int64_t deadline_ns)
{
	static const uint8_t tail[] = { WIRE_CAPABILITY, 0 };
	size_t sent;
	int got = client_send(client, target->user, strlen(target->user),
			      deadline_ns, &sent);

	if (got == 0)
		got = client_send(client, tail, sizeof(tail), deadline_ns,
				  &sent);
	if (got == 0)
		got = client_receive(client, 1, deadline_ns);
	if (got < 0)
		return got;
	client->at = client->end;
	return 0;
}

static void
explain_signal(struct client *client)
{
	snprintf(client->error, sizeof(client->error),
		 "ended by a signal before the server had answered");
}

int
client_open(struct client *client, const struct client_target *target)
{
	int64_t deadline_ns = clock_monotonic_ns() + target->timeout_ns;
	bool is_unix = strcmp(target->host, "unix") == 0;
	const char *why = NULL;
	int err;

	*client = (struct client){ .fd = -1 };
	client->fd = is_unix ? open_unix(target, deadline_ns)
			     : open_tcp(target, deadline_ns, &why);
	if (client->fd == -EINTR) {
		explain_signal(client);
		return -EINTR;
	}
	if (client->fd < 0) {
		err = client->fd;
		snprintf(client->error, sizeof(client->error),
			 "cannot connect to %s, port %s: %s; start ringtickd "
			 "there, or name the place with %s",
			 target->host, target->port,
			 why != NULL ? why : strerror(-err),
			 target->place_option);
		return err;
	}
	err = shake_hands(client, target, deadline_ns);
	if (err == 0)
		return 0;
	if (err == -EINTR)
		explain_signal(client);
	else if (err == -EPIPE || err == -ECONNRESET)
		snprintf(client->error, sizeof(client->error),
			 "%s, port %s closed the connection in the handshake; "
			 "give credentials with --user NAME:PASSWORD",
			 target->host, target->port);
	else
		snprintf(client->error, sizeof(client->error),
			 "no handshake with %s, port %s: %s; is this the port "
			 "of a tickerplant?",
			 target->host, target->port, strerror(-err));
	client_close(client);
	return err;
}

void
client_close(struct client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	free(client->buf);
	free(client->plain);
	client->buf = client->plain = NULL;
	client->cap = client->at = client->end = client->need = 0;
	client->plain_cap = 0;
	client->fd = -1;
}

/* ---- requests ---- */

/* Copies the text of the error object to client->error. */
static int
keep_error(struct client *client, const struct client_frame *frame)
{
	struct wire_reader r = wire_reader(frame->body, frame->body_len, false);
	const char *text;
	size_t len = 0;

	(void)wire_get_u8(&r);
	text = wire_get_symbol(&r, &len);
	snprintf(client->error, sizeof(client->error), "%.*s", (int)len,
		 text != NULL ? text : "");
	/* The text goes to a terminal. */
	for (char *c = client->error; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return -EREMOTEIO;
}

/* Waits for the response; frames before it are dropped. */
static int
await_response(struct client *client, int64_t deadline_ns)
{
	struct client_frame answer;
	int err = 0;

	while (err >= 0) {
		enum wire_result result = client_next(client, &answer);

		if (result == WIRE_BAD)
			return -EBADMSG;
		if (result == WIRE_MORE) {
			err = client_receive(client, CLIENT_READ_BYTES,
					     deadline_ns);
			continue;
		}
		if (answer.message != WIRE_RESPONSE)
			continue;
		if ((int8_t)answer.body[0] == KT_ERROR)
			return keep_error(client, &answer);
		return 0;
	}
	return err;
}

int
client_request(struct client *client, const void *frame, size_t len,
	       int64_t deadline_ns)
{
	const uint8_t *at = frame, *end = at + len;
	bool is_ending = false;
	size_t sent;
	int err;

	for (;;) {
		err = client_send(client, at, (size_t)(end - at), deadline_ns,
				  &sent);
		at += sent;
		if (err == 0)
			err = await_response(client, deadline_ns);
		if (err != -EINTR || is_ending)
			break;
		is_ending = true;
		deadline_ns = clock_monotonic_ns() + CLIENT_GRACE_NS;
		cli_resume();
	}
	if (is_ending) {
		cli_stop();
		err = err == -ETIMEDOUT ? -EINTR : err;
	}
	if (err == -EINTR)
		explain_signal(client);
	else if (err < 0 && err != -EREMOTEIO && err != -EBADMSG)
		snprintf(client->error, sizeof(client->error), "%s",
			 err == -EPIPE || err == -ECONNRESET
				 ? "the server closed the connection; its log "
				   "says why"
				 : strerror(-err));
	return err;
}

/* Between two requests while the journal does not move. */
#define CHASE_NAP_NS (100 * NS_PER_MS)

static bool
is_not_safe_yet(const struct client *client, int err)
{
	return err == -EREMOTEIO && strcmp(client->error, "journal") == 0;
}

int
client_chase(struct client *client, int64_t deadline_ns)
{
	uint8_t frame[32];
	struct wire_writer w = wire_writer(frame, sizeof(frame));
	size_t off = wire_begin_frame(&w, WIRE_SYNC);

	wire_put_string(&w, "");
	wire_end_frame(&w, off);
	CHECK(!w.is_full);
	for (;;) {
		const struct timespec nap = { .tv_nsec = CHASE_NAP_NS };
		int err = client_request(client, frame, wire_written(&w),
					 deadline_ns);

		if (!is_not_safe_yet(client, err))
			return err;
		if (cli_stopped() ||
		    clock_monotonic_ns() + CHASE_NAP_NS > deadline_ns) {
			snprintf(client->error, sizeof(client->error),
				 "the server's journal does not move; look in "
				 "its log for event=journal_failing");
			return -ETIMEDOUT;
		}
		(void)nanosleep(&nap, NULL);
	}
}
