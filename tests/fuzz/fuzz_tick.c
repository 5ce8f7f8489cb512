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

#include "schema/record.h"
#include "schema/row_ops.h"
#include "tick/dispatch.h"
#include "base/util.h"

enum {
	RING_BYTES = 65536,
	MESSAGE_MAX = 16384,
	FRAMES_MAX = 64,
	OP_BYTES = 4,
	CLIENTS = 2,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* One as usual, one in batches. */
static struct world {
	struct settings settings;
	struct streams streams;
	struct tick tick;
	struct history history;
	struct history_file file;
} worlds[2], *world;

static struct counters counters;
static struct journal_state journal;
static uint8_t *reply, *long_reply;
static int64_t utc_ns, now_ns;

/* Each client reads its own stream, a third one the main stream. */
static struct client {
	struct cursor cursor;
	struct selection selection; /* kept */
} clients[CLIENTS];
static struct cursor other;

/* A table of consumers that does not fit into a usual reply. */
static const char *
put_table(void *context, enum tick_table table, struct wire_writer *out)
{
	uint32_t cnt = (uint32_t)(world->tick.reply_max / sizeof(uint32_t));

	(void)context;
	(void)table;
	wire_put_list(out, KT_INT, KA_NONE, cnt);
	for (uint32_t i = 0; i < cnt; i++)
		wire_put_u32(out, i);
	return NULL;
}

static void
open_world(struct world *w, bool is_batched)
{
	static const char text[] =
		"trade:([]time:`timespan$();sym:`symbol$();price:`float$())\n"
		"any:([]time:`timestamp$();sym:`symbol$();v:())\n"
		"pair:([]time:`time$();sym:`symbol$())\n"
		"book:([]time:`time$();sym:`int$();v:())\n";
	const struct streams_options options = {
		.main_bytes = RING_BYTES,
		.filtered_max = CLIENTS,
		.filtered_bytes = RING_BYTES,
		.symbols_max = 16,
		.sets_max = 2 * CLIENTS + 1,
		.message_max = MESSAGE_MAX,
		.is_batched = is_batched,
	};
	struct schema_error err;

	w->settings.message.max = MESSAGE_MAX;
	w->settings.publish.interval = is_batched ? NS_PER_MS : 0;
	CHECK(schema_parse(&w->settings.tables, text, sizeof(text) - 1, &err) ==
	      0);
	CHECK(schema_finish(&w->settings.tables, &err) == 0);
	CHECK(streams_open(&w->streams, &w->settings.tables, &options) == 0);
	CHECK(tick_open(&w->tick, &w->settings, &w->streams, &counters,
			&journal, &w->history) == 0);
	w->tick.put_table = put_table;
	CHECK(w->tick.reply_max < MESSAGE_MAX);
	history_init(&w->history);
	w->file.fd = -1;
	history_begin(&w->history, &w->file, w->streams.main.head_pos);
}

static void
open_all(void)
{
	for (size_t i = 0; i < ARRAY_LEN(worlds); i++)
		open_world(&worlds[i], i == 1);
	reply = malloc(MESSAGE_MAX);
	long_reply = malloc(MESSAGE_MAX);
	CHECK(reply != NULL && long_reply != NULL);
}

static void
start(bool is_batched)
{
	if (reply == NULL)
		open_all();
	world = &worlds[is_batched];
	utc_ns = 9822 * NS_PER_DAY;
	now_ns = 1;
	world->tick.day = 9822;
	world->tick.is_held = false;
	cursor_attach(&other, &world->streams.main,
		      world->streams.main.visible_pos);
}

static void
show(void)
{
	struct streams *all = &world->streams;

	if (all->batch != NULL)
		streams_show_batch(all, all->main.head_pos, now_ns);
}

static void
check_body(const uint8_t *frame, size_t len)
{
	bool has_long_counts = false;
	const char *bad = wire_check_body(frame + WIRE_HEADER_BYTES,
					  len - WIRE_HEADER_BYTES, false,
					  &has_long_counts);

	/* The published message adds levels of its own. */
	CHECK(bad == NULL || strstr(bad, "too deeply") != NULL);
	CHECK(!has_long_counts);
	CHECK(frame[0] == 1 && frame[2] == 0 && frame[3] == 0);
}

/* Rows of a table that is filtered have one of the symbols. */
static void
check_rows(const struct selection *selection, const uint8_t *frame)
{
	const struct schema_table *t =
		record_table(&world->settings.tables, frame);
	struct rows rows = row_ops_of_frame(t, frame);
	struct rows_keys keys = row_ops_keys(&rows);
	struct rows_key key;

	CHECK(rows.cnt > 0);
	CHECK(selection_has(selection, t->idx));
	if (!selection_filters(selection, t->idx))
		return;
	while (row_ops_next_key(&keys, &key)) {
		CHECK(key.type == t->columns[1].type);
		CHECK(symbols_has(selection->symbols,
				  symbols_find(&world->streams.filter.symbols,
					       t->idx, key.at, key.len)));
	}
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
		if (stream_frame_is_record(frame))
			check_rows(&c->stream->selection, frame);
		c->pos += len;
	}
}

static void
apply(struct client *c, const struct tick_outcome *out, bool is_sync,
      const uint8_t *reply_at, size_t reply_max)
{
	struct symbols *symbols = &world->streams.filter.symbols;

	CHECK(out->is_subscribing ||
	      selection_is_equal(&c->selection, &out->selection));
	if (out->is_subscribing) {
		selection_keep(symbols, &c->selection, &out->selection);
		symbols_release(symbols, out->selection.symbols);
	}
	CHECK((out->reply_len > 0) == is_sync);
	if (is_sync) {
		CHECK(out->reply_len <= reply_max);
		CHECK(reply_at[1] == WIRE_RESPONSE);
		CHECK(wire_load_u32(reply_at + 4) == out->reply_len);
		check_body(reply_at, out->reply_len);
	}
	CHECK(!out->has_past || (out->is_subscribing && out->stream == NULL));
	if (out->has_past) {
		CHECK(out->past.place.file == &world->file);
		CHECK(out->past.record <= out->past.end_record);
		streams_detach(&c->cursor);
	}
	if (out->stream == NULL || out->stream == c->cursor.stream)
		return;
	CHECK(streams_is_level(&world->streams, out->stream));
	streams_detach(&c->cursor);
	cursor_attach(&c->cursor, out->stream, out->stream->head_pos);
}

/* Returns whether the connection stays open. */
static bool
send_frame(struct client *c, const uint8_t *frame, size_t len)
{
	struct streams *streams = &world->streams;
	struct tick *tick = &world->tick;
	struct tick_client client = { .selection = c->selection,
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
		apply(c, &out, header.message == WIRE_SYNC, client.reply,
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
		read_all(&other);
	if (data[0] & 4)
		read_all(&c->cursor);
	if (data[1] & 64)
		show();
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

/* Nothing is held any more. */
static void
stop(void)
{
	struct symbols *symbols = &world->streams.filter.symbols;

	show();
	for (unsigned round = 0; round < 2; round++) {
		for (size_t i = 0; i < CLIENTS; i++)
			read_all(&clients[i].cursor);
		streams_feed(&world->streams, now_ns);
	}
	read_all(&other);
	streams_detach(&other);
	for (size_t i = 0; i < CLIENTS; i++) {
		read_all(&clients[i].cursor);
		streams_detach(&clients[i].cursor);
		selection_drop(symbols, &clients[i].selection);
	}
	CHECK(symbols->keys_cnt == 0);
	for (uint32_t i = 0; i < symbols->sets_max; i++)
		CHECK(symbols->sets[i].holders == 0);
	CHECK(stream_has_room(&world->streams.main, RING_BYTES));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	bool is_alive = true;

	if (len == 0)
		return 0;
	start(data[0] & 1);
	data++;
	len--;
	for (unsigned i = 0; i < FRAMES_MAX && len >= OP_BYTES && is_alive;
	     i++) {
		size_t used = step(data, len, &is_alive);

		data += used;
		len -= used;
	}
	stop();
	return 0;
}
