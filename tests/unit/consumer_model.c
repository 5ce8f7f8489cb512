#include "config.h"

#include "consumer_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/catchup_private.h"
#include "schema/mark.h"
#include "schema/record.h"
#include "base/util.h"

struct model m;

/* ---- open and close ---- */

void
model_open(void)
{
	schema_of_three(&m.schema);
}

void
model_close(void)
{
	schema_fini(&m.schema);
}

static void
start_reader(struct reader *r)
{
	bool is_skipper = r - m.readers < SKIPPERS;

	memset(r, 0, sizeof(*r));
	consumer_init(&r->c, &m.all, r->reply, r->past,
		      is_skipper ? SLOW_SKIP : SLOW_SPILL);
}

/* The journal continues in a new file, which may have records from before the
 * run. */
static void
begin_file(void)
{
	struct history_file *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->fd = --m.last_fd; /* below 0: the file is never read */
	f->first_record = m.number % 3 * 10;
	f->first_off = 8 + f->first_record * FOREIGN_BYTES;
	for (uint64_t i = 0; i < f->first_record; i++) {
		struct frame *frame = &m.foreign[m.foreign_cnt++];

		assert_true(m.foreign_cnt < FOREIGN_MAX);
		*frame = (struct frame){ .is_foreign = true,
					 .table = (int)(i % 3),
					 .number = ++m.number,
					 .len = FOREIGN_FRAME_BYTES,
					 .fd = f->fd,
					 .off = 8 + i * FOREIGN_BYTES,
					 .record = i };
		journal_index_add(&f->index,
				  (struct journal_index_entry){
					  .off = frame->off, .record = i });
	}
	history_begin(&m.history, f, m.written_pos);
}

void
model_start(uint64_t pos, bool is_gated)
{
	struct schema tables = m.schema;

	memset(&m, 0, sizeof(m));
	m.schema = tables;
	m.now = 1;
	streams_open_at(&m.all, &m.schema, RING_BYTES, FILTERED_MAX,
			FILTERED_BYTES, pos);
	m.all.main.is_gated = is_gated;
	m.written_pos = pos;
	cursor_attach(&m.journal, &m.all.main, pos);
	history_init(&m.history);
	begin_file();
	for (size_t i = 0; i < READERS; i++)
		start_reader(&m.readers[i]);
}

void
model_stop(void)
{
	for (size_t i = 0; i < READERS; i++)
		vanish(&m.readers[i]);
	for (unsigned i = 0; i < m.all.filtered_cnt; i++)
		assert_null(m.all.filtered[i].fed.stream);
	for (struct list *n = m.history.files.next; n != &m.history.files;
	     n = n->next)
		assert_int_equal(
			container_of(n, struct history_file, node)->readers, 0);
	streams_detach(&m.journal);
	assert_true(stream_has_room(&m.all.main, RING_BYTES));
	history_close(&m.history);
	streams_close(&m.all);
}

/* ---- the list of owed frames and replies ---- */

const struct schema_table *
model_table(int table)
{
	return table == MARK ? NULL : &m.schema.tables[table];
}

static struct owed *
owed_at(struct reader *r, size_t i)
{
	return &r->owed[(r->first + i) % OWED_MAX];
}

static void
owe(struct reader *r, struct owed o)
{
	assert_true(r->cnt < OWED_MAX);
	*owed_at(r, r->cnt++) = o;
}

static bool
is_visible(const struct owed *o)
{
	return !o->is_reply &&
	       (o->frame->is_foreign || o->frame < m.published + m.visible_cnt);
}

static bool
is_record(const struct owed *o)
{
	return !o->is_reply && o->frame->table != MARK;
}

static bool
is_wanted(const struct reader *r, const struct frame *f)
{
	return r->is_subscribed &&
	       (f->table == MARK ||
		selection_has(&r->selection, (unsigned)f->table));
}

static void
owe_frame(struct reader *r, const struct frame *f)
{
	if (is_wanted(r, f))
		owe(r, (struct owed){ .frame = f,
				      .len = f->len,
				      .stream = r->stream });
}

static void
make_owed(const struct owed *o, uint8_t *at)
{
	if (o->is_reply)
		bytes_make(at, o->number, o->len);
	else
		frame_make(at, model_table(o->frame->table), o->frame->number,
			   o->len);
}

/* Checks that the next `len` owed bytes are those at `at`. */
static void
check_bytes(struct reader *r, const uint8_t *at, size_t len)
{
	size_t off = r->sent;

	for (size_t i = 0; len > 0; i++) {
		uint8_t expected[FRAME_MAX];
		const struct owed *o = owed_at(r, i);
		size_t n;

		if (i == r->cnt)
			fail_msg("%zu bytes more than owed", len);
		if (!o->is_reply && !is_visible(o))
			fail_msg("%zu bytes that nobody may see yet", len);
		if (o->has_gate && (int64_t)(m.written_pos - o->gate_pos) < 0)
			fail_msg("a reply before its gate is open");
		make_owed(o, expected);
		n = min_u64(len, o->len - off);
		assert_memory_equal(at, expected + off, n);
		at += n;
		len -= n;
		off = 0;
	}
}

static void
pay(struct reader *r, size_t len)
{
	r->sent_bytes += len;
	for (r->sent += len; r->cnt > 0; r->cnt--) {
		if (r->sent < owed_at(r, 0)->len)
			return;
		r->sent -= owed_at(r, 0)->len;
		r->first++;
		r->is_cut = false;
	}
	assert_int_equal(r->sent, 0);
}

/* Whether a frame that is owed has reached the stream that brings it. */
static bool
is_in_stream(const struct owed *o)
{
	return is_visible(o) && o->stream != NULL &&
	       (o->stream->is_main || o->stream->fed.stream == NULL ||
		(int64_t)(o->frame->pos - o->stream->fed.pos) < 0);
}

static void
insert_owed(struct reader *r, size_t at, struct owed o)
{
	assert_true(r->cnt < OWED_MAX);
	for (size_t i = r->cnt++; i > at; i--)
		*owed_at(r, i) = *owed_at(r, i - 1);
	*owed_at(r, at) = o;
}

static bool
is_forgiven(const struct owed *o)
{
	return !o->is_reply && !o->is_notice && is_in_stream(o);
}

/* Drops the frames that a skip drops, except for the last mark; returns the
 * number of records dropped. */
static uint64_t
forgive(struct reader *r)
{
	size_t kept = r->sent > 0 || r->is_cut;
	uint64_t records = 0;

	size_t notice_at = kept;
	struct owed notice = { 0 };

	r->is_cut = kept > 0 && !owed_at(r, 0)->is_reply &&
		    !owed_at(r, 0)->is_notice;
	/* A frame or notice in flight comes first. */
	if (r->c.writing == PART_NOTICE || r->c.writing == PART_REPLY)
		notice_at = kept = 1;
	for (size_t i = kept; i < r->cnt; i++)
		if (is_forgiven(owed_at(r, i)) && !is_record(owed_at(r, i)))
			notice = *owed_at(r, i);
	for (size_t i = kept; i < r->cnt; i++) {
		const struct owed *o = owed_at(r, i);

		/* A notice that is not in flight is replaced by a later one. */
		if (o->is_notice && notice.frame != NULL)
			continue;
		if (!is_forgiven(o))
			*owed_at(r, kept++) = *o;
		else
			records += is_record(o);
	}
	r->cnt = kept;
	if (notice.frame != NULL) {
		notice.is_notice = true;
		insert_owed(r, notice_at, notice);
	}
	return records;
}

/* ---- publishing, and the journal ---- */

static void
show(size_t visible_cnt)
{
	if (!m.all.main.is_gated)
		visible_cnt = m.published_cnt;
	m.visible_cnt = visible_cnt;
	if (m.all.main.is_gated)
		stream_show(&m.all.main, m.written_pos, m.now);
}

bool
put(int table, size_t len)
{
	struct frame *f = &m.published[m.published_cnt];

	assert_true(m.published_cnt < PUBLISHED_MAX);
	*f = (struct frame){ .table = table,
			     .number = m.number,
			     .len = table == MARK ? MARK_BYTES : len,
			     .pos = m.all.main.head_pos,
			     .time_ns = m.now };
	if (!streams_put(&m.all, model_table(table), m.number, len, m.now))
		return false;
	m.number++;
	m.published_cnt++;
	show(m.visible_cnt);
	for (size_t i = 0; i < READERS; i++)
		owe_frame(&m.readers[i], f);
	return true;
}

static void
write_record(struct history_file *file, struct frame *f)
{
	journal_index_add(&file->index, (struct journal_index_entry){
						.off = f->off,
						.record = f->record,
						.pos = f->pos,
						.time_ns = f->time_ns });
	file->written_off += f->len - record_saves(model_table(f->table));
	file->written_pos += f->len;
	file->written_records++;
}

void
journal_write(size_t frames)
{
	for (; frames > 0 && m.written_cnt < m.published_cnt; frames--) {
		struct frame *f = &m.published[m.written_cnt++];
		struct history_file *file = history_last(&m.history);

		f->fd = file->fd;
		f->off = file->written_off;
		f->record = file->written_records;
		m.written_pos += f->len;
		if (f->table != MARK) {
			write_record(file, f);
			continue;
		}
		history_end(&m.history, (int32_t)(uint32_t)f->number);
		begin_file();
	}
	show(m.written_cnt);
	m.journal.pos = m.written_pos;
	if (history_is_long(&m.history)) {
		history_file_free(history_trim(
			&m.history, streams_oldest_pos(&m.all)));
		m.trims++;
	}
}

/* ---- writes ---- */

bool
submit(struct reader *r, size_t span_max)
{
	struct span *span = &r->span;

	if (r->c.writing != PART_NONE || !consumer_next(&r->c, span_max, span))
		return false;
	assert_true(span->len > 0);
	if (span->part == PART_STREAM) {
		const struct ring *ring = &r->c.here.stream->ring;

		assert_true(span->len <= span_max);
		assert_int_equal(span->is_in_main_ring,
				 r->c.here.stream->is_main);
		assert_true(span->at >= ring->base &&
			    span->at + span->len <=
				    ring->base + 2 * ring->size);
		m.seams += span->at + span->len > ring->base + ring->size;
	} else {
		assert_false(span->is_in_main_ring);
	}
	check_bytes(r, span->at, span->len);
	r->c.writing = span->part;
	r->c.writing_len = span->len;
	return true;
}

void
complete(struct reader *r, size_t accepted)
{
	struct cursor before = r->c.here;
	bool was_rest = r->c.writing == PART_REST;
	uint8_t *given;

	/* The kernel may have read any of the bytes until now. */
	check_bytes(r, r->span.at, r->span.len);
	given = consumer_written(&r->c, accepted);
	pay(r, accepted);
	if (given != NULL) {
		assert_true(was_rest);
		assert_ptr_equal(given, r->rest);
		r->is_rest_taken = false;
	} else if (was_rest) {
		assert_non_null(r->c.rest);
	}
	if (accepted == 0 && r->c.here.stream == before.stream)
		assert_int_equal(r->c.here.pos, before.pos);
	assert_int_equal(r->c.sent_bytes, r->sent_bytes);
}

/* ---- replies ---- */

/* Removes the owed frames that are not visible yet; returns the first one. */
static size_t
withhold(struct reader *r)
{
	while (r->cnt > 0) {
		const struct owed *last = owed_at(r, r->cnt - 1);

		if (last->is_reply || is_visible(last))
			break;
		r->cnt--;
	}
	return m.visible_cnt;
}

/*
 * A reply comes after all frames committed before; with a filtered stream,
 * after all visible ones, which are all that it can have.  A subscription
 * begins with the first frame that is not visible yet.
 */
static void
owe_reply(struct reader *r, const struct owed *reply,
	  const struct selection *selection)
{
	bool is_filtered =
		r->c.here.stream != NULL && !r->c.here.stream->is_main;
	size_t again = m.published_cnt;

	if (selection != NULL || is_filtered)
		again = withhold(r);
	if (reply->len > 0)
		owe(r, *reply);
	if (selection != NULL) {
		r->is_subscribed = true;
		r->selection = *selection;
	}
	for (; again < m.published_cnt; again++)
		owe_frame(r, &m.published[again]);
}

void
queue(struct reader *r, size_t len, struct stream *stream,
      const struct selection *selection, bool has_gate)
{
	struct reply_gate gate = { 0 };
	struct owed reply = { .is_reply = true,
			      .number = ++m.number,
			      .len = len,
			      .gate_pos = m.all.main.head_pos,
			      .has_gate = has_gate };

	assert_false(consumer_is_busy(&r->c));
	bytes_make(r->reply, m.number, len);
	if (has_gate)
		gate = (struct reply_gate){ .reached = &m.written_pos,
					    .pos = reply.gate_pos };
	if (stream != NULL)
		r->stream = stream;
	owe_reply(r, &reply, selection);
	m.past_replies += r->c.state == CONSUMER_JOURNAL;
	if (selection == NULL || stream != NULL) {
		consumer_queue(&r->c, len, stream, gate);
	} else {
		m.past_changes++;
		consumer_queue_past(&r->c, len, selection, NULL, gate, m.now);
	}
}

/* The first frame of this run at or after a record of a file. */
static const struct frame *
frame_of_record(const struct history_file *file, uint64_t record)
{
	size_t i = 0;

	while (i < m.written_cnt && (m.published[i].fd != file->fd ||
				     m.published[i].record < record))
		i++;
	for (; i < m.published_cnt && file->written_records < record; record--)
		i++;
	return &m.published[i];
}

uint64_t
visible_records(const struct history_file *file)
{
	const struct frame *f = frame_of_record(file, file->first_record);
	uint64_t records = file->first_record;

	for (; f < m.published + m.visible_cnt; f++)
		records += f->table != MARK;
	return records;
}

/* Returns the number of skipped records. */
static uint64_t
owe_past(struct reader *r, const struct history_file *file, uint64_t record,
	 uint64_t skip_records)
{
	const struct frame *f = m.foreign, *end = f + m.foreign_cnt;
	uint64_t skipped = 0;

	for (; f < end; f++) {
		if (f->fd != file->fd || f->record < record || !is_wanted(r, f))
			continue;
		if (skipped < skip_records)
			skipped++;
		else
			owe_frame(r, f);
	}
	f = frame_of_record(file, max_u64(record, file->first_record));
	for (end = m.published + m.published_cnt; f < end; f++) {
		if (f->table == MARK || f >= m.published + m.visible_cnt)
			skip_records = 0;
		if (skipped < skip_records && is_wanted(r, f))
			skipped++;
		else
			owe_frame(r, f);
	}
	return skipped;
}

void
ask(struct reader *r, size_t len, struct history_file *file, uint64_t record,
    uint64_t skip_records, const struct selection *selection)
{
	struct owed reply = { .is_reply = true,
			      .number = ++m.number,
			      .len = len };
	struct past_request request = {
		.place = history_find_record(file, record),
		.record = record,
		.epoch_limit = UINT64_MAX,
		.end_record = visible_records(file),
	};

	assert_false(consumer_is_busy(&r->c));
	bytes_make(r->reply, m.number, len);
	(void)withhold(r);
	if (len > 0)
		owe(r, reply);
	r->is_subscribed = r->is_vague = true;
	r->selection = *selection;
	r->stream = NULL;
	request.skip_records = owe_past(r, file, record, skip_records);
	if (r->c.state != CONSUMER_JOURNAL)
		r->past_since_ns = m.now;
	m.requests++;
	m.old_requests += file->is_ended;
	consumer_queue_past(&r->c, len, selection, &request,
			    (struct reply_gate){ 0 }, m.now);
}

/* ---- policy skip ---- */

/* Whether the journal has the torn frame; sets a place at or before it. */
static bool
find_rest(struct reader *r, struct history_place *out)
{
	uint64_t end_pos = consumer_torn_end(&r->c);

	if ((int64_t)(m.written_pos - end_pos) < 0)
		return false;
	assert_true(history_find_pos(&m.history,
				     consumer_main_place(&r->c).main_pos, out));
	return true;
}

void
skip_ahead(struct reader *r)
{
	const struct owed *o = owed_at(r, 0);
	size_t torn = consumer_torn_bytes(&r->c), expected = 0;
	struct history_place place;
	uint64_t records;
	uint8_t *buffer = NULL;
	bool is_read = torn > 0 && m.number % 2 == 0 && find_rest(r, &place);

	if (r->sent > 0 && !o->is_reply && !o->is_notice && !r->is_cut)
		expected = o->len - r->sent;
	assert_int_equal(torn, expected);
	m.read_skips += is_read;
	if (torn > 0 && !is_read) {
		assert_false(r->is_rest_taken);
		r->is_rest_taken = true;
		memset(r->rest, 0xee, sizeof(r->rest));
		buffer = r->rest;
		m.torn_skips++;
	}
	records = consumer_skip(&r->c, buffer, is_read ? &place : NULL).records;
	assert_int_equal(records, forgive(r));
	r->skips++;
	r->skipped += records;
	assert_int_equal(r->c.skips, r->skips);
	assert_int_equal(r->c.skipped_records, r->skipped);
}

/* ---- policy spill ---- */

static bool
is_filtered(const struct cursor *cursor)
{
	return cursor->stream != NULL && !cursor->stream->is_main;
}

bool
spill(struct reader *r)
{
	struct consumer *c = &r->c;
	struct history_place place;
	uint64_t from_pos = consumer_main_place(c).main_pos;

	if (from_pos == m.written_pos)
		return false;
	if (!history_find_pos(&m.history, from_pos, &place)) {
		/* No frame in the rings is in a file that was forgotten. */
		assert_true((int64_t)(from_pos - m.written_pos) > 0);
		return false;
	}
	m.spills++;
	m.torn_spills += r->sent > 0 && !owed_at(r, 0)->is_reply;
	m.busy_spills += c->is_replying;
	m.change_spills += c->next.stream != NULL;
	m.far_spills += place.pos != from_pos;
	r->was_filtered = is_filtered(&c->here) || is_filtered(&c->next);
	consumer_leave(c, &place, m.now);
	assert_null(c->here.stream);
	assert_null(c->next.stream);
	if (r->stream != NULL)
		for (size_t i = 0; i < r->cnt; i++)
			owed_at(r, i)->stream = NULL;
	r->stream = NULL;
	r->spills++;
	r->past_since_ns = m.now;
	return true;
}

static const struct frame *
foreign_at(const struct history_place *at)
{
	const struct frame *f = m.foreign;

	while (f->fd != at->file->fd || f->record != at->record)
		f++;
	assert_true(f < m.foreign + m.foreign_cnt);
	return f;
}

/* The frame at a position; frames are contiguous. */
static const struct frame *
published_at(uint64_t pos)
{
	uint64_t start = m.published[0].pos;
	size_t low = 0, high = m.published_cnt;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (m.published[middle].pos - start <= pos - start)
			low = middle;
		else
			high = middle;
	}
	assert_int_equal(m.published[low].pos, pos);
	return &m.published[low];
}

static void
fill(struct past *p, const uint8_t *frame, const struct past_message *message,
     size_t wanted)
{
	assert_true(wanted <= message->frame_len);
	memcpy(p->buffer + p->len, frame + message->frame_len - wanted, wanted);
	if (p->len == 0)
		catchup_note_first(p, message->is_record, wanted);
	p->len += wanted;
}

/* The first half of the wanted bytes. */
static void
fill_piece(struct reader *r, const uint8_t *frame, size_t len, size_t wanted)
{
	struct past *p = &r->c.past;

	p->len = (wanted + 1) / 2;
	memcpy(p->buffer, frame + len - wanted, p->len);
	catchup_note_first(p, false, p->len);
	consumer_pass_piece(&r->c, p->len);
	m.pieces++;
}

static void
fill_rest(struct reader *r, const uint8_t *frame, size_t len, size_t wanted)
{
	assert_false(r->is_rest_taken);
	r->is_rest_taken = true;
	memcpy(r->rest, frame, len);
	catchup_note_first(&r->c.past, true, 0);
	r->c.rest = r->rest;
	r->c.rest_len = len;
	r->c.rest_sent = len - wanted;
	m.rests++;
}

/* Serves one message of the journal.  Returns whether the next may follow. */
static bool
serve_one(struct reader *r, const struct frame *f, enum serving how)
{
	struct past *p = &r->c.past;
	const struct schema_table *t = model_table(f->table);
	struct past_message message = {
		.is_record = t != NULL,
		.is_selected =
			t == NULL || selection_has(&p->selection, t->idx),
		.record_len = t == NULL ? 0 : f->len - record_saves(t),
		.frame_len = f->len,
		.pos_len = f->len,
	};
	uint8_t frame[FRAME_MAX];
	size_t wanted;

	if (f->is_foreign)
		message.record_len = message.pos_len = FOREIGN_BYTES;
	wanted = consumer_wants(&r->c, &message);

	if (wanted > PAST_BYTES - p->len || (t == NULL && p->len > 0))
		return false;
	if (wanted < 2 || p->len > 0 || t == NULL)
		how = SERVE_WHOLE;
	if (r->c.state == CONSUMER_REST && how == SERVE_REST)
		how = SERVE_WHOLE;
	frame_make(frame, t, f->number, f->len);
	if (how == SERVE_PIECE) {
		fill_piece(r, frame, f->len, wanted);
		return false;
	}
	if (how == SERVE_REST)
		fill_rest(r, frame, f->len, wanted);
	else if (wanted > 0)
		fill(p, frame, &message, wanted);
	consumer_pass(&r->c, &message);
	if (t == NULL) {
		consumer_next_file(&r->c, history_next(&m.history, p->at.file));
		m.marks++;
	}
	return t != NULL && r->c.rest == NULL;
}

void
serve(struct reader *r, size_t frames, enum serving how)
{
	struct past *p = &r->c.past;

	assert_true(consumer_needs_read(&r->c));
	(void)consumer_advance(&r->c);
	p->len = p->sent = p->first_len = 0;
	for (; frames > 0 && p->at.pos != consumer_past_end(&r->c); frames--) {
		const struct frame *f;

		if (p->at.pos == m.written_pos)
			return;
		if (p->at.off < p->at.file->first_off)
			f = foreign_at(&p->at);
		else
			f = published_at(p->at.pos);
		assert_int_equal(p->at.file->fd, f->fd);
		assert_int_equal(p->at.off, f->off);
		assert_int_equal(p->at.record, f->record);
		if (!serve_one(r, f, how))
			return;
	}
}

bool
come_back(struct reader *r)
{
	bool was_busy = consumer_is_busy(&r->c);

	assert_true(consumer_needs_read(&r->c));
	if (!consumer_return(&r->c, m.now))
		return false;
	assert_false(was_busy);
	assert_non_null(r->c.here.stream);
	assert_int_not_equal(r->c.state, CONSUMER_JOURNAL);
	assert_true(selection_is_equal(&r->c.here.stream->selection,
				       &r->selection));
	r->is_vague = false;
	r->stream = r->c.here.stream;
	for (size_t i = 0; i < r->cnt; i++)
		owed_at(r, i)->stream = r->stream;
	r->past_ns += m.now - r->past_since_ns;
	m.returns++;
	m.filtered_returns += !r->c.here.stream->is_main;
	return true;
}

void
vanish(struct reader *r)
{
	uint8_t *given = consumer_fini(&r->c);

	assert_ptr_equal(given, r->is_rest_taken ? r->rest : NULL);
	assert_false(consumer_is_subscribed(&r->c));
	assert_null(r->c.here.stream);
	start_reader(r);
}

/* ---- the consumer's figures ---- */

/* The rest of the list, as far as visible. */
struct left {
	uint64_t bytes, records;
	int64_t oldest_ns; /* 0: none, or unknown */
};

static struct left
what_is_left(struct reader *r)
{
	struct left left = { 0 };

	for (size_t i = 0; i < r->cnt; i++) {
		const struct owed *o = owed_at(r, i);
		bool is_rest = i == 0 && r->is_cut;

		if (o->is_reply)
			left.bytes += o->len - (i == 0 ? r->sent : 0);
		if (!is_visible(o) || o->is_notice)
			continue;
		left.bytes += o->len - (i == 0 ? r->sent : 0);
		left.records += is_record(o) || is_rest;
		if (left.oldest_ns == 0 && !is_rest &&
		    (is_record(o) || r->c.state != CONSUMER_JOURNAL))
			left.oldest_ns = o->frame->time_ns;
	}
	return left;
}

static void
check_age(struct reader *r, const struct left *left, int64_t age)
{
	bool is_on = r->c.state == CONSUMER_JOURNAL;

	assert_true(age >= 0 && age < m.now);
	if (left->oldest_ns == 0)
		assert_true(age == 0 || r->is_cut || is_on);
	/* In a filtered stream time counts from the feeding. */
	else if (is_on ? !r->was_filtered
		       : !is_filtered(&r->c.here) && !is_filtered(&r->c.next))
		assert_true(age >= m.now - left->oldest_ns);
}

static void
check_waits(struct reader *r)
{
	const struct owed *o = owed_at(r, 0);
	bool is_shut = r->cnt > 0 && o->has_gate && r->sent == 0 &&
		       (int64_t)(m.written_pos - o->gate_pos) < 0;

	if (consumer_waits_for_gate(&r->c)) {
		assert_true(is_shut);
		m.gate_waits++;
	} else if (is_shut) {
		/* The walk to the reply's place comes first. */
		assert_int_equal(r->c.state, CONSUMER_JOURNAL);
	}
}

/* For a reader that asked for the past more is counted than is selected. */
static void
check_lag(struct reader *r)
{
	struct left left = what_is_left(r);
	uint64_t bytes = consumer_lag_bytes(&r->c), records;
	int64_t age;

	assert_true(r->c.high_bytes >= bytes);
	consumer_lag_records(&r->c, m.now, &records, &age);
	if (r->is_vague) {
		assert_true(bytes <=
			    m.all.main.head_pos - m.published[0].pos + 1000000);
		assert_true(records >= left.records);
		return;
	}
	assert_int_equal(bytes, left.bytes);
	assert_int_equal(records, left.records);
	check_age(r, &left, age);
}

void
check_reader(struct reader *r)
{
	const struct past *p = &r->c.past;
	uint64_t lag, ring;

	check_lag(r);
	check_waits(r);
	assert_int_equal(consumer_is_subscribed(&r->c), r->is_subscribed);
	consumer_ring_lag(&r->c, &lag, &ring);
	assert_true(lag <= ring);
	if (r->c.state == CONSUMER_JOURNAL || !r->is_subscribed)
		assert_int_equal(ring, 0);
	else
		assert_true(ring > 0 || p->has_next);
	assert_int_equal(r->c.past.spills, r->spills);
	assert_int_equal(
		consumer_past_ns(&r->c, m.now),
		r->past_ns + (r->c.state == CONSUMER_JOURNAL
				      ? m.now - r->past_since_ns
				      : 0));
}

/* ---- to the end ---- */

static bool
drain_one(struct reader *r)
{
	uint64_t at = r->c.past.at.pos;

	if (r->c.writing != PART_NONE || submit(r, 5000)) {
		complete(r, r->span.len);
		return true;
	}
	if (!consumer_needs_read(&r->c))
		return false;
	if (consumer_advance(&r->c) || come_back(r))
		return true;
	serve(r, 100, SERVE_WHOLE);
	return r->c.past.at.pos != at || r->c.past.len > 0;
}

/* Whether there is a stream for this selection. */
static bool
has_place(const struct selection *selection)
{
	if (selection_is_equal(selection, &m.all.main.selection))
		return true;
	for (unsigned i = 0; i < m.all.filtered_cnt; i++) {
		const struct stream *s = &m.all.filtered[i];

		if (s->fed.stream == NULL ||
		    selection_is_equal(selection, &s->selection))
			return true;
	}
	return false;
}

void
drain(void)
{
	bool is_any = true;

	while (is_any) {
		is_any = m.written_cnt < m.published_cnt;
		journal_write(100);
		streams_feed(&m.all, m.now);
		for (size_t i = 0; i < READERS; i++) {
			is_any |= drain_one(&m.readers[i]);
			check_reader(&m.readers[i]);
		}
	}
	for (size_t i = 0; i < READERS; i++) {
		struct reader *r = &m.readers[i];

		assert_int_equal(r->cnt, 0);
		assert_false(consumer_is_busy(&r->c));
		assert_false(r->is_rest_taken);
		if (r->c.state != CONSUMER_JOURNAL)
			continue;
		assert_false(has_place(&r->selection));
		assert_int_equal(consumer_lag_bytes(&r->c), 0);
	}
}
