/*
 * The common part of the tools' command lines: a table of options for argp,
 * numbers and sizes, exit statuses, and the signals that end a tool.
 *
 * A tool's options are the rows of its .def file:
 *
 *   OPTION(name, letter, value, flags, sentence)
 *
 * letter   of the short option, or 0; value: what `--help` calls the argument,
 *          or NULL; flags: argp's
 *
 * The option's key is OPTION_name.  The manual (doc/ringtick.1) is made from
 * the same rows.  Any mistake in a command line ends the program here, with a
 * sentence and CLI_EXIT_TROUBLE.
 */
#ifndef RINGTICK_TOOLS_CLI_H
#define RINGTICK_TOOLS_CLI_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	CLI_EXIT_CHECK = 1,   /* a check failed */
	CLI_EXIT_TROUBLE = 2, /* usage, system, connection */
	CLI_KEYS = 256,	      /* keys of options without a letter are above */
};

/* For cli_table.h: a row as an enumerator, and as an entry for argp, whose
 * group number keeps the order of the rows. */
#define CLI_KEY(name, letter, value, flags, sentence) \
	OPTION_##name = (letter) != 0 ? (letter) : CLI_KEYS + __LINE__,
#define CLI_ENTRY(name, letter, value, flags, sentence) \
	{ #name, OPTION_##name, value, flags, sentence, __LINE__ },

/* Parses a command line into `input`.  Messages begin with argv[0]; flags are
 * argp's.  Does not return after a mistake or `--help`. */
void cli_parse(const struct argp *argp, unsigned flags, int argc, char **argv,
	       void *input);

_Noreturn void cli_fail(const struct argp_state *state, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The whole text as a number from min to max.  Does not return if it is not
 * one. */
uint64_t cli_number(const struct argp_state *state, const char *option,
		    const char *text, uint64_t min, uint64_t max);

/* The same for a size in bytes, with K, M or G after the number as in the
 * configuration. */
uint64_t cli_size(const struct argp_state *state, const char *option,
		  const char *text, uint64_t min, uint64_t max);

/*
 * From now on SIGINT and SIGTERM only make cli_stopped() true and interrupt
 * waits.  cli_resume() makes it false again, so that half-done work can be
 * finished; the next signal makes it true again.  cli_stop() acts like a
 * signal.
 */
void cli_catch_signals(void);
bool cli_stopped(void);
void cli_resume(void);
void cli_stop(void);

#endif
