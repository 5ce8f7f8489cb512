/*
 * What the most expensive single messages cost the one thread: from the frame
 * (dispatch_frame) until the update is in the streams (streams_feed), all in
 * memory; as a Markdown table of CPU times, the least of ROUNDS.
 *
 *   make bench/worst_message_cost && bench/worst_message_cost
 *
 * Each message is as long as message.max, or will be when it is unpacked.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../tests/unit/everybody.h"
#include "base/clock.h"
#include "base/util.h"
#include "tick_in_memory.h"
#include "wire/wire.h"

enum {
	ROUNDS = 5,
	MESSAGE_MAX = 16 << 20,
	MAIN_BYTES = 64 << 20,
	SYMBOLS = 10000,
	SELECTIONS_MAX = 255,
	TRADE = 2, /* the table, by name the last one */
};

static uint8_t *message, *packed, *reply;

/* ---- the streams ---- */

static void
subscribe(unsigned number)
{
	struct symbols *symbols = &streams.filter.symbols;
	struct symbol_set *set = symbols_begin(symbols, NULL);
	struct selection selection = { 0 };
	char name[8];

	CHECK(set != NULL);
	selection_add(&selection, TRADE);
	symbols_filter(set, TRADE);
	for (unsigned i = 0; i < 9; i++) {
		/* A third of the letters, different ones for each. */
		int len = snprintf(name, sizeof(name), "%c",
				   'A' + (int)((number + 3 * i) % 26));

		CHECK(symbols_add(symbols, set, TRADE, (const uint8_t *)name,
				  (size_t)len) == 0);
	}
	selection.symbols = symbols_finish(symbols, set);
	attach(&selection);
	symbols_release(symbols, selection.symbols);
}

static void
open_all(unsigned selections)
{
	const struct streams_options options = {
		.main_bytes = MAIN_BYTES,
		.filtered_max = SELECTIONS_MAX,
		.filtered_bytes = 32 << 20,
		.symbols_max = SYMBOLS,
		.sets_max = SELECTIONS_MAX + 1,
		.message_max = MESSAGE_MAX,
		.seed = 17,
	};

	open_tick(&options);
	for (unsigned i = 0; i < selections; i++)
		subscribe(i);
}

static size_t
handle(const uint8_t *frame, size_t len, const char **said)
{
	struct tick_client client = { .rights = &everybody,
				      .may = everybody.may,
				      .reply = reply,
				      .reply_max = MESSAGE_MAX,
				      .is_reply_large = true };
	struct tick_outcome out;
	struct wire_header header;
	const char *why;
	enum tick_result result;

	CHECK(wire_read_header(frame, len, MESSAGE_MAX, &header, &why) ==
	      WIRE_OK);
	result = dispatch_frame(&tick, &client, &header, frame, &out);
	*said = result == TICK_WAIT ? "waits"
		: out.why != NULL   ? out.why
		: out.reply_len > 9 && (int8_t)reply[8] == KT_ERROR
			? (char *)reply + 9
			: "";
	return out.reply_len;
}

static double
ms_since(int64_t start_ns)
{
	return (double)(clock_cpu_ns() - start_ns) / 1e6;
}

static void
measure_with(const char *name, const uint8_t *frame, size_t len,
	     unsigned selections)
{
	double least = 1e9, least_feed = 1e9;
	const char *said = "";

	open_all(selections);
	for (unsigned i = 0; i < ROUNDS; i++) {
		int64_t start_ns = clock_cpu_ns();
		double ms;

		(void)handle(frame, len, &said);
		ms = ms_since(start_ns);
		least = ms < least ? ms : least;
		start_ns = clock_cpu_ns();
		streams_feed(&streams, 1);
		ms = ms_since(start_ns);
		least_feed = ms < least_feed ? ms : least_feed;
		for (unsigned k = 0; k < cursors_cnt; k++)
			cursors[k].pos = cursors[k].stream->visible_pos;
	}
	printf("| %s | %.1f | %.1f | %s |\n", name, least, least_feed, said);
	fflush(stdout);
	close_tick();
}

static void
measure(const char *name, const uint8_t *frame, size_t len)
{
	measure_with(name, frame, len, 0);
}

/* ---- messages ---- */

static struct wire_writer
begin(bool is_sync)
{
	struct wire_writer w = wire_writer(message, MESSAGE_MAX);

	(void)wire_begin_frame(&w, is_sync ? WIRE_SYNC : WIRE_ASYNC);
	return w;
}

/* Fills the rest of the message with a list of that item, again and again. */
static uint32_t
fill(struct wire_writer *w, int type, const void *item, size_t len)
{
	size_t room = (size_t)(w->end - w->at) - WIRE_LIST_HEADER_BYTES;
	uint32_t cnt = (uint32_t)(room / len);

	wire_put_list(w, type, KA_NONE, cnt);
	for (uint32_t i = 0; i < cnt; i++)
		wire_put_bytes(w, item, len);
	return cnt;
}

static size_t
end(struct wire_writer *w)
{
	wire_end_frame(w, 0);
	CHECK(!w->is_full);
	return wire_written(w);
}

static void
bench_list(const char *name, const char *item, size_t len)
{
	struct wire_writer w = begin(true);

	(void)fill(&w, KT_LIST, item, len);
	measure(name, message, end(&w));
}

static void
bench_mixed(void)
{
	static const uint8_t atoms[][9] = {
		{ 0xff, 1 }, { 0xf5, 'a', 0 }, { 0xf9 },
		{ 0xfa },    { 0xfb },	       { 0xf6 },
	};
	static const size_t lens[] = { 2, 3, 9, 5, 3, 2 };
	struct wire_writer w = begin(true);
	uint64_t state = 1;
	uint32_t cnt = 0;

	wire_put_list(&w, KT_LIST, KA_NONE, 0);
	while (w.end - w.at > 9) {
		unsigned n;

		state = state * 6364136223846793005u + 1442695040888963407u;
		n = (unsigned)(state >> 33) % 6;
		wire_put_bytes(&w, atoms[n], lens[n]);
		cnt++;
	}
	wire_store_u32(message + 10, cnt);
	measure("list of atoms of any types", message, end(&w));
}

static void
bench_nested(void)
{
	struct wire_writer w = begin(true);
	uint32_t cnt = 0;

	wire_put_list(&w, KT_LIST, KA_NONE, 0);
	for (; w.end - w.at > 64; cnt++) {
		for (unsigned i = 0; i < 60; i++)
			wire_put_u8(&w, 106);
		wire_put_null(&w);
	}
	wire_store_u32(message + 10, cnt);
	measure("derived functions, 60 deep", message, end(&w));
	w = begin(true);
	wire_put_list(&w, KT_LIST, KA_NONE, 0);
	for (cnt = 0; w.end - w.at > 400; cnt++) {
		for (unsigned i = 0; i < 60; i++)
			wire_put_list(&w, KT_LIST, KA_NONE, 1);
		wire_put_null(&w);
	}
	wire_store_u32(message + 10, cnt);
	measure("lists, 60 deep", message, end(&w));
}

static size_t
put_update(int type, const void *item, size_t len, const char *table)
{
	struct wire_writer w = begin(false);
	size_t room = MESSAGE_MAX - 200;
	uint32_t cnt = (uint32_t)(room / (len + 8 + 2));

	wire_put_list(&w, KT_LIST, KA_NONE, 3);
	wire_put_symbol(&w, ".u.upd");
	wire_put_symbol(&w, table);
	wire_put_list(&w, KT_LIST, KA_NONE, 3);
	wire_put_list(&w, KT_TIMESPAN, KA_NONE, cnt);
	for (uint32_t i = 0; i < cnt; i++)
		wire_put_u64(&w, i);
	wire_put_list(&w, KT_SYMBOL, KA_NONE, cnt);
	for (uint32_t i = 0; i < cnt; i++) {
		char c = (char)('A' + i % 26);

		wire_put_symbol_item(&w, &c, 1);
	}
	wire_put_list(&w, type, KA_NONE, cnt);
	for (uint32_t i = 0; i < cnt; i++)
		wire_put_bytes(&w, item, len);
	return end(&w);
}

static size_t
put_big_endian(size_t len)
{
	/* Of 2-byte atoms only the counts differ. */
	message[0] = 0;
	wire_store_u32(message + 4, __builtin_bswap32((uint32_t)len));
	wire_store_u32(message + 10,
		       __builtin_bswap32(wire_load_u32(message + 10)));
	return len;
}

/* One byte again and again, as copies of `run` bytes; 0: without copies. */
static size_t
pack(unsigned run, size_t whole)
{
	uint8_t *at = packed;
	size_t written = 8;

	memcpy(at, message, 8);
	at[2] = 1;
	wire_store_u32(at + 8, (uint32_t)whole);
	at += 12;
	while (written < whole) {
		uint8_t *control = at++;

		*control = 0;
		for (unsigned bit = 0; bit < 8 && written < whole; bit++) {
			if (run > 0 && written > 20 && written + run <= whole) {
				*control |= (uint8_t)(1u << bit);
				*at++ = message[15] ^ message[16];
				*at++ = (uint8_t)(run - 2);
				written += run;
			} else {
				*at++ = message[written++];
			}
		}
	}
	wire_store_u32(packed + 4, (uint32_t)(at - packed));
	return (size_t)(at - packed);
}

static void
bench_packed(void)
{
	struct wire_writer w = begin(true);
	size_t len;

	(void)fill(&w, KT_CHAR, "x", 1);
	len = end(&w);
	measure("compressed: runs of 257", packed, pack(257, len));
	message[7] = 0; /* below 16 MiB after packing */
	measure("compressed: runs of 2", packed, pack(2, len / 10 * 9));
	measure("compressed: runs of none", packed, pack(0, len / 10 * 8));
}

int
main(void)
{
	static const char text[] =
		"trade:([]time:`timespan$();sym:`symbol$();price:`byte$());"
		"any:([]time:`timespan$();sym:`symbol$();x:());"
		"texts:([]time:`timespan$();sym:`symbol$();x:())";
	struct schema_error err;
	struct wire_writer w;
	size_t len;

	CHECK(schema_parse(&settings.tables, text, strlen(text), &err) == 0);
	CHECK(schema_finish(&settings.tables, &err) == 0);
	settings.tables.tables[1].columns[2].is_string = true;
	settings.message.max = MESSAGE_MAX;
	message = malloc(MESSAGE_MAX);
	packed = malloc(2 * MESSAGE_MAX);
	reply = malloc(MESSAGE_MAX);
	CHECK(message != NULL && packed != NULL && reply != NULL);
	printf("| message of 16 MiB | handled, ms | fed, ms | said |\n"
	       "|---|---:|---:|---|\n");
	bench_list("list of booleans", "\xff\1", 2);
	bench_list("list of empty symbols", "\xf5\0", 2);
	bench_list("list of longs", "\xf9\1\0\0\0\0\0\0\0", 9);
	bench_mixed();
	bench_list("list of primitives", "\x65\0", 2);
	bench_list("list of empty strings", "\x0a\0\0\0\0\0", 6);
	bench_list("list of empty lists", "\0\0\0\0\0\0", 6);
	bench_list("list of lists of a null", "\0\0\1\0\0\0\x65\0", 8);
	bench_list("list of dictionaries",
		   "\x63\0\0\0\0\0\0\0\0\0\0\0\0", 13);
	bench_list("list of tables",
		   "\x62\0\x63\x0b\0\1\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0", 22);
	bench_list("list of projections", "\x68\1\0\0\0\x65\0", 7);
	bench_nested();
	w = begin(true);
	(void)fill(&w, KT_SYMBOL, "", 1);
	measure("empty symbols", message, end(&w));
	w = begin(true);
	(void)fill(&w, KT_LIST, "\xff\1", 2);
	measure("big-endian list of booleans", message,
		put_big_endian(end(&w)));
	w = begin(true);
	(void)fill(&w, KT_LONG, "\1\0\0\0\0\0\0\0", 8);
	measure("big-endian longs", message, put_big_endian(end(&w)));
	bench_packed();
	len = put_update(KT_LIST, "\xff\1", 2, "any");
	measure("update, a cell of any type: boolean", message, len);
	len = put_update(KT_LIST, "\x0a\0\0\0\0\0", 6, "texts");
	measure("update, strings", message, len);
	len = put_update(KT_LIST, "\xf6x\x0a\0\0\0\0\0", 8, "any");
	measure("update, malformed count", message, len);
	len = put_update(KT_BYTE, "x", 1, "trade");
	measure("update, 1.5m rows", message, len);
	measure_with("the same, a selection", message, len, 1);
	measure_with("the same, 16 selections", message, len, 16);
	measure_with("the same, 255 selections", message, len, 255);
	return EXIT_SUCCESS;
}
