/*
 * Inflates compressed messages: a short one at once, a long one a piece in each
 * call.  The caller makes one call in each turn of the server, so that other
 * connections are served in between.
 *
 * There is one place for a long message.  The owner of the message in it keeps
 * the place until the message is handled; other owners wait.  If an inflated
 * message itself has to wait (inflater_wait), another owner may take the place,
 * and the message is inflated again later: no owner is held up by something
 * that another one waits for.
 *
 * Pure except that it maps memory.
 */
#ifndef RINGTICK_WIRE_INFLATER_H
#define RINGTICK_WIRE_INFLATER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/inflate.h"

enum { INFLATER_PIECE_BYTES = 512 << 10 }; /* 2 ms at most */

struct inflater {
	uint8_t *shorter; /* for messages up to shorter_max bytes */
	uint8_t *longer;  /* the one place, of long_max bytes */
	size_t long_max, shorter_max;
	const void *owner; /* has the place; NULL: it is free */
	bool is_waiting;   /* inflater_wait: another owner may take the place */
	int64_t since_ns;  /* when the owner last called */
	struct inflate state;
};

enum inflater_result {
	UNPACK_DONE,
	UNPACK_MORE, /* call again in another turn */
	UNPACK_BUSY, /* call again when inflater_is_free */
	UNPACK_BAD,  /* *why says what is wrong */
};

/* Maps memory for messages of up to len_max bytes; inflater_close releases it.
 * 0 or -ENOMEM. */
int inflater_open(struct inflater *u, size_t len_max);

/* Accepts a zeroed or half-opened object. */
void inflater_close(struct inflater *u);

/* Bytes that inflater_open would map. */
uint64_t inflater_memory(size_t len_max);

/* Whether that owner has the place; false for NULL. */
bool inflater_has(const struct inflater *u, const void *owner);

/* Whether another owner could take the place.  An owner that has not called for
 * a second loses it, whatever the cause. */
bool inflater_is_free(const struct inflater *u, int64_t now_ns);

/*
 * Inflates the frame of an owner, or the next piece of it.  The frame must be
 * the same in each call; `whole` is what inflate_length returned for it, at
 * most the len_max of inflater_open.  A frame of owner NULL is inflated whole
 * in this call; a long one takes the place from its owner, who begins again.
 * On UNPACK_DONE *out is the message, good until a call for another frame.
 */
enum inflater_result inflater_inflate(struct inflater *u, const void *owner,
				      int64_t now_ns, const uint8_t *frame,
				      size_t len, size_t whole,
				      const uint8_t **out, const char **why);

/* The owner's inflated message cannot be handled yet: lets another owner take
 * the place.  Nothing if the owner does not have it. */
void inflater_wait(struct inflater *u, const void *owner);

/* The owner's message was handled or dropped: frees the place.  Nothing if the
 * owner does not have it. */
void inflater_forget(struct inflater *u, const void *owner);

#endif
