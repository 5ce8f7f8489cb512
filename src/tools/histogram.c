#include "config.h"

#include "tools/histogram.h"

#include "base/util.h"

static unsigned
bucket_of(uint64_t value)
{
	unsigned shift;

	if (value < 2u << HISTOGRAM_LINEAR_BITS)
		return (unsigned)value;
	shift = 63 - HISTOGRAM_LINEAR_BITS - (unsigned)__builtin_clzll(value);
	return (shift << HISTOGRAM_LINEAR_BITS) + (unsigned)(value >> shift);
}

/* The largest value that belongs to the bucket. */
static uint64_t
bucket_top(unsigned idx)
{
	unsigned shift = 0;

	if (idx >= 2u << HISTOGRAM_LINEAR_BITS)
		shift = (idx >> HISTOGRAM_LINEAR_BITS) - 1;
	idx -= shift << HISTOGRAM_LINEAR_BITS;
	return (((uint64_t)idx + 1) << shift) - 1;
}

void
histogram_add(struct histogram *h, uint64_t value)
{
	unsigned idx = bucket_of(value);

	CHECK(idx < HISTOGRAM_BUCKETS);
	h->counts[idx]++;
	h->total++;
	h->max = max_u64(h->max, value);
}

uint64_t
histogram_percentile(const struct histogram *h, double percent)
{
	double wanted = (double)h->total * percent / 100;
	uint64_t seen = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->counts[i];
		if (seen > 0 && (double)seen >= wanted)
			return min_u64(bucket_top(i), h->max);
	}
	return h->max;
}
