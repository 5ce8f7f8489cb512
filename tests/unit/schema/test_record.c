#include "config.h"

#include "schema/mark.h"
#include "schema/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../frames.h"
#include "ring/streams.h"
#include "wire/wire.h"

enum { FRAME_MAX = 5000 };

static int
set_up(void **state)
{
	(void)state;
	schema_of(&schema,
		  "trade:([]time:`timespan$();sym:`symbol$();p:`float$())\n"
		  "t:([]time:`time$();sym:`symbol$())\n"
		  "wide:([]time:`timestamp$();sym:`symbol$();a:`long$();"
		  "b:`long$();c:`long$();d:`long$();averylongname:`long$())\n");
	return 0;
}

static size_t
random_frame(struct chance *chance, const struct schema_table *t, uint8_t *at)
{
	return frame_make(
		at, t, chance_bits(chance),
		chance_between(chance, FRAME_RECORD_MIN + 100, FRAME_MAX));
}

/* The start of a record of trade, by hand: (`upd;`trade;(3 columns)). */
static void
test_record_is_what_q_logs(void **state)
{
	static const uint8_t start[] = "\0\0\3\0\0\0\xf5upd\0\xf5trade";
	const struct schema_table *t = schema_find(&schema, "trade", 5);
	size_t prefix = t->publish_prefix_len, len;
	uint8_t frame[FRAME_MAX], record[FRAME_MAX];

	(void)state;
	len = record_from_frame(t, frame, frame_make(frame, t, 7, 400), record);
	assert_memory_equal(record, start, sizeof(start));
	/* a general list of 3, as in the frame, and the columns */
	assert_memory_equal(record + sizeof(start), "\0\0\3\0\0\0", 6);
	assert_memory_equal(record + sizeof(start) + 6, frame + prefix,
			    400 - prefix);
	assert_int_equal(len, sizeof(start) + 6 + 400 - prefix);
	assert_int_equal(record_start_len(t), sizeof(start));
	assert_int_equal(record_frame_start_len(t), prefix - 6);
}

/* Frame to record and back, each table, each length; nothing else is written.
 */
static void
test_there_and_back(void **state)
{
	struct chance chance = chance_start("record");

	(void)state;
	for (unsigned i = 0; i < 3000; i++) {
		const struct schema_table *t = &schema.tables[i % 3];
		uint8_t frame[FRAME_MAX], record[FRAME_MAX], back[FRAME_MAX];
		size_t len = random_frame(&chance, t, frame), record_len;

		memset(record, 0xee, sizeof(record));
		memset(back, 0xdd, sizeof(back));
		record_len = record_from_frame(t, frame, len, record);
		assert_int_equal(record_len + record_saves(t), len);
		assert_int_equal(record[record_len], 0xee);
		record_to_frame(t, record, record_len, back);
		assert_memory_equal(back, frame, len);
		assert_int_equal(len < FRAME_MAX ? back[len] : 0xdd, 0xdd);
		assert_ptr_equal(record_table(&schema, frame), t);
	}
}

/* A frame made of its start and pieces of the record. */
static void
test_in_pieces(void **state)
{
	struct chance chance = chance_start("record pieces");

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		const struct schema_table *t = &schema.tables[i % 3];
		uint8_t frame[FRAME_MAX], record[FRAME_MAX], back[FRAME_MAX];
		size_t len = random_frame(&chance, t, frame), record_len;
		size_t off = record_start_len(t),
		       at = record_frame_start_len(t);

		record_len = record_from_frame(t, frame, len, record);
		memset(back, 0xdd, sizeof(back));
		record_write_frame_start(t, record_len, back);
		assert_memory_equal(back, frame, at);
		assert_int_equal(back[at], 0xdd);
		while (off < record_len) {
			size_t n = chance_between(&chance, 1, record_len - off);

			memcpy(back + at, record + off, n);
			off += n;
			at += n;
		}
		assert_int_equal(at, len);
		assert_memory_equal(back, frame, len);
	}
}

static void
test_mark(void **state)
{
	static const int32_t days[] = { 0, 1, 9822, -1, INT32_MAX, INT32_MIN };

	(void)state;
	for (size_t i = 0; i < sizeof(days) / sizeof(days[0]); i++) {
		uint8_t mark[MARK_BYTES + 1], expected[FRAME_MARK_BYTES];

		mark[MARK_BYTES] = 0xee;
		mark_write(mark, days[i]);
		frame_make(expected, NULL, (uint32_t)days[i], 0);
		assert_int_equal(MARK_BYTES, FRAME_MARK_BYTES);
		assert_memory_equal(mark, expected, MARK_BYTES);
		assert_int_equal(mark[MARK_BYTES], 0xee);
		assert_int_equal(stream_frame_len(mark), MARK_BYTES);
		assert_false(stream_frame_is_record(mark));
		assert_int_equal(mark_day(mark), days[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record_is_what_q_logs),
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_in_pieces),
		cmocka_unit_test(test_mark),
	};

	return cmocka_run_group_tests(tests, set_up, schema_close);
}
