#include "config.h"

#include "tools/log_replay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"
#include "tools/cli.h"
#include "tools/qtime.h"
#include "wire/wire.h"

enum { UPDATE_HEAD_BYTES = 22 }; /* IPC header, list of three, `.u.upd */

#define REPLAY_ANSWER_NS (30 * NS_PER_S)
#define REPLAY_NAP_NS	 (NS_PER_S / 4) /* a signal just before a nap is seen
					   after it */

static int
fail(const struct log_replay *r, int err, const char *sentence)
{
	fprintf(stderr, "ringtick log: %s, port %s: %s\n", r->target.host,
		r->target.port, sentence);
	return err;
}

static int
fail_send(const struct log_replay *r, int err)
{
	if (err == -EPIPE || err == -ECONNRESET)
		return fail(r, err,
			    "the server closed the connection; its log says "
			    "why");
	if (err == -ETIMEDOUT)
		return fail(r, err,
			    "the server does not take what is sent; look for "
			    "a consumer with policy \"block\" in its log");
	return fail(r, err, strerror(-err));
}

int
log_replay_open(struct log_replay *r)
{
	int err = client_open(&r->client, &r->target);

	r->open_ns = r->told_ns = clock_monotonic_ns();
	r->is_telling = isatty(STDERR_FILENO);
	if (err < 0)
		fprintf(stderr, "ringtick log: %s\n", r->client.error);
	return err;
}

/* However long the server lets it wait. */
static int
send_all(struct log_replay *r, const uint8_t *bytes, size_t len)
{
	size_t sent;
	int err =
		client_send_all(&r->client, bytes, len, CLIENT_FOREVER, &sent);

	/* Kept here, since the client may be opened again. */
	r->is_ending = r->is_ending || r->client.give_up_ns != 0;
	return err < 0 ? fail_send(r, err) : 0;
}

static int
send_batch(struct log_replay *r)
{
	size_t len = r->len;

	r->len = 0;
	return send_all(r, r->batch, len);
}

/* ---- time ---- */

/* A line that is overwritten each second. */
static void
tell_progress(struct log_replay *r, int64_t now_ns)
{
	if (!r->is_telling || now_ns - r->told_ns < NS_PER_S)
		return;
	r->told_ns = now_ns;
	fprintf(stderr, "\r%3.0f %%, %llu records, %llu refused ",
		100.0 * (double)r->at_off / (double)max_u64(r->file_len, 1),
		(unsigned long long)r->records, (unsigned long long)r->refused);
}

static int
nap_until(struct log_replay *r, int64_t due_ns)
{
	int64_t now_ns = clock_monotonic_ns();
	int err = now_ns < due_ns ? send_batch(r) : 0;

	while (err == 0 && now_ns < due_ns && !cli_stopped()) {
		int64_t nap_ns = due_ns - now_ns < REPLAY_NAP_NS
					 ? due_ns - now_ns
					 : REPLAY_NAP_NS;
		struct timespec ts = { .tv_nsec = nap_ns };

		(void)nanosleep(&ts, NULL);
		now_ns = clock_monotonic_ns();
		tell_progress(r, now_ns);
	}
	return err;
}

/*
 * Moves passed_ns to the time of this record.  The first time of each type is
 * taken to be the present passed_ns, so that tables with different types of
 * time continue together.  A time of day far before the expected one belongs to
 * the next day.
 */
static void
advance_time(struct log_replay *r, int type, struct qtime when)
{
	int64_t *base_ns = &r->base_ns[type];
	int64_t at_ns;

	if (!r->has_base[type]) {
		r->has_base[type] = true;
		*base_ns = when.ns - r->passed_ns;
	}
	at_ns = when.ns - *base_ns;
	while (!when.has_date && at_ns < r->passed_ns - NS_PER_DAY / 2) {
		*base_ns -= NS_PER_DAY;
		at_ns += NS_PER_DAY;
	}
	/* gaps of more than a year are not waited for */
	if (at_ns > r->passed_ns && at_ns - r->passed_ns <= 366 * NS_PER_DAY)
		r->passed_ns = at_ns;
}

/* Waits until the record is due.  Does not wait for one without a time, or with
 * an earlier time than the record before it. */
static int
wait_turn(struct log_replay *r, const struct log_payload *payload)
{
	struct qtime when;
	double due_ns;

	if (r->speed <= 0 || payload->time_first == NULL ||
	    !qtime_read(payload->time_type, payload->time_first, &when))
		return 0;
	if (r->start_ns == 0)
		r->start_ns = clock_monotonic_ns();
	advance_time(r, payload->time_type, when);
	due_ns = (double)r->start_ns + (double)r->passed_ns / r->speed;
	return nap_until(r, due_ns < (double)INT64_MAX ? (int64_t)due_ns
						       : INT64_MAX);
}

/* ---- messages ---- */

/* The parts of a message after its head. */
struct pieces {
	const uint8_t *table; /* a symbol */
	size_t table_len;
	const uint8_t *columns;
	size_t columns_len;
	uint64_t total; /* bytes of the message */
};

static void
put_front(struct wire_writer *w, enum wire_message message,
	  const struct pieces *p)
{
	size_t off = wire_begin_frame(w, message);

	wire_put_list(w, KT_LIST, KA_NONE, 3);
	wire_put_symbol(w, ".u.upd");
	CHECK(wire_written(w) - off == UPDATE_HEAD_BYTES);
	wire_put_bytes(w, p->table, p->table_len);
	CHECK(!w->is_full);
	wire_store_u32(w->base + off + 4, (uint32_t)p->total);
}

/* Sends one record and waits for the answer; a refusal is -EREMOTEIO with its
 * text in client.error. */
static int
send_sync(struct log_replay *r, const struct pieces *p)
{
	uint8_t *frame = malloc(p->total);
	struct wire_writer w = wire_writer(frame, p->total);
	int err = send_batch(r);

	if (frame == NULL)
		return fail(r, -ENOMEM, "no memory for a record that long");
	put_front(&w, WIRE_SYNC, p);
	wire_put_bytes(&w, p->columns, p->columns_len);
	CHECK(!w.is_full);
	if (err == 0) {
		err = client_request(&r->client, frame, p->total,
				     clock_monotonic_ns() + REPLAY_ANSWER_NS);
		if (err < 0 && err != -EREMOTEIO)
			(void)fail(r, err, r->client.error);
	}
	free(frame);
	return err;
}

/* Counts a refused record, and reports the first of its kind. */
static void
note_refused(struct log_replay *r, struct kind *kind, const struct pieces *p,
	     uint64_t len, uint64_t number, const char *error)
{
	char sentence[640];

	r->refused++;
	kind_refused(kind, len, number, error);
	if (error == NULL || (kind != NULL && kind->refused > 1))
		return;
	snprintf(sentence, sizeof(sentence),
		 "record %llu, of table %.*s, is refused with '%s",
		 (unsigned long long)number, (int)p->table_len - 2,
		 (const char *)p->table + 1, error);
	/* The name is from the file and goes to a terminal. */
	for (char *c = sentence; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	(void)fail(r, 0, sentence);
}

static int
send_async(struct log_replay *r, const struct pieces *p)
{
	struct wire_writer w;
	int err = 0;

	if (p->total > sizeof(r->batch) - r->len)
		err = send_batch(r);
	if (err < 0)
		return err;
	w = wire_writer(r->batch + r->len, sizeof(r->batch) - r->len);
	put_front(&w, WIRE_ASYNC, p);
	if (p->total <= sizeof(r->batch) - r->len)
		wire_put_bytes(&w, p->columns, p->columns_len);
	r->len += wire_written(&w);
	if (p->total <= sizeof(r->batch))
		return 0;
	err = send_batch(r);
	return err < 0 ? err : send_all(r, p->columns, p->columns_len);
}

/* Connects again after a frame above the server's limit: ringtickd answers it
 * and then closes the connection, as after a malformed one. */
static int
reopen(struct log_replay *r)
{
	int err;

	client_close(&r->client);
	err = client_open(&r->client, &r->target);
	return err < 0 ? fail(r, err, r->client.error) : 0;
}

/* Sends the record synchronously, asynchronously or not at all, by what is
 * known of its kind. */
static int
send_record(struct log_replay *r, struct kind *kind, const struct pieces *p,
	    uint64_t len, uint64_t number)
{
	int err;

	switch (kind_foresee(kind, len)) {
	case KIND_TAKEN:
		return send_async(r, p);
	case KIND_REFUSED:
		note_refused(r, kind, p, len, number, NULL);
		return -EREMOTEIO;
	case KIND_UNKNOWN:
		break;
	}
	err = send_sync(r, p);
	if (err == 0)
		kind_taken(kind, len);
	if (err != -EREMOTEIO)
		return err;
	note_refused(r, kind, p, len, number, r->client.error);
	if (strcmp(r->client.error, "limit") == 0)
		err = reopen(r);
	return err < 0 ? err : -EREMOTEIO;
}

int
log_replay_record(struct log_replay *r, const struct journal_record *record,
		  const struct log_payload *payload, uint64_t number)
{
	struct pieces p = {
		.table = (const uint8_t *)record->table - 1,
		.table_len = record->table_len + 2,
		.columns = payload->columns,
		.columns_len = payload->columns_len,
	};
	struct kind *kind;
	uint64_t len;
	int err = wait_turn(r, payload);

	if (err < 0 || cli_stopped())
		return err;
	p.total = UPDATE_HEAD_BYTES + p.table_len + p.columns_len;
	if (p.total > INT32_MAX || p.table_len > REPLAY_BATCH_BYTES / 2)
		return fail(r, -EMSGSIZE,
			    "a record is longer than the longest message; "
			    "leave it out with --from and --to");
	kind = kinds_find(&r->kinds, record, payload, &len);
	err = send_record(r, kind, &p, len, number);
	if (r->is_telling)
		tell_progress(r, clock_monotonic_ns());
	if (err == -EREMOTEIO)
		return 0;
	if (err == 0) {
		r->records++;
		r->rows += payload->rows;
		r->bytes += p.total;
	}
	return err;
}

/* Reports, for each kind refused more than once, how many records were
 * refused. */
static void
tell_refused(const struct log_replay *r)
{
	for (unsigned i = 0; i < KINDS_MAX; i++) {
		const struct kind *kind = &r->kinds.all[i];

		if (kind->refused > 1)
			fprintf(stderr,
				"ringtick log: %llu records like record %llu "
				"were refused\n",
				(unsigned long long)kind->refused,
				(unsigned long long)kind->first);
	}
}

int
log_replay_close(struct log_replay *r, int err)
{
	double seconds;

	if (err == 0)
		err = send_batch(r);
	if (err == 0) {
		cli_resume();
		err = client_chase(&r->client,
				   clock_monotonic_ns() + REPLAY_ANSWER_NS);
		if (err < 0)
			(void)fail(r, err, r->client.error);
	}
	seconds = (double)(clock_monotonic_ns() - r->open_ns + 1) / 1e9;
	if (r->is_telling)
		fputc('\n', stderr);
	tell_refused(r);
	fprintf(stderr,
		"total seconds=%.1f messages=%llu rows=%llu messages_s=%.0f "
		"rows_s=%.0f mb_s=%.1f refused=%llu\n",
		seconds, (unsigned long long)r->records,
		(unsigned long long)r->rows, (double)r->records / seconds,
		(double)r->rows / seconds, (double)r->bytes / seconds / 1e6,
		(unsigned long long)r->refused);
	client_close(&r->client);
	if (err != 0)
		return CLI_EXIT_TROUBLE;
	return r->refused > 0 ? CLI_EXIT_CHECK : 0;
}
