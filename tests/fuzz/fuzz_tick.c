/*
 * libFuzzer: a client that sends whatever it likes, frame after frame, while
 * time passes and the ring fills and empties.  What is published and what is
 * answered is good; what has to wait has changed nothing.
 */
#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tick.h"
#include "util.h"

enum {
	RING_BYTES = 65536,
	MESSAGE_MAX = 16384,
	FRAMES_MAX = 64,
	OP_BYTES = 4,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct settings settings;
static struct streams streams;
static struct counters counters;
static struct journal_state journal;
static struct history history;
static struct history_file file;
static struct tick tick;
static uint8_t *reply, *long_reply;
static int64_t utc_ns, now_ns;

/* The client reads its own stream, another one the main stream. */
static struct cursor own, other;
static struct selection selection;

/* A table of consumers that no usual reply has room for. */
static const char *
put_lag(void *context, struct wire_writer *out)
{
	uint32_t cnt = (uint32_t)(tick.reply_max / sizeof(uint32_t));

	(void)context;
	wire_put_list(out, KT_INT, KA_NONE, cnt);
	for (uint32_t i = 0; i < cnt; i++)
		wire_put_u32(out, i);
	return NULL;
}

static void
open_all(void)
{
	static const char text[] =
		"trade:([]time:`timespan$();sym:`symbol$();price:`float$())\n"
		"any:([]time:`timestamp$();sym:`symbol$();v:())\n"
		"pair:([]time:`time$();sym:`symbol$())\n";
	struct schema_error err;

	settings.message.max = MESSAGE_MAX;
	CHECK(schema_parse(&settings.tables, text, sizeof(text) - 1, &err) ==
	      0);
	CHECK(schema_finish(&settings.tables, &err) == 0);
	CHECK(streams_open(&streams, &settings.tables,
			   &(struct streams_options){
				   .main_bytes = RING_BYTES,
				   .filtered_max = 2,
				   .filtered_bytes = RING_BYTES,
				   .symbols_max = 64,
				   .sets_max = 8,
				   .message_max = settings.message.max }) ==
	      0);
	CHECK(tick_open(&tick, &settings, &streams, &counters,
		      &journal, &history) == 0);
	tick.put_lag = tick.put_subscribers = tick.put_queues = put_lag;
	reply = malloc(tick.reply_max);
	long_reply = malloc(MESSAGE_MAX);
	CHECK(reply != NULL && long_reply != NULL);
	CHECK(tick.reply_max < MESSAGE_MAX);
	history_init(&history);
	file.fd = -1;
	history_begin(&history, &file, streams.main.head_pos);
}

static void
start(void)
{
	if (reply == NULL)
		open_all();
	utc_ns = 9822 * NS_PER_DAY;
	now_ns = 1;
	tick.day = 9822;
	tick.is_held = false;
	selection = (struct selection){ 0 };
	cursor_attach(&other, &streams.main, streams.main.head_pos);
}

static void
check_body(const uint8_t *frame, size_t len)
{
	bool has_long_counts = false;
	const char *bad = wire_check_body(frame + WIRE_HEADER_BYTES,
					  len - WIRE_HEADER_BYTES, false,
					  &has_long_counts);

	/* Around what was sent there are levels of our own. */
	CHECK(bad == NULL || strstr(bad, "too deeply") != NULL);
	CHECK(!has_long_counts);
	CHECK(frame[0] == 1 && frame[2] == 0 && frame[3] == 0);
}

/* Reads up to the head; every message is a whole frame. */
static void
read_all(struct cursor *c)
{
	if (c->stream == NULL)
		return;
	while (cursor_lag(c) > 0) {
		const uint8_t *frame = ring_at(&c->stream->ring, c->pos);
		uint32_t len = stream_frame_len(frame);

		CHECK(len <= cursor_lag(c) && len <= MESSAGE_MAX);
		CHECK(frame[1] == WIRE_ASYNC);
		check_body(frame, len);
		c->pos += len;
	}
}

static void
apply(const struct tick_outcome *out, bool is_sync, const uint8_t *reply_at,
      size_t reply_max)
{
	selection = out->selection;
	CHECK((out->reply_len > 0) == is_sync);
	if (is_sync) {
		CHECK(out->reply_len <= reply_max);
		CHECK(reply_at[1] == WIRE_RESPONSE);
		CHECK(wire_load_u32(reply_at + 4) == out->reply_len);
		check_body(reply_at, out->reply_len);
	}
	CHECK(!out->has_past || (out->is_subscribing && out->stream == NULL));
	if (out->has_past) {
		CHECK(out->past.place.file == &file);
		CHECK(out->past.record <= out->past.end_record);
		cursor_detach(&own);
	}
	if (out->stream == NULL || out->stream == own.stream)
		return;
	CHECK(streams_is_level(&streams, out->stream));
	cursor_detach(&own);
	cursor_attach(&own, out->stream, out->stream->head_pos);
}

/* Returns whether the connection lives on. */
static bool
send_frame(const uint8_t *frame, size_t len)
{
	struct tick_client client = { .selection = selection,
				      .stream = own.stream,
				      .reply = reply,
				      .reply_max = tick.reply_max };
	uint64_t head_pos = streams.main.head_pos;
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
	journal.marks = streams.main.marks;
	journal.records = journal.stream_records = streams.main.records;
	result = tick_handle(&tick, &client, &header, frame, &out);
	if (result == TICK_LARGE) {
		CHECK(streams.main.head_pos == head_pos);
		client.reply = long_reply;
		client.reply_max = MESSAGE_MAX;
		client.is_reply_large = true;
		result = tick_handle(&tick, &client, &header, frame, &out);
	}
	switch (result) {
	case TICK_DONE:
		apply(&out, header.message == WIRE_SYNC, client.reply,
		      client.reply_max);
		return true;
	case TICK_LARGE: /* never a second time */
		CHECK(client.reply != long_reply);
		return false;
	case TICK_WAIT:
		CHECK(streams.main.head_pos == head_pos);
		CHECK(counters.in_records == in_records);
		return true;
	case TICK_BAD:
		CHECK(out.why != NULL);
		return false;
	}
	return false;
}

/* One op: what passes before, flags of the frame, the length of its body. */
static size_t
step(const uint8_t *data, size_t len, bool *is_alive)
{
	size_t body = data[2] | (size_t)data[3] << 8;
	uint8_t *frame;

	if (body > len - OP_BYTES)
		body = len - OP_BYTES;
	tick.is_held = data[0] & 1;
	if (data[0] & 2)
		read_all(&other);
	if (data[0] & 4)
		read_all(&own);
	if (data[0] & 8)
		streams_feed(&streams, now_ns);
	utc_ns += (int64_t)(data[0] >> 4) * NS_PER_DAY / 8;
	now_ns += NS_PER_MS;
	if (!tick_set_time(&tick, utc_ns, now_ns))
		return OP_BYTES + body;
	/* An exact allocation, so that a byte read too far is seen. */
	frame = malloc(WIRE_HEADER_BYTES + body);
	CHECK(frame != NULL);
	memset(frame, 0, WIRE_HEADER_BYTES);
	frame[0] = !(data[1] & 8);
	frame[1] = data[1] & 3;
	frame[2] = data[1] >> 4 & 3;
	wire_store_u32(frame + 4, (uint32_t)(WIRE_HEADER_BYTES + body));
	if (frame[0] == 0)
		wire_store_u32(frame + 4,
			       __builtin_bswap32(wire_load_u32(frame + 4)));
	memcpy(frame + WIRE_HEADER_BYTES, data + OP_BYTES, body);
	*is_alive = send_frame(frame, WIRE_HEADER_BYTES + body);
	free(frame);
	return OP_BYTES + body;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	bool is_alive = true;

	start();
	for (unsigned i = 0; i < FRAMES_MAX && len >= OP_BYTES && is_alive;
	     i++) {
		size_t used = step(data, len, &is_alive);

		data += used;
		len -= used;
	}
	read_all(&own);
	read_all(&other);
	cursor_detach(&own);
	cursor_detach(&other);
	return 0;
}
