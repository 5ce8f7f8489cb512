#include "config.h"

#include "tools/feed_options.h"

#include <string.h>

#include "base/util.h"
#include "tools/cli.h"

enum {
	FEED_ROWS_MAX = 1000000,
	FEED_SIZE_MAX = 20000000,
	FEED_ID_MAX = 9000000,
};

#define CLI_OPTIONS "tools/feed.def"
#include "tools/cli_table.h"

/* Takes "trade", "quote", or both; more than two names are refused. */
static void
choose_tables(const struct argp_state *state, struct feed_options *o,
	      const char *names)
{
	o->tables_cnt = 0;
	for (const char *at = names;; at++) {
		size_t len = strcspn(at, ",");
		const struct feed_table *table = feed_table_find(at, len);

		if (table == NULL || o->tables_cnt == FEED_TABLES_MAX)
			cli_fail(state,
				 "--table \"%s\": allowed are trade, quote and "
				 "trade,quote",
				 names);
		o->tables[o->tables_cnt++] = table;
		at += len;
		if (*at == '\0')
			return;
	}
}

static void
set_defaults(const struct argp_state *state, struct feed_options *o)
{
	*o = (struct feed_options){ .rate = 1000, .rows = 1 };
	choose_tables(state, o, "trade");
	state->child_inputs[0] = &o->common;
}

static error_t
take_option(int key, char *value, struct argp_state *state)
{
	struct feed_options *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		set_defaults(state, o);
		return 0;
	case OPTION_table:
		choose_tables(state, o, value);
		return 0;
	case OPTION_rate:
		o->rate = cli_number(state, "--rate", value, 0, NS_PER_S);
		return 0;
	case OPTION_rows:
		o->rows = cli_number(state, "--rows", value, 1, FEED_ROWS_MAX);
		return 0;
	case OPTION_size:
		o->rows = 0;
		o->size = cli_size(state, "--size", value, 1, FEED_SIZE_MAX);
		return 0;
	case OPTION_id:
		o->id = cli_number(state, "--id", value, 0, FEED_ID_MAX);
		return 0;
	case OPTION_stamp:
		o->is_stamped = true;
		return 0;
	case OPTION_sync:
		o->is_sync = true;
		return 0;
	case OPTION_reconnect:
		o->is_reconnecting = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

void
feed_options_read(struct feed_options *o, int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = take_option,
		.children = client_options_children,
		.doc = "Publishes generated rows of the tables trade and quote "
		       "of etc/sym.q with .u.upd. Column size (of quote: "
		       "asize) is a running number, which `ringtick sub "
		       "--check` checks.\v"
		       "Exit status: 0 the server has taken "
		       "every message, also after a signal; 2 usage, "
		       "connection, or the server did not confirm.",
	};

	cli_parse(&argp, 0, argc, argv, o);
}
