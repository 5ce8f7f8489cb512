/*
 * The command line of `ringtick sub`.  Called by sub.c only.
 */
#ifndef RINGTICK_TOOLS_SUB_OPTIONS_H
#define RINGTICK_TOOLS_SUB_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/client_options.h"

enum {
	SUB_SLOW_STEPS = 50, /* reads per second with --slow */
	SUB_SLOW_MAX = 1000000000,
};

enum sub_mode { SUB_AUTOMATIC, SUB_PRINT, SUB_RATES };

struct sub_options {
	struct client_options common;
	const char *wanted; /* "trade,quote"; "": all tables */
	const char *symbols; /* "IBM,A"; "": all rows */
	const char *column; /* of the running numbers; NULL: size or asize */
	enum sub_mode mode;
	bool is_checking;
	bool is_timing;
	bool is_paused;
	bool has_from;
	bool is_reconnecting;
	uint64_t from; /* number of the first record in the day */
	uint64_t slow_bytes_s; /* 0: as fast as possible */
};

/* Reads the command line.  Ends the program if it has a mistake or asks for
 * help. */
void sub_options_read(struct sub_options *o, int argc, char **argv);

#endif
