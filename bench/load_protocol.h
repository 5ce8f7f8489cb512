/*
 * The protocols of the load generator, each spoken raw: how a client greets,
 * and which bytes are before and after a message.  Called by load_generator.c,
 * load_frames.c and load_receive.c.
 */
#ifndef RINGTICK_BENCH_LOAD_PROTOCOL_H
#define RINGTICK_BENCH_LOAD_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LOAD_HEAD_MAX = 64 };

struct load_protocol {
	const char *name;
	/* Handshake and, for a subscriber, its subscription with the answer. */
	void (*greet)(int fd, bool is_subscriber);
	/* What comes before a message of len bytes; NULL: nothing. */
	size_t (*put_head)(uint8_t *at, size_t len, bool is_delivered);
	const char *tail; /* what comes after it */
	const char *ping, *pong; /* a question, its answer; or NULL */
	int settle_ms; /* that an unanswered subscription takes */
	bool is_table; /* an update comes back as the table that it makes */
};

/* NULL without such a protocol. */
const struct load_protocol *load_protocol_find(const char *name);

#endif
