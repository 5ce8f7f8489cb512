/*
 * What the daemon makes of the versions that the operator has written: who
 * comes in, who may do what, and who is sent away.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "versions.h"

/* How long a user without an account is let stay, until ringtick-login has said
 * so; how long there may be none, of which the last may not have become ready;
 * and how long a reload may take: it waits for one that does not. */
#define GONE_NS	  (20 * NS_PER_S)
#define AWAY_NS	  (40 * NS_PER_S)
#define RELOAD_NS (100 * NS_PER_S)

/* connections.handshake_timeout */
#define HELLO_NS (5 * NS_PER_S)

static struct {
	struct bytes adopted; /* struct version */
	struct reloads reloads;
	unsigned failed_starts; /* of ringtick-login, then */
	int64_t adopted_ns;
	int64_t asked_ns; /* since when a reload is wanted; 0: it is over */
} doors;

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
	doors.reloads.written = versions.number;
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

	return u == NULL ? &versions_built_in[v->others_role] : &u->sum;
}

static bool
has_heard(const struct client *c, enum login_says what)
{
	return (c->verdicts >> what & 1) != 0;
}

/* What the last adoption means for those who are there. */
static void
change_rights(void)
{
	const struct version *v = adopted(doors_now());

	doors.adopted_ns = sim_now_ns();
	for (unsigned i = 0; i < versions.users_cnt; i++) {
		struct client *c = versions.users[i];
		const struct user_form *u = user_of(v, c);

		c->is_gone = v->has_users && !ways_has_certificate(c) &&
			     ((c->was_let_in && !has_heard(c, SAYS_YES)) ||
			      (u != NULL && !u->has_account));
	}
	subscribers_rights_changed();
	feeds_rights_changed();
}

static void
adopt(const struct version *v)
{
	/* When the listeners are closed, strangers stay out. */
	SIM_CHECK(!v->is_broken || (v->is_refused && world.is_stopping),
		  "version %u is broken, and is adopted", v->number);
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
	versions.was_broken = false;
	adopt(versions_last());
	change_rights();
}

/* The version of which the log tells the number of users. */
static const struct version *
find_version(unsigned users)
{
	unsigned mark = users - versions.users_cnt - 1;

	SIM_CHECK(users > versions.users_cnt && mark < MARKS,
		  "a version with %u users is adopted", users);
	return &versions.written[mark];
}

static void
told_of_reload(const char *line, size_t len)
{
	bool is_suspect = versions.was_broken || world.disk_faults > 0 ||
			  login_failed_starts() != doors.failed_starts;
	char users[16];

	versions.was_broken = versions_last()->is_broken;
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
	if (doors.reloads.adopted == versions.number)
		doors.asked_ns = 0;
}

void
doors_told(const char *line, size_t len)
{
	if (!world.doors.is_on)
		return;
	if (memmem(line, len, "event=reload ", 13) != NULL)
		told_of_reload(line, len);
	limits_told(line, len);
}

/* ---- rights ---- */

const struct right_form *
doors_rights(const struct client *c)
{
	return world.doors.is_on ? rights_of(adopted(doors_now()), c)
				 : &versions_built_in[ROLE_ADMIN];
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

/* ---- limits ---- */

unsigned
doors_most_of_address(unsigned since)
{
	unsigned most = 0;

	for (unsigned i = since > 0 ? since : 1; i <= doors_now(); i++) {
		if (adopted(i)->per_address == 0)
			return 0;
		most = (unsigned)max_u64(most, adopted(i)->per_address);
	}
	return most;
}

unsigned
doors_most_of_user(const struct client *c, unsigned since)
{
	unsigned most = 0;

	for (unsigned i = since > 0 ? since : 1; i <= doors_now(); i++) {
		const struct user_form *u = user_of(adopted(i), c);

		if (u == NULL || u->connections == 0)
			return 0;
		most = (unsigned)max_u64(most, u->connections);
	}
	return most;
}

unsigned
doors_requests_of(const struct client *c)
{
	return c->as.user_no == OTHERS || !world.doors.has_limits
		       ? 0
		       : versions.limits[c->as.user_no].requests;
}

unsigned
doors_symbols_of(const struct client *c)
{
	return c->as.user_no == OTHERS || !world.doors.has_limits
		       ? 0
		       : versions.limits[c->as.user_no].symbols;
}

/* ---- who comes in, and who is sent away ---- */

unsigned
doors_find_user(const char *name)
{
	for (unsigned i = 0; i < versions.users_cnt; i++)
		if (strcmp(versions.users[i]->user, name) == 0)
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
		doors_now() > 0 ? adopted(doors_now()) : versions_last();
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
	return versions_last()->users[user].password;
}

void
doors_was_let_in(struct client *c)
{
	if (!world.doors.is_on)
		return;
	limits_let_in(c);
	SIM_CHECK(ways_is_good(c), "%s is let in, from a strange way", c->user);
	SIM_CHECK(c->as.port != DOOR_LOCAL || has_role(c) != SURE_NOT,
		  "%s is let in where it has no role", c->user);
	SIM_CHECK(has_heard(c, SAYS_YES) || !needs_password(c),
		  "%s is let in, and nobody has asked for its password",
		  c->user);
}

static struct client *
find_port(unsigned port)
{
	for (unsigned i = 0; port != 0 && i < versions.users_cnt; i++)
		if (versions.users[i]->port == port)
			return versions.users[i];
	return NULL;
}

static struct client *
find_client(const char *line, size_t len)
{
	char peer[64];
	const char *colon;

	if (!world_find_field(line, len, " peer=", peer, sizeof(peer)))
		return NULL;
	colon = strrchr(peer, ':');
	if (colon == NULL)
		return NULL;
	return find_port((unsigned)strtoul(colon + 1, NULL, 10));
}

void
doors_check_tls(unsigned port, const char *tls, const char *certificate)
{
	const struct client *c = find_port(port);

	SIM_CHECK(world.doors.is_on ||
			  (tls[0] == '\0' && certificate[0] == '\0'),
		  "a consumer has TLS %s and the certificate %s", tls,
		  certificate);
	if (c != NULL)
		ways_check_tls(c, tls, certificate);
}

static bool
may_end(const struct client *c, const char *reason)
{
	if (strcmp(reason, "login") == 0)
		return has_heard(c, SAYS_NO);
	if (strcmp(reason, "login_barred") == 0)
		return ways_has_failed(c);
	if (strcmp(reason, "login_unknown") == 0)
		return has_heard(c, SAYS_UNKNOWN) ||
		       sim_now_ns() - c->connect_ns >= HELLO_NS;
	if (strcmp(reason, "user_gone") == 0)
		return c->is_denied;
	if (strcmp(reason, "not_shown") == 0)
		/* A "yes" may have come too late to be what let it in. */
		return (!has_heard(c, SAYS_YES) || !needs_password(c)) &&
		       !ways_has_certificate(c);
	if (strcmp(reason, "role") == 0)
		return c->as.port == DOOR_LOCAL && has_role(c) != SURE_YES;
	if (strcmp(reason, "rights") == 0)
		return subscribers_may_lose(c->user);
	if (strcmp(reason, "over_address") == 0)
		return limits_refuse_address(c);
	if (strcmp(reason, "over_user") == 0)
		return limits_refuse_user(c);
	return !ways_is_good(c);
}

bool
doors_check_end(const char *line, size_t len, const char *user,
		const char *reason)
{
	static const char *const reasons[] = {
		"login", "login_barred", "login_unknown", "user_gone",
		"role",	 "rights",	 "network",	  "certificate",
		"bad_proxy", "over_address", "over_user", "not_shown"
	};
	struct client *c = find_client(line, len);
	bool is_known = false;

	for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
		is_known = is_known || strcmp(reason, reasons[i]) == 0;
	SIM_CHECK(!is_known || (world.doors.is_on &&
				(c == NULL || may_end(c, reason))),
		  "%s is ended with reason %s", c == NULL ? user : c->user,
		  reason);
	if (c != NULL && strcmp(reason, "not_shown") == 0)
		c->is_denied = true;
	return is_known;
}

void
doors_check(void)
{
	int64_t well_ns;

	if (!world.doors.is_on || !process_is_running() || doors_now() == 0)
		return;
	login_check();
	well_ns = max_i64(max_i64(login_moved_ns(), doors.adopted_ns),
			  world.paused_until_ns);
	if (world_has_disk_trouble() || world.is_stopping)
		well_ns = sim_now_ns();
	SIM_CHECK(!adopted(doors_now())->has_users || login_is_ready() ||
			  sim_now_ns() - well_ns < AWAY_NS,
		  "ringtick-login is not started again");
	for (unsigned i = 0; i < versions.users_cnt; i++) {
		const struct client *c = versions.users[i];

		SIM_CHECK(!c->is_gone || !c->has_hello ||
				  c->socket->daemon_ended ||
				  c->socket->is_reset || !login_is_ready() ||
				  sim_now_ns() - well_ns < GONE_NS,
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
	for (unsigned i = 0; port != 0 && i < versions.users_cnt; i++) {
		const struct client *c = versions.users[i];

		SIM_CHECK(c->port != port ||
				  (strcmp(c->as.user, user) == 0 &&
				   strcmp(c->as.password, password) == 0),
			  "%s said that it is %s with \"%s\", and "
			  "ringtick-login is asked about %s with \"%s\"",
			  c->user, c->as.user, c->as.password, user, password);
	}
}

void
world_login_answered(uint32_t host, unsigned port, const char *user,
		     enum login_says what)
{
	if (port != 0 && what == SAYS_NO)
		ways_note_failure(user, host);
	for (unsigned i = 0; i < versions.users_cnt; i++) {
		struct client *c = versions.users[i];

		/* The file may have changed since a version was adopted, if
		 * ringtick-login had to be started again. */
		if (port == 0 && strcmp(c->as.user, user) == 0) {
			c->is_denied = c->is_denied || what == SAYS_NO;
			c->is_gone = c->is_gone && what == SAYS_NO;
		}
		if (port != 0 && c->port == port)
			c->verdicts |= 1u << what;
	}
}
