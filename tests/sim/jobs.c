/*
 * io/file_jobs.h: a job runs at a time of its own, between two turns of the
 * daemon, in place of a thread.
 */
#include "config.h"

#include "io/file_jobs.h"
#include "machine.h"

enum { JOB_MIN_NS = 10000, JOB_MAX_NS = 2000000 };

static struct file_jobs *jobs;

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

static void
run_job(void *who, uint64_t what)
{
	struct file_job *job = who;

	(void)what;
	memory_lend(true);
	job->run(job);
	memory_lend(false);
	put_last(&jobs->finished, job);
	jobs->running = NULL;
	engine_post_jobs();
	start_next();
}

static void
start_next(void)
{
	struct file_job *job = jobs->waiting;
	int64_t slow_ns = disk.slow_ns > 0 ? sim_between(0, disk.slow_ns) : 0;

	if (job == NULL || jobs->running != NULL)
		return;
	jobs->waiting = job->next;
	jobs->running = job;
	sim_at_machine(sim_now_ns() + slow_ns +
			       sim_between(JOB_MIN_NS, JOB_MAX_NS),
		       run_job, job, 0);
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
		    0, (struct ticket){ .kind = ENGINE_FILE_JOBS });
}

void
file_jobs_arm(struct file_jobs *fj, struct engine *e)
{
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
