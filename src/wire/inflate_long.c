#include "config.h"

#include "wire/inflate_long.h"

#include <errno.h>

#include "base/memory.h"
#include "base/util.h"

/* An owner that has not called for longer than this loses the place. */
#define KEPT_NS (1 * NS_PER_S)

static size_t
shorter_max(size_t len_max)
{
	return len_max < INFLATE_PIECE_BYTES ? len_max : INFLATE_PIECE_BYTES;
}

uint64_t
inflate_long_memory(size_t len_max)
{
	return (uint64_t)len_max + shorter_max(len_max);
}

int
inflate_long_open(struct inflate_long *u, size_t len_max)
{
	uint8_t *at = memory_map((size_t)inflate_long_memory(len_max));

	if (at == NULL)
		return -ENOMEM;
	*u = (struct inflate_long){ .longer = at,
				    .long_max = len_max,
				    .shorter = at + len_max,
				    .shorter_max = shorter_max(len_max) };
	return 0;
}

void
inflate_long_close(struct inflate_long *u)
{
	memory_unmap(u->longer, (size_t)inflate_long_memory(u->long_max));
	*u = (struct inflate_long){ 0 };
}

bool
inflate_long_has(const struct inflate_long *u, const void *owner)
{
	return owner != NULL && u->owner == owner;
}

bool
inflate_long_is_free(const struct inflate_long *u, int64_t now_ns)
{
	return u->owner == NULL || u->is_waiting ||
	       now_ns - u->since_ns > KEPT_NS;
}

static enum inflate_long_result
inflate_at_once(struct inflate_long *u, const uint8_t *frame, size_t len,
		size_t whole, const uint8_t **out, const char **why)
{
	*why = inflate(frame, len, u->shorter, whole);
	*out = u->shorter;
	return *why == NULL ? INFLATE_DONE : INFLATE_BAD;
}

enum inflate_long_result
inflate_long_next(struct inflate_long *u, const void *owner, int64_t now_ns,
		  const uint8_t *frame, size_t len, size_t whole,
		  const uint8_t **out, const char **why)
{
	CHECK(whole <= u->long_max);
	if (whole <= u->shorter_max)
		return inflate_at_once(u, frame, len, whole, out, why);
	if (!inflate_long_has(u, owner)) {
		if (owner != NULL && !inflate_long_is_free(u, now_ns))
			return INFLATE_BUSY;
		u->owner = owner;
		inflate_begin(&u->state, frame, u->longer, whole);
	}
	u->is_waiting = false;
	u->since_ns = now_ns;
	*out = u->longer;
	if (inflate_is_done(&u->state))
		return INFLATE_DONE;
	*why = inflate_some(&u->state, frame, len, u->longer,
			    owner == NULL ? whole : INFLATE_PIECE_BYTES);
	if (*why != NULL) {
		u->owner = NULL;
		return INFLATE_BAD;
	}
	return inflate_is_done(&u->state) ? INFLATE_DONE : INFLATE_MORE;
}

void
inflate_long_wait(struct inflate_long *u, const void *owner)
{
	if (inflate_long_has(u, owner))
		u->is_waiting = true;
}

void
inflate_long_forget(struct inflate_long *u, const void *owner)
{
	if (inflate_long_has(u, owner))
		u->owner = NULL;
}
