#include "config.h"

#include "tools/sequence.h"

/* False if there is no room for one more feed. */
static bool
find_feed(struct sequence *s, int64_t number)
{
	int64_t feed = number / SEQUENCE_FEED;

	for (unsigned i = 0; i < s->feeds_cnt; i++)
		if (s->feeds[i].feed == feed) {
			s->feed_idx = i;
			return true;
		}
	if (s->feeds_cnt == SEQUENCE_FEEDS_MAX)
		return false;
	s->feed_idx = s->feeds_cnt++;
	s->feeds[s->feed_idx].feed = feed;
	s->feeds[s->feed_idx].next = number;
	return true;
}

static void
put_gap(struct sequence *s, int64_t from, int64_t to)
{
	unsigned idx = s->gaps_cnt;

	if (idx < SEQUENCE_GAPS_MAX) {
		s->gaps_cnt++;
	} else {
		idx = s->gap_idx;
		s->gap_idx = (idx + 1) % SEQUENCE_GAPS_MAX;
	}
	s->gaps[idx].from = from;
	s->gaps[idx].to = to;
}

/* Takes the number out of the gap that has it; false if no gap has it. */
static bool
fill_gap(struct sequence *s, int64_t number)
{
	for (unsigned i = 0; i < s->gaps_cnt; i++) {
		int64_t from = s->gaps[i].from, to = s->gaps[i].to;

		if (number < from || number >= to)
			continue;
		s->gaps[i] = s->gaps[--s->gaps_cnt];
		if (from < number)
			put_gap(s, from, number);
		if (number + 1 < to)
			put_gap(s, number + 1, to);
		return true;
	}
	return false;
}

void
sequence_add(struct sequence *s, int64_t number)
{
	int64_t next;

	s->rows++;
	/* The largest is q's infinity: nothing comes after it. */
	if (number < 0 || number == INT64_MAX) {
		s->strange++;
		return;
	}
	if (s->feeds_cnt > 0 && s->feeds[s->feed_idx].next == number) {
		s->feeds[s->feed_idx].next++;
		return;
	}
	if (!find_feed(s, number)) {
		s->strange++;
		return;
	}
	next = s->feeds[s->feed_idx].next;
	if (number >= next) {
		if (number > next) {
			s->missing += (uint64_t)(number - next);
			put_gap(s, next, number);
		}
		s->feeds[s->feed_idx].next = number + 1;
	} else if (fill_gap(s, number)) {
		s->missing--;
		s->late++;
	} else {
		s->doubled++;
	}
}

bool
sequence_is_good(const struct sequence *s)
{
	return s->rows > 0 &&
	       s->missing + s->doubled + s->late + s->strange == 0;
}
