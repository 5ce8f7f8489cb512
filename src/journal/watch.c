#include "config.h"

#include "journal/journal_private.h"

#include <string.h>
#include <sys/sysmacros.h>

/*
 * The look at the file with each batch: whether the file still has its name,
 * and the size that was written.  It is an operation of the engine, one at a
 * time, since the disk may hold it.  What it finds wrong is only a suspicion:
 * then mend.c looks thoroughly, with nothing in flight.
 *
 * The kernel runs it on a worker thread, which costs more than a small write:
 * so batches within a millisecond share a look.  The last batch before a pause
 * gets its look by a timer, a late one, since an early timer would have to be
 * set before each sleep and would cost as much again.
 *
 * Bytes that are being written during a look may be in the file already, or
 * not, and may make up for a small cut.  So under load, once in 100 ms, the
 * next write waits for the look.
 */
#define APART_NS  (1 * NS_PER_MS)
#define LAST_NS	  (50 * NS_PER_MS)
#define UNSURE_NS (100 * NS_PER_MS)

enum finding { GOOD, UNSURE, BAD };

static void
submit_look(struct journal *j, int64_t now_ns)
{
	struct journal_look *l = &j->look;

	l->is_due = l->is_stale = false;
	l->is_busy = true;
	l->next_ns = now_ns + APART_NS;
	l->from_off = j->written.off;
	memcpy(l->path, j->state.path, strlen(j->state.path) + 1);
	engine_stat(j->engine, l->path, &l->seen, journal_ticket(OP_LOOK));
}

static bool
is_another(const struct journal *j)
{
	const struct lost_name_look *own = &j->mend.look;
	const struct statx *seen = &j->look.seen;

	return own->inode != 0 &&
	       (seen->stx_ino != own->inode ||
		makedev(seen->stx_dev_major, seen->stx_dev_minor) !=
			own->device);
}

static enum finding
judge_look(const struct journal *j, int32_t result)
{
	uint64_t from_off = j->look.from_off, upto_off = j->batch.off;
	uint64_t size = j->look.seen.stx_size;

	if (engine_is_again(result))
		return UNSURE;
	if (result != 0 || is_another(j) || size < from_off || size > upto_off)
		return BAD;
	return from_off == upto_off ? GOOD : UNSURE;
}

/* While the file is being mended, or cannot be mended, mend.c looks at it. */
static bool
may_look(const struct journal *j)
{
	return j->mend.step == MEND_IDLE && !j->mend.has_failed &&
	       j->phase != JOURNAL_CUTTING && j->phase != JOURNAL_FAILED;
}

int64_t
journal_look_due_ns(const struct journal *j)
{
	const struct journal_look *l = &j->look;

	return l->is_due && !l->is_busy && may_look(j)
		       ? l->next_ns + LAST_NS
		       : INT64_MAX;
}

void
journal_look_run(struct journal *j, int64_t now_ns)
{
	/* During a write a look would be unsure: its end is better. */
	if (j->look.is_due && !j->look.is_busy && may_look(j) &&
	    j->phase != JOURNAL_WRITING && now_ns >= j->look.next_ns)
		submit_look(j, now_ns);
}

void
journal_look_completed(struct journal *j, int32_t result, int64_t now_ns)
{
	struct journal_look *l = &j->look;

	l->is_busy = l->is_held = false;
	if (may_look(j) && !l->is_stale) {
		switch (judge_look(j, result)) {
		case GOOD:
			j->mend.seen_off = l->from_off;
			l->unsure_since_ns = 0;
			break;
		case UNSURE:
			if (l->unsure_since_ns == 0)
				l->unsure_since_ns = now_ns;
			l->is_due = true;
			break;
		case BAD:
			j->history.is_doubted = true;
			break;
		}
	}
}

bool
journal_look_holds(struct journal *j, int64_t now_ns)
{
	struct journal_look *l = &j->look;

	l->is_held = l->is_busy && !l->is_stale && l->unsure_since_ns != 0 &&
		     now_ns - l->unsure_since_ns >= UNSURE_NS;
	return l->is_held;
}

void
journal_look_anew(struct journal *j)
{
	j->look.is_stale = j->look.is_busy;
	j->look.unsure_since_ns = 0;
	j->history.tail.len = 0;
}
