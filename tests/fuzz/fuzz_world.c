#include "config.h"

#include "fuzz_world.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "schema/record.h"
#include "schema/row_ops.h"
#include "base/util.h"

struct world *world;
struct counters counters;
struct journal_state journal;
uint8_t *reply, *long_reply;
int64_t utc_ns, now_ns;
struct client clients[CLIENTS];
struct cursor other;

/* One as usual, one in batches. */
static struct world worlds[2];

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

/* One that has been read, or one that is still being read. */
static const char *
reload(void *context, const struct tick_client *client)
{
	(void)context;
	return client->has_published ? request_must_wait : NULL;
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
	w->tick.reload = reload;
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

void
world_start(bool is_batched)
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

void
world_show(void)
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
void
world_read_all(struct cursor *c)
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

void
world_apply(struct client *c, const struct tick_outcome *out, bool is_sync,
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

/* Nothing is held any more. */
void
world_stop(void)
{
	struct symbols *symbols = &world->streams.filter.symbols;

	world_show();
	for (unsigned round = 0; round < 2; round++) {
		for (size_t i = 0; i < CLIENTS; i++)
			world_read_all(&clients[i].cursor);
		streams_feed(&world->streams, now_ns);
	}
	world_read_all(&other);
	streams_detach(&other);
	for (size_t i = 0; i < CLIENTS; i++) {
		world_read_all(&clients[i].cursor);
		streams_detach(&clients[i].cursor);
		selection_drop(symbols, &clients[i].selection);
	}
	CHECK(symbols->keys_cnt == 0);
	for (uint32_t i = 0; i < symbols->sets_max; i++)
		CHECK(symbols->sets[i].holders == 0);
	CHECK(stream_has_room(&world->streams.main, RING_BYTES));
}
