#include "config.h"

#include "daemon/buffer_holders.h"

#include <stdio.h>

#include "daemon/buffers.h"
#include "daemon/session.h"

/* Time between two checks of all holders. */
#define CHECK_NS (50 * NS_PER_MS)

/* A connection that has waited for this long is logged, and may cost slow
 * holders their buffers. */
#define WANTED_NS (1 * NS_PER_S)

/* After this time only holders that have stalled are closed: one that moves may
 * give its buffer back soon. */
#define MOMENT_NS (100 * NS_PER_MS)

enum need {
	NEEDED_BY_NOBODY,
	NEEDED_A_MOMENT,
	NEEDED_LONG,
};

/* At most this many waiting connections are helped in one check. */
enum { HELPED_MAX = 16 };

static const char *const use_names[] = {
	[POOL_INPUT] = "input",
	[POOL_REPLY] = "reply",
	[POOL_REST] = "rest",
};

/* ---- the holders ---- */

static uint64_t
moved_bytes(const struct pool_hold *hold)
{
	const struct connection *c = hold->holder;

	switch (hold->use) {
	case POOL_INPUT:
		return c->filled;
	case POOL_REPLY:
		return c->consumer.reply_sent;
	case POOL_REST:
		return c->consumer.rest_sent;
	}
	return 0;
}

static void
note_moves(struct server *s)
{
	for (unsigned i = 0; i < s->pool.cnt; i++) {
		struct pool_hold *hold = &s->pool.holds[i];

		if (hold->holder == NULL ||
		    hold->moved_bytes == moved_bytes(hold))
			continue;
		hold->moved_bytes = moved_bytes(hold);
		hold->moved_ns = s->now_ns;
	}
}

static bool
is_late(const struct server *s, const struct pool_hold *hold, enum need need)
{
	int64_t grace_ns = s->settings->message.timeout;
	uint64_t rate = need == NEEDED_BY_NOBODY ? BUFFERS_RATE
						 : BUFFERS_RATE_WANTED;

	/* A frame that has arrived whole waits for something else. */
	if (hold->use == POOL_INPUT &&
	    ((const struct connection *)hold->holder)->waits_for !=
		    WAIT_NOTHING)
		return false;
	if (need != NEEDED_BY_NOBODY && grace_ns > WANTED_NS)
		grace_ns = WANTED_NS;
	if (need == NEEDED_A_MOMENT)
		return s->now_ns - hold->moved_ns > grace_ns;
	return s->now_ns - hold->since_ns >
	       grace_ns + (int64_t)(moved_bytes(hold) * NS_PER_S / rate);
}

/* Whether the waiter could get a buffer if this one were free. */
static bool
is_in_the_way(const struct server *s, const struct connection *waiter,
	      const struct pool_hold *hold)
{
	const struct connection *c = hold->holder;

	return s->pool.free_cnt <= buffers_kept_from(waiter) ||
	       buffers_is_of_share(waiter, c) ||
	       (waiter->waits_for == WAIT_REPLY && hold->use != POOL_INPUT);
}

/* ---- the waiting connections ---- */

/* Writes conn:user:use:bytes:ms of each holder, as many as fit. */
static void
put_holders(const struct server *s, char *text, size_t len)
{
	size_t at = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < s->pool.cnt && at < len; i++) {
		const struct pool_hold *hold = &s->pool.holds[i];
		const struct connection *c = hold->holder;

		if (c == NULL)
			continue;
		at += (size_t)snprintf(
			text + at, len - at, "%s%u:%s:%s:%llu:%lldms",
			at > 0 ? " " : "", c->slot, c->user,
			use_names[hold->use],
			(unsigned long long)moved_bytes(hold),
			(long long)((s->now_ns - hold->since_ns) / NS_PER_MS));
	}
}

static void
log_wait(struct server *s, struct connection *c)
{
	char holders[512];
	uint64_t held;

	if (c->is_wait_told)
		return;
	c->is_wait_told = true;
	if (!log_may(&s->buffers_log, s->now_ns, &held))
		return;
	put_holders(s, holders, sizeof(holders));
	log_line(LOG_WARN, "buffer_wait",
		 "conn=%u user=%s peer=%s ms=%lld free=%u of=%u holders=\"%s\" "
		 "held=%llu hint=\"a share is half of message.buffers, and the "
		 "last one is for publishers; a holder that does not move is "
		 "closed\"",
		 c->slot, c->user, c->peer,
		 (long long)((s->now_ns - c->wait_since_ns) / NS_PER_MS),
		 s->pool.free_cnt, s->pool.cnt, holders,
		 (unsigned long long)held);
}

static enum close_reason
reason_of(const struct server *s, const struct pool_hold *hold)
{
	static const enum close_reason reasons[] = {
		[POOL_INPUT] = CLOSE_message_timeout,
		[POOL_REPLY] = CLOSE_reply_timeout,
		[POOL_REST] = CLOSE_rest_timeout,
	};
	const struct connection *c = hold->holder;

	/* A stop reads no more of it: its sender is not late, and what it sent
	 * is told as unread. */
	if (hold->use == POOL_INPUT && s->is_stopping && !c->is_receiving)
		return CLOSE_stopping;
	return reasons[hold->use];
}

/* Closes late holders. waiter: the connection that needs a buffer, or NULL. */
static void
end_late(struct server *s, struct connection *waiter, enum need need)
{
	for (unsigned i = 0; i < s->pool.cnt; i++) {
		struct pool_hold *hold = &s->pool.holds[i];

		if (hold->holder == NULL || hold->holder == waiter ||
		    !is_late(s, hold, need) ||
		    (waiter != NULL && !is_in_the_way(s, waiter, hold)))
			continue;
		if (waiter != NULL)
			log_wait(s, waiter);
		session_close(s, hold->holder, reason_of(s, hold),
			      waiter != NULL ? "others waited for it" : NULL);
	}
}

/* Closes late holders for connections that have waited for too long. */
static void
help_waiters(struct server *s, struct list *all)
{
	unsigned left = HELPED_MAX;

	for (struct list *n = all->next; n != all && left > 0; n = n->next) {
		struct connection *c =
			container_of(n, struct connection, wait_node);

		int64_t waited_ns = s->now_ns - c->wait_since_ns;

		/* The first in the queue have waited longest. */
		if (waited_ns < MOMENT_NS)
			return;
		if (waited_ns >= WANTED_NS)
			log_wait(s, c);
		end_late(s, c,
			 waited_ns < WANTED_NS ? NEEDED_A_MOMENT : NEEDED_LONG);
		left--;
	}
}

void
buffer_holders_check(struct server *s)
{
	if (s->pool.free_cnt == s->pool.cnt ||
	    s->now_ns < s->next_buffers_check_ns)
		return;
	s->next_buffers_check_ns = s->now_ns + CHECK_NS;
	note_moves(s);
	end_late(s, NULL, NEEDED_BY_NOBODY);
	help_waiters(s, &s->waiting[WAIT_BUFFER]);
	help_waiters(s, &s->waiting[WAIT_REPLY]);
}
