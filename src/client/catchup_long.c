#include "config.h"

#include "client/catchup_private.h"

#include <string.h>

#include "schema/record.h"

/* Time for the work on a frame in one turn. */
#define MAKE_NS (2 * NS_PER_MS)
/* A frame is kept this long before another record may replace it.  With less,
 * consumers would replace each other's frame, and make their own anew for each
 * piece. */
#define KEPT_NS (100 * NS_PER_MS)

int
catchup_long_open(struct catchup *cu)
{
	return filter_open_beside(&cu->made.filter, &cu->streams->filter,
				  cu->settings->message.max);
}

void
catchup_long_close(struct catchup *cu)
{
	filter_close(&cu->made.filter);
}

/* ---- pieces of a frame ---- */

/* Notes a piece of `len` bytes of a long record's frame in the buffer. */
static void
pass_piece(struct connection *c, const struct past_message *m, size_t len)
{
	struct past *p = &c->consumer.past;
	size_t wanted = consumer_wants(&c->consumer, m);

	p->len = len;
	catchup_note_first(p, len == wanted, len);
	if (len < wanted) {
		consumer_pass_piece(&c->consumer, len);
		return;
	}
	p->long_bytes = p->long_len = 0;
	consumer_pass(&c->consumer, m);
}

/* Moves past a long record without sending any of its bytes. */
static void
pass_whole(struct connection *c, const struct past_message *m)
{
	c->consumer.past.long_bytes = 0;
	consumer_pass(&c->consumer, m);
}

/* Describes the long record at the consumer's place.  Returns its table. */
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

uint64_t
catchup_piece_off(const struct consumer *c)
{
	struct past_message m;
	const struct schema_table *t = long_message(c, &m);
	size_t done = m.frame_len - consumer_wants(c, &m);
	size_t start = record_frame_start_len(t);

	return record_start_len(t) + (done > start ? done - start : 0);
}

void
catchup_piece_take(struct connection *c, const uint8_t *bytes, size_t len)
{
	struct past *p = &c->consumer.past;
	struct past_message m;
	const struct schema_table *t = long_message(&c->consumer, &m);
	size_t wanted = consumer_wants(&c->consumer, &m);
	size_t done = m.frame_len - wanted, start = record_frame_start_len(t);
	size_t head = done < start ? start - done : 0, body;
	uint8_t *at = p->buffer;

	catchup_empty_buffer(p);
	if (head > 0) {
		record_write_frame_start(t, p->long_len, at);
		memmove(at, at + done, head);
	}
	body = min_u64(len,
		       min_u64(CATCHUP_BUFFER_BYTES - head, wanted - head));
	memcpy(at + head, bytes, body);
	pass_piece(c, &m, head + body);
}

/* ---- the frame that is made ---- */

/* Whether it is the frame that the consumer needs next. */
static bool
is_for(const struct catchup *cu, const struct connection *c)
{
	const struct catchup_made *made = &cu->made;
	const struct past *p = &c->consumer.past;

	return made->stage != MAKE_NOTHING && p->at.file == made->file &&
	       p->at.off == made->off &&
	       p->selection.symbols == made->symbols &&
	       selection_has(&p->selection, made->table_idx) &&
	       made->changes == cu->history->changes;
}

/* Drops the frame.  A consumer that waits for it queues again. */
static void
drop_frame(struct catchup *cu)
{
	struct catchup_made *made = &cu->made;
	struct connection *c = catchup_owner(made->owner, made->generation);

	if (catchup_is_making(cu)) {
		catchup_read_end(&cu->long_read);
		if (c != NULL) {
			c->consumer.past.is_reading = false;
			catchup_wake(cu, c);
		}
	}
	made->stage = MAKE_NOTHING;
	made->file->readers--;
	made->file = NULL;
	symbols_release(&cu->streams->filter.symbols, made->symbols);
	made->symbols = NULL;
}

/* Ends the making of a frame; frame_len: 0 if no row is wanted. */
static void
end_frame(struct catchup *cu, size_t frame_len)
{
	struct catchup_made *made = &cu->made;

	made->message.is_selected = frame_len > 0;
	made->message.frame_len = frame_len;
	made->stage = MAKE_DONE;
	made->done_ns = cu->streams->clock_ns();
}

/* Gives a piece of the frame to a consumer that needs it. */
static void
give_piece(struct catchup *cu, struct connection *c)
{
	struct catchup_made *made = &cu->made;
	const struct past_message *m = &made->message;
	struct past *p = &c->consumer.past;
	size_t wanted = consumer_wants(&c->consumer, m), len;

	made->owner = c;
	made->generation = c->generation;
	if (wanted == 0) {
		pass_whole(c, m);
	} else {
		len = min_u64(wanted, CATCHUP_BUFFER_BYTES);
		catchup_empty_buffer(p);
		memcpy(p->buffer, made->frame + m->frame_len - wanted, len);
		pass_piece(c, m, len);
	}
	if (!is_for(cu, c))
		drop_frame(cu);
}

/* For a record from before this run: writes the frame with all its rows, which
 * then takes the place of the record's bytes in long_read. */
static struct rows
rows_of_foreign(struct catchup *cu, const struct catchup_found *f)
{
	uint8_t *whole = cu->made.frame;

	update_write(&f->u, 0, whole);
	cu->made.frame = cu->long_read.at;
	cu->long_read.at = whole;
	return row_ops_of_frame(f->table, whole);
}

/* Starts to make the frame of the record that was read for a consumer. */
static void
begin_frame(struct catchup *cu, struct connection *c,
	    const struct catchup_found *f)
{
	struct catchup_made *made = &cu->made;
	struct past *p = &c->consumer.past;

	CHECK(made->stage == MAKE_NOTHING);
	made->file = p->at.file;
	made->file->readers++;
	made->off = p->at.off;
	made->changes = cu->long_read.changes;
	made->symbols = p->selection.symbols;
	symbols_hold(made->symbols);
	made->owner = c;
	made->generation = c->generation;
	made->table_idx = f->table->idx;
	made->message = f->message;
	if (!selection_filters(&p->selection, f->table->idx)) {
		update_write(&f->u, 0, made->frame);
		end_frame(cu, f->message.frame_len);
		return;
	}
	made->stage = MAKE_LOOK;
	p->is_reading = true;
	filter_look_begin(&made->filter, f->table,
			  f->is_verbatim ? catchup_rows(f)
					 : rows_of_foreign(cu, f));
}

static void
begin_write(struct catchup *cu)
{
	struct catchup_made *made = &cu->made;
	uint32_t cnt = filter_pick(&made->filter, made->symbols);

	if (cnt == 0) {
		end_frame(cu, 0);
		return;
	}
	filter_write_begin(&made->filter, cnt, made->frame);
	made->stage = MAKE_WRITE;
}

static void
make_some(struct catchup *cu)
{
	struct catchup_made *made = &cu->made;
	size_t len;

	if (made->stage == MAKE_LOOK) {
		if (filter_look_some(&made->filter, STREAM_PIECE_ROWS))
			begin_write(cu);
	} else if (filter_write_some(&made->filter, STREAM_PIECE_ROWS, &len)) {
		end_frame(cu, len);
	}
}

void
catchup_long_run(struct catchup *cu)
{
	struct catchup_made *made = &cu->made;
	struct connection *c;
	int64_t until_ns;

	made->is_awaited = false;
	if (made->stage == MAKE_NOTHING)
		return;
	c = catchup_owner(made->owner, made->generation);
	if (c == NULL || !is_for(cu, c)) {
		drop_frame(cu);
		return;
	}
	if (!catchup_is_making(cu))
		return;
	until_ns = cu->streams->clock_ns() + MAKE_NS;
	do {
		make_some(cu);
	} while (catchup_is_making(cu) && cu->streams->clock_ns() < until_ns);
	if (catchup_is_making(cu))
		return;
	catchup_read_end(&cu->long_read);
	c->consumer.past.is_reading = false;
	catchup_wake(cu, c);
}

/* ---- the record ---- */

/* Whether the frame may differ from the record's bytes in the file. */
static bool
may_need_frame(const struct past *p)
{
	return p->selection.symbols != NULL ||
	       p->at.off < p->at.file->first_off;
}

void
catchup_long_feed(struct catchup *cu, struct connection *c, int64_t now_ns)
{
	struct catchup_made *made = &cu->made;
	struct past *p = &c->consumer.past;

	if (made->stage == MAKE_DONE && is_for(cu, c)) {
		give_piece(cu, c);
		list_remove(&p->node);
		catchup_wake(cu, c);
		return;
	}
	if (cu->long_read.file != NULL)
		return;
	if (made->stage != MAKE_NOTHING && may_need_frame(p)) {
		if (now_ns - made->done_ns < KEPT_NS) {
			made->is_awaited = true;
			return;
		}
		drop_frame(cu);
	}
	catchup_read_start(cu, &cu->long_read, CATCHUP_LONG_READ, c, p->at.off,
			   min_u64(p->long_bytes, cu->settings->message.max));
}

int64_t
catchup_due_ns(const struct catchup *cu)
{
	if (catchup_is_making(cu))
		return 0;
	return cu->made.is_awaited ? cu->made.done_ns + KEPT_NS : INT64_MAX;
}

/*
 * Handles a long record that was read whole.  If the file has its frame's own
 * bytes, these are sent in pieces, and each is read again: so a consumer
 * that does not move holds no memory.  If the file has another form, because
 * the record is from before this run or is filtered, the frame is made once,
 * and kept until another consumer needs its place.
 */
static void
take_record(struct catchup *cu, struct connection *c,
	    const struct catchup_found *f)
{
	struct past *p = &c->consumer.past;
	const struct past_message *m = &f->message;

	p->long_bytes = f->record.len;
	if (!m->is_selected) {
		pass_whole(c, m);
	} else if (!f->is_verbatim ||
		   selection_filters(&p->selection, f->table->idx)) {
		begin_frame(cu, c, f);
	} else if (consumer_wants(&c->consumer, m) == 0) {
		pass_whole(c, m);
	} else {
		p->long_bytes = 0;
		p->long_len = f->record.len;
		p->long_table = f->table;
	}
}

/* Moves past a record from before this run that is longer than any message,
 * which cannot be sent.  false if its end is unknown. */
static bool
pass_too_long(struct catchup *cu, struct connection *c)
{
	const struct past *p = &c->consumer.past;
	uint64_t end = history_record_end(&p->at);
	struct past_message m = { .is_record = true };
	struct journal_record unread = { .table = "?", .table_len = 1 };

	if (end == 0)
		return false;
	m.record_len = m.pos_len = (size_t)(end - p->at.off);
	pass_whole(c, &m);
	catchup_tell_refused(cu, &unread);
	return true;
}

void
catchup_long_completed(struct catchup *cu, struct connection *c, size_t len)
{
	struct catchup_read *read = &cu->long_read;
	struct past *p = &c->consumer.past;
	struct catchup_found f;
	const char *why;

	if (journal_next(read->at, len, 0, &f.record, &why) == JOURNAL_RECORD) {
		catchup_identify(cu, &c->consumer, &f);
		take_record(cu, c, &f);
		return;
	}
	if (len == read->len && len < cu->settings->message.max &&
	    read->off + len < read->file->written_off) {
		p->long_bytes *= 4;
		return;
	}
	if (len >= cu->settings->message.max && pass_too_long(cu, c))
		return;
	catchup_unreadable(cu, c, read->off, why);
}
