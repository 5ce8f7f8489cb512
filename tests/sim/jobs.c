/*
 * io/file_jobs.h: a job runs on a stack of its own, in place of a thread.  At
 * each call at a file it stops, and the rest of the world goes on; so the
 * daemon's turns, and what others do to files, come between any two calls of a
 * job.
 */
#include "config.h"

#include <errno.h>
#include <ucontext.h>

#include "io/file_jobs.h"
#include "machine.h"

enum {
	JOB_MIN_NS = 10000,
	JOB_MAX_NS = 2000000,
	CALL_MAX_NS = 100000,
	STACK_BYTES = 1 << 20,
};

static struct file_jobs *jobs;

static struct {
	ucontext_t world, job;
	struct file_job *now;
	bool is_inside;
	bool is_over;	 /* the job's function has returned */
	void (*leave)(void); /* the process ends, says the job */
	int err;
	_Alignas(64) uint8_t stack[STACK_BYTES];
} other;

static void
start_next(void);

static void
put_last(struct file_job **first, struct file_job *job)
{
	job->next = NULL;
	while (*first != NULL)
		first = &(*first)->next;
	*first = job;
}

/* ---- its stack ---- */

static void
enter(void)
{
	other.now->run(other.now);
	other.is_over = true;
	(void)swapcontext(&other.job, &other.world);
}

/* Runs the job up to its next call, or to its end. */
static void
go_on(void *who, uint64_t what)
{
	struct file_job *job = who;
	int err = errno;

	(void)what;
	other.is_inside = true;
	errno = other.err;
	memory_lend(true);
	(void)swapcontext(&other.world, &other.job);
	memory_lend(false);
	other.err = errno;
	errno = err;
	other.is_inside = false;
	if (other.leave != NULL)
		other.leave();
	if (!other.is_over)
		return;
	memory_job_ended();
	put_last(&jobs->finished, job);
	jobs->running = NULL;
	engine_post_jobs();
	start_next();
}

static void
begin_job(void *who, uint64_t what)
{
	other.is_over = false;
	other.now = who;
	CHECK(getcontext(&other.job) == 0);
	other.job.uc_stack.ss_sp = other.stack;
	other.job.uc_stack.ss_size = sizeof(other.stack);
	other.job.uc_link = NULL;
	makecontext(&other.job, enter, 0);
	go_on(who, what);
}

static int64_t
draw_slow(void)
{
	return disk.slow_ns > 0 ? sim_between(0, disk.slow_ns) : 0;
}

bool
jobs_pause(void)
{
	int64_t at_ns;

	if (!other.is_inside)
		return false;
	at_ns = sim_now_ns() + draw_slow();
	at_ns += sim_between(1, CALL_MAX_NS);
	sim_at_machine(at_ns, go_on, other.now, 0);
	(void)swapcontext(&other.job, &other.world);
	return true;
}

void
jobs_leave(void (*leave)(void))
{
	if (!other.is_inside)
		return;
	other.leave = leave;
	(void)swapcontext(&other.job, &other.world);
}

void
jobs_crash(void)
{
	other.is_inside = false;
	other.leave = NULL;
}

/* ---- one after the other ---- */

static void
start_next(void)
{
	struct file_job *job = jobs->waiting;
	int64_t at_ns;

	if (job == NULL || jobs->running != NULL)
		return;
	jobs->waiting = job->next;
	jobs->running = job;
	at_ns = sim_now_ns() + draw_slow();
	at_ns += sim_between(JOB_MIN_NS, JOB_MAX_NS);
	sim_at_machine(at_ns, begin_job, job, 0);
}

int
file_jobs_open(struct file_jobs *fj)
{
	*fj = (struct file_jobs){ .event_fd = 0 };
	jobs = fj;
	return 0;
}

static void
read_event(struct file_jobs *fj)
{
	engine_read(fj->engine, fj->event_fd, &fj->events, sizeof(fj->events),
		    0, (struct ticket){ .kind = (uint8_t)fj->kind });
}

void
file_jobs_arm(struct file_jobs *fj, struct engine *e, enum engine_kind kind)
{
	fj->kind = kind;
	fj->engine = e;
	/* No configuration is read again here. */
	if (kind == ENGINE_FILE_JOBS)
		read_event(fj);
}

static void
call_done(struct file_jobs *fj)
{
	struct file_job *job = fj->finished;

	fj->finished = job->next;
	CHECK(job->is_busy && fj->busy_cnt > 0);
	job->is_busy = false;
	fj->busy_cnt--;
	fj->done_cnt++;
	job->done(job, sim_now_ns());
}

void
file_jobs_completed(struct file_jobs *fj, int64_t now_ns)
{
	(void)now_ns;
	while (fj->finished != NULL)
		call_done(fj);
	read_event(fj);
}

void
file_job_start(struct file_jobs *fj, struct file_job *job)
{
	CHECK(!job->is_busy && fj == jobs);
	job->is_busy = true;
	fj->busy_cnt++;
	put_last(&fj->waiting, job);
	start_next();
}

bool
file_jobs_finish(struct file_jobs *fj, int64_t until_ns)
{
	while (fj->busy_cnt > 0) {
		while (fj->finished == NULL)
			if (!sim_step(until_ns))
				return false;
		call_done(fj);
	}
	return true;
}

const char *
file_jobs_running(struct file_jobs *fj)
{
	return fj->running == NULL ? NULL : fj->running->what;
}

void
file_jobs_close(struct file_jobs *fj)
{
	CHECK(fj->busy_cnt == 0);
	fj->event_fd = -1;
}
