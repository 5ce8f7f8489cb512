/*
 * Compressed messages, inflated: a short one at once, a long one a piece in
 * each call, which is a turn of the server each, so that others come between.
 *
 * There is one place for long ones.  Whose message is in it keeps it until
 * that is handled; others wait for it.  While an inflated message waits
 * (inflater_wait) it may be taken away: it is inflated anew, but nobody waits
 * for what others wait for.
 *
 * Pure but for the mapping of memory.
 */
#ifndef RINGTICK_WIRE_INFLATER_H
#define RINGTICK_WIRE_INFLATER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/inflate.h"

enum { INFLATER_PIECE_BYTES = 512 << 10 }; /* 2 ms at most */

struct inflater {
	uint8_t *shorter; /* a piece: not longer messages, within one call */
	uint8_t *longer;  /* the one place of long_max bytes */
	size_t long_max, shorter_max;
	const void *owner; /* of the place; NULL: it is free */
	bool is_waiting;   /* inflated: others may have the place */
	int64_t since_ns;  /* its owner's last call */
	struct inflate state;
};

enum inflater_result {
	UNPACK_DONE,
	UNPACK_MORE, /* call again in another turn */
	UNPACK_BUSY, /* when inflater_is_free: somebody else's is inflated */
	UNPACK_BAD,  /* *why says what is wrong */
};

/* For messages of up to len_max bytes. 0 or -ENOMEM. */
int inflater_open(struct inflater *u, size_t len_max);

/* Accepts a zeroed or half-opened object. */
void inflater_close(struct inflater *u);

/* Bytes that inflater_open would map. */
uint64_t inflater_memory(size_t len_max);

/* Whether the message of that owner is in the place. */
bool inflater_has(const struct inflater *u, const void *owner);

/* Whether others could have the place: also if its owner has not called for a
 * second, whatever keeps it. */
bool inflater_is_free(const struct inflater *u, int64_t now_ns);

/*
 * Goes on with the frame of an owner, the same in each call, of which
 * inflate_length said that `whole` bytes come.  *out is good until the owner
 * forgets it, or another's call.  owner NULL: all of it at once.
 */
enum inflater_result inflater_inflate(struct inflater *u, const void *owner,
				      int64_t now_ns, const uint8_t *frame,
				      size_t len, size_t whole,
				      const uint8_t **out, const char **why);

/* What the owner has inflated is to be handled when something else has come. */
void inflater_wait(struct inflater *u, const void *owner);

/* It was handled, or nobody will. Harmless for who has nothing. */
void inflater_forget(struct inflater *u, const void *owner);

#endif
