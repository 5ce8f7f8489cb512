/*
 * The command line of `ringtick feed`.  Called by feed.c only.
 */
#ifndef RINGTICK_TOOLS_FEED_OPTIONS_H
#define RINGTICK_TOOLS_FEED_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/client_options.h"
#include "tools/feed_message.h"

enum { FEED_TABLES_MAX = 2 };

struct feed_options {
	struct client_options common;
	const struct feed_table *tables[FEED_TABLES_MAX];
	unsigned tables_cnt;
	uint64_t rate; /* messages per second; 0: as fast as possible */
	uint64_t rows; /* of a message; 0: derived from size */
	uint64_t size; /* wanted bytes of a message; 0: not given */
	uint64_t id;
	bool is_sync;
	bool is_stamped;
	bool is_reconnecting;
};

/* Reads the command line.  Ends the program if it has a mistake or asks for
 * help. */
void feed_options_read(struct feed_options *o, int argc, char **argv);

#endif
