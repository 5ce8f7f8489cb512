/* The program `ringtick`: it only chooses the sub-command. */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/process.h"
#include "base/util.h"
#include "tools/cli.h"
#include "tools/feed.h"
#include "tools/log.h"
#include "tools/passwd.h"
#include "tools/sub.h"

static const struct {
	const char *name;
	char *title; /* argv[0], for its messages */
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "feed", (char[]){ "ringtick feed" }, feed_main },
	{ "log", (char[]){ "ringtick log" }, log_main },
	{ "passwd", (char[]){ "ringtick passwd" }, passwd_main },
	{ "sub", (char[]){ "ringtick sub" }, sub_main },
};

/* Only for `--help`. */
static const struct argp_option texts[] = {
	{ "feed", 0, NULL, OPTION_DOC, "publish generated trades and quotes",
	  0 },
	{ "log", 0, NULL, OPTION_DOC, "read, check, repair or replay a journal",
	  0 },
	{ "passwd", 0, NULL, OPTION_DOC,
	  "make a line of ringtickd's users file", 0 },
	{ "sub", 0, NULL, OPTION_DOC,
	  "subscribe; print rows, or rates and latencies", 0 },
	{ 0 },
};

/* Lost output is a failure, whatever the exit status was; also for an exit
 * within argp's `--help`. */
static void
end_output(void)
{
	bool is_lost = ferror(stdout) != 0;

	errno = 0;
	if (fflush(stdout) == 0 && !is_lost)
		return;
	fprintf(stderr, "ringtick: standard output: %s\n",
		errno != 0 ? strerror(errno) : "it cannot be written");
	_exit(CLI_EXIT_TROUBLE);
}

/* The command line up to the command's name. */
struct choice {
	int (*run)(int argc, char **argv);
	int argc;
	char **argv;
};

static error_t
choose(int key, char *value, struct argp_state *state)
{
	struct choice *c = state->input;

	if (key == ARGP_KEY_NO_ARGS)
		argp_error(state, "give a command: feed, log, passwd or sub");
	if (key != ARGP_KEY_ARG)
		return ARGP_ERR_UNKNOWN;
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (strcmp(value, commands[i].name) != 0)
			continue;
		c->run = commands[i].run;
		c->argc = state->argc - state->next + 1;
		c->argv = state->argv + state->next - 1;
		c->argv[0] = commands[i].title;
		/* The rest of the line belongs to the command. */
		state->next = state->argc;
		return 0;
	}
	argp_error(state, "there is no command \"%s\"", value);
	return 0;
}

int
main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = texts,
		.parser = choose,
		.args_doc = "COMMAND [OPTION...]",
		.doc = "Tools for ringtickd and any other kdb+ "
		       "tickerplant.\v"
		       "`ringtick COMMAND --help` shows the "
		       "options of a command.",
	};
	struct choice c = { .run = NULL };

	argp_program_version = PACKAGE_STRING;
	(void)atexit(end_output);
	process_fill_descriptors();
	process_ignore_file_limit();
	cli_parse(&argp, ARGP_IN_ORDER, argc, argv, &c);
	return c.run(c.argc, c.argv);
}
