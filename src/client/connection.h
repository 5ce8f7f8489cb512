/*
 * A connection: the input side of one socket, from the handshake to whole
 * frames, and the state of its life.
 *
 *   buffer:  |  done  | frame | frame | part of one |      room      |
 *            0      parsed                        filled          capacity
 *
 * Frames are handled between `parsed` and `filled`; the partial tail is moved
 * to the front before the next recv.  A frame that has filled the small buffer
 * and is longer goes on in a pool buffer of message.max, alone.
 *
 * Pure: the server receives into connection_room() and says how much came.
 */
#ifndef RINGTICK_CLIENT_CONNECTION_H
#define RINGTICK_CLIENT_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "base/util.h"
#include "client/consumer.h"
#include "client/wait_reason.h"
#include "config/settings.h"
#include "ring/selection.h"
#include "wire/wire.h"

/*
 *   FREE -> HELLO -> OPEN -> CLOSING -> FREE
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

/* A request is done, and the place of its reply is to come. */
struct answer {
	bool is_kept;
	size_t len; /* of the reply; 0: it was asynchronous */
	struct reply_gate gate;
	uint64_t pos; /* it comes after what wait_stream gets up to here of the
			 main stream; */
	bool is_subscribing; /* or where this selection, which is held, begins
				in the place of the one before */
	struct selection selection;
};

struct connection {
	enum connection_state state;
	unsigned slot;	     /* index in the table = registered file */
	uint32_t generation; /* grows when the slot is freed */
	int fd;
	char name[USER_BYTES_MAX + 1]; /* of the handshake, as it came */
	char user[USER_BYTES_MAX + 1]; /* the same, safe for the log */
	char peer[64];
	bool is_told;	     /* the log has its connect line */
	bool is_feed;	     /* has sent an update */
	bool is_publisher;   /* it has published, or its name and address */
	bool has_published;  /* one was accepted: */
	uint64_t published_pos; /* end of the last one in the main stream */
	enum close_reason reason; /* from ENDING on */

	/* input */
	uint8_t *buffer;     /* the small one, or a pool buffer */
	size_t capacity;
	size_t parsed, filled;
	uint8_t *small;
	size_t small_bytes;
	bool is_receiving;   /* a recv is in flight */
	enum wait_reason waits_for; /* the next frame; daemon/wait.c sets it */
	struct list wait_node;	    /* in the queue of that reason */
	uint64_t wanted_bytes; /* WAIT_ROOM: in the main ring, or 0 */
	const struct stream *wait_stream; /* WAIT_LEVEL: which */
	struct answer answer; /* WAIT_LEVEL: ... with it, or a request */
	int64_t wait_since_ns;
	bool is_wait_told;   /* the log has it */
	bool is_wait_sync;   /* somebody waits for the answer */
	int64_t dear_until_ns; /* a share of a turn was far too large */
	bool is_late;	     /* it has waited for as long as it may */
	bool is_polled;	     /* a poll for the end of its peer is in flight */
	bool has_peer_ended; /* that poll has seen it */
	int64_t deadline_ns; /* 0: none; of what its state is about */

	uint64_t drain_left; /* at a stop: bytes still to be read */
	unsigned ops_cnt;    /* operations in flight, cancels too */
	struct selection selection;
	struct consumer consumer;

	int64_t spill_limit_ns; /* 0: none */
	struct list open_node;
	struct list hello_node; /* in HELLO only */
	uint64_t in_bytes;
	uint64_t in_records;
	uint64_t rejected; /* updates */
	uint64_t failed;   /* other asynchronous requests that had an error */
	struct log_limit reject_log;
	struct log_limit failed_log;
	struct log_limit skip_log;
	struct log_limit change_log;
	uint64_t skips_reported; /* the count when it was last reported */
	const char *state_logged; /* the state last told; NULL: none yet */
};

/* A free slot becomes a connection in state HELLO. */
void connection_start(struct connection *c, int fd, enum slow_policy policy);

/* Where the next recv goes: after moving the partial tail to the front. */
void connection_room(struct connection *c, uint8_t **out_at, size_t *out_len);

/*
 * Reads the handshake out of what has come. WIRE_OK consumes it (user is set,
 * *out_capability is the byte to answer); WIRE_BAD sets *reason and *why.
 */
enum wire_result connection_hello(struct connection *c,
				  uint8_t *out_capability,
				  enum close_reason *reason, const char **why);

enum frame_result {
	FRAME_WHOLE,	/* *header and *frame are set; connection_consume it */
	FRAME_MORE,	/* more bytes are needed, and there is room for them */
	FRAME_TOO_BIG,	/* has filled the buffer: connection_use_buffer first */
	FRAME_BAD,	/* *why says what is wrong */
	FRAME_TOO_LONG, /* longer than message_max */
};

enum frame_result connection_frame(const struct connection *c,
				   uint64_t message_max,
				   struct wire_header *header,
				   const uint8_t **frame, const char **why);

/* Continues in a pool buffer with the first frame, of frame_len bytes, alone:
 * so nothing is left over when the buffer goes back. */
void connection_use_buffer(struct connection *c, uint8_t *buffer,
			   uint64_t frame_len);

/* The first frame was handled. Returns the pool buffer if it was in one (the
 * small one is used again), else NULL. */
uint8_t *connection_consume(struct connection *c, uint64_t len);

/* Forgets the input that has come. Returns the pool buffer it was in, or
 * NULL. Only while no recv is in flight. */
uint8_t *connection_drop_input(struct connection *c);

/* Frees the slot: nothing is in flight, the input was dropped. */
void connection_fini(struct connection *c);

#endif
