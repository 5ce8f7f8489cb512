/*
 * The policies of subscribers: who is slow, what becomes of it then, and that
 * who holds the feeds does hold them.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "subscriber.h"

/* How long a consumer may be slow until its policy is carried out. */
#define SLOW_NS	       (4 * NS_PER_S)
#define SPILL_LIMIT_NS (1 * NS_PER_S)

/* A limit is looked at once a second, in a turn that begins within a second. */
#define LOOK_NS (2200 * NS_PER_MS)

static int64_t reported_ns; /* the last report */

static const char *const policy_names[] = { "spill", "disconnect", "skip",
					    "block" };

/* ---- which ---- */

void
policy_draw(struct subscriber *s)
{
	if (sim_chance(500))
		s->policy = sim_below(ARRAY_LEN(policy_names));
	s->has_spill_limit = s->policy == POLICY_SPILL && sim_chance(150);
}

void
subscribers_change_policies(void)
{
	for (unsigned i = 1; i < subscribers_cnt; i++) {
		/* It has not had all that it has counted. */
		if (subscribers[i].policy == POLICY_SKIP)
			subscribers[i].claim.is_made = false;
		if (sim_chance(50))
			policy_draw(&subscribers[i]);
	}
}

const char *
subscribers_policy_of(const char *user)
{
	static char text[64];

	text[0] = '\0';
	for (unsigned i = 0; i < subscribers_cnt; i++) {
		const struct subscriber *s = &subscribers[i];

		if (strcmp(s->c.user, user) == 0)
			(void)snprintf(text, sizeof(text),
				       " policy = \"%s\";%s",
				       policy_names[s->policy],
				       s->has_spill_limit
					       ? " spill_limit = \"1s\";"
					       : "");
	}
	return text;
}

void
subscribers_put_policies(char *to, size_t room)
{
	size_t len = 0;

	to[0] = '\0';
	for (unsigned i = 0; i < subscribers_cnt; i++) {
		const char *user = subscribers[i].c.user;

		len += (size_t)snprintf(to + len, room - len,
					"%s{ user = \"%s\";%s }",
					i > 0 ? ", " : "", user,
					subscribers_policy_of(user));
	}
}

/* ---- what the log tells ---- */

/*
 * The log says that a consumer with policy block holds the feeds.  While it
 * reads nothing, and so much is to come that its socket cannot take, no update
 * is taken that the daemon had not received before.  (With another
 * publish.after, or after an answer, it may be excused for a second.)
 */
static void
begin_hold(struct subscriber *s, uint64_t lag)
{
	const struct socket *socket = s->c.socket;

	s->is_holding = world.has_journal && world.after == AFTER_RING &&
			socket != NULL && s->is_placed && !s->is_changing &&
			s->asking == 0 &&
			lag > socket->down_max - socket->down.len +
					pressure_leave_bytes();
	s->hold_had = s->c.taken_bytes + s->c.in.len;
	s->hold_sent = s->c.sent_bytes + s->c.out.len;
	s->hold_idx = judge_count(s->day);
	if (s->is_holding)
		feeds_are_held();
}

/*
 * Whoever was slow is live when its lag is below the return mark, and not at
 * the one where it left.  That is so of a line that comes with the change.
 * With a report come the changes of which no line was allowed, later; and those
 * by age: an update that is older than a second makes slow, too.
 */
static void
told_state(struct subscriber *s, const char *line, size_t len)
{
	bool is_live = memmem(line, len, " state=live ", 12) != NULL;
	char percent[8], spills[8], bytes[24];

	if (!world_find_field(line, len, " ring_pct=", percent,
			      sizeof(percent)) ||
	    !world_find_field(line, len, " spills=", spills, sizeof(spills)))
		return;
	SIM_CHECK(!s->is_told_slow || !is_live ||
			  reported_ns == sim_now_ns() ||
			  s->told_spills != strtoul(spills, NULL, 10) ||
			  strtoul(percent, NULL, 10) <=
				  pressure_return_percent(),
		  "%s is live again: %.*s", s->c.user, (int)len, line);
	s->is_told_slow = memmem(line, len, " state=slow ", 12) != NULL ||
			  memmem(line, len, " state=holding ", 15) != NULL;
	s->told_spills = strtoul(spills, NULL, 10);
	if (memmem(line, len, " state=holding ", 15) != NULL &&
	    world_find_field(line, len, " lag_bytes=", bytes, sizeof(bytes)))
		begin_hold(s, strtoul(bytes, NULL, 10));
}

void
subscribers_told(const char *line, size_t len)
{
	const char *user = memmem(line, len, " user=sub", 9);

	if (memmem(line, len, "event=report ", 13) != NULL)
		reported_ns = sim_now_ns();
	if (user == NULL)
		return;
	/* What it lacks is not in its way any more, it is not told of that
	 * before it reads, and of further skips not all are logged. */
	if (memmem(line, len, "event=skip ", 11) != NULL)
		subscribers[strtoul(user + 9, NULL, 10)].has_skipped = true;
	if (memmem(line, len, "event=consumer ", 15) != NULL)
		told_state(&subscribers[strtoul(user + 9, NULL, 10)], line,
			   len);
}

bool
subscribers_may_end(const char *user, const char *reason)
{
	for (unsigned i = 0; i < subscribers_cnt; i++) {
		const struct subscriber *s = &subscribers[i];

		if (strcmp(s->c.user, user) != 0)
			continue;
		if (strcmp(reason, "slow") == 0)
			return s->policy == POLICY_DISCONNECT ||
			       (s->policy == POLICY_SPILL &&
				!world.has_journal);
		if (strcmp(reason, "slow_block") == 0)
			return s->policy == POLICY_BLOCK;
		if (strcmp(reason, "slow_spill") == 0)
			return s->has_spill_limit;
		if (strcmp(reason, "no_buffer") == 0 ||
		    strcmp(reason, "rest_timeout") == 0)
			return s->policy == POLICY_SKIP;
		if (strcmp(reason, "epoch") == 0)
			return s->asked == ASK_REJOIN &&
			       (world.unclean > 0 || s->is_lying ||
				claim_is_beyond_limit(s));
	}
	return false;
}

/* ---- who is slow ---- */

/* The lag of which it is certain that it is in the ring or the journal. */
static uint64_t
certain_lag(const struct subscriber *s)
{
	uint64_t lacks = judge_bytes_from(s->day, s->idx[0]);
	uint64_t on_way = s->c.socket->down.len + s->c.in.len;

	return lacks > on_way ? lacks - on_way : 0;
}

/* How long its policy allows it to be slow. */
static int64_t
slow_limit_ns(const struct subscriber *s)
{
	if (s->policy == POLICY_BLOCK)
		return world.block_limit_ns +
		       (world.after == AFTER_RING ? LOOK_NS : SLOW_NS);
	if (s->has_spill_limit)
		return SPILL_LIMIT_NS + LOOK_NS;
	return s->policy == POLICY_DISCONNECT ? SLOW_NS : INT64_MAX;
}

/* Whether it must be past the leave mark: out of the ring, if it leaves for the
 * journal.  Of one that skips it is not known what it has left out already.
 * With publish.after = "sync" not all in the file is published, and for a
 * second after each sync that reveals much nobody is judged: perhaps never. */
static bool
must_be_slow(const struct subscriber *s)
{
	uint64_t mark = s->policy == POLICY_SPILL ? world.ring_kb * 1024
						  : pressure_leave_bytes();

	return s->c.socket != NULL && !s->c.socket->daemon_ended &&
	       !s->c.socket->is_reset && s->is_placed && !s->is_changing &&
	       !world.is_batched && s->items.len == 0 && !s->is_adrift &&
	       !s->has_skipped &&
	       order_sees_all(s->items_sel) && certain_lag(s) > mark &&
	       ((s->was_level && world.after != AFTER_SYNC) ||
		s->policy == POLICY_SPILL) &&
	       s->policy != POLICY_SKIP;
}

static void
check_hold(struct subscriber *s)
{
	struct update u;
	int64_t stamp_ns;

	if (!s->is_holding)
		return;
	if (s->c.socket == NULL || s->c.socket->daemon_ended ||
	    s->hold_had != s->c.taken_bytes + s->c.in.len ||
	    s->hold_sent != s->c.sent_bytes + s->c.out.len) {
		s->is_holding = false;
		return;
	}
	for (; judge_knows(s->day, s->hold_idx, &u, &stamp_ns); s->hold_idx++)
		SIM_CHECK(!feeds_came_later(u),
			  "%s holds the feeds, and update %u of feed %u is "
			  "taken",
			  s->c.user, u.number, u.feed);
}

void
policy_check(struct subscriber *s, bool is_excused)
{
	if (s->c.socket != NULL && s->is_placed && s->items.len == 0 &&
	    order_lacks(s) == UINT64_MAX)
		s->was_level = true;
	if (is_excused || !must_be_slow(s))
		s->slow_ns = 0;
	else if (s->slow_ns == 0)
		s->slow_ns = sim_now_ns();
	SIM_CHECK(s->slow_ns == 0 ||
			  sim_now_ns() - s->slow_ns < slow_limit_ns(s),
		  "%s is slow for long, and has policy %s", s->c.user,
		  policy_names[s->policy]);
	check_hold(s);
}
