/*
 * Filters of whole messages: the keys looked up, the streams that want them and
 * the rows picked, against a filter that goes through the rows one by one.
 */
#include "config.h"

#include "ring/filter.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../frames.h"
#include "../messages.h"
#include "schema/row_ops.h"
#include "schema/update.h"
#include "base/util.h"
#include "wire/wire.h"

enum {
	KEYS_MAX = MESSAGE_TABLES * MESSAGE_SYMBOLS,
	STREAMS_MAX = 70, /* more than a word of bits */
	SETS_MAX = STREAMS_MAX + 1,
	MESSAGE_MAX = 4096,
};

static struct filter filter;
static struct chance chance;

/* The filter of each stream. */
static struct wants wants[STREAMS_MAX];
static struct selection selections[STREAMS_MAX];
static bool is_in_use[STREAMS_MAX];

static int
set_up(void **state)
{
	chance = chance_start("filter");
	return messages_open(state);
}

static int
start(void **state)
{
	(void)state;
	memset(is_in_use, 0, sizeof(is_in_use));
	return filter_open(&filter, KEYS_MAX, SETS_MAX, STREAMS_MAX,
			   MESSAGE_MAX, 0);
}

static int
stop(void **state)
{
	(void)state;
	filter_close(&filter);
	return 0;
}

static void
begin(unsigned i)
{
	wants[i] = wants_any(&chance);
	selections[i] = wants_selection(&wants[i], &filter.symbols);
	if (selections[i].symbols != NULL)
		symbols_want(&filter.symbols, selections[i].symbols, i, true);
	is_in_use[i] = true;
}

static void
end(unsigned i)
{
	if (selections[i].symbols != NULL)
		symbols_want(&filter.symbols, selections[i].symbols, i, false);
	selection_drop(&filter.symbols, &selections[i]);
	is_in_use[i] = false;
}

/* Whether the stream's filter wants any row. */
static void
check_stream(unsigned i, const struct message *m)
{
	uint8_t expected[MESSAGE_MAX], got[MESSAGE_MAX];
	size_t len = wants_frame(&wants[i], m, expected);
	uint32_t cnt;

	assert_int_equal(selection_filters(&selections[i], m->t->idx),
			 wants[i].is_filtered[m->t->idx]);
	if (!wants[i].is_filtered[m->t->idx]) {
		assert_false(bits_has(filter.wanted_by, i));
		return;
	}
	assert_int_equal(bits_has(filter.wanted_by, i), len > 0);
	cnt = filter_pick(&filter, selections[i].symbols);
	assert_int_equal(cnt > 0, len > 0);
	if (len == 0)
		return;
	assert_int_equal(filter_frame_len(&filter, cnt), len);
	assert_int_equal(filter_frame_write(&filter, cnt, got), len);
	assert_memory_equal(got, expected, len);
}

static void
check_message(const struct message *m)
{
	static unsigned number;

	if (number++ % 2 == 0) {
		filter_look(&filter, m->t, row_ops_of_frame(m->t, m->frame));
	} else {
		filter_look_begin(&filter, m->t,
				  row_ops_of_frame(m->t, m->frame));
		while (!filter_look_some(&filter, 1 + number % 3))
			;
	}
	for (unsigned i = 0; i < STREAMS_MAX; i++) {
		if (is_in_use[i])
			check_stream(i, m);
		else
			assert_false(bits_has(filter.wanted_by, i));
	}
}

static void
test_random_walk(void **state)
{
	uint32_t number = 0;

	(void)state;
	for (unsigned step = 0; step < 3000; step++) {
		unsigned i = (unsigned)chance_below(&chance, STREAMS_MAX);
		struct message m;

		if (is_in_use[i])
			end(i);
		else
			begin(i);
		message_make(
			&m,
			&schema.tables[chance_below(&chance, MESSAGE_TABLES)],
			MESSAGE_ROWS_MAX, number, &chance);
		number += m.cnt;
		check_message(&m);
		message_free(&m);
	}
	for (unsigned i = 0; i < STREAMS_MAX; i++)
		if (is_in_use[i])
			end(i);
	assert_int_equal(filter.symbols.keys_cnt, 0);
}

/* Items of other types in the sym column, by a feed's mistake, where only the
 * shape is checked: they match no symbol. */
static void
test_other_types(void **state)
{
	const struct schema_table *t = &schema.tables[0];
	struct symbol_set *set = symbols_begin(&filter.symbols, NULL);
	uint8_t x[256], frame[512];
	struct wire_writer w = wire_writer(x, sizeof(x));
	struct update u;
	const char *why;

	(void)state;
	assert_int_equal(t->columns[1].type, KT_LONG);
	symbols_filter(set, t->idx);
	assert_int_equal(symbols_add(&filter.symbols, set, t->idx,
				     (const uint8_t *)"abcdefgh", 8),
			 0);
	symbols_want(&filter.symbols, set, 69, true);
	wire_put_list(&w, KT_LIST, KA_NONE, 3);
	wire_put_list(&w, KT_TIMESTAMP, KA_NONE, 4);
	for (unsigned i = 0; i < 4; i++)
		wire_put_u64(&w, i);
	wire_put_list(&w, KT_LIST, KA_NONE, 4);
	wire_put_symbol(&w, "abcdefgh");
	wire_put_u8(&w, (uint8_t)-KT_FLOAT);
	wire_put_bytes(&w, "abcdefgh", 8);
	wire_put_u8(&w, (uint8_t)-KT_LONG);
	wire_put_bytes(&w, "abcdefgh", 8);
	wire_put_string(&w, "abcdefgh");
	wire_put_list(&w, KT_LONG, KA_NONE, 4);
	for (unsigned i = 0; i < 4; i++)
		wire_put_u64(&w, i);
	assert_false(w.is_full);
	assert_int_equal(
		update_parse(t, x, wire_written(&w), CHECK_SHAPE, &u, &why),
		UPDATE_OK);
	update_write(&u, 0, frame);
	filter_look(&filter, t, row_ops_of_frame(t, frame));
	assert_true(bits_has(filter.wanted_by, 69));
	assert_int_equal(filter_pick(&filter, set), 1);
	assert_int_equal(filter.picked[0], 2);
	symbols_want(&filter.symbols, set, 69, false);
	filter_look(&filter, t, row_ops_of_frame(t, frame));
	assert_false(bits_has(filter.wanted_by, 69));
	symbols_release(&filter.symbols, set);
}

/* The most rows that a message can have: a boolean and a time each. */
static void
test_most_rows(void **state)
{
	struct schema few;
	const struct schema_table *t;
	struct symbol_set *set = symbols_begin(&filter.symbols, NULL);
	uint8_t x[MESSAGE_MAX], frame[MESSAGE_MAX];
	struct wire_writer w = wire_writer(x, sizeof(x));
	struct update u;
	uint32_t rows;
	const char *why;

	(void)state;
	schema_of(&few, "t:([]time:`time$();sym:`boolean$())\n");
	t = &few.tables[0];
	rows = (uint32_t)(MESSAGE_MAX - t->publish_prefix_len - 12) / 5;
	symbols_filter(set, 0);
	assert_int_equal(
		symbols_add(&filter.symbols, set, 0, (const uint8_t *)"\1", 1),
		0);
	wire_put_list(&w, KT_LIST, KA_NONE, 2);
	wire_put_list(&w, KT_TIME, KA_NONE, rows);
	for (uint32_t i = 0; i < rows; i++)
		wire_put_u32(&w, i);
	wire_put_list(&w, KT_BOOLEAN, KA_NONE, rows);
	for (uint32_t i = 0; i < rows; i++)
		wire_put_u8(&w, i % 2);
	assert_false(w.is_full);
	assert_int_equal(
		update_parse(t, x, wire_written(&w), CHECK_TYPES, &u, &why),
		UPDATE_OK);
	assert_true(u.frame_len <= MESSAGE_MAX);
	update_write(&u, 0, frame);
	filter_look(&filter, t, row_ops_of_frame(t, frame));
	assert_int_equal(filter_pick(&filter, set), rows / 2);
	symbols_release(&filter.symbols, set);
	schema_fini(&few);
}

static void
test_open(void **state)
{
	struct filter none = { 0 };

	(void)state;
	filter_close(&none);
	assert_int_equal(filter_open(&none, UINT32_MAX / 2, UINT32_MAX,
				     UINT32_MAX, MESSAGE_MAX, 0),
			 -ENOMEM);
	filter_close(&none);
	assert_int_equal(filter_open(&none, 1, 1, 1, (size_t)1 << 30, 0),
			 0);
	filter_close(&none);
	assert_true(filter_memory(MESSAGE_MAX) >= MESSAGE_MAX / 5 * 8);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
		TEST(test_random_walk),
		TEST(test_other_types),
		TEST(test_most_rows),
		TEST(test_open),
	};

	return cmocka_run_group_tests(tests, set_up, schema_close);
}
