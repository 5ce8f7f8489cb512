/*
 * How many lines of the log one client may cause: so many at once, then one a
 * second, of each kind.  A client is an address and the name of its handshake;
 * what it connects from anew is the same client.  All names of one address may
 * cause as many lines as PEERS_NAMES of them.
 *
 * A fixed table: clients that fall into the same row share its lines, so that
 * however many there are, the log stays as small.  Pure; called by
 * daemon/report.c.
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
	PEERS_BURST_MIN = 64, /* lines at once */
	PEERS_BURST_MAX = 1024,
	PEERS_NAMES = 4,
};

/* A line that somebody would write. */
struct peers_line {
	const char *peer;   /* address and port, or "unix" */
	const char *user;   /* safe for the log */
	const char *event;  /* constants: the line's event ... */
	const char *reason; /* ... and what tells its kinds apart, or "" */
};

/* What was held back of a row since it was last summed up. */
struct peers_held {
	uint64_t lines;
	int64_t first_ns, last_ns;
	/* The first of them; others may have had the same row. */
	char address[PEERS_ADDRESS_BYTES];
	char user[PEERS_USER_BYTES];
	const char *event, *reason;
	uint64_t key;
	bool has_others;
};

struct peers {
	uint64_t seed; /* nobody can choose whose row he shares */
	int64_t burst_ns;
	struct {
		int64_t used_until_ns; /* the burst is used up to here */
		int64_t address_until_ns; /* so is that of all names */
		struct peers_held held;
	} rows[PEERS_ROWS];
};

void peers_init(struct peers *p, uint64_t burst, uint64_t seed);

/* Whether it may be written now; else it is counted. */
bool peers_may(struct peers *p, const struct peers_line *line, int64_t now_ns);

/*
 * What is to be summed up: rows whose burst has ended, or that have held lines
 * back for long, or all of them.  *idx is 0 for the first call; false: no more.
 */
bool peers_next_held(struct peers *p, unsigned *idx, int64_t now_ns,
		     bool wants_all, struct peers_held *out);

/* A number for the address of a peer, whatever its port; and for who has a name
 * there. */
uint64_t peers_address(const char *peer);
uint64_t peers_client(uint64_t address, const char *name);

#endif
