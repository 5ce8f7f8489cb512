/*
 * The journal as bytes in a file: the kdb+ log format (wire.md section 5,
 * tick-contract.md section 3).  Reading, counting, checking; pure: works on
 * bytes that the caller has mapped or read.
 *
 *   ff 01 00 00 00 00 00 00 | record | record | ...
 *
 * A record is a bare object: the list (`upd;`table;x).  There is no length and
 * no checksum: a record is whole when its object is.  Zero bytes would parse
 * as empty lists: what is not (`upd;...) is no record.
 */
#ifndef RINGTICK_JOURNAL_FILE_H
#define RINGTICK_JOURNAL_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "journal/index.h"

enum { JOURNAL_HEADER_BYTES = 8 };

extern const uint8_t journal_header[JOURNAL_HEADER_BYTES];

/* One record: where it is and which table it is for. */
struct journal_record {
	const uint8_t *at;
	size_t len;
	const char *table; /* not terminated */
	size_t table_len;
	const uint8_t *x; /* the columns, row or table, to the record's end */
	/* NULL; or why wire_skip refuses x, whose lengths add up: such a record
	 * is kept, counted and named, and looked into by nobody. */
	const char *unknown;
};

enum journal_step {
	JOURNAL_RECORD, /* *out is the record at `at`; the next is behind it */
	JOURNAL_END,	/* at the end exactly */
	JOURNAL_SHORT,	/* a record that goes on behind the end; *why tells */
	JOURNAL_BAD,	/* no record starts here; *why tells */
};

/* Reads the record at bytes + off, off <= len. */
enum journal_step journal_next(const uint8_t *bytes, uint64_t len,
			       uint64_t off, struct journal_record *out,
			       const char **why);

enum journal_verdict {
	JOURNAL_WHOLE,	 /* every byte belongs to a whole record */
	JOURNAL_TORN,	 /* whole records, then a tail that is none */
	JOURNAL_DAMAGED, /* behind the bad bytes there are records again */
	JOURNAL_FOREIGN, /* does not start as a journal */
};

struct journal_check {
	enum journal_verdict verdict;
	uint64_t records;    /* whole ones before anything bad */
	uint64_t good_bytes; /* header and those records */
	const char *why;     /* unless WHOLE: what is wrong at good_bytes */
	uint64_t next_record_off; /* DAMAGED: where records go on */
	uint64_t behind_records;  /* TORN: whole ones behind the tail's begin,
				     up to the very end: no crash leaves that */
	uint64_t behind_off;	  /* ... if there are any: from here on */
	uint64_t unknown_records; /* of records: see journal_record */
	uint64_t unknown_first;	  /* the number of the first of them ... */
	const char *unknown_why;  /* ... and what is not known in it */
};

/*
 * Where records go on behind bad bytes: the first offset from off on at which
 * a whole record stands, and then another one, cut or not, or the end.  0 for
 * nowhere.
 * Gives up at the thousandth place that only looks like one, and returns that:
 * what cannot be told from records must not be cut as a tail.
 */
uint64_t journal_search(const uint8_t *bytes, uint64_t len, uint64_t off);

/*
 * The verdict on a file that was walked up to c->good_bytes, where there is
 * the step END, SHORT or BAD.  A last record whose own counts reach beyond the
 * end is torn, whatever its bytes look like: cells may hold records.  Only
 * what does not even begin as a record, or has counts that contradict each
 * other, is searched for records behind it.
 */
void journal_judge(struct journal_check *c, const uint8_t *bytes, uint64_t len,
		   enum journal_step step, const char *why);

/* Counts a record that was walked, and moves good_bytes behind it. */
void journal_count(struct journal_check *c,
		   const struct journal_record *record);

/* Walks the whole file. An empty one (0 bytes) is FOREIGN. Near the speed of
 * memory: vectors are not looked into, but for symbols and booleans.  *index,
 * unless NULL, gets its records' offsets and numbers. */
struct journal_check journal_check(const uint8_t *bytes, uint64_t len,
				   struct journal_index *index);

#endif
