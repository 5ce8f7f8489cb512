/*
 * A kdb+ IPC client for the tools: connect, handshake, send with a deadline,
 * receive into a growing buffer, one frame at a time.
 *
 * Owns the socket and the buffers.  Invariant: at <= end <= cap; bytes [at,
 * end) were received and not yet handed out.  Called by feed.c, sub.c and
 * log_replay.c.  Never prints: after a failure `error` holds a sentence.
 */
#ifndef RINGTICK_TOOLS_CLIENT_H
#define RINGTICK_TOOLS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/wire.h"

enum { CLIENT_READ_BYTES = 256 << 10 }; /* most of one recv */

#define CLIENT_FOREVER	INT64_MAX
#define CLIENT_GRACE_NS (2 * NS_PER_S) /* for what was begun, at the end */

/* Where and as whom to connect. */
struct client_target {
	const char *host; /* name or address, an IPv6 one also in brackets;
			     "unix": abstract socket */
	const char *port; /* decimal */
	const char *place_option; /* how the user gives both, for a sentence */
	const char *user;	  /* NAME or NAME:PASSWORD */
	int receive_buffer; /* SO_RCVBUF in bytes; 0: the system's default */
	int64_t timeout_ns; /* for connection and handshake together */
};

struct client {
	int fd; /* -1 when closed */
	uint8_t *buf;
	size_t cap, at, end;
	size_t need;	/* bytes of the frame at `at`; 0: not known yet */
	uint8_t *plain; /* a frame made little-endian and uncompressed */
	size_t plain_cap;
	int64_t give_up_ns; /* 0; or, once the end has come, the time when an
			       unfinished client_send_all is given up */
	char error[320];
};

/* One frame, little-endian and uncompressed; valid until the next call. */
struct client_frame {
	enum wire_message message;
	const uint8_t *body;
	size_t body_len;
	size_t wire_len; /* bytes on the wire, header included */
};

/* Sets the defaults: 127.0.0.1:5010, as $USER, within 5 s. */
void client_target_init(struct client_target *target);

/* Connects and shakes hands.  0, or -errno with client->error set and nothing
 * left open.  Close with client_close. */
int client_open(struct client *client, const struct client_target *target);

/* Accepts a client that is closed, or one whose fd is -1. */
void client_close(struct client *client);

/*
 * Sends all len bytes.  0; -ETIMEDOUT at the deadline (monotonic), -EINTR once
 * a signal has asked for the end, or -errno.  *out_sent becomes the number of
 * bytes sent, also after a failure.
 */
int client_send(struct client *client, const void *bytes, size_t len,
		int64_t deadline_ns, size_t *out_sent);

/*
 * The same, but it does not stop in the middle of a message: after client_end()
 * or a signal it has CLIENT_GRACE_NS left, so that the server is not left with
 * half a message, and then returns -ETIMEDOUT.  Before that, -ETIMEDOUT means
 * that look_ns has come, and the caller continues with the rest.
 */
int client_send_all(struct client *client, const void *bytes, size_t len,
		    int64_t look_ns, size_t *out_sent);
void client_end(struct client *client);

/*
 * Receives once, at most max bytes.  Returns the bytes received (> 0),
 * -ETIMEDOUT at the deadline, -EINTR on a signal, -EPIPE when the server has
 * closed the connection, or -errno.
 */
int client_receive(struct client *client, size_t max, int64_t deadline_ns);

/* Takes the next whole frame out of the buffer.  WIRE_MORE: it has not arrived
 * yet; WIRE_BAD: client->error is set. */
enum wire_result client_next(struct client *client, struct client_frame *out);

/*
 * Sends a sync request and waits for its response; other frames that come
 * before it are dropped, so this is for feeds.  0, or -errno with `error` set;
 * if the server answers with an error, -EREMOTEIO with its bare text in
 * `error`.  After a signal the response has CLIENT_GRACE_NS left to come, so
 * that the caller learns whether the request was taken; -EINTR if it does not
 * come, or at a second signal.
 */
int client_request(struct client *client, const void *frame, size_t len,
		   int64_t deadline_ns);

/* The same with the request `""`, which is answered after everything sent
 * before: so the server has taken all of that.  Asks again while the server
 * answers that its journal does not move. */
int client_chase(struct client *client, int64_t deadline_ns);

#endif
