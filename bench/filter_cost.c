/*
 * What an update costs where subscribers filter by symbol: from the frame of a
 * feed (dispatch_frame) until the update is in every stream that wants it
 * (streams_feed), all in memory, without the sending; as Markdown tables.
 *
 *   make bench/filter_cost && bench/filter_cost
 *
 * The table is trade: time, sym, price, size, side.  Updates have random
 * symbols of SYMBOLS; each selection wants WANTED random ones of them.  Besides
 * the selections there is always one subscriber without a filter; alone it is
 * the base of the ratios.  All subscribers keep up.
 *
 * In a turn some updates are handled before the streams are fed: one if the
 * daemon is idle, more under load.  Figures are medians of ROUNDS.  Takes ten
 * seconds, and 200 MB of memory.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../tests/unit/everybody.h"
#include "base/clock.h"
#include "base/util.h"
#include "column.h"
#include "measure.h"
#include "schema/update.h"
#include "tick_in_memory.h"
#include "wire/wire.h"

enum {
	ROUNDS = 7,
	ROUND_NS = 60000000, /* about */
	SYMBOLS = 10000,
	WANTED = 100,
	SELECTIONS_MAX = 1000,
	FRAMES = 2000, /* different ones */
	ROWS_MAX = 100,
	FRAME_BYTES = 64 * ROWS_MAX + 256,
	MESSAGE_MAX = 256 << 10,
	MAIN_BYTES = 4 << 20,
	TURN = 16,
	BATCH = 1000,
	NAME_BYTES = 8,
};

static uint8_t *frames[FRAMES];
static size_t lens[FRAMES];
static uint64_t state = 1; /* of the random numbers */

static uint32_t
chance_below(uint32_t below)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 33) % below;
}

/* ---- frames ---- */

/* S0 .. S9999: as long as an exchange's. */
static size_t
symbol_name(uint32_t symbol, char *at)
{
	return (size_t)snprintf(at, NAME_BYTES, "S%u", symbol);
}

static void
put_symbols(struct wire_writer *w, uint32_t rows, uint32_t below)
{
	char name[NAME_BYTES];

	wire_put_list(w, KT_SYMBOL, KA_NONE, rows);
	for (uint32_t i = 0; i < rows; i++) {
		size_t len = symbol_name(chance_below(below), name);

		wire_put_symbol_item(w, name, len);
	}
}

static size_t
make_frame(uint8_t *at, uint32_t rows)
{
	struct wire_writer w = wire_writer(at, FRAME_BYTES);
	size_t header = wire_begin_frame(&w, WIRE_ASYNC);

	wire_put_list(&w, KT_LIST, KA_NONE, 3);
	wire_put_symbol(&w, ".u.upd");
	wire_put_symbol(&w, "trade");
	wire_put_list(&w, KT_LIST, KA_NONE, 5);
	put_numbers(&w, KT_TIMESPAN, rows);
	put_symbols(&w, rows, SYMBOLS);
	put_numbers(&w, KT_FLOAT, rows);
	put_numbers(&w, KT_LONG, rows);
	put_symbols(&w, rows, 2);
	wire_end_frame(&w, header);
	CHECK(!w.is_full);
	return wire_written(&w);
}

static void
make_frames(uint32_t rows)
{
	for (unsigned i = 0; i < FRAMES; i++) {
		if (frames[i] == NULL)
			frames[i] = malloc(FRAME_BYTES);
		CHECK(frames[i] != NULL);
		lens[i] = make_frame(frames[i], rows);
	}
}

/* ---- subscribers ---- */

static void
subscribe_some(void)
{
	struct symbols *symbols = &streams.filter.symbols;
	struct symbol_set *set = symbols_begin(symbols, NULL);
	struct selection selection = { 0 };
	char name[NAME_BYTES];

	CHECK(set != NULL);
	selection_add(&selection, 0);
	symbols_filter(set, 0);
	while (set->cnt < WANTED) {
		size_t len = symbol_name(chance_below(SYMBOLS), name);

		CHECK(symbols_add(symbols, set, 0, (const uint8_t *)name,
				  len) == 0);
	}
	selection.symbols = symbols_finish(symbols, set);
	attach(&selection);
	symbols_release(symbols, selection.symbols);
}

static void
open_all(unsigned selections, bool is_batched)
{
	const struct streams_options options = {
		.main_bytes = MAIN_BYTES,
		.filtered_max = selections + 1,
		.filtered_bytes = is_batched ? 4 * MESSAGE_MAX : 64 << 10,
		.symbols_max = SYMBOLS,
		.sets_max = selections + 1,
		.message_max = MESSAGE_MAX,
		.is_batched = is_batched,
		.seed = UINT64_C(0x9e3779b97f4a7c15), /* any; not 0 */
	};
	struct selection everything = selection_all(&settings.tables);

	open_tick(&options);
	attach(&everything);
	for (unsigned i = 0; i < selections; i++)
		subscribe_some();
}

/* ---- what is measured ---- */

static void
handle(unsigned i)
{
	struct tick_client client = { .rights = &everybody };
	struct tick_outcome out;
	struct wire_header header;
	const char *why;

	CHECK(wire_read_header(frames[i], lens[i], MESSAGE_MAX, &header,
			       &why) == WIRE_OK);
	CHECK(dispatch_frame(&tick, &client, &header, frames[i], &out) ==
	      TICK_DONE);
	CHECK(out.why == NULL);
}

/* Each turn has `updates`. */
static void
run(unsigned turns, unsigned updates)
{
	static unsigned at;

	for (unsigned i = 0; i < turns; i++) {
		for (unsigned k = 0; k < updates; k++)
			handle(at++ % FRAMES);
		if (streams.batch != NULL)
			streams_show_batch(&streams, streams.main.head_pos, 1);
		streams_feed(&streams, 1);
		/* Not in each turn, so that it does not cost much. */
		if (i % 4 > 0)
			continue;
		for (unsigned k = 0; k < cursors_cnt; k++)
			cursors[k].pos = cursors[k].stream->visible_pos;
	}
	for (unsigned k = 0; k < cursors_cnt; k++)
		CHECK(streams_is_level(&streams, cursors[k].stream));
}

/* ns an update */
static double
measure(unsigned updates)
{
	double figures[ROUNDS];
	int64_t start_ns = clock_monotonic_ns();
	unsigned turns = 1;

	for (unsigned n = 0; n < FRAMES; n += 10 * updates, turns += 10)
		run(10, updates);
	turns = (unsigned)((int64_t)turns * ROUND_NS /
			   (clock_monotonic_ns() - start_ns)) + 1;
	for (unsigned i = 0; i < ROUNDS; i++) {
		start_ns = clock_monotonic_ns();
		run(turns, updates);
		figures[i] = (double)(clock_monotonic_ns() - start_ns) / turns /
			     updates;
	}
	return median(figures, ROUNDS);
}

static void
bench_updates(uint32_t rows)
{
	static const unsigned cnts[] = { 0, 1, 10, 100, SELECTIONS_MAX };
	double none = 0, none_in_turn = 0;

	make_frames(rows);
	printf("\n| selections, updates of %u | ns, 1 in a turn | ratio "
	       "| ns, %u in a turn | ratio |\n|---|---|---|---|---|\n",
	       rows, TURN);
	for (size_t i = 0; i < ARRAY_LEN(cnts); i++) {
		double ns, in_turn;

		open_all(cnts[i], false);
		ns = measure(1);
		in_turn = measure(TURN);
		close_tick();
		none = i == 0 ? ns : none;
		none_in_turn = i == 0 ? in_turn : none_in_turn;
		printf("| %u | %.0f | %.2f | %.0f | %.2f |\n", cnts[i], ns,
		       ns / none, in_turn, in_turn / none_in_turn);
		fflush(stdout);
	}
}

static void
bench_batches(void)
{
	static const unsigned cnts[] = { 0, 1, 100 };
	double none = 0;

	make_frames(1);
	printf("\n| selections, batches of %u updates of 1 | ns an update "
	       "| ratio |\n|---|---|---|\n",
	       BATCH);
	for (size_t i = 0; i < ARRAY_LEN(cnts); i++) {
		double ns;

		open_all(cnts[i], true);
		ns = measure(BATCH);
		close_tick();
		none = i == 0 ? ns : none;
		printf("| %u | %.0f | %.2f |\n", cnts[i], ns, ns / none);
		fflush(stdout);
	}
}

int
main(void)
{
	static const char text[] =
		"trade:([]time:`timespan$();sym:`symbol$();price:`float$();"
		"size:`long$();side:`symbol$())";
	struct schema_error err;

	CHECK(schema_parse(&settings.tables, text, strlen(text), &err) == 0);
	CHECK(schema_finish(&settings.tables, &err) == 0);
	settings.message.max = MESSAGE_MAX;
	bench_updates(1);
	bench_updates(ROWS_MAX);
	bench_batches();
	return EXIT_SUCCESS;
}
