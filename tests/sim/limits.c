/*
 * The limits of an address and of a user, in some runs: connections, requests
 * a second, symbols.  Who is over one is refused, and who is not is not, as far
 * as can be told from outside: the daemon counts a connection from its accept
 * until it has closed it, and a request at some moment between the one in which
 * it was sent and the answer.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "versions.h"

enum { WAITING_MAX = 16 };

/* How long the daemon may read what was sent on a connection that has broken:
 * it may be stopped for a while. */
#define LOST_NS (40 * NS_PER_S)

/* What is too much is looked at once more after a while: a connection that was
 * ended just then does not count. */
#define AGAIN_NS (2 * NS_PER_S)

static struct asking {
	int64_t sent_ns[WAITING_MAX]; /* of requests without an answer */
	unsigned waiting;
	unsigned port;
	int64_t least_until_ns; /* of this connection's, see below */
} askings[USERS_MAX];

/* Of a user, on all connections: its requests are paid up to some moment, and
 * at most up to this one. */
static struct payer {
	int64_t most_until_ns;
	unsigned waiting; /* without an answer, on connections that are well */
	unsigned lost;	  /* on others: the daemon may still find them, ... */
	int64_t lost_ns;  /* ... the last of which broke then */
} payers[USERS_MAX];

/* Of this run of the daemon. */
static struct {
	unsigned start;
	uint64_t requests, symbols, address, user; /* refusals that were seen */
	uint64_t lost; /* requests of which nobody has seen the answer */
} seen;

static void
begin_run(void)
{
	if (seen.start == world.starts)
		return;
	memset(&seen, 0, sizeof(seen));
	seen.start = world.starts;
	memset(payers, 0, sizeof(payers));
	memset(askings, 0, sizeof(askings));
}

/* ---- connections ---- */

static bool
is_same_host(const struct socket *s, const void *key)
{
	return s->host == *(const uint32_t *)key;
}

static bool
is_same_user(const struct socket *s, const void *key)
{
	return s->user_no == *(const unsigned *)key;
}

static bool
is_inside(const struct client *c)
{
	const struct socket *s = c->socket;

	return s != NULL && c->has_hello && c->start == world.starts &&
	       !s->client_ended && !s->daemon_ended && !s->is_reset;
}

/* How many were let in before a moment, and are. */
static unsigned
count_inside(const struct client *c, int64_t before_ns, bool is_of_host)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < versions.users_cnt; i++) {
		const struct client *o = versions.users[i];

		cnt += o != c && is_inside(o) && o->hello_ns < before_ns &&
		       (is_of_host ? o->as.host == c->as.host
				   : o->as.user_no == c->as.user_no);
	}
	return cnt;
}

static bool
is_over(const struct client *c, bool is_of_host)
{
	unsigned most = is_of_host ? doors_most_of_address(c->since)
				   : doors_most_of_user(c, c->since);

	return most > 0 &&
	       count_inside(c, c->connect_ns, is_of_host) >= most;
}

static void
look_again(void *who, uint64_t what)
{
	const struct client *c = who;

	SIM_CHECK(c->port != what || !is_inside(c) || world.is_stopping ||
			  (!is_over(c, true) && !is_over(c, false)),
		  "%s is let in, and there are as many of its address or user "
		  "as may be",
		  c->user);
}

void
limits_let_in(struct client *c)
{
	c->hello_ns = sim_now_ns();
	if (is_over(c, true) || is_over(c, false))
		sim_at(sim_now_ns() + AGAIN_NS, look_again, c, c->port);
}

/* As many others as may be have not been closed. */
bool
limits_refuse_address(const struct client *c)
{
	unsigned max = doors_most_of_address(doors_now());

	begin_run();
	seen.address++;
	return max > 0 && fd_count(is_same_host, &c->as.host) > max;
}

bool
limits_refuse_user(const struct client *c)
{
	unsigned max = doors_most_of_user(c, doors_now());

	begin_run();
	seen.user++;
	return max > 0 && fd_count(is_same_user, &c->as.user_no) > max;
}

/* ---- requests ---- */

/*
 * A user may make as many requests at once as in a second.  Each is paid with a
 * part of a second, later than it was made and after those before, and must be
 * paid within a second.
 */
static int64_t
price_ns(unsigned per_s)
{
	return NS_PER_S / per_s;
}

static struct asking *
asking_of(const struct client *c)
{
	struct asking *a = &askings[c->user_no];

	begin_run();
	if (a->port != c->port)
		*a = (struct asking){ .port = c->port };
	return a;
}

static bool
is_known(const struct client *c)
{
	return world.doors.has_limits && c->as.user_no != OTHERS &&
	       c->start == world.starts;
}

void
limits_asked(const struct client *c)
{
	struct asking *a = asking_of(c);

	if (!is_known(c))
		return;
	SIM_CHECK(a->waiting < WAITING_MAX, "%s asks too much at once",
		  c->user);
	a->sent_ns[a->waiting++] = sim_now_ns();
	payers[c->as.user_no].waiting++;
}

/* Those of broken connections are made by now. */
static void
settle_lost(struct payer *p, unsigned max)
{
	if (p->lost == 0 || sim_now_ns() - p->lost_ns < LOST_NS)
		return;
	p->most_until_ns = max_i64(p->most_until_ns, p->lost_ns + LOST_NS) +
			   p->lost * price_ns(max);
	p->lost = 0;
}

static void
check_refused(const struct client *c, struct payer *p, int64_t sent_ns,
	      unsigned max)
{
	int64_t until_ns;
	unsigned open;

	SIM_CHECK(max > 0, "%s is refused a request, and has no limit",
		  c->user);
	settle_lost(p, max);
	until_ns = p->most_until_ns;
	open = p->waiting + p->lost;
	/* Those that wait for their answers may have been made. */
	if (open > 0)
		until_ns = max_i64(until_ns, sim_now_ns()) +
			   open * price_ns(max);
	SIM_CHECK(max_i64(until_ns, sent_ns) + price_ns(max) >
			  sent_ns + NS_PER_S,
		  "%s is refused a request, and has not made %u in a second",
		  c->user, max);
}

void
limits_answered(const struct client *c, const struct seen *s)
{
	struct asking *a = asking_of(c);
	bool is_refused = s->kind == SEEN_ERROR &&
			  strcmp(s->error, "requests") == 0;
	unsigned max = doors_requests_of(c);
	struct payer *p = &payers[c->as.user_no];
	int64_t sent_ns = a->sent_ns[0];

	if (!is_known(c) || a->waiting == 0)
		return;
	a->waiting--;
	p->waiting--;
	memmove(a->sent_ns, a->sent_ns + 1, a->waiting * sizeof(sent_ns));
	seen.requests += is_refused;
	seen.symbols += s->kind == SEEN_ERROR &&
			strcmp(s->error, "symbols") == 0;
	if (is_refused) {
		check_refused(c, p, sent_ns, max);
		return;
	}
	if (max == 0)
		return;
	/* In the end nobody has a limit any more. */
	SIM_CHECK(world.is_ending ||
			  a->least_until_ns + price_ns(max) <=
				  sim_now_ns() + NS_PER_S,
		  "%s makes more than %u requests in a second", c->user, max);
	a->least_until_ns = max_i64(a->least_until_ns, sent_ns) +
			    price_ns(max);
	p->most_until_ns = max_i64(p->most_until_ns, sim_now_ns()) +
			   price_ns(max);
}

/* Its requests without an answer may have been made. */
void
limits_left(const struct client *c)
{
	struct asking *a = asking_of(c);
	struct payer *p = &payers[c->as.user_no];
	unsigned max = doors_requests_of(c);

	if (!is_known(c))
		return;
	if (max > 0)
		settle_lost(p, max);
	p->lost += a->waiting;
	p->lost_ns = sim_now_ns();
	p->waiting -= a->waiting;
	seen.lost += a->waiting;
	a->waiting = 0;
}

/* ---- symbols ---- */

/* Of those by which a selection filters, each in each table. */
static unsigned
count_symbols(struct selection s)
{
	unsigned cnt = 0;

	s.tables &= ~schema.lacks;
	for (unsigned i = 0; i < TABLES; i++)
		if ((s.tables >> i & 1) != 0 && s.symbols[i] != SYMBOLS_ALL)
			cnt += (unsigned)__builtin_popcount(
				(unsigned)s.symbols[i]);
	return cnt;
}

/* While it is changed, what the others of its tables had still counts. */
enum sure
limits_symbols(const struct client *c, struct selection before,
	       struct selection after)
{
	unsigned max = doors_symbols_of(c);

	if (max > 0 && world.is_ending)
		return UNSURE;
	if (max == 0 ||
	    count_symbols(before) + count_symbols(after) <= max)
		return SURE_NOT;
	return count_symbols(after) > max ? SURE_YES : UNSURE;
}

/* ---- the report ---- */

static uint64_t
find_counter(const char *line, size_t len, const char *name)
{
	char value[24];

	SIM_CHECK(world_find_field(line, len, name, value, sizeof(value)),
		  "a report has no%s", name);
	return strtoull(value, NULL, 10);
}

void
limits_told(const char *line, size_t len)
{
	uint64_t requests, symbols, waiting = seen.lost;

	if (memmem(line, len, "event=report ", 13) == NULL)
		return;
	begin_run();
	for (unsigned i = 0; i < USERS_MAX; i++)
		waiting += askings[i].waiting;
	requests = find_counter(line, len, " over_requests=");
	symbols = find_counter(line, len, " over_symbols=");
	SIM_CHECK(requests >= seen.requests &&
			  requests <= seen.requests + waiting &&
			  symbols >= seen.symbols &&
			  symbols <= seen.symbols + waiting &&
			  find_counter(line, len, " over_address=") >=
				  seen.address &&
			  find_counter(line, len, " over_user=") >= seen.user,
		  "the counters of those over a limit are wrong");
}
