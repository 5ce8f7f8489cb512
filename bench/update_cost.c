/*
 * What an update costs the application thread, from the completion of its recv
 * to its commit and the submission of its write: the whole server, on an engine
 * that is only memory. Its recvs are filled from a prepared block, its writes
 * are complete at once, and no time goes into the kernel.
 *
 *   bench/update_cost FORM COUNT
 *
 * FORM is `row` (atoms, as most feeds send them), `columns` (vectors of one),
 * `stamp` (a row without its time), `rows` (columns of 100 rows) or `strings`
 * (columns of 100 rows, the last one of strings). There is one feed, and one
 * subscriber. Prints the nanoseconds of one update, the copying of what is
 * received included. For instructions: bench/update_cost.sh.
 */
#include "config.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "config/settings_load.h"
#include "io/engine.h"
#include "daemon/server_open.h"
#include "daemon/turn.h"
#include "base/util.h"
#include "wire/wire.h"

enum {
	FEED = 0, /* slots: the order of connecting */
	SUBSCRIBER = 1,
	QUEUE_MAX = 64,
	BLOCK_BYTES = 4 << 20,
	TALK_BYTES_MAX = 256,
};

/* The bytes of a client: at first, and then the block again and again. */
struct talk {
	uint8_t first[TALK_BYTES_MAX]; /* the handshake, and requests */
	size_t first_len, said;
	uint8_t *block;
	size_t block_len; /* 0: it sends nothing more */
};

struct engine {
	struct completion queue[QUEUE_MAX];
	unsigned queued;
	struct engine_counters counters;
	struct talk talks[2];
	uint64_t bytes_left; /* of the feed's updates */
	int accepted;
	struct signalfd_siginfo *signal;
	struct ticket signal_ticket;
	int64_t began_ns, ended_ns;
};

static struct engine memory;

static void
complete(struct engine *e, struct ticket ticket, int32_t result)
{
	CHECK(e->queued < QUEUE_MAX);
	e->queue[e->queued++] = (struct completion){ ticket, result };
}

/* ---- the engine ---- */

bool
engine_can_sqpoll(void)
{
	return false;
}

struct engine *
engine_open(const struct engine_options *options, char *err, size_t err_len)
{
	(void)options;
	(void)err;
	(void)err_len;
	return &memory;
}

int
engine_bind(struct engine *e, unsigned slot, int fd)
{
	(void)e;
	(void)slot;
	(void)fd;
	return 0;
}

void
engine_accept(struct engine *e, int fd, struct ticket ticket)
{
	int client;

	/* Both clients have connected already. */
	if (e->accepted == 2)
		return;
	client = accept(fd, NULL, NULL);
	CHECK(client >= 0);
	complete(e, ticket, client);
	e->accepted++;
}

static size_t
feed_more(struct engine *e, struct talk *t, uint8_t *at, size_t len)
{
	size_t n = 0;

	if (e->began_ns == 0)
		e->began_ns = clock_monotonic_ns();
	while (n < len && e->bytes_left > 0) {
		size_t from = t->said % t->block_len;
		size_t part = min_u64(len - n, t->block_len - from);

		part = min_u64(part, e->bytes_left);
		memcpy(at + n, t->block + from, part);
		t->said += part;
		e->bytes_left -= part;
		n += part;
	}
	return n;
}

void
engine_recv(struct engine *e, void *at, size_t len, struct ticket ticket)
{
	struct talk *t = &e->talks[ticket.slot];
	size_t n = 0;

	if (t->first_len > 0) {
		n = t->first_len;
		CHECK(n <= len);
		memcpy(at, t->first, n);
		t->first_len = 0;
	} else if (t->block_len > 0) {
		/* A subscription before the first update. */
		n = feed_more(e, t, at, len);
	}
	if (n > 0) {
		complete(e, ticket, (int32_t)n);
		return;
	}
	if (t->block_len == 0 || e->signal == NULL)
		return;
	e->ended_ns = clock_monotonic_ns();
	e->signal->ssi_signo = SIGTERM;
	complete(e, e->signal_ticket, sizeof(*e->signal));
	e->signal = NULL;
}

void
engine_write(struct engine *e, const void *at, size_t len, struct ticket ticket)
{
	(void)at;
	complete(e, ticket, (int32_t)len);
}

void
engine_send(struct engine *e, const void *at, size_t len, struct ticket ticket)
{
	engine_write(e, at, len, ticket);
}

void
engine_cancel(struct engine *e, struct ticket victim, struct ticket ticket)
{
	(void)victim;
	complete(e, ticket, 0);
}

void
engine_append_file(struct engine *e, int fd, const void *at, size_t len,
		  uint64_t off, struct ticket ticket)
{
	(void)fd;
	(void)off;
	engine_write(e, at, len, ticket);
}

void
engine_read(struct engine *e, int fd, void *at, size_t len, uint64_t off,
	    struct ticket ticket)
{
	(void)fd;
	(void)len;
	(void)off;
	e->signal = at;
	e->signal_ticket = ticket;
}

void
engine_stat(struct engine *e, const char *path, struct statx *out,
	    struct ticket ticket)
{
	(void)e;
	(void)path;
	(void)out;
	(void)ticket;
	CHECK(false); /* there is no journal */
}

void
engine_sync_file(struct engine *e, int fd, struct ticket ticket)
{
	(void)fd;
	complete(e, ticket, 0);
}

void
engine_poll_end(struct engine *e, struct ticket ticket)
{
	(void)e;
	(void)ticket;
	CHECK(false); /* no client waits for the end of another */
}

void
engine_recycle_file(struct engine *e, int fd, uint64_t off, unsigned len,
		    struct ticket ticket)
{
	(void)fd;
	(void)off;
	(void)len;
	complete(e, ticket, 0);
}

unsigned
engine_turn(struct engine *e, struct completion *out, unsigned max,
	    int64_t wait_ns)
{
	unsigned n = e->queued;

	(void)wait_ns;
	CHECK(n <= max);
	memcpy(out, e->queue, n * sizeof(*out));
	e->queued = 0;
	if (n > 0)
		return n;
	/* At the end its connections are shut down: their recvs have ended. */
	for (uint16_t slot = 0; slot < 2; slot++)
		out[slot] = (struct completion){
			{ .slot = slot, .kind = ENGINE_RECV }, 0
		};
	return e->ended_ns == 0 ? 0 : 2;
}

const struct engine_counters *
engine_counters(const struct engine *e)
{
	return &e->counters;
}

/* ---- updates ---- */

static void
put_column(struct wire_writer *w, int type, uint32_t rows)
{
	if (rows > 0)
		wire_put_list(w, type, KA_NONE, rows);
	else
		wire_put_u8(w, (uint8_t)-type);
	for (uint32_t i = 0; i < (rows > 0 ? rows : 1); i++)
		if (type == KT_SYMBOL)
			wire_put_symbol_item(w, &"ABCDEFGHIJKL"[i % 9],
					     1 + i * 7 % 4);
		else
			wire_put_u64(w, i);
}

static void
put_update(struct wire_writer *w, const char *form)
{
	bool is_strings = strcmp(form, "strings") == 0;
	bool has_time = strcmp(form, "stamp") != 0;
	uint32_t rows = 0;
	size_t header = wire_begin_frame(w, WIRE_ASYNC);

	if (is_strings || strcmp(form, "rows") == 0)
		rows = 100;
	else if (strcmp(form, "columns") == 0)
		rows = 1;
	else if (has_time && strcmp(form, "row") != 0)
		die(EXIT_OTHER, "FORM is row, columns, stamp, rows or strings");
	wire_put_list(w, KT_LIST, KA_NONE, 3);
	wire_put_symbol(w, ".u.upd");
	wire_put_symbol(w, is_strings ? "notes" : "trade");
	wire_put_list(w, KT_LIST, KA_NONE, has_time ? 5 : 4);
	if (has_time)
		put_column(w, KT_TIMESTAMP, rows);
	put_column(w, KT_SYMBOL, rows);
	put_column(w, KT_FLOAT, rows);
	put_column(w, KT_LONG, rows);
	if (is_strings) {
		wire_put_list(w, KT_LIST, KA_NONE, rows);
		for (uint32_t i = 0; i < rows; i++)
			wire_put_string(w, "NNNNN");
	} else {
		put_column(w, KT_SYMBOL, rows);
	}
	wire_end_frame(w, header);
	CHECK(!w->is_full);
}

static void
make_talks(const char *form, uint64_t count)
{
	static const char hello[] = "bench:\3";
	struct talk *feed = &memory.talks[FEED];
	struct talk *sub = &memory.talks[SUBSCRIBER];
	struct wire_writer w;
	size_t len;

	memcpy(feed->first, hello, sizeof(hello));
	feed->first_len = sizeof(hello);
	feed->block = malloc(BLOCK_BYTES);
	CHECK(feed->block != NULL);
	w = wire_writer(feed->block, BLOCK_BYTES);
	put_update(&w, form);
	len = wire_written(&w);
	/* It fits into the second level cache. */
	while (wire_written(&w) + len <= 128 << 10)
		put_update(&w, form);
	feed->block_len = wire_written(&w);
	memory.bytes_left = count * len;

	memcpy(sub->first, hello, sizeof(hello));
	w = wire_writer(sub->first + sizeof(hello),
			TALK_BYTES_MAX - sizeof(hello));
	len = wire_begin_frame(&w, WIRE_SYNC);
	wire_put_string(&w, ".u.sub[`;`]");
	wire_end_frame(&w, len);
	sub->first_len = sizeof(hello) + wire_written(&w);
}

static void
load_settings(struct settings *settings)
{
	static const char text[] =
		"listen = { port = 0; unix_socket = false; };\n"
		"log = { report = \"24h\"; };\n"
		"schema = { tables = (\n"
		"{ name = \"trade\"; columns = ( \"time timestamp\", "
		"\"sym symbol\", \"price float\", \"size long\", "
		"\"cond symbol\" ); },\n"
		"{ name = \"notes\"; columns = ( \"time timestamp\", "
		"\"sym symbol\", \"price float\", \"size long\", "
		"\"text string\" ); },\n"
		"{ name = \"quote\"; columns = ( \"time timestamp\", "
		"\"sym symbol\", \"bid float\", \"ask float\" ); } ); };\n";
	char path[] = "/tmp/ringtick-bench.XXXXXX", err[512];
	int fd = mkstemp(path);

	CHECK(fd >= 0);
	CHECK(write(fd, text, sizeof(text) - 1) == (ssize_t)sizeof(text) - 1);
	if (settings_load(settings, path, err, sizeof(err)) != 0)
		die(EXIT_OTHER, "%s", err);
	(void)unlink(path);
	(void)close(fd);
}

static void
connect_to(unsigned port)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	CHECK(fd >= 0);
	CHECK(connect(fd, (const struct sockaddr *)&at, sizeof(at)) == 0);
}

static int64_t
no_time(void)
{
	return 0;
}

int
main(int argc, char **argv)
{
	static struct settings settings;
	static struct server server;
	uint64_t count = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;

	if (count == 0) {
		fprintf(stderr, "Usage: bench/update_cost FORM COUNT\n");
		return EXIT_FAILURE;
	}
	log_open();
	make_talks(argv[1], count);
	load_settings(&settings);
	server_open(&server, &settings, "");
	/* Where instructions are counted a request takes fifty times as long,
	 * and a turn too. */
	server.tick.time.clock_ns = NULL;
	server.budget.clock_ns = no_time;
	connect_to(server.listeners.port);
	connect_to(server.listeners.port);
	turn_run(&server);
	CHECK(server.counters.in_records == count);
	CHECK(server.counters.out_bytes >= server.counters.in_bytes);
	printf("%.1f\n", (double)(memory.ended_ns - memory.began_ns) /
				 (double)count);
	server_close(&server);
	settings_fini(&settings);
	return EXIT_SUCCESS;
}
