/*
 * A check of the running numbers that `ringtick feed` puts into its rows: which
 * are missing, doubled or late.  Pure: never allocates, prints or reads a
 * clock.  Called by feed.c, sub_tables.c and sub_stats.c.
 */
#ifndef RINGTICK_TOOLS_SEQUENCE_H
#define RINGTICK_TOOLS_SEQUENCE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Running numbers of several feeds in one column: feed N counts up from
 * N * SEQUENCE_FEED, so that the numbers of two feeds never meet and stay
 * readable in decimal.
 */
#define SEQUENCE_FEED 1000000000000ll

enum {
	SEQUENCE_FEEDS_MAX = 64,
	SEQUENCE_GAPS_MAX = 256,
};

struct sequence {
	struct {
		int64_t feed;
		int64_t next; /* the number that must come next */
	} feeds[SEQUENCE_FEEDS_MAX];
	unsigned feeds_cnt;
	unsigned feed_idx; /* the feed of the last number */

	/*
	 * Ranges of numbers that were skipped, [from, to), in no order.  A
	 * number of such a range that comes after all is late, any other old
	 * number is doubled.  When the list is full a new range replaces an old
	 * one, and a late number of the old one counts as doubled: under the
	 * wrong name, but it is counted.
	 */
	struct {
		int64_t from, to;
	} gaps[SEQUENCE_GAPS_MAX];
	unsigned gaps_cnt;
	unsigned gap_idx; /* the next range to be replaced */

	uint64_t rows;
	uint64_t missing; /* skipped, and not come since */
	uint64_t doubled;
	uint64_t late;	  /* out of order */
	uint64_t strange; /* negative, or of a feed beyond SEQUENCE_FEEDS_MAX */
};

/* Checks the next number.  The first number of a feed may be any number: a
 * subscriber may join late. */
void sequence_add(struct sequence *s, int64_t number);

/* Whether rows came and each number was the next one. */
bool sequence_is_good(const struct sequence *s);

#endif
