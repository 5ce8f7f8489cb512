/*
 * Leaving the ring in batches: within a batch a stream's bytes are at no place
 * of the journal, so a consumer takes the rest of the unit along.
 */
#include "config.h"

#include "client/consumer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../frames.h"
#include "../messages.h"

enum {
	RING_BYTES = 65536,
	REPLY_BYTES = 50,
	SENT_BYTES = 10, /* of the first batch */
};

static const struct streams_options options = {
	.main_bytes = RING_BYTES,
	.filtered_max = 2,
	.filtered_bytes = RING_BYTES,
	.symbols_max = 64,
	.sets_max = 8,
	.message_max = 4096,
	.is_batched = true,
};

static struct streams all;
static struct history history;
static struct consumer c;
static uint8_t reply[REPLY_BYTES], past[CATCHUP_BUFFER_BYTES];
static uint8_t sent[RING_BYTES]; /* bytes of the stream, from its start */
static struct chance chance;
static uint32_t number;
static int64_t now = NS_PER_S;

static int
start(void **state)
{
	struct selection selection = selection_all(&schema);
	struct history_file *f = calloc(1, sizeof(*f));

	(void)state;
	chance = chance_start("leave");
	streams_open_with(&all, &schema, &options, 0);
	history_init(&history);
	assert_non_null(f);
	f->fd = -1;
	f->first_off = 8;
	history_begin(&history, f, 0);
	consumer_init(&c, &all, reply, past, SLOW_SPILL);
	consumer_queue(&c, 0, streams_find(&all, &selection, 0),
		       (struct reply_gate){ 0 });
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	(void)consumer_fini(&c);
	assert_int_equal(history_last(&history)->readers, 0);
	history_close(&history);
	streams_close(&all);
	return 0;
}

/* Two updates of one table become visible, and are one message of the stream.
 * Returns its end there. */
static uint64_t
put_batch(void)
{
	for (unsigned i = 0; i < 2; i++) {
		struct message m;

		message_make(&m, &schema.tables[0], 3, ++number, &chance);
		assert_true(message_put(&all, &m, now));
		message_free(&m);
	}
	streams_show_batch(&all, all.main.head_pos, now);
	streams_feed(&all, now);
	return c.here.stream->head_pos;
}

static void
write_some(size_t len)
{
	struct span span;

	assert_true(consumer_next(&c, len, &span));
	assert_int_equal(span.part, PART_STREAM);
	c.writing = span.part;
	c.writing_len = span.len;
	assert_null(consumer_written(&c, len));
}

static void
leave(void)
{
	struct history_place place = history_start(history_last(&history));

	memcpy(sent, ring_at(&c.here.stream->ring, 0),
	       c.here.stream->head_pos);
	consumer_leave(&c, &place, now);
	assert_int_equal(c.state, CONSUMER_JOURNAL);
	assert_null(c.here.stream);
}

/* It has the rest of the unit, and continues in the journal after that. */
static void
check_kept(uint64_t to, uint64_t main_pos)
{
	struct span span;

	assert_int_equal(c.rest_len, to - SENT_BYTES);
	assert_true(consumer_next(&c, RING_BYTES, &span));
	assert_int_equal(span.part, PART_REST);
	assert_int_equal(span.len, to - SENT_BYTES);
	assert_memory_equal(span.at, sent + SENT_BYTES, span.len);
	assert_int_equal(c.past.from_pos, main_pos);
	assert_int_equal(c.past.skip_bytes, 0);
	c.writing = span.part;
	c.writing_len = span.len;
	assert_null(consumer_written(&c, span.len));
}

static void
test_the_rest_of_a_unit(void **state)
{
	uint64_t end, main_pos, records;
	int64_t age;

	(void)state;
	(void)put_batch();
	end = put_batch(); /* at the same time: one unit */
	main_pos = all.main.head_pos;
	write_some(SENT_BYTES);
	now += NS_PER_S;
	(void)put_batch();
	assert_int_equal(consumer_main_place(&c).main_pos, main_pos);
	now += NS_PER_S;
	leave();
	check_kept(end, main_pos);
	assert_true(consumer_needs_read(&c));
	assert_int_equal(consumer_lag_bytes(&c),
			 all.main.head_pos - main_pos);
	consumer_lag_records(&c, now + 5, &records, &age);
	assert_int_equal(records, 2);
	assert_int_equal(age, NS_PER_S + 5);
}

/* A reply in the middle of a unit keeps its place: after what came before its
 * request, and before the rest. */
static void
test_a_reply_within_a_unit(void **state)
{
	struct span span;
	uint64_t end, main_pos;

	(void)state;
	end = put_batch();
	main_pos = all.main.head_pos;
	consumer_queue(&c, REPLY_BYTES, NULL, (struct reply_gate){ 0 });
	assert_true(put_batch() > end);
	write_some(SENT_BYTES);
	assert_int_equal(consumer_main_place(&c).main_pos, main_pos);
	leave();
	check_kept(end, main_pos);
	/* The file is read up to there; then the reply follows. */
	c.past.at.pos = main_pos;
	assert_true(consumer_next(&c, RING_BYTES, &span));
	assert_int_equal(span.part, PART_REPLY);
	assert_int_equal(span.len, REPLY_BYTES);
}

/* At the end of a unit nothing is kept. */
static void
test_between_units(void **state)
{
	uint64_t end, main_pos;

	(void)state;
	end = put_batch();
	main_pos = all.main.head_pos;
	now += NS_PER_S;
	(void)put_batch();
	write_some(end);
	leave();
	assert_null(c.rest);
	assert_int_equal(c.past.from_pos, main_pos);
	assert_int_equal(c.past.skip_bytes, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_the_rest_of_a_unit, start,
						stop),
		cmocka_unit_test_setup_teardown(test_a_reply_within_a_unit,
						start, stop),
		cmocka_unit_test_setup_teardown(test_between_units, start,
						stop),
	};

	return cmocka_run_group_tests(tests, messages_open, schema_close);
}
