/*
 * Feeds: each sends numbered updates in all forms, by turns lazily, steadily
 * and in floods, synchronous ones among them, and now and then a wrong one.  It
 * knows of each update what may have become of it.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "doors.h"

enum { FEEDS_MAX = 8, OUT_MAX = 256 << 10, FLOOD_PIECE = 32 << 10 };

/* What a feed knows about an update. */
enum fate {
	FATE_SENT,	/* and the connection is well */
	FATE_ACKED,	/* answered: it is accepted */
	FATE_UNCERTAIN, /* the connection broke before an answer came, or rights
			   changed */
	FATE_UNFIT,	/* the schema of its time did not accept it, or it had
			   no right to */
	FATE_MASK = 3,
	FATE_STAMPED = 4, /* without a time of its own */
	FATE_WEAK = 8,	  /* of a run that did not promise the disk */
};

/* The smallest receive buffer: longer messages wait for another one. */
enum { RECEIVE_MIN = 4096 };

/* For so long others may be served first: each has its turn. */
#define OVERTAKE_NS (20 * NS_PER_MS)

enum { ANSWER_OF_WRONG = UINT32_MAX };

/* The longest time for which an answer may wait: consumers with policy block
 * hold feeds. */
#define ANSWER_NS (200 * NS_PER_S)

struct feed {
	struct client c;
	unsigned number;
	struct bytes fates;  /* enum fate of each update */
	struct bytes ends;   /* uint64_t: where on its connection each ends */
	struct bytes times;  /* int64_t: when each was sent */
	struct bytes steps;  /* unsigned: and after how many of the clock's */
	uint32_t next;	     /* all before are accepted, or not certain */
	int64_t next_ns;     /* since when it has come; 0: not yet */
	uint32_t arrived;    /* all before had, when a stop began */
	struct bytes asked;  /* uint32_t: updates that wait for an answer */
	int64_t moved_ns;    /* when an answer came, or none was awaited */
	uint32_t ended;	     /* all before were sent to an earlier run */
	uint32_t certain;    /* all before are not FATE_SENT any more */
	int64_t pace_ns;
	unsigned burst;
	bool is_uniform;     /* sends all in one form for a while, as most do */
	struct form form;
	uint64_t flood_end;  /* of a flood, in bytes of this connection */
	uint32_t held_from, held_to; /* when all were held: the updates of its
					connection ... */
	uint64_t held_bytes; /* ... and the bytes that the daemon had of it */
	bool is_done; /* it sends nothing more */
};

static struct feed feeds[FEEDS_MAX];
static unsigned cnt;

static struct feed *
feed_of(struct client *c)
{
	return container_of(c, struct feed, c);
}

static uint32_t
sent(const struct feed *f)
{
	return (uint32_t)f->fates.len;
}

static void
set_fate(struct feed *f, uint32_t number, enum fate fate)
{
	f->fates.at[number] =
		(uint8_t)(f->fates.at[number] & ~FATE_MASK) | (uint8_t)fate;
}

/* ---- sending ---- */

static struct form
draw_form(void)
{
	struct form form;

	/* One after the other: compilers choose the order of an initializer. */
	form.is_sync = sim_chance(300);
	form.is_big_endian = sim_chance(60);
	form.is_table = sim_chance(100);
	form.is_stamped = sim_chance(300);
	form.name = sim_chance(400) ? (unsigned)sim_below(CALL_NAMES) : 0;
	form.is_compressed = sim_chance(50);
	return form;
}

static void
ask(struct feed *f, uint32_t number)
{
	bytes_add(&f->asked, &number, sizeof(number));
}

static void
send_wrong(struct feed *f, struct form form)
{
	put_wrong_update(&f->c.out, form, (unsigned)sim_below(WRONG_KINDS));
	if (form.is_sync)
		ask(f, ANSWER_OF_WRONG);
}

/* What it must become of an update that is sent now. */
static enum fate
fate_of(const struct feed *f, struct update u)
{
	return update_fits(u) && doors_may_publish(&f->c, doors_now(),
						   update_table(u)) == SURE_YES
		       ? FATE_SENT
		       : FATE_UNFIT;
}

static void
send_update(struct feed *f)
{
	struct form form = f->is_uniform ? f->form : draw_form();
	struct update u = { f->number, sent(f) };
	uint8_t fate = (uint8_t)fate_of(f, u);
	int64_t now_ns = sim_now_ns();
	uint64_t end;

	if (form.is_table)
		form.is_stamped = false;
	if (sim_chance(10)) {
		send_wrong(f, form);
		return;
	}
	if (form.is_sync)
		ask(f, sent(f));
	if (form.is_stamped)
		fate |= FATE_STAMPED;
	sim_trace("feed %u sends update %u", f->number, sent(f));
	put_update(&f->c.out, u, form);
	end = f->c.sent_bytes + f->c.out.len;
	bytes_add(&f->ends, &end, sizeof(end));
	bytes_add(&f->times, &now_ns, sizeof(now_ns));
	bytes_add(&f->steps, &world.clock_steps, sizeof(world.clock_steps));
	bytes_add(&f->fates, &fate, 1);
	world.counts.updates++;
}

static void
draw_pace(struct feed *f)
{
	static const int64_t paces[] = { NS_PER_MS / 5, 5 * NS_PER_MS,
					 100 * NS_PER_MS, 2 * NS_PER_S,
					 30 * NS_PER_S };

	f->pace_ns = paces[sim_below(ARRAY_LEN(paces))];
	f->burst = sim_chance(200) ? 50 : 3;
	f->is_uniform = sim_chance(400);
	f->form = draw_form();
}

static void
flood(struct feed *f)
{
	f->pace_ns = NS_PER_MS;
	f->burst = 50;
}

static void
tick(void *who, uint64_t what)
{
	struct feed *f = who;
	bool is_kept = sim_act();
	unsigned burst = (unsigned)sim_below(f->burst) + 1;
	bool is_much = burst > 5;

	(void)what;
	if (f->is_done)
		return;
	/* The journal's troubles come when most is to be written. */
	if (world.is_disk_ill && sim_chance(30))
		flood(f);
	if (sim_chance(20))
		draw_pace(f);
	sim_at(world_after(sim_between(1, 2 * f->pace_ns)), tick, f, 0);
	if (!is_kept || sim_now_ns() < world.calm_until_ns)
		return;
	if (f->c.socket == NULL)
		(void)client_connect(&f->c);
	while (f->c.has_hello && f->c.out.len < OUT_MAX && burst-- > 0)
		send_update(f);
	client_flush(&f->c);
	if (is_much && f->c.has_hello)
		pressure_cue(CUE_BURST);
}

static void
flood_on(void *who, uint64_t what)
{
	struct feed *f = who;

	(void)what;
	if (f->is_done || !f->c.has_hello ||
	    f->c.sent_bytes + f->c.out.len >= f->flood_end)
		return;
	while (f->c.out.len < FLOOD_PIECE)
		send_update(f);
	client_flush(&f->c);
	pressure_cue(CUE_BURST);
	sim_at(sim_now_ns() + sim_between(1, 2 * NS_PER_MS), flood_on, f, 0);
}

void
feeds_flood(size_t bytes)
{
	for (unsigned i = 0; i < cnt; i++) {
		feeds[i].flood_end = feeds[i].c.sent_bytes + bytes;
		flood_on(&feeds[i], 0);
	}
}

/* ---- the order ---- */

static const uint64_t *
ends_of(const struct feed *f)
{
	return (const void *)f->ends.at;
}

/* Whether the daemon could take its next update now, if there is room: an
 * earlier one is not unanswered, and it needs no buffer. */
static bool
is_next_there(const struct feed *f)
{
	uint64_t end;

	if (f->c.socket == NULL || f->asked.len > 0 || f->next >= sent(f))
		return false;
	end = ends_of(f)[f->next];
	return end <= f->c.sent_bytes && f->next > f->certain &&
	       end - ends_of(f)[f->next - 1] < RECEIVE_MIN;
}

static bool
is_hopeless(const struct feed *f, uint32_t number)
{
	unsigned fate = f->fates.at[number] & FATE_MASK;

	return fate == FATE_UNFIT ||
	       (world.doors.is_on && fate == FATE_UNCERTAIN);
}

/* Those that wait for room are served in their order. */
static void
check_overtaken(struct feed *f, struct update by)
{
	f->next = (uint32_t)max_u64(f->next, f->certain);
	/* What does not fit is never taken. */
	while (f->next < sent(f) && is_hopeless(f, f->next))
		f->next++;
	if (!is_next_there(f))
		f->next_ns = 0;
	else if (f->next_ns == 0)
		f->next_ns = sim_now_ns();
	/* What came while the process was stopped came at once. */
	SIM_CHECK(f->next_ns == 0 ||
			  feeds_sent_ns(by) < max_i64(f->next_ns,
						      world.paused_until_ns) +
						      OVERTAKE_NS,
		  "update %u of feed %u had come at %.6f s, and %u of %u was "
		  "sent later, and is taken before",
		  f->next, f->number, (double)f->next_ns / 1e9, by.number,
		  by.feed);
}

void
feeds_note_accepted(struct update u)
{
	struct feed *taken = &feeds[u.feed];

	taken->next = u.number + 1;
	taken->next_ns = 0;
	for (unsigned i = 0; i < cnt; i++) {
		/* A stop reads no more from whose socket was empty once, and
		 * may still take what another one sends.  Who sends its first
		 * update is not known as a feed, and does not queue. */
		if (u.number == taken->certain)
			continue;
		if (world.is_stopping)
			feeds[i].next_ns = 0;
		else if (&feeds[i] != taken)
			check_overtaken(&feeds[i], u);
	}
}

/* ---- answers ---- */

static void
ready(struct client *c)
{
	(void)c;
}

/* What an answer promises is so when it comes. */
static void
check_safe(const struct feed *f, uint32_t number)
{
	bool is_on_disk = world.sync == SYNC_BATCH || world.after == AFTER_SYNC;

	SIM_CHECK(!world.has_journal || world_has_disk_trouble() ||
			  judge_is_written((struct update){ f->number, number },
					   is_on_disk),
		  "update %u of feed %u is answered, and not %s", number,
		  f->number,
		  is_on_disk ? "on the disk" : "in the journal's file");
}

/* While the journal is stuck, an error that waits becomes 'journal. */
static bool
says_no_right(const struct seen *s)
{
	return strcmp(s->error, "access") == 0 ||
	       (strcmp(s->error, "journal") == 0 && world.disk_faults > 0);
}

static void
take_answer(struct client *c, const struct seen *s, const uint8_t *at)
{
	struct feed *f = feed_of(c);
	uint32_t number;

	(void)at;
	SIM_CHECK(s->kind == SEEN_REPLY || s->kind == SEEN_ERROR,
		  "feed %u gets what it did not ask for", f->number);
	SIM_CHECK(f->asked.len > 0, "feed %u gets one answer too many",
		  f->number);
	memcpy(&number, f->asked.at, sizeof(number));
	bytes_drop(&f->asked, sizeof(number));
	f->moved_ns = sim_now_ns();
	if (number == ANSWER_OF_WRONG) {
		SIM_CHECK(s->kind == SEEN_ERROR, "a wrong update is accepted");
		return;
	}
	if ((f->fates.at[number] & FATE_MASK) == FATE_UNFIT) {
		bool is_right = update_fits((struct update){ f->number,
							     number });

		SIM_CHECK(s->kind == SEEN_ERROR &&
				  (!is_right || says_no_right(s)),
			  "update %u of feed %u does not fit, and the answer "
			  "is %s",
			  number, f->number, s->error);
		return;
	}
	if ((f->fates.at[number] & FATE_MASK) == FATE_UNCERTAIN &&
	    s->kind == SEEN_ERROR && says_no_right(s))
		return;
	SIM_CHECK(s->kind == SEEN_REPLY, "update %u of feed %u is refused: %s",
		  number, f->number, s->error);
	set_fate(f, number, FATE_ACKED);
	check_safe(f, number);
	pressure_cue(CUE_ANSWER);
}

/* The connection has broken: what was not answered may have been accepted. */
static void
doubt(struct feed *f)
{
	for (; f->certain < sent(f); f->certain++)
		if ((f->fates.at[f->certain] & FATE_MASK) == FATE_SENT)
			set_fate(f, f->certain, FATE_UNCERTAIN);
	f->asked.len = 0;
}

static void
over(struct client *c)
{
	struct feed *f = feed_of(c);

	SIM_CHECK(world.is_stopping || !process_is_running() ||
			  c->start < world.starts ||
			  client_was_turned_away(c) || c->is_denied,
		  "feed %u is cut off", f->number);
	doubt(f);
}

/* ---- for the world ---- */

void
feeds_open(unsigned how_many)
{
	char user[16];

	for (cnt = 0; cnt < how_many && cnt < FEEDS_MAX; cnt++) {
		struct feed *f = &feeds[cnt];

		(void)snprintf(user, sizeof(user), "feed%u", cnt);
		client_init(&f->c, user);
		f->c.ready = ready;
		f->c.frame = take_answer;
		f->c.over = over;
		f->number = cnt;
		if (!world_enter(ACTOR_FEED + cnt))
			continue;
		draw_pace(f);
		sim_at(sim_now_ns() + sim_between(0, NS_PER_S), tick, f, 0);
	}
}

void
feeds_check_progress(bool is_excused)
{
	for (unsigned i = 0; i < cnt; i++) {
		struct feed *f = &feeds[i];

		if (is_excused || f->c.socket == NULL || f->asked.len == 0)
			f->moved_ns = sim_now_ns();
		SIM_CHECK(sim_now_ns() - f->moved_ns < ANSWER_NS,
			  "feed %u gets no answer", i);
	}
}

void
feeds_stop(void)
{
	for (unsigned i = 0; i < cnt; i++)
		feeds[i].is_done = true;
}

bool
feeds_are_quiet(void)
{
	for (unsigned i = 0; i < cnt; i++)
		if (feeds[i].c.socket != NULL &&
		    (feeds[i].c.out.len > 0 || feeds[i].asked.len > 0 ||
		     feeds[i].c.socket->up.len > 0))
			return false;
	return true;
}

size_t
feeds_most_asked(void)
{
	size_t most = 0;

	for (unsigned i = 0; i < cnt; i++)
		most = max_u64(most, feeds[i].asked.len / sizeof(uint32_t));
	return most;
}

void
feeds_stop_begins(void)
{
	for (unsigned i = 0; i < cnt; i++) {
		struct feed *f = &feeds[i];

		f->arrived = f->certain;
		while (f->c.socket != NULL && f->arrived < sent(f) &&
		       ends_of(f)[f->arrived] <= f->c.sent_bytes)
			f->arrived++;
	}
}

/* What had come before a stop is answered before its end. */
static void
check_all_answered(const struct feed *f)
{
	const uint32_t *asked = (const void *)f->asked.at;

	for (size_t i = 0; i < f->asked.len / sizeof(*asked); i++)
		SIM_CHECK(asked[i] == ANSWER_OF_WRONG || asked[i] >= f->arrived,
			  "update %u of feed %u had come before the stop, and "
			  "has no answer",
			  asked[i], f->number);
}

void
feeds_daemon_ended(bool has_lost_power, bool has_stopped)
{
	for (unsigned i = 0; i < cnt; i++) {
		struct feed *f = &feeds[i];

		/* Answers that are on their way were given. */
		client_read_rest(&f->c);
		client_leave(&f->c);
		if (has_stopped)
			check_all_answered(f);
		if (has_stopped && f->arrived > f->certain)
			f->certain = f->arrived;
		doubt(f);
		/* What was answered, or sent before a stop, is on the disk only
		 * where syncs were asked for. */
		for (uint32_t n = f->ended; n < sent(f); n++)
			if (world.sync != SYNC_BATCH &&
			    world.after != AFTER_SYNC)
				f->fates.at[n] |= FATE_WEAK;
		f->ended = sent(f);
		for (uint32_t n = 0;
		     (has_lost_power || !world.has_journal) && n < sent(f); n++)
			if (((f->fates.at[n] & FATE_WEAK) != 0 ||
			     !world.has_journal) &&
			    (f->fates.at[n] & FATE_MASK) != FATE_UNFIT)
				set_fate(f, n, FATE_UNCERTAIN);
	}
}

/* Of what the daemon may have taken before or after. */
static void
doubt_rights(struct feed *f)
{
	uint32_t n = (uint32_t)max_u64(f->certain, f->next);

	/* Behind the last one that was accepted. */
	while (n > f->certain && is_hopeless(f, n - 1))
		n--;
	for (; n < sent(f); n++) {
		struct update u = { f->number, n };
		unsigned fate = f->fates.at[n] & FATE_MASK;

		if (fate != FATE_ACKED && update_fits(u) &&
		    doors_may_publish(&f->c, doors_now() - 1,
				      update_table(u)) == UNSURE)
			set_fate(f, n, FATE_UNCERTAIN);
	}
}

void
feeds_rights_changed(void)
{
	for (unsigned i = 0; i < cnt; i++)
		if (doors_now() > 1 && feeds[i].c.socket != NULL)
			doubt_rights(&feeds[i]);
}

bool
feeds_must_have(struct update u)
{
	unsigned fate = feeds[u.feed].fates.at[u.number] & FATE_MASK;

	return fate == FATE_SENT || fate == FATE_ACKED;
}

void
feeds_are_held(void)
{
	for (unsigned i = 0; i < cnt; i++) {
		struct feed *f = &feeds[i];

		f->held_from = f->certain;
		f->held_to = sent(f);
		f->held_bytes = f->c.socket == NULL
					? 0
					: f->c.sent_bytes - f->c.socket->up.len;
	}
}

bool
feeds_came_later(struct update u)
{
	const struct feed *f = &feeds[u.feed];

	return u.number >= f->held_to ||
	       (u.number >= f->held_from &&
		ends_of(f)[u.number] > f->held_bytes);
}

uint64_t
feeds_sent_now(void)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < cnt; i++)
		n += sent(&feeds[i]) - feeds[i].ended;
	return n;
}

void
feeds_forgive(struct update u)
{
	set_fate(&feeds[u.feed], u.number, FATE_UNCERTAIN);
}

/* The daemon's time is that of the clock when it took the update, in the zone;
 * unless the clock has been set since, or the zone. */
static void
check_stamp(const struct feed *f, struct update u, int64_t stamp_ns)
{
	const unsigned *steps = (const void *)f->steps.at;
	int64_t ago_ns = sim_now_ns() - feeds_sent_ns(u);
	int64_t now_ns = setup_local_ns(sim_utc_ns());
	int64_t sent_ns = setup_local_ns(sim_utc_ns() - ago_ns);

	SIM_CHECK(u.number < f->ended ||
			  steps[u.number] != world.clock_steps ||
			  now_ns - sent_ns != ago_ns ||
			  (stamp_ns >= sent_ns && stamp_ns <= now_ns),
		  "update %u of feed %u has a time %" PRId64
		  " ms before now, and was sent %" PRId64 " ms ago",
		  u.number, u.feed, (int64_t)((now_ns - stamp_ns) / NS_PER_MS),
		  (int64_t)(ago_ns / NS_PER_MS));
}

void
feeds_forgive_after(unsigned feed, int64_t number)
{
	struct update u = { feed, (uint32_t)(number + 1) };

	for (; u.number < sent(&feeds[feed]); u.number++)
		if ((feeds[feed].fates.at[u.number] & FATE_MASK) != FATE_UNFIT)
			feeds_forgive(u);
}

void
feeds_check_sent(struct update u, int64_t stamp_ns)
{
	SIM_CHECK(u.feed < cnt && u.number < sent(&feeds[u.feed]),
		  "an update %u of feed %u appears, which never was sent",
		  u.number, u.feed);
	SIM_CHECK((feeds[u.feed].fates.at[u.number] & FATE_STAMPED) != 0 ||
			  stamp_ns == update_time(u),
		  "update %u of feed %u has another time than was sent",
		  u.number, u.feed);
	if ((feeds[u.feed].fates.at[u.number] & FATE_STAMPED) != 0)
		check_stamp(&feeds[u.feed], u, stamp_ns);
}

int64_t
feeds_sent_ns(struct update u)
{
	const int64_t *times = (const void *)feeds[u.feed].times.at;

	return times[u.number];
}

void
feeds_check_fates(bool (*was_accepted)(struct update u))
{
	for (unsigned i = 0; i < cnt; i++)
		for (uint32_t n = 0; n < sent(&feeds[i]); n++) {
			unsigned fate = feeds[i].fates.at[n] & FATE_MASK;

			struct update u = { i, n };

			SIM_CHECK(fate == FATE_UNCERTAIN ||
					  was_accepted(u) ==
						  (fate != FATE_UNFIT),
				  "update %u of feed %u was %s", n, i,
				  fate == FATE_ACKED  ? "answered, and is lost"
				  : fate == FATE_SENT ? "sent well, and is lost"
						      : "accepted, unfit");
		}
}

unsigned
feeds_cnt(void)
{
	return cnt;
}

uint32_t
feed_sent(unsigned feed)
{
	return sent(&feeds[feed]);
}
