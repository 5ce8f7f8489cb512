#include "config.h"

#include "tools/log_options.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli.h"

#define CLI_OPTIONS "tools/log.def"
#include "tools/cli_table.h"

/* The other options that each mode takes. */
static const struct {
	int key;	    /* of the option that chooses the mode */
	const char *option; /* the same as text */
	bool takes_tables, takes_range, takes_follow;
} modes[LOG_MODE_COUNT] = {
	[LOG_PRINT] = { 0, NULL, true, true, true },
	[LOG_JSON] = { OPTION_json, "--json", true, true, true },
	[LOG_COUNT] = { OPTION_count, "--count", true, true, false },
	[LOG_VERIFY] = { OPTION_verify, "--verify", false, false, false },
	[LOG_TABLES] = { OPTION_tables, "--tables", true, true, false },
	[LOG_REPAIR] = { OPTION_repair, "--repair", false, false, false },
	[LOG_FILTER] = { OPTION_filter, "--filter", false, true, false },
	[LOG_REPLAY] = { OPTION_replay, "--replay", true, true, false },
};

static struct log_bound
parse_limit(const struct argp_state *state, const char *option,
	    const char *text)
{
	struct log_bound limit = { .is_number = false };

	if (text[0] != '\0' && text[strspn(text, "0123456789")] == '\0') {
		limit.is_number = true;
		limit.number = cli_number(state, option, text, 0, INT64_MAX);
		return limit;
	}
	limit.is_time = qtime_parse(text, &limit.when);
	if (!limit.is_time)
		cli_fail(state,
			 "%s: \"%s\" is neither a record number nor a time "
			 "such as 09:30:00.000 or 2026.11.22D09:30",
			 option, text);
	return limit;
}

static double
parse_speed(const struct argp_state *state, const char *text)
{
	char *end;
	double speed;

	errno = 0;
	speed = strtod(text, &end);
	if (*text == '\0' || *end != '\0' || errno != 0 || !isfinite(speed) ||
	    speed < 0)
		cli_fail(state,
			 "--speed: \"%s\" is not allowed; give a number such "
			 "as 1, 10 or 0.5",
			 text);
	return speed;
}

/* HOST:PORT; the host may contain colons. */
static void
parse_target(const struct argp_state *state, struct log_options *o,
	     const char *text)
{
	const char *colon = strrchr(text, ':');
	size_t len = colon == NULL ? 0 : (size_t)(colon - text);

	if (len == 0 || len >= sizeof(o->host))
		cli_fail(state,
			 "--replay: \"%s\" is not HOST:PORT, such as "
			 "127.0.0.1:5010",
			 text);
	memcpy(o->host, text, len);
	o->host[len] = '\0';
	o->target.host = o->host;
	o->target.port = colon + 1;
	(void)cli_number(state, "--replay", o->target.port, 1, 65535);
}

static error_t
choose_mode(const struct argp_state *state, struct log_options *o, int key,
	    const char *value)
{
	enum log_mode mode = LOG_PRINT + 1;

	while (mode < LOG_MODE_COUNT && modes[mode].key != key)
		mode++;
	if (mode == LOG_MODE_COUNT)
		return ARGP_ERR_UNKNOWN;
	if (o->mode != LOG_PRINT && o->mode != mode)
		cli_fail(state, "%s and %s exclude each other",
			 modes[o->mode].option, modes[mode].option);
	o->mode = mode;
	if (mode == LOG_FILTER)
		o->wanted = value;
	else if (mode == LOG_REPLAY)
		parse_target(state, o, value);
	return 0;
}

/* A sentence about options that conflict; NULL if none do. */
static const char *
find_conflict(const struct log_options *o)
{
	bool has_range = o->from.is_number || o->from.is_time ||
			 o->to.is_number || o->to.is_time;

	if (o->is_following && !modes[o->mode].takes_follow)
		return "--follow goes with rows and --json only";
	if (has_range && !modes[o->mode].takes_range)
		return "--verify and --repair read the whole file: leave "
		       "--from and --to out";
	if (o->wanted != NULL && o->mode != LOG_FILTER &&
	    !modes[o->mode].takes_tables)
		return "--verify and --repair read all tables: leave --table "
		       "out";
	if ((o->mode == LOG_FILTER) != (o->out_path != NULL))
		return "--filter NAMES and --out FILE2 need each other";
	if (o->has_speed && o->mode != LOG_REPLAY)
		return "--speed goes with --replay only";
	return NULL;
}

static void
take_end(const struct argp_state *state, const struct log_options *o)
{
	const char *conflict = find_conflict(o);

	if (o->path == NULL)
		argp_error(state, "give one FILE");
	if (conflict != NULL)
		cli_fail(state, "%s", conflict);
}

static void
set_defaults(struct log_options *o)
{
	*o = (struct log_options){ .mode = LOG_PRINT };
	client_target_init(&o->target);
	o->target.place_option = "--replay HOST:PORT";
}

static error_t
take_option(int key, char *value, struct argp_state *state)
{
	struct log_options *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		set_defaults(o);
		return 0;
	case OPTION_out:
		o->out_path = value;
		return 0;
	case OPTION_speed:
		o->speed = parse_speed(state, value);
		o->has_speed = true;
		return 0;
	case OPTION_user:
		o->target.user = value;
		return 0;
	case OPTION_table:
		if (o->mode == LOG_FILTER)
			cli_fail(state, "--filter has the names already; leave "
					"--table out");
		o->wanted = value;
		return 0;
	case OPTION_from:
		o->from = parse_limit(state, "--from", value);
		return 0;
	case OPTION_to:
		o->to = parse_limit(state, "--to", value);
		return 0;
	case OPTION_follow:
		o->is_following = true;
		return 0;
	case ARGP_KEY_ARG:
		if (o->path != NULL)
			argp_error(state, "give one FILE");
		o->path = value;
		return 0;
	case ARGP_KEY_END:
		take_end(state, o);
		return 0;
	default:
		return choose_mode(state, o, key, value);
	}
}

void
log_options_read(struct log_options *o, int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = take_option,
		.args_doc = "FILE",
		.doc = "Prints the records of a journal, of ringtickd or of q, "
		       "as rows.\v"
		       "Times are written as 09:30, 09:30:00.000, "
		       "0D09:30 or 2026.11.22D09:30.\n"
		       "Exit status: 0 good, 1 the file is not whole or "
		       "records were refused, 2 usage, system or connection.",
	};

	cli_parse(&argp, 0, argc, argv, o);
}
