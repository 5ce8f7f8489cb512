/*
 * Who has published since the start, by user name and address: for those who
 * have gone a share of connections.max is kept, so that nobody who connects
 * again and again can shut the feeds out.
 *
 * A fixed table.  Names cost nothing: so one that has gone is awaited for no
 * longer than it was here, and of one address there are half of the rows at
 * most.  For a new one that is forgotten which is awaited for the shortest
 * time.  Pure. Called by daemon/session.c.
 */
#ifndef RINGTICK_CLIENT_PUBLISHERS_H
#define RINGTICK_CLIENT_PUBLISHERS_H

#include <stdbool.h>
#include <stdint.h>

enum {
	PUBLISHERS_MAX = 64,
	PUBLISHERS_OF_ADDRESS = PUBLISHERS_MAX / 2,
	PUBLISHERS_SHARE = 8, /* an eighth of the connections at most */
};

struct publishers {
	struct publisher {
		uint64_t key;
		uint64_t address;
		unsigned here;	  /* connections of it; 0: it has gone: */
		int64_t since_ns; /* when the first of these published */
		int64_t until_ns; /* it is awaited */
	} all[PUBLISHERS_MAX];
	unsigned cnt;
};

/* A connection has published for the first time; one that had, has gone.
 * `address` is peers_address. */
void publishers_came(struct publishers *p, const char *name, uint64_t address,
		     int64_t now_ns);
void publishers_left(struct publishers *p, const char *name, uint64_t address,
		     int64_t now_ns);

/* Whether one of that name and address has published, and is remembered. */
bool publishers_know(const struct publishers *p, const char *name,
		     uint64_t address);

/*
 * Whether a newcomer may stay, where so many slots of slots_max are left free
 * beside it: the last ones are for those who are awaited: for as long as they
 * were here, but 10 s at least and an hour at most.
 */
bool publishers_may_stay(const struct publishers *p, const char *name,
			 uint64_t address, unsigned slots_free,
			 unsigned slots_max, int64_t now_ns);

#endif
