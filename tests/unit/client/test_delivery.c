/*
 * Delivery: who writes next, and how much.  The streams are real, the engine is
 * a double.
 */
#include "config.h"

#include "client/delivery.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../engine_double.h"
#include "../frames.h"
#include "client/clients.h"

enum {
	CLIENTS = 6,
	RING_BYTES = 65536,
	SPAN_MAX = 1000,
	IN_FLIGHT_MAX = 2000,
	PAST_MAX = 128 << 10, /* of delivery.c */
};

static struct streams all;
static struct clients clients;
static struct pool pool;
static struct journal_state journal;
static struct history history;
static struct delivery d;
static struct connection *who[CLIENTS];
static int64_t now;

static int
start(void **state)
{
	struct history_file *f = calloc(1, sizeof(*f));

	(void)state;
	asked_cnt = 0;
	now = NS_PER_S;
	journal = (struct journal_state){ 0 };
	streams_open_at(&all, &schema, RING_BYTES, 2, 8192, 0);
	assert_int_equal(clients_open(&clients, CLIENTS, 64, 1000, &all), 0);
	assert_int_equal(pool_open(&pool, 2, 1000), 0);
	delivery_init(&d, NULL, &all, &pool, SPAN_MAX, IN_FLIGHT_MAX, &journal);
	history_init(&history);
	assert_non_null(f);
	f->fd = -1;
	f->first_off = 8;
	history_begin(&history, f, 0);
	for (unsigned i = 0; i < CLIENTS; i++) {
		who[i] = clients_find_free(&clients);
		clients_add(&clients, who[i], -1, SLOW_SKIP);
	}
	return 0;
}

/* All writes in flight have completed. */
static int
stop(void **state)
{
	(void)state;
	for (unsigned i = 0; i < CLIENTS; i++)
		delivery_forget(&d, who[i]);
	assert_int_equal(history_last(&history)->readers, 0);
	history_close(&history);
	clients_close(&clients);
	pool_close(&pool);
	streams_close(&all);
	return 0;
}

/* Clients 0 .. cnt - 1 read the stream of everything. */
static void
subscribe(unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++) {
		consumer_queue(&who[i]->consumer, 0, &all.main,
			       (struct reply_gate){ 0 });
		delivery_wake(&d, who[i]);
	}
}

static void
put(size_t len)
{
	assert_true(streams_put(&all, &schema.tables[0], 1, len, now));
}

/* The next write is of this client. */
static struct asked
take_of(unsigned i, enum asked_kind kind, size_t len)
{
	struct asked a = asked_take();

	assert_int_equal(a.ticket.slot, who[i]->slot);
	assert_int_equal(a.ticket.generation, who[i]->generation);
	assert_int_equal(a.kind, kind);
	assert_int_equal(a.len, len);
	return a;
}

/* It completes, and the client is woken as the session does. */
static int64_t
complete(unsigned i, int32_t result)
{
	int64_t n = delivery_completed(&d, who[i], result);

	who[i]->ops_cnt--;
	delivery_wake(&d, who[i]);
	return n;
}

/* Each gets one write of what it lacks, at most a span, in turns. */
static void
test_turns_and_spans(void **state)
{
	struct asked a;

	(void)state;
	subscribe(2);
	delivery_run(&d, now);
	assert_int_equal(asked_cnt, 0);
	put(600);
	put(700);
	delivery_run(&d, now);
	a = take_of(0, ASKED_WRITE, SPAN_MAX);
	assert_ptr_equal(a.at, ring_at(&all.main.ring, 0));
	take_of(1, ASKED_WRITE, SPAN_MAX);
	assert_int_equal(who[0]->ops_cnt, 1);
	put(100);
	/* who completes queues after those that are ready */
	assert_int_equal(complete(1, 900), 900);
	assert_int_equal(complete(0, SPAN_MAX), SPAN_MAX);
	delivery_run(&d, now);
	a = take_of(1, ASKED_WRITE, 500);
	assert_ptr_equal(a.at, ring_at(&all.main.ring, 900));
	take_of(0, ASKED_WRITE, 400);
	(void)complete(0, 400);
	(void)complete(1, 500);
	delivery_run(&d, now);
	assert_int_equal(asked_cnt, 0);
}

/* One write at a time: what comes during one, an update or a reply, waits for
 * its end, although there is room for more writes. */
static void
test_one_write(void **state)
{
	(void)state;
	subscribe(1);
	put(300);
	delivery_run(&d, now);
	take_of(0, ASKED_WRITE, 300);
	put(200);
	consumer_queue(&who[0]->consumer, 50, NULL, (struct reply_gate){ 0 });
	delivery_wake(&d, who[0]);
	delivery_run(&d, now);
	assert_false(delivery_is_capped(&d));
	assert_int_equal(asked_cnt, 0);
	(void)complete(0, 300);
	delivery_run(&d, now);
	take_of(0, ASKED_WRITE, 200);
	delivery_run(&d, now);
	assert_int_equal(asked_cnt, 0);
	(void)complete(0, 200);
	delivery_run(&d, now);
	take_of(0, ASKED_SEND, 50);
	(void)complete(0, 50);
}

/* What is in no registered buffer is sent: a reply, and a filtered stream. */
static void
test_ways_of_writing(void **state)
{
	struct selection one = { .tables = { 1 } };
	struct stream *filtered = streams_find(&all, &one, 0);

	(void)state;
	subscribe(1);
	consumer_queue(&who[0]->consumer, 50, NULL, (struct reply_gate){ 0 });
	consumer_queue(&who[1]->consumer, 0, filtered,
		       (struct reply_gate){ 0 });
	delivery_wake(&d, who[0]);
	delivery_wake(&d, who[1]);
	put(200);
	streams_feed(&all, now);
	delivery_run(&d, now);
	take_of(0, ASKED_SEND, 50);
	take_of(1, ASKED_SEND, 200);
	(void)complete(0, 50);
	(void)complete(1, 200);
	delivery_run(&d, now);
	take_of(0, ASKED_WRITE, 200);
	(void)complete(0, 200);
}

/* No further write is submitted while so many bytes are in flight; those that a
 * full socket has parked do not count, and give their share back once. */
static void
test_cap(void **state)
{
	(void)state;
	subscribe(5);
	put(900);
	delivery_run(&d, now);
	assert_int_equal(asked_cnt, 3); /* the third begins below the cap */
	assert_true(delivery_is_capped(&d));
	assert_int_equal(d.in_flight_bytes, 2700);
	delivery_run(&d, now + NS_PER_MS - 1);
	assert_int_equal(asked_cnt, 3);
	delivery_run(&d, now + NS_PER_MS);
	assert_int_equal(asked_cnt, 5);
	assert_false(delivery_is_capped(&d));
	assert_int_equal(d.in_flight_bytes, 1800);
	for (unsigned i = 0; i < 5; i++) {
		take_of(i, ASKED_WRITE, 900);
		(void)complete(i, 900);
	}
	assert_int_equal(d.in_flight_bytes, 0);
}

/* Nothing accepted is no end: the same bytes are written again.  A broken
 * socket is told. */
static void
test_results(void **state)
{
	static const int32_t again[] = { -EAGAIN, -EINTR, -ECANCELED };

	(void)state;
	subscribe(1);
	put(300);
	for (unsigned i = 0; i < ARRAY_LEN(again); i++) {
		delivery_run(&d, now);
		take_of(0, ASKED_WRITE, 300);
		assert_int_equal(complete(0, again[i]), 0);
	}
	delivery_run(&d, now);
	take_of(0, ASKED_WRITE, 300);
	assert_int_equal(complete(0, -EPIPE), -EPIPE);
	assert_int_equal(who[0]->consumer.sent_bytes, 0);
	delivery_stop(who[0]);
	delivery_run(&d, now);
	assert_int_equal(asked_cnt, 0);
}

/* A write is cancelled once, however often its consumer is found too slow: its
 * own completion ends that. */
static void
test_one_cancel(void **state)
{
	struct asked a;

	(void)state;
	subscribe(1);
	put(300);
	delivery_run(&d, now);
	a = take_of(0, ASKED_WRITE, 300);
	assert_true(delivery_cancel(&d, who[0]));
	assert_int_equal(asked[0].kind, ASKED_CANCEL);
	assert_memory_equal(&asked[0].victim, &a.ticket, sizeof(a.ticket));
	assert_int_equal(who[0]->ops_cnt, 2);
	assert_false(delivery_cancel(&d, who[0]));
	assert_false(delivery_cancel(&d, who[0]));
	assert_int_equal(asked_cnt, 1);
	assert_int_equal(who[0]->ops_cnt, 2);
	(void)asked_take();
	assert_int_equal(complete(0, 100), 100);
	delivery_run(&d, now);
	take_of(0, ASKED_WRITE, 200);
	assert_true(delivery_cancel(&d, who[0]));
	(void)asked_take();
	(void)complete(0, 200);
}

/* An idle consumer is looked at when something that it may wait for has moved:
 * the stream, or its reply's gate. */
static void
test_what_wakes(void **state)
{
	struct reply_gate gate = { .reached = &journal.synced_pos, .pos = 100 };

	(void)state;
	subscribe(1);
	consumer_queue(&who[1]->consumer, 50, NULL, gate);
	delivery_wake(&d, who[1]);
	delivery_run(&d, now);
	journal.synced_pos = 99;
	delivery_run(&d, now);
	assert_int_equal(asked_cnt, 0);
	journal.synced_pos = 100;
	delivery_run(&d, now);
	take_of(1, ASKED_SEND, 50);
	(void)complete(1, 50);
	put(200);
	delivery_run(&d, now);
	take_of(0, ASKED_WRITE, 200);
	(void)complete(0, 200);
}

/* Reads the past: so many bytes of it are to be sent. */
static void
give_past(unsigned i, size_t len)
{
	struct selection s = selection_all(&schema);
	struct past_request request = {
		.place = history_start(history_last(&history)),
		.epoch_limit = UINT64_MAX,
	};

	consumer_queue_past(&who[i]->consumer, 0, &s, &request,
			    (struct reply_gate){ 0 }, now);
	assert_int_equal(who[i]->consumer.state, CONSUMER_JOURNAL);
	who[i]->consumer.past.len = len;
	delivery_wake(&d, who[i]);
}

/* Those who read the past come after all others, few at a time, and leave the
 * others their whole share. */
static void
test_the_past_comes_last(void **state)
{
	(void)state;
	give_past(3, PAST_MAX / 2);
	give_past(4, PAST_MAX / 2);
	give_past(5, 10);
	subscribe(1);
	put(200);
	delivery_run(&d, now);
	take_of(0, ASKED_WRITE, 200);
	take_of(3, ASKED_SEND, PAST_MAX / 2);
	take_of(4, ASKED_SEND, PAST_MAX / 2);
	assert_int_equal(asked_cnt, 0);
	assert_int_equal(d.in_flight_bytes, 200);
	assert_int_equal(d.past_bytes, PAST_MAX);
	(void)complete(0, 200);
	put(300);
	delivery_run(&d, now);
	take_of(0, ASKED_WRITE, 300);
	assert_int_equal(asked_cnt, 0);
	(void)complete(3, 1);
	delivery_run(&d, now);
	take_of(5, ASKED_SEND, 10);
	take_of(3, ASKED_SEND, PAST_MAX / 2 - 1);
	(void)complete(0, 300);
	(void)complete(3, PAST_MAX / 2 - 1);
	(void)complete(4, PAST_MAX / 2);
	(void)complete(5, 10);
	assert_int_equal(d.past_bytes, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_turns_and_spans, start,
						stop),
		cmocka_unit_test_setup_teardown(test_one_write, start, stop),
		cmocka_unit_test_setup_teardown(test_ways_of_writing, start,
						stop),
		cmocka_unit_test_setup_teardown(test_cap, start, stop),
		cmocka_unit_test_setup_teardown(test_results, start, stop),
		cmocka_unit_test_setup_teardown(test_one_cancel, start, stop),
		cmocka_unit_test_setup_teardown(test_what_wakes, start, stop),
		cmocka_unit_test_setup_teardown(test_the_past_comes_last, start,
						stop),
	};

	return cmocka_run_group_tests(tests, schema_open_three, schema_close);
}
