/*
 * Compressed messages, inflated: a short one at once, a long one a piece in
 * each call, which is a turn of the server each, so that others come between.
 *
 * There is one place for long ones.  Whose message is in it keeps it until
 * that is handled; others wait for it.  While an inflated message waits
 * (unpack_wait) it may be taken away: it is inflated anew, but nobody waits for
 * what others wait for.
 *
 * Pure but for the mapping of memory.
 */
#ifndef RINGTICK_WIRE_UNPACK_H
#define RINGTICK_WIRE_UNPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/inflate.h"

enum { UNPACK_PIECE_BYTES = 512 << 10 }; /* 2 ms at most */

struct unpack {
	uint8_t *shorter; /* a piece: not longer messages, within one call */
	uint8_t *longer;  /* the one place of long_max bytes */
	size_t long_max, shorter_max;
	const void *owner; /* of the place; NULL: it is free */
	bool is_waiting;   /* inflated: others may have the place */
	int64_t since_ns;  /* its owner's last call */
	struct inflate state;
};

enum unpack_result {
	UNPACK_DONE,
	UNPACK_MORE, /* call again in another turn */
	UNPACK_BUSY, /* when unpack_is_free: somebody else's is inflated */
	UNPACK_BAD,  /* *why says what is wrong */
};

/* For messages of up to len_max bytes. 0 or -ENOMEM. */
int unpack_open(struct unpack *u, size_t len_max);

/* Accepts a zeroed or half-opened object. */
void unpack_close(struct unpack *u);

/* Bytes that unpack_open would map. */
uint64_t unpack_memory(size_t len_max);

/* Whether the message of that owner is in the place. */
bool unpack_has(const struct unpack *u, const void *owner);

/* Whether others could have the place: also if its owner has not called for a
 * second, whatever keeps it. */
bool unpack_is_free(const struct unpack *u, int64_t now_ns);

/*
 * Goes on with the frame of an owner, the same in each call, of which
 * inflate_length said that `whole` bytes come.  *out is good until the owner
 * forgets it, or another's call.  owner NULL: all of it at once.
 */
enum unpack_result unpack(struct unpack *u, const void *owner, int64_t now_ns,
			  const uint8_t *frame, size_t len, size_t whole,
			  const uint8_t **out, const char **why);

/* What the owner has inflated is to be handled when something else has come. */
void unpack_wait(struct unpack *u, const void *owner);

/* It was handled, or nobody will. Harmless for who has nothing. */
void unpack_forget(struct unpack *u, const void *owner);

#endif
