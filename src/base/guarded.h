/*
 * Work on a file that is mapped, and may be cut meanwhile: a page that is not
 * there any more, or that the disk cannot read, is an answer and not the end of
 * the process by SIGBUS.
 *
 * One piece of work at a time on each thread; several threads may.  A fault
 * anywhere else ends the process, as it should.  Called by journal/open.c.
 */
#ifndef RINGTICK_BASE_GUARDED_H
#define RINGTICK_BASE_GUARDED_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Calls run(work), which reads [bytes, bytes + len) of a map.  false if a page
 * of it could not be read: then run was left where it was, so it must hold
 * nothing that has to be given back, and its results are not to be used.
 */
bool guarded_run(const void *bytes, size_t len, void (*run)(void *work),
		 void *work);

#endif
