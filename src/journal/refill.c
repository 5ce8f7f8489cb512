#include "config.h"

#include "journal/journal_private.h"

#include <inttypes.h>

#include "journal/file.h"
#include "schema/record.h"

/*
 * The file has lost records.  The journal continues after the records that are
 * left, as after a start, with the records that memory still has:
 *
 *   the file     |=== kept ===|
 *   main ring             |===|========================| head
 *                             ^ continues here
 *
 * The staging ring has the last 4 MB or more, the main ring the messages that
 * it still holds: the one that has more records is taken.
 *
 * Records that neither has are lost.  Then the numbers of the later records
 * change, since .u.i is the number of records that q can replay.  So a new
 * epoch begins, in which older claims are no longer taken for what they were,
 * and consumers that read the file are disconnected.
 */

/* Where it continues: a record's place, and its number in the old file. */
struct source {
	struct journal_point at; /* off: in the old file */
	uint64_t record;
	bool is_ring;
};

static bool
is_before(uint64_t a, uint64_t b)
{
	return (int64_t)(a - b) < 0;
}

/* The number in the main stream of a record in the file; both are modular. */
static uint64_t
stream_number(const struct journal *j, uint64_t record)
{
	return record - (j->state.records - j->written.records);
}

/* The first record in the ring at or after number `wanted` of the main stream;
 * the ring has all records from from_pos on.  Walks over at most one gap of the
 * index. */
static struct source
find_in_ring(const struct journal *j, uint64_t from_pos, uint64_t wanted,
	     const struct journal_index_entry *known)
{
	uint64_t pos = from_pos, number;

	if (known != NULL && is_before(pos, known->pos) &&
	    !is_before(j->written.pos, known->pos) &&
	    known->record >= history_last(&j->history)->first_record)
		pos = known->pos;
	number = stream_locate(j->main, pos).record;
	while (is_before(number, wanted) && pos != j->written.pos) {
		pos += stream_frame_len(ring_at(&j->main->ring, pos));
		number++;
	}
	return (struct source){
		.at = { .pos = pos, .records = number },
		.record = j->state.records - (j->written.records - number),
		.is_ring = true,
	};
}

/* Moves to the next record of the staging ring.  Its records are our own, so
 * they are whole and their tables are known. */
static void
pass_staged(const struct journal *j, struct source *s)
{
	struct journal_record record;
	const struct schema_table *table;
	const char *why;

	CHECK(journal_next(ring_at(&j->staging, s->at.off + j->shift),
			   j->written.off - s->at.off, 0, &record,
			   &why) == JOURNAL_RECORD);
	table = schema_find(j->schema, record.table, record.table_len);
	CHECK(table != NULL);
	s->at.off += record.len;
	s->at.pos += record.len + record_saves(table);
	s->at.records++;
	s->record++;
}

uint64_t
journal_staging_oldest_off(const struct journal *j)
{
	return j->staged.off -
	       min_u64(j->staging.size, j->staged.off - j->staging_begin.off);
}

/* The first record at or after good_off that the staging ring has: found by a
 * walk over a gap of the index or from the ring's beginning, or else the next
 * record in the index. */
static struct source
find_in_staging(const struct journal *j, uint64_t good_off)
{
	const struct history_file *f = history_last(&j->history);
	uint64_t oldest = journal_staging_oldest_off(j);
	const struct journal_index_entry *e =
		journal_index_find_off(&f->index, good_off);
	struct source found = { .at = j->written, .record = j->state.records };

	if ((e == NULL || e->off < oldest) && oldest == j->staging_begin.off) {
		found.at = j->staging_begin;
		found.record -= j->written.records - found.at.records;
		while (found.at.off < good_off)
			pass_staged(j, &found);
		return found;
	}
	if (e == NULL || e->off < oldest)
		e = journal_index_find_next_off(&f->index,
						max_u64(oldest, good_off));
	if (e == NULL || e->off > j->written.off)
		return found;
	found.at.off = e->off;
	found.at.pos = e->pos;
	found.at.records = stream_number(j, e->record);
	found.record = e->record;
	while (found.at.off < good_off)
		pass_staged(j, &found);
	return found;
}

/* Chooses the ring that has more.  The walk over the main ring costs more. */
static struct source
find_source(const struct journal *j, const struct good_records *k)
{
	const struct history_file *f = history_last(&j->history);
	uint64_t from_pos = is_before(j->main->tail_pos, f->first_pos)
				    ? f->first_pos
				    : j->main->tail_pos;
	uint64_t first = max_u64(k->good_records, f->first_record);
	struct source staged = find_in_staging(j, k->good_off), ring;

	if (staged.record == first || is_before(j->written.pos, from_pos))
		return staged;
	ring = find_in_ring(j, from_pos, stream_number(j, first),
			    journal_index_find_off(&f->index, k->good_off));
	return ring.record < staged.record ? ring : staged;
}

/* Moves the staged records, so that they continue at good_off in the file. */
static void
restage_from(struct journal *j, const struct source *from, uint64_t good_off)
{
	if (from->is_ring) {
		/* Stages all again.  The staging ring's positions only grow. */
		j->shift += j->staged.off - good_off;
		j->staged = from->at;
		j->staged.off = good_off;
		j->is_rolling = false;
	} else {
		j->shift += from->at.off - good_off;
		j->staged.off -= from->at.off - good_off;
	}
	j->written = from->at;
	j->written.off = good_off;
	/* If the records keep their place, those before them keep theirs. */
	if (from->is_ring || from->at.off != good_off)
		j->staging_begin = j->written;
	journal_reset_written(j);
}

/* Begins a new epoch with the records left in both files that claims can be
 * for. */
static void
begin_epoch(struct journal *j)
{
	const struct history_file *f = history_last(&j->history);
	const struct history_file *before = history_before(&j->history, f);
	struct epoch_begin begins[2];
	unsigned cnt = 0;

	if (before != NULL)
		begins[cnt++] = (struct epoch_begin){
			.day = before->day,
			.records = before->written_records,
		};
	begins[cnt++] = (struct epoch_begin){ .day = j->state.day,
					      .records = j->state.records };
	epoch_next(&j->state.epochs, begins, cnt);
}

static void
tell_cut(const struct journal *j, const struct good_records *k, uint64_t lost)
{
	log_line(LOG_ERROR, "journal_cut",
		 "file=%s bytes=%" PRIu64 " should_be=%" PRIu64
		 " kept_records=%" PRIu64 " lost_records=%" PRIu64
		 " side_file=%s epoch=%" PRIu64
		 " hint=\"the file was cut or overwritten while the daemon "
		 "was running: the lost_records records after the first "
		 "kept_records are gone, and later records have new numbers; "
		 "find out which program did that\"",
		 LOG_QUOTED(j->state.path), k->size, k->end_off,
		 k->good_records, lost,
		 k->side[0] == '\0' ? "-" : LOG_QUOTED(k->side),
		 j->state.epochs.now);
}

bool
journal_refill(struct journal *j, const struct good_records *k)
{
	struct source from = find_source(j, k);
	uint64_t lost = from.record - k->good_records;

	j->state.records = k->good_records;
	restage_from(j, &from, k->good_off);
	/* Otherwise the records go to where they were, as in the index. */
	if (from.is_ring || lost > 0)
		history_cut(&j->history, k->good_off);
	if (lost > 0) {
		history_lose(&j->history, k->good_off, k->good_records,
			     from.at.pos);
		begin_epoch(j);
		j->state.loss = (struct journal_loss){
			.times = j->state.loss.times + 1,
			.marks = j->state.marks,
			.record = k->good_records,
			.cnt = lost,
		};
	}
	tell_cut(j, k, lost);
	return lost > 0;
}
