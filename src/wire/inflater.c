#include "config.h"

#include "wire/inflater.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/util.h"

/* An owner that has not called for longer than this loses the place. */
#define KEPT_NS (1 * NS_PER_S)

static size_t
shorter_max(size_t len_max)
{
	return len_max < INFLATER_PIECE_BYTES ? len_max : INFLATER_PIECE_BYTES;
}

uint64_t
inflater_memory(size_t len_max)
{
	return (uint64_t)len_max + shorter_max(len_max);
}

int
inflater_open(struct inflater *u, size_t len_max)
{
	void *at = mmap(NULL, (size_t)inflater_memory(len_max),
			PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);

	if (at == MAP_FAILED)
		return -ENOMEM;
	*u = (struct inflater){ .longer = at,
				.long_max = len_max,
				.shorter = (uint8_t *)at + len_max,
				.shorter_max = shorter_max(len_max) };
	return 0;
}

void
inflater_close(struct inflater *u)
{
	if (u->longer != NULL)
		(void)munmap(u->longer, (size_t)inflater_memory(u->long_max));
	*u = (struct inflater){ 0 };
}

bool
inflater_has(const struct inflater *u, const void *owner)
{
	return owner != NULL && u->owner == owner;
}

bool
inflater_is_free(const struct inflater *u, int64_t now_ns)
{
	return u->owner == NULL || u->is_waiting ||
	       now_ns - u->since_ns > KEPT_NS;
}

static enum inflater_result
inflater_short(struct inflater *u, const uint8_t *frame, size_t len,
	       size_t whole, const uint8_t **out, const char **why)
{
	*why = inflate(frame, len, u->shorter, whole);
	*out = u->shorter;
	return *why == NULL ? UNPACK_DONE : UNPACK_BAD;
}

enum inflater_result
inflater_inflate(struct inflater *u, const void *owner, int64_t now_ns,
		 const uint8_t *frame, size_t len, size_t whole,
		 const uint8_t **out, const char **why)
{
	CHECK(whole <= u->long_max);
	if (whole <= u->shorter_max)
		return inflater_short(u, frame, len, whole, out, why);
	if (!inflater_has(u, owner)) {
		if (owner != NULL && !inflater_is_free(u, now_ns))
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
			    owner == NULL ? whole : INFLATER_PIECE_BYTES);
	if (*why != NULL) {
		u->owner = NULL;
		return UNPACK_BAD;
	}
	return inflate_is_done(&u->state) ? UNPACK_DONE : UNPACK_MORE;
}

void
inflater_wait(struct inflater *u, const void *owner)
{
	if (inflater_has(u, owner))
		u->is_waiting = true;
}

void
inflater_forget(struct inflater *u, const void *owner)
{
	if (inflater_has(u, owner))
		u->owner = NULL;
}
