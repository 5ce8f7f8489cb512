/*
 * The journal's file is not what was written to it: somebody cut it, wrote into
 * it, or copied another file over it while it was open.  What is good of it is
 * kept, the rest is put aside.
 *
 * What was written goes to the end of the file, wherever that is (the engine
 * appends), so that no hole can come of it; and how much is missing tells how
 * far the cut can have gone:
 *
 *   written      |=== seen to be there ===|= since then =|
 *                                     seen_off        end_off
 *   the file     |===========|= since =|       end_off - size: what is missing
 *                        safe_off      size
 *
 * It may take its time: a job (io/file_jobs.h).  Logs nothing.
 */
#ifndef RINGTICK_JOURNAL_KEEP_H
#define RINGTICK_JOURNAL_KEEP_H

#include <limits.h>
#include <stdint.h>

#include "journal/history.h"

struct journal_keep {
	uint64_t end_off;      /* of what was written */
	uint64_t seen_off;     /* all before it was there once */
	uint64_t size;	       /* that the file has now */
	uint64_t known_off;    /* a record began there, before safe_off ... */
	uint64_t known_record; /* ... this one */
	uint64_t good_off;     /* out: whole records end there ... */
	uint64_t good_records; /* ... so many */
	struct history_tail tail; /* the end of what is good */
	char side[PATH_MAX];   /* out: where the rest is; "" if there is none */
};

/* Where what nobody can have touched ends. */
uint64_t journal_keep_safe_off(const struct journal_keep *k);

/*
 * Keeps all whole records before safe_off, if there are known_record of them
 * before known_off, as there were; else none, but a header.  The rest goes into
 * path.torn.N.  0, or -errno and the file is as it was; -ESTALE if its size is
 * another again.
 */
int journal_keep_good(struct journal_keep *k, const char *path, int fd);

#endif
