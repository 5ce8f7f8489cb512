/*
 * The judge of what the daemon says about its consumers, in .ringtick.lag[] and
 * in the log.
 *
 * A row says how much the kernel has taken (sent) and how much is still to be
 * sent (lag): so the bytes of the connection up to sent + lag are what the
 * daemon had for it when it made the row.  What comes later on the connection
 * tells if that is so: there is the end of a message, between it and `sent` are
 * as many updates as the row says, and what somebody had seen before is not
 * after it.  All rows of one table speak of one moment: there is one place in
 * the order that fits all of them.
 *
 * Where a consumer's part cannot be counted, the lag is of all tables (see
 * doc/operations.md): there it may be too high, never too low.
 */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "doors.h"

enum { ACCOUNTS_MAX = 16, GROUPS_MAX = 4096 };

/*
 * A row's age is that of an entry of the ring's index, one for each 10 ms; of
 * what has been in the ring for longer than RING_EXACT_NS perhaps only one for
 * so many bytes; or of the journal's index.
 */
#define RING_AGE_NS    (10 * NS_PER_MS)
#define RING_EXACT_NS  (400 * NS_PER_MS)
#define JOURNAL_AGE_NS (1 * NS_PER_S)
enum { JOURNAL_BUFFER_BYTES = 256 << 10, RING_GAP_BYTES = 64 << 10 };

/* A message that has come. */
struct message {
	uint64_t end;	  /* bytes of the connection up to its end */
	uint64_t updates; /* the same in updates, ... */
	uint64_t replies; /* ... and in replies */
	bool is_error;	  /* one of these */
};

struct place {
	int32_t day;
	uint64_t idx;
	struct update u;
};

struct account {
	unsigned port; /* 0: closed */
	bool is_counted; /* never had a filter of symbols, nor batches */
	struct bytes messages, places;
	uint64_t asked;	   /* questions */
	uint64_t skip_end; /* bytes up to the last notice of a skip */
};

/* What is known of the moment of a table. */
struct moment {
	int64_t from_ns, to_ns;
	int32_t day;
	uint64_t lowest, highest; /* records that all of its rows have */
};

struct row {
	struct figures f;
	unsigned account, moment;
	uint64_t asked; /* then, by the consumer */
};

static struct account accounts[ACCOUNTS_MAX];
static struct moment moments[GROUPS_MAX];
static unsigned moments_cnt;
static struct bytes rows; /* struct row: not judged yet */

static uint64_t
messages_cnt(const struct account *a)
{
	return a->messages.len / sizeof(struct message);
}

static const struct message *
message(const struct account *a, uint64_t i)
{
	return (const struct message *)(const void *)a->messages.at + i;
}

static const struct place *
place(const struct account *a, uint64_t i)
{
	if (i >= a->places.len / sizeof(struct place))
		return NULL;
	return (const struct place *)(const void *)a->places.at + i;
}

/* ---- what subscribers tell ---- */

void
account_open(unsigned id, unsigned port, bool is_counted)
{
	struct account *a = &accounts[id];

	a->port = port;
	a->is_counted = is_counted;
	a->messages.len = a->places.len = 0;
	a->asked = 0;
	a->skip_end = 0;
}

void
account_close(unsigned id)
{
	accounts[id].port = 0;
}

void
accounts_forget(void)
{
	for (unsigned i = 0; i < ACCOUNTS_MAX; i++)
		account_close(i);
	rows.len = 0;
}

void
account_filters(unsigned id)
{
	accounts[id].is_counted = false;
}

void
account_asked(unsigned id)
{
	accounts[id].asked++;
}

void
account_took(unsigned id, uint64_t end, unsigned updates, enum seen_kind kind)
{
	struct account *a = &accounts[id];
	uint64_t cnt = messages_cnt(a);
	struct message m = { .end = end, .updates = updates };

	m.replies = kind == SEEN_REPLY || kind == SEEN_ERROR;
	m.is_error = kind == SEEN_ERROR;
	if (cnt > 0) {
		m.updates += message(a, cnt - 1)->updates;
		m.replies += message(a, cnt - 1)->replies;
	}
	if (kind == SEEN_SKIPS)
		a->skip_end = end;
	bytes_add(&a->messages, &m, sizeof(m));
}

void
account_placed(unsigned id, unsigned port, int32_t day, uint64_t idx,
	       struct update u)
{
	struct place p;

	judge_note_seen(day, idx);
	if (accounts[id].port != port)
		return;
	memset(&p, 0, sizeof(p));
	p.day = day;
	p.idx = idx;
	p.u = u;
	bytes_add(&accounts[id].places, &p, sizeof(p));
}

/* ---- rows ---- */

/* The first message that ends after `bytes`. */
static uint64_t
first_after(const struct account *a, uint64_t bytes)
{
	uint64_t low = 0, high = messages_cnt(a);

	while (low < high) {
		uint64_t mid = low + (high - low) / 2;

		if (message(a, mid)->end > bytes)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

/* Updates in the messages that end by then. */
static uint64_t
updates_until(const struct account *a, uint64_t bytes)
{
	uint64_t after = first_after(a, bytes);

	return after == 0 ? 0 : message(a, after - 1)->updates;
}

static uint64_t
replies_before(const struct account *a, uint64_t i)
{
	return i == 0 ? 0 : message(a, i - 1)->replies;
}

static uint64_t
begin_of(const struct account *a, uint64_t i)
{
	return i == 0 ? 0 : message(a, i - 1)->end;
}

/* Replies that had come when the kernel had taken what a row says. */
static uint64_t
replies_sent(const struct account *a, const struct row *r)
{
	return replies_before(a, first_after(a, (uint64_t)r->f.sent_bytes));
}

/*
 * The end of a row's lag, behind the replies from `first` on, which the row
 * does not count.  Of several questions one at a time is answered, after which
 * comes the next; and while the journal does not move, an answer comes before
 * messages that were there before its question was read, or even asked.
 * false: not all of it has come.
 */
static bool
pass_later_replies(const struct account *a, const struct row *r, uint64_t first,
		   uint64_t *end)
{
	uint64_t i = first_after(a, (uint64_t)r->f.sent_bytes);

	*end = (uint64_t)(r->f.sent_bytes + r->f.lag_bytes);
	for (; i < messages_cnt(a) && begin_of(a, i) < *end; i++)
		if (replies_before(a, i + 1) > replies_before(a, i) &&
		    replies_before(a, i) >= first)
			*end += message(a, i)->end - begin_of(a, i);
	return i < messages_cnt(a);
}

/*
 * The length of the reply for which a row's consumer waits, and whose place is
 * after messages that were not visible yet; 0: there is none.  false: it has
 * not come.
 */
static bool
find_reply(const struct account *a, const struct row *r, uint64_t end,
	   uint64_t *len, bool *is_error)
{
	uint64_t i = first_after(a, (uint64_t)r->f.sent_bytes);
	uint64_t had = replies_before(a, i);

	*len = 0;
	*is_error = false;
	if (had == r->asked)
		return true;
	while (i < messages_cnt(a) && message(a, i)->replies == had)
		i++;
	if (i == messages_cnt(a))
		return false;
	if (message(a, i)->end > end)
		*len = message(a, i)->end - begin_of(a, i);
	*is_error = message(a, i)->is_error;
	return true;
}

static bool
is_end(const struct account *a, uint64_t bytes)
{
	uint64_t after = first_after(a, bytes);

	return after > 0 && message(a, after - 1)->end == bytes;
}

static bool
is_in_journal(const struct figures *f)
{
	return strcmp(f->state, "catching_up") == 0;
}

/* Whether it joined late, and has not yet come to a ring: then all tables are
 * counted, and the bytes of records from before the start as in the file. */
static bool
is_in_past(const struct figures *f)
{
	return is_in_journal(f) && f->spills == 0;
}

/* Whether its lag must be exact. */
static bool
is_exact(const struct account *a, const struct figures *f)
{
	return a->is_counted && !is_in_past(f);
}

static void
check_bytes(const struct account *a, const struct row *r, uint64_t end)
{
	const struct figures *f = &r->f;
	uint64_t lacks = updates_until(a, end) -
			 updates_until(a, (uint64_t)f->sent_bytes);

	SIM_CHECK(is_end(a, end),
		  "%s (%s) had %" PRId64 " bytes, and %" PRId64
		  " more were to come: that is not the end of a message",
		  f->user, f->state, f->sent_bytes, f->lag_bytes);
	SIM_CHECK((uint64_t)f->lag_records == lacks,
		  "%s (%s) lacked %" PRId64 " updates, and not %" PRIu64,
		  f->user, f->state, f->lag_records, lacks);
}

/* When the oldest update was sent that a row may speak of.  What is not in its
 * ring yet is as old as the first of all tables; and from the journal, the age
 * is that of the first in its buffer. */
static int64_t
oldest_sent_ns(const struct account *a, const struct figures *f,
	       const struct place *first, int64_t to_ns)
{
	uint64_t sent = (uint64_t)f->sent_bytes, had = updates_until(a, sent);
	int64_t stamp_ns;
	struct update u;

	if (is_in_journal(f)) {
		sent -= min_u64(sent, JOURNAL_BUFFER_BYTES);
		return feeds_sent_ns(place(a, updates_until(a, sent))->u);
	}
	if (to_ns - feeds_sent_ns(first->u) > RING_EXACT_NS)
		had = updates_until(a, sent - min_u64(sent, RING_GAP_BYTES));
	if (had == 0)
		return INT64_MIN;
	if (place(a, had - 1)->day == first->day &&
	    judge_knows(first->day, place(a, had - 1)->idx + 1, &u, &stamp_ns))
		return feeds_sent_ns(u);
	return feeds_sent_ns(place(a, had - 1)->u);
}

/* The age of the first update that it lacks. */
static void
check_age(const struct account *a, const struct row *r)
{
	const struct figures *f = &r->f;
	const struct moment *m = &moments[r->moment];
	bool is_late = is_in_journal(f);
	uint64_t sent = (uint64_t)f->sent_bytes;
	const struct place *first = place(a, updates_until(a, sent));
	int64_t age_ns = f->lag_ms * NS_PER_MS, seen_ns, sent_ns;
	int64_t about_ns = is_late ? JOURNAL_AGE_NS : RING_AGE_NS;

	if (first == NULL || f->lag_records == 0)
		return;
	/* The age is that of the first message in its buffer: before its first
	 * read there is none, also while its reply is not sent; and who rejoins
	 * is said to lack what it has until that is counted. */
	if ((is_in_past(f) ||
	     (f->spills == 0 && replies_sent(a, r) < r->asked)) &&
	    age_ns == 0 && updates_until(a, sent) == 0)
		return;
	sent_ns = oldest_sent_ns(a, f, first, m->to_ns);
	/* Before the start: the file says when it was written, by a clock that
	 * may have been set since. */
	if (sent_ns != INT64_MIN && sent_ns < world.ready_ns)
		sent_ns -= world.stepped_ns;
	/* A batch has the age of its first row, also if others get that. */
	SIM_CHECK(world.is_batched || sent_ns == INT64_MIN ||
			  age_ns <= m->to_ns - sent_ns + about_ns,
		  "%s (%s) lacks an update that is %" PRId64
		  " ms old, and it was sent %" PRId64 " ms ago",
		  f->user, f->state, f->lag_ms,
		  (int64_t)((m->to_ns - sent_ns) / NS_PER_MS));
	seen_ns = judge_seen_ns(first->day, first->idx);
	/* The rest of a skipped message has no age; nor is one known of records
	 * from before the start. */
	if (strcmp(f->policy, "skip") == 0 || seen_ns < world.ready_ns)
		return;
	SIM_CHECK(age_ns + NS_PER_MS + (is_late ? about_ns : 0) >=
			  m->from_ns - seen_ns,
		  "%s (%s) lacks an update that is %" PRId64
		  " ms old, and somebody had it %" PRId64 " ms before",
		  f->user, f->state, f->lag_ms,
		  (int64_t)((m->from_ns - seen_ns) / NS_PER_MS));
}

/* The rows of one table have one end in the order. */
static void
check_moment(const struct row *r, const struct place *last,
	     const struct place *next)
{
	struct moment *m = &moments[r->moment];

	if (world.is_batched || next == NULL || next->idx == 0 ||
	    (last != NULL && last->day != next->day))
		return;
	if (m->day == INT32_MIN)
		m->day = next->day;
	/* All that are before and after an end of a day. */
	if (m->day != next->day)
		return;
	m->highest = min_u64(m->highest, next->idx);
	if (last != NULL)
		m->lowest = max_u64(m->lowest, last->idx + 1);
	SIM_CHECK(m->lowest <= m->highest,
		  "%s (%s) lacks record %" PRIu64 " of day %d, and for another "
		  "of the same table %" PRIu64 " is not yet there",
		  r->f.user, r->f.state, m->lowest - 1, m->day, m->highest);
}

/*
 * Where the lag of a row ends on the connection; 0: that cannot be known, of an
 * error that took the place of an answer which had another length.  false: what
 * shows it has not come.
 */
static bool
find_end(const struct account *a, const struct row *r, uint64_t *end)
{
	uint64_t had = replies_sent(a, r), reply;
	bool waits = r->asked > had, is_error;

	if (!pass_later_replies(a, r, had + waits, end) ||
	    !find_reply(a, r, *end, &reply, &is_error))
		return false;
	if (is_error)
		*end = 0;
	else if (!is_end(a, *end) && reply > 0)
		*end -= min_u64(reply, (uint64_t)r->f.lag_bytes);
	else if (!is_end(a, *end) && waits)
		/* Its question had not been read yet. */
		return pass_later_replies(a, r, had, end);
	return true;
}

/* Whether somebody had an update before a row was made. */
static bool
is_old(const struct row *r, const struct place *p)
{
	int64_t seen_ns = judge_seen_ns(p->day, p->idx);

	return seen_ns != 0 && seen_ns < moments[r->moment].from_ns;
}

/*
 * The bytes to come of messages in which all updates are old.  A stream that
 * has no room for a batch gets its rows later, in one message with rows that
 * were not there yet: so old ones may come behind new ones.
 */
static uint64_t
old_bytes(const struct account *a, const struct row *r)
{
	uint64_t sent = (uint64_t)r->f.sent_bytes, bytes = 0;

	for (uint64_t i = first_after(a, sent); i < messages_cnt(a); i++) {
		uint64_t u = i == 0 ? 0 : message(a, i - 1)->updates;
		bool is_all = u < message(a, i)->updates;

		for (; is_all && u < message(a, i)->updates; u++)
			is_all = place(a, u) != NULL && is_old(r, place(a, u));
		if (is_all)
			bytes += message(a, i)->end - max_u64(begin_of(a, i),
							      sent);
	}
	return bytes;
}

/* What somebody had is not after the end of a row's lag. */
static void
check_old(const struct account *a, const struct row *r, uint64_t end,
	  const struct place *next)
{
	const struct figures *f = &r->f;
	uint64_t had = updates_until(a, (uint64_t)f->sent_bytes);

	SIM_CHECK(!world.is_batched ||
			  old_bytes(a, r) <= (uint64_t)f->lag_bytes,
		  "%s (%s) lacked %" PRIu64 " bytes that others had, and not "
		  "%" PRId64 " after %" PRId64,
		  f->user, f->state, old_bytes(a, r), f->lag_bytes,
		  f->sent_bytes);
	SIM_CHECK(world.is_batched || !is_old(r, next),
		  "%s (%s) lacked record %" PRIu64 " of day %d, which somebody "
		  "had, and it was not among the %" PRId64 " updates, %" PRId64
		  " bytes that it lacked after %" PRId64 " (really %" PRIu64
		  " updates)",
		  f->user, f->state, next->idx, next->day, f->lag_records,
		  f->lag_bytes, f->sent_bytes, updates_until(a, end) - had);
}

/* Whether nothing more can be said about a row. */
static bool
judge_row(const struct row *r)
{
	const struct account *a = &accounts[r->account];
	const struct figures *f = &r->f;
	uint64_t had = updates_until(a, (uint64_t)f->sent_bytes), end;
	const struct place *next;

	if (a->port != f->port || a->skip_end > (uint64_t)f->sent_bytes)
		return true;
	/* Out of the journal batches are cut otherwise: the updates that will
	 * come do not come in the order in which they were counted. */
	if (world.is_batched && f->lag_bytes > 0 &&
	    (is_in_journal(f) || strcmp(f->policy, "spill") == 0))
		return true;
	if (!find_end(a, r, &end))
		return false;
	if (end == 0)
		return true;
	/* The next update, and so all before it, has a place in the order. */
	next = place(a, is_in_past(f) ? had + (uint64_t)f->lag_records
				      : updates_until(a, end));
	if (next == NULL)
		return false;
	check_old(a, r, end, next);
	check_age(a, r);
	if (!is_exact(a, f))
		return true;
	check_bytes(a, r, end);
	if (updates_until(a, end) > 0) {
		const struct place *last = place(a, updates_until(a, end) - 1);

		SIM_CHECK(feeds_sent_ns(last->u) <= moments[r->moment].to_ns,
			  "%s lacks an update before it was sent", f->user);
		check_moment(r, last, next);
	}
	world.counts.figures++;
	return true;
}

void
accounts_check(void)
{
	struct row *all = (void *)rows.at;
	size_t cnt = rows.len / sizeof(*all), kept = 0;

	for (size_t i = 0; i < cnt; i++)
		if (!judge_row(&all[i]))
			all[kept++] = all[i];
	rows.len = kept * sizeof(*all);
	if (kept == 0)
		moments_cnt = 0;
}

static void
add_row(const struct figures *f)
{
	struct row r;

	sim_trace("%s is said to lack %lld bytes, %lld updates, %lld ms after "
		  "%lld bytes",
		  f->user, (long long)f->lag_bytes, (long long)f->lag_records,
		  (long long)f->lag_ms, (long long)f->sent_bytes);

	SIM_CHECK(f->lag_bytes >= 0 && f->lag_records >= 0 && f->lag_ms >= 0 &&
			  f->sent_bytes >= 0 && f->kernel_bytes >= 0 &&
			  f->high_bytes >= f->lag_bytes,
		  "the figures of %s cannot be", f->user);
	memset(&r, 0, sizeof(r));
	r.f = *f;
	r.moment = moments_cnt - 1;
	for (r.account = 0; r.account < ACCOUNTS_MAX; r.account++)
		if (f->port != 0 && accounts[r.account].port == f->port)
			break;
	if (r.account == ACCOUNTS_MAX)
		return;
	r.asked = accounts[r.account].asked;
	bytes_add(&rows, &r, sizeof(r));
}

static bool
begin_moment(int64_t from_ns, int64_t to_ns)
{
	if (moments_cnt == GROUPS_MAX)
		return false;
	moments[moments_cnt++] = (struct moment){ .from_ns = from_ns,
						  .to_ns = to_ns,
						  .day = INT32_MIN,
						  .highest = UINT64_MAX };
	return true;
}

void
accounts_told(int64_t asked_ns, const uint8_t *at, size_t len)
{
	struct bytes figures = { 0 };
	const struct figures *f;

	if (!begin_moment(asked_ns, sim_now_ns()))
		return;
	read_figures(at, len, &figures);
	f = (const void *)figures.at;
	for (size_t i = 0; i < figures.len / sizeof(*f); i++) {
		doors_check_tls(f[i].port, f[i].tls, f[i].certificate);
		add_row(&f[i]);
	}
	bytes_free(&figures);
}

void
accounts_logged(const char *line, size_t len)
{
	struct figures f;
	uint64_t unread;

	if (!read_figures_line(line, len, &f))
		return;
	SIM_CHECK(!subscribers_find_unread(f.port, &unread) ||
			  (uint64_t)f.kernel_bytes == unread,
		  "the kernel is said to have %" PRId64 " bytes for %s, and it "
		  "has %" PRIu64,
		  f.kernel_bytes, f.user, unread);
	if (begin_moment(work_turn_ns(), sim_now_ns()))
		add_row(&f);
}
