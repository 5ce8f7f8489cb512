/*
 * The format of a journal's file, the kdb+ log format (wire.md section 5,
 * tick-contract.md section 3): reads, counts and checks records.  Pure: works
 * on bytes that the caller has read, and asks for those that are missing.
 *
 *   ff 01 00 00 00 00 00 00 | record | record | ...
 *
 * A record is a bare object: the list (`upd;`table;x).  It has no length field
 * and no checksum: a record is whole when its object is.  Only a list that
 * begins with `upd is a record, since zero bytes would parse as empty lists.
 */
#ifndef RINGTICK_JOURNAL_FILE_H
#define RINGTICK_JOURNAL_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "journal/index.h"

enum { JOURNAL_HEADER_BYTES = 8 };

extern const uint8_t journal_header[JOURNAL_HEADER_BYTES];

/*
 * A file's bytes, of which only a window is in memory:
 *
 *   0            off                     off + avail             len
 *   | - - - - - - |=======================| - - - - - - - - - - - |
 *                 at
 */
struct journal_bytes {
	const uint8_t *at; /* the window */
	uint64_t off;
	size_t avail;
	uint64_t len; /* of the file */
	/*
	 * Moves the window: to `off`, with at least `need` bytes, or all up to
	 * the end if these are fewer.  If that fails, the file ends where the
	 * bytes end: len becomes off + avail, and the owner of the window,
	 * who knows that it has failed, uses no result.  Not called for bytes
	 * that are in the window; NULL if all are.
	 */
	void (*move)(struct journal_bytes *b, uint64_t off, uint64_t need);
	/* Unless 0: a record of more bytes that does not fit the window is
	 * passed by its lengths alone, so that a damaged count takes no
	 * memory.  Of such a record only len is known. */
	uint64_t fetch_max;
};

/* A file, or a part of one, that is in memory as a whole. */
static inline struct journal_bytes
journal_bytes_all(const uint8_t *bytes, uint64_t len)
{
	return (struct journal_bytes){ .at = bytes, .avail = len, .len = len };
}

/* One record, in the window (but see fetch_max). */
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

/*
 * Reads the record at offset off, off <= len.  *out is good for JOURNAL_RECORD
 * only, and until the window moves; *why (a constant) is good for JOURNAL_SHORT
 * and JOURNAL_BAD only.  The window becomes longer only for a record that is
 * whole and does not fit.
 */
enum journal_step journal_read(struct journal_bytes *b, uint64_t off,
			       struct journal_record *out, const char **why);

/* The same for bytes that are in memory as a whole. */
static inline enum journal_step
journal_next(const uint8_t *bytes, uint64_t len, uint64_t off,
	     struct journal_record *out, const char **why)
{
	struct journal_bytes b = journal_bytes_all(bytes, len);

	return journal_read(&b, off, out, why);
}

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

/* Checks the header alone: FOREIGN, or WHOLE without any records. */
struct journal_check journal_begin(struct journal_bytes *b);

/*
 * Where records continue after bad bytes: the first offset at or after off with
 * a whole record that is followed by the end, or by another record, whole or
 * cut off.  0 if there is no such offset.
 * Gives up at the thousandth place that only looks like a record, and returns
 * it: bytes that cannot be told from records must not be cut off as a tail.
 */
uint64_t journal_search(struct journal_bytes *b, uint64_t off);

/*
 * Completes *c for a file that was walked up to c->good_bytes, where the step
 * was END, SHORT or BAD.  A last record whose own counts reach past the end is
 * torn, whatever its bytes look like, since cells may contain records: whole
 * records in it are only counted (tail_records).  Bytes that do not begin as
 * a record, or have counts that contradict each other, are damage if records
 * follow them.
 */
void journal_judge(struct journal_check *c, struct journal_bytes *b,
		   enum journal_step step, const char *why);

/* Counts a record that was walked, and moves good_bytes to its end. */
void journal_count(struct journal_check *c,
		   const struct journal_record *record);

/* Checks a whole file; an empty one is FOREIGN.  Runs near the
 * speed of memory: of vectors only symbols and booleans are read.  Adds the
 * offset and number of each record to *index, unless that is NULL. */
struct journal_check journal_check(struct journal_bytes *b,
				   struct journal_index *index);

#endif
