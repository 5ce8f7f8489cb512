#include "config.h"

#include "journal/history.h"

#include <stdlib.h>
#include <unistd.h>

#include "journal/file.h"
#include "schema/mark.h"

static struct history_file *
file_of(struct list *node)
{
	return container_of(node, struct history_file, node);
}

void
history_init(struct history *h)
{
	list_init(&h->files);
}

/* The records in the file come before main stream position pos. */
static void
begin_at(struct history_file *f, uint64_t pos)
{
	f->written_off = f->first_off;
	f->first_pos = f->written_pos = pos;
	f->written_records = f->first_record;
	for (size_t i = 0; i < f->index.cnt; i++)
		f->index.entries[i].pos =
			pos - (f->first_off - f->index.entries[i].off);
}

void
history_begin(struct history *h, struct history_file *f, uint64_t pos)
{
	const struct history_file *before = history_last(h);

	f->begin_day = before == NULL ? INT32_MAX : before->day + 1;
	begin_at(f, pos);
	list_append(&h->files, &f->node);
}

void
history_cut(struct history *h, uint64_t off)
{
	journal_index_cut(&history_last(h)->index, off);
}

void
history_lose(struct history *h, uint64_t off, uint64_t records, uint64_t pos)
{
	struct history_file *f = history_last(h);
	struct list *before = f->node.prev;

	f->first_off = off;
	f->first_record = records;
	f->since = min_u64(f->since, records);
	begin_at(f, pos);
	/* Readers of the file before need the records left in this one. */
	if (before != &h->files)
		file_of(before)->is_past = true;
}

/* The position of the first record in a file whose first record of this run is
 * at pos. */
static uint64_t
oldest_pos(const struct history_file *f, uint64_t pos)
{
	return pos - (f->first_off - JOURNAL_HEADER_BYTES);
}

void
history_begin_past(struct history *h, struct history_file *f, int32_t day,
		   const struct history_file *next, uint64_t next_pos)
{
	history_begin(h, f, oldest_pos(next, next_pos) - MARK_BYTES);
	history_end(h, day);
	f->is_past = true;
}

void
history_file_free(struct history_file *f)
{
	if (f == NULL)
		return;
	(void)close(f->fd);
	free(f);
}

void
history_end(struct history *h, int32_t day)
{
	struct history_file *f = history_last(h);

	CHECK(f != NULL && !f->is_ended);
	f->is_ended = true;
	f->day = day;
}

struct history_file *
history_last(const struct history *h)
{
	return list_is_empty(&h->files) ? NULL : file_of(h->files.prev);
}

struct history_file *
history_next(const struct history *h, const struct history_file *file)
{
	return file->node.next == &h->files ? NULL : file_of(file->node.next);
}

struct history_file *
history_before(const struct history *h, const struct history_file *file)
{
	return file->node.prev == &h->files ? NULL : file_of(file->node.prev);
}

struct history_place
history_follow(const struct history_file *ended, struct history_file *next)
{
	if (!ended->is_past)
		return history_start(next);
	return (struct history_place){
		.file = next,
		.off = JOURNAL_HEADER_BYTES,
		.pos = oldest_pos(next, next->first_pos),
	};
}

struct history_place
history_start(struct history_file *f)
{
	return (struct history_place){ .file = f,
				       .off = f->first_off,
				       .pos = f->first_pos,
				       .record = f->first_record };
}

static struct history_place
place_of(struct history_file *f, const struct journal_index_entry *e)
{
	if (e == NULL) /* a file without records */
		return history_start(f);
	return (struct history_place){ .file = f,
				       .off = e->off,
				       .pos = e->pos,
				       .record = e->record,
				       .time_ns = e->time_ns };
}

static bool
is_before(uint64_t a, uint64_t b)
{
	return (int64_t)(a - b) < 0;
}

bool
history_find_pos(const struct history *h, uint64_t pos,
		 struct history_place *out)
{
	/* Mostly the position is in the last file. */
	for (struct list *n = h->files.prev; n != &h->files; n = n->prev) {
		struct history_file *f = file_of(n);

		if (is_before(f->written_pos, pos))
			return false;
		if (is_before(pos, f->first_pos))
			continue;
		*out = place_of(f, journal_index_find_pos(&f->index, pos));
		return true;
	}
	return false;
}

struct history_place
history_find_record(struct history_file *file, uint64_t record)
{
	struct history_place place = place_of(
		file, journal_index_find_record(&file->index, record));

	/* The end of the file needs no walk and no read. */
	if (record == file->written_records) {
		place.off = file->written_off;
		place.pos = file->written_pos;
		place.record = record;
	}
	return place;
}

struct history_file *
history_find_day(const struct history *h, int32_t day, int32_t today)
{
	for (struct list *n = h->files.next; n != &h->files; n = n->next) {
		struct history_file *f = file_of(n);
		int32_t last = f->is_ended ? f->day : today;

		if (day == last || (day >= f->begin_day && day < last))
			return f;
	}
	return NULL;
}

uint64_t
history_record_end(const struct history_place *place)
{
	const struct history_file *f = place->file;
	const struct journal_index_entry *e = journal_index_find_record(
		&f->index, place->record + 1);

	if (place->record + 1 == f->first_record)
		return f->first_off;
	return e != NULL && e->record == place->record + 1 ? e->off : 0;
}

int64_t
history_time(const struct history_place *place)
{
	const struct journal_index_entry *e =
		journal_index_find_pos(&place->file->index, place->pos);

	return e == NULL ? 0 : e->time_ns;
}

static void
forget_file(struct history_file *f)
{
	list_remove(&f->node);
	history_file_free(f);
}

bool
history_is_long(const struct history *h)
{
	return h->files.next != h->files.prev &&
	       h->files.next->next != h->files.prev;
}

struct history_file *
history_trim(struct history *h, uint64_t tail_pos)
{
	struct history_file *f;

	if (!history_is_long(h))
		return NULL;
	f = file_of(h->files.next);
	if (f->readers > 0 || !is_before(f->written_pos, tail_pos))
		return NULL;
	list_remove(&f->node);
	return f;
}

bool
history_is_read(const struct history *h)
{
	for (struct list *n = h->files.next; n != &h->files; n = n->next)
		if (file_of(n)->readers > 0)
			return true;
	return false;
}

void
history_put(struct history *to, struct history_file *f)
{
	list_append(&to->files, &f->node);
}

void
history_hand_over(struct history *h, struct history *to)
{
	while (!list_is_empty(&h->files)) {
		struct history_file *f = file_of(h->files.next);

		list_remove(&f->node);
		history_put(to, f);
	}
}

void
history_close(struct history *h)
{
	while (!list_is_empty(&h->files))
		forget_file(file_of(h->files.next));
}
