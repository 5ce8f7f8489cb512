/*
 * The index of a ring maps a position to a record number and a time.  It has
 * one entry per 64 KiB (in a small ring: per sixteenth of the ring) or 10 ms,
 * whichever comes first; between entries, frames are walked by their length
 * fields.  It gives a lag in records and in time, and finds the start of the
 * frame that a position lies in.
 *
 * Bounded: when the array is full, entries are dropped wherever that leaves no
 * gap of more than 64 KiB (or the sixteenth).  When updates are rare, older
 * entries thus get coarser in time, never in bytes, and the newest keep their
 * 10 ms.
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
	uint64_t record; /* its number (for a mark: the next record's) */
	int64_t time_ns; /* monotonic, when it was put into the ring */
	uint64_t main_pos;    /* its position in the main stream, ... */
	uint64_t main_record; /* ... and its number (for a mark: the next
				 record's) there */
};

struct index {
	struct index_entry *entries;
	size_t capacity;
	uint64_t gap_bytes;
	size_t first_idx; /* of the oldest entry; entries wrap */
	size_t cnt;
};

/* Entries needed for a ring of ring_bytes. gap_max: the largest distance
 * between entries in bytes; 0: 64 KiB or a sixteenth of the ring. */
size_t index_capacity(size_t ring_bytes, uint64_t gap_max);

/* `entries` has index_capacity(ring_bytes, gap_max) elements; it stays the
 * caller's and must outlive the index. */
void index_init(struct index *x, struct index_entry *entries,
		size_t ring_bytes, uint64_t gap_max);

/*
 * Notes that a message starts at e.pos, which is never lower than the one
 * before.  Adds an entry if one is due; the first is always added.  The entry
 * at tail_pos is never dropped: bytes before it may be overwritten, so a walk
 * could not start at an earlier entry.
 */
void index_add(struct index *x, struct index_entry e, uint64_t tail_pos);

/* Adds an entry unconditionally.  The caller must not do so more than once per
 * gap. */
void index_put(struct index *x, struct index_entry e, uint64_t tail_pos);

/* Removes the entries before tail_pos.  Must be called often enough that the
 * remaining entries span no more than the ring. */
void index_trim(struct index *x, uint64_t tail_pos);

/* The last entry at or before pos; NULL if the index starts after it. */
const struct index_entry *index_find(const struct index *x, uint64_t pos);

/* The first entry at or after pos; NULL if the index ends before it. */
const struct index_entry *index_find_next(const struct index *x, uint64_t pos);

/* The first entry whose main_pos is at or after main_pos; NULL if the index
 * ends before it. */
const struct index_entry *index_find_main(const struct index *x,
					  uint64_t main_pos);

#endif
