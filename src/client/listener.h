/*
 * Listening sockets: TCP, the abstract unix socket that q's clients try, and
 * sockets passed by systemd.
 */
#ifndef RINGTICK_CLIENT_LISTENER_H
#define RINGTICK_CLIENT_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/settings.h"

enum { LISTENERS_MAX = 16 };

struct listener {
	int fd;
	bool is_unix;
	bool is_accepting; /* a multishot accept is in flight */
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

/* Whether a unix socket is among them. */
bool listeners_has_unix(const struct listeners *l);

/*
 * When no descriptor is left: accepts one waiting connection with the spare
 * descriptor and closes it, so that the client gets an end rather than no
 * answer.
 */
void listeners_turn_away(struct listeners *l, unsigned idx);

/* Sets the options of an accepted socket.  Returns 0 or -errno. */
int listener_prepare(int fd, const struct settings *settings);

/* Writes the peer, "10.0.0.5:51234", "[::1]:51234" or "unix", to buf.  Returns
 * buf. */
const char *listener_peer(int fd, char *buf, size_t buf_len);

#endif
