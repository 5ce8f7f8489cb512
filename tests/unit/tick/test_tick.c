#include "config.h"

#include "tick/dispatch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../everybody.h"
#include "../frames.h"
#include "base/log.h"
#include "base/util.h"
#include "../vectors.h"

enum {
	RING_BYTES = 65536,
	FILTERED_BYTES = 65536,
	FILTERED_MAX = 2,
	MESSAGE_MAX = 16384,
	TODAY = 9822, /* 2026.11.22 */
};

/* 2026.11.22D09:30 */
#define NOW ((int64_t)TODAY * NS_PER_DAY + 34200 * NS_PER_S)

static struct settings settings;
static struct streams streams;
static struct counters counters;
static const struct journal_state no_journal;
static struct history no_history;
static struct tick tick;
static struct tick_client client;
static struct tick_outcome out;
static struct cursor reader; /* reads the main stream, to check its messages */

static const char schema_text[] =
	"quote:([]time:`timespan$();sym:`symbol$();bid:`float$();ask:`float$();"
	"bsize:`long$();asize:`long$())\n"
	"trade:([]time:`timespan$();sym:`symbol$();price:`float$();"
	"size:`long$())\n"
	"pair:([]time:`timespan$();sym:`symbol$();n:`long$())\n";

static int
start_with(const char *text)
{
	settings = (struct settings){
		.message.max = MESSAGE_MAX,
		.schema.check = CHECK_TYPES,
	};
	schema_of(&settings.tables, text);
	counters = (struct counters){ 0 };
	history_init(&no_history);
	if (streams_open(&streams, &settings.tables,
			 &(struct streams_options){
				 .main_bytes = RING_BYTES,
				 .filtered_max = FILTERED_MAX,
				 .filtered_bytes = FILTERED_BYTES,
				 .symbols_max = 64,
				 .sets_max = 8,
				 .message_max = settings.message.max }) != 0 ||
	    tick_open(&tick, &settings, &streams, &counters, &no_journal,
		      &no_history) != 0)
		return -1;
	client = (struct tick_client){ .rights = &everybody,
				       .may = everybody.may,
				       .reply = malloc(tick.reply_max),
				       .reply_max = tick.reply_max };
	cursor_attach(&reader, &streams.main, 0);
	tick.day = TODAY;
	return client.reply != NULL && tick_set_time(&tick, NOW, 1) ? 0 : -1;
}

static int
start(void **state)
{
	(void)state;
	return start_with(schema_text);
}

static int
stop(void **state)
{
	(void)state;
	streams_detach(&reader);
	free(client.reply);
	tick_close(&tick);
	streams_close(&streams);
	schema_fini(&settings.tables);
	return 0;
}

/* ---- requests ---- */

static enum tick_result
handle(const uint8_t *frame, size_t len)
{
	/* An exact allocation: ASan sees a byte read too far. */
	uint8_t *copy = malloc(len);
	struct wire_header header;
	enum tick_result result;
	const char *why;

	assert_non_null(copy);
	memcpy(copy, frame, len);
	assert_int_equal(wire_read_header(copy, len, UINT32_MAX, &header, &why),
			 WIRE_OK);
	assert_int_equal(header.len, len);
	memset(client.reply, 0xee, tick.reply_max);
	result = dispatch_frame(&tick, &client, &header, copy, &out);
	free(copy);
	return result;
}

static enum tick_result
handle_body(enum wire_message message, const char *body_hex)
{
	uint8_t frame[4096] = { 1, (uint8_t)message };
	size_t len = WIRE_HEADER_BYTES;

	len += hex_bytes(body_hex, frame + len, sizeof(frame) - len);
	wire_store_u32(frame + 4, (uint32_t)len);
	return handle(frame, len);
}

static enum tick_result
handle_text(enum wire_message message, const char *text)
{
	uint8_t frame[1024];
	struct wire_writer w = wire_writer(frame, sizeof(frame));
	size_t header = wire_begin_frame(&w, message);

	wire_put_string(&w, text);
	wire_end_frame(&w, header);
	assert_false(w.is_full);
	return handle(frame, wire_written(&w));
}

static enum tick_result
handle_vector(const char *name)
{
	const struct vector *v = vectors_find(name);

	return handle(v->bytes, v->len);
}

/* The reply is a whole frame with this body. */
static void
check_reply(const char *body_hex)
{
	uint8_t body[1024];
	size_t len = hex_bytes(body_hex, body, sizeof(body));

	assert_int_equal(out.reply_len, WIRE_HEADER_BYTES + len);
	assert_int_equal(client.reply[0], 1);
	assert_int_equal(client.reply[1], WIRE_RESPONSE);
	assert_int_equal(client.reply[2] | client.reply[3], 0);
	assert_int_equal(wire_load_u32(client.reply + 4), out.reply_len);
	assert_memory_equal(client.reply + WIRE_HEADER_BYTES, body, len);
}

/* The word of an update's error, which is all that kdb+ sends. */
static void
check_error_word(const char *word)
{
	const char *text = (char *)client.reply + WIRE_HEADER_BYTES + 1;
	size_t len = strlen(word);

	assert_true(out.reply_len > WIRE_HEADER_BYTES + 1);
	assert_int_equal(client.reply[WIRE_HEADER_BYTES], 0x80);
	assert_int_equal(strncmp(text, word, len), 0);
	assert_int_equal(strncmp(text + len, ": ", 2), 0);
}

static void
check_error(const char *text)
{
	assert_true(out.reply_len > WIRE_HEADER_BYTES + 1);
	assert_int_equal(client.reply[WIRE_HEADER_BYTES], 0x80);
	assert_string_equal((char *)client.reply + WIRE_HEADER_BYTES + 1, text);
	assert_int_equal(out.reply_len, WIRE_HEADER_BYTES + 2 + strlen(text));
}

static void
check_reply_vector(const char *name)
{
	const struct vector *v = vectors_find(name);

	assert_int_equal(out.reply_len, v->len);
	assert_memory_equal(client.reply, v->bytes, v->len);
}

/* ---- published messages ---- */

static uint64_t
published_bytes(void)
{
	return cursor_lag(&reader);
}

/* The next message in the stream has this hex, and is the last one. */
static void
check_published(const char *frame_hex)
{
	uint8_t frame[1024];
	size_t len = hex_bytes(frame_hex, frame, sizeof(frame));

	assert_int_equal(published_bytes(), len);
	assert_memory_equal(ring_at(&streams.main.ring, reader.pos), frame,
			    len);
	reader.pos += len;
}

static void
check_published_vector(const char *name)
{
	const struct vector *v = vectors_find(name);

	assert_int_equal(published_bytes(), v->len);
	assert_memory_equal(ring_at(&streams.main.ring, reader.pos), v->bytes,
			    v->len);
	reader.pos += v->len;
}

static void
check_nothing_published(void)
{
	assert_int_equal(published_bytes(), 0);
}

#define SYM(hex)   "f5" hex "00"
#define DOT_UPD	   SYM("2e752e757064")
#define DOT_SUB	   SYM("2e752e737562")
#define UPD	   SYM("757064")
#define TRADE	   SYM("7472616465")
#define QUOTE	   SYM("71756f7465")
#define PAIR	   SYM("70616972")
#define FOO	   SYM("666f6f")
#define NULL_SYM   SYM("")
#define IBM	   SYM("49424d")
#define LONG5	   "f9 0500000000000000"
#define PRICE	   "f7 0000000000205940"
#define L2	   "0000 02000000"
#define L3	   "0000 03000000"
#define CALL(f, x) L3 f PAIR x
/* (`upd;`pair;([]time:...;sym:enlist`IBM;n:enlist 5)), stamped 0D09:30 */
#define PAIR_BYTES 0x59
#define PAIR_FRAME                                                     \
	"01000000 59000000" L3 UPD PAIR "6200 63 0b00 03000000"        \
	"74696d6500 73796d00 6e00" L3 "1000 01000000 00f0d9ce1a1f0000" \
	"0b00 01000000 49424d00 0700 01000000 0500000000000000"

/* ---- updates ---- */

static void
test_update(void **state)
{
	(void)state;
	assert_int_equal(handle_body(WIRE_SYNC, CALL(DOT_UPD, L2 IBM LONG5)),
			 TICK_DONE);
	check_reply("6500");
	assert_true(out.is_update);
	assert_null(out.why);
	assert_null(out.stream);
	check_published(PAIR_FRAME);
	assert_int_equal(counters.in_records, 1);
	assert_int_equal(counters.in_rows, 1);
	assert_int_equal(counters.in_bytes, PAIR_BYTES);
	assert_int_equal(counters.requests, 0);
	assert_int_equal(streams.main.records, 1);

	assert_int_equal(handle_body(WIRE_ASYNC, CALL(DOT_UPD, L2 IBM LONG5)),
			 TICK_DONE);
	assert_int_equal(out.reply_len, 0);
	check_published(PAIR_FRAME);
}

/* Any form of the function's name, from any client. */
static void
test_update_names(void **state)
{
	static const char *const functions[] = {
		DOT_UPD,
		UPD,
		"0a00 06000000 2e752e757064",
		"0a00 03000000 757064",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
		char hex[256];

		snprintf(hex, sizeof(hex), L3 "%s" PAIR L2 IBM LONG5,
			 functions[i]);
		assert_int_equal(handle_body(WIRE_SYNC, hex), TICK_DONE);
		check_reply("6500");
		check_published(PAIR_FRAME);
	}
	/* the whole request as text */
	assert_int_equal(handle_text(WIRE_SYNC, ".u.upd[`pair;(`IBM;5)]"),
			 TICK_DONE);
	check_reply("6500");
	assert_true(out.is_update);
	check_published(PAIR_FRAME);
	/* all symbols: one vector (.u.upd, pair and x in it) */
	assert_int_equal(handle_body(WIRE_SYNC,
				     "0b00 03000000 2e752e75706400 7061697200"
				     "49424d00"),
			 TICK_DONE);
	check_error_word("length");
}

static void
test_vectors_of_feeds(void **state)
{
	(void)state;
	assert_int_equal(handle_vector("feed_upd_cols"), TICK_DONE);
	check_published_vector("pub_upd_table");
	assert_int_equal(handle_vector("feed_upd_strfn"), TICK_DONE);
	check_published_vector("pub_upd_table");
	assert_int_equal(handle_vector("feed_upd_table"), TICK_DONE);
	check_published_vector("pub_upd_table");
	assert_int_equal(counters.in_rows, 6);
	/* as another tickerplant would forward it: a list of columns */
	assert_int_equal(handle_vector("pub_upd_cols"), TICK_DONE);
	check_published_vector("pub_upd_table");
	assert_int_equal(handle_vector("feed_upd_emptycols"), TICK_DONE);
	check_nothing_published();
	assert_int_equal(counters.in_records, 4);
	assert_int_equal(counters.rejected, 0);
}

static void
check_refused(const char *body_hex, const char *error)
{
	uint64_t rejected = counters.rejected;

	assert_int_equal(handle_body(WIRE_SYNC, body_hex), TICK_DONE);
	check_error(error);
	assert_true(out.is_update);
	assert_string_equal(out.why, error);
	assert_int_equal(handle_body(WIRE_ASYNC, body_hex), TICK_DONE);
	assert_int_equal(out.reply_len, 0);
	assert_string_equal(out.why, error);
	assert_int_equal(counters.rejected, rejected + 2);
	check_nothing_published();
}

static void
test_update_errors(void **state)
{
	(void)state;
	check_refused(CALL(DOT_UPD, L2 IBM PRICE),
		      "type: pair.n: long atom wanted, float atom came");
	check_refused(CALL(DOT_UPD, L3 IBM LONG5 LONG5),
		      "length: pair: 2 columns wanted after the time "
		      "(timespan), 3 came, the first symbol");
	check_refused(L3 DOT_UPD FOO L2 IBM LONG5, "foo");
	assert_int_equal(out.table.len, 5);
	check_refused(L3 UPD LONG5 L2 IBM LONG5,
		      "type: table: symbol wanted, long atom came");
	check_refused(L3 UPD "0a00 04000000 70616972" L2 IBM LONG5,
		      "type: table: symbol wanted, char vector came");
	check_refused(L3 UPD "6500" L2 IBM LONG5,
		      "type: table: symbol wanted, function or (::) came");
	check_refused(L3 UPD SYM("") L2 IBM LONG5,
		      "type: table: symbol wanted, empty symbol came");
	/* the name byte for byte, as q has it */
	check_refused(L3 UPD SYM("6120623d0a") L2 IBM LONG5, "a b=\n");
	assert_int_equal(counters.in_records, 0);
}

static void
test_rank(void **state)
{
	(void)state;
	assert_int_equal(handle_body(WIRE_SYNC, L2 DOT_UPD PAIR), TICK_DONE);
	check_error("rank");
	assert_int_equal(
		handle_body(WIRE_SYNC,
			    "0000 04000000" DOT_UPD PAIR L2 IBM LONG5 LONG5),
		TICK_DONE);
	check_error("rank");
	assert_int_equal(handle_body(WIRE_SYNC, L2 DOT_SUB TRADE), TICK_DONE);
	check_error("rank");
	check_nothing_published();
}

/* With the setting, types are left to the subscribers. */
static void
test_check_shape(void **state)
{
	(void)state;
	settings.schema.check = CHECK_SHAPE;
	assert_int_equal(handle_body(WIRE_SYNC, CALL(DOT_UPD, L2 IBM PRICE)),
			 TICK_DONE);
	check_reply("6500");
	assert_int_equal(published_bytes(), PAIR_BYTES);
}

/* An update that would be longer than message.max when published is refused,
 * even if it was shorter when received: a subscriber could not take it. */
static void
test_limit(void **state)
{
	enum { ROWS = 1500 };
	uint8_t *frame = calloc(1, MESSAGE_MAX);
	char limit[128];
	struct wire_writer w;
	size_t header;

	(void)state;
	assert_non_null(frame);
	w = wire_writer(frame, MESSAGE_MAX);
	header = wire_begin_frame(&w, WIRE_SYNC);
	wire_put_list(&w, KT_LIST, KA_NONE, 3);
	wire_put_symbol(&w, "upd");
	wire_put_symbol(&w, "pair");
	wire_put_list(&w, KT_LIST, KA_NONE, 2);
	wire_put_list(&w, KT_SYMBOL, KA_NONE, ROWS);
	w.at += ROWS;
	wire_put_long(&w, 5);
	wire_end_frame(&w, header);
	assert_int_equal(handle(frame, wire_written(&w)), TICK_DONE);
	(void)snprintf(limit, sizeof(limit),
		       "limit: pair: %u bytes wanted at most (message.max), "
		       "25569 came",
		       (unsigned)MESSAGE_MAX);
	check_error(limit);
	check_nothing_published();
	settings.message.max = 2 * MESSAGE_MAX;
	assert_int_equal(handle(frame, wire_written(&w)), TICK_DONE);
	check_reply("6500");
	assert_true(published_bytes() > MESSAGE_MAX);
	settings.message.max = MESSAGE_MAX;
	free(frame);
}

/* ---- foreign forms ---- */

static void
test_big_endian(void **state)
{
	uint8_t frame[256];
	size_t len = hex_bytes("00010000 00000031 0000 00000003" DOT_UPD PAIR
			       "0000 00000002" IBM "f9 0000000000000005",
			       frame, sizeof(frame));

	(void)state;
	frame[7] = (uint8_t)len;
	assert_int_equal(handle(frame, len), TICK_DONE);
	check_reply("6500");
	check_published(PAIR_FRAME);
	len = hex_bytes(
		"00010000 00000023 0000 00000003" DOT_SUB TRADE NULL_SYM, frame,
		sizeof(frame));
	frame[7] = (uint8_t)len;
	assert_int_equal(handle(frame, len), TICK_DONE);
	check_reply_vector("reply_sub_trade_g");
}

static void
test_long_counts(void **state)
{
	(void)state;
	assert_int_equal(
		handle_body(WIRE_SYNC,
			    CALL(DOT_UPD, "0080 0200000000000000" IBM LONG5)),
		TICK_DONE);
	check_reply("6500");
	check_published(PAIR_FRAME);
	assert_int_equal(
		handle_body(WIRE_SYNC,
			    "0080 0300000000000000" DOT_UPD PAIR L2 IBM LONG5),
		TICK_DONE);
	check_reply("6500");
	check_published(PAIR_FRAME);
	assert_int_equal(counters.in_records, 2);
	/* refused once, and counted once */
	assert_int_equal(
		handle_body(WIRE_SYNC,
			    CALL(DOT_UPD, "0080 0200000000000000" IBM PRICE)),
		TICK_DONE);
	check_error_word("type");
	assert_int_equal(counters.rejected, 1);
}

static void
test_compressed(void **state)
{
	const uint8_t *frame;
	uint32_t len;

	(void)state;
	assert_int_equal(handle_vector("zip_upd_200rows"), TICK_DONE);
	assert_int_equal(out.reply_len, 0);
	assert_int_equal(counters.in_records, 1);
	assert_int_equal(counters.in_rows, 200);
	frame = ring_at(&streams.main.ring, reader.pos);
	len = wire_load_u32(frame + 4);
	assert_int_equal(published_bytes(), len);
	/* uncompressed, and 29 bytes of names longer than it was */
	assert_int_equal(frame[2], 0);
	assert_int_equal(len, 5756 + 29);
	reader.pos += len;
}

static void
test_compressed_limit(void **state)
{
	(void)state;
	settings.message.max = 5755;
	assert_int_equal(handle_vector("zip_upd_200rows"), TICK_BAD);
	assert_non_null(out.why);
	settings.message.max = MESSAGE_MAX;
}

/* ---- malformed frames ---- */

static void
test_response(void **state)
{
	(void)state;
	assert_int_equal(handle_body(WIRE_RESPONSE, "6500"), TICK_BAD);
	assert_non_null(out.why);
	assert_int_equal(handle_vector("bad_resp_unsolicited"), TICK_BAD);
}

/* Any malformed frame ends the connection and has no other effect. */
static void
test_malformed_vectors(void **state)
{
	unsigned cnt = 0;

	(void)state;
	for (size_t i = 0; i < vectors.cnt; i++) {
		const struct vector *v = &vectors.items[i];
		struct wire_header header;
		const char *why;

		if (v->is_accepted || !vector_is(v, "malformed") ||
		    wire_read_header(v->bytes, v->len, UINT32_MAX, &header,
				     &why) != WIRE_OK ||
		    header.len != v->len)
			continue;
		cnt++;
		if (handle(v->bytes, v->len) != TICK_BAD)
			fail_msg("%s is taken", v->name);
		assert_non_null(out.why);
		check_nothing_published();
	}
	assert_true(cnt > 30);
}

/* A good frame whose length is one or more less, and any byte another. */
static void
check_broken(const struct vector *v)
{
	uint8_t frame[1024];

	if (v->len > sizeof(frame))
		return;
	memcpy(frame, v->bytes, v->len);
	for (size_t len = WIRE_FRAME_MIN; len < v->len; len++) {
		wire_store_u32(frame + 4, (uint32_t)len);
		if (handle(frame, len) != TICK_BAD)
			fail_msg("%s: %zu bytes are taken", v->name, len);
	}
	wire_store_u32(frame + 4, (uint32_t)v->len);
	for (size_t i = WIRE_HEADER_BYTES; i < v->len; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			frame[i] ^= (uint8_t)(1 << bit);
			assert_int_not_equal(handle(frame, v->len), TICK_WAIT);
			frame[i] ^= (uint8_t)(1 << bit);
		}
	}
}

static void
check_stream_is_sound(void)
{
	while (published_bytes() > 0) {
		const uint8_t *frame = ring_at(&streams.main.ring, reader.pos);
		uint32_t len = stream_frame_len(frame);
		bool has_long_counts;

		assert_true(len <= published_bytes());
		assert_null(wire_check_body(frame + WIRE_HEADER_BYTES,
					    len - WIRE_HEADER_BYTES, false,
					    &has_long_counts));
		reader.pos += len;
	}
}

static void
test_broken_updates(void **state)
{
	(void)state;
	for (size_t i = 0; i < vectors.cnt; i++) {
		const struct vector *v = &vectors.items[i];

		if (!vector_is(v, "ipc") || v->bytes[1] == WIRE_RESPONSE)
			continue;
		if (strncmp(v->name, "feed_", 5) != 0 &&
		    strncmp(v->name, "sub_", 4) != 0 &&
		    strncmp(v->name, "pub_", 4) != 0)
			continue;
		check_stream_is_sound();
		if (strstr(v->name, "trade") != NULL ||
		    strstr(v->name, "_cols") != NULL ||
		    strncmp(v->name, "sub_", 4) == 0)
			check_broken(v);
		check_stream_is_sound();
	}
}

/* ---- subscriptions ---- */

static void
check_subscribed(const char *vector, const char *reply, const char *tables)
{
	char text[64];

	if (handle_vector(vector) != TICK_DONE)
		fail_msg("%s is not taken", vector);
	check_reply_vector(reply);
	assert_string_equal(
		selection_text(&out.selection, &streams.filter.symbols,
			       &settings.tables, text, sizeof(text)),
		tables);
	assert_non_null(out.stream);
	assert_int_equal(out.stream->is_main,
			 strcmp(tables, "pair,quote,trade") == 0);
	assert_false(out.is_update);
}

static void
test_subscribe_one(void **state)
{
	struct cursor c = { 0 };
	struct stream *first;

	(void)state;
	check_subscribed("sub_symvec_tbl", "reply_sub_trade_g", "trade");
	first = out.stream;
	cursor_attach(&c, first, first->head_pos);
	check_subscribed("sub_strfn_tbl", "reply_sub_trade_g", "trade");
	assert_ptr_equal(out.stream, first);
	check_subscribed("sub_str_tbl", "reply_sub_trade_g", "trade");
	assert_ptr_equal(out.stream, first);
	assert_int_equal(counters.requests, 3);
	assert_int_equal(counters.request_errors, 0);
	streams_detach(&c);
}

static void
test_subscribe_all(void **state)
{
	static const char text[] =
		"quote:([]time:`timespan$();sym:`symbol$();bid:`float$();"
		"ask:`float$();bsize:`long$();asize:`long$())\n"
		"trade:([]time:`timespan$();sym:`symbol$();price:`float$();"
		"size:`long$())\n";
	static const char *const forms[] = { "sub_symvec_all", "sub_strfn_all",
					     "sub_str_all" };

	(void)state;
	stop(NULL);
	assert_int_equal(start_with(text), 0);
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		assert_int_equal(handle_vector(forms[i]), TICK_DONE);
		check_reply_vector("reply_sub_all");
		assert_ptr_equal(out.stream, &streams.main);
		assert_int_equal(out.selection.tables[0], 3);
	}
	/* asynchronous: subscribed all the same, and no reply */
	assert_int_equal(handle_vector("sub_str_all_async"), TICK_DONE);
	assert_int_equal(out.reply_len, 0);
	assert_ptr_equal(out.stream, &streams.main);
}

/* r.q without a journal: (.u.sub[`;`];.u `i`L) */
static void
test_subscribe_as_rdb(void **state)
{
	(void)state;
	stop(NULL);
	assert_int_equal(start_with("trade:([]time:`timespan$();sym:`symbol$();"
				    "price:`float$();size:`long$())\n"),
			 0);
	assert_int_equal(handle_vector("sub_str_rdb"), TICK_DONE);
	check_reply_vector("reply_rdb_nolog");
	assert_ptr_equal(out.stream, &streams.main);
}

static void
check_not_subscribed(const char *body_hex, const char *error)
{
	uint64_t errors = counters.request_errors;

	client.selection = (struct selection){ 0 };
	selection_add(&client.selection, 1);
	assert_int_equal(handle_body(WIRE_SYNC, body_hex), TICK_DONE);
	check_error(error);
	assert_null(out.stream);
	assert_true(selection_is_equal(&out.selection, &client.selection));
	assert_int_equal(counters.request_errors, errors + 1);
	for (unsigned i = 0; i < FILTERED_MAX; i++)
		assert_null(streams.filtered[i].fed.stream);
}

static void
test_subscribe_errors(void **state)
{
	(void)state;
	check_not_subscribed(L3 DOT_SUB FOO NULL_SYM, "foo");
	/* filters that could never match */
	check_not_subscribed(L3 DOT_SUB TRADE "f9 0100000000000000", "type");
	check_not_subscribed(L3 DOT_SUB TRADE "0a00 03000000 49424d", "type");
	check_not_subscribed(L3 DOT_SUB TRADE "0000 01000000 f549424d00",
			     "type");
	check_not_subscribed(L3 DOT_SUB "0b00 01000000 747261646500" NULL_SYM,
			     "type");
	check_not_subscribed(L3 DOT_SUB "0a00 05000000 7472616465" NULL_SYM,
			     "type");
}

/* An error in the second half undoes the first. */
static void
test_half_a_subscription(void **state)
{
	(void)state;
	assert_int_equal(
		handle_text(WIRE_SYNC, "(.u.sub[`trade;`];.u.sub[`foo;`])"),
		TICK_DONE);
	check_error("foo");
	assert_null(out.stream);
	assert_true(
		selection_is_equal(&out.selection, &(struct selection){ 0 }));
}

/* More tables are added to the selection. */
static void
test_subscribe_again(void **state)
{
	(void)state;
	selection_add(&client.selection, 1);
	assert_int_equal(handle_body(WIRE_SYNC, L3 DOT_SUB TRADE NULL_SYM),
			 TICK_DONE);
	assert_int_equal(out.selection.tables[0], 6);
	client.selection = out.selection;
	assert_int_equal(handle_body(WIRE_SYNC, L3 DOT_SUB PAIR NULL_SYM),
			 TICK_DONE);
	assert_ptr_equal(out.stream, &streams.main);
}

static void
test_no_stream_left(void **state)
{
	struct cursor cursors[FILTERED_MAX] = { 0 };

	(void)state;
	for (unsigned i = 0; i < FILTERED_MAX; i++) {
		struct selection s = { .tables = { i + 1 } };
		struct stream *stream = streams_find(&streams, &s, 0);

		cursor_attach(&cursors[i], stream, stream->head_pos);
	}
	assert_int_equal(handle_body(WIRE_SYNC, L3 DOT_SUB TRADE NULL_SYM),
			 TICK_DONE);
	check_error("streams");
	assert_null(out.stream);
	assert_true(
		selection_is_equal(&out.selection, &(struct selection){ 0 }));
	for (unsigned i = 0; i < FILTERED_MAX; i++)
		streams_detach(&cursors[i]);
}

/* ---- other requests ---- */

static void
test_variables(void **state)
{
	(void)state;
	assert_int_equal(handle_text(WIRE_SYNC, ""), TICK_DONE);
	check_reply("6500");
	assert_int_equal(handle_text(WIRE_SYNC, ".u.d"), TICK_DONE);
	check_reply("f2 5e260000");
	assert_int_equal(handle_text(WIRE_SYNC, ".u.t"), TICK_DONE);
	check_reply("0b01 03000000 7061697200 71756f746500 747261646500");
	assert_int_equal(handle_text(WIRE_SYNC, ".u `i`L"), TICK_DONE);
	check_reply(L2 "6500 6500");
	assert_int_equal(handle_text(WIRE_SYNC, ".u.i"), TICK_DONE);
	check_error(".u.i");
	assert_int_equal(handle_text(WIRE_SYNC, "foo"), TICK_DONE);
	check_error("foo");
	assert_int_equal(handle_text(WIRE_ASYNC, "foo"), TICK_DONE);
	assert_int_equal(out.reply_len, 0);
	assert_int_equal(counters.requests, 7);
	assert_int_equal(counters.request_errors, 3);
}

static int64_t look_ns; /* between two looks at the clock */

static int64_t
clock_of_looks(void)
{
	static int64_t now_ns;

	return now_ns += look_ns;
}

/* A request has at most REQUEST_TIME_US of the CPU, however few its steps are,
 * so that other work does not wait longer.  Each request has all of that
 * time. */
static void
test_time_limit(void **state)
{
	static const int64_t looks_us[] = { 10, REQUEST_TIME_US * 2, 10 };
	static uint8_t frame[MESSAGE_MAX];
	static const char begin[] = "count{x in x;x in x;x in x;x in x}";
	char text[sizeof(begin) + 2 * 100] = "";

	(void)state;
	memcpy(text, begin, sizeof(begin) - 1);
	for (size_t i = sizeof(begin) - 1; i < sizeof(text) - 1; i += 2)
		memcpy(text + i, "1 ", 2);
	tick.time = (struct cpu_limit){ .clock_ns = clock_of_looks,
					.cpu_ns = clock_of_looks };
	for (size_t i = 0; i < ARRAY_LEN(looks_us); i++) {
		struct wire_writer w = wire_writer(frame, sizeof(frame));
		size_t header = wire_begin_frame(&w, WIRE_SYNC);

		wire_put_string(&w, text);
		wire_end_frame(&w, header);
		look_ns = looks_us[i] * NS_PER_US;
		assert_int_equal(handle(frame, wire_written(&w)), TICK_DONE);
		if (looks_us[i] > REQUEST_TIME_US)
			check_error("limit");
		else
			check_reply("f9 6400000000000000");
	}
}

/* A text, with a larger buffer for the reply. */
static void
handle_large(const char *text, size_t reply_max)
{
	struct tick_client usual = client;

	client.reply = malloc(reply_max);
	client.reply_max = reply_max;
	client.is_reply_large = true;
	assert_non_null(client.reply);
	assert_int_equal(handle_text(WIRE_SYNC, text), TICK_DONE);
	assert_true(out.reply_len <= reply_max);
	if (reply_max > 2 * tick.reply_max) {
		assert_true(out.reply_len > tick.reply_max);
		assert_non_null(out.stream);
	} else {
		check_error("limit");
		assert_null(out.stream);
		assert_true(selection_is_equal(&out.selection,
					       &(struct selection){ 0 }));
	}
	free(client.reply);
	client = usual;
}

/* A reply that does not fit the usual buffer is tried again with a larger one;
 * if it does not fit that either the error is 'limit. */
static void
test_long_reply(void **state)
{
	static const char one[] = ";.u.sub[`;`]";
	char text[1000] = "(1";
	enum tick_result result;
	size_t len = 2;

	(void)state;
	do {
		assert_true(len + sizeof(one) < sizeof(text));
		memcpy(text + len, one, sizeof(one));
		len += sizeof(one) - 1;
		text[len] = ')';
		text[len + 1] = '\0';
		result = handle_text(WIRE_SYNC, text);
		assert_true(out.reply_len <= tick.reply_max);
		if (result == TICK_DONE)
			assert_non_null(out.stream);
	} while (result == TICK_DONE);
	assert_int_equal(result, TICK_LARGE);
	assert_int_equal(counters.request_errors, 0);
	handle_large(text, 4 * tick.reply_max);
	handle_large(text, tick.reply_max + 1);
	assert_int_equal(counters.request_errors, 1);
}

/* ---- waiting ---- */

/* Fills the ring, with a reader that stands still. */
static void
fill(void)
{
	uint64_t len = PAIR_BYTES;

	while (stream_has_room(&streams.main, len))
		assert_int_equal(
			handle_body(WIRE_ASYNC, CALL(UPD, L2 IBM LONG5)),
			TICK_DONE);
}

/* Not even a mark has room. */
static void
fill_to_the_last_mark(void)
{
	fill();
	while (stream_has_room(&streams.main, FRAME_MARK_BYTES))
		assert_true(tick_end_day(&tick));
	tick.day = TODAY;
}

/* Until there is room the request has no effect, not even on a counter. */
static void
check_waits(enum wire_message message, const char *body_hex)
{
	struct counters before = counters;
	uint64_t head = streams.main.head_pos;

	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(handle_body(message, body_hex), TICK_WAIT);
		assert_int_equal(streams.main.head_pos, head);
		assert_memory_equal(&counters, &before, sizeof(before));
		assert_true(streams.main.wanted_bytes > 0);
	}
	reader.pos = streams.main.head_pos;
	assert_int_equal(handle_body(message, body_hex), TICK_DONE);
	if (message == WIRE_SYNC)
		check_reply("6500");
}

static void
test_wait_for_room(void **state)
{
	(void)state;
	fill();
	check_waits(WIRE_SYNC, CALL(UPD, L2 IBM LONG5));
	check_published(PAIR_FRAME);
	fill();
	check_waits(WIRE_ASYNC, CALL(UPD, L2 IBM LONG5));
	check_published(PAIR_FRAME);
	fill();
	check_waits(WIRE_SYNC, CALL(UPD, "0080 0200000000000000" IBM LONG5));
	check_published(PAIR_FRAME);
	fill_to_the_last_mark();
	/* .u.endofday[] waits for room for its mark */
	check_waits(WIRE_SYNC, "0a00 0d000000 2e752e656e646f666461795b5d");
	assert_int_equal(tick.day, TODAY + 1);
}

/* Refused or empty updates, and other requests, do not wait. */
static void
test_no_need_to_wait(void **state)
{
	(void)state;
	fill();
	assert_int_equal(handle_body(WIRE_SYNC, CALL(UPD, L2 IBM PRICE)),
			 TICK_DONE);
	check_error_word("type");
	assert_int_equal(handle_vector("feed_upd_emptycols"), TICK_DONE);
	assert_int_equal(handle_text(WIRE_SYNC, ".u.d"), TICK_DONE);
	assert_int_equal(handle_vector("sub_symvec_tbl"), TICK_DONE);
	check_reply_vector("reply_sub_trade_g");
	/* and no room is asked for */
	assert_int_equal(streams.main.wanted_bytes, PAIR_BYTES);
}

static void
test_wait_compressed(void **state)
{
	struct counters before;

	(void)state;
	fill();
	before = counters;
	assert_int_equal(handle_vector("zip_upd_200rows"), TICK_WAIT);
	assert_memory_equal(&counters, &before, sizeof(before));
	reader.pos = streams.main.head_pos;
	assert_int_equal(handle_vector("zip_upd_200rows"), TICK_DONE);
	assert_int_equal(counters.in_rows, before.in_rows + 200);
}

/* A long one that was inflated and then has to wait for room is not inflated
 * again: another client waits until it is published. */
static void
test_wait_inflated(void **state)
{
	size_t shorter_max = tick.inflate_long.shorter_max;
	static const int first, second;

	(void)state;
	tick.inflate_long.shorter_max = 0;
	/* Published it is 29 bytes longer: for that there is no room. */
	while (stream_has_room(&streams.main, 5756 + 29 + PAIR_BYTES))
		assert_int_equal(
			handle_body(WIRE_ASYNC, CALL(UPD, L2 IBM LONG5)),
			TICK_DONE);
	while (stream_has_room(&streams.main, 5756 + 29))
		assert_true(tick_end_day(&tick));
	tick.day = TODAY;
	assert_true(stream_has_room(&streams.main, 5756));
	client.who = &first;
	assert_int_equal(handle_vector("zip_upd_200rows"), TICK_WAIT);
	assert_int_equal(out.waits_for, WAIT_ROOM);
	client.who = &second;
	assert_int_equal(handle_vector("zip_upd_200rows"), TICK_WAIT);
	assert_int_equal(out.waits_for, WAIT_INFLATE);
	assert_true(inflate_long_has(&tick.inflate_long, &first));
	reader.pos = streams.main.head_pos;
	client.who = &first;
	assert_int_equal(handle_vector("zip_upd_200rows"), TICK_DONE);
	client.who = &second;
	assert_int_equal(handle_vector("zip_upd_200rows"), TICK_DONE);
	assert_true(inflate_long_is_free(&tick.inflate_long, tick.now_ns));
	client.who = NULL;
	tick.inflate_long.shorter_max = shorter_max;
}

/* Feeds held by a consumer with policy block: its requests are still read. */
static void
test_held(void **state)
{
	(void)state;
	tick.is_held = true;
	assert_int_equal(handle_body(WIRE_SYNC, CALL(UPD, L2 IBM LONG5)),
			 TICK_WAIT);
	assert_int_equal(handle_body(WIRE_SYNC, CALL(UPD, L2 IBM PRICE)),
			 TICK_DONE);
	check_error_word("type");
	assert_int_equal(handle_text(WIRE_SYNC, ".u.d"), TICK_DONE);
	tick.is_held = false;
	assert_int_equal(handle_body(WIRE_SYNC, CALL(UPD, L2 IBM LONG5)),
			 TICK_DONE);
	check_published(PAIR_FRAME);
}

/* The first half of a request is not done twice. */
static void
test_no_second_first_half(void **state)
{
	static const char two[] =
		"(.u.upd[`pair;(`IBM;5)];.u.upd[`pair;(`IBM;5)])";
	uint64_t len = PAIR_BYTES;

	(void)state;
	fill();
	while (streams.main.head_pos - reader.pos + 2 * len > RING_BYTES ||
	       !stream_has_room(&streams.main, len))
		reader.pos += len;
	if (stream_has_room(&streams.main, 2 * len))
		assert_int_equal(
			handle_body(WIRE_ASYNC, CALL(UPD, L2 IBM LONG5)),
			TICK_DONE);
	while (stream_has_room(&streams.main, 2 * len))
		assert_int_equal(
			handle_body(WIRE_ASYNC, CALL(UPD, L2 IBM LONG5)),
			TICK_DONE);
	assert_true(stream_has_room(&streams.main, len));
	assert_int_equal(handle_text(WIRE_SYNC, two), TICK_DONE);
	check_error("full");
	assert_false(stream_has_room(&streams.main, len));
}

/* ---- a client whose stream is behind ---- */

/* Its reply would come before committed messages: it waits until the filtered
 * ring has these. */
static void
test_reply_behind_what_was_committed(void **state)
{
	struct selection s = { .tables = { 1 } };
	struct stream *stream = streams_find(&streams, &s, 0);
	struct cursor c = { 0 };

	(void)state;
	cursor_attach(&c, stream, stream->head_pos);
	client.stream = stream;
	client.selection = s;
	assert_int_equal(handle_body(WIRE_ASYNC, CALL(UPD, L2 IBM LONG5)),
			 TICK_DONE);
	assert_false(streams_is_level(&streams, stream));
	assert_int_equal(handle_text(WIRE_SYNC, ".u.d"), TICK_DONE);
	assert_true(streams_is_level(&streams, stream));
	assert_int_equal(cursor_lag(&c), PAIR_BYTES);
	/* its own update too */
	assert_int_equal(handle_body(WIRE_SYNC, CALL(UPD, L2 IBM LONG5)),
			 TICK_DONE);
	assert_true(streams_is_level(&streams, stream));
	assert_int_equal(cursor_lag(&c), 2 * PAIR_BYTES);

	client.stream = NULL;
	do {
		reader.pos = streams.main.head_pos;
		streams_feed(&streams, 1);
		assert_int_equal(
			handle_body(WIRE_ASYNC, CALL(UPD, L2 IBM LONG5)),
			TICK_DONE);
	} while (stream->wanted_bytes == 0);
	client.stream = stream;
	assert_int_equal(handle_text(WIRE_SYNC, ".u.d"), TICK_WAIT);
	/* and so does a client that wants to begin there */
	client.stream = NULL;
	client.selection = (struct selection){ 0 };
	assert_int_equal(handle_body(WIRE_SYNC, L3 DOT_SUB PAIR NULL_SYM),
			 TICK_WAIT);
	client.stream = stream;
	c.pos = stream->head_pos;
	assert_int_equal(handle_text(WIRE_SYNC, ".u.d"), TICK_DONE);
	streams_detach(&c);
}

/* An update and a subscription in one request: the update comes by the old
 * stream, and the reply after it. */
static void
test_update_and_subscribe(void **state)
{
	struct selection s = { .tables = { 1 } };
	struct stream *stream = streams_find(&streams, &s, 0);
	struct cursor c = { 0 };

	(void)state;
	cursor_attach(&c, stream, stream->head_pos);
	client.stream = stream;
	client.selection = s;
	assert_int_equal(handle_text(WIRE_SYNC, "(.u.upd[`pair;(`IBM;5)];"
						".u.sub[`;`])"),
			 TICK_DONE);
	assert_ptr_equal(out.stream, &streams.main);
	assert_true(streams_is_level(&streams, stream));
	/* into a stream that others read already */
	client.stream = NULL;
	client.selection = (struct selection){ 0 };
	assert_int_equal(handle_text(WIRE_SYNC, "(.u.upd[`pair;(`IBM;5)];"
						".u.sub[`pair;`])"),
			 TICK_DONE);
	assert_ptr_equal(out.stream, stream);
	assert_true(streams_is_level(&streams, stream));
	streams_detach(&c);
}

/* While streams lack a long update the next one waits.  What counts is the
 * length that is published: a time may come on top. */
static void
test_long_updates_wait_for_the_streams(void **state)
{
	(void)state;
	streams.long_bytes = PAIR_BYTES;
	streams.is_cut = true;
	assert_int_equal(handle_body(WIRE_ASYNC, CALL(UPD, L2 IBM LONG5)),
			 TICK_WAIT);
	assert_int_equal(out.waits_for, WAIT_FED);
	streams.long_bytes = PAIR_BYTES + 1;
	assert_int_equal(handle_body(WIRE_ASYNC, CALL(UPD, L2 IBM LONG5)),
			 TICK_DONE);
	assert_int_equal(counters.in_records, 1);
	streams.is_cut = false;
	streams.long_bytes = UINT64_MAX;
}

/* ---- the end of the day ---- */

#define END_MARK(date) "01000000 1b000000" L2 SYM("2e752e656e64") "f2" date
#define DATE_TODAY     "5e260000"
#define DATE_TOMORROW  "5f260000"

static void
test_end_of_day(void **state)
{
	int64_t midnight = (int64_t)(TODAY + 1) * NS_PER_DAY;

	(void)state;
	assert_true(tick_set_time(&tick, midnight - 1, 2));
	check_nothing_published();
	assert_true(tick_set_time(&tick, midnight, 3));
	check_published(END_MARK(DATE_TODAY));
	assert_int_equal(tick.day, TODAY + 1);
	/* once */
	assert_true(tick_set_time(&tick, midnight, 4));
	assert_true(tick_set_time(&tick, midnight + 1, 5));
	/* and not again when the clock steps back over midnight */
	assert_true(tick_set_time(&tick, midnight - 1, 6));
	assert_int_equal(tick.day, TODAY + 1);
	assert_true(tick_set_time(&tick, midnight, 7));
	check_nothing_published();
	/* a mark is no record */
	assert_int_equal(streams.main.records, 0);
	assert_true(tick_set_time(&tick, midnight + NS_PER_DAY, 8));
	check_published(END_MARK(DATE_TOMORROW));
}

static void
test_end_of_day_in_the_zone(void **state)
{
	int64_t midnight = (int64_t)(TODAY + 1) * NS_PER_DAY;

	(void)state;
	zone_init(&tick.zone, false, -5 * 3600 * NS_PER_S);
	assert_true(
		tick_set_time(&tick, midnight + 5 * 3600 * NS_PER_S - 1, 2));
	check_nothing_published();
	assert_true(tick_set_time(&tick, midnight + 5 * 3600 * NS_PER_S, 3));
	check_published(END_MARK(DATE_TODAY));
}

/* The machine slept for days: the day that ran ends, once. */
static void
test_several_days_late(void **state)
{
	int64_t later = NOW + 5 * NS_PER_DAY;

	(void)state;
	assert_true(tick_set_time(&tick, later, 2));
	check_published(END_MARK(DATE_TODAY));
	assert_int_equal(tick.day, TODAY + 5);
	assert_true(tick_set_time(&tick, later, 3));
	check_nothing_published();
}

/* A date that a wrong clock has made goes back with the clock: not to a day
 * that has ended, and not once something has come in it. */
static void
test_a_clock_that_was_ahead(void **state)
{
	int64_t later = NOW + 5 * NS_PER_DAY;

	(void)state;
	assert_true(tick_set_time(&tick, later, 2));
	check_published(END_MARK(DATE_TODAY));
	assert_true(tick_set_time(&tick, NOW, 3));
	check_nothing_published();
	assert_int_equal(tick.day, TODAY + 1);
	assert_true(tick_set_time(&tick, later, 4));
	check_published(END_MARK(DATE_TOMORROW));
	assert_int_equal(handle_body(WIRE_ASYNC, CALL(UPD, L2 IBM LONG5)),
			 TICK_DONE);
	reader.pos = streams.main.head_pos;
	assert_true(tick_set_time(&tick, NOW, 5));
	check_nothing_published();
	assert_int_equal(tick.day, TODAY + 5);
}

/* Without room for the mark no update of the next day is accepted. */
static void
test_no_room_for_the_mark(void **state)
{
	int64_t midnight = (int64_t)(TODAY + 1) * NS_PER_DAY;
	uint64_t head;

	(void)state;
	fill_to_the_last_mark();
	head = streams.main.head_pos;
	assert_false(tick_set_time(&tick, midnight, 2));
	assert_false(tick_set_time(&tick, midnight + 1, 3));
	assert_false(tick_end_day(&tick));
	assert_int_equal(streams.main.head_pos, head);
	assert_int_equal(tick.day, TODAY);
	reader.pos = head;
	assert_true(tick_set_time(&tick, midnight + 2, 4));
	check_published(END_MARK(DATE_TODAY));
	assert_int_equal(tick.day, TODAY + 1);
}

/* The numbers of records that a subscriber is told begin anew with each day:
 * its own, whose end it may not have seen. */
static void
test_numbers_of_a_day(void **state)
{
	const struct stream *main = &streams.main;
	uint64_t mark_pos;

	(void)state;
	for (uint64_t first = 0; first < 6; first += 2) {
		for (uint64_t n = 0; n < 2; n++) {
			assert_int_equal(tick_day_record(&tick, first + n,
							 main->head_pos),
					 n);
			assert_int_equal(handle_body(WIRE_ASYNC,
						     CALL(UPD, L2 IBM LONG5)),
					 TICK_DONE);
		}
		assert_int_equal(main->records, first + 2);
		mark_pos = main->head_pos;
		assert_true(tick_end_day(&tick));
		/* What is from a day before is before the first. */
		assert_int_equal(tick_day_record(&tick, first + 1,
						 main->head_pos),
				 0);
		assert_int_equal(tick_day_record(&tick, first + 1, mark_pos),
				 1);
		assert_int_equal(tick_day_record(&tick, first + 2, mark_pos),
				 2);
	}
}

/* A loss in the file of the day that has just ended: its later records have
 * lower numbers, the running day's have not. */
static void
test_numbers_after_a_loss(void **state)
{
	struct journal_state journal = {
		.is_on = true,
		.stream_records = 7,
		.records = 7,
		.loss = { .times = 1, .marks = 0, .record = 2, .cnt = 3 },
	};
	uint64_t mark_pos = streams.main.head_pos;

	(void)state;
	tick.journal = &journal;
	assert_true(tick_end_day(&tick));
	assert_int_equal(tick_day_record(&tick, 6, mark_pos), 6);
	tick_count_loss(&tick);
	assert_int_equal(tick_day_record(&tick, 6, mark_pos), 3);
	assert_int_equal(tick_day_marks(&tick, mark_pos), 0);

	journal.loss.marks = 1;
	tick_count_loss(&tick);
	assert_int_equal(tick_day_record(&tick, 6, mark_pos), 3);
	assert_int_equal(tick_day_marks(&tick, streams.main.head_pos), 1);
	tick.journal = &no_journal;
}

/* While the end of a damaged file is written once more, what was visible stays
 * so: who subscribes then is told to replay all of it. */
static void
test_visible_and_not_written(void **state)
{
	struct journal_state journal = { .is_on = true };

	(void)state;
	tick.journal = &journal;
	settings.publish.after = AFTER_JOURNAL;
	streams.main.is_gated = true;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(handle_body(WIRE_ASYNC,
					     CALL(UPD, L2 IBM LONG5)),
				 TICK_DONE);
		if (i > 0)
			continue;
		journal.records = journal.stream_records = 1;
		journal.written_pos = streams.main.head_pos;
	}
	stream_show(&streams.main, streams.main.head_pos, 1);
	assert_int_equal(
		handle_text(WIRE_SYNC, "(count .u.sub[`trade;`];.u.i)"),
		TICK_DONE);
	check_reply("0700 02000000 0200000000000000 0300000000000000");
}

/* In batches the next file may be in use before the end of the day is visible:
 * who subscribed then would get the last of the old day after it was told a
 * place in the new one. */
static void
test_an_end_that_nobody_has_seen(void **state)
{
	struct journal_state rolled = { .is_on = true, .marks = 1 };

	(void)state;
	tick.journal = &rolled;
	settings.publish.interval = NS_PER_S;
	streams.main.is_gated = true;
	assert_int_equal(handle_body(WIRE_ASYNC, CALL(UPD, L2 IBM LONG5)),
			 TICK_DONE);
	assert_true(tick_end_day(&tick));
	rolled.stream_records = streams.main.records;
	assert_int_equal(handle_text(WIRE_SYNC, ".u.i"), TICK_WAIT);
	assert_int_equal(out.waits_for, WAIT_FILE);
	assert_int_equal(handle_text(WIRE_SYNC, "(.u.sub[`;`];.u.i)"),
			 TICK_WAIT);
	stream_show(&streams.main, streams.main.head_pos, 1);
	assert_int_equal(handle_text(WIRE_SYNC, ".u.i"), TICK_DONE);
	check_reply("f9 0000000000000000");
}

/* By hand, before midnight: midnight itself then ends nothing. */
static void
test_end_of_day_by_hand(void **state)
{
	int64_t midnight = (int64_t)(TODAY + 1) * NS_PER_DAY;

	(void)state;
	assert_int_equal(handle_text(WIRE_SYNC, ".u.endofday[]"), TICK_DONE);
	check_reply("6500");
	check_published(END_MARK(DATE_TODAY));
	assert_int_equal(handle_text(WIRE_SYNC, ".u.d"), TICK_DONE);
	check_reply("f2" DATE_TOMORROW);
	/* a day ahead of the clock is the most */
	assert_int_equal(handle_text(WIRE_SYNC, ".u.endofday[]"), TICK_DONE);
	check_error("ahead");
	assert_int_equal(handle_text(WIRE_SYNC, "@[.u.endofday;::;`no]"),
			 TICK_DONE);
	check_reply("f56e6f00");
	assert_int_equal(tick.day, TODAY + 1);
	assert_true(tick_set_time(&tick, midnight, 2));
	check_nothing_published();
	assert_true(tick_set_time(&tick, midnight + NS_PER_DAY, 3));
	check_published(END_MARK(DATE_TOMORROW));
	assert_int_equal(handle_body(WIRE_ASYNC, "0a00 0d000000"
						 "2e752e656e646f666461795b5d"),
			 TICK_DONE);
	assert_int_equal(out.reply_len, 0);
	check_published(END_MARK("60260000"));
}

/* A user who may make two requests a second, and one who may filter by two
 * symbols: each is told, counted, and updates are none. */
static void
test_limits_of_a_user(void **state)
{
	struct rights limited = everybody;
	struct share share = { 0 };

	(void)state;
	limited.limits[LIMIT_REQUESTS] = 2;
	client.rights = &limited;
	client.share = &share;
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(handle_vector("pub_upd_cols"), TICK_DONE);
	assert_int_equal(handle_text(WIRE_SYNC, ".u.d"), TICK_DONE);
	check_reply("f2" DATE_TODAY);
	assert_int_equal(handle_text(WIRE_ASYNC, ".u.d"), TICK_DONE);
	assert_null(out.error);
	assert_int_equal(handle_text(WIRE_SYNC, ".u.d"), TICK_DONE);
	check_error("requests");
	assert_string_equal(out.error, "requests");
	assert_int_equal(handle_text(WIRE_ASYNC, ".u.d"), TICK_DONE);
	assert_string_equal(out.error, "requests");
	assert_int_equal(counters.over_requests, 2);
	assert_true(tick_set_time(&tick, NOW, 1 + NS_PER_S / 2));
	assert_int_equal(handle_text(WIRE_SYNC, ".u.d"), TICK_DONE);
	check_reply("f2" DATE_TODAY);
	assert_int_equal(handle_text(WIRE_SYNC, ".u.d"), TICK_DONE);
	check_error("requests");

	limited.limits[LIMIT_REQUESTS] = 0;
	limited.limits[LIMIT_SYMBOLS] = 2;
	assert_int_equal(handle_text(WIRE_SYNC, ".u.sub[`trade;`a`b`c]"),
			 TICK_DONE);
	check_error("symbols");
	assert_string_equal(out.error, "symbols");
	assert_int_equal(counters.over_symbols, 1);
	assert_int_equal(handle_text(WIRE_SYNC, ".u.sub[`trade;`a`b`a]"),
			 TICK_DONE);
	assert_null(out.error);
	symbols_release(&streams.filter.symbols, out.selection.symbols);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
		TEST(test_update),
		TEST(test_update_names),
		TEST(test_vectors_of_feeds),
		TEST(test_update_errors),
		TEST(test_rank),
		TEST(test_check_shape),
		TEST(test_limit),
		TEST(test_time_limit),
		TEST(test_big_endian),
		TEST(test_long_counts),
		TEST(test_compressed),
		TEST(test_compressed_limit),
		TEST(test_response),
		TEST(test_malformed_vectors),
		TEST(test_broken_updates),
		TEST(test_subscribe_one),
		TEST(test_subscribe_all),
		TEST(test_subscribe_as_rdb),
		TEST(test_subscribe_errors),
		TEST(test_half_a_subscription),
		TEST(test_subscribe_again),
		TEST(test_no_stream_left),
		TEST(test_variables),
		TEST(test_long_reply),
		TEST(test_wait_for_room),
		TEST(test_no_need_to_wait),
		TEST(test_wait_compressed),
		TEST(test_wait_inflated),
		TEST(test_held),
		TEST(test_no_second_first_half),
		TEST(test_reply_behind_what_was_committed),
		TEST(test_update_and_subscribe),
		TEST(test_long_updates_wait_for_the_streams),
		TEST(test_end_of_day),
		TEST(test_end_of_day_in_the_zone),
		TEST(test_several_days_late),
		TEST(test_a_clock_that_was_ahead),
		TEST(test_no_room_for_the_mark),
		TEST(test_end_of_day_by_hand),
		TEST(test_limits_of_a_user),
		TEST(test_numbers_of_a_day),
		TEST(test_numbers_after_a_loss),
		TEST(test_visible_and_not_written),
		TEST(test_an_end_that_nobody_has_seen),
	};

	return cmocka_run_group_tests(tests, vectors_open, vectors_close);
}
