#include "config.h"

#include "io/file_jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/util.h"

/* With a real engine and a real thread. */

enum { JOBS = 20 };

struct work {
	struct file_job job;
	int gate_fd; /* run() waits for a byte from it; -1: it does not wait */
	unsigned ran, done; /* the step at which each happened; 0: not yet */
	pthread_t ran_on, done_on;
	unsigned again; /* times that done() starts the job again */
};

static struct file_jobs jobs;
static struct engine *engine;
static unsigned steps;

static void
run(struct file_job *job)
{
	struct work *w = container_of(job, struct work, job);
	char byte;

	if (w->gate_fd >= 0)
		assert_int_equal(read(w->gate_fd, &byte, 1), 1);
	w->ran_on = pthread_self();
	w->ran = ++steps;
}

static void
done(struct file_job *job, int64_t now_ns)
{
	struct work *w = container_of(job, struct work, job);

	assert_true(now_ns > 0);
	assert_false(job->is_busy);
	w->done_on = pthread_self();
	w->done++;
	if (w->again > 0) {
		w->again--;
		file_job_start(&jobs, job);
	}
}

static struct work
work(int gate_fd)
{
	return (struct work){ .job = { .run = run, .done = done },
			      .gate_fd = gate_fd };
}

/* Turns until a job has finished, wait_ns at most.  Returns whether one has
 * finished. */
static bool
turn(int64_t wait_ns)
{
	struct completion one;

	if (engine_turn(engine, &one, 1, wait_ns) == 0)
		return false;
	assert_int_equal(one.ticket.kind, ENGINE_FILE_JOBS);
	assert_int_equal(one.result, sizeof(uint64_t));
	file_jobs_completed(&jobs, clock_monotonic_ns());
	return true;
}

static int
open_all(void **state)
{
	const struct engine_options options = { .mode = ENGINE_DIRECT,
						.slots = 4,
						.sq_cpu = -1 };
	char err[512];

	(void)state;
	steps = 0;
	engine = engine_open(&options, err, sizeof(err));
	if (engine == NULL || file_jobs_open(&jobs) != 0)
		return -1;
	file_jobs_arm(&jobs, engine, ENGINE_FILE_JOBS);
	return 0;
}

static int
close_all(void **state)
{
	(void)state;
	engine_close(engine);
	file_jobs_close(&jobs);
	return 0;
}

/* Jobs run on the other thread in the order in which they were started; `done`
 * is called on this one. */
static void
test_order(void **state)
{
	struct work all[JOBS];

	(void)state;
	for (unsigned i = 0; i < JOBS; i++) {
		all[i] = work(-1);
		file_job_start(&jobs, &all[i].job);
	}
	while (jobs.busy_cnt > 0)
		assert_true(turn(20 * NS_PER_S));
	for (unsigned i = 0; i < JOBS; i++) {
		assert_int_equal(all[i].ran, i + 1);
		assert_int_equal(all[i].done, 1);
		assert_false(pthread_equal(all[i].ran_on, pthread_self()));
		assert_true(pthread_equal(all[i].done_on, pthread_self()));
	}
}

/* A job that hangs holds only the jobs after it. */
static void
test_hangs(void **state)
{
	struct work slow, next = work(-1);
	int gate[2];

	(void)state;
	assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
	slow = work(gate[0]);
	slow.job.what = "read";
	file_job_start(&jobs, &slow.job);
	file_job_start(&jobs, &next.job);
	assert_false(turn(NS_PER_MS));
	assert_false(file_jobs_finish(&jobs, clock_monotonic_ns() + NS_PER_MS));
	assert_int_equal(slow.done + next.done, 0);
	while (file_jobs_running(&jobs) == NULL) /* the other thread's turn */
		(void)sched_yield();
	assert_string_equal(file_jobs_running(&jobs), "read");
	assert_int_equal(write(gate[1], "x", 1), 1);
	while (jobs.busy_cnt > 0)
		assert_true(turn(20 * NS_PER_S));
	assert_true(slow.ran < next.ran);
	assert_null(file_jobs_running(&jobs));
	(void)close(gate[0]);
	(void)close(gate[1]);
}

/* A job that `done` starts is awaited too; `done` is never called twice for one
 * run. */
static void
test_finish(void **state)
{
	struct work one = work(-1);

	(void)state;
	one.again = 5;
	file_job_start(&jobs, &one.job);
	assert_true(file_jobs_finish(&jobs,
				     clock_monotonic_ns() + 20 * NS_PER_S));
	assert_int_equal(one.done, 6);
	(void)turn(0);
	assert_int_equal(one.done, 6);
}

/* Stops the process that has started it, once that waits, for longer than a
 * busy machine would, and then opens the gate. */
static pid_t
stop_parent(int gate_fd)
{
	const struct timespec before = { .tv_nsec = 30 * NS_PER_MS };
	const struct timespec pause = { .tv_nsec = 300 * NS_PER_MS };
	pid_t parent = getpid(), pid = fork();

	if (pid != 0)
		return pid;
	(void)nanosleep(&before, NULL);
	(void)kill(parent, SIGSTOP);
	(void)nanosleep(&pause, NULL);
	(void)kill(parent, SIGCONT);
	_exit(write(gate_fd, "x", 1) == 1 ? 0 : 1);
}

/* While the process was stopped time does not count, also where there is no
 * limit. */
static void
test_stopped_without_limit(void **state)
{
	struct work one;
	int gate[2], status;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
	one = work(gate[0]);
	file_job_start(&jobs, &one.job);
	pid = stop_parent(gate[1]);
	assert_true(pid > 0);
	assert_true(file_jobs_finish(&jobs, INT64_MAX));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	(void)close(gate[0]);
	(void)close(gate[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(test) cmocka_unit_test_setup_teardown(test, open_all, close_all)
		TEST(test_order),
		TEST(test_hangs),
		TEST(test_finish),
		TEST(test_stopped_without_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
