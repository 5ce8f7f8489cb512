/*
 *   ringtick-sim [--seed N] [--seeds N] [--days D] [--faults WHICH] [--trace]
 *                [--first] [--shrink] [--leave-out ACTORS]
 *
 * Runs the daemon and the world around it from one seed, or from several, one
 * after the other, or until the first one fails; WHICH is all, none, net, disk
 * or crash.  --shrink looks for actors (feeds, subscribers, faults) without
 * which a seed still fails, and then says how to run what is left; ACTORS is
 * that, in hexadecimal.
 */
#include "config.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "world.h"

enum {
	OPTION_SEED = 256,
	OPTION_SEEDS,
	OPTION_DAYS,
	OPTION_FAULTS,
	OPTION_FIRST,
	OPTION_LEAVE_OUT,
	OPTION_SHRINK,
	OPTION_TRACE
};

static const struct option options[] = {
	{ "seed", required_argument, NULL, OPTION_SEED },
	{ "seeds", required_argument, NULL, OPTION_SEEDS },
	{ "days", required_argument, NULL, OPTION_DAYS },
	{ "faults", required_argument, NULL, OPTION_FAULTS },
	{ "first", no_argument, NULL, OPTION_FIRST },
	{ "leave-out", required_argument, NULL, OPTION_LEAVE_OUT },
	{ "shrink", no_argument, NULL, OPTION_SHRINK },
	{ "trace", no_argument, NULL, OPTION_TRACE },
	{ NULL, 0, NULL, 0 },
};

struct command_line {
	uint64_t seed, seeds;
	double days;
	unsigned faults;
	uint64_t left_out;
	bool is_first_only; /* the first failure ends it */
	bool is_shrinking;
};

/* Daemons that crashed leave memory behind: as real ones do not. */
const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
	return "detect_leaks=0";
}

static unsigned
read_faults(const char *word)
{
	static const struct {
		const char *word;
		unsigned faults;
	} words[] = { { "all", FAULTS_ALL },
		      { "none", 0 },
		      { "net", FAULTS_NET },
		      { "disk", FAULTS_DISK },
		      { "crash", FAULTS_CRASH } };

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcmp(word, words[i].word) == 0)
			return words[i].faults;
	fprintf(stderr, "--faults is all, none, net, disk or crash\n");
	process_leave(EXIT_FAILURE);
}

static struct command_line
read_command_line(int argc, char **argv)
{
	struct command_line line = { .seed = 1,
				     .seeds = 1,
				     .days = 0.01,
				     .faults = FAULTS_ALL };
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (option) {
		case OPTION_SEED:
			line.seed = strtoull(optarg, NULL, 10);
			break;
		case OPTION_SEEDS:
			line.seeds = strtoull(optarg, NULL, 10);
			break;
		case OPTION_DAYS:
			line.days = strtod(optarg, NULL);
			break;
		case OPTION_FAULTS:
			line.faults = read_faults(optarg);
			break;
		case OPTION_FIRST:
			line.is_first_only = true;
			break;
		case OPTION_LEAVE_OUT:
			line.left_out = strtoull(optarg, NULL, 16);
			break;
		case OPTION_SHRINK:
			line.is_shrinking = true;
			break;
		case OPTION_TRACE:
			sim_is_tracing = true;
			break;
		default:
			process_leave(EXIT_FAILURE);
		}
	return line;
}

static void
run_seed(const struct command_line *line, uint64_t seed)
{
	const struct world_counts *n = &world.counts;

	sim_seed(seed);
	world_run(line->days, line->faults, line->left_out);
	printf("seed %llu: ok, %llu updates, %llu frames, %llu connections, "
	       "%llu crashes, %llu stops, digest %016llx\n",
	       (unsigned long long)seed, (unsigned long long)n->updates,
	       (unsigned long long)n->frames, (unsigned long long)n->connects,
	       (unsigned long long)n->crashes, (unsigned long long)n->stops,
	       (unsigned long long)sim_digest());
	fflush(stdout);
	process_leave(EXIT_SUCCESS);
}

/* In a process of its own, which begins with nothing. */
static bool
run_apart(const struct command_line *line, uint64_t seed)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		run_seed(line, seed);
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	if (WIFSIGNALED(status))
		fprintf(stderr, "ringtick-sim: seed %llu: signal %d\n",
			(unsigned long long)seed, WTERMSIG(status));
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Leaves out all without which it still fails. */
static void
shrink(struct command_line line, uint64_t seed)
{
	line.seed = seed;
	for (unsigned actor = 0; actor < ACTORS; actor++) {
		struct command_line less = line;

		less.left_out |= UINT64_C(1) << actor;
		if (!run_apart(&less, seed))
			line = less;
	}
	fprintf(stderr, "ringtick-sim --seed %llu --days %g --leave-out %llx\n",
		(unsigned long long)seed, line.days,
		(unsigned long long)line.left_out);
}

int
main(int argc, char **argv)
{
	struct command_line line = read_command_line(argc, argv);
	bool ok = true;

	for (uint64_t i = 0; i < line.seeds && (ok || !line.is_first_only);
	     i++) {
		if (run_apart(&line, line.seed + i))
			continue;
		ok = false;
		if (line.is_shrinking)
			shrink(line, line.seed + i);
	}
	process_leave(ok ? EXIT_SUCCESS : EXIT_FAILURE);
}
