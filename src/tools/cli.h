/*
 * What the command lines of the tools have in common: a table of options for
 * argp, numbers and sizes, exit statuses, and the signals that end a tool.
 *
 * A tool's options are the rows of its .def file:
 *
 *   OPTION(name, letter, value, flags, sentence)
 *
 * letter   of the short option, or 0; value: what `--help` calls the argument,
 *          or NULL; flags: argp's
 *
 * The option's key is OPTION_name.  The manual (doc/ringtick.1) is made from
 * the same rows.  Whatever is wrong with a command line ends the program here,
 * with a sentence and CLI_EXIT_TROUBLE.
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

/* For `#define OPTION`: a row as an enumerator, and as an entry for argp, which
 * is to keep the order of the rows. */
#define CLI_KEY(name, letter, value, flags, sentence) \
	OPTION_##name = (letter) != 0 ? (letter) : CLI_KEYS + __LINE__,
#define CLI_ENTRY(name, letter, value, flags, sentence) \
	{ #name, OPTION_##name, value, flags, sentence, __LINE__ },

/* argv[0] is what the messages begin with; flags are argp's. */
void cli_parse(const struct argp *argp, unsigned flags, int argc, char **argv,
	       void *input);

_Noreturn void cli_fail(const struct argp_state *state, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The whole of text as a number from min to max. */
uint64_t cli_number(const struct argp_state *state, const char *option,
		    const char *text, uint64_t min, uint64_t max);

/* The same of bytes, with K, M or G after them as in the configuration. */
uint64_t cli_size(const struct argp_state *state, const char *option,
		  const char *text, uint64_t min, uint64_t max);

/*
 * SIGINT and SIGTERM from now on only set what cli_stopped() tells, and
 * end waits.  cli_resume() takes it back, so that what is half done can be
 * finished; the next signal counts anew.  cli_stop() is as a signal.
 */
void cli_catch_signals(void);
bool cli_stopped(void);
void cli_resume(void);
void cli_stop(void);

#endif
