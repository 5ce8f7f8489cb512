/*
 * Those who should not come in, or not there: with a wrong password or none, as
 * somebody else, from another network, with a header of a terminator that is
 * none.  Who comes in nevertheless must have had a right to, and asks what
 * there is.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "doors.h"

enum { STRANGERS = 3, FAR_HOST = HOST + (9 << 16), NEAR_HOST = HOST + 200 };

static struct stranger {
	struct client c;
	int64_t asked_ns; /* 0: nothing */
	unsigned asked_since;
} all[STRANGERS];

static struct stranger *
stranger_of(struct client *c)
{
	return container_of(c, struct stranger, c);
}

/* ---- ways ---- */

/* Its own name, or another's. */
static void
draw_name(struct way *w)
{
	static const char *const names[] = { "sub1", "feed0", "operator",
					     "nobody", "asker0" };
	const char *name = names[sim_below(ARRAY_LEN(names))];

	/* One of them, as often as it may be. */
	if (world.doors.has_limits && sim_chance(500)) {
		(void)snprintf(w->user, sizeof(w->user), "stranger0");
		w->user_no = doors_find_user(w->user);
		(void)snprintf(w->password, sizeof(w->password), "%.15s%u",
			       w->user, doors_password(w->user_no));
		return;
	}
	if (sim_chance(400))
		return;
	(void)snprintf(w->user, sizeof(w->user), "%s", name);
	w->user_no = doors_find_user(name);
	w->password[0] = '\0';
	if (sim_chance(700))
		(void)snprintf(w->password, sizeof(w->password), "%s", "x");
}

static void
draw_proxy(struct way *w)
{
	w->port = DOOR_PROXY;
	w->proxy = (unsigned)sim_below(4);
	if (sim_chance(500))
		return;
	(void)snprintf(w->certified, sizeof(w->certified), "%s",
		       sim_chance(500) ? "sub1" : w->user);
	w->is_verified = false;
}

static void
draw_way(struct client *c)
{
	struct way *w = &c->as;

	*w = (struct way){ .port = DOOR_PLAIN,
			   .host = sim_chance(500) ? FAR_HOST : NEAR_HOST,
			   .user_no = c->user_no };
	memcpy(w->user, c->user, sizeof(w->user));
	if (sim_chance(300))
		(void)snprintf(w->password, sizeof(w->password), "%.15s%u",
			       c->user, doors_password(c->user_no));
	else if (sim_chance(600))
		(void)snprintf(w->password, sizeof(w->password), "wrong");
	draw_name(w);
	if (world.doors.has_listeners && sim_chance(200))
		w->port = DOOR_LOCAL;
	else if (world.doors.has_listeners && sim_chance(400))
		draw_proxy(w);
}

/* ---- what they do ---- */

static void
ready(struct client *c)
{
	struct stranger *s = stranger_of(c);

	s->asked_ns = sim_now_ns();
	s->asked_since = doors_now();
	put_request(&c->out, "tables[]", true);
	limits_asked(c);
	client_flush(c);
}

static void
take(struct client *c, const struct seen *seen, const uint8_t *at)
{
	struct stranger *s = stranger_of(c);
	struct bytes wanted = { 0 };

	SIM_CHECK(s->asked_ns != 0 && (seen->kind == SEEN_REPLY ||
				       strcmp(seen->error, "requests") == 0),
		  "%s gets what it did not ask for", c->user);
	s->asked_ns = 0;
	limits_answered(c, seen);
	if (seen->kind == SEEN_ERROR)
		return;
	if (c->start < world.starts || !doors_are_same(c, s->asked_since))
		return;
	doors_put_tables(c, &wanted);
	SIM_CHECK(wanted.len == seen->len &&
			  memcmp(wanted.at, at, seen->len) == 0,
		  "%s is told of other tables than it may see", c->user);
	bytes_free(&wanted);
}

static void
over(struct client *c)
{
	stranger_of(c)->asked_ns = 0;
}

static void
tick(void *who, uint64_t what)
{
	struct stranger *s = who;
	struct client *c = &s->c;
	bool is_kept = sim_act();

	(void)what;
	if (world.is_ending) {
		client_leave(c);
		return;
	}
	sim_at(world_after(sim_between(1, 20 * NS_PER_S >>
					      2 * sim_below(7))),
	       tick, s, 0);
	if (!is_kept)
		return;
	if (c->has_hello && s->asked_ns == 0 && sim_chance(500))
		ready(c);
	else if (c->socket != NULL && sim_chance(500))
		client_leave(c);
	if (c->socket != NULL)
		return;
	draw_way(c);
	(void)client_connect(c);
}

void
strangers_open(void)
{
	char user[16];

	if (!world.doors.is_on)
		return;
	for (unsigned i = 0; i < STRANGERS; i++) {
		struct stranger *s = &all[i];

		(void)snprintf(user, sizeof(user), "stranger%u", i);
		client_init(&s->c, user);
		s->c.is_stranger = true;
		s->c.ready = ready;
		s->c.frame = take;
		s->c.over = over;
		if (world_enter(ACTOR_STRANGER + i))
			sim_at(sim_now_ns() + sim_between(0, 10 * NS_PER_S),
			       tick, s, 0);
	}
}
