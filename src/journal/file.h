/*
 * The format of a journal's file, the kdb+ log format (wire.md section 5,
 * tick-contract.md section 3): reads, counts and checks records.  Pure: works
 * on bytes that the caller has mapped or read.
 *
 *   ff 01 00 00 00 00 00 00 | record | record | ...
 *
 * A record is a bare object: the list (`upd;`table;x).  It has no length field
 * and no checksum: a record is whole when its object is.  Only a list that
 * begins with `upd is a record, since zero bytes would parse as empty lists.
 */
#ifndef RINGTICK_JOURNAL_FILE_H
#define RINGTICK_JOURNAL_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "journal/index.h"

enum { JOURNAL_HEADER_BYTES = 8 };

extern const uint8_t journal_header[JOURNAL_HEADER_BYTES];

/* One record, in the bytes that were given to journal_next. */
struct journal_record {
	const uint8_t *at;
	size_t len;
	const char *table; /* not terminated */
	size_t table_len;
	const uint8_t *x; /* the columns, row or table, to the record's end */
	/* NULL; or why wire_skip refuses x although its lengths add up: such a
	 * record is kept, counted and reported, but never sent. */
	const char *unknown;
};

enum journal_step {
	JOURNAL_RECORD, /* *out is the record; the next one is at its end */
	JOURNAL_END,	/* off is the end */
	JOURNAL_SHORT,	/* a record that the end cuts off; *why says so */
	JOURNAL_BAD,	/* no record starts here; *why says why */
};

/* Reads the record at offset off, off <= len.  *out is set for JOURNAL_RECORD
 * only, *why (a constant) for JOURNAL_SHORT and JOURNAL_BAD only. */
enum journal_step journal_next(const uint8_t *bytes, uint64_t len,
			       uint64_t off, struct journal_record *out,
			       const char **why);

enum journal_verdict {
	JOURNAL_WHOLE,	 /* every byte belongs to a whole record */
	JOURNAL_TORN,	 /* whole records, then a tail without records */
	JOURNAL_DAMAGED, /* records continue after bad bytes */
	JOURNAL_FOREIGN, /* does not start with a journal's header */
};

struct journal_check {
	enum journal_verdict verdict;
	uint64_t records;    /* whole records before the first bad byte */
	uint64_t good_bytes; /* the header and these records */
	const char *why;     /* unless WHOLE: what is wrong at good_bytes */
	uint64_t next_record_off; /* DAMAGED: where records continue */
	uint64_t tail_records;	  /* TORN: whole records in the tail, up to its
				     very end: no crash leaves these */
	uint64_t tail_records_off; /* where they start, if there are any */
	uint64_t unknown_records; /* records whose `unknown` is not NULL */
	uint64_t unknown_first;	  /* number of the first such record ... */
	const char *unknown_why;  /* ... and its `unknown` */
};

/*
 * Where records continue after bad bytes: the first offset at or after off with
 * a whole record that is followed by the end, or by another record, whole or
 * cut off.  0 if there is no such offset.
 * Gives up at the thousandth place that only looks like a record, and returns
 * it: bytes that cannot be told from records must not be cut off as a tail.
 */
uint64_t journal_search(const uint8_t *bytes, uint64_t len, uint64_t off);

/*
 * Completes *c for a file that was walked up to c->good_bytes, where the step
 * was END, SHORT or BAD.  A last record whose own counts reach past the end is
 * torn, whatever its bytes look like, since cells may contain records: whole
 * records in it are only counted (tail_records).  Bytes that do not begin as
 * a record, or have counts that contradict each other, are damage if records
 * follow them.
 */
void journal_judge(struct journal_check *c, const uint8_t *bytes, uint64_t len,
		   enum journal_step step, const char *why);

/* Counts a record that was walked, and moves good_bytes to its end. */
void journal_count(struct journal_check *c,
		   const struct journal_record *record);

/* Checks a whole file of len bytes; an empty one is FOREIGN.  Runs near the
 * speed of memory: of vectors only symbols and booleans are read.  Adds the
 * offset and number of each record to *index, unless that is NULL. */
struct journal_check journal_check(const uint8_t *bytes, uint64_t len,
				   struct journal_index *index);

#endif
