#include "config.h"

#include "journal/journal_private.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define COMPLAIN_NS (60 * NS_PER_S)
#define SLOW_NS	    (1 * NS_PER_S)
#define STUCK_NS    (1 * NS_PER_S)

static const char *
advice(int err)
{
	switch (err) {
	case EEXIST:
	case EBUSY:
	case EPERM:
		return "another file has the journal's name and stays there "
		       "(journal_lock_lost: it may be another ringtickd's): "
		       "move it away; until then the day is only in this "
		       "process and, up to the last second, in .rescue.N "
		       "beside it";
	case EBADMSG:
		return "the next day's file is damaged or in doubt: see "
		       "journal_roll_failed";
	case ESTALE:
		return "the file is cut or written to again and again: find "
		       "out which program does that";
	case EISDIR:
	case EINVAL:
	case ELOOP:
	case ENXIO:
		return "what has the next file's name is in its way: see "
		       "journal_roll_failed";
	case ENOENT:
	case ENOTDIR:
		return "journal.directory, or what a link leads to, is gone";
	case EACCES:
		return "the daemon's user is not allowed to: look at the owner "
		       "and the mode of journal.directory and its files";
	case EFBIG:
		return "the limit of the size of a file is reached; raise it "
		       "with: prlimit --fsize=unlimited --pid, and for the "
		       "next start ulimit -f (systemd: LimitFSIZE=infinity)";
	default:
		return "make room or mend the disk";
	}
}

/* The sentence of the hint that says which updates are safe meanwhile. */
static const char *
promise(const struct journal *j)
{
	return j->is_gone ? "the day's file has lost its name and vanishes "
			    "with this process: do not kill it"
			  : "nothing is lost while the ring has room (then "
			    "feeds wait)";
}

void
journal_complain(struct journal *j, const char *what, int err, int64_t now_ns)
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
		 " hint=\"%s; %s\"",
		 LOG_QUOTED(j->state.path), LOG_QUOTED(what),
		 err == EBADMSG ? "the file is damaged" : strerror(err),
		 j->failures, (now_ns - j->failing_since_ns) / NS_PER_S,
		 j->main->head_pos - j->state.written_pos, promise(j),
		 advice(err));
}

void
journal_recovered(struct journal *j, int64_t now_ns)
{
	/* A write to a file without a name mends nothing. */
	if (j->failing_since_ns == 0 || j->is_gone)
		return;
	log_line(LOG_NOTE, "journal_mended",
		 "file=%s failures=%" PRIu64 " seconds=%lld",
		 LOG_QUOTED(j->state.path), j->failures,
		 (now_ns - j->failing_since_ns) / NS_PER_S);
	j->failing_since_ns = 0;
	j->failures = 0;
}

/* If only the name is lost, the journal still writes. */
static bool
has_stopped(const struct journal *j)
{
	return j->failing_since_ns != 0 &&
	       (!j->is_gone || j->phase == JOURNAL_FAILED ||
		journal_is_barred(j));
}

/* Whether something that was to be done has not moved for a second. */
static bool
is_still(struct journal_progress *p, bool has_work, uint64_t measure,
	 int64_t now_ns)
{
	if (measure != p->seen || !has_work || !p->has_work) {
		p->seen = measure;
		p->moved_ns = now_ns;
	}
	p->has_work = has_work;
	return now_ns - p->moved_ns >= STUCK_NS;
}

/* Whether a message is not yet where replies wait for it. */
static bool
is_behind(const struct journal *j)
{
	return j->state.written_pos != j->main->head_pos ||
	       j->phase == JOURNAL_SYNCING ||
	       (j->settings->journal.sync == SYNC_BATCH &&
		j->state.synced_pos != j->state.written_pos);
}

void
journal_watch_progress(struct journal *j, int64_t now_ns)
{
	struct journal_state *s = &j->state;
	uint64_t copied = j->mend.copy.steps;
	bool is_between = s->marks != j->main->marks;
	bool has_no_name = is_still(&j->naming, s->is_nameless, copied, now_ns);

	s->is_stuck = is_still(&j->writing, is_behind(j), s->written_pos,
			       now_ns) ||
		      has_stopped(j);
	s->is_file_stuck = has_no_name ||
			   ((is_between || s->is_nameless) && s->is_stuck);
	j->hangs = (s->is_stuck && j->failing_since_ns == 0) ||
		   is_still(&j->working, file_jobs_are_busy(j->jobs),
			    j->jobs->done_cnt + copied, now_ns);
}

/* The operation that the file system is asked for, for the log. */
static const char *
operation(const struct journal *j)
{
	const char *job = NULL;

	if (j->phase == JOURNAL_WRITING)
		return "write";
	if (j->phase == JOURNAL_SYNCING)
		return "sync";
	job = file_jobs_running(j->jobs);
	return job == NULL ? "-" : job;
}

static void
tell_slow(const struct journal *j, uint64_t lag, int64_t now_ns)
{
	log_line(LOG_WARN, "journal_slow",
		 "file=%s operation=%s lag_bytes=%" PRIu64 " ring_pct=%" PRIu64
		 " seconds=%lld write_max_ms=%lld hint=\"%s\"",
		 LOG_QUOTED(j->state.path), LOG_QUOTED(operation(j)), lag,
		 lag * 100 / j->main->ring.size,
		 (now_ns - j->slow_since_ns) / NS_PER_S,
		 (long long)(j->write_max_ns / NS_PER_MS),
		 j->hangs ? "the file system does not answer; updates wait in "
			    "the ring, and feeds when that is full"
			  : "the journal is the slowest reader: no consumer is "
			    "disconnected or moved for it; feeds wait when the "
			    "ring is full");
}

void
journal_watch_lag(struct journal *j, int64_t now_ns)
{
	uint64_t lag = j->main->head_pos - j->cursor.pos;
	uint64_t ring = j->main->ring.size;
	/* With less lag, too, it may keep feeds waiting, if others lag. */
	bool is_waited_for = j->main->wanted_bytes > 0 && lag > ring / 4;
	/* That is to be told however little is waiting. */
	bool hangs = j->hangs;

	if (j->slow_since_ns == 0) {
		if (lag < ring / 2 && !is_waited_for && !hangs)
			return;
		j->slow_since_ns = hangs ? min_i64(j->writing.moved_ns,
						   j->working.moved_ns)
					 : now_ns;
		j->next_slow_ns = hangs ? now_ns : now_ns + SLOW_NS;
		j->is_slow_told = false;
	}
	if (lag < ring / 4 && !hangs) {
		if (j->is_slow_told)
			log_line(LOG_NOTE, "journal_kept_up",
				 "file=%s slow_seconds=%lld",
				 LOG_QUOTED(j->state.path),
				 (now_ns - j->slow_since_ns) / NS_PER_S);
		j->slow_since_ns = 0;
	} else if (now_ns >= j->next_slow_ns) {
		tell_slow(j, lag, now_ns);
		j->next_slow_ns = now_ns + COMPLAIN_NS;
		j->is_slow_told = true;
	}
}
