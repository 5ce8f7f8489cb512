/*
 * The versions of what the operator has written, and what the daemon makes of
 * them.
 */
#include "config.h"

#include "doors.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { USERS_MAX = 40, OTHERS = USERS_MAX, ROLES = 2, MARKS = 8 };

/* How long a user without an account is let stay, until ringtick-login has said
 * so; and how long a reload may take: it waits for one that does not start. */
#define GONE_NS	  (90 * NS_PER_S)
#define RELOAD_NS (100 * NS_PER_S)

/* connections.handshake_timeout */
#define HELLO_NS (5 * NS_PER_S)

struct user_form {
	struct right_form own, sum; /* sum: with those of its roles */
	unsigned roles;
	unsigned password;
	bool has_account;
};

struct version {
	unsigned number;
	bool has_users; /* passwords are needed */
	bool is_broken; /* nothing can be made of it */
	struct right_form roles[ROLES];
	unsigned others_role; /* of those without a row */
	struct user_form users[USERS_MAX];
};

static struct {
	struct client *users[USERS_MAX];
	unsigned users_cnt;
	struct version written[MARKS]; /* by number */
	unsigned number; /* of the last one written; 0: none */
	struct bytes adopted; /* struct version */
	struct reloads reloads;
	bool was_broken; /* one written since the log told of a reload */
	unsigned failed_starts; /* of ringtick-login, then */
	int64_t adopted_ns;
	int64_t asked_ns; /* since when a reload is wanted; 0: it is over */
} doors;

/* ---- drawing ---- */

/* Chance of its own for each user: who is left out of a run changes nothing for
 * the others. */
static uint64_t
lot(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static bool
chance(uint64_t *state, unsigned per_mille)
{
	return lot(state) % 1000 < per_mille;
}

static uint64_t
lots_of(uint64_t base, const char *name)
{
	uint64_t state = base;

	for (; *name != '\0'; name++)
		state = (state ^ (uint8_t)*name) * 0x100000001b3;
	return state;
}

static const char *const built_in[] = { "none", "all", "admin" };

static const struct right_form built_in_forms[] = {
	{ .may = 0 },
	{ TABLES_ALL,
	  TABLES_ALL,
	  { SYMBOLS_ALL, SYMBOLS_ALL, SYMBOLS_ALL },
	  MAY_ASK | MAY_PAST },
	{ TABLES_ALL,
	  TABLES_ALL,
	  { SYMBOLS_ALL, SYMBOLS_ALL, SYMBOLS_ALL },
	  MAY_ALL },
};

enum { ROLE_ADMIN = 2 };

static unsigned
draw_tables(uint64_t *lots, unsigned all_per_mille)
{
	if (chance(lots, all_per_mille))
		return TABLES_ALL;
	return (unsigned)(lot(lots) % (TABLES_ALL + 1));
}

static void
draw_form(struct right_form *f, uint64_t *lots, unsigned publish_per_mille,
	  unsigned subscribe_per_mille)
{
	memset(f, 0, sizeof(*f));
	f->publish = draw_tables(lots, publish_per_mille);
	f->subscribe = draw_tables(lots, subscribe_per_mille);
	for (unsigned i = 0; i < TABLES; i++) {
		f->symbols[i] = SYMBOLS_ALL;
		if (chance(lots, 350))
			f->symbols[i] =
				1 << lot(lots) % SYMBOLS |
				(int)(lot(lots) % (1 << SYMBOLS));
	}
	f->may = (unsigned)(lot(lots) | lot(lots)) & MAY_ALL;
}

/* Rights add up. */
static void
add_form(struct right_form *to, const struct right_form *f)
{
	for (unsigned i = 0; i < TABLES; i++) {
		bool has = (to->subscribe >> i & 1) != 0;

		if ((f->subscribe >> i & 1) == 0)
			continue;
		if (!has)
			to->symbols[i] = f->symbols[i];
		else if (to->symbols[i] == SYMBOLS_ALL ||
			 f->symbols[i] == SYMBOLS_ALL)
			to->symbols[i] = SYMBOLS_ALL;
		else
			to->symbols[i] |= f->symbols[i];
	}
	to->publish |= f->publish;
	to->subscribe |= f->subscribe;
	to->may |= f->may;
}

/* So that two of them can be compared. */
static void
sum_up(const struct version *v, struct user_form *u)
{
	u->sum = u->own;
	for (unsigned i = 0; i < ROLES; i++)
		if ((u->roles >> i & 1) != 0)
			add_form(&u->sum, &v->roles[i]);
	for (unsigned i = 0; i < TABLES; i++)
		if ((u->sum.subscribe >> i & 1) == 0)
			u->sum.symbols[i] = 0;
}

static bool
is_kind(const struct client *c, const char *kind)
{
	return strncmp(c->user, kind, strlen(kind)) == 0;
}

/* The first subscriber sees all, and is never sent away: somebody must see the
 * order. */
static bool
is_trusted(const struct client *c)
{
	return strcmp(c->user, "sub0") == 0;
}

static void
draw_rights(const struct client *c, struct user_form *u, uint64_t *lots)
{
	if (is_kind(c, "feed")) {
		draw_form(&u->own, lots, 600, 0);
		u->own.subscribe = 0;
	} else if (is_kind(c, "sub")) {
		draw_form(&u->own, lots, 0, 500);
	} else {
		draw_form(&u->own, lots, 300, 300);
	}
	u->roles = chance(lots, 300) ? (unsigned)(lot(lots) % (1 << ROLES)) : 0;
	if (is_trusted(c) || !world.doors.has_rights) {
		u->own = built_in_forms[ROLE_ADMIN];
		u->roles = world.doors.has_rights;
	}
}

/* Who must be there for the others is: the daemon would stand still. */
static bool
is_kept(const struct client *c)
{
	return is_trusted(c) || is_kind(c, "feed") || is_kind(c, "bystander");
}

static void
draw_user(const struct client *c, struct user_form *u, uint64_t base,
	  bool is_first)
{
	uint64_t lots = lots_of(base, c->user);

	if (is_first || chance(&lots, 250))
		draw_rights(c, u, &lots);
	if (is_first || is_kept(c))
		u->has_account = true;
	else
		u->has_account = chance(&lots, u->has_account ? 930 : 500);
	/* A stranger may have one, but who he is not has none. */
	if (!is_kept(c) && chance(&lots, 60))
		u->password++;
}

static void
draw_roles(struct version *v, uint64_t base)
{
	for (unsigned i = 0; i < ROLES; i++) {
		uint64_t lots = base + i;

		draw_form(&v->roles[i], &lots, 0, 200);
	}
}

/* Another version: as the last one, but for some of it. */
static struct version *
draw_version(void)
{
	struct version *last = &doors.written[doors.number % MARKS];
	struct version *v = &doors.written[(doors.number + 1) % MARKS];
	uint64_t base = sim_random();
	bool is_first = doors.number == 0;

	*v = *last;
	v->number = ++doors.number;
	v->is_broken = false;
	if (is_first)
		v->has_users = world.doors.has_users;
	else if (world.doors.has_users && sim_chance(100))
		v->has_users = !v->has_users;
	if (is_first || sim_chance(200))
		draw_roles(v, base);
	v->others_role = world.doors.has_rights
				 ? (unsigned)sim_below(ARRAY_LEN(built_in))
				 : ROLE_ADMIN;
	for (unsigned i = 0; i < doors.users_cnt; i++)
		draw_user(doors.users[i], &v->users[i], base, is_first);
	for (unsigned i = 0; i < doors.users_cnt; i++)
		sum_up(v, &v->users[i]);
	return v;
}

void
doors_open(void)
{
	if (!world_enter(ACTOR_DOORS) || !sim_chance(350))
		return;
	world.doors.is_on = true;
	world.doors.has_users = sim_chance(650);
	world.doors.has_rights = sim_chance(800);
	world.doors.has_listeners = sim_chance(600);
	world.doors.has_reloads = sim_chance(750);
	world.doors.has_certificates =
		world.doors.has_listeners && sim_chance(300);
	world.doors.is_spread = sim_chance(500);
}

/* ---- the configuration ---- */

struct text {
	char *at;
	size_t room, len;
};

static void put(struct text *t, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void
put(struct text *t, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	t->len += (size_t)vsnprintf(t->at + t->len, t->room - t->len, format,
				    args);
	va_end(args);
	CHECK(t->len < t->room);
}

static const struct version *
last_written(void)
{
	return &doors.written[doors.number % MARKS];
}

void
doors_put_listen(char *to, size_t room)
{
	struct text t = { to, room, 0 };

	if (!world.doors.has_listeners) {
		put(&t, "listen = { port = %d; unix_socket = false; };\n",
		    DOOR_PLAIN);
		return;
	}
	put(&t,
	    "listen = ( { port = %d; unix_socket = false; },\n"
	    " { port = %d; unix_socket = false; networks = ( \"10.0.0.0/24\","
	    " \"2001:db8::/32\" ); roles = ( \"r0\" ); },\n"
	    " { port = %d; unix_socket = false; proxy = true;"
	    " networks = ( \"10.0.0.0/16\" ); } );\n",
	    DOOR_PLAIN, DOOR_LOCAL, DOOR_PROXY);
}

static void
put_tables(struct text *t, unsigned tables, const int *symbols)
{
	const char *comma = "";

	if (tables == TABLES_ALL && symbols == NULL) {
		put(t, "\"*\"");
		return;
	}
	put(t, "( ");
	for (unsigned i = 0; i < TABLES; i++) {
		if ((tables & ~schema.lacks) >> i == 0)
			break;
		if (((tables & ~schema.lacks) >> i & 1) == 0)
			continue;
		put(t, "%s", comma);
		comma = ", ";
		if (symbols == NULL || symbols[i] == SYMBOLS_ALL) {
			put(t, "\"%s\"", table_names[i]);
			continue;
		}
		put(t, "{ table = \"%s\"; symbols = ( ", table_names[i]);
		for (unsigned s = 0, n = 0; s < SYMBOLS; s++)
			if ((symbols[i] >> s & 1) != 0)
				put(t, "%s\"%s\"", n++ > 0 ? ", " : "",
				    symbol_names[s]);
		put(t, " ); }");
	}
	put(t, " )");
}

static bool
has_filter(const struct right_form *f)
{
	for (unsigned i = 0; i < TABLES; i++)
		if (f->symbols[i] != SYMBOLS_ALL)
			return true;
	return false;
}

static void
put_form(struct text *t, const struct right_form *f)
{
	put(t, " publish = ");
	put_tables(t, f->publish, NULL);
	put(t, "; subscribe = ");
	put_tables(t, f->subscribe, has_filter(f) ? f->symbols : NULL);
	put(t, "; ask = %s; past = %s; administer = %s;",
	    (f->may & MAY_ASK) != 0 ? "true" : "false",
	    (f->may & MAY_PAST) != 0 ? "true" : "false",
	    (f->may & MAY_ADMINISTER) != 0 ? "true" : "false");
}

static void
put_user(struct text *t, const struct client *c, const struct user_form *u)
{
	const char *policy = subscribers_policy_of(c->user);

	put(t, "{ user = \"%s\";%s", c->user, policy);
	if (world.doors.has_rights)
		put_form(t, &u->own);
	if (u->roles != 0)
		put(t, " roles = ( %s%s%s );",
		    (u->roles & 1) != 0 ? "\"r0\"" : "",
		    u->roles == 3 ? ", " : "",
		    (u->roles & 2) != 0 ? "\"r1\"" : "");
	put(t, " },\n");
}

/* The number of rows tells which version it is: the log has that. */
static unsigned
marks_of(const struct version *v)
{
	return 1 + v->number % MARKS;
}

void
doors_put_auth(char *to, size_t room)
{
	const struct version *v = last_written();
	struct text t = { to, room, 0 };

	if (!world.doors.is_on) {
		char rows[2048];

		subscribers_put_policies(rows, sizeof(rows));
		put(&t, "auth = { rights = ( %s ); };\n", rows);
		return;
	}
	put(&t, "auth = {%s%s role = \"%s\";\nroles = ( ",
	    v->has_users ? " users = \"users\";" : "",
	    world.doors.has_certificates ? " certificate = true;" : "",
	    built_in[v->others_role]);
	for (unsigned i = 0; i < ROLES; i++) {
		put(&t, "%s{ role = \"r%u\";", i > 0 ? ",\n" : "", i);
		put_form(&t, &v->roles[i]);
		put(&t, " }");
	}
	put(&t, " );\nrights = (\n");
	for (unsigned i = 0; i < doors.users_cnt; i++)
		put_user(&t, doors.users[i], &v->users[i]);
	for (unsigned i = 0; i < marks_of(v); i++)
		put(&t, "%s{ user = \"mark%u\"; ask = false; }",
		    i > 0 ? ", " : "", i);
	put(&t, " ); };\n");
}

static void
put_users(const struct version *v)
{
	char text[2048];
	struct text t = { text, sizeof(text), 0 };

	put(&t, "operator:no\n");
	for (unsigned i = 0; i < doors.users_cnt; i++)
		if (v->users[i].has_account)
			put(&t, "%s:%s%u\n", doors.users[i]->user,
			    doors.users[i]->user, v->users[i].password);
	fs_replace("/etc/users", text);
}

/* ---- what the operator does ---- */

/* Everybody is let in again. */
static void
forgive(struct version *v)
{
	v->has_users = world.doors.has_users;
	for (unsigned i = 0; i < doors.users_cnt; i++)
		v->users[i].has_account = true;
}

unsigned
doors_write(bool is_broken)
{
	struct version *v = draw_version();

	v->is_broken = is_broken;
	doors.was_broken = doors.was_broken || is_broken;
	if (world.is_ending)
		forgive(v);
	put_users(v);
	return v->number;
}

void
doors_draw(void)
{
	unsigned stream = sim_use_stream(ACTOR_DOORS);

	if (world.doors.is_on) {
		(void)sim_act();
		(void)doors_write(false);
	}
	(void)sim_use_stream(stream);
}

unsigned
doors_add_user(struct client *c)
{
	CHECK(doors.users_cnt < USERS_MAX);
	doors.users[doors.users_cnt] = c;
	return doors.users_cnt++;
}

/* ---- what the daemon has adopted ---- */

unsigned
doors_now(void)
{
	return (unsigned)(doors.adopted.len / sizeof(struct version));
}

static const struct version *
adopted(unsigned number)
{
	return (const struct version *)(const void *)doors.adopted.at +
	       number - 1;
}

struct reloads
doors_reloads(void)
{
	doors.reloads.written = doors.number;
	return doors.reloads;
}

void
doors_ask_reload(void)
{
	if (doors.asked_ns == 0)
		doors.asked_ns = sim_now_ns();
}

static const struct user_form *
user_of(const struct version *v, const struct client *c)
{
	return c->as.user_no == OTHERS ? NULL : &v->users[c->as.user_no];
}

static const struct right_form *
rights_of(const struct version *v, const struct client *c)
{
	const struct user_form *u = user_of(v, c);

	return u == NULL ? &built_in_forms[v->others_role] : &u->sum;
}

/* What the last adoption means for those who are there. */
static void
change_rights(void)
{
	const struct version *v = adopted(doors_now());

	doors.adopted_ns = sim_now_ns();
	for (unsigned i = 0; i < doors.users_cnt; i++) {
		struct client *c = doors.users[i];
		const struct user_form *u = user_of(v, c);

		c->is_gone = v->has_users && u != NULL && !u->has_account &&
			     !ways_has_certificate(c);
	}
	subscribers_rights_changed();
	feeds_rights_changed();
}

static void
adopt(const struct version *v)
{
	SIM_CHECK(!v->is_broken, "version %u is broken, and is adopted",
		  v->number);
	sim_trace("version %u is adopted", v->number);
	doors.reloads.adopted = v->number;
	bytes_add(&doors.adopted, v, sizeof(*v));
}

void
doors_ready(void)
{
	if (!world.doors.is_on)
		return;
	doors.asked_ns = 0;
	doors.was_broken = false;
	adopt(last_written());
	change_rights();
}

/* The version of which the log tells the number of users. */
static const struct version *
find_version(unsigned users)
{
	unsigned mark = users - doors.users_cnt - 1;

	SIM_CHECK(users > doors.users_cnt && mark < MARKS,
		  "a version with %u users is adopted", users);
	return &doors.written[mark];
}

static void
told_of_reload(const char *line, size_t len)
{
	bool is_suspect = doors.was_broken || world.disk_faults > 0 ||
			  login_failed_starts() != doors.failed_starts;
	char users[16];

	doors.was_broken = last_written()->is_broken;
	doors.failed_starts = login_failed_starts();
	if (memmem(line, len, " result=ok ", 11) == NULL) {
		doors.reloads.failed++;
		SIM_CHECK(is_suspect, "a good version is not adopted");
		doors.asked_ns = 0;
		return;
	}
	doors.reloads.succeeded++;
	SIM_CHECK(world_find_field(line, len, " users=", users, sizeof(users)),
		  "how many users?");
	adopt(find_version((unsigned)strtoul(users, NULL, 10)));
	change_rights();
	if (doors.reloads.adopted == doors.number)
		doors.asked_ns = 0;
}

void
doors_told(const char *line, size_t len)
{
	if (world.doors.is_on && memmem(line, len, "event=reload ", 13) != NULL)
		told_of_reload(line, len);
}

/* ---- rights ---- */

const struct right_form *
doors_rights(const struct client *c)
{
	return world.doors.is_on ? rights_of(adopted(doors_now()), c)
				 : &built_in_forms[ROLE_ADMIN];
}

bool
doors_are_same(const struct client *c, unsigned since)
{
	const struct right_form *now = doors_rights(c);

	for (unsigned i = since; world.doors.is_on && i < doors_now(); i++)
		if (memcmp(rights_of(adopted(i), c), now, sizeof(*now)) != 0)
			return false;
	return true;
}

static enum sure
sure_of(unsigned cnt, unsigned of)
{
	return cnt == of ? SURE_YES : cnt == 0 ? SURE_NOT : UNSURE;
}

enum sure
doors_may(const struct client *c, unsigned since, unsigned may)
{
	unsigned cnt = 0;

	if (!world.doors.is_on)
		return SURE_YES;
	for (unsigned i = since; i <= doors_now(); i++)
		cnt += (rights_of(adopted(i), c)->may & may) == may;
	return sure_of(cnt, doors_now() + 1 - since);
}

enum sure
doors_may_publish(const struct client *c, unsigned since, unsigned table)
{
	unsigned cnt = 0;

	if (!world.doors.is_on)
		return SURE_YES;
	for (unsigned i = since; i <= doors_now(); i++)
		cnt += rights_of(adopted(i), c)->publish >> table & 1;
	return sure_of(cnt, doors_now() + 1 - since);
}

struct selection
doors_allow(const struct client *c, struct selection s)
{
	const struct right_form *f = doors_rights(c);

	s.tables &= f->subscribe;
	for (unsigned i = 0; i < TABLES; i++)
		if ((s.tables >> i & 1) != 0)
			s.symbols[i] &= f->symbols[i];
	return s;
}

/* A restricted table must have the symbols that it had. */
bool
doors_cover(const struct client *c, struct selection s)
{
	const struct right_form *now = doors_rights(c);
	const struct right_form *before = rights_of(adopted(doors_now() - 1),
						    c);

	s.tables &= ~schema.lacks;
	for (unsigned i = 0; i < TABLES; i++) {
		if ((s.tables >> i & 1) == 0)
			continue;
		if ((now->subscribe >> i & 1) == 0 ||
		    (now->symbols[i] != SYMBOLS_ALL &&
		     now->symbols[i] != before->symbols[i]))
			return false;
	}
	return true;
}

/* The names of tables, as `tables[]` answers. */
void
doors_put_tables(const struct client *c, struct bytes *b)
{
	const struct right_form *f = doors_rights(c);

	put_names_reply(b, (f->publish | f->subscribe) & ~schema.lacks);
}

/* ---- who comes in, and who is sent away ---- */

unsigned
doors_find_user(const char *name)
{
	for (unsigned i = 0; i < doors.users_cnt; i++)
		if (strcmp(doors.users[i]->user, name) == 0)
			return i;
	return OTHERS;
}

/* Whether some version since a client has connected lets it in there. */
static enum sure
has_role(const struct client *c)
{
	unsigned cnt = 0;

	for (unsigned i = c->since; i <= doors_now(); i++) {
		const struct user_form *u = user_of(adopted(i), c);

		cnt += u != NULL && (u->roles & 1) != 0;
	}
	return sure_of(cnt, doors_now() + 1 - c->since);
}

bool
doors_has_role(const struct client *c)
{
	const struct version *v =
		doors_now() > 0 ? adopted(doors_now()) : last_written();
	const struct user_form *u = user_of(v, c);

	return u != NULL && (u->roles & 1) != 0;
}

/* Whether a password was needed all the time since it has connected. */
static bool
needs_password(const struct client *c)
{
	for (unsigned i = c->since; i <= doors_now(); i++)
		if (!adopted(i)->has_users)
			return false;
	return !ways_has_certificate(c);
}

unsigned
doors_password(unsigned user)
{
	return last_written()->users[user].password;
}

void
doors_was_let_in(struct client *c)
{
	if (!world.doors.is_on)
		return;
	SIM_CHECK(ways_is_good(c), "%s is let in, from a strange way", c->user);
	SIM_CHECK(c->as.port != DOOR_LOCAL || has_role(c) != SURE_NOT,
		  "%s is let in where it has no role", c->user);
	SIM_CHECK(c->verdict == SAYS_YES || !needs_password(c),
		  "%s is let in, and nobody has asked for its password",
		  c->user);
}

static struct client *
find_client(const char *line, size_t len)
{
	char peer[64];
	const char *colon;

	if (!world_find_field(line, len, " peer=", peer, sizeof(peer)))
		return NULL;
	colon = strrchr(peer, ':');
	for (unsigned i = 0; colon != NULL && i < doors.users_cnt; i++)
		if (doors.users[i]->port == strtoul(colon + 1, NULL, 10))
			return doors.users[i];
	return NULL;
}

static bool
may_end(const struct client *c, const char *reason)
{
	if (strcmp(reason, "login") == 0)
		return c->verdict == SAYS_NO;
	if (strcmp(reason, "login_barred") == 0)
		return ways_has_failed(c);
	if (strcmp(reason, "login_unknown") == 0)
		return c->verdict == SAYS_UNKNOWN ||
		       sim_now_ns() - c->connect_ns >= HELLO_NS;
	if (strcmp(reason, "user_gone") == 0)
		return c->is_denied;
	if (strcmp(reason, "role") == 0)
		return c->as.port == DOOR_LOCAL && has_role(c) != SURE_YES;
	if (strcmp(reason, "rights") == 0)
		return subscribers_may_lose(c->user);
	return !ways_is_good(c);
}

bool
doors_check_end(const char *line, size_t len, const char *user,
		const char *reason)
{
	static const char *const reasons[] = {
		"login", "login_barred", "login_unknown", "user_gone",
		"role",	 "rights",	 "network",	  "certificate",
		"bad_proxy"
	};
	const struct client *c = find_client(line, len);
	bool is_known = false;

	for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
		is_known = is_known || strcmp(reason, reasons[i]) == 0;
	SIM_CHECK(!is_known || (world.doors.is_on &&
				(c == NULL || may_end(c, reason))),
		  "%s is ended with reason %s", c == NULL ? user : c->user,
		  reason);
	return is_known;
}

void
doors_check(void)
{
	if (!world.doors.is_on || !process_is_running())
		return;
	login_check();
	for (unsigned i = 0; i < doors.users_cnt; i++) {
		const struct client *c = doors.users[i];

		SIM_CHECK(!c->is_gone || !c->has_hello ||
				  c->socket->daemon_ended ||
				  c->socket->is_reset || world.is_stopping ||
				  sim_now_ns() - doors.adopted_ns < GONE_NS,
			  "%s is still there, and has no account", c->user);
	}
	SIM_CHECK(doors.asked_ns == 0 || world.is_stopping ||
			  world_has_disk_trouble() ||
			  sim_now_ns() - doors.asked_ns < RELOAD_NS,
		  "the configuration is not read");
}

bool
doors_are_quiet(void)
{
	return doors.asked_ns == 0;
}

/* ---- what ringtick-login is asked ---- */

void
world_login_asked(unsigned port, const char *user, const char *password)
{
	for (unsigned i = 0; port != 0 && i < doors.users_cnt; i++) {
		const struct client *c = doors.users[i];

		SIM_CHECK(c->port != port ||
				  (strcmp(c->as.user, user) == 0 &&
				   strcmp(c->as.password, password) == 0),
			  "%s said that it is %s with \"%s\", and "
			  "ringtick-login is asked about %s with \"%s\"",
			  c->user, c->as.user, c->as.password, user, password);
	}
}

void
world_login_answered(unsigned port, const char *user, enum login_says what)
{
	for (unsigned i = 0; i < doors.users_cnt; i++) {
		struct client *c = doors.users[i];

		if (port == 0 && strcmp(c->as.user, user) == 0 &&
		    what == SAYS_NO)
			c->is_denied = true;
		if (port == 0 || c->port != port)
			continue;
		c->verdict = what;
		ways_note(c);
	}
}
