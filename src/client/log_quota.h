/*
 * Limits the lines that clients may cause in the log.  One client has a burst,
 * then one line per second, of each kind.  A client is an address and the user
 * name of its handshake, whatever its port.  All names of one address together
 * may cause as many lines as PEERS_NAMES of them; all clients together, for
 * each event, as many as PEERS_ALL.  Those who publish or subscribe have as
 * many again for themselves, so a scanner cannot hide their lines; and each of
 * their addresses has a line a minute of each kind whatever the others do.
 *
 * A fixed table: clients that hash to the same row share its lines.  Pure;
 * called by daemon/report.c.
 */
#ifndef RINGTICK_CLIENT_LOG_QUOTA_H
#define RINGTICK_CLIENT_LOG_QUOTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"

enum {
	PEERS_ROWS = 256,
	PEERS_ADDRESS_BYTES = 48,
	PEERS_USER_BYTES = 128,
	PEERS_BURST_MIN = 64, /* shortest burst, in lines */
	PEERS_BURST_MAX = 1024,
	PEERS_NAMES = 4,
	PEERS_ALL = 8,
	PEERS_BITS = 1 << 14, /* to count addresses */
};

/* Events that clients cause. */
enum peers_event {
	PEERS_CONNECT,
	PEERS_DISCONNECT,
	PEERS_SUBSCRIBE,
	PEERS_REJECTED,
	PEERS_REQUEST_FAILED,
	PEERS_CONSUMER,
	PEERS_SKIP,
	PEERS_UNREAD,
	PEERS_EVENTS,
};

extern const char *const peers_event_names[PEERS_EVENTS];

/* A line to be written. */
struct peers_line {
	const char *peer; /* address and port, or "unix" */
	const char *user; /* safe for the log */
	enum peers_event event;
	const char *reason; /* distinguishes lines of one event, or "";
			       constant */
	bool is_known; /* the client publishes or subscribes, or has
			  published */
};

/* Lines held back since they were last summed up: of a row, or of all
 * clients. */
struct peers_held {
	uint64_t lines;
	int64_t first_ns, last_ns;
	/* The first of the lines; others may be of other clients. */
	char address[PEERS_ADDRESS_BYTES];
	char user[PEERS_USER_BYTES];
	enum peers_event event;
	const char *reason;
	uint64_t key;
	bool has_others;
	double addresses; /* how many, about; 0: not counted */
};

/* The lines of one event, of all clients. */
struct peers_total {
	int64_t used_until_ns[2]; /* by is_known */
	struct peers_held held;
	uint64_t seen[PEERS_BITS / 64]; /* hashes of the addresses held back */
	unsigned seen_cnt;
};

struct peers {
	uint64_t seed; /* secret, so that a client cannot choose the client to
			  share a row with */
	int64_t burst_ns;
	struct {
		int64_t used_until_ns; /* the burst is used up to here */
		int64_t address_until_ns; /* the same for all names of an
					     address */
		int64_t sure_ns; /* an address has its next sure line */
		struct peers_held held;
	} rows[PEERS_ROWS];
	struct peers_total totals[PEERS_EVENTS];
};

void peers_init(struct peers *p, uint64_t burst, uint64_t seed);

/* Whether a line may be written now; else it is counted.  now_ns is
 * monotonic. */
bool peers_may(struct peers *p, const struct peers_line *line, int64_t now_ns);

/*
 * Returns, and resets, the next lines to be summed up: their burst has ended,
 * or some have been held back for 10 s; with wants_all, any.  *idx is 0 for the
 * first call; false: no more.
 */
bool peers_next_held(struct peers *p, unsigned *idx, int64_t now_ns,
		     bool wants_all, struct peers_held *out);

/*
 * The faults of one connection: each of the first FAULTS_TOLD that differ has a
 * line when it is first met; other lines come once a second.
 */
enum { FAULTS_TOLD = 8 };

struct faults {
	struct log_limit limit;
	uint64_t told[FAULTS_TOLD]; /* hashes */
	unsigned told_cnt;
};

/* Of a request or table, and the error. */
uint64_t fault_hash(const char *of, const char *error);

/* Whether this connection may have a line about the fault now. */
bool faults_may(struct faults *f, uint64_t fault, int64_t now_ns);

/* The line was written. */
void faults_note(struct faults *f, uint64_t fault);

/* Hash of a user name at an address (shares_of_address). */
uint64_t peers_client(uint64_t address, const char *name);

#endif
