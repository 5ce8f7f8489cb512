#include "config.h"

#include "tools/sub_options.h"

#include "base/util.h"
#include "tools/cli.h"

/*
 * SO_RCVBUF with --slow and --pause, so that the kernel holds little.  It
 * doubles this value for its own book-keeping.
 */
enum { SMALL_BUFFER = 16 << 10 };

#define CLI_OPTIONS "tools/sub.def"
#include "tools/cli_table.h"

static void
set_defaults(const struct argp_state *state, struct sub_options *o)
{
	*o = (struct sub_options){ .wanted = "", .symbols = "" };
	state->child_inputs[0] = &o->common;
}

static error_t
take_option(int key, char *value, struct argp_state *state)
{
	struct sub_options *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		set_defaults(state, o);
		return 0;
	case OPTION_table:
		o->wanted = value;
		return 0;
	case OPTION_symbols:
		o->symbols = value;
		return 0;
	case OPTION_print:
		o->mode = SUB_PRINT;
		return 0;
	case OPTION_rates:
		o->mode = SUB_RATES;
		return 0;
	case OPTION_check:
		o->is_checking = true;
		o->column = value;
		return 0;
	case OPTION_latency:
		o->is_timing = true;
		return 0;
	case OPTION_from:
		o->has_from = true;
		o->from = cli_number(state, "--from", value, 0, INT64_MAX);
		return 0;
	case OPTION_reconnect:
		o->is_reconnecting = true;
		return 0;
	case OPTION_slow:
		o->slow_bytes_s =
			cli_size(state, "--slow", value, 1, SUB_SLOW_MAX);
		/* One step's bytes must fit into the buffer. */
		o->common.target.receive_buffer = (int)max_u64(
			o->slow_bytes_s / SUB_SLOW_STEPS, SMALL_BUFFER);
		return 0;
	case OPTION_pause:
		o->is_paused = true;
		o->common.target.receive_buffer = SMALL_BUFFER;
		return 0;
	case ARGP_KEY_END:
		if (o->is_checking && o->symbols[0] != '\0')
			cli_fail(state, "--check needs all symbols");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

void
sub_options_read(struct sub_options *o, int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = take_option,
		.children = client_options_children,
		.doc = "Subscribes and follows the updates.\v"
		       "Exit status: 0 good, 1 check failed, 2 usage or "
		       "connection.",
	};

	cli_parse(&argp, 0, argc, argv, o);
}
