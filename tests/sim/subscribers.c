/*
 * Subscribers of all kinds.  Each compares the bytes of what it gets with what
 * was sent, and keeps the names in a queue, which is compared with the order as
 * soon as that is known.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "world.h"

enum { SUBSCRIBERS_MAX = 16, FEEDS = 8 };

/* The shortest message.timeout. */
#define MESSAGE_NS (5 * NS_PER_S)

/* The longest time in which a subscriber that reads gets nothing of what there
 * is. */
#define DELIVERY_NS (10 * NS_PER_S)

/* How long a consumer may be slow until its policy is carried out. */
#define SLOW_NS	       (4 * NS_PER_S)
#define SPILL_LIMIT_NS (1 * NS_PER_S)

/* Where a subscriber is, or what it has seen next. */
struct item {
	enum {
		ITEM_UPDATE,
		ITEM_END,
		ITEM_JUMP,
		ITEM_SKIPS,
		ITEM_CHANGE,
		ITEM_ANSWER, /* to a question, after idx records of day */
	} kind;
	struct selection sel; /* from a jump or change on */
	struct update u;
	int64_t stamp_ns;
	int32_t day;
	unsigned port; /* of the connection on which it came */
	uint64_t idx; /* of a jump; of skips the first record left out */
	uint64_t end_idx; /* the first one after these */
};

/* What it says about itself when it rejoins: since record `base` of `day` it
 * has had cnt messages. */
struct claim {
	bool is_made;
	int64_t epoch;
	int32_t day;
	uint64_t base, cnt;
	unsigned unclean; /* world.unclean when it was last true, ... */
	unsigned era;	  /* ... and world.era, ... */
	uint64_t fit;	  /* ... and world.fit */
	unsigned after;	  /* the weakest world.after while it was made */
	bool is_blurred;  /* it has had batches, of which none is counted */
	bool is_beyond;	  /* a crash took some of what it has had */
	bool has_limit;	  /* others have cut out records ... */
	uint64_t limit;	  /* ... from this one on */
	bool is_misdated; /* the daemon has found that its day was wrong */
};

/* A selection, and as it is written in a request. */
struct wish {
	struct selection sel;
	char tables[64], symbols[64];
};

struct subscriber {
	struct client c;
	struct wish has;
	enum { ASK_SUB, ASK_FROM, ASK_REJOIN } asked;
	enum { HABIT_PROMPT, HABIT_SLOW, HABIT_STOP_AND_GO } habit;
	enum { POLICY_SPILL, POLICY_DISCONNECT, POLICY_SKIP, POLICY_BLOCK }
		policy;
	bool has_spill_limit;
	bool is_absent; /* left out of this run */
	bool is_vanishing;
	bool is_fickle; /* changes its selection */
	bool is_curious; /* asks where the day is */
	unsigned asking; /* questions without an answer, ... */
	unsigned unsure; /* ... of which the first may be of an order that is
			    forgotten */
	size_t down_max; /* of its sockets; 0: as it comes */
	bool is_told_slow; /* by the log */
	bool was_level;	   /* so it does not read what was before it */
	int64_t slow_ns; /* since when it must be slow; 0: it need not be */
	bool is_placed; /* its request was answered */
	uint64_t from;	/* what it asked for with ASK_FROM */
	int64_t new_epoch;
	struct claim claim;
	struct bytes items;
	/* The place of the first item; in batches each table has its own. */
	int32_t day;
	uint64_t idx[TABLES];
	uint64_t passed; /* records of the day before it */
	struct selection items_sel;
	uint64_t lacks; /* the record that it lacked at the last look */
	int64_t moved_ns; /* since when it is that one */
	bool is_changing; /* its selection: the reply has not come yet */
	struct wish next;
	bool is_lying; /* in its claim */
	int64_t asked_ns;
	bool is_unsure;	  /* whether its reply is of that order, too */
	bool has_skipped;
	/* Without a journal: the last update of each feed that it has had, and
	 * one more; 0: none. */
	uint32_t had[FEEDS][TABLES];
	bool is_adrift;	  /* what it gets is of an order that is forgotten */
	bool is_renewing; /* the next message makes its claim a new one */
};

/* The last time that the daemon has corrected its date. */
static struct correction {
	int64_t at_ns; /* 0: never in this run */
	int32_t from, to;
	uint64_t records;
} correction;

static struct subscriber all[SUBSCRIBERS_MAX];
static unsigned cnt;
static bool is_stopped;

static struct subscriber *
subscriber_of(struct client *c)
{
	return container_of(c, struct subscriber, c);
}

/* ---- the order ---- */

static bool
sees_all(struct selection sel)
{
	return sel.tables == TABLES_ALL && sel.symbols == SYMBOLS_ALL;
}

/* In batches the order is one of each table. */
static unsigned
lane_of(struct update u)
{
	return world.is_batched ? update_table(u) : 0;
}

static unsigned
lanes(void)
{
	return world.is_batched ? TABLES : 1;
}

static void
set_place(struct subscriber *s, int32_t day, uint64_t idx)
{
	s->day = day;
	for (unsigned i = 0; i < TABLES; i++)
		s->idx[i] = idx;
	s->passed = idx;
}

/* The first record of a lane from the place on that the selection wants. */
static bool
find_wanted(const struct subscriber *s, unsigned lane, uint64_t *idx,
	    struct update *u)
{
	int64_t stamp_ns;

	for (*idx = s->idx[lane]; judge_knows(s->day, *idx, u, &stamp_ns);
	     (*idx)++)
		if (lane_of(*u) == lane && update_fits(*u) &&
		    update_is_wanted(*u, s->items_sel))
			return true;
	return false;
}

/* The same, of all lanes; UINT64_MAX: there is none. */
static uint64_t
first_wanted(const struct subscriber *s)
{
	uint64_t first = UINT64_MAX, idx;
	struct update u;

	if (s->is_adrift)
		return first;
	for (unsigned lane = 0; lane < lanes(); lane++)
		if (find_wanted(s, lane, &idx, &u))
			first = min_u64(first, idx);
	return first;
}

/* Whether the next record of the selection is known, and then it is the item's:
 * else some other one was left out, or came twice. */
static bool
pass_update(struct subscriber *s, const struct item *item)
{
	unsigned lane = lane_of(item->u);
	struct update u;
	uint64_t idx;

	if (!world.is_batched && sees_all(s->items_sel) &&
	    s->idx[0] == judge_count(s->day))
		judge_tell(s->day, s->idx[0], item->u, item->stamp_ns);
	if (!find_wanted(s, lane, &idx, &u))
		return false;
	SIM_CHECK(u.feed == item->u.feed && u.number == item->u.number,
		  "%s gets update %u of feed %u, and record %" PRIu64
		  " of day %d is %u of %u",
		  s->c.user, item->u.number, item->u.feed, idx, s->day,
		  u.number, u.feed);
	judge_tell(s->day, idx, item->u, item->stamp_ns);
	account_placed((unsigned)(s - all), item->port, s->day, idx, u);
	SIM_CHECK(world.after == AFTER_RING || world_has_disk_trouble() ||
			  judge_has_written(s->day, idx,
					    world.after == AFTER_SYNC),
		  "%s gets record %" PRIu64 " of day %d before it is %s",
		  s->c.user, idx, s->day,
		  world.after == AFTER_SYNC ? "on the disk" : "in the file");
	s->idx[lane] = idx + 1;
	s->passed++;
	return true;
}

/* The end of a day after which it is, and which it may not have seen whole. */
static bool
skip_to_end(struct subscriber *s, const struct item *item)
{
	SIM_CHECK(item->day >= s->day,
		  "%s is in day %d and gets the end of %d", s->c.user, s->day,
		  item->day);
	set_place(s, judge_day_after(item->day), 0);
	return true;
}

/* It was told that all records left out are among these. */
static bool
pass_skips(struct subscriber *s, const struct item *item)
{
	uint64_t idx;

	if (judge_count(s->day) < item->end_idx)
		return false;
	idx = first_wanted(s);
	SIM_CHECK(idx >= item->idx,
		  "%s is told that records from %" PRIu64 " to %" PRIu64
		  " are left out, and %" PRIu64 " is",
		  s->c.user, item->idx, item->end_idx, idx);
	for (unsigned i = 0; i < TABLES; i++) {
		SIM_CHECK(s->idx[i] <= item->end_idx,
			  "%s is told of skips before its place", s->c.user);
		s->idx[i] = item->end_idx;
	}
	s->passed = item->end_idx;
	return true;
}

static bool
fits_all(void)
{
	return (schema.lacks | schema.mistyped | schema.widened) == 0;
}

static bool
pass_end(struct subscriber *s, const struct item *item)
{
	if (s->policy == POLICY_SKIP)
		return skip_to_end(s, item);
	SIM_CHECK(item->day == s->day, "%s is in day %d and gets the end of %d",
		  s->c.user, s->day, item->day);
	/* Older records that do not fit the schema any more are left out. */
	if (!judge_tell_end(s->day, sees_all(s->items_sel) && fits_all()
					    ? s->passed
					    : UINT64_MAX))
		return false;
	SIM_CHECK(first_wanted(s) == UINT64_MAX,
		  "%s gets the end of day %d before its record %" PRIu64,
		  s->c.user, s->day, first_wanted(s));
	set_place(s, judge_day_after(s->day), 0);
	return true;
}

/* Its selection changed at a record: up to there it has had all of the old one.
 */
static bool
pass_change(struct subscriber *s, const struct item *item)
{
	if (judge_count(item->day) < item->idx)
		return false;
	SIM_CHECK(item->day == s->day && (first_wanted(s) >= item->idx ||
					  s->policy == POLICY_SKIP),
		  "%s changes its selection at record %" PRIu64
		  ", and lacks record %" PRIu64,
		  s->c.user, item->idx, first_wanted(s));
	s->items_sel = item->sel;
	/* It may have been told already that records after it are left out. */
	set_place(s, item->day, max_u64(item->idx, s->policy == POLICY_SKIP
							   ? s->passed
							   : 0));
	return true;
}

/* A question is answered after all that was published before it. */
static bool
pass_answer(const struct subscriber *s, const struct item *item)
{
	if (judge_count(item->day) < item->idx)
		return false;
	/* With publish.after = "sync" what is in the file may not be published
	 * yet. */
	SIM_CHECK(s->policy == POLICY_SKIP || world.after == AFTER_SYNC ||
			  (item->day == s->day &&
			   first_wanted(s) >= item->idx),
		  "%s is answered after record %" PRIu64
		  ", and lacks record %" PRIu64,
		  s->c.user, item->idx, first_wanted(s));
	return true;
}

static bool
pass(struct subscriber *s, const struct item *item)
{
	switch (item->kind) {
	case ITEM_UPDATE:
		return pass_update(s, item);
	case ITEM_END:
		return pass_end(s, item);
	case ITEM_SKIPS:
		return pass_skips(s, item);
	case ITEM_CHANGE:
		return pass_change(s, item);
	case ITEM_ANSWER:
		return pass_answer(s, item);
	case ITEM_JUMP:
		s->items_sel = item->sel;
		set_place(s, item->day, item->idx);
		return true;
	}
	return true;
}

static void
check(struct subscriber *s)
{
	const struct item *items = (const void *)s->items.at;
	size_t n = 0, many = s->items.len / sizeof(*items);

	if (s->is_adrift)
		n = many;
	while (n < many && pass(s, &items[n]))
		n++;
	bytes_drop(&s->items, n * sizeof(*items));
}

void
subscribers_check(void)
{
	for (unsigned i = 0; i < cnt; i++)
		check(&all[i]);
}

static void
add_item(struct subscriber *s, struct item item)
{
	item.port = s->c.socket->port;
	bytes_add(&s->items, &item, sizeof(item));
	check(s);
}

/* ---- requests ---- */

static void
ask(struct subscriber *s, const struct wish *w, const char *call,
    const char *where)
{
	char text[300];

	(void)snprintf(text, sizeof(text),
		       "(count %s[%s;%s%s];%s%s)", call, w->tables, w->symbols,
		       where,
		       world.has_journal ? ".u.i;.u.d;.ringtick.epoch"
					 : "0;.u.d;0",
		       s->policy == POLICY_SKIP ? ";.ringtick.tellskips[]"
						: "");
	s->asked_ns = sim_now_ns();
	sim_trace("%s asks %s", s->c.user, text);
	put_request(&s->c.out, text, true);
	account_asked((unsigned)(s - all));
}

static void
ask_from(struct subscriber *s, uint64_t from)
{
	char where[32];

	(void)snprintf(where, sizeof(where), ";%" PRIu64, from);
	s->asked = ASK_FROM;
	s->from = from;
	ask(s, &s->has, ".ringtick.subfrom", where);
}

static void
ask_rejoin(struct subscriber *s)
{
	struct claim c = s->claim;
	char where[128], date[16];

	s->is_lying = sim_chance(50);
	if (s->is_lying)
		*(sim_chance(500) ? &c.base : &c.cnt) += 1000000000;
	(void)snprintf(where, sizeof(where),
		       ";(%" PRId64 ";%s;%" PRIu64 ";%" PRIu64 ")",
		       c.epoch, clock_date_text(date, c.day), c.base, c.cnt);
	s->asked = ASK_REJOIN;
	ask(s, &s->has, ".ringtick.rejoin", where);
}

static void
ready(struct client *c)
{
	struct subscriber *s = subscriber_of(c);

	s->is_placed = s->is_changing = s->is_lying = false;
	s->asking = s->unsure = 0;
	s->is_told_slow = s->was_level = s->has_skipped = false;
	if (s->is_adrift)
		s->claim.is_made = false;
	s->is_adrift = s->is_unsure = false;
	s->slow_ns = 0;
	/* Some begin the day anew. */
	if (s->is_vanishing && sim_chance(300))
		s->claim.is_made = false;
	if (!world.has_journal) {
		s->asked = ASK_SUB;
		ask(s, &s->has, ".u.sub", "");
		client_flush(c);
		return;
	}
	account_open((unsigned)(s - all), c->socket->port,
		     s->has.sel.symbols == SYMBOLS_ALL && !world.is_batched);
	account_took((unsigned)(s - all), c->taken_bytes, 0, SEEN_MORE);
	if (s->claim.is_made && !s->claim.is_blurred && !world.is_batched &&
	    s->policy != POLICY_SKIP && !sim_chance(100))
		ask_rejoin(s);
	else if (sim_chance(500) || strchr(s->has.tables + 1, '`') != NULL)
		ask_from(s, 0);
	else {
		s->asked = ASK_SUB;
		ask(s, &s->has, ".u.sub", "");
	}
	client_flush(c);
}

/* ---- answers ---- */

static void come_later(struct subscriber *s);

/* Whether it wants a table that the schema does not have. */
static bool
wants_unknown(const struct subscriber *s)
{
	return s->has.tables[1] != '\0' &&
	       (s->has.sel.tables & schema.lacks) != 0;
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

/* It has records that others have cut out of the file: exactly these are what
 * it cannot claim. */
static bool
is_beyond_limit(const struct subscriber *s)
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

static void
refused(struct subscriber *s, const struct seen *seen)
{
	bool is_old = strcmp(seen->error, "day") == 0 ||
		      (strcmp(seen->error, "schema") == 0 &&
		       may_be_outdated(&s->claim));
	bool is_lost = strcmp(seen->error, "epoch") == 0 ||
		       strcmp(seen->error, "range") == 0;

	sim_trace("%s is refused: %s", s->c.user, seen->error);
	/* Or what it waits for waits for the disk, for message.timeout. */
	if ((strcmp(seen->error, "journal") == 0 ||
	     strcmp(seen->error, "full") == 0) &&
	    world.disk_faults > 0) {
		client_leave(&s->c);
		come_later(s);
		return;
	}
	if (wants_unknown(s) && seen->error[0] >= 'n') {
		for (unsigned i = 0; i < TABLES; i++)
			if (strcmp(seen->error, table_names[i]) == 0) {
				client_leave(&s->c);
				come_later(s);
				return;
			}
	}
	SIM_CHECK(s->asked == ASK_REJOIN &&
			  (is_old || (is_lost && s->is_lying) ||
			   (is_lost && (s->claim.is_misdated ||
					day_of(&s->claim) != s->claim.day ||
					s->claim.has_limit ||
					s->claim.unclean < world.unclean))),
		  "%s is refused: %s", s->c.user, seen->error);
	s->is_lying = false;
	s->claim.is_made = false;
	ask_from(s, 0);
	client_flush(&s->c);
}

/* It is told nothing, and what it gets next is of another day. */
static void
move(struct subscriber *s)
{
	s->claim.is_misdated = true;
	add_item(s, (struct item){ .kind = ITEM_JUMP,
				   .sel = s->has.sel,
				   .day = correction.to,
				   .idx = correction.records });
}

static void
lose(struct subscriber *s, int32_t day, uint64_t kept, uint64_t lost)
{
	check(s);
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
	if (!s->is_placed || s->day != day)
		return;
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
	for (unsigned i = 0; i < cnt; i++)
		lose(&all[i], day, kept, lost);
}

void
subscribers_date_corrected(int32_t from, int32_t to, uint64_t records)
{
	correction = (struct correction){ sim_now_ns(), from, to, records };
	for (unsigned i = 0; i < cnt; i++) {
		if (all[i].is_placed && all[i].c.socket != NULL)
			move(&all[i]);
		else if (all[i].claim.day == from)
			all[i].claim.is_misdated = true;
	}
}

/* What .u.sub answers: a pair (name; table), for ` a list of the pairs of all
 * tables, for a list of tables of theirs. */
static void
check_pairs(const struct subscriber *s, const struct wish *w,
	    const struct seen *seen)
{
	int64_t names = 0, pairs;

	for (const char *at = w->tables; *at != '\0'; at++)
		names += *at == '`';
	pairs = names == 1 ? 2 : names;
	if (strcmp(w->tables, "`") == 0)
		pairs = TABLES - (schema.lacks != 0);
	SIM_CHECK(seen->numbers[0] == pairs, "the answer to %s has %lld items",
		  s->c.user, (long long)seen->numbers[0]);
}

static void
placed(struct subscriber *s, const struct seen *seen)
{
	uint64_t idx = s->asked == ASK_FROM ? s->from
					    : (uint64_t)seen->numbers[1];
	int32_t day = (int32_t)seen->numbers[2];

	SIM_CHECK(seen->numbers_cnt == 4, "the reply to %s has %u numbers",
		  s->c.user, seen->numbers_cnt);
	SIM_CHECK(!wants_unknown(s), "%s subscribes to what is not there",
		  s->c.user);
	check_pairs(s, &s->has, seen);
	s->is_placed = true;
	memset(s->had, 0, sizeof(s->had));
	if (!world.has_journal) {
		s->is_adrift = true;
		return;
	}
	s->new_epoch = seen->numbers[3];
	s->is_adrift = s->is_unsure;
	s->is_unsure = false;
	if (s->is_adrift) {
		s->claim.is_made = false;
		return;
	}
	if (s->asked == ASK_REJOIN) {
		s->is_renewing = true;
		/* Who gets only some records is told when they are counted. */
		SIM_CHECK((!s->claim.is_beyond && !is_beyond_limit(s) &&
			   !s->is_lying) ||
				  !sees_all(s->has.sel) || !fits_all(),
			  "%s has records that do not exist, and rejoins",
			  s->c.user);
		SIM_CHECK(!is_outdated(&s->claim),
			  "%s rejoins, and the settings have changed",
			  s->c.user);
		SIM_CHECK(!s->claim.is_misdated,
			  "%s rejoins in a day in which it has not been",
			  s->c.user);
		/* Perhaps the judge did not know yet that its day had ended. */
		if (s->claim.cnt == 0)
			add_item(s, (struct item){
					    .kind = ITEM_JUMP,
					    .sel = s->has.sel,
					    .day = day_of(&s->claim),
					    .idx = s->claim.base });
		return;
	}
	/* What is said to be in the file is there, or will be when a file that
	 * somebody has just removed is back. */
	judge_read_journal();
	SIM_CHECK(idx <= judge_count(day) || world.is_damaged ||
			  fs_find(world.journal) == NULL,
		  "%s is told to replay %" PRIu64 " records of %" PRIu64,
		  s->c.user, idx, judge_count(day));
	s->is_renewing = false;
	s->claim = (struct claim){ .is_made = true,
				   .epoch = s->new_epoch,
				   .day = day,
				   .base = idx,
				   .unclean = world.unclean,
				   .era = world.era,
				   .fit = world.fit,
				   .after = world.after };
	add_item(s, (struct item){ .kind = ITEM_JUMP,
				   .sel = s->has.sel,
				   .day = day,
				   .idx = idx });
	if (correction.at_ns > s->asked_ns && correction.from == day)
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
	if (seen->kind == SEEN_ERROR) {
		/* Its request may have waited for so long. */
		SIM_CHECK((world.disk_faults > 0 &&
			   strcmp(seen->error, "journal") == 0) ||
				  (sim_now_ns() - s->asked_ns > MESSAGE_NS &&
				   strcmp(seen->error, "full") == 0),
			  "%s may not change its selection: %s", s->c.user,
			  seen->error);
		return;
	}
	s->has = s->next;
	memset(s->had, 0, sizeof(s->had));
	if (!world.has_journal)
		return;
	s->new_epoch = seen->numbers[3];
	s->is_renewing = false;
	s->claim = (struct claim){ .is_made = true,
				   .epoch = seen->numbers[3],
				   .day = day,
				   .base = idx,
				   .unclean = world.unclean,
				   .era = world.era,
				   .fit = world.fit,
				   .after = world.after };
	add_item(s, (struct item){ .kind = ITEM_CHANGE,
				   .sel = s->has.sel,
				   .day = day,
				   .idx = idx });
	if (correction.at_ns > s->asked_ns && correction.from == day)
		move(s);
}

static void ask_again(struct subscriber *s);

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
			  "%s gets update %u of feed %u, and not %u",
			  s->c.user, u.number, u.feed, n.number);
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
	if (s->has.sel.symbols == SYMBOLS_ALL && !is_same(&wanted, seen, at)) {
		wanted.len = 0;
		put_batch(&wanted, p, many, s->has.sel, true);
	}
	SIM_CHECK(is_same(&wanted, seen, at),
		  "%s gets other bytes of a batch than it should", s->c.user);
	for (size_t i = 0; i < many; i++) {
		check_next(s, p[i].u);
		add_item(s, (struct item){ .kind = ITEM_UPDATE,
					   .u = p[i].u,
					   .stamp_ns = p[i].stamp_ns });
	}
	bytes_free(&wanted);
	bytes_free(&parts);
}

static void
took_update(struct subscriber *s, const struct seen *seen, const uint8_t *at)
{
	struct bytes wanted = { 0 };

	feeds_check_sent(seen->update, seen->stamp_ns);
	put_message(&wanted, seen->update, seen->stamp_ns, s->has.sel);
	SIM_CHECK(is_same(&wanted, seen, at),
		  "%s gets other bytes of update %u of feed %u than it should",
		  s->c.user, seen->update.number, seen->update.feed);
	bytes_free(&wanted);
	s->claim.cnt++;
	check_next(s, seen->update);
	add_item(s, (struct item){ .kind = ITEM_UPDATE,
				   .u = seen->update,
				   .stamp_ns = seen->stamp_ns });
}

static void
took_end(struct subscriber *s, int32_t day)
{
	sim_trace("%s gets the end of day %d", s->c.user, day);
	s->claim.day = day + 1;
	s->claim.base = s->claim.cnt = 0;
	add_item(s, (struct item){ .kind = ITEM_END, .day = day });
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

static void
take(struct client *c, const struct seen *seen, const uint8_t *at)
{
	struct subscriber *s = subscriber_of(c);

	account_took((unsigned)(s - all), c->taken_bytes,
		     count_updates(seen, at), seen->kind);
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
		add_item(s, (struct item){ .kind = ITEM_ANSWER,
					   .day = (int32_t)seen->numbers[1],
					   .idx = (uint64_t)seen->numbers[0] });
		return;
	}
	if (s->asking > 0 && seen->kind == SEEN_ERROR) {
		SIM_CHECK(world.disk_faults > 0, "%s is not answered: %s",
			  s->c.user, seen->error);
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
		add_item(s, (struct item){
				    .kind = ITEM_SKIPS,
				    .idx = (uint64_t)seen->numbers[0],
				    .end_idx = (uint64_t)seen->numbers[1] });
	else
		sim_fail("%s gets what it did not ask for", c->user);
	/* While more comes. */
	if (seen->kind == SEEN_UPDATE && sim_chance(10))
		ask_again(s);
}

/* ---- habits ---- */

static void
draw_wish(struct wish *w, bool is_of_all_tables)
{
	static const char *const kinds[] = { "`", "`trade", "`quote", "`note",
					     "`quote`trade" };
	static const unsigned tables[] = {
		TABLES_ALL, 1 << TABLE_TRADE, 1 << TABLE_QUOTE, 1 << TABLE_NOTE,
		1 << TABLE_QUOTE | 1 << TABLE_TRADE
	};
	/* The last one is only for .ringtick.subfrom. */
	size_t kind = is_of_all_tables || sim_chance(500)
			      ? 0
			      : sim_below(ARRAY_LEN(kinds) -
					  !world.has_journal);
	size_t len = 0;

	w->sel = (struct selection){ tables[kind], SYMBOLS_ALL };
	(void)snprintf(w->tables, sizeof(w->tables), "%s", kinds[kind]);
	(void)snprintf(w->symbols, sizeof(w->symbols), "`");
	if (sim_chance(600))
		return;
	w->sel.symbols = 0;
	/* Not the last one, the null symbol: as a filter it means all. */
	for (unsigned i = 0; i < SYMBOLS - 1; i++)
		if (sim_chance(250) || (i == 0 && sim_chance(500))) {
			w->sel.symbols |= 1 << i;
			len += (size_t)snprintf(w->symbols + len,
						sizeof(w->symbols) - len,
						"`%s", symbol_names[i]);
		}
	if (w->sel.symbols == 0)
		w->sel.symbols = SYMBOLS_ALL;
}

static void come_back(void *who, uint64_t what);

static void
come_later(struct subscriber *s)
{
	s->is_placed = s->is_changing = false;
	sim_at(sim_now_ns() + sim_between(NS_PER_MS, 3 * NS_PER_S), come_back,
	       s, 0);
}

static void
come_back(void *who, uint64_t what)
{
	struct subscriber *s = who;

	(void)what;
	if (is_stopped)
		return;
	if (s->c.socket == NULL && !client_connect(&s->c))
		come_later(s);
	else if (s->down_max > 0)
		s->c.socket->down_max = s->down_max;
}

static void
over(struct client *c)
{
	struct subscriber *s = subscriber_of(c);
	bool may_be_refused = s->asked == ASK_REJOIN &&
			      (s->claim.unclean < world.unclean ||
			       s->is_lying);

	SIM_CHECK(world.is_stopping || c->start < world.starts ||
			  !process_is_running() || may_be_refused ||
			  world.disk_faults > 0 || client_was_turned_away(c) ||
			  s->policy == POLICY_DISCONNECT ||
			  s->policy == POLICY_BLOCK || s->has_spill_limit ||
			  (s->policy == POLICY_SPILL && !world.has_journal),
		  "%s is cut off", c->user);
	if (may_be_refused && c->start == world.starts && process_is_running())
		s->claim.is_made = false;
	come_later(s);
}

/* The symbols are drawn again, of all tables. */
static void
change_selection(struct subscriber *s)
{
	draw_wish(&s->next, true);
	if (s->next.sel.symbols != SYMBOLS_ALL)
		account_filters((unsigned)(s - all));
	s->is_changing = true;
	ask(s, &s->next, ".u.sub", "");
	client_flush(&s->c);
}

/* Of a few questions the first may be in the way of the others. */
static void
ask_some(struct subscriber *s)
{
	s->asking = 1 + (unsigned)sim_below(3);
	for (unsigned i = 0; i < s->asking; i++) {
		put_request(&s->c.out,
			    world.has_journal ? "(.u.i;.u.d)" : "(0;.u.d)",
			    true);
		account_asked((unsigned)(s - all));
	}
	client_flush(&s->c);
}

static void
ask_again(struct subscriber *s)
{
	if (is_stopped || !s->is_placed || s->is_changing || s->asking > 0 ||
	    s->c.socket == NULL)
		return;
	if (s->is_curious && sim_chance(500))
		ask_some(s);
	else if (s->is_fickle && sim_chance(300))
		change_selection(s);
}

static void
change_habit(void *who, uint64_t what)
{
	struct subscriber *s = who;
	bool is_kept = sim_act();

	(void)what;
	if (is_stopped)
		return;
	/* Now and then several changes come soon after each other. */
	sim_at(world_after(sim_between(1, 20 * NS_PER_S >>
					      2 * sim_below(8))),
	       change_habit, s, 0);
	if (!is_kept)
		return;
	if (s->is_vanishing && s->c.socket != NULL && sim_chance(300)) {
		client_leave(&s->c);
		come_later(s);
	}
	ask_again(s);
	if (s->habit == HABIT_STOP_AND_GO) {
		s->c.is_paused = !s->c.is_paused;
		client_go_on(&s->c);
	}
}

/* ---- for the world ---- */

static const char *const policy_names[] = { "spill", "disconnect", "skip",
					    "block" };

static void
draw_policy(struct subscriber *s)
{
	if (sim_chance(500))
		s->policy = sim_below(ARRAY_LEN(policy_names));
	s->has_spill_limit = s->policy == POLICY_SPILL && sim_chance(150);
}

void
subscribers_change_policies(void)
{
	for (unsigned i = 1; i < cnt; i++) {
		/* It has not had all that it has counted. */
		if (all[i].policy == POLICY_SKIP)
			all[i].claim.is_made = false;
		if (sim_chance(50))
			draw_policy(&all[i]);
	}
}

void
subscribers_put_policies(char *to, size_t room)
{
	size_t len = 0;

	to[0] = '\0';
	for (unsigned i = 0; i < cnt; i++)
		len += (size_t)snprintf(
			to + len, room - len,
			"%s{ user = \"%s\"; policy = \"%s\";%s }",
			i > 0 ? ", " : "", all[i].c.user,
			policy_names[all[i].policy],
			all[i].has_spill_limit ? " spill_limit = \"1s\";"
					       : "");
}

/* Whoever was slow is live when its lag is below the return mark, and not at
 * the one where it left. */
void
subscribers_told(const char *line, size_t len)
{
	const char *user = memmem(line, len, " user=sub", 9),
		   *pct = memmem(line, len, " ring_pct=", 10);
	bool is_live = memmem(line, len, " state=live ", 12) != NULL;
	struct subscriber *s;

	/* What it lacks is not in its way any more, it is not told of that
	 * before it reads, and of further skips not all are logged. */
	if (memmem(line, len, "event=skip ", 11) != NULL && user != NULL)
		all[strtoul(user + 9, NULL, 10)].has_skipped = true;
	if (memmem(line, len, "event=consumer ", 15) == NULL || user == NULL ||
	    pct == NULL)
		return;
	s = &all[strtoul(user + 9, NULL, 10)];
	SIM_CHECK(!s->is_told_slow || !is_live ||
			  strtoul(pct + 10, NULL, 10) <
				  pressure_return_percent() + 1,
		  "%s is live again: %.*s", s->c.user, (int)len, line);
	s->is_told_slow = memmem(line, len, " state=slow ", 12) != NULL;
}

bool
subscribers_may_end(const char *user, const char *reason)
{
	for (unsigned i = 0; i < cnt; i++) {
		const struct subscriber *s = &all[i];

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
				is_beyond_limit(s));
	}
	return false;
}

static void
draw_habit(struct subscriber *s)
{
	s->is_vanishing = sim_chance(300);
	s->is_fickle = sim_chance(250);
	s->is_curious = sim_chance(400);
	if (sim_chance(250)) {
		s->habit = HABIT_SLOW;
		s->c.read_most = 1 + sim_below(2000);
		s->c.read_ns = sim_between(NS_PER_MS / 10, 20 * NS_PER_MS);
	} else if (sim_chance(300)) {
		s->habit = HABIT_STOP_AND_GO;
		/* Replies, too, find it full. */
		if (!world.is_batched && sim_chance(250))
			s->down_max = 16u << sim_below(6);
	}
}

void
subscribers_open(unsigned how_many)
{
	char user[16];

	for (cnt = 0; cnt < how_many && cnt < SUBSCRIBERS_MAX; cnt++) {
		struct subscriber *s = &all[cnt];

		(void)snprintf(user, sizeof(user), "sub%u", cnt);
		client_init(&s->c, user);
		s->c.ready = ready;
		s->c.frame = take;
		s->c.over = over;
		s->is_absent = !world_enter(ACTOR_SUBSCRIBER + cnt);
		draw_wish(&s->has, false);
		draw_habit(s);
		draw_policy(s);
		/* The first is well behaved, and wants all. */
		if (cnt == 0) {
			s->has.sel = (struct selection){ TABLES_ALL,
							 SYMBOLS_ALL };
			memcpy(s->has.tables, "`", 2);
			memcpy(s->has.symbols, "`", 2);
			s->habit = HABIT_PROMPT;
			s->policy = POLICY_SPILL;
			s->has_spill_limit = s->is_vanishing = false;
			s->is_fickle = false;
			s->c.read_most = s->down_max = 0;
		}
		if (s->is_absent)
			continue;
		come_later(s);
		change_habit(s, 0);
	}
}

/* A stop that cuts nobody off comes after all was sent. */
static void
check_served(struct subscriber *s)
{
	check(s);
	/* Some policies may have ended it before the stop's end. */
	SIM_CHECK(!s->is_placed || s->is_changing || s->asking > 0 ||
			  s->policy != POLICY_SPILL || s->has_spill_limit ||
			  s->items.len > 0 ||
			  first_wanted(s) == UINT64_MAX,
		  "%s lacks record %" PRIu64 " of day %d after the stop",
		  s->c.user, first_wanted(s), s->day);
}

/* The connections are gone with it.  What it had sent is still read by some,
 * and compared before the order of a new start can differ. */
void
subscribers_daemon_ended(bool has_served)
{
	correction.at_ns = 0;
	for (unsigned i = 0; i < cnt; i++) {
		struct subscriber *s = &all[i];

		if (s->c.socket == NULL)
			continue;
		if (sim_chance(500) || has_served)
			client_read_rest(&s->c);
		if (has_served)
			check_served(s);
		client_leave(&s->c);
		come_later(s);
	}
	subscribers_check();
}

void
subscribers_recovered(int32_t day, uint64_t records)
{
	int32_t running;

	for (unsigned i = 0; i < cnt; i++) {
		struct subscriber *s = &all[i];

		/* What is not compared yet is behind what is left. */
		s->items.len = 0;
		if (judge_find_running(&running) && s->claim.day > running)
			s->claim.is_misdated = true;
		if (!s->claim.is_made || s->claim.is_beyond ||
		    day_of(&s->claim) != day || is_beyond_limit(s) ||
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
		return world.block_limit_ns + SLOW_NS;
	if (s->has_spill_limit)
		return SPILL_LIMIT_NS + SLOW_NS;
	return s->policy == POLICY_DISCONNECT ? SLOW_NS : INT64_MAX;
}

/* Whether it must be past the leave mark: out of the ring, if it leaves for the
 * journal.  Of one that skips it is not known what it has left out already. */
static bool
must_be_slow(const struct subscriber *s)
{
	uint64_t mark = s->policy == POLICY_SPILL ? world.ring_kb * 1024
						  : pressure_leave_bytes();

	return s->c.socket != NULL && !s->c.socket->daemon_ended &&
	       !s->c.socket->is_reset && s->is_placed && !s->is_changing &&
	       !world.is_batched && s->items.len == 0 && !s->is_adrift &&
	       !s->has_skipped &&
	       sees_all(s->items_sel) && certain_lag(s) > mark &&
	       (s->was_level || s->policy == POLICY_SPILL) &&
	       s->policy != POLICY_SKIP;
}

static void
check_policy(struct subscriber *s, bool is_excused)
{
	if (s->c.socket != NULL && s->is_placed && s->items.len == 0 &&
	    first_wanted(s) == UINT64_MAX)
		s->was_level = true;
	if (is_excused || !must_be_slow(s))
		s->slow_ns = 0;
	else if (s->slow_ns == 0)
		s->slow_ns = sim_now_ns();
	SIM_CHECK(s->slow_ns == 0 ||
			  sim_now_ns() - s->slow_ns < slow_limit_ns(s),
		  "%s is slow for long, and has policy %s", s->c.user,
		  policy_names[s->policy]);
}

/* Whoever reads gets what there is. */
void
subscribers_check_progress(bool is_excused)
{
	for (unsigned i = 0; i < cnt; i++) {
		struct subscriber *s = &all[i];
		uint64_t lacks = first_wanted(s);

		if (is_excused || s->c.socket == NULL || !s->is_placed ||
		    s->habit != HABIT_PROMPT || lacks != s->lacks ||
		    lacks == UINT64_MAX)
			s->moved_ns = sim_now_ns();
		s->lacks = lacks;
		check_policy(s, is_excused);
		SIM_CHECK(sim_now_ns() - s->moved_ns < DELIVERY_NS,
			  "%s lacks record %" PRIu64 " of day %d for long",
			  s->c.user, lacks, s->day);
	}
}

void
subscribers_stop(void)
{
	for (unsigned i = 0; i < cnt; i++) {
		struct subscriber *s = &all[i];

		s->habit = HABIT_PROMPT;
		s->is_vanishing = s->is_fickle = s->is_curious = false;
		s->c.is_paused = false;
		s->c.read_most = 0;
		client_go_on(&s->c);
	}
}

bool
subscribers_are_quiet(void)
{
	for (unsigned i = 0; i < cnt; i++) {
		struct subscriber *s = &all[i];

		if (!s->is_absent && !wants_unknown(s) &&
		    (s->c.socket == NULL || !s->is_placed || s->is_changing ||
		     s->asking > 0 ||
		     s->items.len > 0 || first_wanted(s) != UINT64_MAX))
			return false;
	}
	return true;
}
