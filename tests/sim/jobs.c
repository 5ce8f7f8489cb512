/*
 * io/file_jobs.h: a job runs on a stack of its own, in place of a thread.  At
 * each call at a file it stops, and the rest of the world goes on; so the
 * daemon's turns, and what others do to files, come between any two calls of a
 * job.  The journal's files have one such thread, the configuration another.
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
	THREADS = 2,
};

struct thread {
	struct file_jobs *jobs; /* NULL: not started */
	ucontext_t job;
	struct file_job *now;
	bool is_over;	 /* the job's function has returned */
	void (*leave)(void); /* the process ends, says the job */
	int err;
	_Alignas(64) uint8_t stack[STACK_BYTES];
};

static struct thread threads[THREADS];
static struct thread *inside; /* whose job runs; NULL: the world does */
static ucontext_t world_context;

static void start_next(struct thread *t);

static struct thread *
thread_of(const struct file_jobs *fj)
{
	for (unsigned i = 0; i < THREADS; i++)
		if (threads[i].jobs == fj)
			return &threads[i];
	sim_fail("a thread that was not started has a job");
}

static unsigned
number_of(const struct thread *t)
{
	return (unsigned)(t - threads) + 1;
}

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
	struct thread *t = inside;

	t->now->run(t->now);
	t->is_over = true;
	(void)swapcontext(&t->job, &world_context);
}

/* Runs the job up to its next call, or to its end. */
static void
go_on(void *who, uint64_t what)
{
	struct thread *t = who;
	int err = errno;

	(void)what;
	inside = t;
	errno = t->err;
	memory_lend(number_of(t));
	(void)swapcontext(&world_context, &t->job);
	memory_lend(0);
	t->err = errno;
	errno = err;
	inside = NULL;
	if (t->leave != NULL)
		t->leave();
	if (!t->is_over)
		return;
	memory_job_ended(number_of(t));
	put_last(&t->jobs->finished, t->now);
	t->jobs->running = NULL;
	engine_post_jobs(t->jobs->kind);
	start_next(t);
}

static void
begin_job(void *who, uint64_t what)
{
	struct thread *t = who;

	t->is_over = false;
	CHECK(getcontext(&t->job) == 0);
	t->job.uc_stack.ss_sp = t->stack;
	t->job.uc_stack.ss_size = sizeof(t->stack);
	t->job.uc_link = NULL;
	makecontext(&t->job, enter, 0);
	go_on(who, what);
}

static int64_t
draw_slow(void)
{
	return disk.slow_ns > 0 ? sim_between(0, disk.slow_ns) : 0;
}

bool
jobs_sleep(int64_t for_ns)
{
	struct thread *t = inside;

	if (t == NULL)
		return false;
	sim_at_machine(sim_now_ns() + for_ns, go_on, t, 0);
	(void)swapcontext(&t->job, &world_context);
	return true;
}

bool
jobs_pause(void)
{
	int64_t for_ns;

	if (inside == NULL)
		return false;
	for_ns = draw_slow();
	for_ns += sim_between(1, CALL_MAX_NS);
	return jobs_sleep(for_ns);
}

void
jobs_leave(void (*leave)(void))
{
	if (inside == NULL)
		return;
	inside->leave = leave;
	(void)swapcontext(&inside->job, &world_context);
}

void
jobs_crash(void)
{
	inside = NULL;
	for (unsigned i = 0; i < THREADS; i++) {
		threads[i].jobs = NULL;
		threads[i].leave = NULL;
	}
}

/* ---- one after the other ---- */

static void
start_next(struct thread *t)
{
	struct file_jobs *fj = t->jobs;
	struct file_job *job = fj->waiting;
	int64_t at_ns;

	if (job == NULL || fj->running != NULL)
		return;
	fj->waiting = job->next;
	fj->running = t->now = job;
	at_ns = sim_now_ns() + draw_slow();
	at_ns += sim_between(JOB_MIN_NS, JOB_MAX_NS);
	sim_at_machine(at_ns, begin_job, t, 0);
}

int
file_jobs_open(struct file_jobs *fj)
{
	*fj = (struct file_jobs){ .event_fd = 0 };
	thread_of(NULL)->jobs = fj;
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
	CHECK(!job->is_busy);
	job->is_busy = true;
	fj->busy_cnt++;
	put_last(&fj->waiting, job);
	start_next(thread_of(fj));
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
	if (fj->event_fd < 0)
		return;
	CHECK(fj->busy_cnt == 0);
	fj->event_fd = -1;
	thread_of(fj)->jobs = NULL;
}
