/*
 * What a subscriber has counted, and the lines that it prints about it.
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
	uint64_t others; /* async messages that are no update */
	struct histogram latencies; /* ns */
	struct histogram recent;    /* the same, since the last line */
	int64_t start_ns;
	int64_t last_ns; /* of the last line */
};

/* The instant in a time column's first row against the wall clock: local time
 * since 2000. */
void sub_stats_add_time(struct sub_stats *a, int type, const uint8_t *item,
			int64_t now_ns);

/* The line of what came since the last one; out NULL: only begins anew. */
void sub_stats_print_rate(struct sub_stats *a, FILE *out, int64_t now_ns);

void sub_stats_print_total(const struct sub_stats *a, FILE *out,
			   int64_t now_ns);

/* A line for each table that has a running number; true if all was as it must
 * be. */
bool sub_stats_print_check(const struct sub_tables *tables, FILE *out);

#endif
