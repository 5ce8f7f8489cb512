/*
 * File work that may take its time: opening, checking, copying, renaming,
 * syncing, cutting, closing.  A disk that is slow or hangs (NFS, FUSE, a frozen
 * file system) must not hold the application's thread, so one other thread runs
 * these jobs, one after the other, in the order they were started.
 *
 * One thread and not operations of io_uring: before Linux 6.9 io_uring cannot
 * cut a file, it never locks one, and a job here is the same straight code that
 * runs at the start.  Writing, reading and fdatasync of the journal, which are
 * many and simple, are operations of the engine.
 *
 * Invariant: between file_job_start and `done` a job belongs to the other
 * thread.  It may block, and may log; it touches nothing but what hangs on the
 * job.  `done` is called by the application's thread, from its turn or from
 * file_jobs_finish, never from file_job_start.  Nothing is allocated.
 *
 * A job that hangs keeps those behind it waiting, and cannot be ended, not even
 * by the end of the process: the kernel waits for it.
 */
#ifndef RINGTICK_IO_FILE_JOBS_H
#define RINGTICK_IO_FILE_JOBS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "io/engine.h"

/* A member of what its functions work on: container_of() finds that. */
struct file_job {
	void (*run)(struct file_job *job); /* on the other thread */
	void (*done)(struct file_job *job, int64_t now_ns);
	struct file_job *next;
	bool is_busy; /* started, `done` not called yet */
};

struct file_jobs {
	struct engine *engine;
	pthread_t thread;
	pthread_mutex_t mutex; /* of what follows, up to is_ending */
	pthread_cond_t has_work;
	pthread_cond_t has_finished;
	struct file_job *waiting; /* oldest first */
	struct file_job *finished;
	bool is_ending;
	int event_fd;	   /* wakes the turn; -1: not open */
	uint64_t events;   /* where the read in flight of it goes */
	unsigned busy_cnt; /* jobs whose `done` was not called */
};

/*
 * Starts the thread: before the application's is pinned, whose CPUs it would
 * get.  0 or -errno.
 */
int file_jobs_open(struct file_jobs *fj);

/* From now on the engine's turn tells of jobs that have finished, by
 * completions of kind ENGINE_FILE_JOBS. */
void file_jobs_arm(struct file_jobs *fj, struct engine *engine);

/* Such a completion has come: calls `done` of what has finished. */
void file_jobs_completed(struct file_jobs *fj, int64_t now_ns);

/* Queues a job that is not busy.  `done` may start it, or another, again. */
void file_job_start(struct file_jobs *fj, struct file_job *job);

/* At a stop: waits until no job is busy, those included that `done` starts.
 * false if until_ns (monotonic) comes first; while the process was stopped it
 * does not come nearer. */
bool file_jobs_finish(struct file_jobs *fj, int64_t until_ns);

/* Whether a job was started whose `done` was not called. */
static inline bool
file_jobs_are_busy(const struct file_jobs *fj)
{
	return fj->busy_cnt > 0;
}

/* Ends the thread, when no job is busy.  Accepts what was not opened, if
 * event_fd is -1. */
void file_jobs_close(struct file_jobs *fj);

#endif
