#include "config.h"

#include "client/catchup_private.h"

#include <sys/mman.h>

/* ---- its buffer ---- */

void
catchup_note_first(struct past *p, bool is_record, size_t len)
{
	int64_t time_ns = history_time(&p->at);

	p->first_len = len;
	p->is_first_record = is_record;
	/* Never back in time: messages come in order. */
	if (time_ns > p->time_ns)
		p->time_ns = time_ns;
}

void
catchup_empty_buffer(struct past *p)
{
	p->len = p->sent = p->first_len = 0;
}

void
catchup_free_buffer(struct connection *c)
{
	(void)madvise(c->consumer.past.buffer, CATCHUP_BUFFER_BYTES,
		      MADV_DONTNEED);
	c->consumer.past.is_touched = false;
}

/* ---- the queues ---- */

void
catchup_wake(struct catchup *cu, struct connection *c)
{
	struct past *p = &c->consumer.past;

	delivery_wake(cu->delivery, c);
	if (!p->is_reading && !list_is_linked(&p->node) &&
	    consumer_needs_read(&c->consumer))
		list_append(&cu->need_read, &p->node);
}

enum catchup_outcome
catchup_next_outcome(struct catchup *cu, struct connection **out)
{
	struct list *first = cu->outcomes.next;

	if (list_is_empty(&cu->outcomes))
		return OUTCOME_NONE;
	list_remove(first);
	*out = catchup_connection(first);
	return (*out)->consumer.past.outcome;
}

void
catchup_stop(struct connection *c)
{
	list_remove(&c->consumer.past.node);
}

void
catchup_forget(struct connection *c)
{
	catchup_stop(c);
	if (c->consumer.past.is_touched)
		catchup_free_buffer(c);
}

void
catchup_tell(struct catchup *cu, struct connection *c,
	     enum catchup_outcome outcome)
{
	list_remove(&c->consumer.past.node);
	list_append(&cu->outcomes, &c->consumer.past.node);
	c->consumer.past.outcome = outcome;
}

/* ---- a read ---- */

void
catchup_read_start(struct catchup *cu, struct catchup_read *read, unsigned slot,
		   struct connection *c, uint64_t off, size_t len_max)
{
	struct past *p = &c->consumer.past;
	uint64_t left = p->at.file->written_off - off;

	read->file = p->at.file;
	read->file->readers++;
	read->off = off;
	read->len = (size_t)min_u64(left, len_max);
	read->owner = c;
	read->generation = c->generation;
	read->changes = cu->history->changes;
	list_remove(&p->node);
	p->is_reading = true;
	engine_read(cu->engine, read->file->fd, read->at, read->len, read->off,
		    (struct ticket){ .slot = (uint16_t)slot,
				     .kind = ENGINE_CATCHUP });
}

void
catchup_read_end(struct catchup_read *read)
{
	read->file->readers--;
	read->file = NULL;
}
