#include "config.h"

#include "client/catchup.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"
#include "client/catchup_private.h"
#include "journal/file.h"
#include "ring/batch.h"
#include "schema/record.h"
#include "schema/update.h"

enum {
	LONG_READ = CATCHUP_READS, /* slot of its ticket */
};

/* ---- open and close ---- */

static uint8_t *
map(size_t len)
{
	void *at = mmap(NULL, len, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

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
	list_init(&cu->hungry);
	list_init(&cu->news);
	cu->memory = map(CATCHUP_READS * CATCHUP_READ_BYTES);
	/* None of message.buffers: who reads the past waits for nobody. */
	cu->scratch = map(CATCHUP_SCRATCHES * settings->message.max);
	if (cu->memory == NULL || cu->scratch == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < CATCHUP_READS; i++)
		cu->reads[i].at = cu->memory + i * CATCHUP_READ_BYTES;
	cu->whole = cu->scratch;
	cu->frame = cu->whole + settings->message.max;
	cu->long_read.at = cu->frame + settings->message.max;
	return 0;
}

void
catchup_close(struct catchup *cu)
{
	/* A read that hangs in the disk still writes there. */
	if (catchup_is_reading(cu))
		return;
	(void)munmap(cu->memory, CATCHUP_READS * CATCHUP_READ_BYTES);
	(void)munmap(cu->scratch,
		     CATCHUP_SCRATCHES * cu->settings->message.max);
}

bool
catchup_is_reading(const struct catchup *cu)
{
	for (unsigned i = 0; i < CATCHUP_READS; i++)
		if (cu->reads[i].file != NULL)
			return true;
	return cu->long_read.file != NULL;
}

/* ---- who waits ---- */

static struct connection *
connection_of(struct list *node)
{
	return container_of(node, struct connection, consumer.past.node);
}

void
catchup_wake(struct catchup *cu, struct connection *c)
{
	struct past *p = &c->consumer.past;

	delivery_wake(cu->delivery, c);
	if (!p->is_reading && !list_is_linked(&p->node) &&
	    consumer_is_hungry(&c->consumer))
		list_append(&cu->hungry, &p->node);
}

struct connection *
catchup_next_news(struct catchup *cu)
{
	struct list *first = cu->news.next;

	if (list_is_empty(&cu->news))
		return NULL;
	list_remove(first);
	return connection_of(first);
}

static void
give_back_memory(struct connection *c)
{
	(void)madvise(c->consumer.past.buffer, CATCHUP_BUFFER_BYTES,
		      MADV_DONTNEED);
	c->consumer.past.is_touched = false;
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
		give_back_memory(c);
}

static void
tell(struct catchup *cu, struct connection *c, enum past_news news)
{
	list_remove(&c->consumer.past.node);
	list_append(&cu->news, &c->consumer.past.node);
	c->consumer.past.news = news;
}

/* ---- from records to frames ---- */

/* A record as it is in the file, and what is known of its frame. */
struct found {
	struct journal_record record;
	const struct schema_table *table; /* NULL: nobody can have it */
	bool is_verbatim; /* it has the frame's own bytes; else: */
	struct update u;
	struct past_message message;
	uint32_t picked_cnt; /* rows in the frame, of one that is filtered; 0:
				all, or none */
};

static void
tell_refused(struct catchup *cu, const struct journal_record *r)
{
	char table[64];

	if (cu->refused_records++ > 0)
		return;
	log_line(LOG_WARN, "journal_records_refused",
		 "table=%s hint=\"records from before this start that the "
		 "schema does not take are not sent; told once\"",
		 log_value(table, sizeof(table), r->table, r->table_len));
}

/*
 * What others wrote, before this run, may have any form that q logs: it is
 * read like an update from a feed.  What does not fit the schema any more is
 * nobody's.
 */
static void
look_at_foreign(struct catchup *cu, struct found *f)
{
	const struct journal_record *r = &f->record;
	size_t x_len = r->len - (size_t)(r->x - r->at);
	struct update *u = &f->u;
	const char *why;

	f->message.pos_len = r->len;
	if (f->table != NULL &&
	    (update_parse(f->table, r->x, x_len, cu->settings->schema.check, u,
			  &why) != UPDATE_OK ||
	     u->rows == 0 || u->frame_len > cu->settings->message.max))
		f->table = NULL;
	if (f->table == NULL) {
		tell_refused(cu, r);
		return;
	}
	f->message.frame_len = u->frame_len;
	f->is_verbatim = u->form == UPDATE_COLUMNS && u->is_verbatim &&
			 u->has_time &&
			 u->frame_len == r->len + record_saves(f->table);
}

/* The columns of a record of our own. */
static struct rows
rows_of_record(const struct found *f)
{
	size_t start = record_start_len(f->table) + WIRE_LIST_HEADER_BYTES;

	return rows_of_columns(f->record.at + start, f->record.len - start);
}

/* Of a record of which the consumer wants the rows of some symbols. */
static void
pick_rows(struct catchup *cu, const struct consumer *c, struct found *f)
{
	struct filter *filter = &cu->streams->filter;
	struct rows rows;

	if (f->is_verbatim) {
		rows = rows_of_record(f);
	} else {
		update_write(&f->u, 0, cu->whole);
		rows = rows_of_frame(f->table, cu->whole);
	}
	filter_look(filter, f->table, rows);
	f->picked_cnt = filter_pick(filter, c->past.selection.symbols);
	f->is_verbatim = false;
	f->message.is_selected = f->picked_cnt > 0;
	f->message.frame_len =
		f->picked_cnt > 0 ? filter_frame_len(filter, f->picked_cnt) : 0;
}

/* What a record is, whatever rows of it are wanted. */
static void
identify(struct catchup *cu, const struct consumer *c, struct found *f)
{
	const struct past *p = &c->past;
	const struct journal_record *r = &f->record;

	f->table = schema_find(&cu->settings->tables, r->table, r->table_len);
	f->is_verbatim = p->at.off >= p->at.file->first_off && f->table != NULL;
	f->message = (struct past_message){ .is_record = true,
					    .record_len = r->len };
	if (f->is_verbatim) {
		f->message.frame_len = r->len + record_saves(f->table);
		f->message.pos_len = f->message.frame_len;
	} else {
		look_at_foreign(cu, f);
	}
	f->picked_cnt = 0;
	f->message.is_selected =
		f->table != NULL && selection_has(&p->selection, f->table->idx);
}

static void
look_at(struct catchup *cu, const struct consumer *c, struct found *f)
{
	identify(cu, c, f);
	if (f->message.is_selected &&
	    selection_filters(&c->past.selection, f->table->idx))
		pick_rows(cu, c, f);
}

static void
write_frame(const struct catchup *cu, const struct found *f, uint8_t *at)
{
	if (f->picked_cnt > 0)
		(void)filter_frame_write(&cu->streams->filter, f->picked_cnt,
					 at);
	else if (f->is_verbatim)
		record_to_frame(f->table, f->record.at, f->record.len, at);
	else
		update_write(&f->u, 0, at);
}

/* Accounts for the first message of a buffer: len bytes of it are there. */
static void
note_first(struct past *p, bool is_record, size_t len)
{
	int64_t time_ns = history_time(&p->at);

	p->first_len = len;
	p->is_first_record = is_record;
	/* Before the first one nothing newer can be the oldest. */
	if (time_ns > p->time_ns)
		p->time_ns = time_ns;
}

/* Puts the last `wanted` bytes of a frame, written behind the buffer's end,
 * at its end. */
static void
keep_end(struct past *p, const struct past_message *m, size_t wanted)
{
	uint8_t *at = p->buffer + p->len;

	if (wanted < m->frame_len)
		memmove(at, at + m->frame_len - wanted, wanted);
	if (p->len == 0)
		note_first(p, m->is_record, wanted);
	p->len += wanted;
}

static bool
has_room(const struct past *p, size_t frame_len)
{
	return frame_len <= CATCHUP_BUFFER_BYTES - p->len;
}

static void
empty_buffer(struct past *p)
{
	p->len = p->sent = p->first_len = 0;
}

/* Fills the consumer's buffer with what of [off, off + len) of its file, which
 * bytes are, comes next. */
static void
serve(struct catchup *cu, struct connection *c, const uint8_t *bytes,
      uint64_t off, size_t len)
{
	struct past *p = &c->consumer.past;
	struct found f;
	const char *why;

	empty_buffer(p);
	while (p->at.pos != consumer_past_end(&c->consumer) &&
	       !consumer_claims_too_much(&c->consumer) &&
	       journal_next(bytes, len, p->at.off - off, &f.record, &why) ==
		       JOURNAL_RECORD) {
		size_t wanted;

		look_at(cu, &c->consumer, &f);
		wanted = consumer_wants(&c->consumer, &f.message);
		if (wanted > 0) {
			if (!has_room(p, f.message.frame_len))
				break;
			write_frame(cu, &f, p->buffer + p->len);
			keep_end(p, &f.message, wanted);
		}
		consumer_pass(&c->consumer, &f.message);
	}
}

/*
 * The same in batches: as many records as the buffer holds become one message
 * of each table.  Not those of others, nor one that was begun in the ring: they
 * are served one by one.  false if one of these comes first.
 */
static bool
serve_batch(struct catchup *cu, struct connection *c, const uint8_t *bytes,
	    uint64_t off, size_t len)
{
	struct past *p = &c->consumer.past;
	uint64_t end_pos = consumer_past_end(&c->consumer);
	size_t max = (size_t)min_u64(CATCHUP_BUFFER_BYTES,
				     cu->settings->message.max);
	struct found f;
	const char *why;

	if (cu->streams->batch == NULL || p->skip_bytes > 0 ||
	    p->at.off < p->at.file->first_off)
		return false;
	empty_buffer(p);
	batch_start(cu->streams);
	while (p->at.pos != end_pos &&
	       journal_next(bytes, len, p->at.off - off, &f.record, &why) ==
		       JOURNAL_RECORD) {
		identify(cu, &c->consumer, &f);
		if (consumer_wants(&c->consumer, &f.message) > 0 &&
		    !batch_take(cu->streams, f.table, rows_of_record(&f),
				f.message.frame_len, max))
			break;
		consumer_pass(&c->consumer, &f.message);
	}
	p->len = batch_write(cu->streams, &p->selection, p->buffer);
	if (p->len > 0)
		note_first(p, true, stream_frame_len(p->buffer));
	return true;
}

/* At the end of a day's file: its mark, and on to the next one. */
static void
serve_mark(struct catchup *cu, struct connection *c)
{
	struct past *p = &c->consumer.past;
	struct history_file *next = history_next(cu->history, p->at.file);
	const struct past_message mark = { .is_selected = true,
					   .frame_len = MARK_BYTES,
					   .pos_len = MARK_BYTES };
	size_t wanted = consumer_wants(&c->consumer, &mark);

	empty_buffer(p);
	p->at.file->is_end_told = true;
	mark_write(p->buffer, p->at.file->day);
	keep_end(p, &mark, wanted);
	consumer_pass(&c->consumer, &mark);
	consumer_next_file(&c->consumer, next);
}

/* ---- reading ---- */

static void
start_read(struct catchup *cu, struct catchup_read *read, unsigned slot,
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

/* The long record that stands at its place. Returns its table. */
static const struct schema_table *
long_message(const struct consumer *c, struct past_message *out)
{
	const struct past *p = &c->past;
	const struct schema_table *t = p->long_table;
	size_t frame_len = p->long_len + record_saves(t);

	*out = (struct past_message){
		.is_record = true,
		.is_selected = true,
		.record_len = p->long_len,
		.frame_len = frame_len,
		.pos_len = p->at.off >= p->at.file->first_off ? frame_len
							      : p->long_len,
	};
	return t;
}

/* Where in a long record the next piece of what its frame shares with it
 * begins. */
static uint64_t
piece_off(const struct consumer *c)
{
	struct past_message m;
	const struct schema_table *t = long_message(c, &m);
	size_t done = m.frame_len - consumer_wants(c, &m);
	size_t start = frame_start_len(t);

	return record_start_len(t) + (done > start ? done - start : 0);
}

static struct catchup_read *
free_read(struct catchup *cu)
{
	for (unsigned i = 0; i < CATCHUP_READS; i++)
		if (cu->reads[i].file == NULL)
			return &cu->reads[i];
	return NULL;
}

static void
start_long_read(struct catchup *cu, struct connection *c)
{
	struct past *p = &c->consumer.past;

	if (cu->long_read.file != NULL)
		return;
	start_read(cu, &cu->long_read, LONG_READ, c, p->at.off,
		   min_u64(p->long_bytes, cu->settings->message.max));
}

/* Under the return mark of the smallest ring that it could go to. */
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
	give_back_memory(c);
	tell(cu, c, NEWS_CAUGHT_UP);
	delivery_wake(cu->delivery, c);
	return true;
}

void
catchup_try_return(struct catchup *cu, struct connection *c, int64_t now_ns)
{
	if (list_is_linked(&c->consumer.past.node) &&
	    consumer_is_hungry(&c->consumer) &&
	    c->consumer.writing == PART_NONE)
		(void)return_to_ring(cu, c, now_ns);
}

/* Does what can be done for one who is hungry. */
static void
feed(struct catchup *cu, struct connection *c, int64_t now_ns)
{
	struct past *p = &c->consumer.past;
	struct catchup_read *read;
	uint64_t off;

	if (consumer_claims_too_much(&c->consumer)) {
		tell(cu, c, NEWS_LOST);
		return;
	}
	/* Nothing was written at whose end this would be seen. */
	if (consumer_advance(&c->consumer)) {
		tell(cu, c, NEWS_ANSWERED);
		return;
	}
	if (return_to_ring(cu, c, now_ns))
		return;
	if (p->at.pos == consumer_past_end(&c->consumer))
		return;
	/* An entry of the index may be of what is not written yet. */
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
		start_long_read(cu, c);
		return;
	}
	read = free_read(cu);
	if (read == NULL)
		return;
	off = p->at.off;
	if (p->long_len > 0)
		off += piece_off(&c->consumer);
	start_read(cu, read, (unsigned)(read - cu->reads), c, off,
		   CATCHUP_READ_BYTES);
}

void
catchup_run(struct catchup *cu, int64_t now_ns)
{
	struct list *n, *next;

	for (n = cu->hungry.next; n != &cu->hungry; n = next) {
		struct connection *c = connection_of(n);

		next = n->next;
		if (consumer_is_hungry(&c->consumer))
			feed(cu, c, now_ns);
		else
			list_remove(n);
	}
}

/* ---- what was read ---- */

/* The consumer that asked, if it is still there. */
static struct connection *
owner_of(const struct catchup_read *read)
{
	struct connection *c = read->owner;

	return c->generation == read->generation &&
			       c->state != CONNECTION_CLOSING &&
			       consumer_is_hungry(&c->consumer)
		       ? c
		       : NULL;
}

/* After a read: gives it what it can take. */
static void
take(struct catchup *cu, struct connection *c, const struct catchup_read *read,
     size_t len)
{
	struct past *p = &c->consumer.past;
	uint64_t before = p->at.off;

	if (!serve_batch(cu, c, read->at, read->off, len))
		serve(cu, c, read->at, read->off, len);
	/* Nothing whole from its very beginning on: a long one. */
	if (p->at.off == before && before == read->off &&
	    p->at.pos != consumer_past_end(&c->consumer))
		p->long_bytes = 4 * CATCHUP_READ_BYTES;
}

/* Others who are hungry and stand in what was read, not too many at once. */
static void
take_others(struct catchup *cu, const struct catchup_read *read, size_t len)
{
	struct list *n, *next;
	unsigned left = CATCHUP_READS;

	for (n = cu->hungry.next; n != &cu->hungry && left > 0; n = next) {
		struct connection *c = connection_of(n);
		struct past *p = &c->consumer.past;

		next = n->next;
		if (p->at.file != read->file || p->long_bytes > 0 ||
		    p->long_len > 0 || p->at.off < read->off ||
		    p->at.off - read->off >= len / 2 ||
		    !consumer_is_hungry(&c->consumer))
			continue;
		list_remove(n);
		take(cu, c, read, len);
		catchup_wake(cu, c);
		left--;
	}
}

/* A piece of `len` bytes of a long record's frame is in the buffer. */
static void
pass_piece(struct connection *c, const struct past_message *m, size_t len)
{
	struct past *p = &c->consumer.past;
	size_t wanted = consumer_wants(&c->consumer, m);

	p->len = len;
	note_first(p, len == wanted, len);
	if (len < wanted) {
		consumer_pass_piece(&c->consumer, len);
		return;
	}
	p->long_bytes = p->long_len = 0;
	consumer_pass(&c->consumer, m);
}

/*
 * A long record was read whole.  Its frame is sent in pieces, each read again:
 * a consumer that does not move keeps no buffer of the pool.  What has another
 * form in the file than in its frame, from before this run or because it is
 * filtered, is the exception: for each piece it is read whole again, and made
 * again.
 */
static void
take_long(struct catchup *cu, struct connection *c, struct found *f)
{
	struct past *p = &c->consumer.past;
	const struct past_message *m = &f->message;
	size_t wanted = consumer_wants(&c->consumer, m), len;

	p->long_bytes = f->record.len;
	if (wanted == 0) {
		p->long_bytes = 0;
		consumer_pass(&c->consumer, m);
		return;
	}
	if (f->is_verbatim) {
		p->long_bytes = 0;
		p->long_len = f->record.len;
		p->long_table = f->table;
		return;
	}
	write_frame(cu, f, cu->frame);
	len = min_u64(wanted, CATCHUP_BUFFER_BYTES);
	empty_buffer(p);
	memcpy(p->buffer, cu->frame + m->frame_len - wanted, len);
	pass_piece(c, m, len);
}

/* A record of others that is longer than any message: nobody can have it.
 * false if nobody knows where it ends. */
static bool
pass_too_long(struct catchup *cu, struct connection *c)
{
	struct past *p = &c->consumer.past;
	uint64_t end = history_record_end(&p->at);
	struct past_message m = { .is_record = true };
	struct journal_record unread = { .table = "?", .table_len = 1 };

	if (end == 0)
		return false;
	m.record_len = m.pos_len = (size_t)(end - p->at.off);
	consumer_pass(&c->consumer, &m);
	tell_refused(cu, &unread);
	p->long_bytes = 0;
	return true;
}

static void
long_read_completed(struct catchup *cu, struct connection *c, size_t len)
{
	struct catchup_read *read = &cu->long_read;
	struct past *p = &c->consumer.past;
	struct found f;
	const char *why;

	if (journal_next(read->at, len, 0, &f.record, &why) == JOURNAL_RECORD) {
		look_at(cu, &c->consumer, &f);
		take_long(cu, c, &f);
		return;
	}
	if (len == read->len && len < cu->settings->message.max &&
	    read->off + len < read->file->written_off) {
		p->long_bytes *= 4;
		return;
	}
	if (len >= cu->settings->message.max && pass_too_long(cu, c))
		return;
	log_line(LOG_ERROR, "journal_unreadable", "off=%llu why=\"%s\"",
		 (unsigned long long)read->off, why);
	tell(cu, c, NEWS_UNREADABLE);
}

/* The next piece of a long record's frame: what is left of the start, and of
 * what was read from piece_off on. */
static void
take_piece(struct connection *c, const uint8_t *bytes, size_t len)
{
	struct past *p = &c->consumer.past;
	struct past_message m;
	const struct schema_table *t = long_message(&c->consumer, &m);
	size_t wanted = consumer_wants(&c->consumer, &m);
	size_t done = m.frame_len - wanted, start = frame_start_len(t);
	size_t head = done < start ? start - done : 0, body;
	uint8_t *at = p->buffer;

	empty_buffer(p);
	if (head > 0) {
		frame_start_write(t, p->long_len, at);
		memmove(at, at + done, head);
	}
	body = min_u64(len,
		       min_u64(CATCHUP_BUFFER_BYTES - head, wanted - head));
	memcpy(at + head, bytes, body);
	pass_piece(c, &m, head + body);
}

void
catchup_completed(struct catchup *cu, struct ticket ticket, int32_t result)
{
	bool is_long = ticket.slot == LONG_READ;
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
	if (c != NULL && result <= 0 && !is_again) {
		log_line(LOG_ERROR, "journal_unreadable", "off=%llu why=\"%s\"",
			 (unsigned long long)read->off,
			 result == 0 ? "the file is shorter than it was"
				     : strerror(-result));
		tell(cu, c, NEWS_UNREADABLE);
	}
	if (c != NULL && result > 0) {
		if (is_long)
			long_read_completed(cu, c, (size_t)result);
		else if (c->consumer.past.long_len > 0)
			take_piece(c, read->at, (size_t)result);
		else
			take(cu, c, read, (size_t)result);
	}
	if (c != NULL)
		catchup_wake(cu, c);
	if (!is_long && !is_piece && result > 0)
		take_others(cu, read, (size_t)result);
	read->file->readers--;
	read->file = NULL;
}
