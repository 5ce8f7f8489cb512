/*
 * The options that all tools have that connect.  Called by feed_options.c and
 * sub_options.c only, as a child of their argp.
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

/* The children of such a tool's argp: what they fill is its input, a struct
 * client_options.  They refuse what is no option. */
extern const struct argp_child client_options_children[];

/* When the tool ends that started then. */
int64_t client_options_end_ns(const struct client_options *o, int64_t start_ns);

#endif
