/*
 * Listening sockets: TCP, the abstract unix socket that q's clients try, and
 * those that systemd passed.
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
	unsigned port;	/* of the first TCP socket */
	int reserve_fd; /* kept to be able to turn somebody away at EMFILE */
};

/*
 * Opens what the settings say, or takes over what systemd passed.  false, with
 * one line in err (which address, why, what to do) on failure.
 */
bool listeners_open(struct listeners *l, const struct settings *settings,
		    char *err, size_t err_len);
void listeners_close(struct listeners *l);

/* What of the settings can be tried without listening.  false with err. */
bool listeners_check(const struct settings *settings, char *err,
		     size_t err_len);

/* Whether a unix socket is among them. */
bool listeners_has_unix(const struct listeners *l);

/*
 * No descriptor is left: accepts one waiting connection with the reserve and
 * closes it, so that the client is told rather than left waiting.
 */
void listeners_turn_away(struct listeners *l, unsigned idx);

/* Sets what an accepted socket needs. 0 or -errno. */
int listener_prepare(int fd, const struct settings *settings);

/* "10.0.0.5:51234", "[::1]:51234" or "unix" into buf. Returns buf. */
const char *listener_peer(int fd, char *buf, size_t buf_len);

#endif
