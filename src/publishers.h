/*
 * Who has published since the start, by user name and address: for those who
 * have gone a share of connections.max is kept, so that nobody who connects
 * again and again can shut the feeds out.
 *
 * A fixed table; the one that left first is forgotten for a new one.  Pure.
 * Called by session.c.
 */
#ifndef RINGTICK_PUBLISHERS_H
#define RINGTICK_PUBLISHERS_H

#include <stdbool.h>
#include <stdint.h>

enum {
	PUBLISHERS_MAX = 64,
	PUBLISHERS_SHARE = 8, /* an eighth of the connections at most */
};

struct publishers {
	struct publisher {
		uint64_t key;
		unsigned here;	 /* connections of it; 0: it is awaited */
		int64_t left_ns; /* when the last one went */
	} all[PUBLISHERS_MAX];
	unsigned cnt;
};

/* A connection has published for the first time; one that had, has gone. peer
 * is address and port, of which the address counts. */
void publishers_came(struct publishers *p, const char *name,
		     const char *peer);
void publishers_left(struct publishers *p, const char *name, const char *peer,
		     int64_t now_ns);

/*
 * Whether a newcomer may stay, where so many slots of slots_max are left free
 * beside it: the last ones are for those who are awaited, for an hour after
 * they went.
 */
bool publishers_may_stay(const struct publishers *p, const char *name,
			 const char *peer, unsigned slots_free,
			 unsigned slots_max, int64_t now_ns);

#endif
