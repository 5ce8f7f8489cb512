/*
 * The table of all connections, and the memory that each has from the start:
 * for input, for replies, and for what it reads of the journal.
 *
 * A slot's number is its place in the engine's table of descriptors.
 */
#ifndef RINGTICK_CLIENT_CLIENTS_H
#define RINGTICK_CLIENT_CLIENTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/util.h"
#include "client/connection.h"

struct clients {
	struct connection *slots; /* max of them */
	unsigned max;
	unsigned limit;	   /* of them that may be open at once */
	unsigned open_cnt; /* slots that are not free */
	unsigned in_cnt;   /* of these, clients that were let in */
	struct list free;  /* open_node of free slots */
	struct list open;  /* open_node of the others, oldest first */
	struct list hello; /* hello_node of those that have not said who they
			      are, or wait for a check of it, oldest first */
	struct list refused; /* hello_node of those that were not let in, and
				have not gone yet, oldest first */

	struct list lost;  /* lost_node of those whose peer has ended, which
			      are to be closed */

	size_t receive_bytes, reply_bytes; /* of each */
	uint8_t *receive_memory;
	uint8_t *reply_memory;
	uint8_t *journal_memory;
};

/* Makes max free slots.  Memory is reserved here and taken when it is used.
 * 0 or -ENOMEM. */
int clients_open(struct clients *all, unsigned max, size_t receive_bytes,
		 size_t reply_bytes, struct streams *streams);

void clients_close(struct clients *all);

/* Lets no more than cnt be open at once; to be called while none is. */
void clients_limit(struct clients *all, unsigned cnt);

/* The free slot whose memory was used last; NULL: none is free. */
struct connection *clients_find_free(const struct clients *all);

/* That slot is in use from now on, by a client that has to say who it is;
 * connection_start is called. */
void clients_add(struct clients *all, struct connection *c, int fd,
		 enum slow_policy policy);

/* That client may stay. */
void clients_let_in(struct clients *all, struct connection *c);

/* The slot is free again; connection_fini has been called. */
void clients_remove(struct clients *all, struct connection *c);

/* The connection that was opened after c (NULL: the first); NULL: no more.  c
 * must still be open. */
static inline struct connection *
clients_next(const struct clients *all, const struct connection *c)
{
	const struct list *n = c == NULL ? all->open.next : c->open_node.next;

	return n == &all->open ? NULL
			       : container_of(n, struct connection, open_node);
}

/* The oldest in `hello` or `refused`; NULL: there is none. */
static inline struct connection *
clients_oldest(const struct list *l)
{
	return list_is_empty(l) ? NULL
				: container_of(l->next, struct connection,
					       hello_node);
}

#endif
