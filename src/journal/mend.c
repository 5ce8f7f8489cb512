#include "config.h"

#include "journal/journal_private.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal/file.h"

#define LOOK_NS (1 * NS_PER_S)
/* A copy that fails was work for nothing, so the next one waits longer. */
#define COPY_AGAIN_NS (10 * NS_PER_S)
/*
 * The program that copied over the file, or redirected into it, may still write
 * after the file is mended, at places where the size does not show it.  So the
 * whole file is read again this long after, then after ten times as long, and
 * so on.
 */
#define RECHECK_NS     (100 * NS_PER_MS)
#define RECHECK_MAX_NS (100 * NS_PER_S)

enum {
	/* Bytes written during a copy are copied in further rounds.  Writing
	 * stops for the last round, when no more than LAST_BYTES are left, or
	 * after ROUNDS_MAX rounds. */
	LAST_BYTES = 4 << 20,
	ROUNDS_MAX = 20,
	/* Times that others may change the file while it is mended. */
	TRIES_MAX = 20,
};

static struct journal *
journal_of(struct file_job *job)
{
	return container_of(job, struct journal, mend.job);
}

/* ---- on the other thread ---- */

static void
run_job(struct file_job *job)
{
	struct journal_mend *m = &journal_of(job)->mend;

	switch (m->what) {
	case MEND_LOOK:
		m->look = lost_name_look(m->path, m->fd);
		m->err = m->look.err;
		m->lock = journal_lock_again(m->settings->journal.directory,
					     m->settings->journal.name,
					     m->lock_fd);
		break;
	case MEND_LINK:
		m->err = -lost_name_link(m->path, m->fd, m->must_sync,
					 &m->aside);
		break;
	case MEND_COPY:
		m->err = -lost_name_copy(&m->copy, m->path, m->fd, m->len,
					 m->must_sync);
		break;
	case MEND_COPY_LAST:
		m->err = -lost_name_copy_finish(&m->copy, m->path, m->fd,
						m->len, m->must_sync,
						&m->aside);
		break;
	case MEND_RELEASE:
		lost_name_release(&m->copy);
		break;
	case MEND_KEEP:
		m->err = -good_records_keep(&m->keep, m->path, m->fd);
		break;
	case MEND_EPOCH:
		m->err = -epoch_store(&m->epochs,
				      m->settings->journal.directory,
				      m->settings->journal.name);
		break;
	case MEND_RECHECK:
		m->err = -good_records_recheck(&m->recheck, m->fd);
		break;
	}
}

/* ---- on the application's thread ---- */

static const char *const whats[] = {
	[MEND_LOOK] = "look at the file",
	[MEND_LINK] = "give the file its name",
	[MEND_COPY] = "copy the file",
	[MEND_COPY_LAST] = "copy the file",
	[MEND_RELEASE] = "close the deleted file",
	[MEND_KEEP] = "keep the good records",
	[MEND_EPOCH] = "store the epoch",
	[MEND_RECHECK] = "read the file",
};

static void
start_job(struct journal *j, enum mend_what what)
{
	struct journal_mend *m = &j->mend;

	m->what = what;
	m->job.what = whats[what];
	m->path = j->state.path;
	m->fd = j->state.fd;
	m->len = j->written.off;
	/* An earlier run may have promised the disk. */
	m->must_sync = j->settings->journal.sync != SYNC_NONE ||
		       history_last(&j->history)->first_record > 0;
	m->settings = j->settings;
	m->lock_fd = j->lock_fd;
	/* Else two daemons would take the name from each other for ever. */
	m->aside.is_allowed = m->lock != -EWOULDBLOCK;
	file_job_start(j->jobs, &m->job);
}

static void
start_look(struct journal *j)
{
	j->mend.is_quiet = true;
	j->mend.is_looked_after = j->mend.is_asked = false;
	start_job(j, MEND_LOOK);
}

static void
mending_failed(struct journal *j, int64_t again_ns, int64_t now_ns)
{
	struct journal_mend *m = &j->mend;

	j->is_gone = true;
	m->step = MEND_IDLE;
	m->has_failed = true;
	m->has_failed_at_stop = j->is_stopping;
	m->next_ns = now_ns + again_ns;
	m->is_barred = m->is_barred || m->what == MEND_KEEP;
	m->tries = 0;
	/* It has some name: then the day is not lost. */
	m->is_looked_after = m->is_quiet && m->look.is_linked;
	journal_complain(j, "bring back", m->err, now_ns);
}

static void
mending_succeeded(struct journal *j, const char *how, int64_t now_ns)
{
	struct journal_mend *m = &j->mend;
	bool was_gone = j->is_gone;

	if (how != NULL)
		log_line(LOG_ERROR, "journal_brought_back",
			 "file=%s bytes=%" PRIu64
			 " how=%s hint=\"the file was deleted, moved or "
			 "replaced while the daemon was running\"",
			 LOG_QUOTED(j->state.path), j->written.off, how);
	j->is_gone = j->state.is_nameless = false;
	m->step = MEND_IDLE;
	m->has_failed = m->has_failed_at_stop = m->is_barred = false;
	m->tries = 0;
	m->next_ns = now_ns + LOOK_NS;
	m->is_looked_after = m->is_quiet;
	if (was_gone)
		journal_recovered(j, now_ns);
}

/* The copy has the name; it may be shorter than what was written, or longer. */
static void
came_back(struct journal *j, int64_t now_ns)
{
	mending_succeeded(j, "copied", now_ns);
	j->mend.look.inode = 0; /* the next look finds the copy's */
	journal_look_anew(j);
	if (j->mend.copy.len != j->written.off) {
		j->mend.is_looked_after = false;
		j->mend.next_ns = now_ns;
	}
}

static void
start_last(struct journal *j)
{
	j->mend.step = MEND_LAST;
	j->mend.is_quiet = true;
	start_job(j, j->mend.next);
}

/* Starts a job that needs the file to rest, now or later. */
static void
start_when_quiet(struct journal *j, enum mend_what next)
{
	j->mend.step = MEND_QUIETING;
	j->mend.next = next;
	if (j->ops_cnt == 0 && j->phase == JOURNAL_READY)
		start_last(j);
}

static void
store_epoch(struct journal *j)
{
	j->mend.epochs = j->state.epochs;
	start_job(j, MEND_EPOCH);
}

/* Until the epoch is stored, a start after a crash would use its number again.
 * So storing it is tried again after each look; the error is logged once. */
static void
tell_epoch(struct journal *j)
{
	struct journal_mend *m = &j->mend;

	if (m->err != 0 && !m->is_epoch_owed)
		log_line(LOG_WARN, "epoch_not_stored",
			 "directory=%s error=\"%s\"",
			 LOG_QUOTED(j->settings->journal.directory),
			 strerror(m->err));
	m->is_epoch_owed = m->err != 0;
}

/* Others have cut the file, or written to it: keeps the good records. */
static void
keep_good(struct journal *j)
{
	struct journal_mend *m = &j->mend;
	const struct history_file *file = history_last(&j->history);
	const struct journal_index_entry *known;

	/* Only when nothing is written is it known how much is missing. */
	if (m->step != MEND_LAST) {
		start_when_quiet(j, MEND_LOOK);
		return;
	}
	m->keep.end_off = j->written.off + m->uncut_bytes;
	m->keep.seen_off = m->seen_off;
	m->keep.size = m->look.size;
	m->keep.head = &file->head;
	known = journal_index_find_off(&file->index,
				       good_records_safe_off(&m->keep));
	m->keep.known_off = known == NULL ? JOURNAL_HEADER_BYTES : known->off;
	m->keep.known_record = known == NULL ? 0 : known->record;
	m->keep.memory_off = journal_staging_oldest_off(j);
	m->keep.memory_len = j->written.off - m->keep.memory_off;
	m->keep.memory = ring_at(&j->staging, m->keep.memory_off + j->shift);
	start_job(j, MEND_KEEP);
}

static void
plan_recheck(struct journal_mend *m, int64_t wait_ns, int64_t now_ns)
{
	m->is_rechecking = false;
	m->recheck_wait_ns = wait_ns;
	m->recheck_ns =
		wait_ns > RECHECK_MAX_NS ? INT64_MAX : now_ns + wait_ns;
}

static void
start_recheck(struct journal *j)
{
	struct journal_mend *m = &j->mend;

	if (!m->is_rechecking) {
		m->is_rechecking = true;
		m->recheck.head = &history_last(&j->history)->head;
		m->recheck.good_off = JOURNAL_HEADER_BYTES;
		m->recheck.good_records = 0;
		m->recheck.known_off = j->written.off;
		m->recheck.known_record = j->state.records;
	}
	start_job(j, MEND_RECHECK);
}

static void
recheck_done(struct journal *j, int64_t now_ns)
{
	struct journal_mend *m = &j->mend;
	bool is_over = m->err != 0 ||
		       m->recheck.good_off == m->recheck.known_off;

	if (m->err == EBADMSG) {
		m->is_spoilt = j->history.is_doubted = true;
		m->is_rechecking = false;
	} else if (is_over && j->is_stopping)
		m->recheck_ns = INT64_MAX;
	else if (m->err != 0)
		plan_recheck(m, m->recheck_wait_ns, now_ns);
	else if (is_over)
		plan_recheck(m, 10 * m->recheck_wait_ns, now_ns);
}

static void
good_kept(struct journal *j, int64_t now_ns)
{
	struct journal_mend *m = &j->mend;
	bool lost;

	m->is_spoilt = false;
	plan_recheck(m, RECHECK_NS, now_ns);
	m->seen_off = m->keep.good_off;
	m->uncut_bytes = 0;
	j->history.is_doubted = false;
	j->history.changes++;
	lost = journal_refill(j, &m->keep);
	j->history.tail = m->keep.tail;
	if (!lost) {
		mending_succeeded(j, NULL, now_ns);
		return;
	}
	/* Nothing is written before the new epoch is stored. */
	store_epoch(j);
}

/* Logs once that NAME.lock has lost its name, and once that it is back.  Each
 * day's file has a lock of its own, but another daemon could begin the next
 * day's file. */
static void
tell_lock(struct journal *j)
{
	struct journal_mend *m = &j->mend;
	bool is_lost = m->lock < 0;

	if (m->lock > 0 || (m->is_lock_lost && !is_lost))
		log_line(LOG_WARN, "journal_lock_back",
			 "directory=%s name=%s hint=\"the lock file was "
			 "deleted or replaced while the daemon was running; it "
			 "is there again\"",
			 LOG_QUOTED(m->settings->journal.directory),
			 m->settings->journal.name);
	else if (is_lost && !m->is_lock_lost)
		log_line(LOG_ERROR, "journal_lock_lost",
			 "directory=%s name=%s error=\"%s\" hint=\"the lock "
			 "file was deleted or replaced while the daemon was "
			 "running: another daemon could begin the next day's "
			 "file; look for one with: fuser -v on the files "
			 "there\"",
			 LOG_QUOTED(m->settings->journal.directory),
			 m->settings->journal.name,
			 m->lock == -EWOULDBLOCK ? "another ringtickd has it"
						 : strerror(-m->lock));
	m->is_lock_lost = is_lost;
}

void
journal_tell_aside(const char *path, const struct lost_name_aside *a)
{
	if (a->path[0] != '\0')
		log_line(LOG_ERROR, "journal_put_aside",
			 "file=%s aside=%s hint=\"another file was given the "
			 "journal's name while the daemon was running: it is "
			 "complete in aside; find out which program did that\"",
			 LOG_QUOTED(path), LOG_QUOTED(a->path));
}

/* Whether the file has all written bytes, judged by its size. */
static bool
is_whole(const struct journal *j)
{
	const struct journal_mend *m = &j->mend;

	return !m->is_spoilt && m->uncut_bytes == 0 &&
	       m->look.size >= m->len &&
	       m->look.size <= j->batch.off;
}

static void
look_done(struct journal *j, int64_t now_ns)
{
	struct journal_mend *m = &j->mend;

	if (is_whole(j)) {
		j->history.is_doubted = false;
		/* Bytes written meanwhile may make up for a cut. */
		if (m->len == j->batch.off)
			m->seen_off = m->len;
	}
	j->state.is_nameless = m->look.name != NAME_KEPT;
	switch (m->look.name) {
	case NAME_KEPT:
		if (!is_whole(j))
			keep_good(j);
		else
			mending_succeeded(j, NULL, now_ns);
		break;
	case NAME_MOVED:
		start_job(j, MEND_LINK);
		break;
	case NAME_DELETED:
		m->step = MEND_COPYING;
		m->rounds = 0;
		start_job(j, MEND_COPY);
		break;
	case NAME_UNKNOWN:
		mending_failed(j, LOOK_NS, now_ns);
		break;
	}
}

static void
copy_done(struct journal *j)
{
	struct journal_mend *m = &j->mend;

	if (j->written.off - m->copy.len > LAST_BYTES &&
	    ++m->rounds < ROUNDS_MAX) {
		start_job(j, MEND_COPY);
		return;
	}
	start_when_quiet(j, MEND_COPY_LAST);
}

static void
job_done(struct file_job *job, int64_t now_ns)
{
	struct journal *j = journal_of(job);
	struct journal_mend *m = &j->mend;

	switch (m->what) {
	case MEND_LOOK:
		tell_lock(j);
		look_done(j, now_ns);
		if (m->is_epoch_owed && m->step == MEND_IDLE &&
		    !m->job.is_busy && !m->has_failed)
			store_epoch(j);
		else if (m->copy.old_fd >= 0 && m->step == MEND_IDLE &&
			 !m->job.is_busy)
			start_job(j, MEND_RELEASE);
		break;
	case MEND_LINK:
		journal_tell_aside(j->state.path, &m->aside);
		if (m->err != 0)
			mending_failed(j, LOOK_NS, now_ns);
		else
			mending_succeeded(j, "linked", now_ns);
		break;
	case MEND_COPY:
		if (m->err != 0)
			mending_failed(j, COPY_AGAIN_NS, now_ns);
		else
			copy_done(j);
		break;
	case MEND_COPY_LAST:
		journal_tell_aside(j->state.path, &m->aside);
		if (m->err != 0)
			mending_failed(
				j, m->copy.fd < 0 ? COPY_AGAIN_NS : LOOK_NS,
				now_ns);
		else
			came_back(j, now_ns);
		break;
	case MEND_RELEASE:
		break;
	case MEND_KEEP:
		if (m->err == ESTALE && ++m->tries < TRIES_MAX)
			start_job(j, MEND_LOOK);
		else if (m->err != 0)
			mending_failed(j, LOOK_NS, now_ns);
		else
			good_kept(j, now_ns);
		break;
	case MEND_EPOCH:
		tell_epoch(j);
		mending_succeeded(j, NULL, now_ns);
		break;
	case MEND_RECHECK:
		recheck_done(j, now_ns);
		break;
	}
}

/* ---- for the journal ---- */

bool
journal_tend(struct journal *j, int64_t now_ns)
{
	struct journal_mend *m = &j->mend;

	switch (m->step) {
	case MEND_IDLE:
		if (m->job.is_busy)
			return m->has_failed ? !journal_is_barred(j)
					     : !j->history.is_doubted;
		if (j->history.is_doubted && !m->has_failed) {
			start_when_quiet(j, MEND_LOOK);
			return false;
		}
		/* At a stop, journal_may_close asks for the last look. */
		if (now_ns >= m->next_ns &&
		    !(j->is_stopping && journal_has_drained(j)))
			start_look(j);
		else if (now_ns >= m->recheck_ns && !m->has_failed &&
			 !j->is_rolling && !j->is_stopping)
			start_recheck(j);
		return !journal_is_barred(j);
	case MEND_COPYING:
		return true;
	case MEND_QUIETING:
		if (j->ops_cnt == 0)
			start_last(j);
		return false;
	case MEND_LAST:
		return false;
	}
	return false;
}

bool
journal_is_looked_after(struct journal *j, int64_t now_ns)
{
	struct journal_mend *m = &j->mend;

	if (m->is_looked_after && m->is_asked)
		return true;
	if (m->step == MEND_IDLE && !m->job.is_busy &&
	    (!m->has_failed || now_ns >= m->next_ns)) {
		start_look(j);
		m->is_asked = true;
	}
	return false;
}

bool
journal_is_rechecked(struct journal *j, int64_t now_ns)
{
	struct journal_mend *m = &j->mend;
	/* Right after the mending there is little to be seen yet. */
	bool is_due = now_ns >= m->recheck_ns ||
		      m->recheck_wait_ns > RECHECK_NS;

	if (m->recheck_ns == INT64_MAX || m->has_failed)
		return true;
	if (is_due && m->step == MEND_IDLE && !m->job.is_busy &&
	    !j->history.is_doubted)
		start_recheck(j);
	return false;
}

void
journal_note_write(struct journal *j)
{
	j->mend.is_quiet = j->mend.is_looked_after = false;
}

int64_t
journal_mend_due_ns(const struct journal *j)
{
	const struct journal_mend *m = &j->mend;

	if (m->job.is_busy || m->step == MEND_LAST ||
	    (m->step == MEND_QUIETING && j->ops_cnt > 0))
		return INT64_MAX;
	return m->has_failed ? m->next_ns : 0;
}

/* ---- the end ---- */

bool
journal_save_unnamed(struct journal *j)
{
	struct journal_mend *m = &j->mend;
	struct lost_name_look look = lost_name_look(j->state.path, j->state.fd);
	int err;

	if (look.is_linked || look.name == NAME_KEPT)
		return false;
	err = lost_name_copy(&m->copy, j->state.path, j->state.fd, INT64_MAX,
			     false);
	if ((err == -ENOSPC || err == -EDQUOT) &&
	    journal_reserve_give_up_now(&j->reserve))
		err = lost_name_copy(&m->copy, j->state.path, j->state.fd,
				     INT64_MAX, false);
	if (err == 0 && fdatasync(m->copy.fd) != 0)
		err = -errno;
	if (err == 0)
		log_line(LOG_ERROR, "journal_unnamed",
			 "file=%s records=%" PRIu64 " copy=%s hint=\"the file "
			 "was deleted or replaced, and could not be brought "
			 "back before the stop: the accepted updates are in "
			 "the copy; give it the file's name\"",
			 LOG_QUOTED(j->state.path), j->state.records,
			 LOG_QUOTED(m->copy.path));
	else
		log_line(LOG_ERROR, "journal_unnamed",
			 "file=%s records=%" PRIu64 " copy=- error=\"%s\" "
			 "hint=\"the file was deleted or replaced, and could "
			 "neither be brought back nor copied: its records are "
			 "lost, send them again\"",
			 LOG_QUOTED(j->state.path), j->state.records,
			 strerror(-err));
	return true;
}

/* ---- the remains of a failed write ---- */

/* A file that others have cut is left as it is: the written bytes are elsewhere
 * in it. */
static void
run_cut(struct file_job *job)
{
	struct journal_cut *c = container_of(job, struct journal_cut, job);
	struct stat st;

	c->is_kept = false;
	if (fstat(c->fd, &st) != 0)
		c->err = errno;
	else if ((uint64_t)st.st_size < c->end_off)
		c->is_kept = true;
	else
		c->err = ftruncate(c->fd, (off_t)c->off) == 0 ? 0 : errno;
}

static void
cut_done(struct file_job *job, int64_t now_ns)
{
	struct journal *j = container_of(job, struct journal, cut.job);

	j->cut.is_needed = j->cut.err != 0;
	if (j->cut.err == 0 && j->cut.is_kept) {
		j->mend.uncut_bytes += j->batch_off - j->written.off;
		j->mend.next_ns = now_ns;
	}
	if (j->cut.err != 0)
		journal_complain(j, "truncate", j->cut.err, now_ns);
	journal_try_later(j, now_ns);
}

void
journal_cut_back(struct journal *j)
{
	j->cut.fd = j->state.fd;
	j->cut.off = j->written.off;
	j->cut.end_off =
		j->mend.uncut_bytes > 0 ? UINT64_MAX : j->batch_off;
	j->phase = JOURNAL_CUTTING;
	file_job_start(j->jobs, &j->cut.job);
}

void
journal_init_mend(struct journal *j)
{
	j->mend.job = (struct file_job){ .run = run_job, .done = job_done };
	j->mend.copy.fd = j->mend.copy.old_fd = -1;
	j->cut.job = (struct file_job){ .run = run_cut,
				       .done = cut_done,
				       .what = "truncate" };
}
