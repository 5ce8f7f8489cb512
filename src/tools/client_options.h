/*
 * The options that `ringtick feed` and `ringtick sub` have in common.  Called
 * by feed_options.c and sub_options.c only, as a child of their argp.
 */
#ifndef RINGTICK_TOOLS_CLIENT_OPTIONS_H
#define RINGTICK_TOOLS_CLIENT_OPTIONS_H

#include <argp.h>
#include <stdint.h>

#include "tools/client.h"

struct client_options {
	struct client_target target;
	uint64_t count;	  /* of messages; UINT64_MAX: no end */
	uint64_t seconds; /* 0: no end */
};

/* The children of such a tool's argp.  Their input is a struct client_options,
 * which they fill.  They refuse an argument that is not an option. */
extern const struct argp_child client_options_children[];

/* When a tool ends that started at start_ns (monotonic); CLIENT_FOREVER without
 * a limit. */
int64_t client_options_end_ns(const struct client_options *o, int64_t start_ns);

#endif
