/* The program `ringtick`: it only chooses the sub-command. */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/process.h"
#include "base/util.h"
#include "tools/client.h"
#include "tools/feed.h"
#include "tools/log.h"
#include "tools/sub.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *text;
} commands[] = {
	{ "feed", feed_main, "publish generated trades and quotes" },
	{ "log", logtool_main, "read, check, repair or replay a journal" },
	{ "sub", sub_main, "subscribe; print rows, or rates and latencies" },
};

static void
usage(FILE *out)
{
	fputs("usage: ringtick COMMAND [OPTION]...\n"
	      "\nTools for ringtickd and any other kdb+ tickerplant.\n\n",
	      out);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		fprintf(out, "  %-6s %s\n", commands[i].name, commands[i].text);
	fputs("\n`ringtick COMMAND --help` tells the options of one.\n", out);
}

/* Output that is lost is no success, whatever came before. */
static int
end_output(int status)
{
	bool is_lost = ferror(stdout) != 0;

	errno = 0;
	if (fflush(stdout) == 0 && !is_lost)
		return status;
	fprintf(stderr, "ringtick: standard output: %s\n",
		errno != 0 ? strerror(errno) : "it cannot be written");
	return CLIENT_EXIT_TROUBLE;
}

int
main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "";

	process_fill_descriptors();
	process_ignore_file_limit();
	if (strcmp(command, "--help") == 0) {
		usage(stdout);
		return end_output(0);
	}
	if (strcmp(command, "--version") == 0) {
		puts("ringtick " PACKAGE_VERSION);
		return end_output(0);
	}
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (strcmp(command, commands[i].name) == 0)
			return end_output(commands[i].run(argc - 1, argv + 1));
	if (argc > 1)
		fprintf(stderr, "ringtick: there is no command \"%s\"\n",
			command);
	usage(stderr);
	return CLIENT_EXIT_TROUBLE;
}
