/*
 * The index of a ring: which record, and which moment, a position belongs to.
 * One entry per 64 KiB (of a small ring: a sixteenth of it) or 10 ms, whichever
 * is first; in between, frames are walked by their length fields.  It answers
 * what a lag is in records and in time, and where the frame around a half-sent
 * byte starts.
 *
 * Bounded: when the array is full, every second entry is dropped where that
 * leaves no gap above that size.  At a trickle of updates older entries thus
 * get coarser in time, never in bytes, and the newest stay at 10 ms.
 *
 * Pure: time is an argument, nothing is allocated after index_init.
 */
#ifndef RINGTICK_RING_INDEX_H
#define RINGTICK_RING_INDEX_H

#include <stddef.h>
#include <stdint.h>

#define INDEX_GAP_NS 10000000ll

struct index_entry {
	uint64_t pos;	 /* start of a message */
	uint64_t record; /* its number (of a mark: the next record's) */
	int64_t time_ns; /* monotonic, when it was put into the ring */
	uint64_t main_pos; /* where it is in the main stream, ... */
	uint64_t main_record; /* ... and its number (or the next) there */
};

struct index {
	struct index_entry *entries;
	size_t capacity;
	uint64_t gap_bytes;
	size_t first_idx; /* of the oldest entry; entries wrap */
	size_t cnt;
};

/* Entries needed for a ring of so many bytes; with gaps of gap_max at most
 * (0: as above). */
size_t index_capacity(size_t ring_bytes, uint64_t gap_max);

/* `entries` has index_capacity elements and outlives the index. */
void index_init(struct index *x, struct index_entry *entries,
		size_t ring_bytes, uint64_t gap_max);

/*
 * A message starts at e.pos; positions never fall. Adds an entry if due; the
 * first one always.  The entry at tail_pos is never thinned out: what is before
 * it may be overwritten.
 */
void index_add(struct index *x, struct index_entry e, uint64_t tail_pos);

/* The same, in any case. No more often than once in a gap. */
void index_put(struct index *x, struct index_entry e, uint64_t tail_pos);

/* Forgets the entries before tail_pos. Must be called often enough that what
 * is kept spans no more than the ring. */
void index_trim(struct index *x, uint64_t tail_pos);

/* The last entry at or before pos; NULL if the index starts after it. */
const struct index_entry *index_find(const struct index *x, uint64_t pos);

/* The first entry at or after pos; NULL if the index ends before it. */
const struct index_entry *index_find_next(const struct index *x, uint64_t pos);

/* The first entry at or after a position of the main stream; NULL if the index
 * ends before it. */
const struct index_entry *index_find_main(const struct index *x,
					  uint64_t main_pos);

#endif
