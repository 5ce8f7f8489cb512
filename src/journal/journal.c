#include "config.h"

#include "journal/journal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/notify.h"
#include "journal/file.h"
#include "journal/journal_private.h"
#include "journal/unsynced.h"
#include "schema/record.h"

/* ---- staging ---- */

/* The index entry of the record that is staged next. */
static struct journal_index_entry
next_entry(const struct journal *j, int64_t now_ns)
{
	return (struct journal_index_entry){
		.off = j->staged.off,
		.record = j->state.records + j->staged.records -
			  j->written.records,
		.pos = j->staged.pos,
		.time_ns = now_ns,
	};
}

/* Copies records until the staging ring is full, or a mark comes next. */
static void
stage_records(struct journal *j, int64_t now_ns)
{
	struct history_file *file = history_last(&j->history);

	/* The file is compared with what is staged. */
	if (j->mend.step == MEND_LAST && j->mend.what == MEND_KEEP)
		return;
	while (j->staged.pos != j->main->head_pos) {
		const uint8_t *frame = ring_at(&j->main->ring, j->staged.pos);
		uint32_t len = stream_frame_len(frame);
		uint64_t room =
			j->staging.size - (j->staged.off - j->written.off);

		if (!stream_frame_is_record(frame)) {
			j->is_rolling = true;
			break;
		}
		if (len > room)
			break;
		journal_index_add(&file->index, next_entry(j, now_ns));
		j->staged.off += record_from_frame(
			record_table(j->schema, frame), frame, len,
			ring_at(&j->staging, j->staged.off + j->shift));
		j->staged.records++;
		j->staged.pos += len;
	}
	journal_hold_ring(j);
}

/* ---- writing ---- */

static void
submit_write(struct journal *j, int64_t now_ns)
{
	uint64_t off = j->batch_off;

	engine_append_file(j->engine, j->state.fd,
			   ring_at(&j->staging, off + j->shift),
			   (size_t)(j->batch.off - off), off,
			   journal_ticket(OP_WRITE));
	j->ops_cnt++;
	j->phase = JOURNAL_WRITING;
	j->write_since_ns = now_ns;
	journal_note_write(j);
}

static void
submit_sync(struct journal *j)
{
	engine_sync_file(j->engine, j->state.fd, journal_ticket(OP_SYNC));
	j->ops_cnt++;
	j->phase = JOURNAL_SYNCING;
	/* The sync covers what is written now. */
	j->batch = j->written;
}

static bool
is_sync_due(const struct journal *j, int64_t now_ns)
{
	if (j->state.synced_pos == j->state.written_pos)
		return false;
	switch (j->settings->journal.sync) {
	case SYNC_NONE:
		return false;
	case SYNC_INTERVAL:
		return now_ns >= j->next_sync_ns || j->is_rolling;
	case SYNC_BATCH:
		return true;
	}
	return false;
}

/*
 * Fresh pages of the page cache are expensive: written stretches are sent to
 * the disk and their pages given back, all but the last whole stretch.
 */
static void
recycle_pages(struct journal *j)
{
	const uint32_t len = JOURNAL_RECYCLE_BYTES;

	while (j->written.off - j->dropped_off >= 2 * (uint64_t)len) {
		engine_recycle_file(j->engine, j->state.fd, j->dropped_off,
				    len, journal_ticket(OP_RECYCLE));
		j->ops_cnt++;
		j->dropped_off += len;
	}
}

/*
 * Cuts the file back to its last whole record, so that after a crash it does
 * not end with half a record; the write is tried again later, from there.
 */
static void
write_failed(struct journal *j, int err, int64_t now_ns)
{
	journal_complain(j, "write", err, now_ns);
	journal_cut_back(j);
}

static void
on_write(struct journal *j, int32_t result, int64_t now_ns)
{
	int64_t took = now_ns - j->write_since_ns;

	j->phase = JOURNAL_READY;
	if (result == -EINTR || result == -EAGAIN)
		result = 0;
	else if (result <= 0) {
		write_failed(j, result == 0 ? ENOSPC : -result, now_ns);
		return;
	}
	j->batch_off += (uint64_t)result;
	j->written_bytes += (uint64_t)result;
	if (took > j->write_max_ns)
		j->write_max_ns = took;
	if (j->batch_off < j->batch.off) {
		submit_write(j, now_ns);
		return;
	}
	journal_set_written(j, j->batch);
	j->look.is_due = true;
	journal_recovered(j, now_ns);
	recycle_pages(j);
	if (j->settings->journal.sync == SYNC_NONE)
		journal_set_synced(j, j->written);
	journal_show(j, now_ns);
}

static void
on_sync(struct journal *j, int32_t result, int64_t now_ns)
{
	j->phase = JOURNAL_READY;
	if (result == -EINTR || result == -EAGAIN)
		return; /* it is still due */
	if (result < 0)
		journal_sync_failed(j, -result);
	journal_set_synced(j, j->batch);
	j->next_sync_ns = now_ns + j->settings->journal.sync_interval;
	j->syncs++;
	journal_show(j, now_ns);
}

void
journal_completed(struct journal *j, struct ticket ticket, int32_t result,
		  int64_t now_ns)
{
	enum journal_op op = (enum journal_op)ticket.slot;

	/* Only the next write ever waits for a look. */
	CHECK(op == OP_LOOK || j->ops_cnt > 0);
	j->ops_cnt -= op != OP_LOOK;
	switch (op) {
	case OP_LOOK:
		journal_look_completed(j, result, now_ns);
		break;
	case OP_WRITE:
		on_write(j, result, now_ns);
		break;
	case OP_SYNC:
		on_sync(j, result, now_ns);
		break;
	case OP_RECYCLE: /* only advice: a failure costs speed */
		break;
	}
}

/* ---- the turn ---- */

static void
start_batch(struct journal *j, int64_t now_ns)
{
	j->batch = j->staged;
	j->batch_off = j->written.off;
	submit_write(j, now_ns);
}

/* Whether something may be written now. */
static bool
is_ready(struct journal *j, int64_t now_ns)
{
	if (j->phase == JOURNAL_FAILED && now_ns >= j->retry_ns) {
		j->phase = JOURNAL_READY;
		if (j->cut.is_needed)
			journal_cut_back(j);
	}
	return j->phase == JOURNAL_READY && journal_tend(j, now_ns);
}

void
journal_run(struct journal *j, int32_t today, int64_t local_ns, int64_t now_ns)
{
	if (!j->state.is_on)
		return;
	journal_prepare(j, today, local_ns, now_ns);
	stage_records(j, now_ns);
	journal_watch_progress(j, now_ns);
	journal_watch_lag(j, now_ns);
	if (j->phase == JOURNAL_FAILED && j->is_stopping &&
	    (j->last_error == ENOSPC || j->last_error == EDQUOT))
		journal_reserve_give_up(&j->reserve, j->jobs);
	journal_look_run(j, now_ns);
	if (!is_ready(j, now_ns))
		return;
	journal_trim(j);
	if (is_sync_due(j, now_ns))
		submit_sync(j);
	else if (j->staged.off > j->written.off) {
		if (!journal_look_holds(j, now_ns))
			start_batch(j, now_ns);
	}
	else if (j->is_rolling && j->ops_cnt == 0)
		journal_roll(j, today, local_ns, now_ns);
}

/* A roll waits for operations and jobs: their completions start a turn. */
static int64_t
roll_due_ns(const struct journal *j)
{
	if (j->ops_cnt > 0 || j->next.job.is_busy)
		return INT64_MAX;
	return journal_mend_due_ns(j);
}

void
journal_stop(struct journal *j)
{
	j->is_stopping = true;
	/* A fault that kept the file from being mended may be gone by now. */
	j->mend.next_ns = 0;
	/* The last recheck begins anew. */
	j->mend.is_rechecking = false;
}

/* When a journal in JOURNAL_READY has work other than a look. */
static int64_t
work_due_ns(const struct journal *j)
{
	if (j->mend.step == MEND_QUIETING || j->mend.step == MEND_LAST ||
	    journal_is_barred(j))
		return journal_mend_due_ns(j);
	if (j->history.is_doubted && !j->mend.job.is_busy &&
	    !j->mend.has_failed)
		return 0;
	if (j->look.is_held)
		return INT64_MAX;
	if (j->is_rolling)
		return roll_due_ns(j);
	if (j->staged.pos != j->main->head_pos)
		return 0;
	if (j->settings->journal.sync == SYNC_INTERVAL &&
	    j->state.synced_pos != j->state.written_pos)
		return j->next_sync_ns;
	return INT64_MAX;
}

int64_t
journal_due_ns(const struct journal *j)
{
	if (!j->state.is_on)
		return INT64_MAX;
	if (j->phase == JOURNAL_FAILED)
		return j->retry_ns;
	if (j->phase != JOURNAL_READY)
		return INT64_MAX;
	return min_i64(work_due_ns(j), journal_look_due_ns(j));
}

const char *
journal_trouble(const struct journal *j)
{
	if (j->failing_since_ns != 0)
		return " journal=failing";
	return j->slow_since_ns != 0 && j->is_slow_told ? " journal=slow" : "";
}

bool
journal_is_failing(const struct journal *j)
{
	return j->failing_since_ns != 0;
}

int64_t
journal_stuck_ns(const struct journal *j, int64_t now_ns)
{
	return j->state.is_stuck ? now_ns - j->writing.moved_ns : 0;
}

void
journal_excuse(struct journal *j, int64_t ns)
{
	j->writing.moved_ns += ns;
	j->working.moved_ns += ns;
	j->naming.moved_ns += ns;
}

bool
journal_is_trying(const struct journal *j)
{
	if (j->failing_since_ns == 0)
		return j->state.is_on && !j->state.is_stuck &&
		       j->state.stream_records < j->main->records;
	return j->phase == JOURNAL_WRITING || j->phase == JOURNAL_CUTTING;
}

bool
journal_may_close(struct journal *j, int64_t now_ns)
{
	return !j->state.is_on ||
	       (journal_has_drained(j) &&
		(j->mend.has_failed_at_stop ||
		 (journal_is_rechecked(j, now_ns) &&
		  journal_is_looked_after(j, now_ns))));
}

/* ---- open and close ---- */

/* The part of the start that needs the lock. */
static bool
begin_locked(struct journal *j, const struct journal_moment *now, char *err,
	     size_t err_len)
{
	const struct settings *set = j->settings;
	struct journal_days days;

	journal_tell_left(set->journal.directory, set->journal.name);
	if (!journal_unsynced_mend(set->journal.directory, set->journal.name,
				   NULL, err, err_len) ||
	    !journal_days_begin(set, now, &j->state.epochs, &days, err,
				err_len))
		return false;
	if (set->publish.after != AFTER_RING)
		j->main->is_gated = true;
	cursor_attach(&j->cursor, j->main, j->main->head_pos);
	if (days.before != NULL)
		history_begin_past(&j->history, days.before, days.before_day,
				   days.file, j->main->head_pos);
	journal_take_file(j, days.path, days.file, days.day,
			  j->main->head_pos);
	journal_reserve_open(&j->reserve, set->journal.directory,
			     set->journal.name, journal_reserve_bytes(set));
	j->state.is_on = true;
	return true;
}

static bool
no_staging(int error, char *err, size_t err_len)
{
	if (error == EFBIG)
		(void)snprintf(err, err_len,
			       "the limit of the size of a file is below the "
			       "journal's buffer; raise it with: ulimit -f "
			       "unlimited (systemd: LimitFSIZE=infinity)");
	else
		(void)snprintf(err, err_len, "no memory for the journal: %s",
			       strerror(error));
	errno = error == EFBIG ? EINVAL : error;
	return false;
}

bool
journal_open(struct journal *j, const struct settings *settings,
	     struct engine *engine, struct file_jobs *jobs,
	     struct streams *streams, const struct journal_moment *now,
	     char *err, size_t err_len)
{
	const char *directory = settings->journal.directory;
	int res;

	*j = (struct journal){ .settings = settings,
			       .engine = engine,
			       .jobs = jobs,
			       .streams = streams,
			       .main = &streams->main,
			       .schema = &settings->tables };
	history_init(&j->history);
	journal_init_mend(j);
	journal_init_roll(j);
	journal_init_wrong_day(j);
	if (directory[0] == '\0')
		return true;
	res = ring_open(&j->staging, journal_staging_bytes(settings), false,
			true);
	if (res == 0)
		ring_hide_from_core(&j->staging);
	if (res != 0)
		return no_staging(-res, err, err_len);
	j->lock_fd = journal_lock(directory, settings->journal.name, err,
				  err_len);
	if (j->lock_fd < 0)
		return false;
	if (begin_locked(j, now, err, err_len))
		return true;
	res = errno;
	(void)close(j->lock_fd);
	errno = res;
	return false;
}

/* Whether accepted records are missing in the file at its end; logs that. */
static bool
has_lost(const struct journal *j)
{
	uint64_t lost = j->main->records - j->state.stream_records;

	if (lost > 0)
		log_line(LOG_ERROR, "journal_lost",
			 "file=%s first_record=%" PRIu64 " records=%" PRIu64
			 " bytes=%" PRIu64 " hint=\"these updates were "
			 "accepted but could not be written before the stop; "
			 "send them again\"",
			 LOG_QUOTED(j->state.path), j->state.records, lost,
			 j->main->head_pos - j->state.written_pos);
	return lost > 0;
}

/* 0 or the last errno. */
static int
sync_all_ended(const struct journal *j)
{
	const struct history_file *f = history_last(&j->history);
	int error = 0, one;

	while ((f = history_before(&j->history, f)) != NULL) {
		one = journal_sync_ended(j, f);
		error = one != 0 ? one : error;
	}
	return error;
}

/* On the other thread.  The records must be on the disk before the word "clean"
 * is.  After it the files and their locks are not needed any more. */
static void
run_end(struct file_job *job)
{
	struct journal *j = container_of(job, struct journal, end.job);
	struct journal_end *e = &j->end;
	int error;

	e->sync_err = fdatasync(j->state.fd) == 0 ? 0 : errno;
	if (e->sync_err != 0)
		journal_note_unsynced(j, e->sync_err);
	error = sync_all_ended(j);
	if (e->sync_err == 0)
		e->sync_err = error;
	if (e->sync_err == 0 && e->is_clean)
		journal_days_end(j->settings, &j->state.epochs, &j->history,
				 j->state.day, e->day_floor);
	e->is_unnamed = !j->mend.is_looked_after && journal_save_unnamed(j);
	history_file_free(j->next.file);
	history_close(&j->history);
	if (j->mend.copy.fd >= 0)
		(void)close(j->mend.copy.fd);
	lost_name_release(&j->mend.copy);
	(void)close(j->lock_fd);
}

static void
end_done(struct file_job *job, int64_t now_ns)
{
	(void)job;
	(void)now_ns;
}

/* The last look at the file.  false: the disk hangs. */
static bool
look_again(struct journal *j, int64_t until_ns)
{
	if (!file_jobs_finish(j->jobs, until_ns))
		return false;
	(void)journal_is_looked_after(j, clock_monotonic_ns());
	return file_jobs_finish(j->jobs, until_ns);
}

static bool
end_files(struct journal *j, int64_t until_ns)
{
	j->end.job = (struct file_job){ .run = run_end,
				       .done = end_done,
				       .what = "close the files" };
	j->end.is_clean = journal_has_drained(j) && j->mend.is_looked_after;
	file_job_start(j->jobs, &j->end.job);
	return file_jobs_finish(j->jobs, until_ns);
}

int
journal_close(struct journal *j, int32_t day_floor, int64_t until_ns)
{
	bool is_looked_at;
	int status;

	if (!j->state.is_on) {
		ring_close(&j->staging);
		return 0;
	}
	is_looked_at = look_again(j, until_ns);
	status = has_lost(j) ? EXIT_ROOM : 0;
	j->end.day_floor = day_floor;
	if (!is_looked_at || !end_files(j, until_ns)) {
		log_line(LOG_ERROR, "journal_hangs",
			 "file=%s hint=\"the file system does not answer; the "
			 "process ends when it does, and keeps its lock until "
			 "then\"",
			 LOG_QUOTED(j->state.path));
		notify_status("stopped; the file system of the journal hangs, "
			      "and the process ends when it answers");
		return status == 0 ? EXIT_OTHER : status;
	}
	if (j->end.is_unnamed && status == 0)
		status = EXIT_OTHER;
	if (j->end.sync_err != 0)
		status = EXIT_DISK;
	(void)cursor_detach(&j->cursor);
	/* A write that hangs still reads from the staging ring. */
	if (j->ops_cnt == 0)
		ring_close(&j->staging);
	j->state.is_on = false;
	return status;
}
