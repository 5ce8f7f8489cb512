/*
 * Shares: how many connections an address or a user has, and how many requests
 * a user makes in a second.
 *
 * A row is found by a key, which is a hash with a secret seed: a client cannot
 * choose to count as another.  A row without connections keeps its count of
 * requests until others need it, so a client does not get more by connecting
 * again.  Each call takes the same time however many connections there are.
 *
 * Pure except for memory, which is allocated by shares_open alone.
 */
#ifndef RINGTICK_CLIENT_SHARES_H
#define RINGTICK_CLIENT_SHARES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"
#include "client/listener.h"

struct share {
	uint64_t key;
	unsigned cnt;		/* connections */
	int64_t asked_until_ns; /* the requests so far are paid up to here */
	struct share *next;	/* in its bucket */
	struct list idle_node;	/* while cnt is 0 */
};

struct shares {
	struct share *rows;
	struct share **buckets;
	unsigned buckets_mask;
	struct list idle; /* the longest idle first */
	uint64_t seed;
};

/* For so many connections, each of which has an address and a user.  0 or
 * -ENOMEM; shares_close must follow in either case. */
int shares_open(struct shares *s, unsigned connections, uint64_t seed);
void shares_close(struct shares *s);

/* Bytes that shares_open allocates. */
uint64_t shares_memory(unsigned connections);

/* The keys of a user, and of an address: an IPv4 address, an IPv6 network of 64
 * bits, of which one machine can have every address; or a uid. */
uint64_t shares_of_user(const struct shares *s, const char *name);
uint64_t shares_of_address(const struct shares *s,
			   const struct peer_address *from);

/* Counts one more connection; NULL if there are `max` already (0: no
 * limit). */
struct share *shares_join(struct shares *s, uint64_t key, unsigned max);

/* That connection has gone.  NULL: none was counted. */
void shares_leave(struct shares *s, struct share *share);

/* Whether another request may be made now with a limit of per_s in a second,
 * which may come at once; share_note_request counts it. */
bool share_may_ask(const struct share *share, unsigned per_s, int64_t now_ns);
void share_note_request(struct share *share, unsigned per_s, int64_t now_ns);

#endif
