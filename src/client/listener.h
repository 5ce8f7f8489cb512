/*
 * Listening sockets: TCP, the abstract unix socket that q's clients try, and
 * sockets passed by systemd.
 */
#ifndef RINGTICK_CLIENT_LISTENER_H
#define RINGTICK_CLIENT_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <netinet/in.h>
#include <sys/socket.h>

#include "config/settings.h"

enum {
	LISTENERS_MAX = LISTEN_SOCKETS_MAX,
	/* Accepts in flight, at all sockets together: so many clients come in a
	 * turn, however many wait. */
	ACCEPTS_MAX = 16,
};

enum listener_kind { LISTENER_TCP, LISTENER_ABSTRACT, LISTENER_PATH };

struct listener {
	int fd;
	enum listener_kind kind;
	unsigned port; /* of a socket file 0 */
	const struct listen_settings *settings;
	unsigned accepting; /* bits: the numbers of the accepts in flight */
};

struct listeners {
	struct listener all[LISTENERS_MAX];
	unsigned cnt;
	bool is_passed; /* by systemd */
	unsigned port;	/* of the first TCP socket; 0: none */
	int reserve_fd; /* a spare descriptor, to turn clients away at EMFILE */
};

/*
 * Opens the sockets of the settings, or takes over those passed by systemd.  On
 * failure returns false, with errno set and one line in err (address, reason,
 * remedy).
 */
bool listeners_open(struct listeners *l, const struct settings *settings,
		    char *err, size_t err_len);
void listeners_close(struct listeners *l);

/* Tests the settings that can be tried without listening.  false with err. */
bool listeners_check(const struct settings *settings, char *err,
		     size_t err_len);

/* Whether these settings, which are to take the place of the running ones, keep
 * strangers out of the sockets that are open.  false with err. */
bool listeners_may_adopt(const struct listeners *l,
			 const struct settings *running,
			 const struct settings *loaded, char *err,
			 size_t err_len);

/*
 * When no descriptor is left: accepts one waiting connection with the spare
 * descriptor and closes it, so that the client gets an end rather than no
 * answer.  false: nobody waits.
 */
bool listeners_turn_away(struct listeners *l, unsigned idx);

/* Sets the options of an accepted socket.  Returns 0 or -errno. */
int listener_prepare(int fd, const struct settings *settings);

/* Who is at the other end of a connection. */
struct peer_address {
	union {
		struct sockaddr sa;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr_storage any;
	} at;
	uid_t uid; /* of the process, if it came over a unix socket */
};

void listener_peer(int fd, struct peer_address *out);

/* Whether a client from there may connect. */
bool listener_lets_in(const struct listener *l,
		      const struct peer_address *peer);

/* Writes "10.0.0.5:51234", "[::1]:51234" or "unix:UID" to buf.  Returns buf. */
const char *peer_text(const struct peer_address *peer, char *buf,
		      size_t buf_len);

#endif
