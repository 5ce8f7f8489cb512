/*
 * The publishers since the start, by user name and address.  A share of
 * connections.max is kept for those that have gone, so that a client that
 * connects again and again cannot shut the feeds out.
 *
 * A fixed table.  A client can make up names at no cost: so a publisher that
 * has gone is expected back for no longer than it was connected (but see
 * below), and one address has at most half of the rows.  A new publisher takes
 * the row of the one whose time ends first.  Pure; called by daemon/session.c.
 */
#ifndef RINGTICK_CLIENT_PUBLISHERS_H
#define RINGTICK_CLIENT_PUBLISHERS_H

#include <stdbool.h>
#include <stdint.h>

enum {
	PUBLISHERS_MAX = 64,
	PUBLISHERS_OF_ADDRESS = PUBLISHERS_MAX / 2,
	PUBLISHERS_SHARE = 8, /* an eighth of the connections */
};

struct publishers {
	struct publisher {
		uint64_t key;
		uint64_t address;
		unsigned here;	  /* its connections; 0: it has gone */
		int64_t since_ns; /* when the first of these published;
				     monotonic */
		int64_t until_ns; /* end of the time it is expected back */
	} all[PUBLISHERS_MAX];
	unsigned cnt;
};

/* A connection has published for the first time; a connection that had
 * published has gone.  `address` is shares_of_address; now_ns is monotonic. */
void publishers_came(struct publishers *p, const char *name, uint64_t address,
		     int64_t now_ns);
void publishers_left(struct publishers *p, const char *name, uint64_t address,
		     int64_t now_ns);

/* Whether a publisher of that name and address is in the table. */
bool publishers_know(const struct publishers *p, const char *name,
		     uint64_t address);

/*
 * Whether a new connection may stay, if slots_free of slots_max remain free
 * beside it.  The last eighth is for those who may publish; and of these, as
 * many as are expected back come first, each for as long as it was connected,
 * at least 10 s and at most an hour.
 */
bool publishers_may_stay(const struct publishers *p, const char *name,
			 uint64_t address, bool may_publish,
			 unsigned slots_free, unsigned slots_max,
			 int64_t now_ns);

#endif
