/*
 * Limits the lines that one client may cause in the log: a burst, then one line
 * per second, of each kind.  A client is an address and the user name of its
 * handshake, whatever its port.  All names of one address together may cause as
 * many lines as PEERS_NAMES of them.
 *
 * A fixed table: clients that hash to the same row share its lines, so any
 * number of clients is bounded.  Pure; called by daemon/report.c.
 */
#ifndef RINGTICK_CLIENT_LOG_QUOTA_H
#define RINGTICK_CLIENT_LOG_QUOTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PEERS_ROWS = 256,
	PEERS_ADDRESS_BYTES = 48,
	PEERS_USER_BYTES = 128,
	PEERS_BURST_MIN = 64, /* shortest burst, in lines */
	PEERS_BURST_MAX = 1024,
	PEERS_NAMES = 4,
};

/* A line to be written. */
struct peers_line {
	const char *peer;   /* address and port, or "unix" */
	const char *user;   /* safe for the log */
	const char *event;  /* constant: the line's event, ... */
	const char *reason; /* ... and its kind, or "": also constant */
};

/* The lines of a row held back since they were last summed up. */
struct peers_held {
	uint64_t lines;
	int64_t first_ns, last_ns;
	/* The first of the lines; other clients may share the row. */
	char address[PEERS_ADDRESS_BYTES];
	char user[PEERS_USER_BYTES];
	const char *event, *reason;
	uint64_t key;
	bool has_others;
};

struct peers {
	uint64_t seed; /* secret, so that a client cannot choose the client to
			  share a row with */
	int64_t burst_ns;
	struct {
		int64_t used_until_ns; /* the burst is used up to here */
		int64_t address_until_ns; /* the same for all names of an
					     address */
		struct peers_held held;
	} rows[PEERS_ROWS];
};

void peers_init(struct peers *p, uint64_t burst, uint64_t seed);

/* Whether a line may be written now; else it is counted.  now_ns is
 * monotonic. */
bool peers_may(struct peers *p, const struct peers_line *line, int64_t now_ns);

/*
 * Returns, and resets, the next row to be summed up: its burst has ended, or it
 * has held lines back for 10 s; with wants_all, any row with lines.  *idx is 0
 * for the first call; false: no more.
 */
bool peers_next_held(struct peers *p, unsigned *idx, int64_t now_ns,
		     bool wants_all, struct peers_held *out);

/* Hashes of a peer's address, without the port; and of a user name at such an
 * address. */
uint64_t peers_address(const char *peer);
uint64_t peers_client(uint64_t address, const char *name);

#endif
