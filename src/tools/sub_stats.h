/*
 * The counts of a subscriber, and the lines that report them.
 *
 * Called by sub.c; reads no clock: now_ns is monotonic.
 */
#ifndef RINGTICK_TOOLS_SUB_STATS_H
#define RINGTICK_TOOLS_SUB_STATS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "tools/histogram.h"
#include "tools/sub_tables.h"

struct sub_counts {
	uint64_t messages, rows, bytes;
};

struct sub_stats {
	bool is_timing; /* the lines have latencies */
	struct sub_counts counts, told;
	uint64_t ends;	 /* .u.end */
	uint64_t others; /* async messages that are not updates */
	struct histogram latencies; /* ns */
	struct histogram recent;    /* the same, since the last line */
	int64_t start_ns;
	int64_t last_ns; /* of the last line */
};

/* Adds the latency of an update: from the first item of its time column to
 * now_ns.  Both are local time; now_ns is since 2000.01.01. */
void sub_stats_add_time(struct sub_stats *a, int type, const uint8_t *item,
			int64_t now_ns);

/* Prints the line about messages since the last line; out NULL: only starts a
 * new interval. */
void sub_stats_print_rate(struct sub_stats *a, FILE *out, int64_t now_ns);

void sub_stats_print_total(const struct sub_stats *a, FILE *out,
			   int64_t now_ns);

/* Prints a line for each table with running numbers.  true if none was missing,
 * doubled, late or strange, and some came. */
bool sub_stats_print_check(const struct sub_tables *tables, FILE *out);

#endif
