/*
 * The index of one journal file: the record and the main stream position at an
 * offset.  It has one entry per 256 KiB or second, whichever comes first; from
 * an entry on, the reader walks over records.
 *
 * Bounded: when the array is full, its older half is thinned out evenly over
 * the file.  So records that the ring may still hold are always near an entry,
 * and only the beginning of a long day costs a longer walk.
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

/* A record starts at e.off, which must be more than the last time.  Adds the
 * entry if one is due; the first one always. */
void journal_index_add(struct journal_index *x, struct journal_index_entry e);

/* The first entry at or after an offset, and the last entry at or before it;
 * NULL if there is no such entry. */
const struct journal_index_entry *
journal_index_find_next_off(const struct journal_index *x, uint64_t off);
const struct journal_index_entry *
journal_index_find_off(const struct journal_index *x, uint64_t off);

/* Removes the entries at or after an offset. */
void journal_index_cut(struct journal_index *x, uint64_t off);

/* The last entry at or before a position, or a record number; NULL if there is
 * no such entry. */
const struct journal_index_entry *
journal_index_find_pos(const struct journal_index *x, uint64_t pos);
const struct journal_index_entry *
journal_index_find_record(const struct journal_index *x, uint64_t record);

#endif
