#include "config.h"

#include "ring/ring.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../frames.h"
#include "base/util.h"

enum { HUGE_BYTES = 2 << 20 };

static size_t page;
static uint8_t *plain; /* the model: one page of the ring's size */

static int
set_up(void **state)
{
	(void)state;
	page = (size_t)sysconf(_SC_PAGESIZE);
	plain = calloc(1, 16 * page);
	return plain == NULL ? -1 : 0;
}

static int
tear_down(void **state)
{
	(void)state;
	free(plain);
	return 0;
}

/* A span over the seam, of each length and from each offset: one memcpy in is
 * one memcpy out, and lands at both ends of the plain ring. */
static void
test_every_seam(void **state)
{
	struct ring r;
	uint8_t in[64], out[64];

	(void)state;
	assert_int_equal(ring_open(&r, page, false, true), 0);
	for (size_t len = 1; len <= sizeof(in); len++) {
		for (size_t before = 0; before <= len; before++) {
			uint64_t pos = 7 * page - before;

			bytes_make(in, len * 100 + before, len);
			memcpy(ring_at(&r, pos), in, len);
			memcpy(out, ring_at(&r, pos), len);
			assert_memory_equal(out, in, len);
			assert_memory_equal(r.base + page - before, in, before);
			assert_memory_equal(r.base, in + before, len - before);
		}
	}
	ring_close(&r);
}

/* From every offset a span of the whole ring can be written and read. */
static void
test_whole_ring_from_every_offset(void **state)
{
	uint8_t *in = malloc(page);
	struct ring r;

	(void)state;
	assert_non_null(in);
	assert_int_equal(ring_open(&r, page, false, false), 0);
	for (size_t off = 0; off < page; off++) {
		bytes_make(in, off, page);
		memcpy(ring_at(&r, off), in, page);
		assert_memory_equal(ring_at(&r, off), in, page);
		assert_memory_equal(ring_at(&r, 0), in + page - off, off);
		assert_memory_equal(r.base + page, r.base, page);
	}
	ring_close(&r);
	free(in);
}

static void
walk(struct ring *r, uint64_t pos, struct chance *chance)
{
	size_t size = r->size;

	for (unsigned i = 0; i < 3000; i++) {
		size_t len = chance_below(chance, 8) == 0
				     ? chance_between(chance, 1, size)
				     : chance_between(chance, 1, 200);
		uint8_t *at = ring_at(r, pos);

		bytes_make(at, i, len);
		for (size_t k = 0; k < len; k++)
			plain[(size_t)(pos + k) % size] = at[k];
		pos += len;
		if (i % 50 == 0) {
			assert_memory_equal(r->base, plain, size);
			assert_memory_equal(r->base + size, plain, size);
		}
	}
	assert_memory_equal(r->base, plain, size);
}

/* Against a plain array with its own arithmetic, and from positions whose
 * upper bits must not matter. */
static void
test_random_walk(void **state)
{
	static const uint64_t starts[] = {
		0,
		1,
		(UINT64_C(1) << 32) - 3000,
		(UINT64_C(1) << 63) - 3000,
		UINT64_MAX - 3000,
		UINT64_MAX,
	};
	struct chance chance = chance_start("ring walk");
	struct ring r;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
		assert_int_equal(ring_open(&r, 4 * page, false, false), 0);
		memset(plain, 0, 4 * page);
		walk(&r, starts[i], &chance);
		ring_close(&r);
	}
}

static void
test_positions(void **state)
{
	struct ring r;

	(void)state;
	assert_int_equal(ring_open(&r, 2 * page, false, false), 0);
	assert_ptr_equal(ring_at(&r, 0), r.base);
	assert_ptr_equal(ring_at(&r, 2 * page - 1), r.base + 2 * page - 1);
	assert_ptr_equal(ring_at(&r, 2 * page), r.base);
	assert_ptr_equal(ring_at(&r, UINT32_MAX), r.base + 2 * page - 1);
	assert_ptr_equal(ring_at(&r, UINT64_C(1) << 32), r.base);
	assert_ptr_equal(ring_at(&r, (UINT64_C(1) << 32) + 5), r.base + 5);
	assert_ptr_equal(ring_at(&r, UINT64_MAX), r.base + 2 * page - 1);
	assert_ptr_equal(ring_at(&r, UINT64_MAX + 1), r.base);
	ring_close(&r);
}

/* Memory taken at start cannot be missing later. */
static void
test_touched_memory_is_there(void **state)
{
	unsigned char resident[16];
	struct ring r;

	(void)state;
	assert_int_equal(ring_open(&r, 8 * page, false, true), 0);
	assert_int_equal(mincore(r.base, 16 * page, resident), 0);
	for (size_t i = 0; i < 16; i++)
		assert_int_equal(resident[i] & 1, 1);
	ring_close(&r);
}

static void
test_close(void **state)
{
	struct ring r = { 0 };
	unsigned char resident;
	uint8_t *base;

	(void)state;
	ring_close(&r);
	assert_int_equal(ring_open(&r, page, false, false), 0);
	base = r.base;
	ring_close(&r);
	assert_null(r.base);
	assert_int_equal(r.size, 0);
	/* ENOMEM: both views are unmapped */
	assert_int_equal(mincore(base, page, &resident), -1);
	assert_int_equal(mincore(base + page, page, &resident), -1);
	ring_close(&r);
}

static bool
is_zeroed(const struct ring *r)
{
	return r->base == NULL && r->size == 0 && !r->is_huge;
}

/* Runs in a child, since limits are per process.  Returns 0 on success. */
static int
fails_cleanly(bool has_descriptors, size_t size, int expected_err)
{
	struct rlimit none = { 0 };
	struct ring r;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		memset(&r, 0xa5, sizeof(r));
		if (!has_descriptors && setrlimit(RLIMIT_NOFILE, &none) != 0)
			_exit(2);
		if (ring_open(&r, size, false, false) != expected_err)
			_exit(3);
		if (!is_zeroed(&r))
			_exit(4);
		ring_close(&r);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

/* A failure returns its cause and leaves a ring that can be closed. */
static void
test_failures(void **state)
{
	(void)state;
	assert_int_equal(fails_cleanly(false, page, -EMFILE), 0);
	/* more than the address space */
	assert_int_equal(fails_cleanly(true, (size_t)1 << 47, -ENOMEM), 0);
}

/* No descriptor stays open: the mappings keep the memory. */
static void
test_no_descriptor_is_kept(void **state)
{
	struct ring r;
	int before = dup(0), after;

	(void)state;
	assert_true(before >= 0);
	(void)close(before);
	assert_int_equal(ring_open(&r, page, false, false), 0);
	after = dup(0);
	(void)close(after);
	assert_int_equal(after, before);
	ring_close(&r);
}

/* Whether or not the machine has huge pages, the ring is the one asked for. */
static void
test_huge_pages_or_not(void **state)
{
	uint8_t in[32];
	struct ring r;

	(void)state;
	assert_int_equal(ring_open(&r, HUGE_BYTES, true, true), 0);
	assert_int_equal(r.size, HUGE_BYTES);
	if (r.is_huge)
		assert_int_equal((uintptr_t)r.base % HUGE_BYTES, 0);
	bytes_make(in, 1, sizeof(in));
	memcpy(ring_at(&r, HUGE_BYTES - 9), in, sizeof(in));
	assert_memory_equal(r.base, in + 9, sizeof(in) - 9);
	ring_close(&r);

	/* A size that is not a multiple of a huge page is never made of huge
	 * pages. */
	assert_int_equal(ring_open(&r, HUGE_BYTES / 2, true, false), 0);
	assert_false(r.is_huge);
	assert_int_equal(r.size, HUGE_BYTES / 2);
	ring_close(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_seam),
		cmocka_unit_test(test_whole_ring_from_every_offset),
		cmocka_unit_test(test_random_walk),
		cmocka_unit_test(test_positions),
		cmocka_unit_test(test_touched_memory_is_there),
		cmocka_unit_test(test_close),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_no_descriptor_is_kept),
		cmocka_unit_test(test_huge_pages_or_not),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
