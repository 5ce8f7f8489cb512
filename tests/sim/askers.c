/*
 * Those who only ask, and those who do worse: an operator with his questions
 * and his end of the day, requests that cost as much as they can, clients that
 * break off in the middle, that send rubbish, or never say who they are.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "doors.h"

enum { ASKERS_MAX = 4, HOSTILE_MAX = 3, RUBBISH_MAX = 3000 };

/* The longest time in which a question is answered, if the disk is well. */
#define ANSWER_NS (40 * NS_PER_S)

struct asker {
	struct client c;
	int64_t asked_ns; /* 0: no question is open */
	unsigned steps;	  /* of the clock, when it asked */
	const char *question;
	unsigned asked_since; /* doors_now(), then */
	struct reloads reloads; /* also */
	bool is_hostile;
	bool is_waiting; /* it will connect again */
};

static struct asker all[ASKERS_MAX + HOSTILE_MAX];
static unsigned cnt;
static bool is_stopped;

#define TIMES_3(s)  s s s
#define TIMES_7(s)  TIMES_3(s) TIMES_3(s) s
#define TIMES_10(s) TIMES_7(s) TIMES_3(s)

static const char tables_question[] = "tables[]", table_question[] = "trade";
static const char replay_question[] = ".u `i`L", time_question[] = ".z.P";
static const char records_question[] = "(.u.j;.u.d;.u.i)";
static const char lag_question[] = ".ringtick.lag[]";
static const char end_question[] = ".u.endofday[]";
static const char reload_question[] = ".ringtick.reload[]";

static struct asker *
asker_of(struct client *c)
{
	return container_of(c, struct asker, c);
}

/* ---- questions ---- */

/* As much as one request may cost, and more. */
static const char *
draw_expensive(void)
{
	static char text[60000];
	static const char *const items[] = { "1;", "`a;", "\"ab\";", "(1;2);",
					     "1 2 3;" };
	const char *item = items[sim_below(ARRAY_LEN(items))];
	size_t room = 1000u << sim_below(6), len = 0;

	/* A longer message ends the connection. */
	room = min_u64(room, world.ring_kb * 1024 / 4 - 64);
	len += (size_t)snprintf(text, sizeof(text), "count(");
	while (len + 16 < room && len + 16 < sizeof(text))
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s",
					item);
	(void)snprintf(text + len, sizeof(text) - len, "1)");
	return text;
}

/* Each costs more than one request may, by another of its limits, and is never
 * answered: calls, a walk over objects, bytes copied, a product. */
static const char *const too_dear[] = {
	"{{{{1}each 1 2 3 4 5 6 7 8 9}each 1 2 3 4 5 6 7 8 9}"
	"each 1 2 3 4 5 6 7 8 9}each 1 2 3 4 5 6 7 8 9",
	"{x~x}" TIMES_7("{x,x}") TIMES_3("{x,x}") "{x,x}{x,x}"
	"(" TIMES_10("`a`a`a") "`a`a;1)",
	TIMES_10("{x,x}") TIMES_10("{x,x}") "\"abcdefgh\"",
	"{x in x}" TIMES_3("{x,x,x,x,x,x,x,x,x,x}") "1 2 3 4 5",
};

/* And these cost as much as one may. */
static const char *const dear[] = {
	"count{{{1}each 1 2 3 4 5 6 7 8 9}each 1 2 3 4 5 6 7 8 9}"
	"each 1 2 3 4 5 6 7 8",
	"count" TIMES_7("{x,x}") TIMES_7("{x,x}") "(`a;1)",
};

static bool
is_among(const char *question, const char *const *questions, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (question == questions[i])
			return true;
	return false;
}

static const char *
draw_question(void)
{
	static const char *const questions[] = {
		".u.w", tables_question, ".z.W", replay_question,
		"meta trade", "cols each tables[]", table_question,
		time_question, "",
		"{x+}", ".nothing.here", "{.u.i}each 1 2 3", "1~(1;2;3)",
		"@[{.u.sub[`none;`]};0;`e]", "\"\\\\p\"", "system\"p\"",
		"(.z.a;.z.u;.z.w)", "string .u.d",
		".[.u.upd;(`none;1);{x}]",
		".ringtick.subfrom[`;`;100000000000]",
		".ringtick.rejoin[`;`;(900;2000.01.01;5;7)]",
		"(.z.D;.z.d;.z.p;.z.N;.z.n;.z.T;.z.t;.z.P)",
		"(.z.K;.z.k;.z.h;.z.i;.z.f;.u.t)", "(.u.L;.u.l)",
		".u.end[.u.d]", "tables`.", "tables`none", ".u.w`trade",
		".u.add[`;`A]", ".u.add[`none;`A]", ".u.del[`trade;.z.w]",
		".u.del[`none;1i]", ".u.del[`trade;99i]",
	};

	if (world.doors.has_reloads && sim_chance(40))
		return reload_question;
	if (sim_chance(300))
		return records_question;
	if (sim_chance(250))
		return lag_question;
	if (sim_chance(60))
		return end_question;
	if (sim_chance(200))
		return draw_expensive();
	if (sim_chance(50))
		return too_dear[sim_below(ARRAY_LEN(too_dear))];
	if (sim_chance(20))
		return dear[sim_below(ARRAY_LEN(dear))];
	return questions[sim_below(ARRAY_LEN(questions))];
}

static void
ask(struct asker *a, const char *question)
{
	a->question = question;
	a->asked_ns = sim_now_ns();
	a->steps = world.clock_steps;
	a->asked_since = doors_now();
	a->reloads = doors_reloads();
	if (question == reload_question && doors_requests_of(&a->c) == 0 &&
	    doors_may(&a->c, doors_now(), MAY_ADMINISTER) == SURE_YES)
		doors_ask_reload();
	world.asked_ends += a->question == end_question;
	sim_trace("%s asks %.60s", a->c.user, a->question);
	put_request(&a->c.out, a->question, true);
	if (!a->is_hostile)
		limits_asked(&a->c);
	client_flush(&a->c);
	if (a->question == lag_question)
		world.wants_figures |= 1u << (a - all);
	if (a->question == end_question)
		pressure_cue(CUE_END);
}

/* ---- rubbish ---- */

static void
send_rubbish(struct asker *a)
{
	static const uint8_t headers[][8] = {
		{ 1, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f },
		{ 1, 1, 0, 0, 9, 0, 0, 0 },
		{ 0, 1, 0, 0, 0, 0, 1, 0 },
		{ 1, 1, 1, 0, 60, 0, 0, 0 },
		{ 1, 2, 0, 0, 10, 0, 0, 0 },
		/* long, and not followed by all of it */
		{ 1, 0, 0, 0, 0, 0x3e, 0, 0 },
		{ 1, 1, 0, 0, 0x10, 0x27, 0, 0 },
	};
	uint8_t rubbish[RUBBISH_MAX];
	size_t len = sim_below(sizeof(rubbish));

	if (sim_chance(700))
		bytes_add(&a->c.out, headers[sim_below(ARRAY_LEN(headers))], 8);
	for (size_t i = 0; i < len; i++)
		rubbish[i] = (uint8_t)sim_random();
	bytes_add(&a->c.out, rubbish, len);
	client_flush(&a->c);
}

/* ---- the connection ---- */

static void
ready(struct client *c)
{
	asker_of(c)->asked_ns = 0;
}

/* What a question needs. */
static unsigned
needs(const char *question)
{
	static const struct {
		const char *begin;
		unsigned may;
	} rights[] = {
		{ ".u.w", MAY_ASK },
		{ ".z.W", MAY_ASK },
		{ lag_question, MAY_ASK },
		{ end_question, MAY_ADMINISTER },
		{ reload_question, MAY_ADMINISTER },
		{ ".ringtick.subfrom", MAY_PAST },
		{ ".ringtick.rejoin", MAY_PAST },
	};

	/* Without a journal there are no such names. */
	for (size_t i = 0; i < ARRAY_LEN(rights); i++)
		if (strncmp(question, rights[i].begin,
			    strlen(rights[i].begin)) == 0 &&
		    (rights[i].may != MAY_PAST || world.has_journal))
			return rights[i].may;
	return 0;
}

/* Who has no right is refused, and nobody else is. */
static void
check_right(const struct asker *a, const struct seen *s)
{
	unsigned may = needs(a->question);
	bool is_refused = s->kind == SEEN_ERROR &&
			  strcmp(s->error, "access") == 0;

	if (may == 0)
		return;
	switch (doors_may(&a->c, a->asked_since, may)) {
	case SURE_YES:
		SIM_CHECK(!is_refused, "%s is refused %s", a->c.user,
			  a->question);
		break;
	case SURE_NOT:
		SIM_CHECK(is_refused, "%s has no right, and is answered to %s",
			  a->c.user, a->question);
		break;
	case UNSURE:
		break;
	}
}

/* The files were read as they were when it asked, or later. */
static void
check_reload(const struct asker *a, const struct seen *s)
{
	struct reloads now = doors_reloads();

	SIM_CHECK(s->kind == SEEN_ERROR ||
			  (now.adopted >= a->reloads.written &&
			   now.succeeded > a->reloads.succeeded),
		  "%s is told that the configuration was read: version %u, "
		  "and %u had been written",
		  a->c.user, now.adopted, a->reloads.written);
	sim_trace("%s is told of the reload: %s", a->c.user,
		  s->kind == SEEN_ERROR ? s->error : "::");
}

/* (count of records;`:file): so many are in a file of this name. */
static void
check_replay(const struct asker *a, const uint8_t *at, size_t len)
{
	struct in i = { at + HEADER_BYTES, at + len, false };
	char handle[64];
	uint64_t records;
	int32_t day = 0;

	(void)in_get(&i, 6);
	(void)in_get(&i, 1);
	records = in_get(&i, 8);
	(void)in_get(&i, 1);
	in_get_name(&i, handle, sizeof(handle));
	judge_read_journal();
	SIM_CHECK(!i.is_short && memcmp(handle, ":/journal/sym", 13) == 0 &&
			  clock_read_date(handle + 13, &day) &&
			  (world_has_disk_trouble() ||
			   (fs_find(handle + 1) != NULL &&
			    judge_count(day) >= records)),
		  "%s is told to replay %llu records of %s", a->c.user,
		  (unsigned long long)records, handle);
}

/* A time, in the zone of the days, since the question. */
static void
check_time(const struct asker *a, const uint8_t *at)
{
	struct in i = { at + HEADER_BYTES + 1, at + HEADER_BYTES + 9, false };
	int64_t ns = (int64_t)in_get(&i, 8), now_ns = sim_utc_ns();
	int64_t before_ns = now_ns - (sim_now_ns() - a->asked_ns);

	SIM_CHECK(a->steps != world.clock_steps ||
			  (ns >= setup_local_ns(before_ns) - NS_PER_MS &&
			   ns <= setup_local_ns(now_ns)),
		  "%s is told a time that is not now", a->c.user);
}

/* What tick.q would say of what it may see, too. */
static void
check_as_tick(const struct asker *a, const struct seen *s, const uint8_t *at)
{
	struct bytes wanted = { 0 };

	if (s->kind != SEEN_REPLY || a->c.start < world.starts)
		return;
	if (a->question == replay_question && world.has_journal)
		check_replay(a, at, s->len);
	if (a->question == time_question)
		check_time(a, at);
	if (a->question == tables_question &&
	    doors_are_same(&a->c, a->asked_since))
		doors_put_tables(&a->c, &wanted);
	else if (a->question == table_question)
		put_table_reply(&wanted, TABLE_TRADE);
	SIM_CHECK(wanted.len == 0 ||
			  (wanted.len == s->len &&
			   memcmp(wanted.at, at, s->len) == 0),
		  "%s is answered otherwise than tick.q would to %s", a->c.user,
		  a->question);
	bytes_free(&wanted);
}

static void
check_answer(const struct asker *a, const struct seen *s, const uint8_t *at)
{
	limits_answered(&a->c, s);
	if (s->kind == SEEN_ERROR && strcmp(s->error, "requests") == 0)
		return;
	check_right(a, s);
	if (a->question == reload_question)
		check_reload(a, s);
	check_as_tick(a, s, at);
	if (a->question == lag_question && s->kind == SEEN_REPLY)
		accounts_told(a->asked_ns, at, s->len);
	if (a->question == records_question && s->kind == SEEN_REPLY) {
		judge_read_journal();
		SIM_CHECK(world_has_disk_trouble() ||
				  judge_count((int32_t)s->numbers[1]) >=
					  (uint64_t)s->numbers[0],
			  "%s is told of more records than are in the journal",
			  a->c.user);
		SIM_CHECK(s->numbers[2] == s->numbers[0] ||
				  (world.is_batched &&
				   s->numbers[2] < s->numbers[0]),
			  "%s is told that .u.i is %lld, and .u.j %lld",
			  a->c.user, (long long)s->numbers[2],
			  (long long)s->numbers[0]);
	}
	if (is_among(a->question, too_dear, ARRAY_LEN(too_dear)))
		SIM_CHECK(s->kind == SEEN_ERROR, "%s is answered to %s",
			  a->c.user, a->question);
	if (is_among(a->question, dear, ARRAY_LEN(dear)))
		SIM_CHECK(s->kind == SEEN_REPLY || world.disk_faults > 0,
			  "%s is refused an answer to %s: %s", a->c.user,
			  a->question, s->error);
	if (a->question == end_question)
		sim_trace("the end of the day is answered with %s",
			  s->kind == SEEN_ERROR ? s->error : "::");
}

static void
take(struct client *c, const struct seen *s, const uint8_t *at)
{
	struct asker *a = asker_of(c);

	/* Some of them have subscribed. */
	if (s->kind != SEEN_REPLY && s->kind != SEEN_ERROR)
		return;
	SIM_CHECK(a->is_hostile || a->asked_ns > 0,
		  "%s gets an answer to nothing", c->user);
	if (!a->is_hostile)
		world.wants_figures &= ~(1u << (a - all));
	if (!a->is_hostile)
		check_answer(a, s, at);
	a->asked_ns = 0;
}

static void
over(struct client *c)
{
	struct asker *a = asker_of(c);

	a->asked_ns = 0;
	SIM_CHECK(a->is_hostile || world.is_stopping ||
			  !process_is_running() || c->start < world.starts ||
			  world.disk_faults > 0 || client_was_turned_away(c) ||
			  c->is_denied,
		  "%s is cut off", c->user);
}

static void
misbehave(struct asker *a)
{
	if (a->c.socket == NULL)
		return;
	if (sim_chance(300)) {
		/* Some read a backlog, or wait for what comes. */
		bool is_sync = sim_chance(500);

		if (a->c.has_hello && sim_chance(500))
			put_request(&a->c.out,
				    sim_chance(500) ? ".ringtick.subfrom[`;`;0]"
						    : ".u.sub[`;`]",
				    is_sync);
		send_rubbish(a);
	} else if (a->c.has_hello && sim_chance(200)) {
		/* Nobody answers: it is in the log. */
		put_request(&a->c.out,
			    sim_chance(500) ? ".nothing.here" : "{x+}", false);
		client_flush(&a->c);
	} else if (sim_chance(200))
		client_leave(&a->c);
	else if (sim_chance(200) && !a->c.socket->client_ended)
		net_end(a->c.socket);
	else if (a->c.has_hello)
		ask(a, draw_question());
}

static void
tick(void *who, uint64_t what)
{
	struct asker *a = who;
	bool is_kept = sim_act();

	(void)what;
	if (is_stopped) {
		if (a->c.socket != NULL && a->asked_ns == 0)
			client_leave(&a->c);
		return;
	}
	sim_at(world_after(sim_between(1, 20 * NS_PER_S >>
					      2 * sim_below(8))),
	       tick, a, 0);
	if (!is_kept)
		return;
	if (a->c.socket == NULL)
		(void)client_connect(&a->c);
	else if (a->is_hostile)
		misbehave(a);
	else if (a->c.has_hello && a->asked_ns == 0)
		ask(a, draw_question());
	else if (a->c.has_hello)
		SIM_CHECK(world.disk_faults > 0 ||
				  sim_now_ns() - a->asked_ns < ANSWER_NS,
			  "%s gets no answer to %s", a->c.user, a->question);
}

void
askers_open(unsigned how_many)
{
	char user[16];

	for (cnt = 0; cnt < how_many && cnt < ARRAY_LEN(all); cnt++) {
		struct asker *a = &all[cnt];

		if (!world_enter(ACTOR_ASKER + cnt))
			continue;
		a->is_hostile = sim_chance(400);
		(void)snprintf(user, sizeof(user), "%s%u",
			       a->is_hostile ? "bad" : "asker", cnt);
		client_init(&a->c, user);
		a->c.ready = ready;
		a->c.frame = take;
		a->c.over = over;
		sim_at(sim_now_ns() + sim_between(0, 10 * NS_PER_S), tick, a,
		       0);
	}
}

/* One of them who may, asks now. */
static bool
administer(const char *question)
{
	for (unsigned i = 0; i < cnt; i++)
		if (!all[i].is_hostile && all[i].c.socket != NULL &&
		    all[i].c.has_hello && all[i].asked_ns == 0 &&
		    doors_may(&all[i].c, doors_now(), MAY_ADMINISTER) ==
			    SURE_YES) {
			ask(&all[i], question);
			return true;
		}
	return false;
}

void
askers_end_day(void)
{
	(void)administer(end_question);
}

bool
askers_reload(void)
{
	return administer(reload_question);
}

void
askers_stop(void)
{
	is_stopped = true;
}
