/*
 * For the tests of what reads and writes through the engine: its calls are
 * defined here (and the library's engine is not linked).  They note what is
 * asked; the test completes it: whole, in part, late, or not at all.
 */
#ifndef RINGTICK_TESTS_ENGINE_DOUBLE_H
#define RINGTICK_TESTS_ENGINE_DOUBLE_H

#include <stddef.h>
#include <stdint.h>

#include "io/engine.h"

enum asked_kind {
	ASKED_WRITE, /* of the registered buffer */
	ASKED_SEND,  /* of any other memory */
	ASKED_CANCEL,
	ASKED_READ,
	ASKED_RECV,
	ASKED_POLL,
};

struct asked {
	enum asked_kind kind;
	int fd;
	uint8_t *at;
	size_t len;
	uint64_t off;
	struct ticket ticket, victim;
};

/* What was asked and not taken, oldest first. */
extern struct asked asked[];
extern unsigned asked_cnt;

/* Takes the oldest; there is one. */
struct asked asked_take(void);

#endif
