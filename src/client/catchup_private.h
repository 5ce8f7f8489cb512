/*
 * Bytes of the journal are shown to nobody before it is known that others had
 * not cut the file when they were read: a cut moves all that is written after
 * it, and a reader would take other records for those that it lacks.
 *
 *   read the data        read the end of what is written, at its place
 *   ----------------> t1 ---------------------------------------------> t2
 *   cut before t1: at t2 the end is not there; cut later: the data was right
 *
 * Short: it costs one read of some bytes that are in the page cache.  Part of
 * catchup.c.
 */
#ifndef RINGTICK_CLIENT_CATCHUP_PRIVATE_H
#define RINGTICK_CLIENT_CATCHUP_PRIVATE_H

#include "client/catchup.h"

/* The data was read, with this result: begins to check it. false if there is
 * nothing to be checked. */
bool catchup_check_begin(struct catchup *cu, struct catchup_read *read,
			 struct ticket ticket, int32_t result);

/* The end was read, with this result. Returns that of the data; -EAGAIN if it
 * has to be read again, when the journal has looked at its file. */
int32_t catchup_check_end(struct catchup *cu, struct catchup_read *read,
			  int32_t result);

#endif
