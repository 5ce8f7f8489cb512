/*
 * What comes on the connections of subscribers, and what they may claim after
 * it.
 */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "subscriber.h"

enum { KEPT_MAX = 256 };

/* The shortest message.timeout. */
#define MESSAGE_NS (5 * NS_PER_S)

/* The last time that the daemon has corrected its date. */
static struct correction {
	int64_t at_ns; /* 0: never in this run */
	int32_t from, to;
	uint64_t records;
} correction;

bool
subscriber_wants_unknown(const struct subscriber *s)
{
	return s->has.tables[1] != '\0' &&
	       (s->has.asked.tables & schema.lacks) != 0;
}

/* The day in which it is: if the clock has leapt, a later one than it says. */
static int32_t
day_of(const struct claim *c)
{
	return judge_day_after(c->day - 1);
}

static uint64_t
count_wanted(const struct subscriber *s, uint64_t from, uint64_t until)
{
	int32_t day = day_of(&s->claim);
	uint64_t n = 0;
	struct update u;
	int64_t stamp_ns;

	for (; from < until && judge_knows(day, from, &u, &stamp_ns); from++)
		n += update_fits(u) && update_is_wanted(u, s->has.sel);
	return n;
}

bool
claim_is_beyond_limit(const struct subscriber *s)
{
	const struct claim *c = &s->claim;

	return c->has_limit && (c->base > c->limit ||
				count_wanted(s, c->base, c->limit) < c->cnt);
}

/* There were other settings since it had them, if only for a start that did not
 * come to its end. */
static bool
may_be_outdated(const struct claim *c)
{
	return c->cnt > 0 && c->era != world.era;
}

/* What it has had was sent with other settings. */
static bool
is_outdated(const struct claim *c)
{
	return c->cnt > 0 && c->fit != world.fit;
}

/* What it has had was chosen by other rights, if only for a while. */
static bool
may_be_of_other_rights(const struct subscriber *s)
{
	return s->claim.cnt > 0 && !doors_are_same(&s->c, s->claim.doors);
}

static bool
has_waited_for_room(const struct subscriber *s, const struct seen *seen)
{
	return strcmp(seen->error, "full") == 0 &&
	       sim_now_ns() - s->asked_ns > MESSAGE_NS;
}

/* Whether that was so of requests, limits.c says. */
static bool
is_over_limit(const struct subscriber *s, const struct seen *seen)
{
	return strcmp(seen->error, "requests") == 0 ||
	       (s->is_over != SURE_NOT && strcmp(seen->error, "symbols") == 0);
}

static void
refused(struct subscriber *s, const struct seen *seen)
{
	bool is_old = strcmp(seen->error, "day") == 0 ||
		      (strcmp(seen->error, "schema") == 0 &&
		       (may_be_outdated(&s->claim) ||
			may_be_of_other_rights(s)));
	bool is_lost = strcmp(seen->error, "epoch") == 0 ||
		       strcmp(seen->error, "range") == 0;

	sim_trace("%s is refused: %s", s->c.user, seen->error);
	if ((s->is_refused && strcmp(seen->error, "access") == 0) ||
	    is_over_limit(s, seen)) {
		client_leave(&s->c);
		subscriber_come_later(s);
		return;
	}
	/* Or what it waits for waits for the disk, or it has waited for room
	 * for message.timeout. */
	if (((strcmp(seen->error, "journal") == 0 ||
	      strcmp(seen->error, "full") == 0) &&
	     world.disk_faults > 0) ||
	    has_waited_for_room(s, seen)) {
		client_leave(&s->c);
		subscriber_come_later(s);
		return;
	}
	if (subscriber_wants_unknown(s) && seen->error[0] >= 'n') {
		for (unsigned i = 0; i < TABLES; i++)
			if (strcmp(seen->error, table_names[i]) == 0) {
				client_leave(&s->c);
				subscriber_come_later(s);
				return;
			}
	}
	SIM_CHECK(s->asked == ASK_REJOIN &&
			  (is_old || (is_lost && s->is_lying) ||
			   (is_lost && (s->claim.is_misdated ||
					s->claim.has_leapt ||
					s->claim.is_doubtful ||
					day_of(&s->claim) != s->claim.day ||
					s->claim.has_limit ||
					s->claim.unclean < world.unclean))),
		  "%s is refused: %s", s->c.user, seen->error);
	s->is_lying = false;
	s->claim.is_made = false;
	subscriber_ask_from(s, 0);
	client_flush(&s->c);
}

/*
 * It is told nothing, and what it gets next is of another day: unless an
 * `.u.end` has brought it to the right one, of which it has had nothing before
 * the epoch that begins now.
 */
static void
move(struct subscriber *s)
{
	if (s->claim.day == correction.to && s->claim.cnt == 0) {
		s->claim.has_limit = true;
		s->claim.limit = correction.records;
		s->is_renewing = false;
	} else {
		s->claim.is_misdated = true;
	}
	order_add(s, (struct item){ .kind = ITEM_JUMP,
				    .sel = s->has.sel,
				    .day = correction.to,
				    .idx = correction.records });
}

static void
lose(struct subscriber *s, int32_t day, uint64_t kept, uint64_t lost)
{
	order_check(s);
	if (day_of(&s->claim) == day)
		s->claim.limit = s->claim.has_limit
					 ? min_u64(s->claim.limit, kept)
					 : kept;
	/* In a later day, too: nobody has told it of the new epoch. */
	else
		s->claim.limit = UINT64_MAX;
	s->claim.has_limit = true;
	s->is_renewing = false;
	s->is_unsure = !s->is_placed || s->is_changing;
	s->unsure = s->asking;
	if (!s->is_placed || s->day > day)
		return;
	/* It may have been sent lost records, and has not read them yet. */
	if (s->day < day) {
		s->is_adrift = true;
		return;
	}
	for (unsigned i = 0; i < TABLES; i++) {
		if (s->idx[i] < kept + lost || s->items.len > 0)
			s->is_adrift = true;
		s->idx[i] -= min_u64(lost, s->idx[i]);
	}
	s->passed -= min_u64(lost, s->passed);
}

void
subscribers_records_lost(int32_t day, uint64_t kept, uint64_t lost)
{
	accounts_forget();
	for (unsigned i = 0; i < subscribers_cnt; i++)
		lose(&subscribers[i], day, kept, lost);
}

void
subscribers_date_corrected(int32_t from, int32_t to, uint64_t records)
{
	correction = (struct correction){ sim_now_ns(), from, to, records };
	for (unsigned i = 0; i < subscribers_cnt; i++) {
		struct subscriber *s = &subscribers[i];

		s->unsure = s->asking;
		s->claim.is_doubtful = true;
		/* Who still gets an earlier day comes from its end into the
		 * right one, and nobody has told it of the new epoch. */
		if (s->is_placed && s->c.socket != NULL) {
			if (!judge_has_ended(s->claim.day)) {
				move(s);
			} else if (!s->claim.has_limit) {
				s->claim.has_limit = true;
				s->claim.limit = UINT64_MAX;
			}
		} else if (s->claim.day == from) {
			s->claim.is_misdated = true;
		}
	}
}

void
answers_daemon_ended(void)
{
	correction.at_ns = 0;
}

/* What .u.sub answers: a pair (name; table), for ` a list of the pairs of all
 * tables, for a list of tables of theirs. */
static void
check_pairs(const struct subscriber *s, const struct wish *w,
	    const struct seen *seen)
{
	int64_t names = 0, pairs;

	/* It asked for the first of (.u.i;.u.L;schemas). */
	if (subscriber_asks_as_mgkdb(s)) {
		SIM_CHECK(seen->numbers[0] == seen->numbers[1],
			  "%s is told to replay %lld records, and %lld",
			  s->c.user, (long long)seen->numbers[0],
			  (long long)seen->numbers[1]);
		return;
	}

	for (const char *at = w->tables; *at != '\0'; at++)
		names += *at == '`';
	pairs = names == 1 ? 2 : names;
	if (strcmp(w->tables, "`") == 0)
		pairs = __builtin_popcount(TABLES_ALL & ~schema.lacks &
					   doors_rights(&s->c)->subscribe);
	SIM_CHECK(seen->numbers[0] == pairs, "the answer to %s has %lld items",
		  s->c.user, (long long)seen->numbers[0]);
}

static void
begin_without_journal(struct subscriber *s, int32_t day)
{
	s->passed = UINT64_MAX;
	s->day = day;
	s->is_adrift = true;
}

/* From now on it can claim all records of the day from this one on. */
static void
claim_from(struct subscriber *s, int32_t day, uint64_t idx)
{
	s->is_renewing = false;
	s->claim = (struct claim){ .is_made = true,
				   .epoch = s->new_epoch,
				   .doors = doors_now(),
				   .day = day,
				   .base = idx,
				   .unclean = world.unclean,
				   .era = world.era,
				   .fit = world.fit,
				   .after = world.after };
}

/* Whether it was answered before the correction of this day, which we know
 * already. */
static bool
is_before_correction(const struct subscriber *s, int32_t day)
{
	return correction.at_ns > s->asked_ns && correction.from == day;
}

static void
placed(struct subscriber *s, const struct seen *seen)
{
	uint64_t idx =
		s->asked == ASK_FROM ? s->from : (uint64_t)seen->numbers[1];
	int32_t day = (int32_t)seen->numbers[2];

	SIM_CHECK(seen->numbers_cnt == 4, "the reply to %s has %u numbers",
		  s->c.user, seen->numbers_cnt);
	SIM_CHECK(!subscriber_wants_unknown(s) && !s->is_refused &&
			  s->is_over != SURE_YES,
		  "%s subscribes to what is not there, or not for it",
		  s->c.user);
	check_pairs(s, &s->has, seen);
	s->is_placed = true;
	memset(s->had, 0, sizeof(s->had));
	if (!world.has_journal) {
		begin_without_journal(s, day);
		return;
	}
	s->new_epoch = seen->numbers[3];
	s->new_doors = doors_now();
	s->is_adrift = s->is_unsure;
	s->is_unsure = false;
	if (s->is_adrift) {
		s->claim.is_made = false;
		return;
	}
	if (s->asked == ASK_REJOIN) {
		s->is_renewing = true;
		/* Who gets only some records is told when they are counted. */
		SIM_CHECK((!s->claim.is_beyond && !claim_is_beyond_limit(s) &&
			   !s->is_lying) ||
				  !order_sees_all(s->has.sel) ||
				  !order_fits_all(),
			  "%s has records that do not exist, and rejoins",
			  s->c.user);
		SIM_CHECK(!is_outdated(&s->claim),
			  "%s rejoins, and the settings have changed",
			  s->c.user);
		SIM_CHECK(!s->claim.is_misdated ||
				  is_before_correction(s, s->claim.day),
			  "%s rejoins in a day in which it has not been",
			  s->c.user);
		/* Perhaps the judge did not know yet that its day had ended. */
		if (s->claim.cnt == 0)
			order_add(s, (struct item){ .kind = ITEM_JUMP,
						    .sel = s->has.sel,
						    .day = day_of(&s->claim),
						    .idx = s->claim.base });
		if (is_before_correction(s, s->claim.day))
			move(s);
		return;
	}
	/* What is said to be in the file is there, or will be when a file that
	 * somebody has just removed, or replaced, is back. */
	judge_read_journal();
	SIM_CHECK(idx <= judge_count(day) || world.is_damaged ||
			  world_has_disk_trouble() ||
			  fs_find(world.journal) == NULL,
		  "%s is told to replay %" PRIu64 " records of %" PRIu64,
		  s->c.user, idx, judge_count(day));
	claim_from(s, day, idx);
	order_add(s, (struct item){ .kind = ITEM_JUMP,
				    .sel = s->has.sel,
				    .day = day,
				    .idx = idx });
	if (is_before_correction(s, day))
		move(s);
}

/* The reply is between the streams of the two selections. */
static void
changed(struct subscriber *s, const struct seen *seen)
{
	uint64_t idx = (uint64_t)seen->numbers[1];
	int32_t day = (int32_t)seen->numbers[2];

	s->is_changing = false;
	s->is_adrift = s->is_adrift || s->is_unsure;
	s->is_unsure = false;
	if (s->is_refused) {
		SIM_CHECK(seen->kind == SEEN_ERROR,
			  "%s may have what is not for it", s->c.user);
		return;
	}
	if (seen->kind == SEEN_ERROR) {
		/* Its request may have waited for so long. */
		SIM_CHECK((world.disk_faults > 0 &&
			   strcmp(seen->error, "journal") == 0) ||
				  has_waited_for_room(s, seen) ||
				  is_over_limit(s, seen),
			  "%s may not change its selection: %s", s->c.user,
			  seen->error);
		return;
	}
	SIM_CHECK(s->is_over != SURE_YES,
		  "%s gets more symbols than it may have", s->c.user);
	s->has = s->next;
	memset(s->had, 0, sizeof(s->had));
	if (!world.has_journal) {
		s->passed = UINT64_MAX;
		return;
	}
	s->new_epoch = seen->numbers[3];
	s->new_doors = doors_now();
	claim_from(s, day, idx);
	if (is_before_correction(s, day))
		move(s);
	else
		order_add(s, (struct item){ .kind = ITEM_CHANGE,
					    .sel = s->has.sel,
					    .day = day,
					    .idx = idx });
}

static bool
is_same(const struct bytes *wanted, const struct seen *seen, const uint8_t *at)
{
	return wanted->len == seen->len &&
	       memcmp(wanted->at, at, seen->len) == 0;
}

/* Without a journal: of each feed the updates come in their order, and none is
 * left out. */
static void
check_next(struct subscriber *s, struct update u)
{
	unsigned table = update_table(u);
	uint32_t *had = &s->had[u.feed][table];
	struct update n = { u.feed, *had };

	if (world.has_journal)
		return;
	SIM_CHECK(u.number >= *had,
		  "%s gets update %u of feed %u after update %u", s->c.user,
		  u.number, u.feed, *had - 1);
	for (; *had > 0 && s->policy != POLICY_SKIP && n.number < u.number;
	     n.number++)
		SIM_CHECK(update_table(n) != table ||
				  !update_is_wanted(n, s->has.sel) ||
				  !feeds_must_have(n),
			  "%s gets update %u of feed %u, and not %u", s->c.user,
			  u.number, u.feed, n.number);
	*had = u.number + 1;
}

static void
took_batch(struct subscriber *s, const struct seen *seen, const uint8_t *at)
{
	struct bytes wanted = { 0 }, parts = { 0 };
	const struct part *p;
	size_t many;

	s->claim.is_blurred = true;
	read_parts(at, seen->len, &parts);
	p = (const void *)parts.at;
	many = parts.len / sizeof(*p);
	for (size_t i = 0; i < many; i++)
		feeds_check_sent(p[i].u, p[i].stamp_ns);
	/* Who has all rows gets `g#; but not out of the journal. */
	put_batch(&wanted, p, many, s->has.sel, false);
	if (s->has.sel.symbols[update_table(p[0].u)] == SYMBOLS_ALL &&
	    !is_same(&wanted, seen, at)) {
		wanted.len = 0;
		put_batch(&wanted, p, many, s->has.sel, true);
	}
	SIM_CHECK(is_same(&wanted, seen, at),
		  "%s gets other bytes of a batch than it should", s->c.user);
	for (size_t i = 0; i < many; i++) {
		check_next(s, p[i].u);
		order_add(s, (struct item){ .kind = ITEM_UPDATE,
					    .u = p[i].u,
					    .stamp_ns = p[i].stamp_ns });
	}
	bytes_free(&wanted);
	bytes_free(&parts);
}

/* The message that a selection gets of an update.  Several subscribers get it
 * soon after each other, so the last ones are kept. */
static const struct bytes *
message_of(struct update u, int64_t stamp_ns, struct selection sel)
{
	static struct kept {
		struct update u;
		int64_t stamp_ns;
		struct selection sel;
		uint64_t fit;
		struct bytes bytes;
	} kept[KEPT_MAX];
	unsigned symbols = (unsigned)sel.symbols[update_table(u)];
	struct kept *k = &kept[(u.number * FEEDS + u.feed + symbols * 31) %
			       KEPT_MAX];

	if (k->bytes.len > 0 && k->fit == world.fit &&
	    k->stamp_ns == stamp_ns && memcmp(&k->u, &u, sizeof(u)) == 0 &&
	    memcmp(&k->sel, &sel, sizeof(sel)) == 0)
		return &k->bytes;
	k->u = u;
	k->stamp_ns = stamp_ns;
	k->sel = sel;
	k->fit = world.fit;
	k->bytes.len = 0;
	put_message(&k->bytes, u, stamp_ns, sel);
	return &k->bytes;
}

static void
took_update(struct subscriber *s, const struct seen *seen, const uint8_t *at)
{
	feeds_check_sent(seen->update, seen->stamp_ns);
	SIM_CHECK(is_same(message_of(seen->update, seen->stamp_ns, s->has.sel),
			  seen, at),
		  "%s gets other bytes of update %u of feed %u than it should",
		  s->c.user, seen->update.number, seen->update.feed);
	s->claim.cnt++;
	if (!world.has_journal && s->passed != UINT64_MAX)
		s->passed++;
	check_next(s, seen->update);
	order_add(s, (struct item){ .kind = ITEM_UPDATE,
				    .u = seen->update,
				    .stamp_ns = seen->stamp_ns });
}

static void
took_end(struct subscriber *s, int32_t day)
{
	sim_trace("%s gets the end of day %d", s->c.user, day);
	if (!world.has_journal) {
		s->passed = 0;
		s->day = day + 1;
	}
	s->claim.day = day + 1;
	s->claim.base = s->claim.cnt = 0;
	s->claim.has_leapt = judge_day_after(day) != day + 1;
	order_add(s, (struct item){ .kind = ITEM_END, .day = day });
}

/* Without a journal, nobody can have missed more than was sent since the day
 * began; and who gets all knows how many records it had. */
static void
check_skips(struct subscriber *s, uint64_t from, uint64_t to)
{
	SIM_CHECK(s->day != world.ended_day + 1 ||
			  to <= feeds_sent_now() - world.before_day,
		  "%s is told of skips from %" PRIu64 " to %" PRIu64
		  ", and in this day at most %" PRIu64 " updates came",
		  s->c.user, from, to, feeds_sent_now() - world.before_day);
	if (s->passed == UINT64_MAX || world.is_batched ||
	    !order_sees_all(s->has.sel))
		return;
	SIM_CHECK(from == s->passed,
		  "%s has had %" PRIu64 " records of the day, and is told that "
		  "those from %" PRIu64 " on are left out",
		  s->c.user, s->passed, from);
	s->passed = to;
}

static void
took_skips(struct subscriber *s, uint64_t from, uint64_t to)
{
	SIM_CHECK(from <= to, "%s is told of less than no skips", s->c.user);
	if (!world.has_journal)
		check_skips(s, from, to);
	order_add(s, (struct item){ .kind = ITEM_SKIPS,
				    .idx = from,
				    .end_idx = to });
}

static unsigned
count_updates(const struct seen *seen, const uint8_t *at)
{
	struct bytes parts = { 0 };
	size_t many;

	if (seen->kind != SEEN_UPDATE || !world.is_batched)
		return seen->kind == SEEN_UPDATE;
	read_parts(at, seen->len, &parts);
	many = parts.len / sizeof(struct part);
	bytes_free(&parts);
	return (unsigned)many;
}

/* Its rights have changed since it has asked: nobody can tell which of them
 * counted. */
static bool
has_vague_rights(struct subscriber *s, const struct seen *seen)
{
	if ((s->is_placed && !s->is_changing) ||
	    (seen->kind != SEEN_REPLY && seen->kind != SEEN_ERROR) ||
	    doors_are_same(&s->c, s->asked_since))
		return false;
	s->claim.is_made = false;
	client_leave(&s->c);
	subscriber_come_later(s);
	return true;
}

void
subscriber_take(struct client *c, const struct seen *seen, const uint8_t *at)
{
	struct subscriber *s = subscriber_of(c);

	account_took(subscriber_id(s), c->taken_bytes, count_updates(seen, at),
		     seen->kind);
	if (seen->kind == SEEN_REPLY || seen->kind == SEEN_ERROR)
		limits_answered(c, seen);
	if (has_vague_rights(s, seen))
		return;
	if (!s->is_placed) {
		if (seen->kind == SEEN_ERROR)
			refused(s, seen);
		else {
			SIM_CHECK(seen->kind == SEEN_REPLY,
				  "%s gets something before its reply",
				  c->user);
			placed(s, seen);
		}
		return;
	}
	if (s->is_changing &&
	    (seen->kind == SEEN_REPLY || seen->kind == SEEN_ERROR)) {
		changed(s, seen);
		return;
	}
	if (s->asking > 0 && seen->kind == SEEN_REPLY) {
		s->asking--;
		if (s->unsure > 0) {
			s->unsure--;
			return;
		}
		order_add(s,
			  (struct item){ .kind = ITEM_ANSWER,
					 .day = (int32_t)seen->numbers[1],
					 .idx = (uint64_t)seen->numbers[0] });
		return;
	}
	if (s->asking > 0 && seen->kind == SEEN_ERROR) {
		SIM_CHECK(world.disk_faults > 0 || is_over_limit(s, seen),
			  "%s is not answered: %s", s->c.user, seen->error);
		s->asking--;
		s->unsure -= s->unsure > 0;
		return;
	}
	pressure_cue(CUE_SEEN);
	SIM_CHECK(!s->is_lying, "%s lies, and is served", s->c.user);
	/* Something after the reply: the claim was right. */
	if (s->is_renewing)
		s->claim.has_limit = s->is_renewing = false;
	s->claim.epoch = s->new_epoch;
	s->claim.doors = s->new_doors;
	s->claim.unclean = world.unclean;
	s->claim.era = world.era;
	s->claim.fit = world.fit;
	s->claim.after = (unsigned)min_u64(s->claim.after, world.after);
	if (seen->kind == SEEN_UPDATE && world.is_batched)
		took_batch(s, seen, at);
	else if (seen->kind == SEEN_UPDATE)
		took_update(s, seen, at);
	else if (seen->kind == SEEN_END)
		took_end(s, seen->day);
	else if (seen->kind == SEEN_SKIPS && s->policy == POLICY_SKIP)
		took_skips(s, (uint64_t)seen->numbers[0],
			   (uint64_t)seen->numbers[1]);
	else
		sim_fail("%s gets what it did not ask for", c->user);
	/* While more comes. */
	if (seen->kind == SEEN_UPDATE && sim_chance(10))
		subscriber_ask_again(s);
}

void
subscribers_recovered(int32_t day, uint64_t records)
{
	int32_t running;

	for (unsigned i = 0; i < subscribers_cnt; i++) {
		struct subscriber *s = &subscribers[i];

		/* What is not compared yet is behind what is left. */
		s->items.len = 0;
		if (judge_find_running(&running) && s->claim.day > running)
			s->claim.is_misdated = true;
		if (!s->claim.is_made || s->claim.is_beyond ||
		    s->claim.is_misdated || day_of(&s->claim) != day ||
		    claim_is_beyond_limit(s) ||
		    s->claim.fit != world.fit_before ||
		    (s->claim.base <= records &&
		     count_wanted(s, s->claim.base, records) >= s->claim.cnt))
			continue;
		s->claim.is_beyond = true;
		SIM_CHECK(s->claim.after == AFTER_RING || world.is_tampered ||
				  (world.has_lost_power &&
				   s->claim.after != AFTER_SYNC),
			  "%s has seen what a crash took", s->c.user);
	}
}
