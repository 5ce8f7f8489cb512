#include "config.h"

#include "journal/journal_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "schema/mark.h"

#define AGAIN_NS (60 * NS_PER_S)

/* ---- on the other thread ---- */

static bool
open_file(struct journal_next *n)
{
	n->file = journal_days_open_next(n->settings, n->day, n->path, n->err,
					 sizeof(n->err));
	return n->file != NULL;
}

/* Whether the thing that has the name is no journal, not one of ours, or a link
 * to nothing. */
static bool
is_stranger(int error)
{
	return error == EISDIR || error == EINVAL || error == EACCES ||
	       error == ELOOP || error == ENXIO || error == ENOENT ||
	       error == ENOTDIR;
}

static void
run_open(struct file_job *job)
{
	struct journal_next *n = container_of(job, struct journal_next, job);

	n->aside.path[0] = '\0';
	history_file_free(n->stale);
	n->stale = NULL;
	/* After a crash, too, the day before has ended. */
	if (n->is_early)
		journal_days_note(n->settings, &n->epochs,
				  &n->epoch_err);
	if (journal_path(n->settings->journal.directory,
			 n->settings->journal.name, n->day, n->path,
			 sizeof(n->path), n->err, sizeof(n->err)) &&
	    !open_file(n) && n->aside.is_allowed && is_stranger(errno) &&
	    lost_name_put_aside(n->path, &n->aside) == 0)
		(void)open_file(n);
	n->error = n->file == NULL ? errno : 0;
}

/* ---- the next day's file ---- */

static void
roll_failed(struct journal *j, int64_t now_ns)
{
	struct journal_next *n = &j->next;

	journal_complain(j, "roll", n->error, now_ns);
	if (now_ns >= n->next_complaint_ns) {
		n->next_complaint_ns = now_ns + AGAIN_NS;
		log_line(LOG_ERROR, "journal_roll_failed", "why=%s",
			 LOG_QUOTED(n->err));
	}
	journal_try_later(j, now_ns);
}

static void
open_done(struct file_job *job, int64_t now_ns)
{
	struct journal *j = container_of(job, struct journal, next.job);
	struct journal_next *n = &j->next;

	journal_tell_aside(n->path, &n->aside);
	if (n->file == NULL && n->is_awaited)
		roll_failed(j, now_ns);
	else if (n->file == NULL)
		log_line(LOG_ERROR, "journal_next_failed",
			 "why=%s hint=\"mend it before the day ends: if the "
			 "next file cannot be opened then, updates wait in the "
			 "ring\"",
			 LOG_QUOTED(n->err));
	else if (!n->is_awaited)
		log_line(LOG_INFO, "journal_next",
			 "file=%s records=%" PRIu64, LOG_QUOTED(n->path),
			 n->file->first_record);
}

static void
open_next(struct journal *j, int32_t day, bool is_awaited, bool is_early)
{
	struct journal_next *n = &j->next;

	if (is_early)
		j->state.epochs.day = day;
	n->is_early = is_early;
	n->epochs = j->state.epochs;

	n->stale = n->file;
	n->file = NULL;
	n->day = day;
	n->is_awaited = is_awaited;
	/* Before a stop somebody may still move it; at a stop, the accepted
	 * records would be lost. */
	n->aside.is_allowed = is_awaited && j->is_stopping &&
			      j->mend.lock != -EWOULDBLOCK;
	n->settings = j->settings;
	file_job_start(j->jobs, &n->job);
}

void
journal_prepare(struct journal *j, int32_t today, int64_t local_ns,
		int64_t now_ns)
{
	struct journal_next *n = &j->next;
	int32_t day = clock_day(local_ns + JOURNAL_AHEAD_NS);

	if (day <= today || now_ns < n->retry_ns || n->job.is_busy ||
	    (n->file != NULL && n->day == day))
		return;
	n->retry_ns = now_ns + AGAIN_NS;
	open_next(j, day, false, false);
}

/* ---- the end of a day ---- */

/* The day of the file after the mark at mark_pos: the day that the next mark
 * ends, or the running day.  Nearly always the ring has at most one more mark:
 * only for a third mark is the ring walked through, which may be all of it. */
static int32_t
day_after(const struct journal *j, uint64_t mark_pos, int32_t today)
{
	const struct stream *main = j->main;
	uint64_t marks = main->marks - j->state.marks;
	uint64_t pos = mark_pos;
	const uint8_t *frame;

	if (marks <= 1)
		return today;
	if (marks == 2)
		return mark_day(ring_at(&main->ring, main->last_mark_pos));
	do {
		pos += stream_frame_len(ring_at(&main->ring, pos));
		frame = ring_at(&main->ring, pos);
	} while (stream_frame_is_record(frame));
	return mark_day(frame);
}

void
journal_roll(struct journal *j, int32_t today, int64_t local_ns, int64_t now_ns)
{
	struct journal_next *n = &j->next;
	uint64_t mark = j->staged.pos;
	struct history_file *file;
	bool is_early;
	int32_t day;

	if (n->job.is_busy)
		return;
	day = day_after(j, mark, today);
	is_early = day > clock_day(local_ns);
	if (n->file == NULL || n->day != day || (is_early && !n->is_early)) {
		open_next(j, day, true, is_early);
		return;
	}
	/* After the roll, the old file will not be looked after any more. */
	if (!journal_is_looked_after(j, now_ns))
		return;
	file = n->file;
	n->file = NULL;
	log_line(LOG_NOTE, "journal_rolled",
		 "old=%s records=%" PRIu64 " bytes=%" PRIu64
		 " new=%s new_records=%" PRIu64,
		 LOG_QUOTED(j->state.path), j->state.records, j->written.off,
		 LOG_QUOTED(n->path), file->first_record);
	history_end(&j->history, mark_day(ring_at(&j->main->ring, mark)));
	journal_take_file(j, n->path, file, day, mark + MARK_BYTES);
	journal_note_write(j);
	j->state.marks++;
	journal_recovered(j, now_ns);
	journal_show(j, now_ns);
}

/* ---- files without readers ---- */

static void
run_free(struct file_job *job)
{
	struct journal_old *o = container_of(job, struct journal_old, job);
	const struct journal *j = container_of(o, struct journal, old);

	/* A stop will not find it. */
	(void)journal_sync_ended(j, o->file);
	history_file_free(o->file);
}

static void
free_done(struct file_job *job, int64_t now_ns)
{
	(void)job;
	(void)now_ns;
}

void
journal_trim(struct journal *j)
{
	struct journal_old *o = &j->old;

	if (o->job.is_busy || !history_is_long(&j->history))
		return;
	o->file = history_trim(&j->history, streams_oldest_pos(j->streams));
	if (o->file != NULL)
		file_job_start(j->jobs, &o->job);
}

void
journal_init_roll(struct journal *j)
{
	j->next.job = (struct file_job){ .run = run_open,
					.done = open_done,
					.what = "open the next file" };
	j->old.job = (struct file_job){ .run = run_free,
				       .done = free_done,
				       .what = "close an old file" };
}
