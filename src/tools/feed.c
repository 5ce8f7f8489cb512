#include "config.h"

#include "tools/feed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/util.h"
#include "tools/cli.h"
#include "tools/client.h"
#include "tools/feed_options.h"
#include "tools/histogram.h"
#include "tools/sequence.h"
#include "wire/wire.h"

enum {
	FEED_BATCH_BYTES = 64 << 10, /* of messages in one send */
};

#define FEED_ANSWER_NS	(30 * NS_PER_S) /* how long a response may take */
#define FEED_NAP_MIN_NS (NS_PER_S / 10) /* between attempts to connect */
#define FEED_NAP_MAX_NS (2 * NS_PER_S)

struct feed {
	struct feed_options options;
	struct client client;
	uint64_t rows; /* of a message */

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

	uint64_t sent, sent_bytes; /* whole messages */
	uint64_t tried;		   /* sent completely or in part */
	uint64_t confirmed; /* of these: a response has come after them */
	uint64_t uncertain; /* tried, but no response says whether they
			       arrived */
	uint64_t told, told_bytes; /* values of sent and sent_bytes at the last
				      line */
	struct histogram trips;	   /* --sync: from due time to response */
};

/* ---- messages ---- */

static int
make_message(struct feed *f, struct feed_message *m)
{
	feed_message_choose(m, f->options.is_stamped);
	if (f->rows == 0)
		f->rows =
			max_u64(f->options.size / feed_message_row_bytes(m), 1);
	m->next_sequence = (int64_t)f->options.id * SEQUENCE_FEED;
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

/* due_ns: the monotonic time at which the message is due. */
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

/* When a message is due: an absolute time, however late the messages before it
 * were. */
static int64_t
due_ns(const struct feed *f, uint64_t number, int64_t now_ns)
{
	uint64_t rate = f->options.rate;

	if (rate == 0)
		return now_ns;
	return f->start_ns + (int64_t)(number / rate) * NS_PER_S +
	       (int64_t)(number % rate * (uint64_t)NS_PER_S / rate);
}

/* How many messages are due by now. */
static uint64_t
due_count(const struct feed *f, int64_t now_ns)
{
	uint64_t elapsed_ns = (uint64_t)(now_ns - f->start_ns);
	const uint64_t second = (uint64_t)NS_PER_S;

	if (f->options.rate == 0)
		return UINT64_MAX;
	return elapsed_ns / second * f->options.rate +
	       elapsed_ns % second * f->options.rate / second + 1;
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
report_rates(struct feed *f, int64_t now_ns)
{
	int64_t behind_ns = now_ns - due_ns(f, f->sent, now_ns);

	print_rates(f, "rate", f->sent - f->told, f->sent_bytes - f->told_bytes,
		    now_ns - f->last_ns);
	if (f->options.rate != 0)
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
		report_rates(f, now_ns);
}

/* ---- sending ---- */

static int
fail(const struct feed *f, const char *sentence)
{
	const struct client_target *target = &f->options.common.target;

	fprintf(stderr, "ringtick feed: %s, port %s: %s\n", target->host,
		target->port, sentence);
	return CLI_EXIT_TROUBLE;
}

/* Sends all len bytes, however long the server takes; prints reports
 * meanwhile. */
static int
send_all(struct feed *f, const uint8_t *bytes, size_t len)
{
	for (;;) {
		size_t sent;
		int err = client_send_all(&f->client, bytes, len, f->report_ns,
					  &sent);
		bool is_ending = f->client.give_up_ns != 0;
		int64_t now_ns = clock_monotonic_ns();

		if (is_ending && now_ns < f->end_ns)
			f->end_ns = now_ns;
		if (err != -ETIMEDOUT || is_ending)
			return err;
		bytes += sent;
		len -= sent;
		report_if_due(f, now_ns);
		if (now_ns >= f->end_ns)
			client_end(&f->client);
	}
}

/* Sends as many messages as are due and fit into one send, but at least one. */
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

/* Turns the bare error of the server into a sentence. */
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

/* Sends one message and waits for the answer. */
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
 * The first update of each table is synchronous, so that a refusal is seen: the
 * server never answers asynchronous ones.
 */
static int
send_some(struct feed *f, uint64_t due, int64_t now_ns)
{
	if (f->options.is_sync || f->sent < f->messages_cnt)
		return send_sync(f, now_ns);
	return send_batch(f, due, now_ns);
}

/* Waits until the server has taken everything that was sent. */
static int
confirm_all(struct feed *f)
{
	int err =
		client_chase(&f->client, clock_monotonic_ns() + FEED_ANSWER_NS);

	if (err == 0)
		f->confirmed = f->sent;
	return err;
}

/* ---- connecting again ---- */

static bool
is_lost(const struct feed *f, int err)
{
	return f->options.is_reconnecting &&
	       (err == -EPIPE || err == -ECONNRESET);
}

/* How many of the first n messages are of table i. */
static uint64_t
messages_of(const struct feed *f, uint64_t n, unsigned i)
{
	return (n + f->messages_cnt - 1 - i) / f->messages_cnt;
}

/* Messages sent and not yet confirmed may have arrived or not: this client
 * cannot know.  They are not sent again, which could double them. */
static void
tell_uncertain(struct feed *f)
{
	uint64_t base = f->options.id * SEQUENCE_FEED;

	for (unsigned i = 0; i < f->messages_cnt; i++) {
		uint64_t from = messages_of(f, f->confirmed, i) * f->rows;
		uint64_t to = messages_of(f, f->tried, i) * f->rows;

		if (to > from)
			fprintf(stderr,
				"uncertain table=%s first=%llu last=%llu\n",
				f->messages[i].table->name,
				(unsigned long long)(base + from),
				(unsigned long long)(base + to - 1));
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
		if (cli_stopped() || now_ns >= f->end_ns)
			return -EPIPE;
		if (client_open(&f->client, &f->options.common.target) == 0)
			break;
		if (nap_ns < FEED_NAP_MAX_NS)
			nap_ns *= 2;
	}
	fputs("ringtick feed: connected again\n", stderr);
	return 0;
}

/* Prints the line of each second; with --reconnect it then also waits until the
 * server has taken everything. */
static int
report_and_confirm(struct feed *f, int64_t now_ns)
{
	bool is_due = now_ns >= f->report_ns;

	report_if_due(f, now_ns);
	return is_due && f->options.is_reconnecting ? confirm_all(f) : 0;
}

static int
run(struct feed *f)
{
	uint64_t count = f->options.common.count;
	int err = 0;

	while (err == 0 && f->sent < count && !cli_stopped()) {
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
		due = min_u64(due, count) - f->sent;
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
	f->end_ns = client_options_end_ns(&f->options.common, f->start_ns);
	read_clocks(f);
	err = run(f);
	cli_resume();
	while (err == 0) {
		err = confirm_all(f);
		if (!is_lost(f, err))
			break;
		err = reconnect(f);
	}
	print_rates(f, "total", f->sent, f->sent_bytes,
		    clock_monotonic_ns() - f->start_ns);
	if (f->options.is_sync)
		print_trips(f);
	if (f->options.is_reconnecting)
		fprintf(stderr, " uncertain=%llu",
			(unsigned long long)f->uncertain);
	fputc('\n', stderr);
	if (err == 0)
		return 0;
	if (err == -EPIPE || err == -ECONNRESET)
		return fail(f, "the server closed the connection; its log "
			       "says why");
	if (err == -ETIMEDOUT)
		return fail(f, "the server takes no more messages; look in its "
			       "log for event=journal_failing or "
			       "event=journal_slow, then for a consumer with "
			       "policy \"block\"");
	return fail(f, f->client.error[0] != '\0' ? f->client.error
						  : strerror(-err));
}

/* ---- the whole ---- */

static int
prepare_messages(struct feed *f)
{
	f->rows = f->options.rows;
	f->messages_cnt = f->options.tables_cnt;
	for (unsigned i = 0; i < f->messages_cnt; i++) {
		f->messages[i].table = f->options.tables[i];
		if (make_message(f, &f->messages[i]) < 0)
			return -ENOMEM;
	}
	f->out = malloc(max_u64(FEED_BATCH_BYTES, f->out_cap));
	return f->out == NULL ? -ENOMEM : 0;
}

int
feed_main(int argc, char **argv)
{
	/* Static: the histogram is too large for the stack. */
	static struct feed feed = {
		.client.fd = -1,
		.random = 88172645463325252u,
	};
	struct feed *f = &feed;
	int status;

	feed_options_read(&f->options, argc, argv);
	zone_init(&f->zone, true, 0);
	cli_catch_signals();
	if (prepare_messages(f) < 0) {
		fputs("ringtick feed: no memory for messages of that size; "
		      "take fewer rows\n",
		      stderr);
		status = CLI_EXIT_TROUBLE;
	} else if (client_open(&f->client, &f->options.common.target) < 0) {
		fprintf(stderr, "ringtick feed: %s\n", f->client.error);
		status = CLI_EXIT_TROUBLE;
	} else {
		status = feed_all(f);
	}
	client_close(&f->client);
	for (unsigned i = 0; i < f->messages_cnt; i++)
		free(f->messages[i].bytes);
	free(f->out);
	return status;
}
