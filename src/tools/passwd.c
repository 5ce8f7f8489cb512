#include "config.h"

#include "tools/passwd.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "auth/crypt_hash.h"
#include "auth/user_name.h"
#include "tools/cli.h"

#define CLI_OPTIONS "tools/passwd.def"
#include "tools/cli_table.h"

struct passwd_options {
	const char *name;
	unsigned cost;
};

/* A line without its end; of a password that is too long, the beginning. */
struct line {
	char text[PASSWORD_BYTES_MAX + 2];
	size_t len;
};

/* ---- the command line ---- */

static void
take_name(const struct argp_state *state, struct passwd_options *o,
	  const char *name)
{
	const char *fault = user_name_fault(name, strlen(name));

	if (o->name != NULL)
		argp_error(state, "give one NAME");
	if (fault != NULL)
		cli_fail(state, "the name %s", fault);
	o->name = name;
}

static error_t
take_option(int key, char *value, struct argp_state *state)
{
	struct passwd_options *o = state->input;

	switch (key) {
	case OPTION_cost:
		o->cost = (unsigned)cli_number(state, "--cost", value,
					       CRYPT_HASH_COST_MIN,
					       CRYPT_HASH_COST_MAX);
		return 0;
	case ARGP_KEY_ARG:
		take_name(state, o, value);
		return 0;
	case ARGP_KEY_END:
		if (o->name == NULL)
			argp_error(state, "give one NAME");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* ---- the password ---- */

/* Reads a byte, as read does; a signal that stops the program is seen whenever
 * it comes. */
static ssize_t
read_byte(char *out)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	sigset_t stops, before;
	int ready = -1;

	sigemptyset(&stops);
	sigaddset(&stops, SIGINT);
	sigaddset(&stops, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &stops, &before);
	while (!cli_stopped() && ready < 0) {
		ready = ppoll(&input, 1, NULL, &before);
		if (ready < 0 && errno != EINTR)
			break;
	}
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	return ready < 0 ? -1 : read(STDIN_FILENO, out, 1);
}

/* Byte by byte: what is after the line is not for this program.  False at the
 * end of input, after an error, and when a signal stops the program. */
static bool
read_line(struct line *out)
{
	bool is_begun = false;
	char c = '\0';

	*out = (struct line){ .len = 0 };
	for (;;) {
		ssize_t n = read_byte(&c);

		if (n < 0)
			return false;
		if (n == 0 || c == '\n')
			return n > 0 || is_begun;
		is_begun = true;
		if (out->len < sizeof(out->text) - 1)
			out->text[out->len++] = c;
	}
}

/* The terminal shows again what is typed, however this ends; it cannot be
 * stopped in between. */
static bool
read_unseen(const char *prompt, struct line *out)
{
	struct termios before, unseen;
	bool is_read;

	if (tcgetattr(STDIN_FILENO, &before) != 0)
		return false;
	unseen = before;
	unseen.c_lflag &= ~(tcflag_t)ECHO;
	unseen.c_cc[VSUSP] = unseen.c_cc[VQUIT] = _POSIX_VDISABLE;
	cli_catch_signals();
	if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &unseen) != 0)
		return false;
	fputs(prompt, stderr);
	is_read = read_line(out);
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	fputc('\n', stderr);
	return is_read;
}

static bool
read_password(const char *title, struct line *out)
{
	struct line again;
	bool is_same;

	if (!isatty(STDIN_FILENO)) {
		if (read_line(out))
			return true;
		fprintf(stderr, "%s: standard input has no line\n", title);
		return false;
	}
	if (!read_unseen("Password: ", out) ||
	    !read_unseen("The same again: ", &again)) {
		fprintf(stderr, "%s: no password was given\n", title);
		return false;
	}
	is_same = out->len == again.len &&
		  memcmp(out->text, again.text, out->len) == 0;
	explicit_bzero(&again, sizeof(again));
	if (!is_same)
		fprintf(stderr, "%s: the two are not the same\n", title);
	return is_same;
}

static int
print_line(const char *title, const struct passwd_options *o,
	   const struct line *password)
{
	const char *fault = password_fault(password->text, password->len);
	char hash[CRYPT_HASH_BYTES_MAX + 1];
	int res;

	if (fault != NULL) {
		fprintf(stderr, "%s: the password %s\n", title, fault);
		return CLI_EXIT_TROUBLE;
	}
	res = crypt_hash_make(password->text, o->cost, hash);
	if (res != 0) {
		fprintf(stderr, "%s: the hash cannot be made: %s\n", title,
			strerror(-res));
		return CLI_EXIT_TROUBLE;
	}
	printf("%s:%s\n", o->name, hash);
	return 0;
}

int
passwd_main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = take_option,
		.args_doc = "NAME",
		.doc = "Prints a user's line for the users file of ringtickd, "
		       "with the password's hash.\v"
		       "Asks for the password twice; without a terminal, "
		       "reads one line of standard input.\n"
		       "Exit status: 0 good, 2 usage, or no password.",
	};
	struct passwd_options o = { .cost = CRYPT_HASH_COST };
	struct line password;
	int status = CLI_EXIT_TROUBLE;

	cli_parse(&argp, 0, argc, argv, &o);
	if (read_password(argv[0], &password))
		status = print_line(argv[0], &o, &password);
	explicit_bzero(&password, sizeof(password));
	return status;
}
