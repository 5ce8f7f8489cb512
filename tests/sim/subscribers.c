/*
 * Subscribers of all kinds, and what they do.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "subscriber.h"

/* The longest time in which a subscriber that reads gets nothing of what there
 * is. */
#define DELIVERY_NS (10 * NS_PER_S)

struct subscriber subscribers[SUBSCRIBERS_MAX];
unsigned subscribers_cnt;

/* ---- requests ---- */

static bool
is_list(const struct wish *w)
{
	return strchr(w->tables + 1, '`') != NULL;
}

bool
subscriber_asks_as_mgkdb(const struct subscriber *s)
{
	return s->asked == ASK_SUB && !s->is_changing && is_list(&s->has);
}

/* What it may have now of what it wants: what it has had, it cannot claim then.
 */
static void
find_rights(struct subscriber *s)
{
	struct selection sel = doors_allow(&s->c, s->has.asked);

	s->is_refused = subscriber_lacks_right(s, &s->has);
	if (!world.doors.is_on || s->has.is_patched ||
	    memcmp(&sel, &s->has.sel, sizeof(sel)) == 0)
		return;
	s->has.sel = sel;
	s->claim.is_made = false;
}

static void
ask(struct subscriber *s, const struct wish *w, const char *call,
    const char *where)
{
	char text[300];

	(void)snprintf(text, sizeof(text),
		       "(%s %s[%s;%s%s];%s%s)",
		       subscriber_asks_as_mgkdb(s) ? "first" : "count", call,
		       w->tables, w->symbols, where,
		       world.has_journal ? ".u.i;.u.d;.ringtick.epoch"
					 : "0;.u.d;0",
		       s->policy == POLICY_SKIP ? ";.ringtick.tellskips[]"
						: "");
	s->asked_ns = sim_now_ns();
	s->asked_since = doors_now();
	sim_trace("%s asks %s", s->c.user, text);
	put_request(&s->c.out, text, true);
	account_asked(subscriber_id(s));
	limits_asked(&s->c);
	s->is_over = limits_symbols(&s->c,
				    s->is_changing ? s->has.sel
						   : (struct selection){ 0 },
				    s->is_changing ? s->next.sel : s->has.sel);
}

static bool
lacks_past(const struct subscriber *s)
{
	return doors_may(&s->c, doors_now(), MAY_PAST) != SURE_YES;
}

void
subscriber_ask_from(struct subscriber *s, uint64_t from)
{
	char where[32];

	(void)snprintf(where, sizeof(where), ";%" PRIu64, from);
	s->asked = ASK_FROM;
	s->from = from;
	find_rights(s);
	s->is_refused = s->is_refused || lacks_past(s);
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
	s->is_refused = s->is_refused || lacks_past(s);
	ask(s, &s->has, ".ringtick.rejoin", where);
}

static void draw_wish(struct wish *w, bool is_of_all_tables);

/* Whether it may ask for the past; some try without. */
static bool
tries_past(struct subscriber *s)
{
	return !lacks_past(s) || sim_chance(50);
}

/* Who may not ask for the past, and wants a list of tables, cannot say so. */
static void
wish_anew(struct subscriber *s)
{
	if (s->has.is_patched) {
		draw_wish(&s->has, false);
		s->claim.is_made = false;
	}
	if (world.doors.is_on && is_list(&s->has) && !world.is_mgkdb &&
	    lacks_past(s)) {
		draw_wish(&s->has, true);
		s->claim.is_made = false;
	}
	find_rights(s);
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
	wish_anew(s);
	/* Some begin the day anew. */
	if (s->is_vanishing && sim_chance(300))
		s->claim.is_made = false;
	if (!world.has_journal) {
		s->asked = ASK_SUB;
		ask(s, &s->has, ".u.sub", "");
		client_flush(c);
		return;
	}
	account_open(subscriber_id(s), c->socket->port,
		     !order_has_filter(s->has.sel) && !world.is_batched);
	account_took(subscriber_id(s), c->taken_bytes, 0, SEEN_MORE);
	if (world.doors.is_on && !tries_past(s)) {
		s->asked = ASK_SUB;
		ask(s, &s->has, ".u.sub", "");
	} else if (s->claim.is_made && !s->claim.is_blurred &&
		   !world.is_batched && s->policy != POLICY_SKIP &&
		   !sim_chance(100))
		ask_rejoin(s);
	else if (sim_chance(500) || (is_list(&s->has) && !world.is_mgkdb))
		subscriber_ask_from(s, 0);
	else {
		s->asked = ASK_SUB;
		ask(s, &s->has, ".u.sub", "");
	}
	client_flush(c);
}

/* ---- rights ---- */

bool
subscriber_lacks_right(const struct subscriber *s, const struct wish *w)
{
	unsigned may = doors_rights(&s->c)->subscribe & ~schema.lacks;

	if (strcmp(w->tables, "`") == 0)
		return may == 0;
	return (w->asked.tables & ~schema.lacks & ~may) != 0;
}

/* Who has not had its answer, or changes its selection, may have been served
 * with the rights before, or with those now. */
void
subscribers_rights_changed(void)
{
	for (unsigned i = 0; doors_now() > 1 && i < subscribers_cnt; i++) {
		struct subscriber *s = &subscribers[i];

		if (s->c.socket == NULL || !s->c.has_hello)
			continue;
		if (!s->is_placed || s->is_changing)
			s->may_go = s->may_go ||
				    !doors_are_same(&s->c, s->asked_since);
		else if (!doors_cover(&s->c, s->has.sel))
			s->must_go = true;
	}
}

bool
subscribers_may_lose(const char *user)
{
	for (unsigned i = 0; i < subscribers_cnt; i++)
		if (strcmp(subscribers[i].c.user, user) == 0)
			return subscribers[i].must_go || subscribers[i].may_go;
	return memcmp(user, "feed", 4) != 0;
}

/* Who has lost what it had subscribed to is sent away in the same turn. */
static void
check_rights(const struct subscriber *s)
{
	const struct socket *socket = s->c.socket;

	SIM_CHECK(!s->must_go || socket == NULL || socket->daemon_ended ||
			  socket->is_reset || world.is_stopping ||
			  !process_is_running() || world.disk_faults > 0,
		  "%s has lost the right to its subscription, and stays",
		  s->c.user);
}

/* ---- habits ---- */

static int
draw_symbols(struct wish *w)
{
	int symbols = 0;
	size_t len = 0;

	(void)snprintf(w->symbols, sizeof(w->symbols), "`");
	if (sim_chance(600))
		return SYMBOLS_ALL;
	/* Not the last one, the null symbol: as a filter it means all. */
	for (unsigned i = 0; i < SYMBOLS - 1; i++)
		if (sim_chance(250) || (i == 0 && sim_chance(500))) {
			symbols |= 1 << i;
			len += (size_t)snprintf(w->symbols + len,
						sizeof(w->symbols) - len,
						"`%s", symbol_names[i]);
		}
	return symbols == 0 ? SYMBOLS_ALL : symbols;
}

static void
draw_wish(struct wish *w, bool is_of_all_tables)
{
	static const char *const kinds[] = { "`", "`trade", "`quote", "`note",
					     "`quote`trade" };
	static const unsigned tables[] = {
		TABLES_ALL, 1 << TABLE_TRADE, 1 << TABLE_QUOTE, 1 << TABLE_NOTE,
		1 << TABLE_QUOTE | 1 << TABLE_TRADE
	};
	/* The last one is only for .ringtick.subfrom, and for mgkdb. */
	size_t kind = is_of_all_tables || sim_chance(500)
			      ? 0
			      : sim_below(ARRAY_LEN(kinds) -
					  !world.has_journal);
	int symbols = draw_symbols(w);

	(void)snprintf(w->tables, sizeof(w->tables), "%s", kinds[kind]);
	w->is_patched = false;
	w->asked.tables = tables[kind];
	for (unsigned i = 0; i < TABLES; i++)
		w->asked.symbols[i] = symbols;
	w->sel = w->asked;
}

static void come_back(void *who, uint64_t what);

void
subscriber_come_later(struct subscriber *s)
{
	s->is_placed = s->is_changing = false;
	s->must_go = s->may_go = false;
	sim_at(sim_now_ns() + sim_between(NS_PER_MS, 3 * NS_PER_S), come_back,
	       s, 0);
}

static void
come_back(void *who, uint64_t what)
{
	struct subscriber *s = who;

	(void)what;
	if (s->c.socket == NULL && !client_connect(&s->c))
		subscriber_come_later(s);
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
			  s->must_go || s->may_go || c->is_denied ||
			  !process_is_running() || may_be_refused ||
			  world.disk_faults > 0 || client_was_turned_away(c) ||
			  s->policy == POLICY_DISCONNECT ||
			  s->policy == POLICY_BLOCK || s->has_spill_limit ||
			  (s->policy == POLICY_SPILL && !world.has_journal),
		  "%s is cut off", c->user);
	if (may_be_refused && c->start == world.starts && process_is_running())
		s->claim.is_made = false;
	/* A small socket may not take a day's records within the spill limit:
	 * at the end of the run it does not try again. */
	s->is_absent |= world.is_ending && s->has_spill_limit;
	if (!s->is_absent)
		subscriber_come_later(s);
}

/* What .u.add makes of the symbols of a table: like `union` in q, so who had
 * all, which is written as the null symbol, gets that one and the new ones. */
static int
add_symbols(int had, int more, int allowed)
{
	static const int null = 1 << (SYMBOLS - 1);

	return (had == SYMBOLS_ALL ? null : had) |
	       ((more == SYMBOLS_ALL ? null : more) & allowed);
}

/* One table more or less, or other symbols of it.  Returns the request. */
static const char *
draw_patch(const struct right_form *rights, struct wish *w,
	   struct wish *request)
{
	unsigned t = (unsigned)sim_below(TABLES), bit = 1u << t;
	unsigned others = w->sel.tables & ~schema.lacks & ~bit;
	int symbols = draw_symbols(request);
	const char *call = ".u.add";

	/* Without any table it would be told of no end of a day. */
	if ((w->sel.tables & bit) != 0 && others != 0 && sim_chance(400)) {
		call = ".u.del";
		w->sel.tables &= ~bit;
		memcpy(request->symbols, ".z.w", 5);
	} else if ((w->sel.tables & bit) != 0) {
		w->sel.symbols[t] = add_symbols(w->sel.symbols[t], symbols,
						rights->symbols[t]);
	} else {
		w->sel.tables |= bit;
		w->sel.symbols[t] = symbols & rights->symbols[t];
	}
	request->asked.tables = bit;
	(void)snprintf(request->tables, sizeof(request->tables), "`%s",
		       table_names[t]);
	w->is_patched = true;
	return (schema.lacks & bit) != 0 ? NULL : call;
}

/* The symbols are drawn again, of all tables, or something of one. */
static void
change_selection(struct subscriber *s)
{
	const char *call = NULL;
	struct wish request;

	s->next = request = s->has;
	if (sim_chance(500))
		call = draw_patch(doors_rights(&s->c), &s->next, &request);
	if (call == NULL) {
		draw_wish(&s->next, true);
		s->next.sel = doors_allow(&s->c, s->next.asked);
		request = s->next;
		call = ".u.sub";
	}
	s->is_refused = subscriber_lacks_right(s, &request) &&
			strcmp(call, ".u.del") != 0;
	if (order_has_filter(s->next.sel))
		account_filters(subscriber_id(s));
	s->is_changing = true;
	ask(s, &request, call, "");
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
		account_asked(subscriber_id(s));
		limits_asked(&s->c);
	}
	client_flush(&s->c);
}

void
subscriber_ask_again(struct subscriber *s)
{
	if (!s->is_placed || s->is_changing || s->asking > 0 ||
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
	/* Now and then several changes come soon after each other. */
	sim_at(world_after(sim_between(1, 20 * NS_PER_S >>
					      2 * sim_below(8))),
	       change_habit, s, 0);
	if (!is_kept)
		return;
	if (s->is_vanishing && s->c.socket != NULL && sim_chance(300)) {
		client_leave(&s->c);
		subscriber_come_later(s);
	}
	subscriber_ask_again(s);
	if (s->habit == HABIT_STOP_AND_GO) {
		s->c.is_paused = !s->c.is_paused;
		client_go_on(&s->c);
	}
}

/* ---- for the world ---- */

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
		if (sim_chance(250))
			s->down_max = 16u << sim_below(6);
	}
}

void
subscribers_open(unsigned how_many)
{
	char user[16];

	how_many = (unsigned)min_u64(how_many, SUBSCRIBERS_MAX);
	for (subscribers_cnt = 0; subscribers_cnt < how_many;) {
		unsigned id = subscribers_cnt++;
		struct subscriber *s = &subscribers[id];

		(void)snprintf(user, sizeof(user), "sub%u", id);
		client_init(&s->c, user);
		s->c.ready = ready;
		s->c.frame = subscriber_take;
		s->c.over = over;
		s->is_absent = !world_enter(ACTOR_SUBSCRIBER + id);
		draw_wish(&s->has, false);
		draw_habit(s);
		policy_draw(s);
		/* The first is well behaved, and wants all. */
		if (id == 0) {
			s->has.sel = (struct selection){
				TABLES_ALL,
				{ SYMBOLS_ALL, SYMBOLS_ALL, SYMBOLS_ALL }
			};
			s->has.asked = s->has.sel;
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
		subscriber_come_later(s);
		change_habit(s, 0);
	}
}

/* A stop that cuts nobody off comes after all was sent. */
static void
check_served(struct subscriber *s)
{
	order_check(s);
	/* Some policies may have ended it before the stop's end. */
	SIM_CHECK(!s->is_placed || s->is_changing || s->asking > 0 ||
			  s->must_go || s->may_go || s->c.is_denied ||
			  s->policy != POLICY_SPILL || s->has_spill_limit ||
			  s->items.len > 0 ||
			  order_lacks(s) == UINT64_MAX,
		  "%s lacks record %" PRIu64 " of day %d after the stop",
		  s->c.user, order_lacks(s), s->day);
}

/* The connections are gone with it.  What it had sent is still read by some,
 * and compared before the order of a new start can differ. */
void
subscribers_daemon_ended(bool has_served)
{
	answers_daemon_ended();
	for (unsigned i = 0; i < subscribers_cnt; i++) {
		struct subscriber *s = &subscribers[i];

		if (s->c.socket == NULL)
			continue;
		if (sim_chance(500) || has_served)
			client_read_rest(&s->c);
		if (has_served)
			check_served(s);
		client_leave(&s->c);
		subscriber_come_later(s);
	}
	subscribers_check();
}

/* Whoever reads gets what there is. */
void
subscribers_check_progress(bool is_excused)
{
	for (unsigned i = 0; i < subscribers_cnt; i++) {
		struct subscriber *s = &subscribers[i];
		uint64_t lacks = order_lacks(s);

		check_rights(s);

		if (is_excused || s->c.socket == NULL || !s->is_placed ||
		    s->habit != HABIT_PROMPT || s->c.is_stalled ||
		    lacks != s->lacks || lacks == UINT64_MAX)
			s->moved_ns = sim_now_ns();
		s->lacks = lacks;
		policy_check(s, is_excused);
		SIM_CHECK(sim_now_ns() - s->moved_ns < DELIVERY_NS,
			  "%s lacks record %" PRIu64 " of day %d for long",
			  s->c.user, lacks, s->day);
	}
}

/* Not the first: somebody must see the order. */
void
subscribers_stall(void)
{
	for (unsigned i = 1; i < subscribers_cnt; i++)
		subscribers[i].c.is_stalled = sim_chance(600);
}

void
subscribers_go_on(void)
{
	for (unsigned i = 0; i < subscribers_cnt; i++) {
		subscribers[i].c.is_stalled = false;
		client_go_on(&subscribers[i].c);
	}
}

void
subscribers_stop(void)
{
	for (unsigned i = 0; i < subscribers_cnt; i++) {
		struct subscriber *s = &subscribers[i];

		s->habit = HABIT_PROMPT;
		s->is_vanishing = s->is_fickle = s->is_curious = false;
		s->c.is_paused = s->c.is_stalled = false;
		s->c.read_most = 0;
		client_go_on(&s->c);
	}
}

bool
subscribers_find_unread(unsigned port, uint64_t *bytes)
{
	for (unsigned i = 0; i < subscribers_cnt; i++) {
		const struct socket *s = subscribers[i].c.socket;

		if (s == NULL || s->port != port)
			continue;
		*bytes = s->down.len;
		return true;
	}
	return false;
}

bool
subscribers_are_quiet(void)
{
	for (unsigned i = 0; i < subscribers_cnt; i++) {
		struct subscriber *s = &subscribers[i];

		if (!s->is_absent && !subscriber_wants_unknown(s) &&
		    !subscriber_lacks_right(s, &s->has) &&
		    (s->c.socket == NULL || !s->is_placed || s->is_changing ||
		     s->asking > 0 ||
		     s->items.len > 0 || order_lacks(s) != UINT64_MAX))
			return false;
	}
	return true;
}
