/*
 * A connection: the input side of one socket, from the handshake to whole
 * frames, and the state of its life.
 *
 *   buffer:  |  done  | frame | frame | part of one |      room      |
 *            0      parsed                        filled          capacity
 *
 * Frames are handled between `parsed` and `filled`; the partial tail is moved
 * to the front before the next recv.  A frame longer than the small buffer
 * continues, alone, in a pool buffer of message.max bytes.
 *
 * Pure: the server receives into connection_room() and adds the bytes received
 * to `filled`.
 */
#ifndef RINGTICK_CLIENT_CONNECTION_H
#define RINGTICK_CLIENT_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "base/util.h"
#include "client/consumer.h"
#include "client/listener.h"
#include "client/log_quota.h"
#include "client/shares.h"
#include "client/wait_reason.h"
#include "config/settings.h"
#include "ring/selection.h"
#include "wire/proxy.h"
#include "wire/wire.h"

/*
 *   FREE -> HELLO -> CHECKING -> OPEN -> CLOSING -> FREE
 *              |       |        ^
 *              |       v        |
 *              |    ENDING -----+   (a last reply is still to be sent)
 *              v       |        |
 *            LINGERING <--------+   (FIN sent; input is read and dropped, so
 *                                    that the client sees FIN and not RST)
 */
enum connection_state {
	CONNECTION_FREE,
	CONNECTION_HELLO,
	CONNECTION_CHECKING,
	CONNECTION_OPEN,
	CONNECTION_ENDING,
	CONNECTION_LINGERING,
	CONNECTION_CLOSING,
};

enum close_reason {
#define CLOSE(name, level, sentence) CLOSE_##name,
#include "client/close_reasons.def"
#undef CLOSE
	CLOSE_COUNT,
};

extern const char *const close_reason_names[CLOSE_COUNT];
extern const enum log_level close_reason_levels[CLOSE_COUNT];
extern const char *const close_reason_sentences[CLOSE_COUNT];

/* The reply to a request that was executed, while its place is not known
 * yet. */
struct answer {
	bool is_kept;
	size_t len; /* of the reply; 0: the request was asynchronous */
	struct reply_gate gate;
	uint64_t pos; /* the reply comes after the part of wait_stream that is
			 fed from before this position of the main stream; */
	bool is_subscribing; /* or where this selection, which is held, replaces
				the one before */
	struct selection selection;
};

/* What has said who a client is, beside itself. */
enum proof { SHOWN_NOTHING, SHOWN_PASSWORD, SHOWN_CERTIFICATE };

struct connection {
	enum connection_state state;
	unsigned slot;	     /* index in the connection table and of the
				registered file */
	uint32_t generation; /* grows when the slot is freed */
	int fd;
	char name[USER_BYTES_MAX + 1]; /* from the handshake, unchanged */
	char user[USER_BYTES_MAX + 1]; /* the same, safe for the log */
	struct peer_address from;
	char peer[64]; /* the same, as text */
	unsigned listener_idx;
	bool awaits_proxy; /* the header of a TLS terminator comes first */
	bool has_tls;	   /* the terminator says so: */
	char tls[PROXY_TLS_MAX + 1];	    /* version, or "" */
	char certified[PROXY_NAME_MAX + 1]; /* name in its good certificate, or
					       "" */
	uint8_t capability;		    /* in the handshake */
	enum proof shown; /* how it is known that the user is its name's */
	const uint8_t *password; /* in the buffer, in state CHECKING; or NULL */
	size_t password_len;
	bool is_reloading;  /* its present request has asked for a reload: */
	uint32_t reload_no; /* this one */
	bool is_in;		     /* it was let in (clients_let_in): */
	const struct rights *rights; /* of the user; from OPEN on */
	unsigned may; /* enum right: of these, what it may do over this
			 listener */
	struct share *address_share; /* where it is counted; or NULL */
	struct share *user_share;    /* the same; in state OPEN */
	bool is_told;	     /* its connect line is in the log */
	bool is_feed;	     /* has sent an update */
	bool is_publisher;   /* it has published, or an earlier connection of
				its name and address has */
	bool has_published;  /* an update was accepted: */
	uint64_t published_pos; /* end of the last one in the main stream */
	enum close_reason reason; /* from ENDING on */

	/* input */
	uint8_t *buffer; /* `small`, or a pool buffer */
	size_t capacity;
	size_t parsed, filled;
	uint8_t *small;
	size_t small_bytes;
	bool is_receiving;   /* a recv is in flight */
	enum wait_reason waits_for; /* why the next frame waits; set by
				       daemon/wait.c */
	struct list wait_node;	    /* in the queue of that reason */
	uint64_t wanted_bytes;	    /* WAIT_ROOM: bytes needed in the main ring,
				       or 0 */
	const struct stream *wait_stream; /* WAIT_LEVEL: the stream, ... */
	struct answer answer; /* ... and a reply, or a request waits */
	int64_t wait_since_ns;
	bool is_wait_told;     /* the wait is in the log */
	bool is_wait_sync;     /* the client waits for an answer */
	int64_t dear_until_ns; /* until then its requests wait for WAIT_DEAR:
				  one cost far more than a share of a turn */
	bool is_late;	       /* the wait has lasted message.timeout */
	bool is_polled;	       /* a poll for the peer's end is in flight */
	bool has_peer_ended;   /* that poll has reported it */
	int64_t deadline_ns;   /* of its state; monotonic; 0: none */

	uint64_t drain_left; /* while the daemon stops: bytes still to be
				read */
	unsigned ops_cnt;    /* operations in flight, including cancels */
	struct selection selection;
	struct consumer consumer;

	int64_t spill_limit_ns; /* 0: no limit */
	struct list open_node;
	struct list hello_node; /* until it is let in, or its password is being
				   checked; and when it was refused */
	struct list lost_node;	/* its peer has ended: */
	int lost_error;		/* errno, or 0 */
	struct list
		login_node; /* while it waits for a check (daemon/login.h) */
	uint64_t in_bytes;
	uint64_t in_records;
	uint64_t rejected; /* updates that were rejected */
	uint64_t failed;   /* other asynchronous requests that ended with an
			      error */
	struct faults reject_log;
	struct faults failed_log;
	struct log_limit skip_log;
	struct log_limit change_log;
	uint64_t skips_reported;  /* consumer.skips when last reported */
	const char *state_logged; /* the state last logged; NULL: none yet;
				     "": its line was held back */
};

/* Turns a free slot into a connection in state HELLO; fd is the connection's
 * from now on. */
void connection_start(struct connection *c, int fd, enum slow_policy policy);

/* Moves the partial tail to the front, and returns the free part of the buffer,
 * at least one byte, for the next recv.  Only while no recv is in flight. */
void connection_room(struct connection *c, uint8_t **out_at, size_t *out_len);

/*
 * Reads the handshake from the bytes received.  WIRE_OK: the handshake is
 * consumed, name and user are set, *out_capability is the byte to answer.
 * WIRE_BAD: *reason and *why are set; *why is a constant.
 */
enum wire_result connection_hello(struct connection *c,
				  uint8_t *out_capability,
				  enum close_reason *reason, const char **why);

enum frame_result {
	FRAME_WHOLE,	/* *header and *frame are set; then call
			   connection_consume */
	FRAME_MORE,	/* incomplete; there is room for more bytes */
	FRAME_TOO_BIG,	/* it fills the buffer and is incomplete: call
			   connection_use_buffer first */
	FRAME_BAD,	/* *why is a constant sentence */
	FRAME_TOO_LONG, /* longer than message_max bytes */
};

enum frame_result connection_frame(const struct connection *c,
				   uint64_t message_max,
				   struct wire_header *header,
				   const uint8_t **frame, const char **why);

/* Moves the first frame, of frame_len bytes, to a pool buffer of at least that
 * size, which receives this frame only: so no input is left in it when the
 * buffer goes back to the pool. */
void connection_use_buffer(struct connection *c, uint8_t *buffer,
			   uint64_t frame_len);

/* Consumes the first frame, of len bytes.  Returns the pool buffer if the frame
 * was in one (the small one is used again), else NULL. */
uint8_t *connection_consume(struct connection *c, uint64_t len);

/* Overwrites the password in the buffer. */
void connection_wipe_password(struct connection *c);

/* Drops all input received.  Returns the pool buffer it was in, or NULL.  Only
 * while no recv is in flight. */
uint8_t *connection_drop_input(struct connection *c);

/* Frees the slot.  No operation is in flight, and the input was dropped. */
void connection_fini(struct connection *c);

#endif
