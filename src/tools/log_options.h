/*
 * The command line of `ringtick log`.  Called by log.c only.
 */
#ifndef RINGTICK_TOOLS_LOG_OPTIONS_H
#define RINGTICK_TOOLS_LOG_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/client.h"
#include "tools/qtime.h"

enum log_mode {
	LOG_PRINT,
	LOG_JSON,
	LOG_COUNT,
	LOG_VERIFY,
	LOG_TABLES,
	LOG_REPAIR,
	LOG_FILTER,
	LOG_REPLAY,
	LOG_MODE_COUNT
};

/* --from or --to: a record number or a time; neither if the option is not
 * given. */
struct log_bound {
	bool is_number, is_time;
	uint64_t number;
	struct qtime when;
};

struct log_options {
	enum log_mode mode;
	const char *path;
	const char *out_path; /* of LOG_FILTER */
	const char *wanted;   /* names of tables, separated by commas; NULL:
				 all */
	struct log_bound from, to;
	bool is_following;

	/* of LOG_REPLAY */
	struct client_target target;
	char host[256]; /* target.host */
	double speed;	/* divides the gaps between times; 0: no gaps */
	bool has_speed;
};

/* Reads the command line.  Ends the program if it has a mistake or asks for
 * help. */
void log_options_read(struct log_options *o, int argc, char **argv);

#endif
