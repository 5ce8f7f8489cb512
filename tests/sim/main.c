/*
 *   ringtick-sim [--seed N] [--seeds N] [--days D] [--faults WHICH] [--trace]
 *                [--first] [--jobs N] [--shrink SECONDS] [--keep ACTS]
 *
 * Runs the daemon and the world around it from one seed, or from several, N of
 * them at once, all or until the first one fails; WHICH is all, none, or some
 * of net, disk, crash, with commas.
 *
 * Then looks for the shortest run that fails as the first failure did, for 20
 * SECONDS if not told otherwise; and tells the end of its trace, and how to
 * repeat it: with ACTS, all others left out.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "shrink.h"
#include "world.h"

enum { JOBS_MAX = 64 };

enum {
	OPTION_SEED = 256,
	OPTION_SEEDS,
	OPTION_DAYS,
	OPTION_FAULTS,
	OPTION_FIRST,
	OPTION_JOBS,
	OPTION_KEEP,
	OPTION_SHRINK,
	OPTION_TRACE
};

static const struct option options[] = {
	{ "seed", required_argument, NULL, OPTION_SEED },
	{ "seeds", required_argument, NULL, OPTION_SEEDS },
	{ "days", required_argument, NULL, OPTION_DAYS },
	{ "faults", required_argument, NULL, OPTION_FAULTS },
	{ "first", no_argument, NULL, OPTION_FIRST },
	{ "jobs", required_argument, NULL, OPTION_JOBS },
	{ "keep", required_argument, NULL, OPTION_KEEP },
	{ "shrink", required_argument, NULL, OPTION_SHRINK },
	{ "trace", no_argument, NULL, OPTION_TRACE },
	{ NULL, 0, NULL, 0 },
};

struct command_line {
	struct run run; /* the first seed's */
	uint64_t seeds;
	unsigned jobs;
	double shrink_s;
	bool is_first_only; /* the first failure ends it */
};

/* Daemons that crashed leave memory behind: as real ones do not. */
const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
	return "detect_leaks=0";
}

static const struct {
	const char *word;
	unsigned faults;
} fault_words[] = { { "all", FAULTS_ALL },
		    { "none", 0 },
		    { "net", FAULTS_NET },
		    { "disk", FAULTS_DISK },
		    { "crash", FAULTS_CRASH } };

static _Noreturn void
refuse(const char *option, const char *text, const char *wanted)
{
	fprintf(stderr, "ringtick-sim: %s %s: wanted is %s\n", option, text,
		wanted);
	process_leave(EX_USAGE);
}

static uint64_t
read_count(const char *option, const char *text)
{
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end != '\0' || errno != 0)
		refuse(option, text, "a number");
	return n;
}

static double
read_amount(const char *option, const char *text)
{
	char *end;
	double amount = strtod(text, &end);

	/* Neither "inf" nor "nan". */
	if (end == text || *end != '\0' || !(amount >= 0 && amount < 1e9))
		refuse(option, text, "a number, like 0.01");
	return amount;
}

static unsigned
read_fault(const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(fault_words); i++)
		if (strcmp(word, fault_words[i].word) == 0)
			return fault_words[i].faults;
	refuse("--faults", word, "all, none, or some of net,disk,crash");
}

static unsigned
read_faults(char *words)
{
	unsigned faults = 0;
	char *rest = NULL;

	for (char *word = strtok_r(words, ",", &rest); word != NULL;
	     word = strtok_r(NULL, ",", &rest))
		faults |= read_fault(word);
	return faults;
}

const char *
faults_text(char *to, size_t room, unsigned faults)
{
	size_t len = 0;

	for (size_t i = 0; i < ARRAY_LEN(fault_words); i++)
		if (faults == fault_words[i].faults)
			return fault_words[i].word;
	for (size_t i = 2; i < ARRAY_LEN(fault_words); i++)
		if ((faults & fault_words[i].faults) != 0)
			len += (size_t)snprintf(to + len, room - len, "%s%s",
						len > 0 ? "," : "",
						fault_words[i].word);
	return to;
}

static struct command_line
read_command_line(int argc, char **argv)
{
	struct command_line line = { .run = { .seed = 1,
					      .days = 0.01,
					      .faults = FAULTS_ALL },
				     .seeds = 1,
				     .jobs = 1,
				     .shrink_s = 20 };
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (option) {
		case OPTION_SEED:
			line.run.seed = read_count("--seed", optarg);
			break;
		case OPTION_SEEDS:
			line.seeds = read_count("--seeds", optarg);
			break;
		case OPTION_DAYS:
			line.run.days = read_amount("--days", optarg);
			break;
		case OPTION_FAULTS:
			line.run.faults = read_faults(optarg);
			break;
		case OPTION_FIRST:
			line.is_first_only = true;
			break;
		case OPTION_JOBS:
			line.jobs = (unsigned)min_u64(
				read_count("--jobs", optarg), JOBS_MAX);
			break;
		case OPTION_KEEP:
			if (!acts_keep_text(optarg))
				refuse("--keep", optarg, "like 1:0-2,5;10:0");
			break;
		case OPTION_SHRINK:
			line.shrink_s = read_amount("--shrink", optarg);
			break;
		case OPTION_TRACE:
			sim_is_tracing = true;
			break;
		default:
			process_leave(EX_USAGE);
		}
	if (optind < argc)
		refuse("argument", argv[optind], "none");
	if (line.jobs < 1)
		line.jobs = 1;
	return line;
}

/* ---- runs ---- */

void
run_seed(const struct run *run)
{
	const struct world_counts *n = &world.counts;

	sim_seed(run->seed);
	world_run(run->days, run->faults);
	printf("seed %llu: ok, %llu updates, %llu frames, %llu connections, "
	       "%llu crashes, %llu stops, %llu figures, digest %016llx\n",
	       (unsigned long long)run->seed, (unsigned long long)n->updates,
	       (unsigned long long)n->frames, (unsigned long long)n->connects,
	       (unsigned long long)n->crashes, (unsigned long long)n->stops,
	       (unsigned long long)n->figures,
	       (unsigned long long)sim_digest());
	fflush(stdout);
	process_leave(EXIT_SUCCESS);
}

/* Runs in processes of their own, each of which begins with nothing. */
static struct {
	struct job {
		pid_t pid;
		uint64_t seed;
	} all[JOBS_MAX];
	unsigned cnt;
	uint64_t failed_seed, failed_cnt;
} jobs;

static void
begin(struct run run)
{
	pid_t pid = fork();

	if (pid == 0)
		run_seed(&run);
	CHECK(pid > 0);
	jobs.all[jobs.cnt++] = (struct job){ pid, run.seed };
}

static void
note_failure(const struct run *line, uint64_t seed)
{
	char faults[64];

	fprintf(stderr,
		"tests/sim/ringtick-sim --seed %llu --days %g --faults %s\n",
		(unsigned long long)seed, line->days,
		faults_text(faults, sizeof(faults), line->faults));
	if (jobs.failed_cnt++ == 0)
		jobs.failed_seed = seed;
}

/* Waits until one has ended.  Whoever reads of a failure can repeat it. */
static void
end_one(const struct run *line)
{
	int status;
	pid_t pid = wait(&status);

	for (unsigned i = 0; i < jobs.cnt; i++) {
		struct job *job = &jobs.all[i];

		if (job->pid != pid)
			continue;
		if (WIFSIGNALED(status))
			fprintf(stderr, "ringtick-sim: seed %llu: signal %d\n",
				(unsigned long long)job->seed,
				WTERMSIG(status));
		if (status != 0)
			note_failure(line, job->seed);
		*job = jobs.all[--jobs.cnt];
		return;
	}
}

int
main(int argc, char **argv)
{
	struct command_line line = read_command_line(argc, argv);
	struct run run = line.run;

	for (uint64_t i = 0; i < line.seeds; i++) {
		if (line.is_first_only && jobs.failed_cnt > 0)
			break;
		run.seed = line.run.seed + i;
		begin(run);
		if (jobs.cnt == line.jobs)
			end_one(&line.run);
	}
	while (jobs.cnt > 0)
		end_one(&line.run);
	if (jobs.failed_cnt > 0 && line.shrink_s > 0 && !sim_is_tracing) {
		run.seed = jobs.failed_seed;
		shrink(run, line.shrink_s);
	}
	process_leave(jobs.failed_cnt == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}
