#include "config.h"

#include "client/connection.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../frames.h"
#include "base/util.h"

enum {
	SMALL_BYTES = 256,
	MESSAGE_MAX = 8192,
	STREAM_MAX = 16384,
	HELLO_BYTES = 7,
};

/*
 * The buffers are fenced by ASan, being exact allocations: a recv one byte too
 * long would be seen.
 */
static struct connection c;
static uint8_t *small, *big;
static uint8_t reply[8];

/* ---- the peer's bytes: a handshake and frames of given lengths ---- */

static uint8_t stream[STREAM_MAX];
static size_t stream_len;
static size_t frame_lens[64];
static size_t frames_cnt;

static void
put_hello(void)
{
	memcpy(stream, "rdb:x\3", HELLO_BYTES);
	stream_len = HELLO_BYTES;
	frames_cnt = 0;
}

static void
put_frame(size_t len)
{
	uint8_t *at = stream + stream_len;

	assert_true(stream_len + len <= STREAM_MAX && len >= WIRE_FRAME_MIN);
	bytes_make(at, frames_cnt + 1, len);
	memset(at, 0, WIRE_HEADER_BYTES);
	at[0] = 1;
	at[1] = frames_cnt % 2;
	wire_store_u32(at + 4, (uint32_t)len);
	frame_lens[frames_cnt++] = len;
	stream_len += len;
}

static int
set_up(void **state)
{
	(void)state;
	small = malloc(SMALL_BYTES);
	big = malloc(MESSAGE_MAX);
	return small == NULL || big == NULL ? -1 : 0;
}

static int
tear_down(void **state)
{
	(void)state;
	free(small);
	free(big);
	return 0;
}

static int
start(void **state)
{
	(void)state;
	c = (struct connection){ .slot = 5,
				 .generation = 7,
				 .small = small,
				 .small_bytes = SMALL_BYTES };
	c.consumer.reply = reply;
	connection_start(&c, 3, SLOW_SKIP);
	return 0;
}

/* ---- a server that only looks at frames ---- */

static size_t frames_seen;
static size_t frames_off; /* in stream: where the next frame starts */
static bool is_big_used;

static void
serve_hello(void)
{
	enum close_reason reason;
	uint8_t capability = 99;
	const char *why = NULL;
	enum wire_result result =
		connection_hello(&c, &capability, &reason, &why);

	if (result == WIRE_MORE)
		return;
	assert_int_equal(result, WIRE_OK);
	assert_int_equal(capability, 3);
	assert_string_equal(c.user, "rdb");
	c.state = CONNECTION_OPEN;
	frames_off = HELLO_BYTES;
}

/* Handles one frame. Returns whether there may be another. */
static bool
serve_frame(void)
{
	struct wire_header header;
	const uint8_t *frame = NULL;
	const char *why;
	uint8_t *given;

	switch (connection_frame(&c, MESSAGE_MAX, &header, &frame, &why)) {
	case FRAME_MORE:
		return false;
	case FRAME_TOO_BIG:
		assert_true(header.len > SMALL_BYTES);
		assert_false(is_big_used);
		connection_use_buffer(&c, big, header.len);
		is_big_used = true;
		return false;
	case FRAME_WHOLE:
		break;
	case FRAME_BAD:
	case FRAME_TOO_LONG:
		fail_msg("frame %zu was not taken: %s", frames_seen, why);
		return false;
	}
	assert_int_equal(header.len, frame_lens[frames_seen]);
	assert_int_equal(header.message, frames_seen % 2);
	assert_memory_equal(frame, stream + frames_off, header.len);
	frames_off += header.len;
	frames_seen++;
	given = connection_consume(&c, header.len);
	if (is_big_used)
		assert_ptr_equal(given, big);
	else
		assert_null(given);
	is_big_used = false;
	return true;
}

/* Each recv gets at most the bytes up to the next cut. */
static void
play(const size_t *cuts, size_t cuts_cnt)
{
	size_t sent = 0, cut = 0;

	start(NULL);
	frames_seen = 0;
	is_big_used = false;
	while (sent < stream_len) {
		uint8_t *at;
		size_t room, len;

		while (cut < cuts_cnt && cuts[cut] <= sent)
			cut++;
		connection_room(&c, &at, &room);
		assert_true(room > 0);
		len = stream_len;
		if (cut < cuts_cnt)
			len = min_u64(len, cuts[cut]);
		len = min_u64(len - sent, room);
		memcpy(at, stream + sent, len);
		c.filled += len;
		sent += len;
		if (c.state == CONNECTION_HELLO)
			serve_hello();
		if (c.state == CONNECTION_OPEN)
			while (serve_frame())
				;
	}
	assert_int_equal(frames_seen, frames_cnt);
	assert_null(connection_drop_input(&c));
	connection_fini(&c);
}

static void
put_some_frames(void)
{
	put_hello();
	put_frame(WIRE_FRAME_MIN);
	put_frame(14);
	put_frame(SMALL_BYTES - 1);
	put_frame(SMALL_BYTES);
	put_frame(SMALL_BYTES + 1);
	put_frame(WIRE_FRAME_MIN);
	put_frame(1000);
	put_frame(33);
}

/* Wherever TCP cuts, the same frames come out. */
static void
test_every_split(void **state)
{
	(void)state;
	put_some_frames();
	play(NULL, 0);
	for (size_t i = 1; i < stream_len; i++)
		play(&i, 1);
}

static void
test_two_splits(void **state)
{
	size_t cuts[2];

	(void)state;
	put_some_frames();
	for (cuts[0] = 1; cuts[0] < stream_len; cuts[0] += 7)
		for (cuts[1] = cuts[0] + 1; cuts[1] < stream_len; cuts[1] += 5)
			play(cuts, 2);
}

static void
test_byte_by_byte(void **state)
{
	static size_t cuts[STREAM_MAX];

	(void)state;
	put_some_frames();
	put_frame(MESSAGE_MAX);
	for (size_t i = 0; i < stream_len; i++)
		cuts[i] = i + 1;
	play(cuts, stream_len);
}

static void
test_random_splits(void **state)
{
	struct chance chance = chance_start("connection splits");

	(void)state;
	for (unsigned i = 0; i < 3000; i++) {
		size_t cuts[40];

		put_hello();
		while (frames_cnt < 12)
			put_frame(chance_between(
				&chance, WIRE_FRAME_MIN,
				chance_below(&chance, 4) == 0 ? 1200 : 80));
		cuts[0] = chance_between(&chance, 1, 300);
		for (size_t k = 1; k < ARRAY_LEN(cuts); k++)
			cuts[k] = cuts[k - 1] + chance_between(&chance, 1, 300);
		play(cuts, ARRAY_LEN(cuts));
	}
}

/* ---- refusals ---- */

/* Gives bytes to an open connection and asks for a frame. */
static enum frame_result
frame_of(const uint8_t *bytes, size_t len, struct wire_header *header,
	 const char **why)
{
	const uint8_t *frame;
	uint8_t *at;
	size_t room;

	start(NULL);
	c.state = CONNECTION_OPEN;
	connection_room(&c, &at, &room);
	assert_true(len <= room);
	memcpy(at, bytes, len);
	c.filled += len;
	return connection_frame(&c, MESSAGE_MAX, header, &frame, why);
}

static enum frame_result
frame_of_len(uint64_t frame_len)
{
	uint8_t bytes[8] = { 1, 1 };
	struct wire_header header = { 0 };
	const char *why;
	enum frame_result result;

	bytes[3] = (uint8_t)(frame_len >> 32);
	wire_store_u32(bytes + 4, (uint32_t)frame_len);
	result = frame_of(bytes, sizeof(bytes), &header, &why);
	if (result == FRAME_TOO_LONG)
		assert_int_equal(header.message, WIRE_SYNC);
	if (result == FRAME_BAD)
		assert_non_null(why);
	return result;
}

/* A length is judged as soon as it was received, before its bytes take
 * memory. */
static void
test_lengths(void **state)
{
	(void)state;
	assert_int_equal(frame_of_len(0), FRAME_BAD);
	assert_int_equal(frame_of_len(WIRE_FRAME_MIN - 1), FRAME_BAD);
	assert_int_equal(frame_of_len(WIRE_FRAME_MIN), FRAME_MORE);
	assert_int_equal(frame_of_len(SMALL_BYTES), FRAME_MORE);
	assert_int_equal(frame_of_len(SMALL_BYTES + 1), FRAME_MORE);
	assert_int_equal(frame_of_len(MESSAGE_MAX), FRAME_MORE);
	assert_int_equal(frame_of_len(MESSAGE_MAX + 1), FRAME_TOO_LONG);
	assert_int_equal(frame_of_len(INT32_MAX), FRAME_TOO_LONG);
	assert_int_equal(frame_of_len(UINT32_MAX), FRAME_TOO_LONG);
	/* a length of more than 32 bits, as later capabilities have it */
	assert_int_equal(frame_of_len(UINT64_C(1) << 32), FRAME_TOO_LONG);
}

/* A bad header is refused at its first bad byte. */
static void
test_bad_headers(void **state)
{
	static const uint8_t bad[][4] = {
		{ 2 }, { 1, 3 }, { 1, 0, 3 }, { 255, 0, 0, 0 },
	};
	struct wire_header header;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		bool was_bad = false;

		for (size_t len = 0; len <= 4; len++) {
			const char *why = NULL;
			enum frame_result result =
				frame_of(bad[i], len, &header, &why);

			assert_true(result == FRAME_BAD ||
				    (result == FRAME_MORE && !was_bad));
			was_bad = result == FRAME_BAD;
			assert_int_equal(why != NULL, was_bad);
		}
		assert_true(was_bad);
	}
}

/* ---- the handshake ---- */

static enum wire_result
hello_of(const char *bytes, size_t len, uint8_t *capability,
	 enum close_reason *reason)
{
	const char *why = NULL;
	uint8_t *at;
	size_t room;
	enum wire_result result;

	start(NULL);
	connection_room(&c, &at, &room);
	assert_true(len <= room);
	memcpy(at, bytes, len);
	c.filled += len;
	result = connection_hello(&c, capability, reason, &why);
	assert_int_equal(why != NULL, result == WIRE_BAD);
	return result;
}

static void
check_hello(const char *bytes, size_t len, uint8_t capability, const char *user)
{
	enum close_reason reason;
	uint8_t answer = 99;

	assert_int_equal(hello_of(bytes, len, &answer, &reason), WIRE_OK);
	assert_int_equal(answer, capability);
	assert_string_equal(c.user, user);
	assert_memory_equal(c.name, bytes, strlen(c.name));
	assert_int_equal(c.parsed, len);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(hello_of(bytes, i, &answer, &reason),
				 WIRE_MORE);
}

static void
test_hello(void **state)
{
	(void)state;
	check_hello("rdb:secret\3", 12, 3, "rdb");
	check_hello("rdb", 4, 0, "rdb");
	check_hello("rdb\1", 5, 1, "rdb");
	check_hello("rdb\6", 5, 3, "rdb");
	check_hello(":\3", 3, 3, "-");
	check_hello("", 1, 0, "-");
	check_hello("a b=\"c\3", 8, 3, "a?b??c");
}

/* A name that is too long is refused: cut, it could be another user's. */
static void
test_long_user(void **state)
{
	char bytes[SMALL_BYTES];
	enum close_reason reason;
	uint8_t capability;

	(void)state;
	memset(bytes, 'u', sizeof(bytes));
	bytes[USER_BYTES_MAX] = '\0';
	assert_int_equal(hello_of(bytes, USER_BYTES_MAX + 1, &capability,
				  &reason),
			 WIRE_OK);
	assert_int_equal(strlen(c.name), USER_BYTES_MAX);
	assert_int_equal(strlen(c.user), USER_BYTES_MAX);
	bytes[USER_BYTES_MAX] = 'u';
	bytes[USER_BYTES_MAX + 1] = '\0';
	assert_int_equal(hello_of(bytes, USER_BYTES_MAX + 2, &capability,
				  &reason),
			 WIRE_BAD);
	assert_int_equal(reason, CLOSE_bad_handshake);
	/* as long as the buffer is the longest one; without an end it is bad */
	bytes[3] = ':';
	bytes[USER_BYTES_MAX + 1] = 'p';
	bytes[SMALL_BYTES - 1] = '\0';
	assert_int_equal(hello_of(bytes, SMALL_BYTES, &capability, &reason),
			 WIRE_OK);
	bytes[SMALL_BYTES - 1] = 'u';
	assert_int_equal(hello_of(bytes, SMALL_BYTES, &capability, &reason),
			 WIRE_BAD);
	assert_int_equal(reason, CLOSE_bad_handshake);
}

/* After the header of a terminator that nearly fills the buffer there is room
 * for the rest of the handshake. */
static void
test_hello_after_a_header(void **state)
{
	enum close_reason reason;
	const char *why;
	uint8_t capability;
	size_t room;
	uint8_t *at;

	(void)state;
	memcpy(small + SMALL_BYTES - 3, "rdb", 3);
	c.parsed = SMALL_BYTES - 3;
	c.filled = SMALL_BYTES;
	assert_int_equal(connection_hello(&c, &capability, &reason, &why),
			 WIRE_MORE);
	connection_room(&c, &at, &room);
	assert_int_equal(room, SMALL_BYTES - 3);
	memcpy(at, ":p\3", 4);
	c.filled += 4;
	assert_int_equal(connection_hello(&c, &capability, &reason, &why),
			 WIRE_OK);
	assert_string_equal(c.name, "rdb");
}

/* Whether it comes in one piece or not, a longer one is refused, so that no
 * buffer is filled by somebody unknown. */
static void
test_long_hello(void **state)
{
	enum { MOST = 16384, ROOM = MOST + 100 };
	struct connection large = { .state = CONNECTION_HELLO,
				    .buffer = malloc(ROOM),
				    .capacity = ROOM };
	enum close_reason reason;
	const char *why;
	uint8_t capability;

	(void)state;
	assert_non_null(large.buffer);
	memset(large.buffer, 'p', ROOM);
	large.buffer[1] = ':';
	large.filled = MOST - 1;
	assert_int_equal(connection_hello(&large, &capability, &reason, &why),
			 WIRE_MORE);
	large.filled = MOST;
	assert_int_equal(connection_hello(&large, &capability, &reason, &why),
			 WIRE_BAD);
	assert_int_equal(reason, CLOSE_bad_handshake);
	large.buffer[MOST] = '\0';
	large.filled = ROOM;
	assert_int_equal(connection_hello(&large, &capability, &reason, &why),
			 WIRE_BAD);
	large.buffer[MOST - 1] = '\0';
	assert_int_equal(connection_hello(&large, &capability, &reason, &why),
			 WIRE_OK);
	assert_int_equal(large.parsed, MOST);
	free(large.buffer);
}

static void
test_not_kdb(void **state)
{
	enum close_reason reason = CLOSE_COUNT;
	uint8_t capability;

	(void)state;
	assert_int_equal(
		hello_of("GET / HTTP/1.1\r\n", 16, &capability, &reason),
		WIRE_BAD);
	assert_int_equal(reason, CLOSE_http);
	reason = CLOSE_COUNT;
	assert_int_equal(hello_of("\x16\3\1\2", 4, &capability, &reason),
			 WIRE_BAD);
	assert_int_equal(reason, CLOSE_http);
}

/* ---- a slot's life ---- */

/* The slot's own fields stay; the generation tells its connections apart. */
static void
test_slot(void **state)
{
	(void)state;
	assert_int_equal(c.state, CONNECTION_HELLO);
	assert_int_equal(c.consumer.policy, SLOW_SKIP);
	assert_string_equal(c.user, "-");
	c.in_bytes = c.in_records = c.rejected = 9;
	c.is_feed = true;
	connection_fini(&c);
	assert_int_equal(c.state, CONNECTION_FREE);
	assert_int_equal(c.generation, 8);
	connection_start(&c, 4, SLOW_BLOCK);
	assert_int_equal(c.generation, 8);
	assert_int_equal(c.slot, 5);
	assert_int_equal(c.fd, 4);
	assert_ptr_equal(c.small, small);
	assert_ptr_equal(c.consumer.reply, reply);
	assert_int_equal(c.consumer.policy, SLOW_BLOCK);
	assert_int_equal(c.in_bytes + c.in_records + c.rejected, 0);
	assert_false(c.is_feed);
}

/* Dropped in the middle of a long message: the buffer comes back. */
static void
test_drop_input(void **state)
{
	struct wire_header header;
	const uint8_t *frame;
	const char *why;
	uint8_t *at;
	size_t room;

	(void)state;
	put_hello();
	put_frame(1000);
	c.state = CONNECTION_OPEN;
	connection_room(&c, &at, &room);
	memcpy(at, stream + HELLO_BYTES, SMALL_BYTES);
	/* There is no buffer for a length that is only claimed, ... */
	c.filled += SMALL_BYTES - 1;
	assert_int_equal(
		connection_frame(&c, MESSAGE_MAX, &header, &frame, &why),
		FRAME_MORE);
	/* ... but for bytes that were received. */
	c.filled++;
	assert_int_equal(
		connection_frame(&c, MESSAGE_MAX, &header, &frame, &why),
		FRAME_TOO_BIG);
	connection_use_buffer(&c, big, header.len);
	connection_room(&c, &at, &room);
	/* exactly the frame's rest: no byte after it gets into the buffer */
	assert_ptr_equal(at, big + SMALL_BYTES);
	assert_int_equal(room, 1000 - SMALL_BYTES);
	assert_ptr_equal(connection_drop_input(&c), big);
	connection_room(&c, &at, &room);
	assert_ptr_equal(at, small);
	assert_int_equal(room, SMALL_BYTES);
	connection_fini(&c);
}

/* The table of reasons is what client/close_reasons.def says, in its order. */
static void
test_reasons(void **state)
{
	(void)state;
	assert_string_equal(close_reason_names[CLOSE_peer_closed],
			    "peer_closed");
	assert_string_equal(close_reason_names[CLOSE_stopping], "stopping");
	assert_int_equal(close_reason_levels[CLOSE_bad_frame], LOG_WARN);
	for (size_t i = 0; i < CLOSE_COUNT; i++)
		assert_true(close_reason_sentences[i][0] != '\0');
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_every_split, start),
		cmocka_unit_test_setup(test_two_splits, start),
		cmocka_unit_test_setup(test_byte_by_byte, start),
		cmocka_unit_test_setup(test_random_splits, start),
		cmocka_unit_test_setup(test_lengths, start),
		cmocka_unit_test_setup(test_bad_headers, start),
		cmocka_unit_test_setup(test_hello, start),
		cmocka_unit_test_setup(test_long_user, start),
		cmocka_unit_test_setup(test_hello_after_a_header, start),
		cmocka_unit_test_setup(test_long_hello, start),
		cmocka_unit_test_setup(test_not_kdb, start),
		cmocka_unit_test_setup(test_slot, start),
		cmocka_unit_test_setup(test_drop_input, start),
		cmocka_unit_test_setup(test_reasons, start),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
