#include "config.h"

#include "wire/unpack.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/util.h"

/* Who has not gone on for so long has lost the place. */
#define KEPT_NS (1 * NS_PER_S)

static size_t
shorter_max(size_t len_max)
{
	return len_max < UNPACK_PIECE_BYTES ? len_max : UNPACK_PIECE_BYTES;
}

uint64_t
unpack_memory(size_t len_max)
{
	return (uint64_t)len_max + shorter_max(len_max);
}

int
unpack_open(struct unpack *u, size_t len_max)
{
	void *at = mmap(NULL, (size_t)unpack_memory(len_max),
			PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);

	if (at == MAP_FAILED)
		return -ENOMEM;
	*u = (struct unpack){ .longer = at,
			      .long_max = len_max,
			      .shorter = (uint8_t *)at + len_max,
			      .shorter_max = shorter_max(len_max) };
	return 0;
}

void
unpack_close(struct unpack *u)
{
	if (u->longer != NULL)
		(void)munmap(u->longer, (size_t)unpack_memory(u->long_max));
	*u = (struct unpack){ 0 };
}

bool
unpack_has(const struct unpack *u, const void *owner)
{
	return owner != NULL && u->owner == owner;
}

bool
unpack_is_free(const struct unpack *u, int64_t now_ns)
{
	return u->owner == NULL || u->is_waiting ||
	       now_ns - u->since_ns > KEPT_NS;
}

static enum unpack_result
unpack_short(struct unpack *u, const uint8_t *frame, size_t len, size_t whole,
	     const uint8_t **out, const char **why)
{
	*why = inflate(frame, len, u->shorter, whole);
	*out = u->shorter;
	return *why == NULL ? UNPACK_DONE : UNPACK_BAD;
}

enum unpack_result
unpack(struct unpack *u, const void *owner, int64_t now_ns,
       const uint8_t *frame, size_t len, size_t whole, const uint8_t **out,
       const char **why)
{
	CHECK(whole <= u->long_max);
	if (whole <= u->shorter_max)
		return unpack_short(u, frame, len, whole, out, why);
	if (!unpack_has(u, owner)) {
		if (owner != NULL && !unpack_is_free(u, now_ns))
			return UNPACK_BUSY;
		u->owner = owner;
		inflate_begin(&u->state, frame, u->longer, whole);
	}
	u->is_waiting = false;
	u->since_ns = now_ns;
	*out = u->longer;
	if (inflate_is_done(&u->state))
		return UNPACK_DONE;
	*why = inflate_some(&u->state, frame, len, u->longer,
			    owner == NULL ? whole : UNPACK_PIECE_BYTES);
	if (*why != NULL) {
		u->owner = NULL;
		return UNPACK_BAD;
	}
	return inflate_is_done(&u->state) ? UNPACK_DONE : UNPACK_MORE;
}

void
unpack_wait(struct unpack *u, const void *owner)
{
	if (unpack_has(u, owner))
		u->is_waiting = true;
}

void
unpack_forget(struct unpack *u, const void *owner)
{
	if (unpack_has(u, owner))
		u->owner = NULL;
}
