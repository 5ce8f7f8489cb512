#include "config.h"

#include "client/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/notify.h"
#include "base/util.h"

enum {
	BACKLOG = 1024,
	BIND_TRIES = 20, /* 50 ms apart */
};

/* The address that a socket listens on. */
static struct sockaddr_storage
address_of(int fd)
{
	struct sockaddr_storage at = { 0 };
	socklen_t len = sizeof(at);

	(void)getsockname(fd, (struct sockaddr *)&at, &len);
	return at;
}

static unsigned
port_of(int fd)
{
	struct sockaddr_storage at = address_of(fd);

	if (at.ss_family == AF_INET)
		return ntohs(((struct sockaddr_in *)&at)->sin_port);
	if (at.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)&at)->sin6_port);
	return 0;
}

static struct listener *
add_listener(struct listeners *l, const struct listen_settings *set, int fd,
	     enum listener_kind kind)
{
	struct listener *added = &l->all[l->cnt];

	CHECK(l->cnt < LISTENERS_MAX);
	*added = (struct listener){
		.fd = fd, .kind = kind, .port = port_of(fd), .settings = set
	};
	l->cnt++;
	return added;
}

/* Removes a socket file on which nobody listens: a killed predecessor has left
 * it.  Another file refuses connections too, and stays; and who listens may
 * have no place for one more. */
static void
remove_stale(const struct sockaddr *at)
{
	const struct sockaddr_un *un = (const struct sockaddr_un *)at;
	struct stat about;
	int fd;

	/* No port, nor an abstract name. */
	if (at->sa_family != AF_UNIX || un->sun_path[0] == '\0' ||
	    lstat(un->sun_path, &about) != 0 || !S_ISSOCK(about.st_mode))
		return;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (connect(fd, at, sizeof(*un)) != 0 && errno == ECONNREFUSED)
		(void)unlink(un->sun_path);
	(void)close(fd);
}

/*
 * Returns 0, or -1 with errno.  io_uring releases the sockets of a killed
 * predecessor a moment after its end; until then the address is in use.
 */
static int
bind_patiently(int fd, const struct sockaddr *at, socklen_t len)
{
	for (unsigned tries = 1;; tries++) {
		remove_stale(at);
		if (bind(fd, at, len) == 0)
			return 0;
		if (errno != EADDRINUSE || tries == BIND_TRIES)
			return -1;
		(void)nanosleep(&(struct timespec){ .tv_nsec = 50000000 },
				NULL);
	}
}

static int
bind_and_listen(int fd, const struct sockaddr *at, socklen_t len)
{
	return bind_patiently(fd, at, len) == 0 ? listen(fd, BACKLOG) : -1;
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

/* Finds the address to listen on; freeaddrinfo(*out). */
static bool
find_address(const struct listen_settings *set, struct addrinfo **out,
	     char *err, size_t err_len)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
	char port[16], bare[256];
	int code;

	(void)snprintf(port, sizeof(port), "%u", (unsigned)set->port);
	code = getaddrinfo(without_brackets(set->address, bare, sizeof(bare)),
			   port, &hints, out);
	if (code == 0)
		return true;
	(void)snprintf(err, err_len,
		       "listen.address \"%s\": %s; use a numeric address of "
		       "this machine (ip addr)",
		       set->address, gai_strerror(code));
	errno = code == EAI_MEMORY ? ENOMEM : EINVAL;
	return false;
}

/* Returns the port, or 0. */
static unsigned
listen_tcp(struct listeners *l, const struct listen_settings *set, char *err,
	   size_t err_len)
{
	unsigned port = (unsigned)set->port;
	struct addrinfo *found;
	int fd;

	if (!find_address(set, &found, err, err_len))
		return 0;
	fd = open_tcp(found);
	freeaddrinfo(found);
	if (fd >= 0) {
		return add_listener(l, set, fd, LISTENER_TCP)->port;
	}
	if (fd == -EADDRINUSE)
		(void)snprintf(err, err_len,
			       "port %u on %s is in use; see who has it with: "
			       "ss -ltnp 'sport = :%u', or set listen.port",
			       port, set->address, port);
	else
		(void)snprintf(err, err_len,
			       "cannot listen on %s port %u: %s; check "
			       "listen.address and listen.port",
			       set->address, port, strerror(-fd));
	errno = -fd;
	return 0;
}

/*
 * Opens the abstract socket that q listens on besides its port.  The name's
 * length is exact: a client would not find a padded one (tick-contract.md 5).
 */
static bool
listen_abstract(struct listeners *l, const struct listen_settings *set,
		unsigned port, char *err, size_t err_len)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int n = snprintf(at.sun_path + 1, sizeof(at.sun_path) - 1,
			 "/tmp/kx.%u", port);
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
				    1 + (size_t)n);
	int error, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && bind_and_listen(fd, (struct sockaddr *)&at, len) == 0) {
		add_listener(l, set, fd, LISTENER_ABSTRACT)->port = port;
		return true;
	}
	error = errno;
	(void)snprintf(err, err_len,
		       "cannot listen on the abstract unix socket @%s: %s; "
		       "see who has it with: ss -lxp | grep kx.%u, or set "
		       "listen.unix_socket = false",
		       at.sun_path + 1, strerror(error), port);
	if (fd >= 0)
		(void)close(fd);
	errno = error;
	return false;
}

static bool
has_group(const struct listen_settings *set, char *err, size_t err_len)
{
	errno = 0;
	if (set->unix_group[0] == '\0' || getgrnam(set->unix_group) != NULL)
		return true;
	(void)snprintf(err, err_len, "listen.unix_group \"%s\": %s",
		       set->unix_group,
		       errno == 0 ? "there is no such group" : strerror(errno));
	errno = EINVAL;
	return false;
}

/* Gives the socket file its group and mode.  Returns NULL, or what failed with
 * errno. */
static const char *
set_access(const struct listen_settings *set)
{
	mode_t mode = (mode_t)strtoul(set->unix_mode, NULL, 8);
	struct group *group;

	if (set->unix_group[0] != '\0') {
		errno = 0;
		group = getgrnam(set->unix_group);
		if (group == NULL) {
			errno = errno == 0 ? ENOENT : errno;
			return "listen.unix_group";
		}
		if (chown(set->unix_path, (uid_t)-1, group->gr_gid) != 0)
			return "listen.unix_group";
	}
	return chmod(set->unix_path, mode) == 0 ? NULL : "listen.unix_mode";
}

static bool
listen_path(struct listeners *l, const struct listen_settings *set, char *err,
	    size_t err_len)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int error, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const char *what = "listen.unix_path";

	memcpy(at.sun_path, set->unix_path, strlen(set->unix_path) + 1);
	/* Nobody can connect before it has its group and mode. */
	if (fd >= 0 &&
	    bind_patiently(fd, (struct sockaddr *)&at, sizeof(at)) == 0) {
		what = set_access(set);
		if (what == NULL && listen(fd, BACKLOG) == 0) {
			(void)add_listener(l, set, fd, LISTENER_PATH);
			return true;
		}
	}
	error = errno;
	(void)snprintf(err, err_len,
		       "cannot listen on the socket file \"%s\": %s: %s; %s",
		       set->unix_path, what == NULL ? "listen" : what,
		       strerror(error),
		       error == EADDRINUSE
			       ? "somebody listens on it (ss -lxp), or it is "
				 "another file"
			       : "its folder must be writable for the daemon, "
				 "and the daemon a member of its group");
	if (fd >= 0)
		(void)close(fd);
	errno = error;
	return false;
}

static bool
has_abstract(const struct listeners *l, unsigned port)
{
	for (unsigned i = 0; i < l->cnt; i++)
		if (l->all[i].kind == LISTENER_ABSTRACT &&
		    l->all[i].port == port)
			return true;
	return false;
}

/* Opens the sockets of one group of settings. */
static bool
listen_all(struct listeners *l, const struct listen_settings *set, char *err,
	   size_t err_len)
{
	bool has_port = set->address[0] != '\0';
	unsigned port = 0;

	if (!has_group(set, err, err_len))
		return false;
	if (has_port)
		port = listen_tcp(l, set, err, err_len);
	if (has_port && port == 0)
		return false;
	if (l->port == 0)
		l->port = port;
	/* Of several addresses with one port the first has it. */
	if (settings_has_abstract(set) && !has_abstract(l, port) &&
	    !listen_abstract(l, set, port, err, err_len))
		return false;
	return set->unix_path[0] == '\0' || listen_path(l, set, err, err_len);
}

/* Whether only this machine can connect to it. */
static bool
is_local(const struct sockaddr *at)
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)at;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)at;

	if (at->sa_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
	return at->sa_family != AF_INET ||
	       ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

/* Nobody from elsewhere is let in without a password or a certificate, unless
 * that is asked for.  A terminator's clients are from elsewhere; and where
 * other machines can send its header, they can claim any certificate. */
static bool
check_open(const struct settings *s, const struct listen_settings *set,
	   const struct sockaddr *at, char *err, size_t err_len)
{
	bool is_claimed = set->proxy && s->auth.certificate && !is_local(at);
	bool is_shown = settings_want_password(s) ||
			(set->proxy ? s->auth.certificate : is_local(at));

	if (s->auth.open || (is_shown && !is_claimed))
		return true;
	if (is_claimed)
		(void)snprintf(err, err_len,
			       "other machines could claim any certificate at "
			       "listen.address \"%s\" (listen.proxy, "
			       "auth.certificate); let the terminator use "
			       "listen.unix_path",
			       set->address);
	else if (set->proxy)
		(void)snprintf(err, err_len,
			       "the clients of a TLS terminator (listen.proxy) "
			       "could connect without a password; set "
			       "auth.users, auth.certificate, or auth.open = "
			       "true to let everybody in");
	else
		(void)snprintf(err, err_len,
			       "other machines could connect to "
			       "listen.address \"%s\" without a password; set "
			       "auth.users, or auth.open = true to let "
			       "everybody in",
			       set->address);
	errno = EINVAL;
	return false;
}

/* ---- sockets that were passed ---- */

static bool
has_address(const struct listen_settings *set, const struct sockaddr *at)
{
	const size_t v4_bytes = offsetof(struct sockaddr_in, sin_zero);
	const size_t v6_bytes = offsetof(struct sockaddr_in6, sin6_scope_id);
	struct addrinfo *found;
	char err[512];
	bool is_equal;

	if (!find_address(set, &found, err, sizeof(err)))
		return false;
	is_equal = found->ai_addr->sa_family == at->sa_family &&
		   memcmp(found->ai_addr, at,
			  at->sa_family == AF_INET ? v4_bytes : v6_bytes) == 0;
	freeaddrinfo(found);
	return is_equal;
}

/* How well the settings fit to a socket: 0, not at all. */
static unsigned
fits(const struct listen_settings *set, const struct sockaddr_storage *at,
     unsigned port)
{
	const struct sockaddr_un *un = (const struct sockaddr_un *)at;
	char name[sizeof(un->sun_path)];

	if (port != 0 && set->address[0] != '\0')
		return set->port != port ? 0
		       : has_address(set, (const struct sockaddr *)at) ? 2 : 1;
	if (port != 0 || at->ss_family != AF_UNIX)
		return 0;
	if (un->sun_path[0] != '\0')
		return strcmp(set->unix_path, un->sun_path) == 0 ? 2 : 0;
	(void)snprintf(name, sizeof(name), "/tmp/kx.%u", (unsigned)set->port);
	return settings_has_abstract(set) && strcmp(name, un->sun_path + 1) == 0
		       ? 2
		       : 0;
}

/* The settings for a socket that was passed: those that fit best, else the
 * first ones, for which the socket takes the place of their address; but a
 * header is believed only where that was asked for.  NULL: there are none. */
static const struct listen_settings *
settings_of(const struct settings *s, int fd, bool *is_named)
{
	const struct listen_settings *best = NULL;
	struct sockaddr_storage at = address_of(fd);
	unsigned port = port_of(fd), best_fit = 0;

	for (unsigned i = 0; i < settings_listens_cnt(s); i++) {
		const struct listen_settings *set = settings_listen(s, i);
		unsigned fit = fits(set, &at, port);

		if (fit > best_fit ||
		    (best == NULL && fit == 0 && !set->proxy))
			best = set;
		best_fit = fit > best_fit ? fit : best_fit;
	}
	*is_named = best_fit > 0;
	return best;
}

/* The kind of a socket that was passed.  A socket file that is not in the
 * configuration may be open to all, as an abstract socket is. */
static enum listener_kind
kind_of(int fd, bool is_named)
{
	struct sockaddr_storage at = address_of(fd);

	if (at.ss_family != AF_UNIX)
		return LISTENER_TCP;
	return is_named && ((struct sockaddr_un *)&at)->sun_path[0] != '\0'
		       ? LISTENER_PATH
		       : LISTENER_ABSTRACT;
}

static bool
take_socket(struct listeners *l, const struct settings *s, int i, char *err,
	    size_t err_len)
{
	int fd = NOTIFY_SOCKETS_START + i, is_listening = 0;
	socklen_t len = sizeof(is_listening);
	const struct listen_settings *set;
	bool is_named;

	errno = EINVAL;
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &len) !=
		    0 ||
	    !is_listening) {
		(void)snprintf(err, err_len,
			       "socket %d passed by systemd is not listening; "
			       "use ListenStream= and Accept=no in the .socket "
			       "unit",
			       i);
		return false;
	}
	set = settings_of(s, fd, &is_named);
	errno = EINVAL;
	if (set == NULL) {
		(void)snprintf(err, err_len,
			       "socket %d passed by systemd is not in listen, "
			       "and each listener there has proxy, which is "
			       "not for sockets that are not named; add it "
			       "there, or remove its ListenStream=",
			       i);
		return false;
	}
	(void)add_listener(l, set, fd, kind_of(fd, is_named));
	return true;
}

static bool
take_over(struct listeners *l, const struct settings *s, int passed, char *err,
	  size_t err_len)
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
		if (!take_socket(l, s, i, err, err_len))
			return false;
		if (l->port == 0)
			l->port = l->all[i].port;
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
	ok = passed == 0 || take_over(l, s, passed, err, err_len);
	for (unsigned i = 0; ok && passed == 0 && i < settings_listens_cnt(s);
	     i++)
		ok = listen_all(l, settings_listen(s, i), err, err_len);
	for (unsigned i = 0; ok && i < l->cnt; i++) {
		const struct listener *one = &l->all[i];
		struct sockaddr_storage at = address_of(one->fd);

		ok = check_open(s, one->settings, (struct sockaddr *)&at, err,
				err_len) &&
		     (one->kind != LISTENER_TCP ||
		      set_congestion(one->fd, s->connections.congestion, err,
				     err_len));
	}
	if (!ok) {
		int error = errno;

		listeners_close(l);
		errno = error;
	}
	return ok;
}

/* Tries the settings of one group. */
static bool
check_group(const struct settings *s, const struct listen_settings *set,
	    char *err, size_t err_len)
{
	static const struct sockaddr file = { .sa_family = AF_UNIX };
	struct addrinfo *found;
	bool ok;

	if (!has_group(set, err, err_len))
		return false;
	if (set->address[0] == '\0')
		return check_open(s, set, &file, err, err_len);
	if (!find_address(set, &found, err, err_len))
		return false;
	ok = check_open(s, set, found->ai_addr, err, err_len);
	freeaddrinfo(found);
	return ok;
}

bool
listeners_may_adopt(const struct listeners *l, const struct settings *running,
		    const struct settings *loaded, char *err, size_t err_len)
{
	struct settings would = *loaded;
	bool ok = true;

	would.auth.open = running->auth.open; /* which needs a restart */
	for (unsigned i = 0; ok && i < l->cnt; i++) {
		struct sockaddr_storage at = address_of(l->all[i].fd);

		ok = check_open(&would, l->all[i].settings,
				(struct sockaddr *)&at, err, err_len);
	}
	return ok;
}

bool
listeners_check(const struct settings *s, char *err, size_t err_len)
{
	bool ok = true;
	int fd;

	for (unsigned i = 0; ok && i < settings_listens_cnt(s); i++)
		ok = check_group(s, settings_listen(s, i), err, err_len);
	if (!ok)
		return false;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return true; /* a host without IPv4: only a start can tell */
	ok = set_congestion(fd, s->connections.congestion, err, err_len);
	(void)close(fd);
	return ok;
}

void
listeners_close(struct listeners *l)
{
	for (unsigned i = 0; i < l->cnt; i++) {
		(void)close(l->all[i].fd);
		if (l->all[i].kind == LISTENER_PATH && !l->is_passed)
			(void)unlink(l->all[i].settings->unix_path);
	}
	if (l->reserve_fd > 0)
		(void)close(l->reserve_fd);
	*l = (struct listeners){ 0 };
}

bool
listeners_turn_away(struct listeners *l, unsigned idx)
{
	struct pollfd waiting = { .fd = l->all[idx].fd, .events = POLLIN };
	int fd = -1;

	(void)close(l->reserve_fd);
	if (poll(&waiting, 1, 0) == 1)
		fd = accept4(waiting.fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		(void)close(fd);
	l->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return fd >= 0;
}

/*
 * A peer whose machine has gone without a word is found after two minutes: the
 * kernel of one that lives answers, however busy its process is.  While data is
 * on its way to it, that is the business of TCP_USER_TIMEOUT.
 */
static bool
set_liveness(int fd, const struct settings *s)
{
	/* Rounded up: 0 would be no limit. */
	int64_t ms = (s->connections.tcp_user_timeout + NS_PER_MS - 1) /
		     NS_PER_MS;
	const struct {
		int level, name, value;
	} all[] = {
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, 60 },
		{ IPPROTO_TCP, TCP_KEEPINTVL, 10 },
		{ IPPROTO_TCP, TCP_KEEPCNT, 6 },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, (int)ms },
	};

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (setsockopt(fd, all[i].level, all[i].name, &all[i].value,
			       sizeof(all[i].value)) != 0)
			return false;
	return true;
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
	    !set_liveness(fd, s))
		return -errno;
	return 0;
}

bool
listener_lets_in(const struct listener *l, const struct peer_address *peer)
{
	if (l->settings->networks_cnt == 0 || peer->at.sa.sa_family == AF_UNIX)
		return true;
	for (unsigned i = 0; i < l->settings->networks_cnt; i++)
		if (network_has(&l->settings->networks[i], &peer->at.sa))
			return true;
	return false;
}

void
listener_peer(int fd, struct peer_address *out)
{
	socklen_t len = sizeof(out->at);
	struct ucred cred = { .uid = (uid_t)-1 };
	socklen_t cred_len = sizeof(cred);

	*out = (struct peer_address){ .at.sa.sa_family = AF_UNSPEC };
	(void)getpeername(fd, &out->at.sa, &len);
	if (out->at.sa.sa_family == AF_UNIX &&
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &cred_len) != 0)
		cred.uid = (uid_t)-1;
	out->uid = cred.uid;
}

const char *
peer_text(const struct peer_address *peer, char *buf, size_t buf_len)
{
	char host[INET6_ADDRSTRLEN] = "?";

	switch (peer->at.sa.sa_family) {
	case AF_INET:
		(void)inet_ntop(AF_INET, &peer->at.v4.sin_addr, host,
				sizeof(host));
		(void)snprintf(buf, buf_len, "%s:%u", host,
			       ntohs(peer->at.v4.sin_port));
		break;
	case AF_INET6:
		(void)inet_ntop(AF_INET6, &peer->at.v6.sin6_addr, host,
				sizeof(host));
		(void)snprintf(buf, buf_len, "[%s]:%u", host,
			       ntohs(peer->at.v6.sin6_port));
		break;
	default:
		(void)snprintf(buf, buf_len, "unix:%d", (int)peer->uid);
	}
	return buf;
}
