#include "config.h"

#include "tools/sub.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"
#include "tools/cli.h"
#include "tools/client.h"
#include "tools/print.h"
#include "tools/sub_options.h"
#include "tools/sub_rejoin.h"
#include "tools/sub_stats.h"
#include "tools/sub_tables.h"
#include "wire/wire.h"

enum {
	SUB_REQUEST_MAX = SUB_REJOIN_REQUEST_MAX,
	/* Connections in a row that ended before any message came. */
	SUB_FRUITLESS_MAX = 3,
	/* The connection broke, and a new one can continue. */
	SUB_LOST = -ENOTCONN,
};

#define SUB_REPLY_NS (10 * NS_PER_S)

/* Between two attempts to connect again; doubled from attempt to attempt. */
#define SUB_NAP_MIN_NS (125 * NS_PER_MS)
#define SUB_NAP_MAX_NS (2 * NS_PER_S)

/* The request whose response is awaited. */
enum sub_request {
	REQUEST_NONE,
	REQUEST_SUB,
	REQUEST_FIRST, /* with --from or --reconnect */
	REQUEST_EPOCH,
	REQUEST_REJOIN,
	REQUEST_SIGN, /* a sign of life after it; not waited for */
};

struct sub {
	struct sub_options options;
	struct client client;

	struct sub_tables tables; /* with the checks of running numbers */

	/* --reconnect */
	bool has_place; /* `place` is known, so the stream can continue there */
	struct sub_rejoin place;
	int64_t epoch; /* of the server; becomes place.epoch when confirmed */
	int64_t nap_ns;
	unsigned fruitless; /* connections so far, of SUB_FRUITLESS_MAX */

	enum sub_request waits_for;
	bool is_over; /* --count is reached */
	int failure;  /* the -errno that ends the tool; its sentence is
			 printed */

	struct zone zone;
	int64_t end_ns;
	int64_t report_ns; /* when the next line is due */
	int64_t wall_ns;   /* local time of the last receive, since 2000 */
	int64_t budget_ns; /* --slow: when the budget was last filled up */
	uint64_t budget;   /* --slow: bytes that may be read now */

	struct sub_stats stats;
	struct print_table print;
};

static int
fail(struct sub *s, int err, const char *sentence)
{
	const struct client_target *target = &s->options.common.target;

	fprintf(stderr, "ringtick sub: %s, port %s: %s\n", target->host,
		target->port, sentence);
	s->failure = err;
	return err;
}

/* The connection is of no further use: SUB_LOST if the tool may connect again,
 * otherwise it fails. */
static int
lose(struct sub *s, int err, const char *sentence)
{
	const struct client_target *target = &s->options.common.target;
	char date[16];

	if (!s->has_place)
		return fail(s, err, sentence);
	fprintf(stderr,
		"ringtick sub: %s, port %s: %s; has %llu messages from record "
		"%llu of %s on, connecting again\n",
		target->host, target->port, sentence,
		(unsigned long long)s->place.n, (unsigned long long)s->place.i,
		clock_date_text(date, s->place.day));
	return SUB_LOST;
}

/* ---- messages ---- */

/* After the end of that date, an atom, the next day begins with its record
 * 0. */
static void
end_day(struct sub *s, const uint8_t *date)
{
	s->place.day = (int32_t)wire_load_u32(date + 1) + 1;
	s->place.i = s->place.n = 0;
}

/* Takes (`.u.end;date), or any other message that is not an update. */
static void
take_other(struct sub *s, const struct client_frame *frame)
{
	static const uint8_t end_head[] = { 0,	 0,   2,   0,	0,   0,	  0xf5,
					    '.', 'u', '.', 'e', 'n', 'd', 0 };
	bool is_end = frame->body_len == sizeof(end_head) + 5 &&
		      memcmp(frame->body, end_head, sizeof(end_head)) == 0;
	size_t off = is_end ? sizeof(end_head) : 0;
	struct print_text text = { .len = 0 };

	if (is_end) {
		s->stats.ends++;
		end_day(s, frame->body + off);
	} else {
		s->stats.others++;
	}
	if (!is_end && s->options.mode != SUB_PRINT)
		return;
	print_object(&text, wire_reader(frame->body + off,
					frame->body_len - off, false));
	if (is_end)
		printf("end_of_day date=%s\n", text.text);
	else
		puts(text.text);
	s->print.columns_cnt = 0; /* a header comes before the next row */
	fflush(stdout);
}

/* Prints the table in the message, which was checked whole. */
static void
print_update(struct sub *s, const struct client_frame *frame)
{
	struct wire_reader r = wire_reader(frame->body, frame->body_len, false);
	const char *name;
	uint8_t attr;
	size_t len;

	(void)wire_get_u8(&r);
	(void)wire_get_count(&r, 1, &attr);
	wire_skip(&r); /* upd */
	(void)wire_get_u8(&r);
	name = wire_get_symbol(&r, &len);
	print_table(&s->print, name, len, r.at, (size_t)(r.end - r.at));
}

static int
take_async(struct sub *s, const struct client_frame *frame)
{
	struct sub_table *t =
		sub_tables_find(&s->tables, frame->body, frame->body_len);
	struct sub_update update;
	const char *why;
	bool is_long;

	if (t == NULL || s->options.mode == SUB_PRINT) {
		why = wire_check_body(frame->body, frame->body_len, false,
				      &is_long);
		if (why != NULL)
			return fail(s, -EBADMSG, why);
		t = sub_tables_learn(&s->tables, frame->body, frame->body_len);
		if (t == NULL) {
			take_other(s, frame);
			return 0;
		}
	}
	why = sub_table_read(t, frame->body, frame->body_len,
			     s->stats.is_timing, s->options.is_checking,
			     &update);
	if (why != NULL)
		return fail(s, -EBADMSG, why);
	if (update.time != NULL)
		sub_stats_add_time(&s->stats, update.time_type, update.time,
				   s->wall_ns);
	sub_table_count(t, &update);
	if (s->options.mode == SUB_PRINT)
		print_update(s, frame);
	s->place.n++;
	s->stats.counts.messages++;
	s->stats.counts.rows += update.rows;
	s->is_over = s->stats.counts.messages == s->options.common.count;
	return 0;
}

/* Prints the tables in the reply of .u.sub: (name;table), or a list of
 * these. */
static void
tell_tables(struct wire_reader r, bool is_nested)
{
	struct print_text text = { .len = 0 };
	uint8_t attr;
	uint64_t count;

	if (wire_get_u8(&r) != KT_LIST)
		return;
	count = wire_get_count(&r, 1, &attr);
	if (count == 2 && (int8_t)r.at[0] == -KT_SYMBOL) {
		print_object(&text, r);
		fprintf(stderr, "subscribed to %s\n", text.text + 1);
		return;
	}
	for (uint64_t i = 0; i < count && !is_nested; i++) {
		tell_tables(r, true);
		wire_skip(&r);
	}
}

/*
 * A message came after the subscription: the server has found all records of
 * the claim, so they belong to its epoch.  The epoch is not taken over before
 * that: in a later epoch the same claim could mean other records.
 */
static void
confirm_claim(struct sub *s)
{
	s->place.epoch = s->epoch;
	s->fruitless = 0;
}

/* The server has refused the request. */
static int
take_error(struct sub *s, enum sub_request what, struct wire_reader r)
{
	struct print_text text = { .len = 0 };
	char sentence[4 * PRINT_TEXT_MAX];
	const char *meaning;

	print_object(&text, r);
	meaning = sub_rejoin_explain(what == REQUEST_SUB ? "" : text.text + 1);
	snprintf(sentence, sizeof(sentence),
		 "the subscription is refused with %s: %s", text.text, meaning);
	if (strcmp(text.text, "'journal") == 0)
		return lose(s, -EAGAIN, sentence);
	return fail(s, -EREMOTEIO, sentence);
}

static int
take_response(struct sub *s, const struct client_frame *frame)
{
	struct wire_reader r = wire_reader(frame->body, frame->body_len, false);
	enum sub_request what = s->waits_for;
	bool is_good = true, is_long;
	const char *why;

	s->waits_for = REQUEST_NONE;
	why = wire_check_body(frame->body, frame->body_len, false, &is_long);
	if (why != NULL)
		return fail(s, -EBADMSG, why);
	if ((int8_t)frame->body[0] == KT_ERROR)
		return take_error(s, what, r);
	switch (what) {
	case REQUEST_NONE:
	case REQUEST_REJOIN:
		break;
	case REQUEST_FIRST:
		is_good = sub_rejoin_read_first(&r, &s->place);
		s->has_place = s->options.is_reconnecting;
		s->epoch = s->place.epoch;
		if (is_good)
			tell_tables(r, false);
		break;
	case REQUEST_SUB:
		tell_tables(r, false);
		break;
	case REQUEST_EPOCH:
		is_good = sub_rejoin_read_epoch(&r, &s->epoch);
		break;
	case REQUEST_SIGN:
		confirm_claim(s);
		break;
	}
	return is_good ? 0
		       : fail(s, -EBADMSG, "the response is not one of "
					   "ringtickd");
}

/* Takes every frame that has arrived whole. */
static int
take_frames(struct sub *s)
{
	struct client_frame frame;
	int err = 0;

	while (err == 0 && !s->is_over) {
		enum wire_result result = client_next(&s->client, &frame);

		if (result == WIRE_MORE)
			return 0;
		if (result == WIRE_BAD)
			return fail(s, -EBADMSG, s->client.error);
		s->stats.counts.bytes += frame.wire_len;
		if (frame.message == WIRE_ASYNC) {
			confirm_claim(s);
			err = take_async(s, &frame);
		} else if (frame.message == WIRE_RESPONSE)
			err = take_response(s, &frame);
	}
	return err;
}

/* Receives once and takes the frames.  Returns the bytes received, 0 if none
 * came before the deadline, or -errno or SUB_LOST. */
static int
receive(struct sub *s, size_t max, int64_t deadline_ns)
{
	int got = client_receive(&s->client, max, deadline_ns);
	int err;

	if (got == -ETIMEDOUT || got == -EINTR)
		return 0;
	if (got == -EPIPE || got == -ECONNRESET)
		return lose(s, got,
			    "the server closed the connection; its log says "
			    "why");
	if (got == -ENOMEM)
		return fail(s, got, strerror(ENOMEM));
	if (got < 0)
		return lose(s, got, strerror(-got));
	if (s->stats.is_timing)
		s->wall_ns = zone_local_ns(&s->zone, clock_utc_ns());
	err = take_frames(s);
	if (s->options.mode == SUB_PRINT)
		fflush(stdout);
	return err < 0 ? err : got;
}

/* ---- subscription ---- */

/* Sends a frame that was begun at 0, and waits for its response. */
static int
ask_server(struct sub *s, struct wire_writer *w, enum sub_request what)
{
	int64_t deadline_ns = clock_monotonic_ns() + SUB_REPLY_NS;
	size_t sent;
	int err;

	wire_end_frame(w, 0);
	err = client_send(&s->client, w->base, wire_written(w), deadline_ns,
			  &sent);
	if (err < 0)
		return lose(s, err, strerror(-err));
	s->waits_for = what;
	if (what == REQUEST_SIGN)
		return 0;
	while (err >= 0 && s->waits_for != REQUEST_NONE && !s->is_over) {
		if (cli_stopped())
			return fail(s, -EINTR, "ended before the response");
		if (clock_monotonic_ns() >= deadline_ns)
			return lose(s, -ETIMEDOUT,
				    "no response to a subscription; is this a "
				    "tickerplant?");
		err = receive(s, CLIENT_READ_BYTES, deadline_ns);
	}
	return err < 0 ? err : 0;
}

/* Sends (`.u.sub;`table;symbols) and takes its response; "" is all tables. */
static int
subscribe_one(struct sub *s, const char *table, size_t table_len)
{
	uint8_t frame[SUB_REQUEST_MAX];
	struct wire_writer w = wire_writer(frame, sizeof(frame));

	(void)wire_begin_frame(&w, WIRE_SYNC);
	wire_put_list(&w, KT_LIST, KA_NONE, 3);
	wire_put_symbol(&w, ".u.sub");
	wire_put_u8(&w, (uint8_t)-KT_SYMBOL);
	wire_put_symbol_item(&w, table, table_len);
	sub_rejoin_put_names(&w, s->options.symbols);
	if (w.is_full)
		return fail(s, -EINVAL, "--table or --symbols is too long");
	return ask_server(s, &w, REQUEST_SUB);
}

/* Subscribes to all tables in one request, which also asks where their stream
 * begins. */
static int
subscribe_first(struct sub *s)
{
	const struct sub_options *o = &s->options;
	uint8_t frame[SUB_REQUEST_MAX];
	struct wire_writer w = wire_writer(frame, sizeof(frame));

	(void)wire_begin_frame(&w, WIRE_SYNC);
	if (!sub_rejoin_put_first(&w, o->wanted, o->symbols, o->has_from,
				  o->from))
		return fail(s, -EINVAL,
			    "--table has a name that is not a table's, or too "
			    "many");
	return ask_server(s, &w, REQUEST_FIRST);
}

static int
subscribe(struct sub *s)
{
	const char *at = s->options.wanted, *name;
	size_t len;
	int err = 0;

	if (s->options.has_from || s->options.is_reconnecting)
		return subscribe_first(s);
	if (*at == '\0')
		return subscribe_one(s, "", 0);
	while (err == 0 && sub_rejoin_next_name(&at, &name, &len)) {
		/* An empty name would mean all tables to the server. */
		if (len == 0)
			return fail(s, -EINVAL, "--table has an empty name");
		err = subscribe_one(s, name, len);
	}
	return err;
}

/* ---- connecting again ---- */

/*
 * Continues after the messages that have come.  The server keeps its epoch for
 * as long as it runs, so a request of its own can ask for it.  If the server
 * finds, when it reads its journal, that the claim is too high, it ends the
 * connection before the sign of life comes.
 */
static int
rejoin(struct sub *s)
{
	uint8_t frame[SUB_REQUEST_MAX];
	struct wire_writer w = wire_writer(frame, sizeof(frame));
	int err;

	(void)wire_begin_frame(&w, WIRE_SYNC);
	sub_rejoin_put_epoch(&w);
	err = ask_server(s, &w, REQUEST_EPOCH);
	if (err < 0)
		return err;
	w = wire_writer(frame, sizeof(frame));
	(void)wire_begin_frame(&w, WIRE_SYNC);
	sub_rejoin_put(&w, &s->place, s->options.wanted, s->options.symbols);
	err = ask_server(s, &w, REQUEST_REJOIN);
	if (err < 0)
		return err;
	fprintf(stderr, "ringtick sub: connected again, in epoch %lld\n",
		(long long)s->epoch);
	s->fruitless++;
	w = wire_writer(frame, sizeof(frame));
	(void)wire_begin_frame(&w, WIRE_SYNC);
	wire_put_string(&w, "");
	return ask_server(s, &w, REQUEST_SIGN);
}

/* Tries until the stream continues, or the tool must end: 0, or -errno. */
static int
reconnect(struct sub *s)
{
	bool is_told = false;

	s->nap_ns = s->fruitless == 0 ? SUB_NAP_MIN_NS : s->nap_ns;
	for (;;) {
		struct timespec nap = { .tv_sec = s->nap_ns / NS_PER_S,
					.tv_nsec = s->nap_ns % NS_PER_S };
		int err;

		client_close(&s->client);
		s->waits_for = REQUEST_NONE;
		if (s->fruitless == SUB_FRUITLESS_MAX)
			return fail(s, -ECONNABORTED,
				    "the server closes each connection that "
				    "continues from here; its log says why "
				    "(reason=epoch: a crash of the server lost "
				    "records that had come here; begin again "
				    "with --from 0)");
		(void)nanosleep(&nap, NULL);
		if (cli_stopped() || clock_monotonic_ns() >= s->end_ns)
			return 0;
		s->nap_ns *= s->nap_ns < SUB_NAP_MAX_NS ? 2 : 1;
		if (client_open(&s->client, &s->options.common.target) < 0) {
			if (!is_told)
				fprintf(stderr, "ringtick sub: %s\n",
					s->client.error);
			is_told = true;
			continue;
		}
		err = rejoin(s);
		if (err != SUB_LOST)
			return err;
	}
}

/* ---- reports ---- */

static void
report(struct sub *s, int64_t now_ns)
{
	bool is_shown = s->options.mode == SUB_RATES;

	sub_stats_print_rate(&s->stats, is_shown ? stdout : NULL, now_ns);
	while (s->report_ns <= now_ns)
		s->report_ns += NS_PER_S;
}

/* Prints the totals.  Returns the exit status. */
static int
sum_up(struct sub *s)
{
	FILE *out = s->options.mode == SUB_RATES ? stdout : stderr;
	bool is_short = s->options.common.count != UINT64_MAX && !s->is_over &&
			!cli_stopped();
	int status = s->failure != 0 ? CLI_EXIT_TROUBLE : 0;

	sub_stats_print_total(&s->stats, out, clock_monotonic_ns());
	if (s->options.is_checking && !sub_stats_print_check(&s->tables, out))
		status = CLI_EXIT_CHECK;
	if (is_short) {
		fprintf(out, "result=bad: %llu of %llu messages came\n",
			(unsigned long long)s->stats.counts.messages,
			(unsigned long long)s->options.common.count);
		if (status == 0)
			status = CLI_EXIT_CHECK;
	}
	return status;
}

/* ---- reading ---- */

/*
 * The bytes that --slow permits to read now; 0 after a nap.  A step is the
 * bytes of a fiftieth of a second; at most ten steps add up while nothing can
 * be read.
 */
static size_t
take_budget(struct sub *s, int64_t now_ns)
{
	uint64_t step = max_u64(s->options.slow_bytes_s / SUB_SLOW_STEPS, 1);
	double span_s = (double)(now_ns - s->budget_ns) / 1e9;
	uint64_t more = (uint64_t)(span_s * (double)s->options.slow_bytes_s);
	struct timespec nap = { .tv_nsec = 5 * NS_PER_MS };

	if (s->budget + more < step) {
		(void)nanosleep(&nap, NULL);
		return 0;
	}
	s->budget = min_u64(s->budget + more, 10 * step);
	s->budget_ns = now_ns;
	return min_u64(s->budget, CLIENT_READ_BYTES);
}

/* Reads nothing; notices when the server closes the connection. */
static int
pause_reading(struct sub *s)
{
	struct pollfd pollfd = { .fd = s->client.fd, .events = POLLRDHUP };
	int n = poll(&pollfd, 1, 100);

	if (n > 0 && (pollfd.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0)
		return lose(s, -EPIPE,
			    "the server closed the connection of this "
			    "subscriber, which does not read");
	return 0;
}

static void
run(struct sub *s)
{
	int got = 0;

	while (got >= 0 && !s->is_over && !cli_stopped() && !ferror(stdout)) {
		int64_t now_ns = clock_monotonic_ns();
		size_t max = CLIENT_READ_BYTES;

		if (now_ns >= s->report_ns)
			report(s, now_ns);
		if (now_ns >= s->end_ns)
			break;
		if (s->options.is_paused) {
			got = pause_reading(s);
			if (got == SUB_LOST)
				got = reconnect(s);
			continue;
		}
		if (s->options.slow_bytes_s > 0) {
			max = take_budget(s, now_ns);
			if (max == 0)
				continue;
		}
		got = receive(s, max,
			      s->report_ns < s->end_ns ? s->report_ns
						       : s->end_ns);
		if (got == SUB_LOST)
			got = reconnect(s);
		else if (s->options.slow_bytes_s > 0 && got > 0)
			s->budget -= (uint64_t)got;
	}
}

static int
follow(struct sub *s)
{
	int err = subscribe(s);
	int64_t now_ns;

	if (err < 0)
		return CLI_EXIT_TROUBLE;
	now_ns = clock_monotonic_ns();
	s->stats.start_ns = s->stats.last_ns = s->budget_ns = now_ns;
	s->report_ns = now_ns + NS_PER_S;
	s->end_ns = client_options_end_ns(&s->options.common, now_ns);
	run(s);
	return sum_up(s);
}

int
sub_main(int argc, char **argv)
{
	/* Static: the histograms and the printed table are large. */
	static struct sub sub = { .client.fd = -1 };
	struct sub *s = &sub;
	int status;

	sub_options_read(&s->options, argc, argv);
	zone_init(&s->zone, true, 0);
	s->print.out = stdout;
	s->tables.column = s->options.column;
	s->stats.is_timing = s->options.is_timing;
	if (s->options.mode == SUB_AUTOMATIC)
		s->options.mode = isatty(STDOUT_FILENO) ? SUB_PRINT : SUB_RATES;
	(void)setvbuf(stdout, NULL, _IOFBF, 64 << 10);
	cli_catch_signals();
	if (client_open(&s->client, &s->options.common.target) < 0) {
		fprintf(stderr, "ringtick sub: %s\n", s->client.error);
		status = CLI_EXIT_TROUBLE;
	} else {
		status = follow(s);
	}
	client_close(&s->client);
	sub_tables_fini(&s->tables);
	return status;
}
