#include "config.h"

#include "daemon/deadline.h"

/* A turn that is late by this much is overlong. */
#define PAUSE_NS (100 * NS_PER_MS)

/* A turn that is late by this much is logged. */
#define LOGGED_NS (1 * NS_PER_S)

/* Fewer free slots than this share of connections.max are few. */
enum { PLACES_SHARE = 8 };

/* Clients send the handshake with their first packet, and those that were
 * refused notice it soon: each has at least this long. */
#define HELLO_NS (20 * NS_PER_MS)

/* The longest time for which deadlines wait for the input that came during an
 * overlong turn. */
#define LOOK_NS (1 * NS_PER_S)

static void
note_deadline(struct server *s, int64_t deadline_ns)
{
	if (deadline_ns < s->next_deadline_ns)
		s->next_deadline_ns = deadline_ns;
}

void
deadline_set(struct server *s, struct connection *c, int64_t in_ns)
{
	c->deadline_ns = s->now_ns + in_ns;
	note_deadline(s, c->deadline_ns);
}

/* Moves every time from which a connection's delay is counted. */
static void
excuse_connection(struct connection *c, int64_t ns)
{
	struct consumer *consumer = &c->consumer;

	if (c->deadline_ns != 0)
		c->deadline_ns += ns;
	consumer->lag.slow_since_ns += ns;
	consumer->blameless_until_ns += ns;
	consumer->past.since_ns += ns;
	c->wait_since_ns += ns;
}

struct connection *
deadline_find_place(const struct server *s)
{
	unsigned left = s->clients.limit - s->clients.open_cnt;
	struct connection *c = clients_oldest(&s->clients.refused);
	int64_t limit_ns = LINGER_NS;

	if (left >= max_u64(s->clients.limit / PLACES_SHARE, 1))
		return NULL;
	if (c == NULL) {
		c = clients_oldest(&s->clients.hello);
		limit_ns = s->settings->connections.handshake_timeout;
	}
	if (c == NULL || s->now_ns - (c->deadline_ns - limit_ns) <= HELLO_NS)
		return NULL;
	return c;
}

void
deadline_begin_turn(struct server *s, int64_t late_ns)
{
	struct connection *c = NULL;

	if (late_ns < PAUSE_NS)
		return;
	while ((c = clients_next(&s->clients, c)) != NULL)
		excuse_connection(c, late_ns);
	for (unsigned i = 0; i < s->pool.cnt; i++) {
		s->pool.holds[i].since_ns += late_ns;
		s->pool.holds[i].moved_ns += late_ns;
	}
	if (s->streams.main.revealed_ns != 0)
		s->streams.main.revealed_ns += late_ns;
	if (s->next_deadline_ns != INT64_MAX)
		s->next_deadline_ns += late_ns;
	s->next_buffers_check_ns += late_ns;
	journal_excuse(&s->journal, late_ns);
	s->look_until_ns = s->now_ns + LOOK_NS;
	if (late_ns < LOGGED_NS)
		return;
	/* No accepted update may be lost because of the pause.  Only after a
	 * long pause: a stop must end even on a busy machine. */
	if (s->is_stopping)
		s->stop_deadline_ns += late_ns;
	if (s->is_stopping && s->stop_deadline_ns < s->look_until_ns)
		s->stop_deadline_ns = s->look_until_ns;
	log_line(LOG_NOTE, "paused",
		 "ms=%lld hint=\"the process was stopped, or the machine slept "
		 "or was busy; that time does not count against any client\"",
		 (long long)(late_ns / NS_PER_MS));
}

bool
deadline_begin_check(struct server *s, bool is_all)
{
	if (is_all)
		s->look_until_ns = 0;
	if (s->now_ns < s->next_deadline_ns || s->now_ns < s->look_until_ns)
		return false;
	s->next_deadline_ns = INT64_MAX;
	return true;
}

bool
deadline_is_over(struct server *s, const struct connection *c)
{
	if (c->deadline_ns == 0)
		return false;
	if (c->deadline_ns <= s->now_ns)
		return true;
	note_deadline(s, c->deadline_ns);
	return false;
}

void
deadline_end_check(struct server *s)
{
	if (s->next_deadline_ns < s->now_ns + server_walk_pause_ns(s))
		s->next_deadline_ns = s->now_ns + server_walk_pause_ns(s);
}
