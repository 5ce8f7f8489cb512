/*
 * File work that may take long: opening, checking, copying, renaming, syncing,
 * cutting, closing.  A disk that is slow or hangs (NFS, FUSE, a frozen file
 * system) must not hold the application's thread, so one other thread runs
 * these jobs, one after the other, in the order in which they were started.
 *
 * A thread and not operations of io_uring: io_uring cannot cut a file before
 * Linux 6.9, it cannot lock one at all, and a job here is the same
 * straight-line code that runs at the start.  Writing, reading and fdatasync of
 * the journal, which are many and simple, are operations of the engine.
 *
 * Invariant: between file_job_start and `done` a job belongs to the other
 * thread.  The job may block, and may log; it touches nothing but the data that
 * belongs to it.  `done` is called by the application's thread, from its turn
 * or from file_jobs_finish, never from file_job_start.  Nothing is allocated.
 *
 * A job that hangs keeps the jobs after it waiting.  It cannot be ended, not
 * even with the process: the kernel waits for it.
 */
#ifndef RINGTICK_IO_FILE_JOBS_H
#define RINGTICK_IO_FILE_JOBS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "io/engine.h"

/* A member of the object that its functions work on; container_of() finds that
 * object. */
struct file_job {
	void (*run)(struct file_job *job); /* on the other thread */
	void (*done)(struct file_job *job, int64_t now_ns);
	const char *what; /* for the log, such as "truncate" */
	struct file_job *next;
	bool is_busy; /* started, `done` not called yet */
};

struct file_jobs {
	struct engine *engine;
	pthread_t thread;
	pthread_mutex_t mutex; /* protects the members from here to is_ending */
	pthread_cond_t has_work;
	pthread_cond_t has_finished;
	struct file_job *waiting; /* oldest first */
	const struct file_job *running; /* NULL: none */
	struct file_job *finished;
	bool is_ending;
	int event_fd;	   /* wakes the turn; -1: not open */
	enum engine_kind kind; /* of its completions */
	uint64_t events;   /* target of the read of event_fd in flight */
	unsigned busy_cnt; /* jobs started whose `done` was not called yet */
	uint64_t done_cnt; /* jobs whose `done` was called */
};

/*
 * Starts the thread.  To be called before the application's thread is pinned:
 * the new one inherits its CPUs.  0 or -errno; then event_fd is -1.
 */
int file_jobs_open(struct file_jobs *fj);

/* From now on the engine reports finished jobs by completions of this kind. */
void file_jobs_arm(struct file_jobs *fj, struct engine *engine,
		   enum engine_kind kind);

/* Such a completion has come: calls `done` of each job that has finished. */
void file_jobs_completed(struct file_jobs *fj, int64_t now_ns);

/* Queues a job that is not busy.  `done` may start the same job again, or
 * another. */
void file_job_start(struct file_jobs *fj, struct file_job *job);

/* At a stop: waits until no job is busy, including those that `done` starts.
 * false if until_ns (monotonic) comes first; time for which the process was
 * stopped does not count. */
bool file_jobs_finish(struct file_jobs *fj, int64_t until_ns);

/* Whether any job was started whose `done` was not called yet. */
static inline bool
file_jobs_are_busy(const struct file_jobs *fj)
{
	return fj->busy_cnt > 0;
}

/* What the running job does; NULL: no job runs. */
const char *file_jobs_running(struct file_jobs *fj);

/* Ends the thread; no job may be busy.  Accepts one that is not open (event_fd
 * is -1). */
void file_jobs_close(struct file_jobs *fj);

#endif
