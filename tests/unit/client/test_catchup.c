/*
 * Catching up: whose bytes a read gives to whom, and what of a file is sent.
 * The history and the streams are real, the engine is a double, and the files
 * are memory.
 */
#include "config.h"

#include "client/catchup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "../engine_double.h"
#include "../frames.h"
#include "client/clients.h"
#include "journal/file.h"
#include "schema/record.h"
#include "schema/update.h"
#include "wire/wire.h"

enum {
	CLIENTS = 8,
	RING_BYTES = 65536,
	FILES = 2,
	FILE_BYTES = 4 << 20,
	FRAME_BYTES = 2 << 20,
};

/* The files, and the frames that who reads them gets. */
static struct file {
	struct history_file *f;
	uint8_t bytes[FILE_BYTES];
	size_t len;
	uint8_t frames[FILE_BYTES];
	size_t frames_len;
} files[FILES];

static struct settings settings;
static struct streams all;
static struct clients clients;
static struct pool pool;
static struct journal_state journal;
static struct history history;
static struct delivery d;
static struct catchup cu;
static int64_t now;

static int
start_with(uint64_t message_max)
{
	settings.message.max = message_max;
	settings.streams.ring = 8192;
	settings.slow.leave_percent = 75;
	settings.slow.return_percent = 50;
	settings.schema.check = CHECK_TYPES;
	settings.tables = schema;
	asked_cnt = 0;
	now = NS_PER_S;
	streams_open_at(&all, &schema, RING_BYTES, 0, 0, 0);
	assert_int_equal(clients_open(&clients, CLIENTS, 64, 1000, &all), 0);
	assert_int_equal(pool_open(&pool, 2, 1000), 0);
	history_init(&history);
	delivery_init(&d, NULL, &all, &pool, 1 << 20, 1 << 20, &journal);
	assert_int_equal(catchup_open(&cu, &settings, NULL, &all, &history, &d),
			 0);
	memset(files, 0, sizeof(files));
	return 0;
}

static int
start(void **state)
{
	(void)state;
	return start_with(64 << 10);
}

static int
stop(void **state)
{
	(void)state;
	for (unsigned i = 0; i < CLIENTS; i++) {
		struct connection *c = &clients.slots[i];

		if (c->state == CONNECTION_FREE)
			continue;
		catchup_forget(c);
		delivery_forget(&d, c);
	}
	assert_false(catchup_is_reading(&cu));
	for (unsigned i = 0; i < FILES && files[i].f != NULL; i++)
		assert_int_equal(files[i].f->readers, 0);
	catchup_close(&cu);
	history_close(&history);
	clients_close(&clients);
	pool_close(&pool);
	streams_close(&all);
	return 0;
}

/* ---- the files ---- */

/* The record of an update of one row with a text, at `at`.  Returns its length,
 * and sets *x to its columns. */
static size_t
make_record(size_t text_len, uint8_t *at, uint8_t **x)
{
	struct wire_writer w = wire_writer(at, FRAME_BYTES);

	wire_put_list(&w, KT_LIST, KA_NONE, 3);
	wire_put_symbol(&w, "upd");
	wire_put_symbol(&w, "t");
	*x = at + wire_written(&w);
	wire_put_list(&w, KT_LIST, KA_NONE, 3);
	wire_put_list(&w, KT_TIMESPAN, KA_NONE, 1);
	wire_put_u64(&w, text_len);
	wire_put_list(&w, KT_SYMBOL, KA_NONE, 1);
	wire_put_symbol_item(&w, "A", 1);
	wire_put_list(&w, KT_LIST, KA_NONE, 1);
	wire_put_list(&w, KT_CHAR, KA_NONE, (uint32_t)text_len);
	for (size_t i = 0; i < text_len; i++)
		wire_put_u8(&w, (uint8_t)('a' + (text_len + i) % 23));
	assert_false(w.is_full);
	return wire_written(&w);
}

/* Writes it as the next record of a file.  Returns the length of its frame,
 * which readers get if it is wanted. */
static size_t
add_record(struct file *file, size_t text_len, bool is_wanted)
{
	uint8_t *at = file->bytes + file->len, *x, *frame;
	size_t len = make_record(text_len, at, &x);
	struct update u;
	const char *why;

	assert_int_equal(update_parse(&schema.tables[0], x,
				      (size_t)(at + len - x), CHECK_TYPES, &u,
				      &why),
			 UPDATE_OK);
	frame = file->frames + file->frames_len;
	update_write(&u, 0, frame);
	file->len += len;
	if (is_wanted)
		file->frames_len += u.frame_len;
	return u.frame_len;
}

/* The text of a record whose frame has this length. */
static size_t
text_of(size_t frame_len)
{
	uint8_t *at = malloc(FRAME_BYTES), *x;
	size_t least = make_record(0, at, &x);

	free(at);
	return frame_len - least - record_saves(&schema.tables[0]);
}

/* A file that begins with what is in it from before this run. */
static void
begin_file(struct file *file, uint64_t records)
{
	struct history_file *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->fd = -2 - (int)(file - files);
	f->first_off = file->len;
	f->first_record = records;
	journal_index_add(&f->index,
			  (struct journal_index_entry){
				  .off = JOURNAL_HEADER_BYTES });
	file->f = f;
	history_begin(&history, f, all.main.head_pos);
}

/* The records of a run, in the ring and in the file. */
static void
publish(struct file *file, size_t text_len)
{
	const uint8_t *frame = file->frames + file->frames_len;
	uint64_t pos = all.main.head_pos;
	struct history_file *f = file->f;
	size_t len = add_record(file, text_len, true);

	assert_true(stream_has_room(&all.main, len));
	memcpy(stream_head(&all.main), frame, len);
	streams_commit(&all, 0, len, now);
	journal_index_add(&f->index, (struct journal_index_entry){
					     .off = f->written_off,
					     .record = f->written_records,
					     .pos = pos,
					     .time_ns = now });
	f->written_off = file->len;
	f->written_pos = all.main.head_pos;
	f->written_records++;
}

/* ---- the clients ---- */

/* A newcomer asks for the records of a file from one on. */
static struct connection *
ask(struct file *file, uint64_t record)
{
	struct connection *c = clients_find_free(&clients);
	struct selection s = selection_all(&schema);
	struct past_request request = {
		.place = history_find_record(file->f, record),
		.record = record,
		.epoch_limit = UINT64_MAX,
		.end_record = file->f->written_records,
	};

	clients_add(&clients, c, -1, SLOW_SPILL);
	c->state = CONNECTION_OPEN;
	list_remove(&c->hello_node);
	consumer_queue_past(&c->consumer, 0, &s, &request,
			    (struct reply_gate){ 0 }, now);
	assert_int_equal(c->consumer.state, CONSUMER_JOURNAL);
	catchup_wake(&cu, c);
	return c;
}

/* As the session ends a connection. */
static void
leave(struct connection *c)
{
	delivery_stop(c);
	catchup_stop(c);
	c->state = CONNECTION_CLOSING;
	catchup_forget(c);
	delivery_forget(&d, c);
	connection_fini(c);
	clients_remove(&clients, c);
}

/* The oldest read completes, with all that it asked for. */
static struct asked
complete_read(void)
{
	struct asked a = asked_take();
	const struct file *file = &files[-2 - a.fd];

	assert_int_equal(a.kind, ASKED_READ);
	assert_true(a.off + a.len <= file->len);
	memcpy(a.at, file->bytes + a.off, a.len);
	catchup_completed(&cu, a.ticket, (int32_t)a.len);
	return a;
}

/* What is read for a client is sent whole. */
static void
check_sent(struct connection *c, const uint8_t *wanted, size_t len)
{
	struct past *p = &c->consumer.past;

	assert_int_equal(p->len, len);
	assert_memory_equal(p->buffer, wanted, len);
	p->sent = p->len;
	catchup_wake(&cu, c);
}

/* All that a client gets until nothing more is read for it. */
static void
check_all(struct connection *c, const struct file *file)
{
	struct past *p = &c->consumer.past;
	size_t got = 0;

	for (unsigned turn = 0; turn < 100 && got < file->frames_len; turn++) {
		catchup_run(&cu, now);
		while (asked_cnt > 0)
			(void)complete_read();
		assert_true(p->len <= file->frames_len - got);
		assert_memory_equal(p->buffer, file->frames + got, p->len);
		got += p->len;
		p->sent = p->len;
		catchup_wake(&cu, c);
	}
	assert_int_equal(got, file->frames_len);
}

/* ---- whose bytes ---- */

/* A day of 10 records of 100 bytes, and one of so many of 200. */
static void
begin_two_days(unsigned second_cnt)
{
	files[0].len = files[1].len = JOURNAL_HEADER_BYTES;
	for (unsigned i = 0; i < 10; i++)
		(void)add_record(&files[0], 100, true);
	begin_file(&files[0], 10);
	history_end(&history, 1);
	for (unsigned i = 0; i < second_cnt; i++)
		(void)add_record(&files[1], 200, true);
	begin_file(&files[1], second_cnt);
}

/* A client ends while its read is in flight, and another gets its slot: the
 * read's bytes are not for that one. */
static void
test_a_slot_has_a_new_client(void **state)
{
	struct connection *first, *second;

	(void)state;
	begin_two_days(20);
	first = ask(&files[0], 0);
	catchup_run(&cu, now);
	assert_int_equal(asked_cnt, 1);
	leave(first);
	second = ask(&files[1], 0);
	assert_ptr_equal(second, first);
	catchup_run(&cu, now);
	assert_int_equal(asked_cnt, 2);
	assert_int_equal(files[0].f->readers, 1);
	(void)complete_read();
	assert_int_equal(files[0].f->readers, 0);
	assert_int_equal(second->consumer.past.len, 0);
	assert_true(second->consumer.past.is_reading);
	(void)complete_read();
	check_sent(second, files[1].frames, files[1].frames_len);
	leave(second);
}

/* The same if it is only on its way to its end. */
static void
test_a_client_that_ends(void **state)
{
	struct connection *c;

	(void)state;
	files[0].len = JOURNAL_HEADER_BYTES;
	(void)add_record(&files[0], 100, true);
	begin_file(&files[0], 1);
	c = ask(&files[0], 0);
	catchup_run(&cu, now);
	delivery_stop(c);
	catchup_stop(c);
	c->state = CONNECTION_CLOSING;
	(void)complete_read();
	assert_int_equal(c->consumer.past.len, 0);
	assert_false(list_is_linked(&c->consumer.past.node));
	assert_false(list_is_linked(&c->consumer.queue_node));
}

/* A read serves those whose place is in its first half, and up to as many as
 * there are reads; who wants earlier records gets a read of its own. */
static void
test_a_read_is_shared(void **state)
{
	struct connection *c[CLIENTS];
	struct asked a;

	(void)state;
	files[0].len = JOURNAL_HEADER_BYTES;
	for (unsigned i = 0; i < 100; i++)
		(void)add_record(&files[0], 1000, true);
	begin_file(&files[0], 100);
	for (unsigned i = 0; i < CLIENTS; i++)
		c[i] = ask(&files[0], 0);
	catchup_run(&cu, now);
	assert_int_equal(asked_cnt, CATCHUP_READS);
	a = complete_read();
	assert_int_equal(a.off, JOURNAL_HEADER_BYTES);
	/* its owner, and those who had no read */
	check_sent(c[0], files[0].frames, files[0].frames_len);
	for (unsigned i = 1; i < CATCHUP_READS; i++)
		assert_int_equal(c[i]->consumer.past.len, 0);
	for (unsigned i = CATCHUP_READS; i < CLIENTS; i++)
		check_sent(c[i], files[0].frames, files[0].frames_len);
	while (asked_cnt > 0)
		(void)complete_read();
	for (unsigned i = 1; i < CATCHUP_READS; i++)
		check_sent(c[i], files[0].frames, files[0].frames_len);
}

/* It serves nobody who reads another file, though the place is the same. */
static void
test_a_read_is_of_one_file(void **state)
{
	struct connection *other;

	(void)state;
	begin_two_days(10);
	for (unsigned i = 0; i < CATCHUP_READS; i++)
		(void)ask(&files[0], 0);
	other = ask(&files[1], 0);
	catchup_run(&cu, now);
	assert_int_equal(asked_cnt, CATCHUP_READS);
	while (asked_cnt > 0)
		(void)complete_read();
	assert_int_equal(other->consumer.past.len, 0);
	catchup_run(&cu, now);
	assert_int_equal(asked_cnt, 1);
	(void)complete_read();
	check_sent(other, files[1].frames, files[1].frames_len);
}

/* ---- what is sent ---- */

/* From before this run: what others wrote is sent up to a frame of message.max
 * bytes exactly, and left out beyond that; records after it are sent. */
static void
walk_foreign(uint64_t max)
{
	struct file *file = &files[0];

	start_with(max);
	file->len = JOURNAL_HEADER_BYTES;
	(void)add_record(file, 10, true);
	assert_int_equal(add_record(file, text_of(max), true), max);
	assert_int_equal(add_record(file, text_of(max + 1), false), max + 1);
	(void)add_record(file, 20, true);
	assert_int_equal(add_record(file, text_of(max - 1), true), max - 1);
	begin_file(file, 5);
	check_all(ask(file, 0), file);
	assert_int_equal(cu.refused_records, 1);
	stop(NULL);
}

static void
test_the_longest_foreign_record(void **state)
{
	(void)state;
	walk_foreign(64 << 10);
	walk_foreign(CATCHUP_BUFFER_BYTES + 1000);
	walk_foreign(1 << 20);
}

/* Whether the machine has given memory to the client's buffer. */
static bool
has_memory(const struct connection *c)
{
	unsigned char page;

	assert_int_equal(mincore(c->consumer.past.buffer, 1, &page), 0);
	return (page & 1) != 0;
}

/* It returns below the return mark and not at the leave mark: else it would
 * leave again at once.  Then its buffer takes no memory any more. */
static void
test_the_return_mark(void **state)
{
	struct file *file = &files[0];
	struct connection *c, *who;
	uint64_t read_to;

	(void)state;
	file->len = JOURNAL_HEADER_BYTES;
	begin_file(file, 0);
	while (all.main.head_pos < RING_BYTES / 100 * 50)
		publish(file, 1000);
	c = ask(file, 0);
	catchup_run(&cu, now);
	assert_int_equal(asked_cnt, 1);
	assert_int_equal(catchup_next_outcome(&cu, &who), OUTCOME_NONE);
	assert_int_equal(c->consumer.state, CONSUMER_JOURNAL);
	(void)complete_read();
	assert_true(has_memory(c));
	check_sent(c, file->frames, file->frames_len);
	read_to = all.main.head_pos;
	publish(file, 1000);
	catchup_run(&cu, now);
	assert_int_equal(asked_cnt, 0);
	assert_int_equal(catchup_next_outcome(&cu, &who), OUTCOME_CAUGHT_UP);
	assert_ptr_equal(who, c);
	assert_int_equal(c->consumer.state, CONSUMER_LIVE);
	assert_int_equal(c->consumer.here.pos, read_to);
	assert_false(has_memory(c));
}

static void
check_lag(const struct connection *c, uint64_t wanted, int64_t wanted_age_ns)
{
	uint64_t records;
	int64_t age_ns;

	consumer_lag_records(&c->consumer, now, &records, &age_ns);
	assert_int_equal(records, wanted);
	assert_int_equal(age_ns, wanted_age_ns);
}

/* Of who has left the ring within a message: what it lacks, and since when. */
static void
test_the_lag_in_the_past(void **state)
{
	enum { SENT = 100, LONG = RING_BYTES / 8 * 5 };
	struct connection *c = clients_find_free(&clients);
	struct file *file = &files[0];
	struct history_place place;
	struct span span;
	size_t first;

	(void)state;
	file->len = JOURNAL_HEADER_BYTES;
	begin_file(file, 0);
	clients_add(&clients, c, -1, SLOW_SPILL);
	c->state = CONNECTION_OPEN;
	list_remove(&c->hello_node);
	consumer_queue(&c->consumer, 0, &all.main, (struct reply_gate){ 0 });
	publish(file, 1000);
	first = file->frames_len;
	assert_true(consumer_next(&c->consumer, SENT, &span));
	c->consumer.writing = span.part;
	c->consumer.writing_len = span.len;
	assert_null(consumer_written(&c->consumer, SENT));
	place = history_start(file->f);
	consumer_leave(&c->consumer, &place, now);
	catchup_wake(&cu, c);
	now += NS_PER_S;
	publish(file, LONG); /* so that it does not return */
	now += NS_PER_S;
	catchup_run(&cu, now);
	check_lag(c, 2, 2 * NS_PER_S);
	(void)complete_read();
	check_lag(c, 2, 2 * NS_PER_S);
	c->consumer.past.sent = first - SENT - 1;
	check_lag(c, 2, 2 * NS_PER_S);
	c->consumer.past.sent++;
	check_lag(c, 1, 2 * NS_PER_S);
	check_sent(c, file->frames + SENT, file->frames_len - SENT);
	check_lag(c, 0, 0);
	publish(file, LONG);
	now += NS_PER_S;
	catchup_run(&cu, now);
	(void)complete_read();
	check_lag(c, 1, NS_PER_S);
}

/* Bytes that cannot be read end their client, and no other. */
static void
test_an_unreadable_place(void **state)
{
	struct connection *c, *other, *who;
	struct asked a;

	(void)state;
	files[0].len = JOURNAL_HEADER_BYTES;
	(void)add_record(&files[0], 100, true);
	begin_file(&files[0], 1);
	c = ask(&files[0], 0);
	catchup_run(&cu, now);
	other = ask(&files[0], 0);
	a = asked_take();
	catchup_completed(&cu, a.ticket, -EAGAIN);
	assert_int_equal(catchup_next_outcome(&cu, &who), OUTCOME_NONE);
	catchup_run(&cu, now);
	a = asked_take();
	assert_int_equal(a.ticket.slot, 0);
	catchup_completed(&cu, a.ticket, -EIO);
	assert_int_equal(catchup_next_outcome(&cu, &who), OUTCOME_UNREADABLE);
	assert_int_equal(catchup_next_outcome(&cu, &who), OUTCOME_NONE);
	leave(who);
	while (asked_cnt > 0)
		(void)complete_read();
	check_sent(who == c ? other : c, files[0].frames, files[0].frames_len);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_slot_has_a_new_client,
						start, stop),
		cmocka_unit_test_setup_teardown(test_a_client_that_ends, start,
						stop),
		cmocka_unit_test_setup_teardown(test_a_read_is_shared, start,
						stop),
		cmocka_unit_test_setup_teardown(test_a_read_is_of_one_file,
						start, stop),
		cmocka_unit_test(test_the_longest_foreign_record),
		cmocka_unit_test_setup_teardown(test_the_return_mark, start,
						stop),
		cmocka_unit_test_setup_teardown(test_the_lag_in_the_past, start,
						stop),
		cmocka_unit_test_setup_teardown(test_an_unreadable_place, start,
						stop),
	};

	return cmocka_run_group_tests(tests, schema_open_texts, schema_close);
}
