#include "config.h"

#include "daemon/selftest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"
#include "wire/wire.h"

enum {
	WRITER_SLOT = 0,
	READER_SLOT = 1,
	ROWS = 64,
	MESSAGE_MAX = 4096,
};

#define LIMIT_NS (5 * NS_PER_S)

/* Writes a message as subscribers get it, with bytes that differ from their
 * neighbours: (`upd;`trade;([]time;sym;size)). */
static size_t
write_message(uint8_t *at, size_t room)
{
	static const char *const names[] = { "time", "sym", "size" };
	struct wire_writer w = wire_writer(at, room);
	size_t header = wire_begin_frame(&w, WIRE_ASYNC);

	wire_put_list(&w, KT_LIST, KA_NONE, 3);
	wire_put_symbol(&w, "upd");
	wire_put_symbol(&w, "trade");
	wire_put_u8(&w, KT_TABLE);
	wire_put_u8(&w, KA_NONE);
	wire_put_u8(&w, KT_DICT);
	wire_put_list(&w, KT_SYMBOL, KA_NONE, ARRAY_LEN(names));
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		wire_put_symbol_item(&w, names[i], strlen(names[i]));
	wire_put_list(&w, KT_LIST, KA_NONE, ARRAY_LEN(names));
	wire_put_list(&w, KT_TIMESPAN, KA_NONE, ROWS);
	for (uint64_t i = 0; i < ROWS; i++)
		wire_put_u64(&w, i * UINT64_C(0x9e3779b97f4a7c15));
	wire_put_list(&w, KT_SYMBOL, KA_NONE, ROWS);
	for (size_t i = 0; i < ROWS; i++)
		wire_put_symbol_item(&w, &"ABCDEFGH"[i % 8], 1);
	wire_put_list(&w, KT_LONG, KA_NONE, ROWS);
	for (uint64_t i = 0; i < ROWS; i++)
		wire_put_u64(&w, i * UINT64_C(0xbf58476d1ce4e5b9));
	wire_end_frame(&w, header);
	CHECK(!w.is_full);
	return wire_written(&w);
}

struct transfer {
	struct engine *engine;
	const uint8_t *from;
	size_t len, sent, received;
	uint8_t into[MESSAGE_MAX];
	bool is_writing, is_reading;
	int error;
};

static struct ticket
slot_ticket(unsigned slot, enum engine_kind kind)
{
	return (struct ticket){ .slot = (uint16_t)slot,
				.kind = (uint8_t)kind };
}

static void
arm_transfer(struct transfer *t)
{
	if (!t->is_writing && t->sent < t->len) {
		engine_write(t->engine, t->from + t->sent, t->len - t->sent,
			     slot_ticket(WRITER_SLOT, ENGINE_WRITE));
		t->is_writing = true;
	}
	if (!t->is_reading && t->received < t->len) {
		engine_recv(t->engine, t->into + t->received,
			    sizeof(t->into) - t->received,
			    slot_ticket(READER_SLOT, ENGINE_RECV));
		t->is_reading = true;
	}
}

static void
on_completion(struct transfer *t, const struct completion *done)
{
	size_t n = done->result > 0 ? (size_t)done->result : 0;

	if (done->result < 0)
		t->error = -done->result;
	if (done->ticket.kind == ENGINE_WRITE) {
		t->is_writing = false;
		t->sent += n;
	} else {
		t->is_reading = false;
		t->received += n;
	}
}

/* Sends through the engine until all bytes were received.  0 or an errno. */
static int
run_transfer(struct transfer *t)
{
	int64_t until = clock_monotonic_ns() + LIMIT_NS;

	while (t->received < t->len && t->error == 0) {
		struct completion done[8];
		unsigned n;

		if (clock_monotonic_ns() > until)
			return ETIMEDOUT;
		arm_transfer(t);
		n = engine_turn(t->engine, done, ARRAY_LEN(done),
				100 * NS_PER_MS);
		for (unsigned i = 0; i < n; i++)
			on_completion(t, &done[i]);
	}
	return t->error;
}

/* Waits for operations in flight: they use memory of the caller. */
static void
drain_transfer(struct transfer *t)
{
	int64_t until = clock_monotonic_ns() + LIMIT_NS;

	while ((t->is_writing || t->is_reading) &&
	       clock_monotonic_ns() < until) {
		struct completion done[8];
		unsigned n = engine_turn(t->engine, done, ARRAY_LEN(done),
					 100 * NS_PER_MS);

		for (unsigned i = 0; i < n; i++)
			on_completion(t, &done[i]);
	}
}

size_t
selftest_message_len(void)
{
	uint8_t message[MESSAGE_MAX];

	return write_message(message, sizeof(message));
}

static const char *
compare_bytes(const struct transfer *t, const uint8_t *expected)
{
	if (t->received != t->len)
		return "fewer bytes arrived than were sent";
	if (memcmp(t->into, expected, t->len) != 0)
		return "the bytes that arrived differ";
	return NULL;
}

bool
selftest_straddle(struct engine *e, const struct ring *ring, size_t before,
		  char *err, size_t err_len)
{
	uint8_t expected[MESSAGE_MAX];
	struct transfer t = { .engine = e };
	const char *problem = NULL;
	int pair[2], error;

	t.len = write_message(expected, sizeof(expected));
	t.from = ring->base + ring->size - before;
	memcpy(ring->base + ring->size - before, expected, t.len);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
		(void)snprintf(err, err_len, "socketpair: %s",
			       strerror(errno));
		return false;
	}
	error = -engine_bind(e, WRITER_SLOT, pair[0]);
	if (error == 0)
		error = -engine_bind(e, READER_SLOT, pair[1]);
	if (error == 0)
		error = run_transfer(&t);
	if (error == 0)
		problem = compare_bytes(&t, expected);
	else
		problem = strerror(error);
	(void)shutdown(pair[0], SHUT_RDWR);
	drain_transfer(&t);
	(void)engine_bind(e, WRITER_SLOT, -1);
	(void)engine_bind(e, READER_SLOT, -1);
	(void)close(pair[0]);
	(void)close(pair[1]);
	if (problem != NULL)
		(void)snprintf(err, err_len,
			       "a message of %zu bytes, %zu of them before the "
			       "seam: %s",
			       t.len, before, problem);
	return problem == NULL;
}

/* ---- --self-test ---- */

static bool
run_offsets(struct engine *e, const struct ring *ring, enum engine_mode mode)
{
	size_t len = selftest_message_len();
	char err[256];

	/* From "ends at the seam" to "starts at the seam". */
	for (size_t before = 0; before <= len; before++)
		if (!selftest_straddle(e, ring, before, err, sizeof(err))) {
			printf("self-test mode=%s result=failed why=\"%s\"\n",
			       engine_mode_names[mode], err);
			return false;
		}
	printf("self-test mode=%s result=ok ring_bytes=%zu message_bytes=%zu "
	       "offsets=%zu\n",
	       engine_mode_names[mode], ring->size, len, len + 1);
	return true;
}

static bool
run_mode(const struct settings *settings, enum engine_mode mode)
{
	struct engine_options options = {
		.mode = mode,
		.slots = 2,
		.sq_idle_ns = settings->engine.sq_idle,
		.sq_cpu = (int)settings->engine.sq_cpu,
	};
	char err[512];
	struct ring ring = { 0 };
	struct engine *e = engine_open(&options, err, sizeof(err));
	bool ok = e != NULL;
	int error;

	if (ok) {
		error = ring_open(&ring, settings->ring.size,
				  settings->ring.huge_pages, true);
		ok = error == 0;
		if (!ok)
			(void)snprintf(err, sizeof(err),
				       "cannot map a ring of %llu bytes: %s",
				       (unsigned long long)settings->ring.size,
				       strerror(-error));
	}
	if (ok)
		ok = engine_register(e, ring.base, 2 * ring.size, err,
				     sizeof(err));
	if (ok)
		ok = run_offsets(e, &ring, mode);
	else
		printf("self-test mode=%s result=failed why=\"%s\"\n",
		       engine_mode_names[mode], err);
	engine_close(e);
	ring_close(&ring);
	return ok;
}

bool
selftest_run(const struct settings *settings)
{
	bool sqpoll = run_mode(settings, ENGINE_SQPOLL);
	bool direct = run_mode(settings, ENGINE_DIRECT);

	return sqpoll && direct;
}
