/*
 * Sessions, and what they wait for: a server without a journal, on a double of
 * the engine, whose time is a number.  The clients are pairs of sockets from
 * which nothing is read: a test puts bytes where they are received.
 */
#include "config.h"

#include "daemon/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "../engine_double.h"
#include "../everybody.h"
#include "../frames.h"
#include "base/clock.h"
#include "daemon/buffer_holders.h"
#include "daemon/buffers.h"
#include "daemon/deadline.h"
#include "daemon/login.h"
#include "daemon/reload.h"
#include "daemon/report.h"
#include "daemon/slow_consumers.h"
#include "daemon/wait.h"
#include "daemon/wait_serve.h"
#include "wire/wire.h"

enum {
	CLIENTS = 8,
	RING_BYTES = 65536,
	MESSAGE_MAX = 16384,
	RECEIVE_BYTES = 8192,
	BUFFERS = 4,
};

static struct settings settings;
static struct server s;
static int peers[CLIENTS]; /* the other ends, by slot */

static int64_t
clock_of_server(void)
{
	return s.now_ns;
}

static int
start(void **state)
{
	(void)state;
	settings = (struct settings){ .tables = schema };
	settings.message.max = MESSAGE_MAX;
	settings.message.buffers = BUFFERS;
	settings.message.timeout = 10 * NS_PER_S;
	settings.connections.max = CLIENTS;
	settings.connections.handshake_timeout = 5 * NS_PER_S;
	settings.connections.send_buffer = 65536;
	settings.slow.policy = SLOW_SPILL;
	settings.slow.spill_limit = 60 * NS_PER_S;
	settings.journal.directory = "";
	settings.schema.check = CHECK_TYPES;
	settings.auth.others = &everybody;
	asked_cnt = 0;
	s = (struct server){
		.settings = &settings,
		.next_deadline_ns = INT64_MAX,
		.budget = { .clock_ns = clock_of_server },
		.lag_limits = { 75, 50, 5 * NS_PER_S },
		.now_ns = 1000 * NS_PER_S,
	};
	s.listeners.all[0].settings = &settings.listen;
	report_open(&s);
	streams_open_at(&s.streams, &schema, RING_BYTES, 0, 0, 0);
	s.streams.clock_ns = clock_of_server;
	s.streams.long_bytes = UINT64_MAX;
	history_init(&s.journal.history);
	assert_int_equal(tick_open(&s.tick, &settings, &s.streams, &s.counters,
				   &s.journal.state, &s.journal.history),
			 0);
	s.tick.time.clock_ns = s.tick.time.cpu_ns = clock_of_server;
	assert_true(tick_set_time(&s.tick, clock_utc_ns(), s.now_ns));
	assert_int_equal(pool_open(&s.pool, BUFFERS, MESSAGE_MAX), 0);
	assert_int_equal(clients_open(&s.clients, CLIENTS, RECEIVE_BYTES,
				      s.tick.reply_max, &s.streams),
			 0);
	assert_int_equal(shares_open(&s.shares, CLIENTS, 1), 0);
	wait_init(&s);
	delivery_init(&s.delivery, NULL, &s.streams, &s.pool, 1 << 20, 1 << 20,
		      &s.journal.state);
	assert_int_equal(catchup_open(&s.catchup, &settings, NULL, &s.streams,
				      &s.journal.history, &s.delivery),
			 0);
	budget_begin_turn(&s.budget, s.now_ns);
	return 0;
}

/* All that is in flight ends. */
static void
end_all(struct connection *c)
{
	session_close(&s, c, CLOSE_stopping, NULL);
	if (c->consumer.writing != PART_NONE)
		(void)delivery_completed(&s.delivery, c, 0);
	c->is_receiving = false;
	c->ops_cnt = 0;
	session_reap(&s, c);
}

static int
stop(void **state)
{
	(void)state;
	for (unsigned i = 0; i < CLIENTS; i++) {
		end_all(&s.clients.slots[i]);
		if (peers[i] != 0)
			(void)close(peers[i]);
		peers[i] = 0;
	}
	assert_int_equal(s.clients.open_cnt, 0);
	assert_int_equal(s.waiting_cnt, 0);
	assert_int_equal(s.pool.free_cnt, BUFFERS);
	catchup_close(&s.catchup);
	history_close(&s.journal.history);
	pool_close(&s.pool);
	clients_close(&s.clients);
	shares_close(&s.shares);
	tick_close(&s.tick);
	streams_close(&s.streams);
	return 0;
}

/* ---- the clients ---- */

/* The bytes are received. */
static void
say(struct connection *c, const void *bytes, size_t len)
{
	uint8_t *at;
	size_t room;

	assert_true(c->is_receiving);
	c->is_receiving = false;
	connection_room(c, &at, &room);
	assert_true(len <= room);
	memcpy(at, bytes, len);
	asked_cnt = 0;
	c->ops_cnt--;
	session_received(&s, c, (int32_t)len);
}

/* All that can be written is, whole. */
static void
deliver(void)
{
	for (unsigned turn = 0; turn < 10; turn++)
		for (unsigned i = 0; i < CLIENTS; i++) {
			struct connection *c = &s.clients.slots[i];

			delivery_run(&s.delivery, s.now_ns);
			if (c->consumer.writing == PART_NONE)
				continue;
			c->ops_cnt--;
			session_written(&s, c,
					(int32_t)c->consumer.writing_len);
		}
	asked_cnt = 0;
}

static struct connection *
come(const char *name)
{
	struct connection *c = clients_find_free(&s.clients);
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	peers[c->slot] = fds[1];
	session_accepted(&s, 0, fds[0]);
	say(c, name, strlen(name) + 1);
	deliver();
	assert_int_equal(c->state, CONNECTION_OPEN);
	return c;
}

/* An update of one row with a text of this length. */
static size_t
make_update(uint8_t *at, size_t text_len)
{
	struct wire_writer w = wire_writer(at, MESSAGE_MAX);
	size_t header = wire_begin_frame(&w, WIRE_ASYNC);

	wire_put_list(&w, KT_LIST, KA_NONE, 3);
	wire_put_symbol(&w, ".u.upd");
	wire_put_symbol(&w, "t");
	wire_put_list(&w, KT_LIST, KA_NONE, 3);
	wire_put_u8(&w, (uint8_t)-KT_TIMESPAN);
	wire_put_u64(&w, 1);
	wire_put_symbol(&w, "A");
	wire_put_list(&w, KT_CHAR, KA_NONE, (uint32_t)text_len);
	for (size_t i = 0; i < text_len; i++)
		wire_put_u8(&w, 'x');
	wire_end_frame(&w, header);
	assert_false(w.is_full);
	return wire_written(&w);
}

static void
update(struct connection *c, size_t text_len)
{
	uint8_t frame[MESSAGE_MAX];

	say(c, frame, make_update(frame, text_len));
}

/* Reads the stream of everything. */
static void
subscribe(struct connection *c)
{
	consumer_queue(&c->consumer, 0, &s.streams.main,
		       (struct reply_gate){ 0 });
	delivery_wake(&s.delivery, c);
}

static void
next_turn(int64_t ns)
{
	s.now_ns += ns;
	s.tick.now_ns = s.now_ns;
	budget_begin_turn(&s.budget, s.now_ns);
	wait_serve(&s);
}

/* ---- waiting for room ---- */

/* A long update that waits for room is not starved by short ones that still
 * fit: other feeds queue after it, and get their turn after it. */
static void
test_a_long_update_is_not_starved(void **state)
{
	struct connection *reader = come("reader"), *a = come("a"),
			  *b = come("b"), *c = come("c");
	uint64_t records;

	(void)state;
	subscribe(reader);
	update(a, 10);
	update(b, 10);
	update(c, 10);
	while (s.streams.main.head_pos < RING_BYTES - 3000)
		update(a, 1000);
	records = s.streams.main.records;
	update(b, 3500);
	assert_int_equal(b->waits_for, WAIT_ROOM);
	update(c, 10);
	assert_int_equal(c->waits_for, WAIT_ROOM);
	/* there is room for the short one, and not for the long one */
	assert_true(stream_has_room(&s.streams.main, 500));
	next_turn(NS_PER_MS);
	assert_int_equal(b->waits_for, WAIT_ROOM);
	assert_int_equal(c->waits_for, WAIT_ROOM);
	assert_int_equal(s.streams.main.records, records);
	/* nobody is cut off for that, however long it takes */
	next_turn(3600 * NS_PER_S);
	session_check_deadlines(&s, true);
	buffer_holders_check(&s);
	assert_int_equal(b->state, CONNECTION_OPEN);
	deliver();
	next_turn(NS_PER_MS);
	assert_int_equal(s.streams.main.records, records + 2);
	assert_int_equal(b->waits_for, WAIT_NOTHING);
	assert_int_equal(c->waits_for, WAIT_NOTHING);
}

/* The reader takes so many bytes and no more. */
static void
read_some(struct connection *reader, size_t len)
{
	delivery_run(&s.delivery, s.now_ns);
	assert_true(reader->consumer.writing_len >= len);
	reader->ops_cnt--;
	session_written(&s, reader, (int32_t)len);
	asked_cnt = 0;
}

/* The same with one who has published nothing yet, and waits itself: room that
 * is enough for it alone is kept for who came first. */
static void
test_first_come_first_served(void **state)
{
	struct connection *reader = come("reader"), *a = come("a"),
			  *b = come("b"), *newcomer = come("newcomer");
	uint64_t records;

	(void)state;
	subscribe(reader);
	update(a, 10);
	update(b, 10);
	while (stream_has_room(&s.streams.main, 2000))
		update(a, 500);
	records = s.streams.main.records;
	update(b, 7500);
	update(newcomer, 3000);
	assert_int_equal(b->waits_for, WAIT_ROOM);
	assert_int_equal(newcomer->waits_for, WAIT_ROOM);
	read_some(reader, 5000);
	assert_true(stream_has_room(&s.streams.main, 3500));
	assert_false(stream_has_room(&s.streams.main, 7600));
	next_turn(NS_PER_MS);
	assert_int_equal(s.streams.main.records, records);
	deliver();
	next_turn(NS_PER_MS);
	assert_int_equal(s.streams.main.records, records + 2);
}

/* ---- buffers ---- */

/* A message that is longer than a connection's own buffer, all of it but the
 * last byte. */
static void
say_long(struct connection *c)
{
	static uint8_t frame[MESSAGE_MAX];
	size_t len = make_update(frame, 12000);
	size_t first = c->small_bytes;

	say(c, frame, first);
	assert_int_equal(c->waits_for, WAIT_NOTHING);
	say(c, frame + first, len - first - 1);
}

/* A frame that has arrived whole waits for something else than its sender, who
 * is not cut off; one of which something lacks is. */
static void
test_who_holds_a_buffer(void **state)
{
	struct connection *feed = come("feed"), *idle = come("idle");

	(void)state;
	update(feed, 10);
	s.tick.is_held = true;
	say_long(feed);
	say(feed, "x", 1);
	assert_int_equal(feed->waits_for, WAIT_HOLD);
	say_long(idle);
	next_turn(settings.message.timeout / 2);
	buffer_holders_check(&s);
	assert_int_equal(idle->state, CONNECTION_OPEN);
	next_turn(settings.message.timeout);
	buffer_holders_check(&s);
	session_check_deadlines(&s, true);
	assert_int_equal(idle->state, CONNECTION_CLOSING);
	assert_int_equal(idle->reason, CLOSE_message_timeout);
	assert_int_equal(feed->state, CONNECTION_OPEN);
	s.tick.is_held = false;
	next_turn(NS_PER_MS);
	assert_int_equal(feed->in_records, 2);
	assert_int_equal(feed->waits_for, WAIT_NOTHING);
}

/* The last buffer is kept for those who publish; of the others each name has
 * half. */
static void
test_the_last_buffer(void **state)
{
	static const char *const names[] = { "a", "b", "c", "d" };
	struct connection *c[4], *feed = come("feed");

	(void)state;
	update(feed, 10);
	for (unsigned i = 0; i < 4; i++) {
		c[i] = come(names[i]);
		/* as if each came from another machine */
		c[i]->consumer.address = i + 1;
	}
	for (unsigned i = 0; i < 3; i++)
		say_long(c[i]);
	assert_int_equal(s.pool.free_cnt, 1);
	assert_false(buffers_may_take(&s, c[3], POOL_INPUT));
	assert_true(buffers_may_take(&s, feed, POOL_INPUT));
	say_long(feed);
	assert_int_equal(s.pool.free_cnt, 0);
}

/* ---- consumers ---- */

/* Reads the past, which no file has yet. */
static void
read_past(struct connection *c)
{
	struct selection all = selection_all(&schema);
	struct history_file *f = calloc(1, sizeof(*f));
	struct past_request request = { .epoch_limit = UINT64_MAX };

	assert_non_null(f);
	f->fd = -1;
	f->first_off = 8;
	history_begin(&s.journal.history, f, 0);
	request.place = history_start(f);
	consumer_queue_past(&c->consumer, 0, &all, &request,
			    (struct reply_gate){ 0 }, s.now_ns);
	catchup_wake(&s.catchup, c);
	assert_true(list_is_linked(&c->consumer.past.node));
}

/* Who sends a malformed message while it waits for the journal is in no list of
 * those who wait: what comes next ends no other connection. */
static void
test_malformed_while_it_waits_for_the_journal(void **state)
{
	struct connection *bad = come("bad"), *good = come("good");

	(void)state;
	read_past(bad);
	say(bad, "\2\0\0\0\0\0\0\0", 8);
	assert_int_equal(bad->state, CONNECTION_LINGERING);
	assert_true(list_is_empty(&s.catchup.need_read));
	assert_true(list_is_empty(&s.catchup.outcomes));
	catchup_run(&s.catchup, s.now_ns);
	assert_int_equal(good->state, CONNECTION_OPEN);
	/* and it is given its time, no more */
	s.now_ns += 2 * NS_PER_S;
	session_check_deadlines(&s, true);
	assert_int_equal(bad->state, CONNECTION_CLOSING);
}

/* A consumer may read the past for slow.spill_limit, and no longer; time in
 * which the daemon was stopped does not count. */
static void
test_spill_limit(void **state)
{
	struct connection *c = come("slow");

	(void)state;
	read_past(c);
	s.now_ns += settings.slow.spill_limit - 1;
	session_check_spills(&s);
	assert_int_equal(c->state, CONNECTION_OPEN);
	s.now_ns += 30 * NS_PER_S;
	deadline_begin_turn(&s, 30 * NS_PER_S);
	session_check_spills(&s);
	assert_int_equal(c->state, CONNECTION_OPEN);
	s.now_ns += 1;
	session_check_spills(&s);
	assert_int_equal(c->state, CONNECTION_CLOSING);
	assert_int_equal(c->reason, CLOSE_slow_spill);
}

/* A change of the subscription of one who reads the journal, after a message
 * that is not written, while the journal does not move. */
static struct connection *
change_while_stuck(bool is_early)
{
	struct connection *c = come("reader"), *feed = come("feed");
	struct selection all = selection_all(&schema);
	struct reply_gate gate = { .kind = REPLY_OF_SUBSCRIPTION,
				   .is_early = is_early };

	update(feed, 100);
	read_past(c);
	consumer_queue_past(&c->consumer, 9, &all, NULL, gate, s.now_ns);
	s.journal.state.is_stuck = true;
	s.journal.writing.moved_ns = s.now_ns - 2 * NS_PER_S;
	session_check_spills(&s);
	s.journal.state.is_stuck = false;
	return c;
}

/* The reply said that the message is to be replayed, and it may never be
 * written: it is replaced by an error.  At an earlier place it would have the
 * client get the message twice. */
static void
test_a_promise_while_the_journal_is_stuck(void **state)
{
	struct connection *c = change_while_stuck(false);

	(void)state;
	assert_int_equal(c->state, CONNECTION_ENDING);
	assert_int_equal(c->reason, CLOSE_journal);
}

/* One that said no more than what is written is answered. */
static void
test_no_promise_while_the_journal_is_stuck(void **state)
{
	struct connection *c = change_while_stuck(true);

	(void)state;
	assert_int_equal(c->state, CONNECTION_OPEN);
}

/* From now on a slow one has a second, and no more. */
static void
check_has_a_second(struct connection *c)
{
	s.now_ns += NS_PER_S - 1;
	assert_false(slow_consumers_judge(&s, c));
	assert_int_equal(c->state, CONNECTION_OPEN);
	s.now_ns += 1;
	assert_false(slow_consumers_judge(&s, c));
	assert_int_equal(c->state, CONNECTION_CLOSING);
	assert_int_equal(c->reason, CLOSE_slow);
}

/* When the journal has revealed much at once, nobody can have taken it yet: a
 * consumer has a second. */
static void
test_what_the_journal_reveals(void **state)
{
	struct connection *c, *feed = come("feed");

	(void)state;
	settings.slow.policy = SLOW_DISCONNECT;
	c = come("reader");
	subscribe(c);
	s.streams.main.is_gated = true;
	while (s.streams.main.head_pos < RING_BYTES / 100 * 80)
		update(feed, 1000);
	stream_show(&s.streams.main, s.streams.main.head_pos, s.now_ns);
	assert_false(slow_consumers_judge(&s, c));
	check_has_a_second(c);
}

/* Nor can a consumer take what is behind its reply while that waits for the
 * journal: it has a second from then on. */
static void
test_behind_a_reply_that_waits(void **state)
{
	struct connection *c, *feed = come("feed");
	uint64_t reached = 0;

	(void)state;
	settings.slow.policy = SLOW_DISCONNECT;
	c = come("reader");
	subscribe(c);
	consumer_queue(&c->consumer, 8, NULL,
		       (struct reply_gate){ .reached = &reached, .pos = 1 });
	while (s.streams.main.head_pos < RING_BYTES / 100 * 80)
		update(feed, 1000);
	s.now_ns += 10 * NS_PER_S;
	assert_false(slow_consumers_judge(&s, c));
	reached = 1;
	check_has_a_second(c);
}

/* ---- the end ---- */

/* While the daemon stops nothing more is received from one whose socket was
 * empty once. */
static void
test_nothing_is_received_while_stopping(void **state)
{
	struct connection *c = come("feed");

	(void)state;
	s.is_stopping = true;
	update(c, 10);
	assert_int_equal(c->in_records, 1);
	assert_false(c->is_receiving);
}

/* Whoever is not read any more because of the stop is not late with the rest
 * of a long message: it ends as the others do, and its unread bytes are told.
 */
static void
test_a_long_message_that_a_stop_cuts(void **state)
{
	static uint8_t frame[MESSAGE_MAX];
	struct connection *c = come("feed");

	(void)state;
	(void)make_update(frame, 12000);
	say(c, frame, c->small_bytes);
	s.is_stopping = true;
	say(c, frame + c->small_bytes, 100);
	assert_false(c->is_receiving);
	next_turn(2 * settings.message.timeout);
	buffer_holders_check(&s);
	assert_int_equal(c->state, CONNECTION_FREE);
	assert_int_equal(c->reason, CLOSE_stopping);
}

/* ---- a reload ---- */

static const struct rights nobody = { .policy = -1, .spill_limit = -1 };

/* The files are read: nobody has more rights than `nobody`. */
static void
adopt(void)
{
	settings.auth.others = &nobody;
	s.reload.settings = &settings;
	s.reload.begun_cnt = 1;
	s.reload.is_giving = true;
}

/* A subscription that was allowed, and whose reply waits for its place, does
 * not begin when its user has lost the right to it. */
static void
test_a_subscription_that_waits_loses_its_right(void **state)
{
	struct connection *c = come("reader"), *other = come("other");

	(void)state;
	c->answer = (struct answer){ .is_kept = true, .is_subscribing = true };
	selection_add(&c->answer.selection, 0);
	adopt();
	assert_false(reload_run(&s));
	assert_int_equal(c->state, CONNECTION_CLOSING);
	assert_int_equal(c->reason, CLOSE_rights);
	assert_int_equal(other->state, CONNECTION_OPEN);
}

/* Who has asked for a reload is answered when all have their rights. */
static void
test_a_reload_is_over_when_all_have_their_rights(void **state)
{
	struct connection *c = come("boss");

	(void)state;
	adopt();
	c->is_reloading = true;
	c->reload_no = 1;
	assert_false(reload_is_over(&s, c));
	assert_false(reload_run(&s));
	assert_ptr_equal(c->rights, &nobody);
	assert_true(reload_is_over(&s, c));
}

/* A reload that ends after the last look at its answers does not make the
 * daemon wait for a ringtick-login that nobody asks any more. */
static void
test_a_reload_that_ends_in_a_stop(void **state)
{
	int fds[2];
	char byte;

	(void)state;
	login_init(&s.login);
	login_stop(&s);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	login_use(&s, fds[0]);
	assert_false(login_is_reading(&s.login));
	login_close(&s);
	assert_int_equal(recv(fds[1], &byte, 1, MSG_DONTWAIT), 0);
	(void)close(fds[1]);
}

/* ---- places ---- */

/* The last eighth of the places is for who may publish. */
static void
test_the_last_place(void **state)
{
	static struct rights reads;
	struct connection *refused;
	int fds[2];

	(void)state;
	reads = everybody;
	memset(reads.publish, 0, sizeof(reads.publish));
	settings.auth.others = &reads;
	for (unsigned i = 0; i < CLIENTS - 1; i++)
		(void)come("reader");
	refused = clients_find_free(&s.clients);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	session_accepted(&s, 0, fds[0]);
	say(refused, "reader", sizeof("reader"));
	(void)close(fds[1]);
	assert_int_equal(refused->reason, CLOSE_kept);
	session_reap(&s, refused);
	assert_int_equal(s.clients.open_cnt, CLIENTS - 1);
	settings.auth.others = &everybody;
	(void)come("feed");
	assert_int_equal(s.clients.in_cnt, CLIENTS);
}

/* ---- many that end ---- */

static void
end_peer(struct connection *c)
{
	c->is_receiving = false;
	c->ops_cnt--;
	session_received(&s, c, 0);
}

/* Where many events have come, few of those whose peer has ended are closed in
 * one turn; and one that is closed for another reason meanwhile is closed
 * once. */
static void
test_many_ends(void **state)
{
	struct connection *all[6];

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(all); i++)
		all[i] = come("a");
	s.is_crowded = true;
	for (unsigned i = 0; i < 4; i++)
		end_peer(all[i]);
	assert_int_equal(s.clients.open_cnt, 5);
	assert_int_equal(all[0]->state, CONNECTION_FREE);
	session_end_lost(&s);
	assert_int_equal(s.clients.open_cnt, 5);
	session_close(&s, all[1], CLOSE_slow, NULL);
	assert_int_equal(s.clients.open_cnt, 4);
	session_end_lost(&s);
	assert_int_equal(s.clients.open_cnt, 3);
	assert_int_equal(all[2]->state, CONNECTION_FREE);
	s.is_crowded = false;
	session_end_lost(&s);
	assert_int_equal(s.clients.open_cnt, 2);
	assert_true(list_is_empty(&s.clients.lost));
	end_peer(all[4]);
	end_peer(all[5]);
	assert_int_equal(s.clients.open_cnt, 0);
	assert_int_equal(s.clients.in_cnt, 0);
	assert_int_equal(s.counters.disconnects, 6);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_a_long_update_is_not_starved, start, stop),
		cmocka_unit_test_setup_teardown(test_first_come_first_served,
						start, stop),
		cmocka_unit_test_setup_teardown(test_who_holds_a_buffer, start,
						stop),
		cmocka_unit_test_setup_teardown(test_the_last_buffer, start,
						stop),
		cmocka_unit_test_setup_teardown(
			test_malformed_while_it_waits_for_the_journal, start,
			stop),
		cmocka_unit_test_setup_teardown(test_spill_limit, start, stop),
		cmocka_unit_test_setup_teardown(
			test_a_promise_while_the_journal_is_stuck, start, stop),
		cmocka_unit_test_setup_teardown(
			test_no_promise_while_the_journal_is_stuck, start,
			stop),
		cmocka_unit_test_setup_teardown(test_what_the_journal_reveals,
						start, stop),
		cmocka_unit_test_setup_teardown(test_behind_a_reply_that_waits,
						start, stop),
		cmocka_unit_test_setup_teardown(
			test_nothing_is_received_while_stopping, start, stop),
		cmocka_unit_test_setup_teardown(
			test_a_long_message_that_a_stop_cuts, start, stop),
		cmocka_unit_test_setup_teardown(
			test_a_subscription_that_waits_loses_its_right, start,
			stop),
		cmocka_unit_test_setup_teardown(
			test_a_reload_is_over_when_all_have_their_rights,
			start, stop),
		cmocka_unit_test_setup_teardown(
			test_a_reload_that_ends_in_a_stop, start, stop),
		cmocka_unit_test_setup_teardown(test_the_last_place, start,
						stop),
		cmocka_unit_test_setup_teardown(test_many_ends, start, stop),
	};

	return cmocka_run_group_tests(tests, schema_open_texts, schema_close);
}
