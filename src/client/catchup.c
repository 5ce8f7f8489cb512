#include "config.h"

#include "client/catchup.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "client/catchup_private.h"
#include "ring/batch.h"

/* ---- open and close ---- */

int
catchup_open(struct catchup *cu, const struct settings *settings,
	     struct engine *engine, struct streams *streams,
	     struct history *history, struct delivery *delivery)
{
	*cu = (struct catchup){ .settings = settings,
				.engine = engine,
				.streams = streams,
				.history = history,
				.delivery = delivery };
	list_init(&cu->need_read);
	list_init(&cu->outcomes);
	cu->memory = memory_map(CATCHUP_READS * CATCHUP_READ_BYTES);
	/* Not taken from message.buffers: readers of the past must not wait for
	 * other clients. */
	cu->scratch = memory_map(CATCHUP_SCRATCHES * settings->message.max);
	if (cu->memory == NULL || cu->scratch == NULL ||
	    catchup_long_open(cu) != 0)
		return -ENOMEM;
	for (unsigned i = 0; i < CATCHUP_READS; i++)
		cu->reads[i].at = cu->memory + i * CATCHUP_READ_BYTES;
	cu->whole = cu->scratch;
	cu->made.frame = cu->whole + settings->message.max;
	cu->long_read.at = cu->made.frame + settings->message.max;
	return 0;
}

void
catchup_close(struct catchup *cu)
{
	/* A read that hangs in the disk still writes to the memory. */
	if (catchup_is_reading(cu))
		return;
	memory_unmap(cu->memory, CATCHUP_READS * CATCHUP_READ_BYTES);
	memory_unmap(cu->scratch,
		     CATCHUP_SCRATCHES * cu->settings->message.max);
	catchup_long_close(cu);
}

uint64_t
catchup_memory(size_t message_max)
{
	return CATCHUP_READS * CATCHUP_READ_BYTES +
	       CATCHUP_SCRATCHES * (uint64_t)message_max +
	       filter_memory(message_max);
}

bool
catchup_is_reading(const struct catchup *cu)
{
	for (unsigned i = 0; i < CATCHUP_READS; i++)
		if (cu->reads[i].file != NULL)
			return true;
	return cu->long_read.file != NULL && !catchup_is_making(cu);
}

/* ---- serving ---- */

/* Keeps the last `wanted` bytes of a frame that was written after the buffer's
 * end. */
static void
keep_end(struct past *p, const struct past_message *m, size_t wanted)
{
	uint8_t *at = p->buffer + p->len;

	if (wanted < m->frame_len)
		memmove(at, at + m->frame_len - wanted, wanted);
	if (p->len == 0)
		catchup_note_first(p, m->is_record, wanted);
	p->len += wanted;
}

static bool
has_room(const struct past *p, size_t frame_len)
{
	return frame_len <= CATCHUP_BUFFER_BYTES - p->len;
}

/* false: it has no room. */
static bool
put_frame(struct catchup *cu, struct past *p, const struct catchup_found *f,
	  size_t wanted)
{
	if (!has_room(p, f->message.frame_len))
		return false;
	catchup_frame_write(cu, f, p->buffer + p->len);
	keep_end(p, &f->message, wanted);
	return true;
}

/* Into the batch's message of its table.  false: it has no room. */
static bool
put_rows(struct catchup *cu, const struct catchup_found *f)
{
	size_t max = (size_t)min_u64(CATCHUP_BUFFER_BYTES,
				     cu->settings->message.max);

	return batch_take(cu->streams, f->table, catchup_rows(f),
			  f->message.frame_len, max);
}

/* Records from before this run, and a message that was begun in the ring, are
 * served one by one. */
static bool
comes_in_batches(const struct catchup *cu, const struct past *p)
{
	return cu->streams->batch != NULL && p->skip_bytes == 0 &&
	       p->at.off >= p->at.file->first_off;
}

/*
 * Fills the consumer's buffer with its next messages; `bytes` are
 * [off, off + len) of its file.  In batches, as many records as fit into the
 * buffer become one message per table.
 */
static void
fill_buffer(struct catchup *cu, struct connection *c, const uint8_t *bytes,
	    uint64_t off, size_t len)
{
	struct past *p = &c->consumer.past;
	bool in_batch = comes_in_batches(cu, p);
	struct catchup_found f;
	const char *why;

	catchup_empty_buffer(p);
	if (in_batch)
		batch_start(cu->streams);
	while (p->at.pos != consumer_past_end(&c->consumer) &&
	       !consumer_claims_too_much(&c->consumer) &&
	       journal_next(bytes, len, p->at.off - off, &f.record, &why) ==
		       JOURNAL_RECORD) {
		size_t wanted;

		if (in_batch)
			catchup_identify(cu, &c->consumer, &f);
		else
			catchup_look(cu, &c->consumer, &f);
		wanted = consumer_wants(&c->consumer, &f.message);
		if (wanted > 0 && !(in_batch ? put_rows(cu, &f)
					     : put_frame(cu, p, &f, wanted)))
			break;
		consumer_pass(&c->consumer, &f.message);
	}
	if (!in_batch)
		return;
	p->len = batch_write(cu->streams, &p->selection, p->buffer);
	if (p->len > 0)
		catchup_note_first(p, true, stream_frame_len(p->buffer));
}

/* At the end of a day's file: serves its mark, and continues in the next
 * file. */
static void
serve_mark(struct catchup *cu, struct connection *c)
{
	struct past *p = &c->consumer.past;
	struct history_file *next = history_next(cu->history, p->at.file);
	const struct past_message mark = { .is_selected = true,
					   .frame_len = MARK_BYTES,
					   .pos_len = MARK_BYTES };
	size_t wanted = consumer_wants(&c->consumer, &mark);

	catchup_empty_buffer(p);
	p->at.file->is_end_told = true;
	mark_write(p->buffer, p->at.file->day);
	keep_end(p, &mark, wanted);
	consumer_pass(&c->consumer, &mark);
	consumer_next_file(&c->consumer, next);
}

/* ---- reading ---- */

static struct catchup_read *
free_read(struct catchup *cu)
{
	for (unsigned i = 0; i < CATCHUP_READS; i++)
		if (cu->reads[i].file == NULL)
			return &cu->reads[i];
	return NULL;
}

/* Whether its lag is under the return mark of the smallest ring that it could
 * return to. */
static bool
may_return(const struct catchup *cu, const struct past *p)
{
	const struct stream *main = &cu->streams->main;
	uint64_t ring = main->ring.size;

	if (!selection_is_equal(&p->selection, &main->selection))
		ring = min_u64(ring, cu->settings->streams.ring);
	return main->visible_pos - p->at.pos <
	       ring / 100 * cu->settings->slow.return_percent;
}

static bool
return_to_ring(struct catchup *cu, struct connection *c, int64_t now_ns)
{
	if (!may_return(cu, &c->consumer.past) ||
	    !consumer_return(&c->consumer, now_ns))
		return false;
	catchup_free_buffer(c);
	catchup_tell(cu, c, OUTCOME_CAUGHT_UP);
	delivery_wake(cu->delivery, c);
	return true;
}

void
catchup_try_return(struct catchup *cu, struct connection *c, int64_t now_ns)
{
	if (list_is_linked(&c->consumer.past.node) &&
	    consumer_needs_read(&c->consumer) &&
	    c->consumer.writing == PART_NONE)
		(void)return_to_ring(cu, c, now_ns);
}

/* Does the next step for a consumer that needs a read. */
static void
serve_consumer(struct catchup *cu, struct connection *c, int64_t now_ns)
{
	struct past *p = &c->consumer.past;
	struct catchup_read *read;
	uint64_t off;

	if (consumer_claims_too_much(&c->consumer)) {
		catchup_tell(cu, c, OUTCOME_LOST);
		return;
	}
	/* Without a write there is no completion that would end the reply. */
	if (consumer_advance(&c->consumer)) {
		catchup_tell(cu, c, OUTCOME_ANSWERED);
		return;
	}
	if (return_to_ring(cu, c, now_ns))
		return;
	if (p->at.pos == consumer_past_end(&c->consumer))
		return;
	/* An entry of the index may be for a record that is not written yet. */
	if (p->at.off >= p->at.file->written_off) {
		if (p->at.off > p->at.file->written_off ||
		    !p->at.file->is_ended ||
		    history_next(cu->history, p->at.file) == NULL)
			return;
		serve_mark(cu, c);
		list_remove(&p->node);
		catchup_wake(cu, c);
		return;
	}
	if (cu->history->is_doubted &&
	    p->at.file == history_last(cu->history))
		return;
	if (p->long_bytes > 0) {
		catchup_long_feed(cu, c, now_ns);
		return;
	}
	read = free_read(cu);
	if (read == NULL)
		return;
	off = p->at.off;
	if (p->long_len > 0)
		off += catchup_piece_off(&c->consumer);
	catchup_read_start(cu, read, (unsigned)(read - cu->reads), c, off,
			   CATCHUP_READ_BYTES);
}

void
catchup_run(struct catchup *cu, int64_t now_ns)
{
	struct list *n, *next;

	cu->now_ns = now_ns;
	catchup_long_run(cu);
	for (n = cu->need_read.next; n != &cu->need_read; n = next) {
		struct connection *c = catchup_connection(n);

		next = n->next;
		if (consumer_needs_read(&c->consumer))
			serve_consumer(cu, c, now_ns);
		else
			list_remove(n);
	}
}

/* ---- completions ---- */

/* The consumer that asked, if it is still there. */
static struct connection *
owner_of(const struct catchup_read *read)
{
	struct connection *c = catchup_owner(read->owner, read->generation);

	return c != NULL && consumer_needs_read(&c->consumer) ? c : NULL;
}

/* Gives a consumer its records out of a read. */
static void
take_records(struct catchup *cu, struct connection *c,
	     const struct catchup_read *read, size_t len)
{
	struct past *p = &c->consumer.past;
	uint64_t before = p->at.off;

	fill_buffer(cu, c, read->at, read->off, len);
	/* No whole record from the start of the read: it is long. */
	if (p->at.off == before && before == read->off &&
	    p->at.pos != consumer_past_end(&c->consumer))
		p->long_bytes = 4 * CATCHUP_READ_BYTES;
}

/* Serves other consumers whose place is in the first half of the read; at most
 * CATCHUP_READS of them, to bound the time. */
static void
take_others(struct catchup *cu, const struct catchup_read *read, size_t len)
{
	struct list *n, *next;
	unsigned left = CATCHUP_READS;

	for (n = cu->need_read.next; n != &cu->need_read && left > 0;
	     n = next) {
		struct connection *c = catchup_connection(n);
		struct past *p = &c->consumer.past;

		next = n->next;
		if (p->at.file != read->file || p->long_bytes > 0 ||
		    p->long_len > 0 || p->at.off < read->off ||
		    p->at.off - read->off >= len / 2 ||
		    !consumer_needs_read(&c->consumer))
			continue;
		list_remove(n);
		take_records(cu, c, read, len);
		catchup_wake(cu, c);
		left--;
	}
}

void
catchup_completed(struct catchup *cu, struct ticket ticket, int32_t result)
{
	bool is_long = ticket.slot == CATCHUP_LONG_READ;
	struct catchup_read *read =
		is_long ? &cu->long_read : &cu->reads[ticket.slot];
	struct connection *c = owner_of(read);
	bool is_piece = c != NULL && c->consumer.past.long_len > 0;
	bool is_again;

	if (read->is_checking)
		result = catchup_check_end(cu, read, result);
	else if (catchup_check_begin(cu, read, ticket, result))
		return;
	is_again = engine_is_again(result);
	if (c != NULL)
		c->consumer.past.is_reading = false;
	if (c != NULL && result <= 0 && !is_again)
		catchup_unreadable(cu, c, read->off,
				   result == 0 ? "the file is shorter than it "
						 "was"
					       : strerror(-result));
	if (c != NULL && result > 0) {
		if (is_long)
			catchup_long_completed(cu, c, (size_t)result);
		else if (c->consumer.past.long_len > 0)
			catchup_piece_take(c, read->at, (size_t)result);
		else
			take_records(cu, c, read, (size_t)result);
	}
	if (c != NULL)
		catchup_wake(cu, c);
	if (!is_long && !is_piece && result > 0)
		take_others(cu, read, (size_t)result);
	if (!is_long || !catchup_is_making(cu))
		catchup_read_end(read);
}
