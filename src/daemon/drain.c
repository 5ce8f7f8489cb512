#include "config.h"

#include "daemon/drain.h"

#include <sys/ioctl.h>

#include "daemon/report.h"

/* A recv that had bytes before the signal may complete after it. */
enum { DRAIN_TURNS = 2 };

/* A full receive window kept bytes back at the client: they follow as soon as
 * some are read. */
enum { DRAIN_MORE_BYTES = 1 << 20 };

/* Bytes in the socket that were not received yet. */
static uint64_t
unread_bytes(const struct connection *c)
{
	int bytes = 0;

	if (ioctl(c->fd, FIONREAD, &bytes) != 0 || bytes < 0)
		return 0;
	return (uint64_t)bytes;
}

void
drain_begin(struct server *s)
{
	struct connection *c = NULL;

	s->drain_turns = 0;
	while ((c = clients_next(&s->clients, c)) != NULL) {
		c->drain_left = unread_bytes(c);
		if (c->drain_left > 0)
			c->drain_left += DRAIN_MORE_BYTES;
	}
}

/* True until the socket is empty once; a client that keeps sending is not
 * waited for. */
bool
drain_wants(struct connection *c)
{
	uint64_t room = c->capacity - (c->filled - c->parsed);
	uint64_t bytes = c->drain_left > 0 ? unread_bytes(c) : 0;

	c->drain_left -= min_u64(min_u64(bytes, room), c->drain_left);
	return bytes > 0;
}

bool
drain_is_done(struct server *s)
{
	struct connection *c = NULL;

	if (s->drain_turns < DRAIN_TURNS) {
		s->drain_turns++;
		return false;
	}
	while ((c = clients_next(&s->clients, c)) != NULL)
		if (c->state < CONNECTION_ENDING && c->is_receiving &&
		    unread_bytes(c) > 0)
			return false;
	return true;
}

void
drain_tell(struct server *s, const struct connection *c)
{
	uint64_t bytes = unread_bytes(c) + c->filled - c->parsed;

	if (bytes > 0 && report_may(s, c, PEERS_UNREAD, ""))
		log_line(LOG_WARN, "unread",
			 "conn=%u user=%s peer=%s in_records=%llu "
			 "unread_bytes=%llu",
			 c->slot, c->user, c->peer,
			 (unsigned long long)c->in_records,
			 (unsigned long long)bytes);
}
