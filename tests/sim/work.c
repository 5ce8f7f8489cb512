/*
 * What the daemon's thread does takes time: steps that it charges to its
 * clients, bytes that it copies.  So its own limits of time are met as on a
 * real machine, and what others wait for it is exact: a turn has a longest
 * time, and so has the wait of a bystander, a client that now and then asks a
 * little question.
 */
#include "config.h"

#include <string.h>

#include "client/turn_budget.h"
#include "doors.h"
#include "wrap.h"

/* About what these cost on one core (client/turn_budget.h). */
#define STEP_NS	      100
#define COPY_NS_PER_8 1

/* Shorter copies may be instructions, as the compiler likes. */
#define COPY_MIN      4096

/*
 * The longest turn, after doc/design.md: the shares of all connections
 * (BUDGET_TURN_US), of which the last may go over by one request; a dear
 * request, of 10,000 steps; and what is copied for the journal, for filtered
 * streams and for those who leave a ring.
 */
#define TURN_NS_MAX (6 * NS_PER_MS)

/* A bystander's question is read when the turn in which it came is over, and
 * answered in the next; if that has no time left it queues, and there comes one
 * more turn. */
#define WAIT_NS_MAX (2 * TURN_NS_MAX)

/* And so long until the answer is there, with the network. */
#define ANSWER_NS NS_PER_S

static struct {
	struct client c;
	int64_t began_ns;    /* the turn; 0: the daemon waits */
	int64_t asked_ns;    /* 0: it waits for nothing */
	unsigned asked_since; /* doors_now(), then */
	int64_t heard_ns;    /* when its question was received; 0: not yet */
	struct client flood;
} work;

/* ---- turns ---- */

void
work_end(void)
{
	work.began_ns = 0;
}

void
work_turn_begins(void)
{
	work.began_ns = sim_now_ns();
}

void
work_paused(void)
{
	if (work.heard_ns != 0)
		work.heard_ns = sim_now_ns();
}

int64_t
work_turn_ns(void)
{
	return work.began_ns != 0 ? work.began_ns : sim_now_ns();
}

void
work_turn_ends(void)
{
	int64_t took_ns = sim_now_ns() - work.began_ns;

	if (work.began_ns == 0 || !process_is_running())
		return;
	work.began_ns = 0;
	SIM_CHECK(took_ns <= TURN_NS_MAX,
		  "a turn of the daemon takes %lld us",
		  (long long)took_ns / 1000);
}

WRAP(void, budget_charge, struct budget *b, unsigned steps)
{
	sim_spend((int64_t)steps * STEP_NS);
	REAL(budget_charge)(b, steps);
}

WRAP(void, budget_charge_bytes, struct budget *b, size_t len)
{
	sim_spend((int64_t)(BUDGET_FRAME_STEPS + len / BUDGET_STEP_BYTES) *
		  STEP_NS);
	REAL(budget_charge_bytes)(b, len);
}

static void
spend_copy(size_t len)
{
	if (work.began_ns != 0 && len >= COPY_MIN)
		sim_spend((int64_t)(len / 8) * COPY_NS_PER_8);
}

WRAP(void *, memcpy, void *to, const void *from, size_t len)
{
	spend_copy(len);
	return REAL(memcpy)(to, from, len);
}

WRAP(void *, memmove, void *to, const void *from, size_t len)
{
	spend_copy(len);
	return REAL(memmove)(to, from, len);
}

/* ---- the bystander ---- */

static void
ready(struct client *c)
{
	(void)c;
	work.asked_ns = work.heard_ns = 0;
}

static void
take(struct client *c, const struct seen *s, const uint8_t *at)
{
	struct bytes wanted = { 0 };

	SIM_CHECK(work.asked_ns != 0 && s->kind == SEEN_REPLY,
		  "%s gets what it did not ask for", c->user);
	work.asked_ns = 0;
	if (c->start < world.starts || !doors_are_same(c, work.asked_since))
		return;
	doors_put_tables(c, &wanted);
	SIM_CHECK(wanted.len == s->len && memcmp(wanted.at, at, s->len) == 0,
		  "%s is told of other tables than it may see", c->user);
	bytes_free(&wanted);
}

static void
over(struct client *c)
{
	SIM_CHECK(world.is_stopping || !process_is_running() ||
			  c->start < world.starts ||
			  client_was_turned_away(c) || c->is_denied,
		  "%s is cut off", c->user);
	work.asked_ns = work.heard_ns = 0;
}

/* A stop takes what had come; who only may send more is not waited for (but
 * after the daemon's own end of a connection for the client's). */
void
work_listens(const struct socket *s)
{
	SIM_CHECK(!world.is_told_stopping || s->up.len > 0 ||
			  s->daemon_ended || s->is_reset,
		  "the daemon stops, and waits for what port %u may send",
		  s->port);
}

void
work_heard(const struct socket *s)
{
	if (s == work.c.socket && work.asked_ns != 0)
		work.heard_ns = sim_now_ns();
}

void
work_answers(const struct socket *s)
{
	int64_t waited_ns = sim_now_ns() - work.heard_ns;

	if (s != work.c.socket || work.heard_ns == 0)
		return;
	work.heard_ns = 0;
	SIM_CHECK(waited_ns <= WAIT_NS_MAX,
		  "%s has waited %lld us for the daemon", work.c.user,
		  (long long)waited_ns / 1000);
}

/* ---- and who does his worst ---- */

/* Much work for few bytes: nearly as many steps as are no dear request's, and
 * more than a request may take. */
static const char *const dear[] = {
	"{{1}each 1 2 3 4 5 6}each 1 2 3 4 5 6 7",
	"{{{{1}each 1 2 3 4 5 6 7 8 9}each 1 2 3 4 5 6 7 8 9}"
	"each 1 2 3 4 5 6 7 8 9}each 1 2 3 4 5 6 7 8 9",
};

static void
flood_took(struct client *c, const struct seen *s, const uint8_t *at)
{
	(void)s;
	(void)at;
	sim_fail("%s gets an answer to nothing", c->user);
}

static void
ready_to_flood(struct client *c)
{
	(void)c;
}

static void
flood_over(struct client *c)
{
	(void)c;
}

static void
flood(void *who, uint64_t what)
{
	struct client *c = &work.flood;
	bool is_kept = sim_act();
	unsigned dear_per_mille = sim_chance(500) ? 20 : 0;

	(void)who;
	(void)what;
	if (world.is_ending) {
		client_leave(c);
		return;
	}
	sim_at(sim_now_ns() + sim_between(1, 40 * NS_PER_S), flood, NULL, 0);
	if (!is_kept)
		return;
	if (c->socket == NULL)
		(void)client_connect(c);
	for (uint64_t n = c->has_hello ? sim_below(300) : 0; n > 0; n--)
		put_request(&c->out, dear[sim_chance(dear_per_mille)], false);
	client_flush(c);
}

/* ---- both ---- */

static void
tick(void *who, uint64_t what)
{
	struct client *c = &work.c;
	bool is_kept = sim_act();

	(void)who;
	(void)what;
	if (world.is_ending) {
		client_leave(c);
		return;
	}
	sim_at(sim_now_ns() + sim_between(1, 400 * NS_PER_MS), tick, NULL, 0);
	SIM_CHECK(c->socket == NULL || work.asked_ns == 0 ||
			  world.is_stopping || c->start < world.starts ||
			  sim_now_ns() - work.asked_ns < ANSWER_NS ||
			  sim_now_ns() - world.paused_until_ns < ANSWER_NS,
		  "%s gets no answer", c->user);
	if (!is_kept)
		return;
	if (c->socket == NULL)
		(void)client_connect(c);
	if (!c->has_hello || work.asked_ns != 0)
		return;
	work.asked_ns = sim_now_ns();
	work.asked_since = doors_now();
	put_request(&c->out, "tables[]", true);
	client_flush(c);
}

void
work_open(void)
{
	client_init(&work.c, "bystander");
	work.c.ready = ready;
	work.c.frame = take;
	work.c.over = over;
	if (world_enter(ACTOR_BYSTANDER))
		sim_at(sim_now_ns() + NS_PER_S, tick, NULL, 0);
	client_init(&work.flood, "flood");
	work.flood.ready = ready_to_flood;
	work.flood.frame = flood_took;
	work.flood.over = flood_over;
	if (world_enter(ACTOR_FLOOD) && sim_chance(500))
		sim_at(sim_now_ns() + NS_PER_S, flood, NULL, 0);
}
