/*
 * The journal's file is not what was written to it: others cut it, wrote into
 * it, or copied another file over it while it was open.  Its good records are
 * kept, the rest is put aside.
 *
 * The engine appends: it writes at the end of the file, wherever that is, so a
 * cut leaves no hole, and the number of missing bytes tells how far the cut can
 * have gone:
 *
 *   written      |=== seen to be there ===|= since then =|
 *                                     seen_off        end_off
 *   the file     |===========|= since =|       missing: end_off - size
 *                        safe_off      size
 *
 * May take long: runs as a job (io/file_jobs.h).  Logs nothing.
 */
#ifndef RINGTICK_JOURNAL_GOOD_RECORDS_H
#define RINGTICK_JOURNAL_GOOD_RECORDS_H

#include <limits.h>
#include <stdint.h>

#include "journal/history.h"

struct good_records {
	uint64_t end_off;      /* the size that the file should have */
	uint64_t seen_off;     /* the file once had all bytes before it */
	uint64_t size;	       /* of the file now */
	uint64_t known_off;    /* a record began there, before safe_off ... */
	uint64_t known_record; /* ... the record of this number */
	const struct history_head *head; /* the file's first bytes */
	const uint8_t *memory; /* the written bytes from memory_off on: they
				  must not change during the work; NULL: none */
	uint64_t memory_off;
	uint64_t memory_len;
	uint64_t good_off;		 /* out: end of the good records ... */
	uint64_t good_records;		 /* ... and their number */
	struct history_tail tail;	 /* out: the last good bytes */
	char side[PATH_MAX]; /* out: file with the rest; "": no rest */
};

/* safe_off: the end of the bytes that a cut cannot have moved. */
uint64_t good_records_safe_off(const struct good_records *k);

/*
 * Keeps all whole records before safe_off, and before the first byte that
 * differs from memory, if the file begins with head and known_record records
 * are still before known_off; otherwise none, only a header.  The rest goes
 * into path.torn.N.  0 or -errno; -ESTALE if the size has changed again.  After
 * an error the file is as it was, unless only the last step failed: syncing the
 * shorter file, or writing its header.
 */
int good_records_keep(struct good_records *k, const char *path, int fd);

/*
 * Reads a piece of the file: from good_off, which has good_records before it
 * (at first: the header's end, and none), towards known_off.  0; -EBADMSG if
 * the file does not have what was written to it; or -errno.
 */
int good_records_recheck(struct good_records *k, int fd);

#endif
