#include "config.h"

#include "client/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/notify.h"
#include "base/util.h"

enum {
	BACKLOG = 1024,
	BIND_TRIES = 20, /* 50 ms apart */
};

static struct listener *
add_listener(struct listeners *l, int fd, bool is_unix)
{
	struct listener *added = &l->all[l->cnt];

	CHECK(l->cnt < LISTENERS_MAX);
	*added = (struct listener){ .fd = fd, .is_unix = is_unix };
	l->cnt++;
	return added;
}

static unsigned
port_of(int fd)
{
	struct sockaddr_storage at = { 0 };
	socklen_t len = sizeof(at);

	(void)getsockname(fd, (struct sockaddr *)&at, &len);
	if (at.ss_family == AF_INET)
		return ntohs(((struct sockaddr_in *)&at)->sin_port);
	if (at.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)&at)->sin6_port);
	return 0;
}

/*
 * Returns 0, or -1 with errno.  io_uring releases the sockets of a killed
 * predecessor a moment after its end; until then the address is in use.
 */
static int
bind_and_listen(int fd, const struct sockaddr *at, socklen_t len)
{
	for (unsigned tries = 1; bind(fd, at, len) != 0; tries++) {
		if (errno != EADDRINUSE || tries == BIND_TRIES)
			return -1;
		(void)nanosleep(&(struct timespec){ .tv_nsec = 50000000 },
				NULL);
	}
	return listen(fd, BACKLOG);
}

static int
open_tcp(const struct addrinfo *a)
{
	int on = 1, err;
	int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind_and_listen(fd, a->ai_addr, a->ai_addrlen) == 0)
		return fd;
	err = errno;
	(void)close(fd);
	return -err;
}

/* The first line of a file of the kernel; "?" if it cannot be read. */
static const char *
kernel_says(const char *path, char *buf, size_t buf_len)
{
	FILE *f = fopen(path, "re");

	if (f == NULL || fgets(buf, (int)buf_len, f) == NULL)
		(void)snprintf(buf, buf_len, "?");
	if (f != NULL)
		(void)fclose(f);
	buf[strcspn(buf, "\n")] = '\0';
	return buf;
}

/*
 * Accepted sockets inherit the setting from the listening one: so a refusal by
 * the kernel is reported at the start, not for each client.
 */
static bool
set_congestion(int fd, const char *name, char *err, size_t err_len)
{
	char list[256];
	int error;

	if (name[0] == '\0' ||
	    setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name,
		       (socklen_t)strlen(name)) == 0)
		return true;
	error = errno;
	if (error == ENOENT)
		(void)snprintf(err, err_len,
			       "connections.congestion \"%s\": the kernel has "
			       "none of that name; it has: %s; load it with: "
			       "modprobe tcp_%s",
			       name,
			       kernel_says("/proc/sys/net/ipv4/tcp_available_"
					   "congestion_control",
					   list, sizeof(list)),
			       name);
	else if (error == EPERM)
		(void)snprintf(err, err_len,
			       "connections.congestion \"%s\": not permitted "
			       "for this user; allowed are: %s; see sysctl "
			       "net.ipv4.tcp_allowed_congestion_control",
			       name,
			       kernel_says("/proc/sys/net/ipv4/tcp_allowed_"
					   "congestion_control",
					   list, sizeof(list)));
	else
		(void)snprintf(err, err_len,
			       "connections.congestion \"%s\": %s", name,
			       strerror(error));
	errno = error;
	return false;
}

/* An IPv6 address may have brackets, as if a port followed. */
static const char *
without_brackets(const char *address, char *buf, size_t buf_len)
{
	size_t len = strlen(address);

	if (len < 2 || address[0] != '[' || address[len - 1] != ']')
		return address;
	(void)snprintf(buf, buf_len, "%.*s", (int)len - 2, address + 1);
	return buf;
}

static bool
listen_tcp(struct listeners *l, const struct settings *s, char *err,
	   size_t err_len)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
	const char *address = s->listen.address;
	struct addrinfo *found = NULL;
	char port[16], bare[256];
	int fd;

	(void)snprintf(port, sizeof(port), "%u", (unsigned)s->listen.port);
	fd = getaddrinfo(without_brackets(address, bare, sizeof(bare)), port,
			 &hints, &found);
	if (fd != 0) {
		(void)snprintf(err, err_len,
			       "listen.address \"%s\": %s; use a numeric "
			       "address of this machine (ip addr)",
			       address, gai_strerror(fd));
		errno = fd == EAI_MEMORY ? ENOMEM : EINVAL;
		return false;
	}
	fd = open_tcp(found);
	freeaddrinfo(found);
	if (fd >= 0) {
		(void)add_listener(l, fd, false);
		l->port = port_of(fd);
		return true;
	}
	if (fd == -EADDRINUSE)
		(void)snprintf(err, err_len,
			       "port %s on %s is in use; see who has it with: "
			       "ss -ltnp 'sport = :%s', or set listen.port",
			       port, address, port);
	else
		(void)snprintf(err, err_len,
			       "cannot listen on %s port %s: %s; check "
			       "listen.address and listen.port",
			       address, port, strerror(-fd));
	errno = -fd;
	return false;
}

/*
 * Opens the abstract socket that q listens on besides its port.  The name's
 * length is exact: a client would not find a padded one (tick-contract.md 5).
 */
static bool
listen_unix(struct listeners *l, char *err, size_t err_len)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int n = snprintf(at.sun_path + 1, sizeof(at.sun_path) - 1,
			 "/tmp/kx.%u", l->port);
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
				    1 + (size_t)n);
	int error, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && bind_and_listen(fd, (struct sockaddr *)&at, len) == 0) {
		(void)add_listener(l, fd, true);
		return true;
	}
	error = errno;
	(void)snprintf(err, err_len,
		       "cannot listen on the abstract unix socket @%s: %s; "
		       "see who has it with: ss -lxp | grep kx.%u, or set "
		       "listen.unix_socket = false",
		       at.sun_path + 1, strerror(error), l->port);
	if (fd >= 0)
		(void)close(fd);
	errno = error;
	return false;
}

static bool
take_over(struct listeners *l, int passed, char *err, size_t err_len)
{
	if (passed > LISTENERS_MAX) {
		(void)snprintf(err, err_len,
			       "systemd has passed %d sockets, of which %d can "
			       "be served; remove ListenStream= lines from the "
			       ".socket unit",
			       passed, LISTENERS_MAX);
		errno = EINVAL;
		return false;
	}
	for (int i = 0; i < passed; i++) {
		int fd = NOTIFY_SOCKETS_START + i, is_listening = 0;
		socklen_t len = sizeof(is_listening);
		unsigned port = port_of(fd);

		if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening,
			       &len) != 0 ||
		    !is_listening) {
			(void)snprintf(err, err_len,
				       "socket %d passed by systemd is not "
				       "listening; use ListenStream= and "
				       "Accept=no in the .socket unit",
				       i);
			errno = EINVAL;
			return false;
		}
		(void)add_listener(l, fd, port == 0);
		if (l->port == 0)
			l->port = port;
	}
	return true;
}

bool
listeners_open(struct listeners *l, const struct settings *s, char *err,
	       size_t err_len)
{
	int passed = notify_sockets();
	bool ok;

	*l = (struct listeners){ 0 };
	l->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	l->is_passed = passed > 0;
	if (passed > 0)
		ok = take_over(l, passed, err, err_len);
	else
		ok = listen_tcp(l, s, err, err_len) &&
		     (!s->listen.unix_socket || listen_unix(l, err, err_len));
	for (unsigned i = 0; ok && i < l->cnt; i++)
		ok = l->all[i].is_unix ||
		     set_congestion(l->all[i].fd, s->connections.congestion,
				    err, err_len);
	if (!ok) {
		int error = errno;

		listeners_close(l);
		errno = error;
	}
	return ok;
}

bool
listeners_check(const struct settings *s, char *err, size_t err_len)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok;

	if (fd < 0)
		return true; /* a host without IPv4: only a start can tell */
	ok = set_congestion(fd, s->connections.congestion, err, err_len);
	(void)close(fd);
	return ok;
}

void
listeners_close(struct listeners *l)
{
	for (unsigned i = 0; i < l->cnt; i++)
		(void)close(l->all[i].fd);
	if (l->reserve_fd > 0)
		(void)close(l->reserve_fd);
	*l = (struct listeners){ 0 };
}

bool
listeners_has_unix(const struct listeners *l)
{
	for (unsigned i = 0; i < l->cnt; i++)
		if (l->all[i].is_unix)
			return true;
	return false;
}

void
listeners_turn_away(struct listeners *l, unsigned idx)
{
	struct pollfd waiting = { .fd = l->all[idx].fd, .events = POLLIN };
	int fd;

	(void)close(l->reserve_fd);
	if (poll(&waiting, 1, 0) == 1) {
		fd = accept4(waiting.fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			(void)close(fd);
	}
	l->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

int
listener_prepare(int fd, const struct settings *s)
{
	int on = 1, bytes = (int)(s->connections.send_buffer / 2);
	int domain = 0;
	socklen_t len = sizeof(domain);

	/* The kernel doubles the value, for its own bookkeeping. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)) != 0)
		return -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) != 0)
		return -errno;
	if (domain == AF_UNIX)
		return 0;
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) != 0)
		return -errno;
	return 0;
}

const char *
listener_peer(int fd, char *buf, size_t buf_len)
{
	struct sockaddr_storage at = { 0 };
	socklen_t len = sizeof(at);
	char host[INET6_ADDRSTRLEN] = "?";

	(void)getpeername(fd, (struct sockaddr *)&at, &len);
	if (at.ss_family == AF_INET) {
		struct sockaddr_in *v4 = (struct sockaddr_in *)&at;

		(void)inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
		(void)snprintf(buf, buf_len, "%s:%u", host,
			       ntohs(v4->sin_port));
	} else if (at.ss_family == AF_INET6) {
		struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&at;

		(void)inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
		(void)snprintf(buf, buf_len, "[%s]:%u", host,
			       ntohs(v6->sin6_port));
	} else {
		(void)snprintf(buf, buf_len, "unix");
	}
	return buf;
}
