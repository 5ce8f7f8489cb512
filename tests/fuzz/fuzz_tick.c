/*
 * libFuzzer: two clients that send any bytes, frame after frame, while time
 * passes and the rings fill and empty; the first byte says whether in batches.
 * Published messages and replies are good; a frame that has to wait has changed
 * nothing; a subscriber that filters by symbols gets rows of these only.
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

enum { FRAMES_MAX = 64, OP_BYTES = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Returns whether the connection stays open. */
static bool
send_frame(struct client *c, const uint8_t *frame, size_t len)
{
	struct streams *streams = &world->streams;
	struct tick *tick = &world->tick;
	struct tick_client client = { .selection = c->selection,
				      .rights = &everybody,
				      .may = everybody.may,
				      .stream = c->cursor.stream,
				      .reply = reply,
				      .reply_max = tick->reply_max };
	uint64_t head_pos = streams->main.head_pos;
	uint64_t in_records = counters.in_records;
	struct wire_header header;
	struct tick_outcome out;
	const char *why;

	enum tick_result result;

	if (wire_read_header(frame, len, UINT32_MAX, &header, &why) != WIRE_OK)
		return false;
	CHECK(header.len == len);
	/* The journal keeps up. */
	journal.is_on = true;
	journal.marks = streams->main.marks;
	journal.records = journal.stream_records = streams->main.records;
	result = dispatch_frame(tick, &client, &header, frame, &out);
	if (result == TICK_LARGE) {
		CHECK(streams->main.head_pos == head_pos);
		client.reply = long_reply;
		client.reply_max = MESSAGE_MAX;
		client.is_reply_large = true;
		result = dispatch_frame(tick, &client, &header, frame, &out);
	}
	switch (result) {
	case TICK_DONE:
		world_apply(c, &out, header.message == WIRE_SYNC, client.reply,
			    client.reply_max);
		return true;
	case TICK_LARGE: /* never a second time */
		CHECK(client.reply != long_reply);
		return false;
	case TICK_WAIT:
		CHECK(streams->main.head_pos == head_pos);
		CHECK(counters.in_records == in_records);
		return true;
	case TICK_BAD:
		CHECK(out.why != NULL);
		return false;
	}
	return false;
}

/* A request made of a few bytes, so that filters are soon met: which function,
 * which table, and what symbols or rows, so many times. */
static size_t
make_body(const uint8_t *data, size_t len, uint32_t times, uint8_t *at,
	  size_t room)
{
	static const char *const functions[] = { ".u.sub", ".u.add", ".u.upd" };
	static const char *const tables[] = { "trade", "any", "pair", "book",
					      "" };
	struct wire_writer w = wire_writer(at, room);
	unsigned function = len > 0 ? data[0] % 3 : 0;
	unsigned table = len > 0 ? data[0] / 3 % 5 : 0;
	uint32_t cnt = len > 1 ? times * ((uint32_t)len - 1) : 0;
	int type = table == 3 ? KT_INT : KT_SYMBOL;
	bool has_value = function == 2 && table != 2;

	wire_put_list(&w, KT_LIST, KA_NONE, 3);
	wire_put_symbol(&w, functions[function]);
	wire_put_symbol(&w, tables[table]);
	if (function == 2)
		wire_put_list(&w, KT_LIST, KA_NONE, has_value ? 2 : 1);
	wire_put_list(&w, type, KA_NONE, cnt);
	for (uint32_t i = 0; i < cnt; i++) {
		if (type == KT_INT)
			wire_put_u32(&w, data[1 + i / times] % 8);
		else
			wire_put_symbol_item(&w, "abcdefgh",
					     data[1 + i / times] % 8);
	}
	if (has_value) {
		type = table == 0 || cnt % 2 == 0 ? KT_FLOAT : KT_LONG;
		wire_put_list(&w, type, KA_NONE, cnt);
		for (uint32_t i = 0; i < cnt; i++)
			wire_put_u64(&w, i);
	}
	CHECK(!w.is_full);
	return wire_written(&w);
}

/* The frame of an op, in an exact allocation: the sanitizer sees each byte read
 * too far. */
static uint8_t *
make_frame(const uint8_t *data, size_t body, size_t *out_len)
{
	uint32_t times = 1 + (data[1] >> 3 & 7);
	size_t room = 256 + 17 * times * body;
	uint8_t *made = malloc(room), *frame;
	bool is_made = (data[1] & 4) != 0;

	CHECK(made != NULL);
	data += OP_BYTES;
	if (is_made) {
		body = make_body(data, body, times, made, room);
		data = made;
	}
	*out_len = WIRE_HEADER_BYTES + body;
	frame = malloc(*out_len);
	CHECK(frame != NULL);
	memset(frame, 0, WIRE_HEADER_BYTES);
	frame[0] = 1;
	wire_store_u32(frame + 4, (uint32_t)*out_len);
	memcpy(frame + WIRE_HEADER_BYTES, data, body);
	free(made);
	return frame;
}

/* One op: what passes before, flags of the frame, the length of its body. */
static size_t
step(const uint8_t *data, size_t len, bool *is_alive)
{
	struct client *c = &clients[data[1] >> 7];
	size_t body = data[2] | (size_t)data[3] << 8, frame_len;
	uint8_t *frame;

	if (body > len - OP_BYTES)
		body = len - OP_BYTES;
	world->tick.is_held = data[0] & 1;
	if (data[0] & 2)
		world_read_all(&other);
	if (data[0] & 4)
		world_read_all(&c->cursor);
	if (data[1] & 64)
		world_show();
	if (data[0] & 8)
		streams_feed(&world->streams, now_ns);
	utc_ns += (int64_t)(data[0] >> 4) * NS_PER_DAY / 8;
	now_ns += NS_PER_MS;
	if (!tick_set_time(&world->tick, utc_ns, now_ns))
		return OP_BYTES + body;
	frame = make_frame(data, body, &frame_len);
	frame[1] = data[1] & 3;
	if ((data[1] & 4) == 0) {
		frame[0] = !(data[1] & 8);
		frame[2] = data[1] >> 4 & 3;
	}
	if (frame[0] == 0)
		wire_store_u32(frame + 4,
			       __builtin_bswap32((uint32_t)frame_len));
	*is_alive = send_frame(c, frame, frame_len);
	free(frame);
	return OP_BYTES + body;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	bool is_alive = true;

	if (len == 0)
		return 0;
	world_start(data[0] & 1);
	data++;
	len--;
	for (unsigned i = 0; i < FRAMES_MAX && len >= OP_BYTES && is_alive;
	     i++) {
		size_t used = step(data, len, &is_alive);

		data += used;
		len -= used;
	}
	world_stop();
	return 0;
}
