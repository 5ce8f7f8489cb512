/*
 * A tool's options, as enumerators (OPTION_name) and as the table for argp.
 * Included once, where `#define CLI_OPTIONS "tools/x.def"` names its rows.
 */
enum {
#define OPTION CLI_KEY
#include CLI_OPTIONS
#undef OPTION
};

static const struct argp_option options[] = {
#define OPTION CLI_ENTRY
#include CLI_OPTIONS
#undef OPTION
	{ 0 },
};
