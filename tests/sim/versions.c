/*
 * The versions of the configuration of doors, as the operator draws and writes
 * them.
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "versions.h"

struct versions versions;

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

const struct right_form versions_built_in[] = {
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
		u->own = versions_built_in[ROLE_ADMIN];
		u->roles = world.doors.has_rights;
	}
}

/* Who must be there for the others is: the daemon would stand still. */
static bool
is_kept(const struct client *c)
{
	return is_trusted(c) || is_kind(c, "feed") || is_kind(c, "bystander");
}

/* Who is refused a connection or a request tries again. */
static void
draw_limits(const struct client *c, struct user_form *u, uint64_t base,
	    bool is_first)
{
	uint64_t lots = lots_of(~base, c->user);
	struct user_limits *own = &versions.limits[c->user_no];

	if (is_first || chance(&lots, 250))
		u->buffers = (unsigned)(lot(&lots) % 3);
	if (is_kept(c) || is_kind(c, "flood") || is_kind(c, "bad"))
		return;
	if (is_first || chance(&lots, 250))
		u->connections = chance(&lots, 500)
					 ? 1 + (unsigned)(lot(&lots) % 2)
					 : 0;
	if (!is_first)
		return;
	if (chance(&lots, 500))
		own->requests = 1 + (unsigned)(lot(&lots) % 8);
	if (chance(&lots, 500))
		own->symbols = 1 + (unsigned)(lot(&lots) % 12);
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
	struct version *last = &versions.written[versions.number % MARKS];
	struct version *v = &versions.written[(versions.number + 1) % MARKS];
	uint64_t base = sim_random();
	bool is_first = versions.number == 0;

	*v = *last;
	v->number = ++versions.number;
	v->is_broken = v->is_refused = false;
	if (is_first)
		v->has_users = world.doors.has_users;
	else if (world.doors.has_users && sim_chance(100))
		v->has_users = !v->has_users;
	if (is_first || sim_chance(200))
		draw_roles(v, base);
	v->others_role = world.doors.has_rights
				 ? (unsigned)sim_below(ARRAY_LEN(built_in))
				 : ROLE_ADMIN;
	for (unsigned i = 0; i < versions.users_cnt; i++)
		draw_user(versions.users[i], &v->users[i], base, is_first);
	for (unsigned i = 0; world.doors.has_limits && i < versions.users_cnt;
	     i++)
		draw_limits(versions.users[i], &v->users[i], base, is_first);
	if (world.doors.has_limits && world.doors.is_spread &&
	    (is_first || sim_chance(300)))
		v->per_address = (unsigned)sim_below(4);
	for (unsigned i = 0; i < versions.users_cnt; i++)
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
	world.doors.has_limits = sim_chance(500);
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

const struct version *
versions_last(void)
{
	return &versions.written[versions.number % MARKS];
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
put_limit(struct text *t, const char *name, unsigned limit)
{
	if (limit > 0)
		put(t, " %s = %u;", name, limit);
}

static void
put_user(struct text *t, const struct client *c, const struct user_form *u)
{
	const char *policy = subscribers_policy_of(c->user);

	put(t, "{ user = \"%s\";%s", c->user, policy);
	if (world.doors.has_rights)
		put_form(t, &u->own);
	put_limit(t, "connections", u->connections);
	put_limit(t, "buffers", u->buffers);
	if (!versions_last()->is_free) {
		put_limit(t, "requests", versions.limits[c->user_no].requests);
		put_limit(t, "symbols", versions.limits[c->user_no].symbols);
	}
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
	const struct version *v = versions_last();
	struct text t = { to, room, 0 };

	if (!world.doors.is_on) {
		char rows[2048];

		subscribers_put_policies(rows, sizeof(rows));
		put(&t, "auth = { rights = ( %s ); };\n", rows);
		return;
	}
	put(&t, "auth = {%s%s%s role = \"%s\";\nroles = ( ",
	    v->has_users ? " users = \"users\";" : "",
	    v->is_open ? " open = true;" : "",
	    world.doors.has_certificates ? " certificate = true;" : "",
	    built_in[v->others_role]);
	for (unsigned i = 0; i < ROLES; i++) {
		put(&t, "%s{ role = \"r%u\";", i > 0 ? ",\n" : "", i);
		put_form(&t, &v->roles[i]);
		put(&t, " }");
	}
	put(&t, " );\nrights = (\n");
	for (unsigned i = 0; i < versions.users_cnt; i++)
		put_user(&t, versions.users[i], &v->users[i]);
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
	for (unsigned i = 0; i < versions.users_cnt; i++)
		if (v->users[i].has_account)
			put(&t, "%s:%s%u\n", versions.users[i]->user,
			    versions.users[i]->user, v->users[i].password);
	fs_replace("/etc/users", text);
}

/* ---- what the operator does ---- */

/* Whether a terminator's clients could come in without a password. */
static bool
lets_strangers_in(const struct version *v)
{
	return world.doors.has_listeners && !world.doors.has_certificates &&
	       !v->has_users;
}

/* Everybody is let in again. */
static void
forgive(struct version *v)
{
	v->has_users = world.doors.has_users;
	v->is_free = true;
	v->per_address = 0;
	for (unsigned i = 0; i < versions.users_cnt; i++) {
		v->users[i].has_account = true;
		v->users[i].connections = v->users[i].buffers = 0;
	}
}

unsigned
doors_write(bool is_broken)
{
	struct version *v = draw_version();

	v->is_broken = is_broken;
	versions.was_broken = versions.was_broken || is_broken;
	if (world.is_ending)
		forgive(v);
	if (!is_broken && lets_strangers_in(v) && !versions.is_open)
		v->has_users = true;
	/* The running value is kept. */
	v->is_open = versions.is_open != sim_chance(100);
	v->is_refused = lets_strangers_in(v) && !versions.is_open;
	put_users(v);
	return v->number;
}

bool
doors_refuse_last(void)
{
	return versions_last()->is_refused;
}

unsigned
doors_per_address(void)
{
	return versions_last()->per_address;
}

void
doors_draw(void)
{
	unsigned stream = sim_use_stream(ACTOR_DOORS);

	if (world.doors.is_on) {
		struct version *v;

		(void)sim_act();
		v = draw_version();
		if (world.is_ending)
			forgive(v);
		v->is_open = lets_strangers_in(v) || sim_chance(300);
		versions.is_open = v->is_open;
		put_users(v);
	}
	(void)sim_use_stream(stream);
}

unsigned
doors_add_user(struct client *c)
{
	CHECK(versions.users_cnt < USERS_MAX);
	versions.users[versions.users_cnt] = c;
	return versions.users_cnt++;
}
