#include "config.h"

#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "journal_file.h"
#include "journal_rescue.h"
#include "journal_start.h"
#include "journal_unsynced.h"
#include "record.h"

enum {
	STAGING_BYTES_MIN = 4 << 20,
	RESERVE_SPARE = 64 << 10,
	RECYCLE_BYTES = 64 << 20, /* given back to the kernel at a time */
};

#define RETRY_NS    (250 * NS_PER_MS)
#define STUCK_NS    (100 * NS_PER_MS)
#define COMPLAIN_NS (60 * NS_PER_S)
#define LOOK_NS	    (1 * NS_PER_S)
#define SLOW_NS	    (1 * NS_PER_S)

/* What an operation of the journal was: the slot of its ticket. */
enum journal_op { OP_WRITE, OP_SYNC, OP_RECYCLE };

static struct ticket
op_ticket(enum journal_op op)
{
	return (struct ticket){ .slot = (uint16_t)op, .kind = ENGINE_JOURNAL };
}

/* ---- trouble ---- */

/* Counts it, and says it once a minute. */
static void
complain(struct journal *j, const char *what, int err, int64_t now_ns)
{
	j->failures++;
	j->last_error = err;
	if (j->failing_since_ns == 0) {
		j->failing_since_ns = now_ns;
		j->next_complaint_ns = now_ns;
	}
	if (now_ns < j->next_complaint_ns)
		return;
	j->next_complaint_ns = now_ns + COMPLAIN_NS;
	log_line(LOG_ERROR, "journal_failing",
		 "file=%s operation=%s error=\"%s\" failures=%" PRIu64
		 " seconds=%lld waiting_bytes=%" PRIu64
		 " hint=\"nothing is lost while the ring has room (then feeds "
		 "wait); make room or mend the disk\"",
		 j->state.path, what, strerror(err), j->failures,
		 (now_ns - j->failing_since_ns) / NS_PER_S,
		 j->main->head_pos - j->state.written_pos);
}

static void
recovered(struct journal *j, int64_t now_ns)
{
	/* A write to a file without a name mends nothing. */
	if (j->failing_since_ns == 0 || j->is_gone)
		return;
	log_line(LOG_NOTE, "journal_mended",
		 "file=%s failures=%" PRIu64 " seconds=%lld", j->state.path,
		 j->failures, (now_ns - j->failing_since_ns) / NS_PER_S);
	j->failing_since_ns = 0;
	j->failures = 0;
}

/* It fails, or has something to do and has not moved for STUCK_NS. */
static void
watch_progress(struct journal *j, int64_t now_ns)
{
	uint64_t pos = j->state.written_pos;

	if (pos != j->watched_pos || !j->is_behind) {
		j->watched_pos = pos;
		j->moved_ns = now_ns;
	}
	j->is_behind = pos != j->main->head_pos;
	j->state.is_stuck = j->failing_since_ns != 0 ||
			    now_ns - j->moved_ns >= STUCK_NS;
}

/* The disk is slow: told after a second of it, every minute, and when it
 * ends. */
static void
watch_lag(struct journal *j, int64_t now_ns)
{
	uint64_t lag = j->main->head_pos - j->cursor.pos;
	uint64_t ring = j->main->ring.size;
	/* It may be what feeds wait for with less, where others lag too. */
	bool is_waited_for = j->main->wanted_bytes > 0 && lag > ring / 4;

	if (j->slow_since_ns == 0) {
		if (lag < ring / 2 && !is_waited_for)
			return;
		j->slow_since_ns = now_ns;
		j->next_slow_ns = now_ns + SLOW_NS;
		j->is_slow_told = false;
	}
	if (lag < ring / 4) {
		if (j->is_slow_told)
			log_line(LOG_NOTE, "journal_kept_up",
				 "file=%s slow_seconds=%lld", j->state.path,
				 (now_ns - j->slow_since_ns) / NS_PER_S);
		j->slow_since_ns = 0;
	} else if (now_ns >= j->next_slow_ns) {
		log_line(LOG_WARN, "journal_slow",
			 "file=%s lag_bytes=%" PRIu64 " ring_pct=%" PRIu64
			 " seconds=%lld write_max_ms=%lld hint=\"the journal "
			 "is the laggard: no consumer leaves for it; feeds "
			 "wait when the ring is full\"",
			 j->state.path, lag, lag * 100 / ring,
			 (now_ns - j->slow_since_ns) / NS_PER_S,
			 (long long)(j->write_max_ns / NS_PER_MS));
		j->next_slow_ns = now_ns + COMPLAIN_NS;
		j->is_slow_told = true;
	}
}

/* ---- how far it is ---- */

static void
set_written(struct journal *j, struct journal_point to)
{
	struct history_file *file = history_last(&j->history);

	file->written_off = to.off;
	file->written_pos = to.pos;
	file->written_records =
		j->state.records + to.records - j->written.records;
	j->state.records += to.records - j->written.records;
	j->state.stream_records = to.records;
	j->state.written_pos = to.pos;
	j->written = to;
}

static void
set_synced(struct journal *j, struct journal_point to)
{
	j->synced_off = to.off;
	j->state.synced_pos = to.pos;
	j->state.synced_records =
		j->state.records - (j->written.records - to.records);
}

/* Whether what is visible of the main stream follows what is written. */
static bool
is_gate(const struct journal *j)
{
	return j->main->is_gated && j->settings->publish.interval == 0;
}

/*
 * The ring keeps what is not staged; where the journal is the gate, all that is
 * not visible yet, which may be more: consumers begin there.
 */
static void
hold(struct journal *j)
{
	j->cursor.pos = is_gate(j) ? j->main->visible_pos : j->staged.pos;
}

uint64_t
journal_safe_pos(const struct journal *j)
{
	switch (j->settings->publish.after) {
	case AFTER_RING:
		break;
	case AFTER_JOURNAL:
		return j->state.written_pos;
	case AFTER_SYNC:
		return j->state.synced_pos;
	}
	return j->main->head_pos;
}

/* Subscribers see what publish.after promises; in batches, when it is time. */
static void
show(struct journal *j, int64_t now_ns)
{
	if (is_gate(j))
		stream_show(j->main, journal_safe_pos(j), now_ns);
	hold(j);
}

/* ---- staging ---- */

/* The record that is staged next. */
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

/* Copies records until the staging ring is full, or a mark stands before the
 * next one. */
static void
stage(struct journal *j, int64_t now_ns)
{
	struct history_file *file = history_last(&j->history);

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
			ring_at(&j->staging, j->staged.off));
		j->staged.records++;
		j->staged.pos += len;
	}
	hold(j);
}

/* ---- writing ---- */

static void
submit_write(struct journal *j, int64_t now_ns)
{
	uint64_t off = j->batch_off;

	engine_write_file(j->engine, j->state.fd, ring_at(&j->staging, off),
			  (size_t)(j->batch.off - off), off,
			  op_ticket(OP_WRITE));
	j->ops_cnt++;
	j->phase = JOURNAL_WRITING;
	j->write_since_ns = now_ns;
}

static void
submit_sync(struct journal *j)
{
	engine_sync_file(j->engine, j->state.fd, op_ticket(OP_SYNC));
	j->ops_cnt++;
	j->phase = JOURNAL_SYNCING;
	/* What is written now is what this will have made safe. */
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
 * Fresh pages of the page cache are dear: what was written is sent to the disk
 * and its pages given back, one stretch behind the one being written.
 */
static void
recycle(struct journal *j)
{
	while (j->written.off - j->dropped_off >= 2 * (uint64_t)RECYCLE_BYTES) {
		engine_recycle_file(j->engine, j->state.fd, j->dropped_off,
				    RECYCLE_BYTES, op_ticket(OP_RECYCLE));
		j->ops_cnt++;
		j->dropped_off += RECYCLE_BYTES;
	}
}

static void
try_later(struct journal *j, int64_t now_ns)
{
	j->phase = JOURNAL_FAILED;
	j->retry_ns = now_ns + RETRY_NS;
}

/*
 * Cuts the file back to its last whole record, so that whoever opens it after
 * a crash finds nothing half-done; the write is tried again later, from there.
 */
static void
write_failed(struct journal *j, int err, int64_t now_ns)
{
	complain(j, "write", err, now_ns);
	if (ftruncate(j->state.fd, (off_t)j->written.off) != 0)
		complain(j, "truncate", errno, now_ns);
	try_later(j, now_ns);
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
	set_written(j, j->batch);
	recovered(j, now_ns);
	recycle(j);
	if (j->settings->journal.sync == SYNC_NONE)
		set_synced(j, j->written);
	show(j, now_ns);
}

/* Logs it, and remembers it for the next start. */
static void
note_unsynced(const struct journal *j, int error)
{
	/* Without journal.sync nothing was ever known to be on the disk. */
	bool is_none = j->settings->journal.sync == SYNC_NONE;
	uint64_t off = is_none ? JOURNAL_HEADER_BYTES : j->synced_off;
	uint64_t record = is_none ? 0 : j->state.synced_records;

	log_line(LOG_ERROR, "journal_unsynced",
		 "file=\"%s\" from_byte=%" PRIu64 " from_record=%" PRIu64
		 " error=\"%s\" hint=\"fdatasync failed: check the disk "
		 "(dmesg); the next start writes that part anew and reads it "
		 "back\"",
		 j->state.path, off, record, strerror(error));
	journal_unsynced_note(j->settings->journal.directory,
			      j->settings->journal.name, j->state.path, off,
			      record);
}

/*
 * After a failed fdatasync the kernel may have thrown the pages away and call
 * the next one a success: what is on disk is unknown, and going on would make
 * a promise that nobody can keep.
 */
static void
on_sync(struct journal *j, int32_t result, int64_t now_ns)
{
	j->phase = JOURNAL_READY;
	if (result < 0) {
		note_unsynced(j, -result);
		die(EXIT_DISK,
		    "journal %s: fdatasync failed (%s): records from %" PRIu64
		    " on may not be on disk; stopped, because no later success "
		    "could be believed; check the disk, then start again",
		    j->state.path, strerror(-result), j->state.synced_records);
	}
	set_synced(j, j->batch);
	j->next_sync_ns = now_ns + j->settings->journal.sync_interval;
	j->syncs++;
	show(j, now_ns);
}

void
journal_completed(struct journal *j, struct ticket ticket, int32_t result,
		  int64_t now_ns)
{
	CHECK(j->ops_cnt > 0);
	j->ops_cnt--;
	switch ((enum journal_op)ticket.slot) {
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

/* ---- is the file still there ---- */

/* Gives the file its name back if it lost it. Returns whether it has any. */
static bool
has_name(struct journal *j, int64_t now_ns)
{
	bool was_gone = j->is_gone;
	enum rescue_result result =
		journal_rescue(j->state.path, j->state.fd, j->written.off,
			       j->settings->journal.sync != SYNC_NONE);

	j->is_gone = result == RESCUE_FAILED;
	if (j->is_gone) {
		complain(j, "bring back", errno, now_ns);
		return !journal_is_deleted(j->state.fd);
	}
	if (result != RESCUE_NOT_NEEDED)
		log_line(LOG_ERROR, "journal_brought_back",
			 "file=%s bytes=%" PRIu64
			 " how=%s hint=\"the file was deleted, moved or "
			 "replaced under the daemon\"",
			 j->state.path, j->written.off,
			 result == RESCUE_COPIED ? "copied" : "linked");
	if (was_gone)
		recovered(j, now_ns);
	return true;
}

static void
look_for_file(struct journal *j, int64_t now_ns)
{
	if (now_ns < j->next_look_ns || j->ops_cnt > 0)
		return;
	j->next_look_ns = now_ns + LOOK_NS;
	(void)has_name(j, now_ns);
}

/* ---- the end of a day ---- */

static void
take_file(struct journal *j, const char *path, struct history_file *f,
	  int32_t day, uint64_t pos)
{
	history_begin(&j->history, f, pos);
	j->state.day = day;
	(void)snprintf(j->state.path, sizeof(j->state.path), "%s", path);
	j->state.fd = f->fd;
	j->state.records = f->first_record;
	j->staged =
		(struct journal_point){ f->first_off, pos, j->written.records };
	j->written = j->batch = j->staged;
	j->batch_off = f->first_off;
	j->dropped_off = f->first_off - f->first_off % RECYCLE_BYTES;
	j->state.written_pos = pos;
	j->state.stream_records = j->written.records;
	set_synced(j, j->written);
	j->is_rolling = false;
}

/* The date of the file behind the mark at mark_pos: the day that the next mark
 * will end, or the running one. */
static int32_t
day_after(const struct journal *j, uint64_t mark_pos, int32_t today)
{
	uint64_t pos = mark_pos;

	for (;;) {
		const uint8_t *frame = ring_at(&j->main->ring, pos);
		uint32_t len = stream_frame_len(frame);

		if (pos != mark_pos && !stream_frame_is_record(frame))
			return mark_day(frame);
		pos += len;
		if (pos == j->main->head_pos)
			return today;
	}
}

/* The file of a day, prepared or not; NULL with err. */
static struct history_file *
open_day(struct journal *j, int32_t day, char *path, size_t path_len, char *err,
	 size_t err_len)
{
	struct history_file *prepared = j->next.file;

	if (!journal_path(j->settings->journal.directory,
			  j->settings->journal.name, day, path, path_len, err,
			  err_len))
		return NULL;
	j->next.file = NULL;
	if (prepared != NULL && j->next.day == day)
		return prepared;
	history_file_free(prepared);
	return journal_days_open(j->settings, path, true, err, err_len);
}

/*
 * Opens the next day's file before it is needed: what is wrong with it is said
 * while there is time to mend it, and midnight costs nothing.
 */
static void
prepare(struct journal *j, int32_t today, int64_t local_ns, int64_t now_ns)
{
	int32_t day = clock_day(local_ns + JOURNAL_AHEAD_NS);
	char path[JOURNAL_PATH_MAX], err[1024];

	if (day <= today || now_ns < j->next.retry_ns ||
	    (j->next.file != NULL && j->next.day == day))
		return;
	j->next.retry_ns = now_ns + COMPLAIN_NS;
	j->next.file = open_day(j, day, path, sizeof(path), err, sizeof(err));
	if (j->next.file == NULL) {
		log_line(LOG_ERROR, "journal_next_failed",
			 "why=\"%s\" hint=\"mend it before the day ends: "
			 "updates wait in the ring when it cannot be opened "
			 "then\"",
			 err);
		return;
	}
	j->next.day = day;
	log_line(LOG_INFO, "journal_next", "file=%s records=%" PRIu64, path,
		 j->next.file->first_record);
}

/*
 * Everything before the mark is in the file: closes it and goes on in the
 * next.  An fdatasync of the old one was done if anything promises it.
 */
static void
roll(struct journal *j, int32_t today, int64_t now_ns)
{
	uint64_t mark = j->staged.pos;
	int32_t day = day_after(j, mark, today);
	struct history_file *next;
	char path[JOURNAL_PATH_MAX], err[1024];

	/* Once closed, it could not be brought back. */
	if (!has_name(j, now_ns)) {
		try_later(j, now_ns);
		return;
	}
	next = open_day(j, day, path, sizeof(path), err, sizeof(err));
	if (next == NULL) {
		complain(j, "roll", EIO, now_ns);
		if (now_ns >= j->next_roll_complaint_ns) {
			j->next_roll_complaint_ns = now_ns + COMPLAIN_NS;
			log_line(LOG_ERROR, "journal_roll_failed", "why=\"%s\"",
				 err);
		}
		try_later(j, now_ns);
		return;
	}
	log_line(LOG_NOTE, "journal_rolled",
		 "old=%s records=%" PRIu64 " bytes=%" PRIu64
		 " new=%s new_records=%" PRIu64,
		 j->state.path, j->state.records, j->written.off, path,
		 next->first_record);
	history_end(&j->history, mark_day(ring_at(&j->main->ring, mark)));
	/* What was in it before, no stream has had: who came over the mark
	 * counts from there, who began with record 0 did not. */
	next->since = next->first_record;
	take_file(j, path, next, day, mark + MARK_BYTES);
	j->state.marks++;
	recovered(j, now_ns);
	show(j, now_ns);
}

/* ---- the turn ---- */

static void
start_batch(struct journal *j, int64_t now_ns)
{
	j->batch = j->staged;
	j->batch_off = j->written.off;
	submit_write(j, now_ns);
}

void
journal_run(struct journal *j, int32_t today, int64_t local_ns, int64_t now_ns)
{
	if (!j->state.is_on)
		return;
	prepare(j, today, local_ns, now_ns);
	stage(j, now_ns);
	watch_lag(j, now_ns);
	watch_progress(j, now_ns);
	if (j->phase == JOURNAL_FAILED && j->stop_jobs != NULL &&
	    (j->last_error == ENOSPC || j->last_error == EDQUOT))
		journal_reserve_give_up(&j->reserve, j->stop_jobs);
	if (j->phase == JOURNAL_FAILED && now_ns >= j->retry_ns)
		j->phase = JOURNAL_READY;
	if (j->phase != JOURNAL_READY)
		return;
	look_for_file(j, now_ns);
	if (history_is_long(&j->history))
		history_trim(&j->history, streams_oldest_pos(j->streams));
	if (is_sync_due(j, now_ns))
		submit_sync(j);
	else if (j->staged.off > j->written.off)
		start_batch(j, now_ns);
	else if (j->is_rolling && j->ops_cnt == 0)
		roll(j, today, now_ns);
}

void
journal_stop(struct journal *j, struct file_jobs *fj)
{
	j->stop_jobs = fj;
}

int64_t
journal_due_ns(const struct journal *j)
{
	if (!j->state.is_on)
		return INT64_MAX;
	if (j->phase == JOURNAL_FAILED)
		return j->retry_ns;
	/* A roll waits for what is in flight: its completion wakes. */
	if (j->phase == JOURNAL_READY &&
	    (j->is_rolling ? j->ops_cnt == 0
			   : j->staged.pos != j->main->head_pos))
		return 0;
	if (j->phase == JOURNAL_READY &&
	    j->settings->journal.sync == SYNC_INTERVAL &&
	    j->state.synced_pos != j->state.written_pos)
		return j->next_sync_ns;
	return INT64_MAX;
}

int64_t
journal_stuck_ns(const struct journal *j, int64_t now_ns)
{
	return j->state.is_stuck ? now_ns - j->moved_ns : 0;
}

bool
journal_has_drained(const struct journal *j)
{
	return !j->state.is_on ||
	       (j->ops_cnt == 0 && j->phase == JOURNAL_READY &&
		j->state.written_pos == j->main->head_pos &&
		(j->settings->publish.after != AFTER_SYNC ||
		 j->state.synced_pos == j->main->head_pos));
}

/* ---- open and close ---- */

static size_t
staging_bytes(const struct settings *settings)
{
	size_t bytes = STAGING_BYTES_MIN;

	while (bytes < settings->message.max)
		bytes *= 2;
	return bytes;
}

/* All that can be accepted and not be in the file, and a little more. */
static uint64_t
reserve_bytes(const struct journal *j)
{
	return j->settings->journal.reserve
		       ? j->main->ring.size + j->staging.size + RESERVE_SPARE
		       : 0;
}

bool
journal_open(struct journal *j, const struct settings *settings,
	     struct engine *engine, struct streams *streams,
	     const struct journal_moment *now, char *err, size_t err_len)
{
	struct stream *main = &streams->main;
	struct journal_days days;
	int res;

	*j = (struct journal){ .settings = settings,
			       .engine = engine,
			       .streams = streams,
			       .main = main,
			       .schema = &settings->tables };
	history_init(&j->history);
	if (settings->journal.directory[0] == '\0')
		return true;
	res = ring_open(&j->staging, staging_bytes(settings), false, true);
	if (res != 0) {
		(void)snprintf(err, err_len, "no memory for the journal: %s",
			       strerror(-res));
		errno = -res;
		return false;
	}
	if (!journal_unsynced_mend(settings->journal.directory,
				   settings->journal.name, err, err_len) ||
	    !journal_days_begin(settings, now, &j->state.epochs, &days, err,
				err_len))
		return false;
	if (settings->publish.after != AFTER_RING)
		main->is_gated = true;
	cursor_attach(&j->cursor, main, main->head_pos);
	if (days.before != NULL)
		history_begin_past(&j->history, days.before, days.before_day,
				   days.file, main->head_pos);
	take_file(j, days.path, days.file, days.day, main->head_pos);
	journal_reserve_open(&j->reserve, settings->journal.directory,
			     settings->journal.name, reserve_bytes(j));
	j->state.is_on = true;
	return true;
}

/* What was accepted and is not in the file when it is closed. */
static bool
has_lost(const struct journal *j)
{
	uint64_t lost = j->main->records - j->state.stream_records;

	if (lost > 0)
		log_line(LOG_ERROR, "journal_lost",
			 "file=%s first_record=%" PRIu64 " records=%" PRIu64
			 " bytes=%" PRIu64 " hint=\"they were accepted and "
			 "could not be written before the stop; send them "
			 "again\"",
			 j->state.path, j->state.records, lost,
			 j->main->head_pos - j->state.written_pos);
	return lost > 0;
}

int
journal_close(struct journal *j, int32_t day_floor)
{
	bool is_clean = journal_has_drained(j);
	int status = 0;

	if (!j->state.is_on) {
		ring_close(&j->staging);
		return 0;
	}
	if (has_lost(j)) {
		status = EXIT_ROOM;
		is_clean = false;
	}
	if (!has_name(j, clock_monotonic_ns()))
		is_clean = false;
	/* "clean" is on the disk: so must be what it says to be there. */
	if (fdatasync(j->state.fd) != 0) {
		note_unsynced(j, errno);
		status = EXIT_DISK;
		is_clean = false;
	}
	if (is_clean)
		journal_days_end(j->settings, &j->state.epochs, &j->history,
				 j->state.day, day_floor);
	history_file_free(j->next.file);
	history_close(&j->history);
	cursor_detach(&j->cursor);
	/* A write that hangs in the disk still reads from it. */
	if (j->ops_cnt == 0)
		ring_close(&j->staging);
	j->state.is_on = false;
	return status;
}
