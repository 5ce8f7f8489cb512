/*
 * Inflates compressed messages: a short one at once, a long one a piece in each
 * call.  The caller makes one call in each turn of the server, so that other
 * connections are served in between.
 *
 * There is one place for a long message.  The owner of the message in it keeps
 * the place until the message is handled; other owners wait.  If an inflated
 * message itself has to wait (inflate_long_wait), another owner may take the
 * place, and the message is inflated again later: no owner is held up by
 * something that another one waits for.
 *
 * Pure except that it maps memory.
 */
#ifndef RINGTICK_WIRE_INFLATE_LONG_H
#define RINGTICK_WIRE_INFLATE_LONG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/inflate.h"

enum { INFLATE_PIECE_BYTES = 512 << 10 }; /* 2 ms at most */

struct inflate_long {
	uint8_t *shorter; /* for messages up to shorter_max bytes */
	uint8_t *longer;  /* the one place, of long_max bytes */
	size_t long_max, shorter_max;
	const void *owner; /* has the place; NULL: it is free */
	bool is_waiting;  /* another owner may take the place */
	int64_t since_ns; /* when the owner last called */
	struct inflate state;
};

enum inflate_long_result {
	INFLATE_DONE,
	INFLATE_MORE, /* call again in another turn */
	INFLATE_BUSY, /* call again when inflate_long_is_free */
	INFLATE_BAD,  /* *why says what is wrong */
};

/* Maps memory for messages of up to len_max bytes; inflate_long_close releases
 * it.  0 or -ENOMEM. */
int inflate_long_open(struct inflate_long *u, size_t len_max);

/* Accepts a zeroed or half-opened object. */
void inflate_long_close(struct inflate_long *u);

/* Bytes that inflate_long_open would map. */
uint64_t inflate_long_memory(size_t len_max);

/* Whether that owner has the place; false for NULL. */
bool inflate_long_has(const struct inflate_long *u, const void *owner);

/* Whether another owner could take the place.  An owner that has not called for
 * a second loses it, whatever the cause. */
bool inflate_long_is_free(const struct inflate_long *u, int64_t now_ns);

/*
 * Inflates the frame of an owner, or the next piece of it.  The frame must be
 * the same in each call; `whole` is what inflate_length returned for it, at
 * most the len_max of inflate_long_open.  A frame of owner NULL is inflated
 * whole in this call; a long one takes the place from its owner, who begins
 * again.  On INFLATE_DONE *out is the message, good until a call for another
 * frame.
 */
enum inflate_long_result inflate_long_next(struct inflate_long *u,
					   const void *owner, int64_t now_ns,
					   const uint8_t *frame, size_t len,
					   size_t whole, const uint8_t **out,
					   const char **why);

/* The owner's inflated message cannot be handled yet: lets another owner take
 * the place.  Nothing if the owner does not have it. */
void inflate_long_wait(struct inflate_long *u, const void *owner);

/* The owner's message was handled or dropped: frees the place.  Nothing if the
 * owner does not have it. */
void inflate_long_forget(struct inflate_long *u, const void *owner);

#endif
