/*
 * The message that the load generator sends, and the one that a subscriber must
 * get.  Owns the bytes.  Called by load_generator.c.
 */
#ifndef RINGTICK_BENCH_LOAD_FRAMES_H
#define RINGTICK_BENCH_LOAD_FRAMES_H

#include "load_protocol.h"

/* A message with what the protocol puts before and after it. */
struct load_frame {
	uint8_t *bytes;
	size_t len;
	size_t head_len, message_len;
	size_t time_off, size_off; /* of the first row; from `bytes` on */
};

/*
 * Of the kdb+ message (`.u.upd;`trade;(time;sym;price;size;cond)) of
 * message_len bytes, with as many rows as fit; cond fills it up.
 */
void load_frame_sent(struct load_frame *out, const struct load_protocol *p,
		     size_t message_len);

/* The same as it is delivered: where the protocol is_table, (`upd;`trade;x)
 * with x a table. */
void load_frame_delivered(struct load_frame *out, const struct load_protocol *p,
			  size_t message_len);

#endif
