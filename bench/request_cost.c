/*
 * What a request costs in the daemon, without sockets: dispatch_frame() of one
 * frame, from the check of its bytes to the reply in memory.
 *
 *   make bench/request_cost && bench/request_cost
 *
 * Prints a Markdown table: medians of ROUNDS, whose passes take turns.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../tests/unit/everybody.h"
#include "base/clock.h"
#include "base/util.h"
#include "measure.h"
#include "tick/dispatch.h"

enum {
	ROUNDS = 7,
	CALLS = 20000,
	RING_BYTES = 1 << 20,
	FRAME_BYTES_MAX = 1024,
};

static struct settings settings;
static struct streams streams;
static struct counters counters;
static struct journal_state journal;
static struct history history;
static struct tick tick;
static struct tick_client client;

static const struct {
	const char *name;
	const char *lambda; /* with two arguments; NULL: only text */
	const char *text;
} requests[] = {
	{ "`.u.d`", NULL, ".u.d" },
	{ "r.q", NULL, "(.u.sub[`;`];`.u `i`L)" },
	{ "TorQ, step 3",
	  "{`schemalist`logfilelist`rowcounts`date!(.u.sub\\:[x;y];"
	  "enlist(.u`i`L);(.u `icounts);(.u `d))}",
	  NULL },
};

static void
open_all(void)
{
	static const char text[] =
		"trade:([]time:`timespan$();sym:`symbol$();price:`float$();"
		"size:`long$())\n"
		"quote:([]time:`timespan$();sym:`symbol$();bid:`float$();"
		"ask:`float$();bsize:`long$();asize:`long$())\n";
	const struct streams_options options = {
		.main_bytes = RING_BYTES,
		.filtered_max = 2,
		.filtered_bytes = RING_BYTES,
		.symbols_max = 64,
		.sets_max = 8,
		.message_max = RING_BYTES / 4,
	};
	struct schema_error err;

	settings.message.max = RING_BYTES / 4;
	CHECK(schema_parse(&settings.tables, text, sizeof(text) - 1, &err) ==
	      0);
	CHECK(schema_finish(&settings.tables, &err) == 0);
	CHECK(streams_open(&streams, &settings.tables, &options) == 0);
	CHECK(tick_open(&tick, &settings, &streams, &counters, &journal,
			&history) == 0);
	history_init(&history);
	client.rights = &everybody;
	client.may = everybody.may;
	client.reply_max = tick.reply_max;
	client.reply = malloc(tick.reply_max);
	CHECK(client.reply != NULL);
}

static size_t
make_frame(uint8_t *frame, size_t i)
{
	struct wire_writer w = wire_writer(frame, FRAME_BYTES_MAX);
	size_t header = wire_begin_frame(&w, WIRE_SYNC);

	if (requests[i].lambda == NULL) {
		wire_put_string(&w, requests[i].text);
	} else {
		wire_put_list(&w, KT_LIST, KA_NONE, 3);
		wire_put_u8(&w, KT_LAMBDA);
		wire_put_symbol_item(&w, "sub", 3);
		wire_put_string(&w, requests[i].lambda);
		wire_put_list(&w, KT_SYMBOL, KA_NONE, 2);
		wire_put_symbol_item(&w, "quote", 5);
		wire_put_symbol_item(&w, "trade", 5);
		wire_put_symbol(&w, "");
	}
	wire_end_frame(&w, header);
	return wire_written(&w);
}

/* Nanoseconds for each of CALLS. */
static double
measure(size_t i)
{
	uint8_t frame[FRAME_BYTES_MAX];
	size_t len = make_frame(frame, i);
	struct wire_header header;
	struct tick_outcome out;
	const char *why;
	int64_t start_ns = clock_monotonic_ns();

	for (int n = 0; n < CALLS; n++) {
		CHECK(wire_read_header(frame, len, sizeof(frame), &header,
				       &why) == WIRE_OK);
		CHECK(dispatch_frame(&tick, &client, &header, frame, &out) ==
		      TICK_DONE);
		CHECK(client.reply[WIRE_HEADER_BYTES] != 0x80);
	}
	return (double)(clock_monotonic_ns() - start_ns) / CALLS;
}

int
main(void)
{
	static double ns[ARRAY_LEN(requests)][ROUNDS];

	open_all();
	for (int round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < ARRAY_LEN(requests); i++)
			ns[i][round] = measure(i);
	printf("| request | ns |\n|---|---|\n");
	for (size_t i = 0; i < ARRAY_LEN(requests); i++)
		printf("| %s | %.0f |\n", requests[i].name,
		       median(ns[i], ROUNDS));
	return 0;
}
