#include "config.h"

#include "tools/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- options ---- */

void
cli_parse(const struct argp *argp, unsigned flags, int argc, char **argv,
	  void *input)
{
	error_t err;

	argp_err_exit_status = CLI_EXIT_TROUBLE;
	err = argp_parse(argp, argc, argv, flags, NULL, input);
	if (err == 0)
		return;
	fprintf(stderr, "%s: %s\n", argv[0], strerror(err));
	exit(CLI_EXIT_TROUBLE);
}

void
cli_fail(const struct argp_state *state, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s: ", state->name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(CLI_EXIT_TROUBLE);
}

_Noreturn static void
refuse_number(const struct argp_state *state, const char *option,
	      const char *text, uint64_t min, uint64_t max)
{
	cli_fail(state,
		 "%s: \"%s\" is not allowed; give a whole number from %llu to "
		 "%llu",
		 option, text, (unsigned long long)min,
		 (unsigned long long)max);
}

uint64_t
cli_number(const struct argp_state *state, const char *option,
	   const char *text, uint64_t min, uint64_t max)
{
	char *end = NULL;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno == 0 && text[0] >= '0' && text[0] <= '9' && *end == '\0' &&
	    value >= min && value <= max)
		return value;
	refuse_number(state, option, text, min, max);
}

uint64_t
cli_size(const struct argp_state *state, const char *option, const char *text,
	 uint64_t min, uint64_t max)
{
	static const char units[] = "KMG";
	size_t digits = strspn(text, "0123456789");
	const char *unit = text[digits] == '\0' ? NULL
						: strchr(units, text[digits]);
	unsigned long long number;
	unsigned shift;

	if (unit == NULL || text[digits + 1] != '\0')
		return cli_number(state, option, text, min, max);
	shift = 10 * ((unsigned)(unit - units) + 1);
	errno = 0;
	number = strtoull(text, NULL, 10);
	if (errno == 0 && digits > 0 && number <= max >> shift &&
	    number << shift >= min)
		return number << shift;
	refuse_number(state, option, text, min, max);
}

/* ---- signals ---- */

static volatile sig_atomic_t is_stopped;

static void
on_signal(int signal_number)
{
	(void)signal_number;
	is_stopped = 1;
}

void
cli_catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	/* No SA_RESTART: a poll or a nap must end. */
	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

bool
cli_stopped(void)
{
	return is_stopped != 0;
}

void
cli_resume(void)
{
	is_stopped = 0;
}

void
cli_stop(void)
{
	is_stopped = 1;
}
