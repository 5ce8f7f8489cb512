#include "config.h"

#include "wire/inflate_long.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "wire/wire.h"

enum {
	LONG_BYTES = 3 * INFLATE_PIECE_BYTES,
	SHORT_BYTES = 1000,
	PACKED_MAX = 2 * LONG_BYTES,
};

static struct inflate_long u;
static uint8_t *packed;
static size_t packed_len;
static const uint8_t *out;
static const char *why;
static const int anna, bert; /* owners */
static const int64_t now = 5 * NS_PER_S;

static int
set_up(void **state)
{
	(void)state;
	packed = malloc(PACKED_MAX);
	return packed == NULL || inflate_long_open(&u, LONG_BYTES) != 0;
}

static int
tear_down(void **state)
{
	(void)state;
	inflate_long_close(&u);
	free(packed);
	return 0;
}

/* A compressed frame of literals whose body repeats one byte. */
static void
pack(size_t whole, uint8_t byte)
{
	uint8_t *at = packed + 12;

	memset(packed, 0, 12);
	packed[0] = packed[2] = 1;
	wire_store_u32(packed + 8, (uint32_t)whole);
	for (size_t i = 8; i < whole; i++) {
		if (i % 8 == 0)
			*at++ = 0;
		*at++ = byte;
	}
	packed_len = (size_t)(at - packed);
	wire_store_u32(packed + 4, (uint32_t)packed_len);
}

static enum inflate_long_result
go_on(const int *owner, int64_t now_ns, size_t whole)
{
	return inflate_long_next(&u, owner, now_ns, packed, packed_len, whole,
				&out, &why);
}

static void
check_out(size_t whole, uint8_t byte)
{
	assert_int_equal(wire_load_u32(out + 4), whole);
	for (size_t i = 8; i < whole; i++)
		assert_int_equal(out[i], byte);
}

/* A long message is inflated in pieces, short ones of other owners between. */
static void
test_pieces(void **state)
{
	unsigned pieces = 1;

	(void)state;
	pack(LONG_BYTES, 7);
	while (go_on(&anna, now, LONG_BYTES) == INFLATE_MORE) {
		pieces++;
		pack(SHORT_BYTES, 9);
		assert_int_equal(go_on(&bert, now, SHORT_BYTES), INFLATE_DONE);
		check_out(SHORT_BYTES, 9);
		pack(LONG_BYTES, 7);
		assert_int_equal(go_on(&bert, now, LONG_BYTES), INFLATE_BUSY);
	}
	assert_int_equal(pieces, 3);
	check_out(LONG_BYTES, 7);
	/* A further call finds the message still there. */
	assert_int_equal(go_on(&anna, now, LONG_BYTES), INFLATE_DONE);
	check_out(LONG_BYTES, 7);
	assert_false(inflate_long_is_free(&u, now));
	inflate_long_forget(&u, &bert);
	assert_true(inflate_long_has(&u, &anna));
	inflate_long_forget(&u, &anna);
	assert_true(inflate_long_is_free(&u, now));
}

/* A waiting message loses the place to another owner and is inflated again. */
static void
test_taken_away(void **state)
{
	(void)state;
	pack(LONG_BYTES, 3);
	while (go_on(&anna, now, LONG_BYTES) == INFLATE_MORE)
		;
	inflate_long_wait(&u, &bert);
	assert_int_equal(go_on(&bert, now, LONG_BYTES), INFLATE_BUSY);
	inflate_long_wait(&u, &anna);
	assert_int_equal(go_on(&bert, now, LONG_BYTES), INFLATE_MORE);
	assert_int_equal(go_on(&anna, now, LONG_BYTES), INFLATE_BUSY);
	/* Bert stops calling. */
	assert_int_equal(go_on(&anna, now + NS_PER_S, LONG_BYTES),
			 INFLATE_BUSY);
	assert_int_equal(go_on(&anna, now + NS_PER_S + 1, LONG_BYTES),
			 INFLATE_MORE);
	assert_false(inflate_long_has(&u, &bert));
	inflate_long_forget(&u, &anna);
}

/* A message without an owner is inflated at once; a bad one frees the place. */
static void
test_at_once(void **state)
{
	(void)state;
	pack(LONG_BYTES, 4);
	assert_int_equal(go_on(NULL, now, LONG_BYTES), INFLATE_DONE);
	check_out(LONG_BYTES, 4);
	assert_true(inflate_long_is_free(&u, now));
	packed_len -= 1;
	while (go_on(&anna, now, LONG_BYTES) == INFLATE_MORE)
		;
	assert_string_equal(why,
			    "the compressed stream is shorter than announced");
	assert_true(inflate_long_is_free(&u, now));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_taken_away),
		cmocka_unit_test(test_at_once),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
