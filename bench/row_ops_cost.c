/*
 * What it costs to pick rows of a published message, and to merge messages
 * (schema/row_ops.h): nanoseconds a message, as a Markdown table.
 *
 *   make bench/row_ops_cost && bench/row_ops_cost
 *
 * The message is trade: time, sym, price, size, side (a symbol), with symbols
 * of 1 to 4 characters.  `length` is what row_ops_picked_len takes by itself;
 * `keys` is a walk through the sym column.  `copy` is a memcpy of the whole
 * message, to compare with.  Figures are the least of ROUNDS: other work on the
 * machine only adds to them.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/util.h"
#include "column.h"
#include "schema/row_ops.h"
#include "schema/schema.h"
#include "schema/update.h"
#include "wire/wire.h"

enum {
	ROUNDS = 7,
	ROUND_ROWS = 3000000, /* touched in a round, about */
	ROWS_MAX = 1000000,
	MESSAGES_MAX = 1000,
	MESSAGE_BYTES = 48 * ROWS_MAX,
};

static struct schema schema;
static const struct schema_table *table;
static uint8_t *x, *frames, *out;
static struct rows_source sources[MESSAGES_MAX];
static uint32_t picked[ROWS_MAX];
static volatile uint64_t sink; /* so that nothing is left out */

static void
make_table(void)
{
	static const char text[] =
		"trade:([]time:`timespan$();sym:`symbol$();price:`float$();"
		"size:`long$();side:`symbol$())";
	struct schema_error err;

	CHECK(schema_parse(&schema, text, strlen(text), &err) == 0);
	CHECK(schema_finish(&schema, &err) == 0);
	table = &schema.tables[0];
}

static void
put_symbols(struct wire_writer *w, uint32_t rows, uint32_t from)
{
	wire_put_list(w, KT_SYMBOL, KA_NONE, rows);
	for (uint32_t i = from; i < from + rows; i++)
		wire_put_symbol_item(w, &"ABCDEFGHIJKL"[i % 9], 1 + i * 7 % 4);
}

/* Returns the message's length. */
static size_t
make_frame(uint8_t *at, uint32_t rows, uint32_t from)
{
	struct wire_writer w = wire_writer(x, MESSAGE_BYTES);
	struct update u;
	const char *why;

	wire_put_list(&w, KT_LIST, KA_NONE, table->columns_cnt);
	put_numbers(&w, KT_TIMESPAN, rows);
	put_symbols(&w, rows, from);
	put_numbers(&w, KT_FLOAT, rows);
	put_numbers(&w, KT_LONG, rows);
	put_symbols(&w, rows, from + 5);
	CHECK(!w.is_full);
	CHECK(update_parse(table, x, wire_written(&w), CHECK_TYPES, &u, &why) ==
	      UPDATE_OK);
	update_write(&u, 0, at);
	return u.frame_len;
}

/* ---- what is measured ---- */

struct work {
	struct rows rows;
	size_t len; /* of the message, or of all messages */
	uint32_t picked_cnt;
	size_t sources_cnt;
};

static void
do_copy(const struct work *w)
{
	memcpy(out, frames, w->len);
	sink += out[w->len / 2];
}

static void
do_keys(const struct work *w)
{
	struct rows_keys keys = row_ops_keys(&w->rows);
	struct rows_key key;
	uint64_t sum = 0;

	while (row_ops_next_key(&keys, &key))
		sum += key.len + key.at[0];
	sink += sum;
}

static void
do_picked_len(const struct work *w)
{
	sink += row_ops_picked_len(table, &w->rows, picked, w->picked_cnt);
}

static void
do_pick(const struct work *w)
{
	sink += row_ops_pick(table, &w->rows, picked, w->picked_cnt, out);
}

static void
do_merge(const struct work *w)
{
	sink += row_ops_merge(table, sources, w->sources_cnt, KA_GROUPED, out);
}

static double
measure(void (*run)(const struct work *w), const struct work *w, uint32_t rows)
{
	uint32_t times = ROUND_ROWS / (rows + 20) + 1;
	double best = 0;

	for (unsigned round = 0; round < ROUNDS; round++) {
		int64_t start_ns = clock_monotonic_ns();
		double ns;

		for (uint32_t i = 0; i < times; i++)
			run(w);
		ns = (double)(clock_monotonic_ns() - start_ns) / times;
		if (round == 0 || ns < best)
			best = ns;
	}
	return best;
}

static void
bench_pick(uint32_t cnt, uint32_t rows)
{
	struct work w = { .picked_cnt = cnt };

	w.len = make_frame(frames, rows, 0);
	w.rows = row_ops_of_frame(table, frames);
	for (uint32_t i = 0; i < cnt; i++)
		picked[i] = (uint32_t)((uint64_t)rows * i / cnt);
	printf("| pick %u of %u | %.1f | %.1f | %.1f | %.1f |\n", cnt, rows,
	       measure(do_copy, &w, rows), measure(do_keys, &w, rows),
	       measure(do_picked_len, &w, rows), measure(do_pick, &w, rows));
}

static void
bench_merge(uint32_t messages, uint32_t rows)
{
	struct work w = { .sources_cnt = messages };
	uint32_t all = messages * rows;

	for (uint32_t i = 0; i < messages; i++) {
		uint8_t *at = frames + w.len;

		w.len += make_frame(at, rows, i * rows);
		sources[i].rows = row_ops_of_frame(table, at);
	}
	printf("| merge %u of %u | %.1f | | | %.1f |\n", messages, rows,
	       measure(do_copy, &w, all) / messages,
	       measure(do_merge, &w, all) / messages);
}

int
main(void)
{
	x = malloc(MESSAGE_BYTES);
	frames = malloc(MESSAGE_BYTES);
	out = malloc(MESSAGE_BYTES);
	if (x == NULL || frames == NULL || out == NULL)
		return EXIT_FAILURE;
	make_table();
	printf("| ns a message | copy | keys | length | all |\n"
	       "|---|---|---|---|---|\n");
	bench_pick(1, 1);
	bench_pick(1, 100);
	bench_pick(3, 100);
	bench_pick(50, 100);
	bench_pick(100, 100);
	bench_pick(1000, ROWS_MAX);
	bench_merge(1, 1);
	bench_merge(MESSAGES_MAX, 1);
	bench_merge(100, 100);
	return EXIT_SUCCESS;
}
