/*
 * A check of the running numbers that `ringtick feed` puts into its rows: what
 * is missing, doubled or late.  Pure: never allocates, prints or reads a clock.
 * Called by feed.c, sub_tables.c and sub_stats.c.
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
		int64_t next; /* the number that must come now */
	} feeds[SEQUENCE_FEEDS_MAX];
	unsigned feeds_cnt;
	unsigned feed_idx; /* of the last number */

	/*
	 * Numbers that were passed over, [from, to), in no order.  One that
	 * comes after all is late, any other old one is doubled.  When the
	 * list is full a new gap takes the place of an old one, and what is
	 * late in there counts as doubled: wrong by name, never forgiven.
	 */
	struct {
		int64_t from, to;
	} gaps[SEQUENCE_GAPS_MAX];
	unsigned gaps_cnt;
	unsigned gap_idx; /* the next to be replaced */

	uint64_t rows;
	uint64_t missing; /* passed over and never come */
	uint64_t doubled;
	uint64_t late;	  /* out of order */
	uint64_t strange; /* negative, or of more feeds than SEQUENCE_FEEDS_MAX
			   */
};

/* The first number of a feed may be any: a subscriber may join late. */
void sequence_add(struct sequence *s, int64_t number);

/* Rows came, and each was the next one. */
bool sequence_is_good(const struct sequence *s);

#endif
