/*
 * Leaves out of a failing run what it fails without: first parts of the world,
 * then acts, first many at a time.  What still fails in the same way is what
 * the search goes on with.
 */
#include "config.h"

#include "shrink.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "machine.h"
#include "world.h"
#include "wrap.h"

enum { TRACE_LINES = 60, RECORD_BYTES = sizeof(struct record_of_run) +
				       RECORDED_MAX * sizeof(struct act) };

void *REAL(mmap)(void *at, size_t len, int prot, int flags, int fd, off_t off);
int REAL(fileno)(FILE *f);
int REAL(close)(int fd);
int REAL(clock_gettime)(clockid_t clock, struct timespec *out);

/* How a run has ended. */
struct failure {
	const char *text; /* as of struct record_of_run */
	int status;	  /* of waitpid() */
};

static struct search {
	struct run run;
	struct failure failure;
	struct act *acts; /* that it fails with, in time order */
	size_t cnt;
	double until_s, run_s; /* run_s: the longest that one may take */
	unsigned runs;
} search;

static double
now_s(void)
{
	struct timespec now;

	(void)REAL(clock_gettime)(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A run that does not fail may go on for long. */
static void
limit_time(double s)
{
	struct itimerval limit = { 0 };

	limit.it_value.tv_sec = (time_t)s;
	limit.it_value.tv_usec = (suseconds_t)((s - (double)(time_t)s) * 1e6);
	(void)setitimer(ITIMER_REAL, &limit, NULL);
}

/* In a process of its own, which begins with nothing, and writes to `out`, if
 * anything. */
static struct failure
run_apart(const struct run *run, FILE *out)
{
	struct failure f = { 0 };
	int fd = out != NULL ? REAL(fileno)(out) : memfd_create("silence", 0);
	pid_t pid;

	sim_record->failure = NULL;
	sim_record->cnt = 0;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		if (out == NULL) {
			sim_is_silent = true;
			limit_time(search.run_s);
		}
		CHECK(dup2(fd, STDOUT_FILENO) >= 0);
		CHECK(dup2(fd, STDERR_FILENO) >= 0);
		run_seed(run);
	}
	CHECK(pid > 0 && waitpid(pid, &f.status, 0) == pid);
	if (out == NULL)
		(void)REAL(close)(fd);
	f.text = sim_record->failure;
	return f;
}

static bool
is_same(struct failure a, struct failure b)
{
	return a.text == b.text && a.status == b.status;
}

/* Whether this fails too: then the search goes on with what it did until
 * then. */
static bool
try(struct run run, const struct act *acts, size_t cnt)
{
	if (now_s() > search.until_s)
		return false;
	acts_keep(acts, cnt);
	search.runs++;
	if (!is_same(run_apart(&run, NULL), search.failure))
		return false;
	search.run = run;
	search.cnt = sim_record->cnt;
	memcpy(search.acts, sim_record->acts,
	       search.cnt * sizeof(*search.acts));
	return true;
}

/* ---- what is left out ---- */

static void
leave_out_faults(void)
{
	for (unsigned bit = 1; bit <= FAULTS_ALL; bit <<= 1) {
		struct run less = search.run;

		less.faults &= ~bit;
		if (less.faults != search.run.faults)
			(void)try(less, search.acts, search.cnt);
	}
}

static void
leave_out_actor(uint32_t actor, struct act *some)
{
	size_t cnt = 0;

	for (size_t i = 0; i < search.cnt; i++)
		if (search.acts[i].actor != actor)
			some[cnt++] = search.acts[i];
	if (cnt < search.cnt)
		(void)try(search.run, some, cnt);
}

/* Each part of so many acts.  Returns whether one could be left out. */
static bool
leave_out_parts(size_t len, struct act *some)
{
	bool has_changed = false;

	for (size_t at = search.cnt; at > 0;) {
		size_t from = at > len ? at - len : 0;

		memcpy(some, search.acts, from * sizeof(*some));
		memcpy(some + from, search.acts + at,
		       (search.cnt - at) * sizeof(*some));
		if (try(search.run, some, search.cnt - (at - from)))
			has_changed = true;
		/* What is left may be less than what was asked for. */
		at = min_u64(from, search.cnt);
	}
	return has_changed;
}

static void
leave_out_acts(struct act *some)
{
	for (size_t len = search.cnt / 2; len > 0;
	     len = min_u64(len, search.cnt) / 2)
		(void)leave_out_parts(len, some);
	while (leave_out_parts(1, some))
		;
}

/* Days as the command line can say them. */
static void
end_earlier(void)
{
	struct run less = search.run;
	char text[32];

	do {
		(void)snprintf(text, sizeof(text), "%.3g",
			       search.run.days / 2);
		less.days = strtod(text, NULL);
	} while (try(less, search.acts, search.cnt));
}

/* ---- what is told ---- */

/* The last lines of a file. */
static void
print_end(FILE *in)
{
	char *lines[TRACE_LINES] = { NULL };
	size_t rooms[TRACE_LINES] = { 0 };
	uint64_t cnt = 0;

	rewind(in);
	while (getline(&lines[cnt % TRACE_LINES], &rooms[cnt % TRACE_LINES],
		       in) > 0)
		cnt++;
	fprintf(stderr, "its trace has %llu lines, the last of them:\n",
		(unsigned long long)cnt);
	for (uint64_t i = cnt > TRACE_LINES ? cnt - TRACE_LINES : 0; i < cnt;
	     i++)
		fputs(lines[i % TRACE_LINES], stderr);
	for (unsigned i = 0; i < TRACE_LINES; i++)
		free(lines[i]);
}

static void
tell(double seconds)
{
	char *text = acts_text(search.acts, search.cnt);
	FILE *trace = fdopen(memfd_create("trace", 0), "r+");
	char faults[32];

	CHECK(trace != NULL);
	sim_is_tracing = true;
	acts_keep(search.acts, search.cnt);
	if (!is_same(run_apart(&search.run, trace), search.failure))
		fprintf(stderr, "it fails in another way each time\n");
	fprintf(stderr, "%u runs and %.0f s later it fails with %zu acts; ",
		search.runs, seconds, search.cnt);
	print_end(trace);
	fprintf(stderr,
		"tests/sim/ringtick-sim --seed %llu --days %g --faults %s "
		"--keep '%s' --trace\n",
		(unsigned long long)search.run.seed, search.run.days,
		faults_text(faults, sizeof(faults), search.run.faults), text);
	fclose(trace);
	free(text);
	sim_is_tracing = false;
}

void
shrink(struct run run, double seconds)
{
	double began_s = now_s();
	struct act *some;

	search = (struct search){ .run = run,
				  .until_s = began_s + seconds,
				  .run_s = seconds };
	sim_record = REAL(mmap)(NULL, RECORD_BYTES, PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	search.acts = calloc(RECORDED_MAX, sizeof(*search.acts));
	some = calloc(RECORDED_MAX, sizeof(*some));
	CHECK(sim_record != MAP_FAILED && search.acts != NULL && some != NULL);
	search.failure = run_apart(&run, NULL);
	search.run_s = 0.2 + 3 * (now_s() - began_s);
	search.cnt = sim_record->cnt;
	memcpy(search.acts, sim_record->acts, search.cnt * sizeof(*some));
	if (search.failure.text == NULL &&
	    !WIFSIGNALED(search.failure.status)) {
		fprintf(stderr, "seed %llu does not fail a second time\n",
			(unsigned long long)run.seed);
	} else if (search.cnt < RECORDED_MAX && now_s() < search.until_s) {
		leave_out_faults();
		for (uint32_t actor = 0; actor < SIM_STREAMS; actor++)
			leave_out_actor(actor, some);
		end_earlier();
		leave_out_acts(some);
		tell(now_s() - began_s);
	} else {
		fprintf(stderr, "it takes too long to be made shorter\n");
	}
	free(some);
	free(search.acts);
}
