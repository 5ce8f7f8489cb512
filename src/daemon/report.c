#include "config.h"

#include "daemon/report.h"

#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>

#include "base/notify.h"
#include "ring/batch.h"

typedef unsigned long long ull;

/* A consumer is worth a line while its oldest unsent message is this old. */
#define SLOW_AGE_NS (1 * NS_PER_S)

enum {
	ERROR_BYTES = 160, /* of an error's text in a line */
	TURN_LINES = 32,   /* lines about consumers in one turn, and ... */
	TURN_SLOTS = 1024, /* ... connections looked at for them */
	SLOWEST_MAX = 100, /* log.report_consumers at most */
	TLS_TEXT_BYTES = PROXY_TLS_MAX + PROXY_NAME_MAX + 20,
};

/* ---- limits of lines ---- */

void
report_open(struct server *s)
{
	uint64_t seed = 0;

	(void)!getrandom(&seed, sizeof(seed), GRND_NONBLOCK);
	peers_init(&s->peers, s->settings->connections.max, seed);
}

bool
report_may(struct server *s, const struct connection *c,
	   enum peers_event event, const char *reason)
{
	const struct peers_line line = {
		.peer = c->peer,
		.user = c->user,
		.event = event,
		.reason = reason,
		.is_known = c->is_publisher ||
			    consumer_is_subscribed(&c->consumer),
	};

	if (peers_may(&s->peers, &line, s->now_ns))
		return true;
	s->counters.lines_held++;
	return false;
}

void
report_held(struct server *s, bool wants_all)
{
	struct peers_held held;
	char addresses[40];
	unsigned idx = 0;

	while (peers_next_held(&s->peers, &idx, s->now_ns, wants_all, &held)) {
		addresses[0] = '\0';
		if (held.addresses > 0)
			(void)snprintf(addresses, sizeof(addresses),
				       " addresses=%.0f", held.addresses);
		log_line(LOG_WARN, "lines_held",
			 "of=%s reason=%s user=%s address=%s others=%s "
			 "lines=%llu seconds=%.1f%s",
			 peers_event_names[held.event],
			 held.reason[0] == '\0' ? "-" : held.reason, held.user,
			 held.address, held.has_others ? "yes" : "no",
			 (ull)held.lines,
			 (double)(held.last_ns - held.first_ns) / 1e9,
			 addresses);
	}
}

/* ---- one connection ---- */

/* What a TLS terminator tells of a connection. */
static const char *
tls_text(const struct connection *c, char *buf, size_t buf_len)
{
	char name[PROXY_NAME_MAX + 1];

	(void)log_value(name, sizeof(name), c->certified, strlen(c->certified));
	(void)snprintf(buf, buf_len, "tls=%s certificate=%s",
		       c->has_tls ? c->tls : "-", name);
	return buf;
}

void
report_connect(struct server *s, struct connection *c)
{
	char tls[TLS_TEXT_BYTES];

	c->is_told = report_may(s, c, PEERS_CONNECT, "");
	if (!c->is_told)
		return;
	log_line(LOG_INFO, "connect",
		 "conn=%u user=%s peer=%s policy=%s %s", c->slot, c->user,
		 c->peer, slow_policy_names[c->consumer.policy],
		 tls_text(c, tls, sizeof(tls)));
}

static const char *
tables_text(const struct server *s, const struct connection *c, char *buf,
	    size_t buf_len)
{
	if (!consumer_is_subscribed(&c->consumer))
		return "-";
	(void)selection_text(&c->selection, &s->streams.filter.symbols,
			     &s->settings->tables, buf, buf_len);
	return buf[0] != '\0' ? buf : "-";
}

void
report_disconnect(struct server *s, struct connection *c, const char *detail)
{
	char tables[128];
	uint64_t records = 0;
	int64_t age_ns = 0;

	/* A connection whose start was logged has its end logged too. */
	if (!c->is_told &&
	    !report_may(s, c, PEERS_DISCONNECT,
			close_reason_names[c->reason]))
		return;
	consumer_lag_records(&c->consumer, s->now_ns, &records, &age_ns);
	log_line(close_reason_levels[c->reason], "disconnect",
		 "conn=%u user=%s peer=%s reason=%s tables=%s "
		 "in_records=%llu in_bytes=%llu rejected=%llu failed=%llu "
		 "sent_bytes=%llu "
		 "lag_bytes=%llu lag_records=%llu lag_ms=%lld skipped=%llu "
		 "why=\"%s%s%s\"",
		 c->slot, c->user, c->peer, close_reason_names[c->reason],
		 tables_text(s, c, tables, sizeof(tables)), (ull)c->in_records,
		 (ull)c->in_bytes, (ull)c->rejected, (ull)c->failed,
		 (ull)c->consumer.sent_bytes,
		 (ull)consumer_lag_bytes(&c->consumer), (ull)records,
		 (long long)(age_ns / NS_PER_MS),
		 (ull)c->consumer.skipped_records,
		 close_reason_sentences[c->reason], detail != NULL ? ": " : "",
		 detail != NULL ? detail : "");
}

void
report_rejected(struct server *s, struct connection *c,
		const struct tick_outcome *out)
{
	char table[64], error[ERROR_BYTES];
	uint64_t fault;
	size_t len;
	/* The name of the table may be any value. */
	const char *name = request_arg_text(&out->table, &len);

	(void)log_value(table, sizeof(table), name, name != NULL ? len : 0);
	fault = fault_hash(table, out->why);
	if (!faults_may(&c->reject_log, fault, s->now_ns) ||
	    !report_may(s, c, PEERS_REJECTED, ""))
		return;
	faults_note(&c->reject_log, fault);
	log_line(LOG_WARN, "rejected",
		 "conn=%u user=%s peer=%s table=%s error=\"%s\" rejected=%llu",
		 c->slot, c->user, c->peer, table,
		 log_text(error, sizeof(error), out->why, strlen(out->why)),
		 (ull)c->rejected);
}

void
report_failed(struct server *s, struct connection *c,
	      const struct tick_outcome *out)
{
	char error[ERROR_BYTES];
	uint64_t fault = fault_hash(out->asked, out->error);

	if (!faults_may(&c->failed_log, fault, s->now_ns) ||
	    !report_may(s, c, PEERS_REQUEST_FAILED, ""))
		return;
	faults_note(&c->failed_log, fault);
	log_line(LOG_WARN, "request_failed",
		 "conn=%u user=%s peer=%s asked=\"%s\" error=\"%s\" "
		 "failed=%llu",
		 c->slot, c->user, c->peer, out->asked,
		 log_text(error, sizeof(error), out->error,
			  strlen(out->error)),
		 (ull)c->failed);
}

static const char *
stream_text(const struct stream *stream, char *buf, size_t buf_len)
{
	if (stream == NULL)
		return "journal";
	(void)snprintf(buf, buf_len, "%u", stream->id);
	return buf;
}

void
report_subscribe(struct server *s, const struct connection *c,
		 const struct stream *stream)
{
	char tables[512], id[16];

	if (!report_may(s, c, PEERS_SUBSCRIBE, ""))
		return;
	log_line(LOG_INFO, "subscribe",
		 "consumer=%u user=%s peer=%s tables=%s stream=%s policy=%s",
		 c->slot, c->user, c->peer,
		 tables_text(s, c, tables, sizeof(tables)),
		 stream_text(stream, id, sizeof(id)),
		 slow_policy_names[c->consumer.policy]);
}

/* Bytes that the kernel holds for the peer. */
static int
kernel_bytes(const struct connection *c)
{
	int bytes = 0;

	if (ioctl(c->fd, SIOCOUTQ, &bytes) != 0)
		return 0;
	return bytes;
}

/* Whether a consumer is past the leave mark, or was moved to the head since the
 * last report, or has a message that has waited for SLOW_AGE_NS. */
static bool
is_slow(const struct server *s, struct connection *c)
{
	struct consumer *consumer = &c->consumer;
	uint64_t records;
	int64_t age_ns;

	if (!consumer_is_subscribed(consumer))
		return false;
	if (consumer->state == CONSUMER_JOURNAL || consumer->lag.is_slow ||
	    consumer->skips != c->skips_reported)
		return true;
	if (consumer_lag_bytes(consumer) == 0)
		return false;
	consumer_lag_records(consumer, s->now_ns, &records, &age_ns);
	return age_ns >= SLOW_AGE_NS;
}

const char *
report_state(const struct server *s, struct connection *c)
{
	if (c->consumer.state == CONSUMER_LEAVING)
		return "leaving";
	if (c->consumer.state == CONSUMER_JOURNAL)
		return "catching_up";
	if (c->consumer.lag.is_slow && c->consumer.policy == SLOW_BLOCK)
		return "holding";
	return is_slow(s, c) ? "slow" : "live";
}

struct figures
report_figures(struct server *s, struct connection *c, bool asks_kernel)
{
	struct consumer *consumer = &c->consumer;
	/* Also keeps high_bytes. */
	uint64_t lag_bytes = consumer_lag_bytes(consumer);
	uint64_t ring_lag, ring, records;
	int64_t age_ns;

	consumer_ring_lag(consumer, &ring_lag, &ring);
	consumer_lag_records(consumer, s->now_ns, &records, &age_ns);
	return (struct figures){
		.lag_bytes = (int64_t)lag_bytes,
		.lag_records = (int64_t)records,
		.lag_ms = age_ns / NS_PER_MS,
		.ring_pct = ring == 0 ? 0 : (int64_t)(ring_lag * 100 / ring),
		.kernel_bytes = asks_kernel ? kernel_bytes(c) : INT64_MIN,
		.sent_bytes = (int64_t)consumer->sent_bytes,
		.high_bytes = (int64_t)consumer->high_bytes,
		.skips = (int64_t)consumer->skips,
		.skipped = (int64_t)consumer->skipped_records,
		.spills = (int64_t)consumer->past.spills,
		.journal_records = (int64_t)consumer->past.served_records,
		.journal_ms = consumer_past_ns(consumer, s->now_ns) / NS_PER_MS,
	};
}

static const char *
figures_text(const struct figures *f, char *buf, size_t buf_len)
{
	size_t len = 0;

#define FIGURE(name, column, sentence)                                       \
	len += (size_t)snprintf(buf + len, buf_len - len, " %s=%lld", #name, \
				(long long)f->name);
#include "daemon/figures.def"
#undef FIGURE
	CHECK(len < buf_len);
	return buf;
}

/* Logs the figures of one consumer. */
static void
log_consumer(struct server *s, struct connection *c)
{
	struct figures figures = report_figures(s, c, true);
	char tls[TLS_TEXT_BYTES], tables[256], text[512];

	c->state_logged = report_state(s, c);
	log_line(is_slow(s, c) ? LOG_WARN : LOG_INFO, "consumer",
		 "consumer=%u user=%s peer=%s %s tables=%s state=%s "
		 "policy=%s%s",
		 c->slot, c->user, c->peer, tls_text(c, tls, sizeof(tls)),
		 tables_text(s, c, tables, sizeof(tables)), c->state_logged,
		 slow_policy_names[c->consumer.policy],
		 figures_text(&figures, text, sizeof(text)));
}

void
report_change(struct server *s, struct connection *c)
{
	uint64_t held;

	if (!log_may(&c->change_log, s->now_ns, &held))
		return;
	if (report_may(s, c, PEERS_CONSUMER, ""))
		log_consumer(s, c);
	else
		c->state_logged = "";
}

void
report_skip(struct server *s, struct connection *c,
	    const struct skipped *skipped)
{
	uint64_t held;

	/* A consumer that never keeps up is moved many times a second. */
	if (!log_may(&c->skip_log, s->now_ns, &held) ||
	    !report_may(s, c, PEERS_SKIP, ""))
		return;
	log_line(LOG_WARN, "skip",
		 "consumer=%u user=%s peer=%s lost_records=%llu "
		 "from_record=%llu to_record=%llu skips=%llu skipped=%llu",
		 c->slot, c->user, c->peer, (ull)skipped->records,
		 (ull)skipped->from_record, (ull)skipped->to_record,
		 (ull)c->consumer.skips, (ull)c->consumer.skipped_records);
}

/* ---- all consumers ---- */

static void
report_one(struct server *s, struct connection *c)
{
	bool is_changed = c->state_logged != NULL &&
			  strcmp(c->state_logged, report_state(s, c)) != 0;

	if (s->report_of == REPORT_ALL
		    ? consumer_is_subscribed(&c->consumer)
		    : is_changed && report_may(s, c, PEERS_CONSUMER, "")) {
		log_consumer(s, c);
		s->reported_cnt++;
	}
	if (s->report_of == REPORT_CHANGED)
		c->skips_reported = c->consumer.skips;
}

void
report_run(struct server *s)
{
	unsigned until = s->reported_cnt + TURN_LINES;
	unsigned slots = s->report_slot + TURN_SLOTS;

	if (s->report_of == REPORT_NOBODY)
		return;
	for (; s->report_slot < s->clients.max; s->report_slot++) {
		struct connection *c = &s->clients.slots[s->report_slot];

		if (s->reported_cnt == until || s->report_slot == slots)
			return;
		if (c->state != CONNECTION_FREE)
			report_one(s, c);
	}
	if (s->report_of == REPORT_ALL)
		log_line(LOG_INFO, "consumers", "consumers=%u connections=%u",
			 s->reported_cnt, s->clients.open_cnt);
	s->report_of = REPORT_NOBODY;
}

static void
begin_report(struct server *s, enum report_of whom)
{
	s->report_of = whom;
	s->report_slot = s->reported_cnt = 0;
	report_run(s);
}

void
report_all_consumers(struct server *s)
{
	begin_report(s, REPORT_ALL);
}

struct census {
	unsigned consumers, slow, behind, feeds;
};

/* The slowest consumers so far, the longest lag first. */
struct slowest {
	struct connection *c[SLOWEST_MAX];
	uint64_t lag[SLOWEST_MAX];
	unsigned cnt;
};

static void
note_slow(struct slowest *all, unsigned max, struct connection *c, uint64_t lag)
{
	unsigned i = all->cnt;

	if (i == max && lag <= all->lag[i - 1])
		return;
	if (i == max)
		i--;
	else
		all->cnt++;
	for (; i > 0 && all->lag[i - 1] < lag; i--) {
		all->c[i] = all->c[i - 1];
		all->lag[i] = all->lag[i - 1];
	}
	all->c[i] = c;
	all->lag[i] = lag;
}

/* Logs the slowest by name, the others as a sum. */
static void
report_slow(struct server *s, struct census *census)
{
	unsigned max = (unsigned)s->settings->log.report_consumers;
	struct slowest slowest = { .cnt = 0 };
	struct connection *c = NULL;
	uint64_t slow_lag = 0;

	CHECK(max > 0 && max <= SLOWEST_MAX);
	while ((c = clients_next(&s->clients, c)) != NULL) {
		uint64_t lag;

		if (!is_slow(s, c))
			continue;
		lag = consumer_lag_bytes(&c->consumer);
		census->slow++;
		slow_lag += lag;
		note_slow(&slowest, max, c, lag);
	}
	for (unsigned i = 0; i < slowest.cnt; i++) {
		slow_lag -= slowest.lag[i];
		log_consumer(s, slowest.c[i]);
	}
	if (census->slow > slowest.cnt)
		log_line(LOG_WARN, "more_slow_consumers",
			 "consumers=%u lag_bytes=%llu",
			 census->slow - slowest.cnt, (ull)slow_lag);
}

static struct census
take_census(const struct server *s)
{
	struct census census = { 0 };
	struct connection *c = NULL;

	while ((c = clients_next(&s->clients, c)) != NULL) {
		census.consumers += consumer_is_subscribed(&c->consumer);
		census.behind += c->consumer.state == CONSUMER_JOURNAL;
		census.feeds += c->is_feed;
	}
	return census;
}

static uint64_t
ring_used(const struct stream *stream)
{
	uint64_t longest = 0;

	for (struct list *n = stream->cursors.next; n != &stream->cursors;
	     n = n->next) {
		struct cursor *c = container_of(n, struct cursor, node);

		longest = max_u64(longest, stream->head_pos - c->pos);
	}
	return longest;
}

/* Counters of a row: "name=value ...". */
static size_t
counters_text(const struct counters *now, char *buf, size_t buf_len)
{
	size_t len = 0;

#define COUNTER(name, unit, sentence)                                        \
	len += (size_t)snprintf(buf + len, buf_len - len, " %s=%llu", #name, \
				(ull)now->name);
#include "config/counters.def"
#undef COUNTER
	CHECK(len < buf_len);
	return len;
}

/* The journal's part of the summary; empty without a journal. */
static const char *
journal_text(struct server *s, double seconds, char *buf, size_t buf_len)
{
	struct journal *j = &s->journal;
	uint64_t written = j->written_bytes - s->report_base.journal_bytes;
	char space[96];

	buf[0] = '\0';
	if (!j->state.is_on)
		return buf;
	s->report_base.journal_bytes = j->written_bytes;
	(void)journal_space_text(&s->journal_space, (double)written / seconds,
				 space, sizeof(space));
	/* For the next one. */
	if (!s->is_stopping)
		journal_space_look(&s->journal_space, &s->file_jobs);
	(void)snprintf(buf, buf_len,
		       " journal_records=%llu journal_lag_bytes=%llu "
		       "journal_written_bytes=%llu journal_write_max_ms=%lld "
		       "journal_syncs=%llu journal_failures=%llu%s",
		       (ull)j->state.records,
		       (ull)(s->streams.main.head_pos - j->state.written_pos),
		       (ull)j->written_bytes,
		       (long long)(j->write_max_ns / NS_PER_MS), (ull)j->syncs,
		       (ull)j->failures, space);
	j->write_max_ns = 0;
	return buf;
}

void
report_summary(struct server *s)
{
	const struct engine_counters *engine = engine_counters(s->engine);
	struct counters *before = &s->report_base.counters;
	struct census census = take_census(s);
	char totals[1024], status[256], journal[256];
	double seconds =
		(double)(s->now_ns - s->report_base.at_ns) / (double)NS_PER_S;

	report_slow(s, &census);
	tick_report_date(&s->tick);
	(void)counters_text(&s->counters, totals, sizeof(totals));
	log_line(LOG_INFO, "report",
		 "in_per_s=%.0f in_mb_s=%.1f out_mb_s=%.1f ring_pct=%llu "
		 "consumers=%u slow=%u behind=%u feeds=%u connections=%u "
		 "leave_max_us=%lld waits=%llu submit_stalls=%llu%s%s",
		 (double)(s->counters.in_records - before->in_records) /
			 seconds,
		 (double)(s->counters.in_bytes - before->in_bytes) / seconds /
			 1e6,
		 (double)(s->counters.out_bytes - before->out_bytes) / seconds /
			 1e6,
		 (ull)(ring_used(&s->streams.main) * 100 /
		       s->streams.main.ring.size),
		 census.consumers, census.slow, census.behind, census.feeds,
		 s->clients.open_cnt, (long long)(s->leave_max_ns / NS_PER_US),
		 (ull)engine->waits, (ull)engine->submit_stalls, totals,
		 journal_text(s, seconds, journal, sizeof(journal)));
	if (s->report_of == REPORT_NOBODY)
		begin_report(s, REPORT_CHANGED);
	s->leave_max_ns = 0;
	s->report_base.at_ns = s->now_ns;
	s->report_base.counters = s->counters;
	notify_status("%s", report_status(s, status, sizeof(status)));
}

const char *
report_status(const struct server *s, char *buf, size_t buf_len)
{
	struct census census = take_census(s);

	(void)snprintf(buf, buf_len,
		       "port=%u consumers=%u feeds=%u in_records=%llu "
		       "rejected=%llu slow_disconnects=%llu%s",
		       s->listeners.port, census.consumers, census.feeds,
		       (ull)s->counters.in_records, (ull)s->counters.rejected,
		       (ull)s->counters.slow_disconnects,
		       journal_trouble(&s->journal));
	return buf;
}

void
report_journal(struct server *s)
{
	const char *trouble = journal_trouble(&s->journal);
	char status[256];

	if (trouble == s->trouble_told)
		return;
	s->trouble_told = trouble;
	notify_status("%s", report_status(s, status, sizeof(status)));
}

/* ---- memory ---- */

/* The most bytes of one connection's input that the kernel holds. */
static uint64_t
receive_window_max(void)
{
	unsigned long long least, usual, most = 6u << 20;
	FILE *f = fopen("/proc/sys/net/ipv4/tcp_rmem", "re");

	if (f == NULL)
		return most;
	if (fscanf(f, "%llu %llu %llu", &least, &usual, &most) != 3)
		most = 6u << 20;
	(void)fclose(f);
	return most;
}

void
report_memory(const struct server *s)
{
	const struct settings *set = s->settings;
	uint64_t n = set->connections.max;
	bool is_batched = set->publish.interval > 0;
	uint64_t unit = min_u64(set->message.max, CATCHUP_BUFFER_BYTES);
	uint64_t index =
		index_capacity(set->ring.size, 0) +
		set->streams.max *
			index_capacity(set->streams.ring,
				       is_batched ? unit / 2 : 0);
	uint64_t filters = symbols_memory((uint32_t)set->streams.symbols,
					  settings_filters_max(set),
					  (uint32_t)set->streams.max);
	uint64_t ring = set->ring.size;
	uint64_t streams = set->streams.max * set->streams.ring;
	uint64_t receive = n * set->connections.receive_buffer;
	uint64_t replies = n * s->tick.reply_max;
	uint64_t pool = set->message.buffers * set->message.max;
	uint64_t scratch = set->message.max + s->tick.work_len +
			   inflate_long_memory(set->message.max) +
			   2 * filter_memory(set->message.max) +
			   (is_batched ? batch_memory(set->message.max) : 0);
	/* And the rows of .ringtick.lag[] while it is made. */
	uint64_t table = n * (sizeof(struct connection) +
			      sizeof(struct figures) + sizeof(void *)) +
			 shares_memory((unsigned)n);
	uint64_t staging = s->journal.staging.size;
	bool has_journal = s->journal.state.is_on;
	uint64_t past = n * CATCHUP_BUFFER_BYTES +
			(has_journal ? catchup_memory(set->message.max) : 0);
	/* The present file, the one before, and the next. */
	uint64_t files = has_journal ? 3 * sizeof(struct history_file) : 0;
	/* At a reload there are two for a moment. */
	uint64_t login = 2 * 1024 * (uint64_t)s->reload.login_kb;

	index *= sizeof(struct index_entry);
	log_line(LOG_INFO, "memory",
		 "total_max_kb=%llu ring_kb=%llu ring_pages=%s "
		 "locked_kb=%llu streams_max_kb=%llu receive_max_kb=%llu "
		 "replies_max_kb=%llu buffers_max_kb=%llu scratch_max_kb=%llu "
		 "index_kb=%llu filters_max_kb=%llu connections_kb=%llu "
		 "journal_kb=%llu "
		 "catchup_max_kb=%llu login_max_kb=%llu "
		 "kernel_sockets_max_kb=%llu",
		 (ull)(ring + streams + receive + replies + pool + scratch +
		       index + filters + table + staging + files + past +
		       login) /
			 1024,
		 (ull)ring / 1024, s->streams.main.ring.is_huge ? "huge" : "4k",
		 (ull)(2 * ring) / 1024, (ull)streams / 1024,
		 (ull)receive / 1024, (ull)replies / 1024, (ull)pool / 1024,
		 (ull)scratch / 1024, (ull)index / 1024, (ull)filters / 1024,
		 (ull)table / 1024, (ull)(staging + files) / 1024,
		 (ull)past / 1024, (ull)login / 1024,
		 (ull)(n *
		       (set->connections.send_buffer + receive_window_max())) /
			 1024);
}
