#include "config.h"

#include "io/file_jobs.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"

/* A wait for a finished job wakes up each WAIT_NS; if it wakes PAUSE_NS late,
 * the process was stopped meanwhile. */
#define WAIT_NS	 (50 * NS_PER_MS)
#define PAUSE_NS (100 * NS_PER_MS)

/* ---- a queue ---- */

static void
put_last(struct file_job **first, struct file_job *job)
{
	job->next = NULL;
	while (*first != NULL)
		first = &(*first)->next;
	*first = job;
}

static struct file_job *
take_first(struct file_job **first)
{
	struct file_job *job = *first;

	if (job != NULL)
		*first = job->next;
	return job;
}

/* ---- the other thread ---- */

/* NULL: the thread must end. */
static struct file_job *
wait_for_job(struct file_jobs *fj)
{
	struct file_job *job;

	while (fj->waiting == NULL && !fj->is_ending)
		(void)pthread_cond_wait(&fj->has_work, &fj->mutex);
	job = take_first(&fj->waiting);
	fj->running = job;
	return job;
}

static void *
run_jobs(void *arg)
{
	const uint64_t one = 1;
	struct file_jobs *fj = arg;
	struct file_job *job;

	(void)pthread_mutex_lock(&fj->mutex);
	while ((job = wait_for_job(fj)) != NULL) {
		(void)pthread_mutex_unlock(&fj->mutex);
		job->run(job);
		(void)pthread_mutex_lock(&fj->mutex);
		fj->running = NULL;
		put_last(&fj->finished, job);
		(void)pthread_cond_signal(&fj->has_finished);
		/* Cannot fail: an eventfd's counter has 64 bits. */
		CHECK(write(fj->event_fd, &one, sizeof(one)) == sizeof(one));
	}
	(void)pthread_mutex_unlock(&fj->mutex);
	return NULL;
}

/* Signals go to the application's thread, except those raised by a fault of
 * this thread. */
static int
start_thread(struct file_jobs *fj)
{
	sigset_t blocked, before;
	int err;

	sigfillset(&blocked);
	sigdelset(&blocked, SIGBUS);
	sigdelset(&blocked, SIGFPE);
	sigdelset(&blocked, SIGILL);
	sigdelset(&blocked, SIGSEGV);
	(void)pthread_sigmask(SIG_SETMASK, &blocked, &before);
	err = pthread_create(&fj->thread, NULL, run_jobs, fj);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -err;
}

/* ---- open and close ---- */

int
file_jobs_open(struct file_jobs *fj)
{
	pthread_condattr_t monotonic;
	int err;

	*fj = (struct file_jobs){ .event_fd = eventfd(0, EFD_CLOEXEC) };
	if (fj->event_fd < 0)
		return -errno;
	(void)pthread_mutex_init(&fj->mutex, NULL);
	(void)pthread_cond_init(&fj->has_work, NULL);
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&fj->has_finished, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
	err = start_thread(fj);
	if (err != 0) {
		(void)close(fj->event_fd);
		fj->event_fd = -1;
	}
	return err;
}

void
file_jobs_close(struct file_jobs *fj)
{
	if (fj->event_fd < 0)
		return;
	CHECK(fj->busy_cnt == 0);
	(void)pthread_mutex_lock(&fj->mutex);
	fj->is_ending = true;
	(void)pthread_cond_signal(&fj->has_work);
	(void)pthread_mutex_unlock(&fj->mutex);
	(void)pthread_join(fj->thread, NULL);
	(void)close(fj->event_fd);
	fj->event_fd = -1;
}

/* ---- the application's thread ---- */

static void
read_event(struct file_jobs *fj)
{
	engine_read(fj->engine, fj->event_fd, &fj->events, sizeof(fj->events),
		    0, (struct ticket){ .kind = (uint8_t)fj->kind });
}

void
file_jobs_arm(struct file_jobs *fj, struct engine *engine,
	      enum engine_kind kind)
{
	fj->kind = kind;
	fj->engine = engine;
	read_event(fj);
}

void
file_job_start(struct file_jobs *fj, struct file_job *job)
{
	CHECK(!job->is_busy && fj->event_fd >= 0);
	job->is_busy = true;
	fj->busy_cnt++;
	(void)pthread_mutex_lock(&fj->mutex);
	put_last(&fj->waiting, job);
	(void)pthread_cond_signal(&fj->has_work);
	(void)pthread_mutex_unlock(&fj->mutex);
}

const char *
file_jobs_running(struct file_jobs *fj)
{
	const char *what;

	(void)pthread_mutex_lock(&fj->mutex);
	what = fj->running == NULL ? NULL : fj->running->what;
	(void)pthread_mutex_unlock(&fj->mutex);
	return what;
}

static void
call_done(struct file_jobs *fj, struct file_job *job, int64_t now_ns)
{
	CHECK(job->is_busy && fj->busy_cnt > 0);
	job->is_busy = false;
	fj->busy_cnt--;
	fj->done_cnt++;
	job->done(job, now_ns);
}

void
file_jobs_completed(struct file_jobs *fj, int64_t now_ns)
{
	struct file_job *job, *all;

	(void)pthread_mutex_lock(&fj->mutex);
	all = fj->finished;
	fj->finished = NULL;
	(void)pthread_mutex_unlock(&fj->mutex);
	while ((job = take_first(&all)) != NULL)
		call_done(fj, job, now_ns);
	read_event(fj);
}

/*
 * NULL: no job has finished before *until_ns.  While the process was stopped,
 * or the machine slept, no job could make progress either: that time is added
 * to *until_ns.
 */
static struct file_job *
wait_for_finished(struct file_jobs *fj, int64_t *until_ns)
{
	int64_t now_ns = clock_monotonic_ns();
	struct file_job *job;

	(void)pthread_mutex_lock(&fj->mutex);
	while (fj->finished == NULL && now_ns < *until_ns) {
		int64_t wake_ns = now_ns + WAIT_NS < *until_ns
					  ? now_ns + WAIT_NS
					  : *until_ns;
		const struct timespec wake = { .tv_sec = wake_ns / NS_PER_S,
					       .tv_nsec = wake_ns % NS_PER_S };

		(void)pthread_cond_timedwait(&fj->has_finished, &fj->mutex,
					     &wake);
		now_ns = clock_monotonic_ns();
		if (now_ns - wake_ns >= PAUSE_NS)
			*until_ns += min_i64(now_ns - wake_ns,
					     INT64_MAX - *until_ns);
	}
	job = take_first(&fj->finished);
	(void)pthread_mutex_unlock(&fj->mutex);
	return job;
}

bool
file_jobs_finish(struct file_jobs *fj, int64_t until_ns)
{
	while (fj->busy_cnt > 0) {
		struct file_job *job = wait_for_finished(fj, &until_ns);

		if (job == NULL)
			return false;
		call_done(fj, job, clock_monotonic_ns());
	}
	return true;
}
