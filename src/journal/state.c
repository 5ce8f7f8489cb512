#include "config.h"

#include "journal/state.h"

#include <stdio.h>
#include <string.h>

#include "journal/journal_private.h"

#define RETRY_NS (250 * NS_PER_MS)

/* ---- how far it is ---- */

/* Keeps the last bytes written, with which readers check the file. */
static void
note_tail(struct journal *j, uint64_t from_off)
{
	struct history_tail *tail = &j->history.tail;
	uint64_t end_off = j->written.off;

	tail->len = (size_t)min_u64(end_off - from_off, sizeof(tail->bytes));
	tail->off = end_off - tail->len;
	memcpy(tail->bytes, ring_at(&j->staging, tail->off + j->shift),
	       tail->len);
}

/* Keeps the file's first bytes: they tell later whether it is still ours. */
static void
note_head(struct journal *j)
{
	struct history_head *head = &history_last(&j->history)->head;
	size_t more = (size_t)min_u64(sizeof(head->bytes), j->written.off) -
		      head->len;

	memcpy(head->bytes + head->len,
	       ring_at(&j->staging, head->len + j->shift), more);
	head->len += more;
}

void
journal_set_written(struct journal *j, struct journal_point to)
{
	struct history_file *file = history_last(&j->history);
	uint64_t from_off = j->written.off;

	file->written_off = to.off;
	file->written_pos = to.pos;
	file->written_records =
		j->state.records + to.records - j->written.records;
	j->state.records += to.records - j->written.records;
	j->state.stream_records = to.records;
	j->state.written_pos = to.pos;
	j->written = to;
	note_tail(j, from_off);
	if (from_off < HISTORY_HEAD_BYTES)
		note_head(j);
}

void
journal_set_synced(struct journal *j, struct journal_point to)
{
	j->synced_off = to.off;
	j->state.synced_pos = to.pos;
	j->state.synced_records =
		j->state.records - (j->written.records - to.records);
}

/* Whether the journal decides how much of the main stream is visible. */
static bool
is_gate(const struct journal *j)
{
	return j->main->is_gated && j->settings->publish.interval == 0;
}

/*
 * The ring keeps the messages that are not staged; where the journal is the
 * gate, also those that are not visible yet, since consumers begin there.
 */
void
journal_hold_ring(struct journal *j)
{
	uint64_t visible_pos = j->main->visible_pos;

	/* Visible messages may have to be staged once more (refill.c). */
	j->cursor.pos = is_gate(j) && (int64_t)(visible_pos - j->staged.pos) < 0
				? visible_pos
				: j->staged.pos;
}

uint64_t
journal_safe_pos(const struct journal *j)
{
	uint64_t visible_pos = j->main->visible_pos;
	uint64_t safe_pos = j->main->head_pos;

	switch (j->settings->publish.after) {
	case AFTER_RING:
		break;
	case AFTER_JOURNAL:
		safe_pos = j->state.written_pos;
		break;
	case AFTER_SYNC:
		safe_pos = j->state.synced_pos;
		break;
	}
	/* Messages stay visible while they are written once more. */
	return (int64_t)(safe_pos - visible_pos) < 0 ? visible_pos : safe_pos;
}

void
journal_show(struct journal *j, int64_t now_ns)
{
	if (is_gate(j))
		stream_show(j->main, journal_safe_pos(j), now_ns);
	journal_hold_ring(j);
}

bool
journal_has_drained(const struct journal *j)
{
	return !j->state.is_on ||
	       (j->ops_cnt == 0 && j->phase == JOURNAL_READY &&
		!journal_is_mending(j) &&
		j->state.written_pos == j->main->head_pos &&
		(j->settings->publish.after != AFTER_SYNC ||
		 j->state.synced_pos == j->main->head_pos));
}

void
journal_try_later(struct journal *j, int64_t now_ns)
{
	j->phase = JOURNAL_FAILED;
	j->retry_ns = now_ns + RETRY_NS;
}

/* ---- another place ---- */

void
journal_reset_written(struct journal *j)
{
	struct history_file *file = history_last(&j->history);

	j->batch = j->written;
	j->batch_off = j->written.off;
	j->dropped_off =
		j->written.off - j->written.off % JOURNAL_RECYCLE_BYTES;
	j->state.written_pos = j->written.pos;
	j->state.stream_records = j->written.records;
	journal_set_synced(j, j->written);
	file->written_off = j->written.off;
	file->written_pos = j->written.pos;
	file->written_records = j->state.records;
	file->head.len = (size_t)min_u64(file->head.len, j->written.off);
	journal_look_anew(j);
	journal_hold_ring(j);
}

void
journal_take_file(struct journal *j, const char *path, struct history_file *f,
		  int32_t day, uint64_t pos)
{
	history_begin(&j->history, f, pos);
	j->state.day = day;
	(void)snprintf(j->state.path, sizeof(j->state.path), "%s", path);
	j->state.fd = f->fd;
	j->state.is_nameless = false;
	j->state.records = f->first_record;
	j->shift += j->staged.off - f->first_off;
	j->staged =
		(struct journal_point){ f->first_off, pos, j->written.records };
	j->staging_begin = j->written = j->staged;
	j->mend.seen_off = f->first_off;
	j->mend.look.inode = 0;
	j->mend.next_ns = 0;
	j->mend.recheck_ns = INT64_MAX;
	j->mend.is_rechecking = j->mend.is_spoilt = false;
	j->is_rolling = false;
	journal_reset_written(j);
}
