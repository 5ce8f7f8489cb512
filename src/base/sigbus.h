/*
 * Work on a mapped file that may be cut meanwhile: a page that is gone, or that
 * the disk cannot read, is an ordinary failure and does not end the process by
 * SIGBUS.
 *
 * One piece of work at a time on each thread; several threads may work at once.
 * A fault anywhere else ends the process, as it should.  Called by
 * journal/open.c.
 */
#ifndef RINGTICK_BASE_SIGBUS_H
#define RINGTICK_BASE_SIGBUS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Calls run(work), which reads [bytes, bytes + len) of a map.  false if one of
 * these pages could not be read: then run was left in the middle, so it must
 * hold nothing that has to be released, and its results must not be used.
 */
bool sigbus_guard(const void *bytes, size_t len, void (*run)(void *work),
		 void *work);

#endif
