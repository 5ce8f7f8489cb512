#include "config.h"

#include "daemon/hello.h"

#include <string.h>
#include <unistd.h>

#include "daemon/login.h"
#include "daemon/report.h"
#include "wire/proxy.h"

static const struct listener *
listener_of(const struct server *s, const struct connection *c)
{
	return &s->listeners.all[c->listener_idx];
}

bool
hello_lets_in(struct server *s, struct connection *c,
	      enum close_reason *reason)
{
	uint64_t key = shares_of_address(&s->shares, &c->from);

	*reason = CLOSE_network;
	if (!listener_lets_in(listener_of(s, c), &c->from))
		return false;
	c->address_share =
		shares_join(&s->shares, key,
			    (unsigned)s->settings->connections.per_address);
	if (c->address_share != NULL)
		return true;
	*reason = CLOSE_over_address;
	s->counters.over_address++;
	return false;
}

/* ---- the header of a TLS terminator ---- */

/* From here on the client counts, not the terminator. */
static void
know_client(const struct server *s, struct connection *c,
	    const struct proxy_header *header)
{
	c->awaits_proxy = false;
	c->parsed += header->consumed;
	if (header->is_local)
		return;
	c->from.at.any = header->from;
	(void)peer_text(&c->from, c->peer, sizeof(c->peer));
	c->consumer.address = shares_of_address(&s->shares, &c->from);
	c->has_tls = header->is_tls;
	(void)log_value(c->tls, sizeof(c->tls),
			header->tls[0] == '\0' ? "yes" : header->tls,
			header->tls[0] == '\0' ? 3 : strlen(header->tls));
	if (header->is_verified)
		memcpy(c->certified, header->name, sizeof(c->certified));
}

static enum wire_result
serve_proxy(struct server *s, struct connection *c, enum close_reason *reason,
	    const char **why)
{
	struct proxy_header header;
	enum wire_result result = proxy_read(
		c->buffer + c->parsed, c->filled - c->parsed, &header, why);

	*reason = CLOSE_bad_proxy;
	if (result == WIRE_MORE && c->filled - c->parsed == c->capacity) {
		*why = "the PROXY header is longer than the receive buffer "
		       "(connections.receive_buffer, message.max)";
		return WIRE_BAD;
	}
	if (result != WIRE_OK)
		return result;
	know_client(s, c, &header);
	*why = NULL;
	return hello_lets_in(s, c, reason) ? WIRE_OK : WIRE_BAD;
}

/* ---- who is let in ---- */

/* Whether the user may come to this listener. */
static bool
has_role(const struct server *s, const struct connection *c,
	 const struct rights *rights)
{
	const struct listen_settings *set = listener_of(s, c)->settings;
	uint64_t common = 0;

	for (size_t i = 0; i < ARRAY_LEN(set->roles); i++)
		common |= set->roles[i] & rights->roles[i];
	return !set->has_roles || common != 0;
}

/*
 * The rights of a connection.  An abstract unix socket has no permissions, so
 * that whoever is on the machine can connect: only root and the daemon's own
 * user administer there.
 */
static unsigned
may_of(const struct server *s, const struct connection *c)
{
	if (listener_of(s, c)->kind == LISTENER_ABSTRACT && c->from.uid != 0 &&
	    c->from.uid != geteuid())
		return c->rights->may & ~(unsigned)RIGHT_ADMINISTER;
	return c->rights->may;
}

void
hello_give_rights(struct server *s, struct connection *c,
		  const struct rights *rights)
{
	c->rights = rights;
	c->may = may_of(s, c);
	c->consumer.policy = lag_policy_of(s->settings, rights);
	c->spill_limit_ns = lag_spill_limit_of(s->settings, rights);
}

/* What clients of the listener have to show now. */
static enum proof
wanted_of(const struct server *s, const struct connection *c)
{
	if (s->settings->auth.certificate && listener_of(s, c)->settings->proxy)
		return SHOWN_CERTIFICATE;
	return login_is_on(&s->login) ? SHOWN_PASSWORD : SHOWN_NOTHING;
}

bool
hello_wants_password(const struct server *s, const struct connection *c)
{
	return wanted_of(s, c) == SHOWN_PASSWORD;
}

bool
hello_has_shown_enough(const struct server *s, const struct connection *c)
{
	enum proof wanted = wanted_of(s, c);

	return wanted == SHOWN_NOTHING || wanted == c->shown;
}

/* The reply is one byte, queued like any other reply, but without a header. */
static void
open_connection(struct server *s, struct connection *c,
		const struct rights *rights)
{
	c->state = CONNECTION_OPEN;
	connection_wipe_password(c);
	clients_let_in(&s->clients, c);
	c->deadline_ns = 0;
	hello_give_rights(s, c, rights);
	c->is_publisher =
		publishers_know(&s->publishers, c->name, c->consumer.address);
	c->consumer.reply[0] = c->capability;
	consumer_queue(&c->consumer, 1, NULL, (struct reply_gate){ 0 });
	delivery_wake(&s->delivery, c);
	report_connect(s, c);
}

/* The user is who the certificate says, whatever the handshake says. */
static bool
take_certified(struct connection *c)
{
	memcpy(c->name, c->certified, sizeof(c->name));
	(void)log_value(c->user, sizeof(c->user), c->name, strlen(c->name));
	return c->name[0] != '\0';
}

enum hello_result
hello_let_in(struct server *s, struct connection *c, enum close_reason *reason)
{
	const struct rights *rights;
	uint64_t key;

	c->shown = wanted_of(s, c);
	*reason = CLOSE_certificate;
	if (c->shown == SHOWN_CERTIFICATE && !take_certified(c))
		return HELLO_REFUSED;
	rights = settings_rights_of(s->settings, c->name);
	key = shares_of_user(&s->shares, c->name);
	*reason = CLOSE_role;
	if (!has_role(s, c, rights))
		return HELLO_REFUSED;
	*reason = CLOSE_kept;
	/* Those that have not said who they are make place for others
	 * (deadline.h). */
	if (!publishers_may_stay(&s->publishers, c->name, c->consumer.address,
				 rights_may_feed(rights),
				 s->clients.limit - s->clients.in_cnt - 1,
				 s->clients.limit, s->now_ns)) {
		s->counters.turned_away++;
		return HELLO_KEPT;
	}
	*reason = CLOSE_over_user;
	c->user_share = shares_join(&s->shares, key,
				    rights->limits[LIMIT_CONNECTIONS]);
	if (c->user_share == NULL) {
		s->counters.over_user++;
		return HELLO_REFUSED;
	}
	open_connection(s, c, rights);
	return HELLO_OPEN;
}

static enum hello_result
result_of(enum wire_result result)
{
	return result == WIRE_MORE ? HELLO_MORE : HELLO_REFUSED;
}


/* Who has come, now that it is said: the name is checked, or needs no check. */
static enum hello_result
check(struct server *s, struct connection *c, enum close_reason *reason)
{
	if (!hello_wants_password(s, c))
		return hello_let_in(s, c, reason);
	*reason = CLOSE_login_barred;
	if (login_is_barred(s, c))
		return HELLO_REFUSED;
	c->state = CONNECTION_CHECKING;
	login_ask(s, c);
	return HELLO_CHECKING;
}

enum hello_result
hello_serve(struct server *s, struct connection *c, enum close_reason *reason,
	    const char **why)
{
	enum wire_result result = WIRE_OK;

	if (c->awaits_proxy)
		result = serve_proxy(s, c, reason, why);
	if (result != WIRE_OK)
		return result_of(result);
	result = connection_hello(c, &c->capability, reason, why);
	return result == WIRE_OK ? check(s, c, reason) : result_of(result);
}
