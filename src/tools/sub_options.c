#include "config.h"

#include "tools/sub_options.h"

#include <getopt.h>
#include <stdio.h>

#include "base/util.h"

/*
 * Of --slow and --pause: the kernel shall hold little for us.  It doubles this
 * for its own book-keeping.
 */
enum { SMALL_BUFFER = 16 << 10 };

static const struct option options[] = {
	{ "host", required_argument, NULL, 'h' },
	{ "port", required_argument, NULL, 'p' },
	{ "user", required_argument, NULL, 'u' },
	{ "table", required_argument, NULL, 't' },
	{ "symbols", required_argument, NULL, 'y' },
	{ "print", no_argument, NULL, 'r' },
	{ "rates", no_argument, NULL, 'R' },
	{ "check", optional_argument, NULL, 'k' },
	{ "latency", no_argument, NULL, 'l' },
	{ "from", required_argument, NULL, 'f' },
	{ "reconnect", no_argument, NULL, 'a' },
	{ "slow", required_argument, NULL, 'w' },
	{ "pause", no_argument, NULL, 'z' },
	{ "count", required_argument, NULL, 'c' },
	{ "seconds", required_argument, NULL, 's' },
	{ "help", no_argument, NULL, 'H' },
	{ 0 },
};

static const char usage[] =
	"usage: ringtick sub [OPTION]...\n"
	"\n"
	"Subscribes and follows the updates.\n"
	"\n"
	"  -h, --host HOST     server (127.0.0.1); \"unix\": its unix socket\n"
	"  -p, --port PORT     port (5010)\n"
	"      --user NAME     NAME or NAME:PASSWORD ($USER)\n"
	"  -t, --table NAMES   tables, with commas between them (all)\n"
	"      --symbols NAMES only the rows of these symbols (all)\n"
	"      --print         print rows; the default on a terminal\n"
	"      --rates         print rates each second; the default elsewhere\n"
	"      --check[=NAME]  nothing is missing or doubled in the running\n"
	"                      numbers of `ringtick feed` (size, asize)\n"
	"      --latency       time from the column time to the receipt\n"
	"      --from I        begin with record I of the day (0: all of it)\n"
	"      --reconnect     when the connection breaks, connect again and\n"
	"                      go on without loss; both of these need\n"
	"                      ringtickd with a journal\n"
	"      --slow BYTES    read no more than so many bytes a second\n"
	"      --pause         subscribe and read nothing\n"
	"      --count N       end after so many messages\n"
	"      --seconds S     end after so many seconds\n"
	"      --help\n"
	"\n"
	"Exit status: 0 good, 1 check failed, 2 usage or connection.\n";

static bool
take_option(struct sub_options *o, int option, const char *value)
{
	switch (option) {
	case 't':
		o->wanted = value;
		return true;
	case 'y':
		o->symbols = value;
		return true;
	case 'r':
		o->mode = SUB_PRINT;
		return true;
	case 'R':
		o->mode = SUB_RATES;
		return true;
	case 'k':
		o->is_checking = true;
		o->column = value;
		return true;
	case 'l':
		o->is_timing = true;
		return true;
	case 'f':
		o->has_from = true;
		return client_parse_number("--from", value, 0, INT64_MAX,
					   &o->from);
	case 'a':
		o->is_reconnecting = true;
		return true;
	case 'z':
		o->is_paused = true;
		o->target.receive_buffer = SMALL_BUFFER;
		return true;
	case 'w':
		if (!client_parse_size("--slow", value, 1, 1000000000,
					 &o->slow_bytes_s))
			return false;
		/* What one step reads must be there. */
		o->target.receive_buffer = (int)max_u64(
			o->slow_bytes_s / SUB_SLOW_STEPS, SMALL_BUFFER);
		return true;
	case 'c':
		return client_parse_number("--count", value, 1, INT64_MAX,
					   &o->count);
	case 's':
		return client_parse_number("--seconds", value, 1, INT32_MAX,
					   &o->seconds);
	default:
		return client_target_option(&o->target, option, value);
	}
}

int
sub_options_read(struct sub_options *o, int argc, char **argv)
{
	int option;

	*o = (struct sub_options){
		.wanted = "",
		.symbols = "",
		.count = UINT64_MAX,
	};
	client_target_init(&o->target);
	while ((option = getopt_long(argc, argv, "h:p:t:", options, NULL)) !=
	       -1) {
		if (option == 'H') {
			fputs(usage, stdout);
			return 0;
		}
		if (option == '?')
			fputs("try `ringtick sub --help`\n", stderr);
		if (option == '?' || !take_option(o, option, optarg))
			return CLIENT_EXIT_TROUBLE;
	}
	if (o->is_checking && o->symbols[0] != '\0') {
		fputs("ringtick sub: --check needs all symbols\n", stderr);
		return CLIENT_EXIT_TROUBLE;
	}
	if (optind == argc)
		return -1;
	fprintf(stderr,
		"ringtick sub: \"%s\" is not an option; try "
		"`ringtick sub --help`\n",
		argv[optind]);
	return CLIENT_EXIT_TROUBLE;
}
