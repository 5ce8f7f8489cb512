/*
 * A network of which the daemon has one end and clients have the other.  A
 * connection is two queues of bounded length: what the daemon has not received
 * yet, and what the client has not read yet.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "machine.h"
#include "wrap.h"

enum { BACKLOG_MAX = 64, LISTENERS_MAX = 4 };

/* How long news take from one end to the other. */
enum { NEWS_MIN_NS = 2000, NEWS_MAX_NS = 90000 };

static struct {
	struct listener {
		int fd; /* 0: none */
		unsigned port;
		bool is_open; /* it listens */
		struct socket *backlog[BACKLOG_MAX];
		unsigned backlog_cnt;
	} listeners[LISTENERS_MAX];
	unsigned ports;
} net = { .ports = 40000 };

struct net_faults net_faults;

/* ---- the client's end ---- */

static void
wake_peer(void *who, uint64_t what)
{
	struct socket *s = who;

	(void)what;
	s->is_told = false;
	if (s->peer != NULL)
		s->peer->wake(s->peer);
}

static void
tell_peer(struct socket *s)
{
	if (s->is_told || s->peer == NULL)
		return;
	s->is_told = true;
	sim_at(sim_now_ns() + sim_between(NEWS_MIN_NS, NEWS_MAX_NS), wake_peer,
	       s, 0);
}

static struct listener *
listener_of(int fd)
{
	for (unsigned i = 0; i < LISTENERS_MAX; i++)
		if (net.listeners[i].fd == fd)
			return &net.listeners[i];
	return NULL;
}

static struct listener *
listener_at(unsigned port)
{
	for (unsigned i = 0; i < LISTENERS_MAX; i++)
		if (net.listeners[i].is_open && net.listeners[i].port == port)
			return &net.listeners[i];
	return NULL;
}

struct socket *
net_connect(struct peer *peer, unsigned port)
{
	struct listener *l = listener_at(port);
	struct socket *s;
	size_t up_max, down_max;

	if (l == NULL || l->backlog_cnt == BACKLOG_MAX)
		return NULL;
	s = calloc(1, sizeof(*s));
	CHECK(s != NULL);
	/* A number of 16 bits on the wire. */
	net.ports = net.ports < UINT16_MAX ? net.ports + 1 : 1024;
	up_max = 4096u << sim_below(6);
	down_max = 4096u << sim_below(7);
	*s = (struct socket){ .peer = peer,
			      .fd = -1,
			      .port = net.ports,
			      .host = HOST,
			      .up_max = up_max,
			      .down_max = down_max };
	l->backlog[l->backlog_cnt++] = s;
	engine_touch(NULL);
	return s;
}

size_t
net_send(struct socket *s, const void *bytes, size_t len)
{
	size_t room = s->up_max - s->up.len;

	CHECK(!s->client_ended);
	if (s->is_reset)
		return 0;
	len = min_u64(len, room);
	/* A segment may be lost, so that a part arrives first. */
	if (len > 1 && sim_chance(net_faults.torn_per_mille))
		len = 1 + sim_below(len);
	bytes_add(&s->up, bytes, len);
	engine_touch(s);
	return len;
}

size_t
net_read(struct socket *s, void *at, size_t len)
{
	bool was_full = s->down.len == s->down_max;

	len = min_u64(len, s->down.len);
	if (len == 0)
		return 0;
	memcpy(at, s->down.at, len);
	bytes_drop(&s->down, len);
	if (was_full && len > 0)
		engine_touch(s);
	return len;
}

bool
net_is_over(const struct socket *s)
{
	return s->down.len == 0 && (s->daemon_ended || s->is_reset);
}

void
net_end(struct socket *s)
{
	s->client_ended = true;
	engine_touch(s);
}

static void
free_if_alone(struct socket *s)
{
	if (s->peer != NULL || s->fd >= 0 || s->ops > 0)
		return;
	bytes_free(&s->up);
	bytes_free(&s->down);
}

void
net_leave(struct socket *s)
{
	s->is_reset = s->is_reset || s->down.len > 0;
	s->client_ended = true;
	s->peer = NULL;
	engine_touch(s);
	free_if_alone(s);
}

/* ---- the daemon's end, for the engine ---- */

unsigned
net_backlog(int fd)
{
	return listener_of(fd) == NULL ? 0 : listener_of(fd)->backlog_cnt;
}

struct socket *
net_take_request(int fd)
{
	struct listener *l = listener_of(fd);
	struct socket *s;

	if (l == NULL || l->backlog_cnt == 0)
		return NULL;
	s = l->backlog[0];
	l->backlog_cnt--;
	memmove(l->backlog, l->backlog + 1,
		l->backlog_cnt * sizeof(l->backlog[0]));
	return s;
}

int
net_accept(struct socket *s)
{
	s->fd = fd_open((struct descriptor){ .kind = FD_SOCKET, .socket = s });
	return s->fd;
}

bool
net_can_receive(const struct socket *s)
{
	return s->up.len > 0 || s->client_ended || s->is_reset ||
	       s->daemon_deaf;
}

int32_t
net_receive(struct socket *s, void *at, size_t len)
{
	bool was_full = s->up.len == s->up_max;

	if (s->up.len == 0)
		return s->is_reset && !s->daemon_deaf ? -ECONNRESET : 0;
	len = min_u64(len, s->up.len);
	if (len > 1 && sim_chance(net_faults.torn_per_mille))
		len = 1 + sim_below(len);
	memcpy(at, s->up.at, len);
	bytes_drop(&s->up, len);
	if (was_full)
		tell_peer(s);
	return (int32_t)len;
}

bool
net_can_write(const struct socket *s)
{
	return s->down.len < s->down_max || s->is_reset || s->daemon_ended ||
	       s->peer == NULL;
}

int32_t
net_write(struct socket *s, const void *at, size_t len)
{
	if (s->daemon_ended)
		return -EPIPE;
	if (s->is_reset)
		return sim_chance(500) ? -ECONNRESET : -EPIPE;
	if (s->peer == NULL) {
		/* The kernel takes bytes that nobody reads; the answer to them
		 * is a reset. */
		s->is_reset = true;
		engine_touch(s);
		return (int32_t)len;
	}
	len = min_u64(len, s->down_max - s->down.len);
	if (len > 1 && sim_chance(net_faults.torn_per_mille))
		len = 1 + sim_below(len);
	bytes_add(&s->down, at, len);
	tell_peer(s);
	return (int32_t)len;
}

void
net_shutdown(struct socket *s, int how)
{
	if (how != SHUT_WR)
		s->daemon_deaf = true;
	if (how != SHUT_RD)
		s->daemon_ended = true;
	engine_touch(s);
	tell_peer(s);
}

void
net_close(struct socket *s)
{
	SIM_CHECK(s->ops == 0,
		  "a socket is closed, and an operation waits for it");
	s->fd = -1;
	s->is_reset = s->is_reset || s->up.len > 0;
	s->daemon_ended = true;
	tell_peer(s);
	free_if_alone(s);
}

static void
end_listener(struct listener *l)
{
	struct socket *s;

	while ((s = net_take_request(l->fd)) != NULL) {
		s->is_reset = true;
		tell_peer(s);
	}
	*l = (struct listener){ 0 };
}

/* The machine, or its process, is gone: its kernel answers with resets. */
void
net_crash(void)
{
	for (unsigned i = 0; i < LISTENERS_MAX; i++)
		if (net.listeners[i].fd != 0)
			end_listener(&net.listeners[i]);
}

/* ---- the daemon's calls ---- */

static struct socket *
socket_of(int fd)
{
	struct descriptor *d = fd_get(fd);

	SIM_CHECK(d != NULL && d->kind == FD_SOCKET,
		  "descriptor %d is used as a socket", fd);
	return d->socket;
}

WRAP(int, socket, int domain, int type, int protocol)
{
	int fd = fd_open((struct descriptor){ .kind = FD_LISTENER });
	struct listener *l = listener_of(0);

	(void)REAL(socket);
	(void)domain;
	(void)type;
	(void)protocol;
	CHECK(l != NULL);
	l->fd = fd;
	return fd;
}

WRAP(int, bind, int fd, const struct sockaddr *at, socklen_t len)
{
	struct sockaddr_in in;

	(void)REAL(bind);
	CHECK(len == sizeof(in));
	memcpy(&in, at, sizeof(in));
	listener_of(fd)->port = ntohs(in.sin_port);
	return 0;
}

WRAP(int, listen, int fd, int backlog)
{
	(void)REAL(listen);
	(void)backlog;
	listener_of(fd)->is_open = true;
	return 0;
}

void
net_close_listener(int fd)
{
	if (listener_of(fd) != NULL)
		end_listener(listener_of(fd));
}

static int
put_address(struct sockaddr *at, socklen_t *len, uint32_t host, unsigned port)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = htonl(host) };

	*len = sizeof(in);
	memcpy(at, &in, sizeof(in));
	return 0;
}

WRAP(int, getsockname, int fd, struct sockaddr *at, socklen_t *len)
{
	(void)REAL(getsockname);
	return put_address(at, len, INADDR_LOOPBACK, listener_of(fd)->port);
}

WRAP(int, getpeername, int fd, struct sockaddr *at, socklen_t *len)
{
	(void)REAL(getpeername);
	return put_address(at, len, socket_of(fd)->host, socket_of(fd)->port);
}

WRAP(int, setsockopt, int fd, int level, int name, const void *value,
     socklen_t len)
{
	(void)REAL(setsockopt);
	(void)fd;
	(void)level;
	(void)name;
	(void)value;
	(void)len;
	return 0;
}

WRAP(int, getsockopt, int fd, int level, int name, void *value, socklen_t *len)
{
	int domain = AF_INET;

	(void)REAL(getsockopt);
	(void)fd;
	(void)level;
	SIM_CHECK(name == SO_DOMAIN, "getsockopt of %d", name);
	memcpy(value, &domain, sizeof(domain));
	*len = sizeof(domain);
	return 0;
}

WRAP(int, shutdown, int fd, int how)
{
	(void)REAL(shutdown);
	if (fd_get(fd) != NULL && fd_get(fd)->kind == FD_LOGIN)
		login_shut(fd_get(fd)->pair);
	else
		net_shutdown(socket_of(fd), how);
	return 0;
}

WRAP(int, ioctl, int fd, unsigned long what, int *out)
{
	struct socket *s = socket_of(fd);

	(void)REAL(ioctl);
	SIM_CHECK(what == FIONREAD || what == SIOCOUTQ, "ioctl %lu", what);
	*out = (int)(what == FIONREAD ? s->up.len : s->down.len);
	return 0;
}

WRAP(int, poll, struct pollfd *p, nfds_t cnt, int timeout_ms)
{
	(void)REAL(poll);
	CHECK(cnt == 1);
	p->revents = 0;
	if (fd_get(p->fd) != NULL && fd_get(p->fd)->kind == FD_LOGIN
		    ? !login_await(fd_get(p->fd)->pair,
				   timeout_ms * NS_PER_MS)
		    : net_backlog(p->fd) == 0)
		return 0;
	p->revents = POLLIN;
	return 1;
}

WRAP(int, accept4, int fd, struct sockaddr *at, socklen_t *len, int flags)
{
	struct socket *s = net_take_request(fd);

	(void)REAL(accept4);
	(void)at;
	(void)len;
	(void)flags;
	if (s != NULL)
		return net_accept(s);
	errno = EAGAIN;
	return -1;
}
