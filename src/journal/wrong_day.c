#include "config.h"

#include "journal/journal_private.h"

#include "base/log.h"

#define AGAIN_NS (60 * NS_PER_S)

static struct journal *
journal_of(struct file_job *job)
{
	return container_of(job, struct journal, wrong_day.job);
}

/* ---- on the other thread ---- */

static void
lock_new(struct journal_wrong_day *r)
{
	char err[1024];

	if (r->days.file != NULL)
		(void)journal_lock_file(r->days.path, r->days.file->fd, false,
					err, sizeof(err));
}

/* As at a start: the epoch file says that a run is open, so the next epoch
 * begins.  Clients that were told the wrong day claim it in the last one. */
static void
run_job(struct file_job *job)
{
	struct journal_wrong_day *r = &journal_of(job)->wrong_day;

	if (r->is_closing) {
		/* The new file is locked before the old ones are free, or, if
		 * it is one of them, after that.  No other daemon can come
		 * between: NAME.lock is ours. */
		lock_new(r);
		history_close(&r->old);
		lock_new(r);
		if (r->is_too_late)
			(void)epoch_store(&r->epochs,
					  r->settings->journal.directory,
					  r->settings->journal.name);
	} else
		r->is_begun = journal_days_begin(r->settings, &r->now,
						 &r->epochs, &r->days, r->err,
						 sizeof(r->err));
}

/* ---- on the application's thread ---- */

/* Whether no record is in the day's file or on its way there. */
static bool
is_untouched(struct journal *j)
{
	return j->state.records == 0 && j->phase == JOURNAL_READY &&
	       j->failing_since_ns == 0 && j->ops_cnt == 0 &&
	       !j->is_rolling && j->staged.pos == j->main->head_pos &&
	       j->staged.off == j->written.off && !j->mend.job.is_busy &&
	       !journal_is_mending(j) && !j->next.job.is_busy &&
	       !j->old.job.is_busy && !history_is_read(&j->history) &&
	       streams_oldest_pos(j->streams) == j->main->head_pos;
}

/* Continues in the files of the right day. */
static void
take_days(struct journal *j, int64_t now_ns)
{
	struct journal_wrong_day *r = &j->wrong_day;
	struct journal_days *days = &r->days;

	history_hand_over(&j->history, &r->old);
	if (days->before != NULL)
		history_begin_past(&j->history, days->before, days->before_day,
				   days->file, j->main->head_pos);
	journal_take_file(j, days->path, days->file, days->day,
			  j->main->head_pos);
	journal_note_write(j);
	journal_show(j, now_ns);
	r->has_changed = true;
}

static void
job_done(struct file_job *job, int64_t now_ns)
{
	struct journal *j = journal_of(job);
	struct journal_wrong_day *r = &j->wrong_day;

	if (r->is_closing)
		return;
	if (!r->is_begun) {
		log_line(LOG_ERROR, "date_not_corrected", "why=%s",
			 LOG_QUOTED(r->err));
		return;
	}
	r->is_too_late = !is_untouched(j);
	if (!r->is_too_late) {
		j->state.epochs = r->epochs;
		take_days(j, now_ns);
	} else {
		/* Updates or readers have come meanwhile.  The epoch that was
		 * to begin has begun without the running day, so it would make
		 * every claim in that day void; nobody has been told of it. */
		r->epochs = j->state.epochs;
		history_put(&r->old, r->days.file);
		if (r->days.before != NULL)
			history_put(&r->old, r->days.before);
		r->days.file = NULL;
	}
	r->is_closing = true;
	file_job_start(j->jobs, &r->job);
}

void
journal_init_wrong_day(struct journal *j)
{
	j->wrong_day.job = (struct file_job){ .run = run_job,
					     .done = job_done,
					     .what = "correct the date" };
	history_init(&j->wrong_day.old);
}

bool
journal_correct_day(struct journal *j, const struct journal_moment *now,
		    int64_t now_ns)
{
	struct journal_wrong_day *r = &j->wrong_day;
	const struct history_file *before =
		history_before(&j->history, history_last(&j->history));

	if (r->has_changed) {
		r->has_changed = false;
		return true;
	}
	if (r->job.is_busy || now_ns < r->retry_ns || !is_untouched(j))
		return false;
	r->retry_ns = now_ns + AGAIN_NS;
	r->settings = j->settings;
	r->now = *now;
	/* A client that was sent its end is in the day after it. */
	if (before != NULL && before->is_end_told &&
	    before->day >= r->now.day_floor)
		r->now.day_floor = before->day + 1;
	/* Then the running day is the earliest possible one. */
	if (r->now.day_floor >= j->state.day)
		return false;
	r->is_closing = false;
	file_job_start(j->jobs, &r->job);
	return false;
}
