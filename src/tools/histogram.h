/*
 * A histogram of durations, for percentiles.  Pure: never allocates, prints or
 * reads a clock.  Starts as zeros.  Called by feed.c and sub_stats.c.
 */
#ifndef RINGTICK_TOOLS_HISTOGRAM_H
#define RINGTICK_TOOLS_HISTOGRAM_H

#include <stdint.h>

/*
 * Log-linear: exact below 128, then 64 buckets for each power of two, so
 * that a percentile is at most 1/64 above the true one.
 */
enum {
	HISTOGRAM_LINEAR_BITS = 6,
	HISTOGRAM_BUCKETS = (64 - HISTOGRAM_LINEAR_BITS + 1)
			    << HISTOGRAM_LINEAR_BITS,
};

struct histogram {
	uint64_t counts[HISTOGRAM_BUCKETS];
	uint64_t total;
	uint64_t max;
};

void histogram_add(struct histogram *h, uint64_t value);

/* The value that `percent` of all values do not exceed, at most 1/64 too high;
 * 0 if there are no values. */
uint64_t histogram_percentile(const struct histogram *h, double percent);

#endif
