#include "config.h"

#include "client/clients.h"

#include <errno.h>
#include <stdlib.h>

#include "base/memory.h"

int
clients_open(struct clients *all, unsigned max, size_t receive_bytes,
	     size_t reply_bytes, struct streams *streams)
{
	*all = (struct clients){ .max = max,
				 .limit = max,
				 .receive_bytes = receive_bytes,
				 .reply_bytes = reply_bytes };
	list_init(&all->free);
	list_init(&all->open);
	list_init(&all->hello);
	list_init(&all->refused);
	list_init(&all->lost);
	all->slots = calloc(max, sizeof(*all->slots));
	all->receive_memory = memory_map(max * receive_bytes);
	all->reply_memory = memory_map(max * reply_bytes);
	all->journal_memory = memory_map(max * (size_t)CATCHUP_BUFFER_BYTES);
	if (all->slots == NULL || all->receive_memory == NULL ||
	    all->reply_memory == NULL || all->journal_memory == NULL) {
		clients_close(all);
		return -ENOMEM;
	}
	/* Slots are taken from the end of the list: so slot 0 comes first. */
	for (unsigned i = max; i-- > 0;) {
		struct connection *c = &all->slots[i];

		c->slot = i;
		c->small = all->receive_memory + i * receive_bytes;
		c->small_bytes = receive_bytes;
		c->buffer = c->small;
		c->consumer.streams = streams;
		c->consumer.reply = all->reply_memory + i * reply_bytes;
		c->consumer.past.buffer =
			all->journal_memory + i * (size_t)CATCHUP_BUFFER_BYTES;
		list_append(&all->free, &c->open_node);
	}
	return 0;
}

void
clients_close(struct clients *all)
{
	memory_unmap(all->receive_memory, all->max * all->receive_bytes);
	memory_unmap(all->reply_memory, all->max * all->reply_bytes);
	memory_unmap(all->journal_memory,
		     all->max * (size_t)CATCHUP_BUFFER_BYTES);
	free(all->slots);
}

void
clients_limit(struct clients *all, unsigned cnt)
{
	for (; all->limit > cnt; all->limit--)
		list_remove(all->free.next);
}

struct connection *
clients_find_free(const struct clients *all)
{
	return list_is_empty(&all->free)
		       ? NULL
		       : container_of(all->free.prev, struct connection,
				      open_node);
}

void
clients_add(struct clients *all, struct connection *c, int fd,
	    enum slow_policy policy)
{
	list_remove(&c->open_node);
	connection_start(c, fd, policy);
	list_append(&all->open, &c->open_node);
	list_append(&all->hello, &c->hello_node);
	all->open_cnt++;
}

void
clients_let_in(struct clients *all, struct connection *c)
{
	list_remove(&c->hello_node);
	c->is_in = true;
	all->in_cnt++;
}

void
clients_remove(struct clients *all, struct connection *c)
{
	all->in_cnt -= c->is_in;
	list_remove(&c->open_node);
	list_append(&all->free, &c->open_node);
	all->open_cnt--;
}
