/*
 * The index of one journal file: which record, and which position of the main
 * stream, an offset belongs to.  One entry per 256 KiB or second, whichever is
 * first; in between, records are walked.
 *
 * Bounded: when the array is full, its older half is thinned out evenly over
 * the file.  So what the ring may still hold is always found closely, and the
 * beginning of a long day costs a longer walk.
 *
 * Pure: time is an argument, nothing is allocated.
 */
#ifndef RINGTICK_JOURNAL_INDEX_H
#define RINGTICK_JOURNAL_INDEX_H

#include <stddef.h>
#include <stdint.h>

enum { JOURNAL_INDEX_ENTRIES = 8192 };

struct journal_index_entry {
	uint64_t off;	 /* of a record, in the file */
	uint64_t record; /* its number, from 0 */
	uint64_t pos;	 /* of its frame, in the main stream */
	int64_t time_ns; /* monotonic, about when it came */
};

struct journal_index {
	struct journal_index_entry entries[JOURNAL_INDEX_ENTRIES];
	size_t cnt;
};

/* A record starts there; offsets grow. Adds an entry if one is due; the first
 * one always. */
void journal_index_add(struct journal_index *x, struct journal_index_entry e);

/* The first entry at or after an offset, and the last at or before; NULL if
 * there is none. */
const struct journal_index_entry *
journal_index_find_next_off(const struct journal_index *x, uint64_t off);
const struct journal_index_entry *
journal_index_find_off(const struct journal_index *x, uint64_t off);

/* Forgets the entries from an offset on. */
void journal_index_cut(struct journal_index *x, uint64_t off);

/* The last entry at or before a position, or a record number; NULL if there is
 * none. */
const struct journal_index_entry *
journal_index_find_pos(const struct journal_index *x, uint64_t pos);
const struct journal_index_entry *
journal_index_find_record(const struct journal_index *x, uint64_t record);

#endif
