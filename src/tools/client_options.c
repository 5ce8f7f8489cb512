#include "config.h"

#include "tools/client_options.h"

#include "base/util.h"
#include "tools/cli.h"

#define CLI_OPTIONS "tools/client_options.def"
#include "tools/cli_table.h"

static error_t
take_option(int key, char *value, struct argp_state *state)
{
	struct client_options *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		*o = (struct client_options){ .count = UINT64_MAX };
		client_target_init(&o->target);
		return 0;
	case OPTION_host:
		o->target.host = value;
		return 0;
	case OPTION_port:
		(void)cli_number(state, "--port", value, 1, 65535);
		o->target.port = value;
		return 0;
	case OPTION_user:
		o->target.user = value;
		return 0;
	case OPTION_count:
		o->count = cli_number(state, "--count", value, 1, INT64_MAX);
		return 0;
	case OPTION_seconds:
		o->seconds =
			cli_number(state, "--seconds", value, 1, INT32_MAX);
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "\"%s\" is not an option", value);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp client_options_argp = {
	.options = options,
	.parser = take_option,
};

const struct argp_child client_options_children[] = {
	{ .argp = &client_options_argp, .group = 1 },
	{ 0 },
};

int64_t
client_options_end_ns(const struct client_options *o, int64_t start_ns)
{
	return o->seconds == 0 ? CLIENT_FOREVER
			       : start_ns + (int64_t)o->seconds * NS_PER_S;
}
