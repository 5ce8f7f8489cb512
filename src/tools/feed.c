#include "config.h"

#include "tools/feed.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/util.h"
#include "tools/client.h"
#include "tools/feed_message.h"
#include "tools/tally.h"
#include "wire/wire.h"

enum {
	FEED_BATCH_BYTES = 64 << 10, /* of messages in one send */
	FEED_TABLES_MAX = 2,
	FEED_ROWS_MAX = 1000000,
};

#define FEED_ANSWER_NS (30 * NS_PER_S) /* a response must come in this time */
#define FEED_NAP_MIN_NS (NS_PER_S / 10)  /* between tries to connect */
#define FEED_NAP_MAX_NS (2 * NS_PER_S)

struct feed {
	struct client_target target;
	struct client client;

	/* options */
	uint64_t rate; /* messages per second; 0: as fast as possible */
	uint64_t rows; /* of a message; 0 until made from size */
	uint64_t size; /* wished bytes of a message; 0: none */
	uint64_t count;
	uint64_t seconds;
	uint64_t id;
	bool is_sync;
	bool is_stamped;

	struct feed_message messages[FEED_TABLES_MAX];
	unsigned messages_cnt;
	uint8_t *out; /* messages of one send */
	size_t out_cap;
	uint64_t random;

	int64_t start_ns;
	int64_t end_ns;
	int64_t report_ns;     /* when the next line is due */
	int64_t last_ns;       /* when the last one was written */
	int64_t wall_minus_ns; /* local wall clock minus monotonic clock */
	struct zone zone;
	int64_t stop_ns; /* 0, or when a begun message is given up */

	bool is_reconnecting;
	uint64_t sent, sent_bytes; /* whole messages */
	uint64_t tried;	    /* sent, or begun to be */
	uint64_t confirmed; /* of these: a response has come behind them */
	uint64_t uncertain; /* tried, and no response came to tell */
	uint64_t told, told_bytes; /* of these, at the last line */
	struct histogram trips;	   /* --sync: from due time to response */
};

/* ---- messages ---- */

static int
make_message(struct feed *f, struct feed_message *m)
{
	feed_message_choose(m, f->is_stamped);
	if (f->rows == 0)
		f->rows = max_u64(f->size / feed_message_row_bytes(m), 1);
	m->next_sequence = (int64_t)f->id * SEQUENCE_FEED;
	if (feed_message_make(m, f->rows) < 0)
		return -ENOMEM;
	f->out_cap = max_u64(f->out_cap, m->len);
	return 0;
}

static uint64_t
next_random(struct feed *f)
{
	f->random ^= f->random << 13;
	f->random ^= f->random >> 7;
	f->random ^= f->random << 17;
	return f->random;
}

/* due_ns: monotonic time at which the schedule has it. */
static struct feed_message *
next_message(struct feed *f, uint64_t number, int64_t due_ns)
{
	struct feed_message *m = &f->messages[number % f->messages_cnt];
	int64_t stamp_ns = (due_ns + f->wall_minus_ns) % NS_PER_DAY;
	uint64_t seed = next_random(f);

	feed_message_fill(m, f->rows, seed, stamp_ns);
	return m;
}

/* ---- time ---- */

static void
read_clocks(struct feed *f)
{
	f->wall_minus_ns =
		zone_local_ns(&f->zone, clock_utc_ns()) - clock_monotonic_ns();
}

/* When the schedule has a message: absolute, however late the others were. */
static int64_t
due_ns(const struct feed *f, uint64_t number, int64_t now_ns)
{
	if (f->rate == 0)
		return now_ns;
	return f->start_ns + (int64_t)(number / f->rate) * NS_PER_S +
	       (int64_t)(number % f->rate * (uint64_t)NS_PER_S / f->rate);
}

/* How many messages the schedule has had up to now. */
static uint64_t
due_count(const struct feed *f, int64_t now_ns)
{
	uint64_t elapsed_ns = (uint64_t)(now_ns - f->start_ns);
	const uint64_t second = (uint64_t)NS_PER_S;

	if (f->rate == 0)
		return UINT64_MAX;
	return elapsed_ns / second * f->rate +
	       elapsed_ns % second * f->rate / second + 1;
}

static void
nap_until(int64_t until_ns)
{
	struct timespec ts = { .tv_sec = until_ns / NS_PER_S,
			       .tv_nsec = until_ns % NS_PER_S };

	(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

/* ---- reports ---- */

static void
print_rates(const struct feed *f, const char *what, uint64_t messages,
	    uint64_t bytes, int64_t span_ns)
{
	double seconds = (double)max_u64((uint64_t)span_ns, 1) / 1e9;

	fprintf(stderr,
		"%s seconds=%.1f messages=%llu rows=%llu messages_s=%.0f "
		"rows_s=%.0f mb_s=%.1f",
		what, seconds, (unsigned long long)messages,
		(unsigned long long)(messages * f->rows),
		(double)messages / seconds,
		(double)(messages * f->rows) / seconds,
		(double)bytes / seconds / 1e6);
}

static void
print_trips(const struct feed *f)
{
	fprintf(stderr, " p50_us=%.1f p99_us=%.1f max_us=%.1f",
		(double)histogram_percentile(&f->trips, 50) / 1e3,
		(double)histogram_percentile(&f->trips, 99) / 1e3,
		(double)f->trips.max / 1e3);
}

/* Once a second, also while a send is stuck. */
static void
report(struct feed *f, int64_t now_ns)
{
	int64_t behind_ns = now_ns - due_ns(f, f->sent, now_ns);

	print_rates(f, "rate", f->sent - f->told, f->sent_bytes - f->told_bytes,
		    now_ns - f->last_ns);
	if (f->rate != 0)
		fprintf(stderr, " behind_ms=%.1f",
			behind_ns > 0 ? (double)behind_ns / 1e6 : 0.0);
	fputc('\n', stderr);
	f->told = f->sent;
	f->told_bytes = f->sent_bytes;
	f->last_ns = now_ns;
	while (f->report_ns <= now_ns)
		f->report_ns += NS_PER_S;
	read_clocks(f);
}

static void
report_if_due(struct feed *f, int64_t now_ns)
{
	if (now_ns >= f->report_ns)
		report(f, now_ns);
}

/* ---- sending ---- */

static int
fail(const struct feed *f, const char *sentence)
{
	fprintf(stderr, "ringtick feed: %s, port %s: %s\n", f->target.host,
		f->target.port, sentence);
	return CLIENT_EXIT_TROUBLE;
}

/*
 * Sends all of it, however long the server lets it wait; reports meanwhile.
 * When the end has come a message that is begun gets a little time, so that
 * the server is not left with half of it.
 */
static int
send_all(struct feed *f, const uint8_t *bytes, size_t len)
{
	size_t sent;

	for (;;) {
		int64_t deadline_ns =
			f->stop_ns != 0 ? f->stop_ns : f->report_ns;
		int err =
			client_send(&f->client, bytes, len, deadline_ns, &sent);
		int64_t now_ns = clock_monotonic_ns();
		bool is_end = client_stopped() || now_ns >= f->end_ns;

		if (err != -ETIMEDOUT && err != -EINTR)
			return err;
		if (f->stop_ns != 0)
			return -ETIMEDOUT;
		bytes += sent;
		len -= sent;
		report_if_due(f, now_ns);
		if (is_end) {
			f->stop_ns = now_ns + CLIENT_GRACE_NS;
			f->end_ns = now_ns;
			client_resume();
		}
	}
}

/* Sends as many as are due and fit into one send, at least one. */
static int
send_batch(struct feed *f, uint64_t due, int64_t now_ns)
{
	size_t len = 0, room = max_u64(FEED_BATCH_BYTES, f->out_cap);
	uint64_t cnt = 0;
	int err;

	while (cnt < due) {
		uint64_t number = f->sent + cnt;
		struct feed_message *m = &f->messages[number % f->messages_cnt];

		if (cnt > 0 && m->len > room - len)
			break;
		m = next_message(f, number, due_ns(f, number, now_ns));
		memcpy(f->out + len, m->bytes, m->len);
		len += m->len;
		cnt++;
	}
	f->tried = f->sent + cnt;
	err = send_all(f, f->out, len);
	if (err == 0) {
		f->sent += cnt;
		f->sent_bytes += len;
	}
	return err;
}

/* Puts a sentence around the bare error of the server. */
static void
explain_refusal(struct feed *f, const struct feed_table *table)
{
	bool is_limit = strcmp(f->client.error, "limit") == 0;
	char error[64];

	snprintf(error, sizeof(error), "%.63s", f->client.error);
	snprintf(f->client.error, sizeof(f->client.error),
		 "update of %s refused with '%s; %s%s", table->name, error,
		 is_limit ? "take fewer --rows, or raise message.max there"
			  : "the table there must have the columns time "
			    "(timespan), ",
		 is_limit ? "" : table->text);
}

/* Sends one and waits for the answer. */
static int
send_sync(struct feed *f, int64_t now_ns)
{
	int64_t due = due_ns(f, f->sent, now_ns), trip_ns;
	struct feed_message *m = next_message(f, f->sent, due);
	int err;

	f->tried = f->sent + 1;
	m->bytes[1] = WIRE_SYNC;
	err = client_request(&f->client, m->bytes, m->len,
			     now_ns + FEED_ANSWER_NS);
	m->bytes[1] = WIRE_ASYNC;
	if (err == 0) {
		f->confirmed = ++f->sent;
		f->sent_bytes += m->len;
		trip_ns = clock_monotonic_ns() - due;
		histogram_add(&f->trips, trip_ns > 0 ? (uint64_t)trip_ns : 0);
	} else if (err == -EREMOTEIO) {
		explain_refusal(f, m->table);
	}
	return err;
}

/*
 * The first update of each table is sync, so that a refusal is told: to async
 * ones the server never answers.
 */
static int
send_some(struct feed *f, uint64_t due, int64_t now_ns)
{
	if (f->is_sync || f->sent < f->messages_cnt)
		return send_sync(f, now_ns);
	return send_batch(f, due, now_ns);
}

/* Only then has the server taken all of it. */
static int
chase(struct feed *f)
{
	int err = client_chase(&f->client,
			       clock_monotonic_ns() + FEED_ANSWER_NS);

	if (err == 0)
		f->confirmed = f->sent;
	return err;
}

/* ---- connecting again ---- */

static bool
is_lost(const struct feed *f, int err)
{
	return f->is_reconnecting && (err == -EPIPE || err == -ECONNRESET);
}

/* How many of the first n messages are of table i. */
static uint64_t
messages_of(const struct feed *f, uint64_t n, unsigned i)
{
	return (n + f->messages_cnt - 1 - i) / f->messages_cnt;
}

/* What was sent and not answered has arrived or not: nobody can tell. It is
 * not sent again, which might double it. */
static void
tell_uncertain(struct feed *f)
{
	for (unsigned i = 0; i < f->messages_cnt; i++) {
		uint64_t from = messages_of(f, f->confirmed, i) * f->rows;
		uint64_t to = messages_of(f, f->tried, i) * f->rows;

		if (to > from)
			fprintf(stderr,
				"uncertain table=%s first=%llu last=%llu\n",
				f->messages[i].table->name,
				(unsigned long long)(f->id * SEQUENCE_FEED +
						     from),
				(unsigned long long)(f->id * SEQUENCE_FEED +
						     to - 1));
	}
	f->uncertain += f->tried - f->confirmed;
	f->sent = f->confirmed = f->tried;
}

/* 0, or -EPIPE if the end came first. */
static int
reconnect(struct feed *f)
{
	int64_t nap_ns = FEED_NAP_MIN_NS;

	fputs("ringtick feed: the server closed the connection\n", stderr);
	tell_uncertain(f);
	for (;;) {
		int64_t now_ns = clock_monotonic_ns();

		client_close(&f->client);
		nap_until(now_ns + nap_ns < f->end_ns ? now_ns + nap_ns
						      : f->end_ns);
		if (client_stopped() || now_ns >= f->end_ns)
			return -EPIPE;
		if (client_open(&f->client, &f->target) == 0)
			break;
		if (nap_ns < FEED_NAP_MAX_NS)
			nap_ns *= 2;
	}
	fputs("ringtick feed: connected again\n", stderr);
	return 0;
}

/* The line of a second; with --reconnect it also learns what has arrived. */
static int
report_and_confirm(struct feed *f, int64_t now_ns)
{
	bool is_due = now_ns >= f->report_ns;

	report_if_due(f, now_ns);
	return is_due && f->is_reconnecting ? chase(f) : 0;
}

static int
run(struct feed *f)
{
	int err = 0;

	while (err == 0 && f->sent < f->count && !client_stopped()) {
		int64_t now_ns = clock_monotonic_ns();
		uint64_t due = due_count(f, now_ns);

		if (now_ns >= f->end_ns)
			break;
		err = report_and_confirm(f, now_ns);
		if (is_lost(f, err))
			err = reconnect(f);
		if (err != 0)
			break;
		if (due <= f->sent) {
			int64_t next_ns = due_ns(f, f->sent, now_ns);

			if (next_ns > f->report_ns)
				next_ns = f->report_ns;
			nap_until(next_ns < f->end_ns ? next_ns : f->end_ns);
			continue;
		}
		due = min_u64(due, f->count) - f->sent;
		err = send_some(f, due, now_ns);
		if (is_lost(f, err))
			err = reconnect(f);
	}
	return err;
}

static int
feed_all(struct feed *f)
{
	int err;

	f->start_ns = f->last_ns = clock_monotonic_ns();
	f->report_ns = f->start_ns + NS_PER_S;
	f->end_ns = f->seconds == 0
			    ? CLIENT_FOREVER
			    : f->start_ns + (int64_t)f->seconds * NS_PER_S;
	read_clocks(f);
	err = run(f);
	client_resume();
	while (err == 0) {
		err = chase(f);
		if (!is_lost(f, err))
			break;
		err = reconnect(f);
	}
	print_rates(f, "total", f->sent, f->sent_bytes,
		    clock_monotonic_ns() - f->start_ns);
	if (f->is_sync)
		print_trips(f);
	if (f->is_reconnecting)
		fprintf(stderr, " uncertain=%llu",
			(unsigned long long)f->uncertain);
	fputc('\n', stderr);
	if (err == 0)
		return 0;
	if (err == -EPIPE || err == -ECONNRESET)
		return fail(f, "the server closed the connection; its log "
			       "says why");
	if (err == -ETIMEDOUT)
		return fail(f,
			    "the server does not take what is sent; look in "
			    "its log for event=journal_failing or "
			    "event=journal_slow, then for a consumer with "
			    "policy \"block\"");
	return fail(f, f->client.error[0] != '\0' ? f->client.error
						  : strerror(-err));
}

/* ---- command line ---- */

static const struct option options[] = {
	{ "host", required_argument, NULL, 'h' },
	{ "port", required_argument, NULL, 'p' },
	{ "user", required_argument, NULL, 'u' },
	{ "table", required_argument, NULL, 't' },
	{ "rate", required_argument, NULL, 'r' },
	{ "rows", required_argument, NULL, 'n' },
	{ "size", required_argument, NULL, 'b' },
	{ "count", required_argument, NULL, 'c' },
	{ "seconds", required_argument, NULL, 's' },
	{ "id", required_argument, NULL, 'i' },
	{ "reconnect", no_argument, NULL, 'a' },
	{ "sync", no_argument, NULL, 'y' },
	{ "stamp", no_argument, NULL, 'm' },
	{ "help", no_argument, NULL, 'H' },
	{ 0 },
};

static const char usage[] =
	"usage: ringtick feed [OPTION]...\n"
	"\n"
	"Publishes generated rows of the tables trade and quote of etc/sym.q\n"
	"with .u.upd. Column size (of quote: asize) is a running number, "
	"which\n"
	"`ringtick sub --check` follows.\n"
	"\n"
	"  -h, --host HOST    server (127.0.0.1); \"unix\": its unix socket\n"
	"  -p, --port PORT    port (5010)\n"
	"      --user NAME    NAME or NAME:PASSWORD ($USER)\n"
	"  -t, --table NAMES  trade, quote, or trade,quote in turn (trade)\n"
	"      --rate N       messages a second (1000); 0: as fast as "
	"possible\n"
	"      --rows N       rows of a message (1)\n"
	"      --size BYTES   bytes of a message, about, instead of --rows\n"
	"      --count N      end after so many messages\n"
	"      --seconds S    end after so many seconds\n"
	"      --id N         number from N * 1000000000000, so that several\n"
	"                     feeds can be told apart (0)\n"
	"      --stamp        send the time too: the local time of day at "
	"which\n"
	"                     the message was due\n"
	"      --sync         wait for the answer to each message\n"
	"      --reconnect    when the connection breaks, connect again, go "
	"on,\n"
	"                     and say which rows are uncertain\n"
	"      --help\n"
	"\n"
	"Exit status: 0 what was sent was taken, also at a signal; 2 usage,\n"
	"connection, or the server did not say so.\n";

/* "trade", "quote", or both; a name twice is refused by the limit. */
static bool
choose_tables(struct feed *f, const char *names)
{
	f->messages_cnt = 0;
	for (const char *at = names;; at++) {
		size_t len = strcspn(at, ",");
		const struct feed_table *table = feed_table_find(at, len);

		if (table == NULL || f->messages_cnt == FEED_TABLES_MAX) {
			fprintf(stderr,
				"ringtick feed: --table \"%s\": allowed are "
				"trade, quote and trade,quote\n",
				names);
			return false;
		}
		f->messages[f->messages_cnt++].table = table;
		at += len;
		if (*at == '\0')
			return true;
	}
}

static bool
take_option(struct feed *f, int option, const char *value)
{
	const uint64_t most = INT32_MAX;

	switch (option) {
	case 't':
		return choose_tables(f, value);
	case 'r':
		return client_parse_number("--rate", value, 0, NS_PER_S,
					   &f->rate);
	case 'n':
		return client_parse_number("--rows", value, 1, FEED_ROWS_MAX,
					   &f->rows);
	case 'b':
		f->rows = 0;
		return client_parse_size("--size", value, 1, 20000000,
					   &f->size);
	case 'c':
		return client_parse_number("--count", value, 1, INT64_MAX,
					   &f->count);
	case 's':
		return client_parse_number("--seconds", value, 1, most,
					   &f->seconds);
	case 'i':
		return client_parse_number("--id", value, 0, 9000000, &f->id);
	case 'a':
		f->is_reconnecting = true;
		return true;
	case 'y':
		f->is_sync = true;
		return true;
	case 'm':
		f->is_stamped = true;
		return true;
	default:
		return client_target_option(&f->target, option, value);
	}
}

/* -1 to go on, else the exit status. */
static int
take_options(struct feed *f, int argc, char **argv)
{
	int option;

	while ((option = getopt_long(argc, argv, "h:p:t:", options, NULL)) !=
	       -1) {
		if (option == 'H') {
			fputs(usage, stdout);
			return 0;
		}
		if (option == '?') {
			fputs("try `ringtick feed --help`\n", stderr);
			return CLIENT_EXIT_TROUBLE;
		}
		if (!take_option(f, option, optarg))
			return CLIENT_EXIT_TROUBLE;
	}
	if (optind == argc)
		return -1;
	fprintf(stderr,
		"ringtick feed: \"%s\" is not an option; try "
		"`ringtick feed --help`\n",
		argv[optind]);
	return CLIENT_EXIT_TROUBLE;
}

static int
prepare(struct feed *f)
{
	for (unsigned i = 0; i < f->messages_cnt; i++)
		if (make_message(f, &f->messages[i]) < 0)
			return -ENOMEM;
	f->out = malloc(max_u64(FEED_BATCH_BYTES, f->out_cap));
	return f->out == NULL ? -ENOMEM : 0;
}

int
feed_main(int argc, char **argv)
{
	/* Static: the histogram is too large for a stack of a test. */
	static struct feed feed = {
		.client.fd = -1,
		.rate = 1000,
		.rows = 1,
		.count = UINT64_MAX,
		.random = 88172645463325252u,
	};
	struct feed *f = &feed;
	int status;

	(void)choose_tables(f, "trade");
	client_target_init(&f->target);
	zone_init(&f->zone, true, 0);
	status = take_options(f, argc, argv);
	if (status >= 0)
		return status;
	client_catch_signals();
	if (prepare(f) < 0) {
		fputs("ringtick feed: no memory for messages of that size; "
		      "take fewer rows\n",
		      stderr);
		status = CLIENT_EXIT_TROUBLE;
	} else if (client_open(&f->client, &f->target) < 0) {
		fprintf(stderr, "ringtick feed: %s\n", f->client.error);
		status = CLIENT_EXIT_TROUBLE;
	} else {
		status = feed_all(f);
	}
	client_close(&f->client);
	for (unsigned i = 0; i < f->messages_cnt; i++)
		free(f->messages[i].bytes);
	free(f->out);
	return status;
}
