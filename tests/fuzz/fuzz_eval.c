/*
 * libFuzzer: the texts that two clients ask for, a line each, while updates
 * come.  The first byte says whether in batches; the first byte of a line says
 * who asks, and how.  A question on a brief budget has had no effect if it has
 * to wait.  A question without effects has the same answer twice.  What a
 * request subscribes to is what its client gets, and nothing stays held.
 */
#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/everybody.h"
#include "base/util.h"
#include "fuzz_world.h"
#include "tick/dispatch.h"

enum { LINES_MAX = 32, TEXT_MAX = 2048 };

/* Bits of a line's first byte. */
enum {
	BY_SECOND = 1,
	IS_ASYNC = 2,
	IS_BRIEF = 4,
	IS_LATE = 8,
	IS_STUCK = 16,
	WITH_UPDATE = 32,
	WITH_FEED = 64,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What a request without effects leaves as it was. */
struct before {
	uint64_t head_pos, records, requests, errors;
	uint32_t keys_cnt;
};

/* One row of trade, from a feed that is no client here. */
static void
publish(void)
{
	static const uint8_t body[] =
		"\0\0\3\0\0\0\xf5.u.upd\0\xf5trade\0\0\0\2\0\0\0\xf5"
		"ab\0\xf7\0\0\0\0\0\0\0";
	uint8_t frame[WIRE_HEADER_BYTES + sizeof(body)] = { 1 };
	struct tick_client feed = { .rights = &everybody,
				    .may = everybody.may,
				    .reply = reply,
				    .reply_max = world->tick.reply_max };
	struct wire_header header;
	struct tick_outcome out;
	const char *why;

	/* With the literal's own NUL: the last byte of the float. */
	wire_store_u32(frame + 4, sizeof(frame));
	memcpy(frame + WIRE_HEADER_BYTES, body, sizeof(body));
	CHECK(wire_read_header(frame, sizeof(frame), UINT32_MAX, &header,
			       &why) == WIRE_OK);
	CHECK(dispatch_frame(&world->tick, &feed, &header, frame, &out) !=
	      TICK_BAD);
}

static struct before
look(void)
{
	return (struct before){
		.head_pos = world->streams.main.head_pos,
		.records = counters.in_records,
		.requests = counters.requests,
		.errors = counters.request_errors,
		.keys_cnt = world->streams.filter.symbols.keys_cnt,
	};
}

static void
check_untouched(const struct before *b)
{
	CHECK(world->streams.main.head_pos == b->head_pos);
	CHECK(counters.in_records == b->records);
	CHECK(counters.requests == b->requests);
	CHECK(counters.request_errors == b->errors);
	CHECK(world->streams.filter.symbols.keys_cnt == b->keys_cnt);
}

/* The steps of an answer as the daemon takes them: brief, dear, large. */
static enum tick_result
ask(struct tick_client *client, const uint8_t *frame, size_t len,
    struct tick_outcome *out)
{
	struct before before = look();
	struct wire_header header;
	enum tick_result result;
	const char *why;

	CHECK(wire_read_header(frame, len, UINT32_MAX, &header, &why) ==
	      WIRE_OK);
	result = dispatch_frame(&world->tick, client, &header, frame, out);
	if (result == TICK_WAIT && out->waits_for == WAIT_DEAR) {
		CHECK(client->is_brief && !client->is_late);
		check_untouched(&before);
		client->is_brief = false;
		result = dispatch_frame(&world->tick, client, &header, frame,
					out);
	}
	if (result == TICK_LARGE) {
		CHECK(world->streams.main.head_pos == before.head_pos);
		client->reply = long_reply;
		client->reply_max = MESSAGE_MAX;
		client->is_reply_large = true;
		result = dispatch_frame(&world->tick, client, &header, frame,
					out);
		CHECK(result != TICK_LARGE);
	}
	if (result == TICK_WAIT)
		check_untouched(&before);
	CHECK(out->steps <= REQUEST_STEPS_MAX);
	return result;
}

/* A machine that is busy makes 'limit of any answer. */
static bool
is_limit(const uint8_t *frame)
{
	static const uint8_t limit[] = "\x80limit";

	return memcmp(frame + WIRE_HEADER_BYTES, limit, sizeof(limit)) == 0;
}

static bool
is_equal_answer(const uint8_t *a, const uint8_t *b)
{
	size_t len = wire_load_u32(a + 4);

	return (len == wire_load_u32(b + 4) && memcmp(a, b, len) == 0) ||
	       is_limit(a) || is_limit(b);
}

/* Asks again what had no effects: the answer is the same. */
static void
ask_again(const struct tick_client *first, const uint8_t *frame, size_t len)
{
	size_t answer_len = wire_load_u32(first->reply + 4);
	struct tick_client client = *first;
	uint8_t *answer = malloc(answer_len);
	struct tick_outcome out;

	CHECK(answer != NULL);
	memcpy(answer, first->reply, answer_len);
	CHECK(ask(&client, frame, len, &out) == TICK_DONE);
	CHECK(!out.is_subscribing);
	CHECK(is_equal_answer(answer, client.reply));
	free(answer);
}

static void
handle(struct client *c, unsigned flags, const uint8_t *frame, size_t len)
{
	bool is_sync = (flags & IS_ASYNC) == 0;
	struct before before = look();
	struct tick_client client = {
		.rights = &everybody,
		.may = everybody.may,
		.selection = c->selection,
		.stream = c->cursor.stream,
		.reply = reply,
		.reply_max = world->tick.reply_max,
		.is_brief = (flags & IS_BRIEF) != 0,
		.is_late = (flags & IS_LATE) != 0,
		.handle = 7,
		.user = "fuzz",
	};
	struct tick_outcome out;

	/* A text is a good object, and never the end of a connection. */
	switch (ask(&client, frame, len, &out)) {
	case TICK_DONE:
		if (is_sync && !out.is_subscribing &&
		    before.head_pos == world->streams.main.head_pos)
			ask_again(&client, frame, len);
		world_apply(c, &out, is_sync, client.reply, client.reply_max);
		break;
	case TICK_WAIT:
		CHECK(!client.is_late);
		break;
	case TICK_LARGE:
	case TICK_BAD:
		CHECK(false);
	}
}

static void
ask_text(struct client *c, unsigned flags, const uint8_t *text, size_t len)
{
	size_t frame_len = WIRE_HEADER_BYTES + WIRE_LIST_HEADER_BYTES + len;
	uint8_t *frame = malloc(frame_len);
	struct wire_writer w = wire_writer(frame, frame_len);
	size_t header;

	CHECK(frame != NULL);
	header = wire_begin_frame(&w, flags & IS_ASYNC ? WIRE_ASYNC
						       : WIRE_SYNC);
	wire_put_list(&w, KT_CHAR, KA_NONE, (uint32_t)len);
	wire_put_bytes(&w, text, len);
	wire_end_frame(&w, header);
	CHECK(!w.is_full);
	handle(c, flags, frame, frame_len);
	free(frame);
}

static void
set_journal(bool is_stuck)
{
	const struct stream *main_stream = &world->streams.main;

	journal.is_on = true;
	journal.is_stuck = journal.is_file_stuck = is_stuck;
	journal.marks = main_stream->marks;
	journal.records = journal.stream_records = main_stream->records;
	journal.written_pos = main_stream->head_pos;
	memcpy(journal.path, "/sym2026.11.22", sizeof("/sym2026.11.22"));
}

static void
take_line(const uint8_t *line, size_t len)
{
	unsigned flags = line[0];

	now_ns += NS_PER_MS;
	utc_ns += NS_PER_S;
	if (!tick_set_time(&world->tick, utc_ns, now_ns))
		return;
	if (flags & WITH_UPDATE)
		publish();
	set_journal((flags & IS_STUCK) != 0);
	if (flags & WITH_FEED) {
		world_show();
		streams_feed(&world->streams, now_ns);
		for (unsigned i = 0; i < CLIENTS; i++)
			world_read_all(&clients[i].cursor);
		world_read_all(&other);
	}
	ask_text(&clients[flags & BY_SECOND], flags, line + 1, len - 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const uint8_t *end = data + len;

	if (len == 0 || len > TEXT_MAX)
		return 0;
	world_start(*data++ & 1);
	for (unsigned i = 0; i < LINES_MAX && data < end; i++) {
		const uint8_t *eol = memchr(data, '\n', (size_t)(end - data));

		if (eol == NULL)
			eol = end;
		if (eol > data)
			take_line(data, (size_t)(eol - data));
		data = eol + (eol < end);
	}
	world_stop();
	return 0;
}
