#include "config.h"

#include "daemon/login.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/deadline.h"

enum {
	LOGIN_SHARE = 16,	 /* of one address at a time */
	LOGIN_FAILURES_FREE = 3, /* of a user and an address */
	LOGIN_PENALTY_MAX = 32,	 /* seconds */
	LOGIN_DEBT_MAX = 32,	 /* failures of an address at once */
	LOGIN_DEBT_SECONDS = 2,	 /* for one more */
	/* Held connections that are looked at for one who may be asked. */
	LOOK_MAX = 32,
	LATER_MAX = 64, /* open ones that are asked about again, a second */
};

/* For so long a failure counts. */
#define FAILURE_NS (300 * NS_PER_S)

void
login_init(struct login *l)
{
	*l = (struct login){ 0 };
	for (unsigned i = 0; i < LOGIN_CHANNELS; i++)
		l->fds[i] = -1;
	list_init(&l->waiting);
	list_init(&l->held);
	list_init(&l->later);
}

/* ---- failures ---- */

static struct login_failure *
failure_of(struct login *l, uint64_t client, uint64_t address)
{
	for (unsigned i = 0; i < ARRAY_LEN(l->failures); i++) {
		struct login_failure *f = &l->failures[i];

		if (f->cnt > 0 && f->client == client && f->address == address)
			return f;
	}
	return NULL;
}

/* The row of a failure, or the one whose last failure is the oldest. */
static struct login_failure *
take_failure(struct login *l, uint64_t client, uint64_t address)
{
	struct login_failure *f = failure_of(l, client, address);

	if (f != NULL)
		return f;
	f = &l->failures[0];
	for (unsigned i = 1; i < ARRAY_LEN(l->failures); i++)
		if (l->failures[i].at_ns < f->at_ns)
			f = &l->failures[i];
	*f = (struct login_failure){ .client = client, .address = address };
	return f;
}

static uint64_t
client_of(const struct connection *c)
{
	return peers_client(c->consumer.address, c->name);
}

static int64_t
penalty_ns(const struct login_failure *f)
{
	unsigned beyond = f->cnt - LOGIN_FAILURES_FREE;

	if (f->cnt < LOGIN_FAILURES_FREE)
		return 0;
	return beyond < 5 ? NS_PER_S << beyond : LOGIN_PENALTY_MAX * NS_PER_S;
}

static struct login_debt *
debt_of(struct login *l, uint64_t address)
{
	for (unsigned i = 0; i < ARRAY_LEN(l->debts); i++)
		if (l->debts[i].address == address)
			return &l->debts[i];
	return NULL;
}

/* 0 or less: there is none. */
static int64_t
debt_ns(const struct server *s, uint64_t address)
{
	const struct login_debt *d =
		debt_of((struct login *)&s->login, address);

	return d == NULL ? 0 : d->until_ns - s->now_ns;
}

/* A row that is paid, or the one that soonest will be, is another address's. */
static void
add_debt(struct server *s, uint64_t address)
{
	struct login *l = &s->login;
	struct login_debt *d = debt_of(l, address);

	if (d == NULL) {
		d = &l->debts[0];
		for (unsigned i = 1; i < ARRAY_LEN(l->debts); i++)
			if (l->debts[i].until_ns < d->until_ns)
				d = &l->debts[i];
		*d = (struct login_debt){ .address = address };
	}
	d->until_ns = max_i64(d->until_ns, s->now_ns) +
		      LOGIN_DEBT_SECONDS * NS_PER_S;
}

static void
note_failure(struct server *s, const struct connection *c)
{
	struct login_failure *f =
		take_failure(&s->login, client_of(c), c->consumer.address);

	if (s->now_ns - f->at_ns > FAILURE_NS)
		f->cnt = 0;
	f->cnt++;
	f->at_ns = s->now_ns;
	add_debt(s, c->consumer.address);
	s->counters.login_failures++;
}

static void
forget_failures(struct server *s, const struct connection *c)
{
	struct login_failure *f =
		failure_of(&s->login, client_of(c), c->consumer.address);

	if (f != NULL)
		*f = (struct login_failure){ 0 };
}

bool
login_is_barred(const struct server *s, const struct connection *c)
{
	const struct login_failure *f = failure_of(
		(struct login *)&s->login, client_of(c), c->consumer.address);

	return (f != NULL && s->now_ns - f->at_ns < penalty_ns(f)) ||
	       debt_ns(s, c->consumer.address) >=
		       LOGIN_DEBT_MAX * LOGIN_DEBT_SECONDS * NS_PER_S;
}

/* How many of an address may be asked at a time. */
static unsigned
share_of(const struct server *s, uint64_t address)
{
	return debt_ns(s, address) > 0 ? 1 : LOGIN_SHARE;
}

/* ---- asking ---- */

static int
fd_of(const struct login *l)
{
	return l->fds[l->channel];
}

static void
arm_answer(struct server *s)
{
	struct login *l = &s->login;

	engine_read(s->engine, fd_of(l), &l->answers[l->channel],
		    sizeof(l->answers[0]), 0,
		    (struct ticket){ .slot = (uint16_t)l->channel,
				     .kind = ENGINE_LOGIN });
	l->is_reading[l->channel] = true;
}

static struct login_asked *
free_asked(struct login *l)
{
	for (unsigned i = 0; i < ARRAY_LEN(l->asked); i++)
		if (l->asked[i].c == NULL)
			return &l->asked[i];
	return NULL;
}

/* The password stays in the connection's buffer: it may have to be asked once
 * more. */
static void
write_request(const struct connection *c, struct login_request *out,
	      uint64_t id)
{
	if (c->state == CONNECTION_OPEN) {
		login_write_account(out, id, c->name);
		return;
	}
	login_write_check(out, id, c->name, (const char *)c->password,
			  c->password_len, c->peer);
}

static bool
send_request(struct server *s, struct login_asked *a, struct connection *c)
{
	struct login *l = &s->login;
	struct login_request request;
	ssize_t n;

	write_request(c, &request, l->next_id);
	n = send(fd_of(l), &request, sizeof(request),
		 MSG_DONTWAIT | MSG_NOSIGNAL);
	explicit_bzero(&request, sizeof(request));
	if (n != (ssize_t)sizeof(request))
		return false;
	*a = (struct login_asked){ .c = c, .id = l->next_id++ };
	return true;
}

static unsigned
asked_of(const struct login *l, uint64_t address)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < ARRAY_LEN(l->asked); i++)
		cnt += l->asked[i].c != NULL &&
		       l->asked[i].c->consumer.address == address;
	return cnt;
}

static bool
may_be_asked(const struct server *s, const struct connection *c)
{
	uint64_t address = c->consumer.address;

	return c->state == CONNECTION_OPEN ||
	       (asked_of(&s->login, address) < share_of(s, address) &&
		!login_is_barred(s, c));
}

static struct connection *
first_of(const struct list *l)
{
	return list_is_empty(l) ? NULL
				: container_of(l->next, struct connection,
					       login_node);
}

static void
hold(struct login *l, struct connection *c)
{
	list_remove(&c->login_node);
	list_append(&l->held, &c->login_node);
}

static struct connection *
next_newcomer(struct server *s)
{
	struct connection *c;

	while ((c = first_of(&s->login.waiting)) != NULL) {
		if (may_be_asked(s, c))
			return c;
		hold(&s->login, c);
	}
	return NULL;
}

static struct connection *
next_held(struct server *s)
{
	for (unsigned looks = 0; looks < LOOK_MAX; looks++) {
		struct connection *c = first_of(&s->login.held);

		if (c == NULL || may_be_asked(s, c))
			return c;
		hold(&s->login, c);
	}
	return NULL;
}

/* Whoever may not be asked is in nobody's way: each newcomer is looked at once,
 * and those who are held some at a time.  They take turns, so that neither many
 * newcomers nor the accounts of many clients after a reload keep the others
 * waiting. */
static struct connection *
next_waiting(struct server *s)
{
	struct connection *c;

	s->login.was_held = !s->login.was_held;
	c = s->login.was_held ? next_held(s) : next_newcomer(s);
	if (c != NULL)
		return c;
	return s->login.was_held ? next_newcomer(s) : next_held(s);
}

static bool
is_asked(const struct login *l, const struct connection *c)
{
	for (unsigned i = 0; i < ARRAY_LEN(l->asked); i++)
		if (l->asked[i].c == c)
			return true;
	return false;
}

void
login_run(struct server *s)
{
	struct login *l = &s->login;

	while (fd_of(l) >= 0) {
		struct login_asked *a = free_asked(l);
		struct connection *c = a == NULL ? NULL : next_waiting(s);

		if (c == NULL || !send_request(s, a, c))
			return;
		list_remove(&c->login_node);
		list_remove(&c->hello_node);
	}
}

void
login_run_each_second(struct server *s)
{
	struct login *l = &s->login;
	struct connection *c;

	for (unsigned i = 0; i < LATER_MAX; i++) {
		c = first_of(&l->later);
		if (c == NULL)
			break;
		hold(l, c);
	}
	login_run(s);
}

void
login_ask(struct server *s, struct connection *c)
{
	/* All who are asked are asked of the program in use: one answer is
	 * enough. */
	if (is_asked(&s->login, c))
		return;
	list_remove(&c->login_node);
	list_append(c->state == CONNECTION_OPEN ? &s->login.held
						: &s->login.waiting,
		    &c->login_node);
	login_run(s);
}

void
login_forget(struct server *s, struct connection *c)
{
	list_remove(&c->login_node);
	for (unsigned i = 0; i < ARRAY_LEN(s->login.asked); i++)
		if (s->login.asked[i].c == c)
			s->login.asked[i].c = NULL;
}

/* ---- answers ---- */

static struct connection *
take_asked(struct login *l, uint64_t id)
{
	for (unsigned i = 0; i < ARRAY_LEN(l->asked); i++) {
		struct connection *c = l->asked[i].c;

		if (c == NULL || l->asked[i].id != id)
			continue;
		l->asked[i].c = NULL;
		return c;
	}
	return NULL;
}

/* Those who were asked wait again: nobody will answer for them. */
static void
ask_again(struct login *l)
{
	for (unsigned i = 0; i < ARRAY_LEN(l->asked); i++) {
		struct connection *c = l->asked[i].c;

		if (c != NULL)
			list_append(&l->waiting, &c->login_node);
		l->asked[i].c = NULL;
	}
}

static void
close_channel(struct login *l, unsigned channel)
{
	if (l->fds[channel] >= 0)
		(void)close(l->fds[channel]);
	l->fds[channel] = -1;
}

static enum login_verdict
take_answer(struct server *s, const struct login_answer *answer,
	    struct connection **out)
{
	*out = take_asked(&s->login, answer->id);
	if (*out == NULL)
		return VERDICT_NONE;
	if (answer->kind != LOGIN_YES && answer->kind != LOGIN_NO) {
		if ((*out)->state == CONNECTION_OPEN)
			list_append(&s->login.later, &(*out)->login_node);
		return VERDICT_UNKNOWN;
	}
	if ((*out)->state == CONNECTION_OPEN)
		return answer->kind == LOGIN_YES ? VERDICT_YES : VERDICT_NO;
	if (answer->kind == LOGIN_YES)
		forget_failures(s, *out);
	else
		note_failure(s, *out);
	return answer->kind == LOGIN_YES ? VERDICT_YES : VERDICT_NO;
}

enum login_verdict
login_completed(struct server *s, struct ticket ticket, int32_t result,
		struct connection **out)
{
	struct login *l = &s->login;
	unsigned channel = ticket.slot;
	struct login_answer answer = l->answers[channel];

	*out = NULL;
	l->is_reading[channel] = false;
	if (channel != l->channel) {
		close_channel(l, channel);
		return VERDICT_NONE;
	}
	if (engine_is_again(result) && !s->is_stopping) {
		arm_answer(s);
		return VERDICT_NONE;
	}
	if (result <= 0 || !login_answer_is_good(&answer, (size_t)result)) {
		close_channel(l, channel);
		ask_again(l);
		return VERDICT_GONE;
	}
	arm_answer(s);
	return take_answer(s, &answer, out);
}

void
login_use(struct server *s, int fd)
{
	struct login *l = &s->login;
	unsigned old = l->channel;

	if (l->is_stopped) {
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	l->channel = (old + 1) % LOGIN_CHANNELS;
	CHECK(l->fds[l->channel] < 0);
	ask_again(l);
	/* Its read ends with that, and closes it. */
	if (l->fds[old] >= 0)
		(void)shutdown(l->fds[old], SHUT_RDWR);
	l->fds[l->channel] = fd;
	l->is_on = fd >= 0;
	if (l->fds[old] >= 0 && !l->is_reading[old])
		close_channel(l, old);
	if (fd >= 0)
		arm_answer(s);
	login_run(s);
}

void
login_reap(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

void
login_stop(struct server *s)
{
	s->login.is_stopped = true;
	for (unsigned i = 0; i < LOGIN_CHANNELS; i++)
		if (s->login.fds[i] >= 0)
			(void)shutdown(s->login.fds[i], SHUT_RDWR);
}

bool
login_is_reading(const struct login *l)
{
	for (unsigned i = 0; i < LOGIN_CHANNELS; i++)
		if (l->is_reading[i])
			return true;
	return false;
}

void
login_close(struct server *s)
{
	for (unsigned i = 0; i < LOGIN_CHANNELS; i++)
		close_channel(&s->login, i);
}
