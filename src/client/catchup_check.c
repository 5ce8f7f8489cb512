#include "config.h"

#include "client/catchup_private.h"

#include <errno.h>
#include <string.h>

/* After the journal has found nothing wrong this many times with a file that
 * fails this check, the file was overwritten, and its bytes are unknown. */
enum { DOUBTS_MAX = 3 };

/* Asks the journal to look at its file before the next read.  Returns -EAGAIN,
 * or 0 after DOUBTS_MAX doubts. */
static int32_t
doubt_file(struct catchup *cu)
{
	cu->history->is_doubted = true;
	if (cu->doubted_changes != cu->history->changes)
		cu->doubts = 0;
	cu->doubted_changes = cu->history->changes;
	return cu->doubts++ < DOUBTS_MAX ? -EAGAIN : 0;
}

bool
catchup_check_begin(struct catchup *cu, struct catchup_read *read,
		    struct ticket ticket, int32_t result)
{
	const struct history_tail *tail = &cu->history->tail;

	if (result < 0 || tail->len == 0 ||
	    read->file != history_last(cu->history))
		return false;
	read->is_checking = true;
	read->got = result;
	read->wanted = *tail;
	engine_read(cu->engine, read->file->fd, read->found, read->wanted.len,
		    read->wanted.off, ticket);
	return true;
}

int32_t
catchup_check_end(struct catchup *cu, struct catchup_read *read, int32_t result)
{
	read->is_checking = false;
	if (engine_is_again(result) || read->changes != cu->history->changes)
		return -EAGAIN;
	if (result < 0)
		return result;
	if (read->got == 0 || (size_t)result < read->wanted.len ||
	    memcmp(read->found, read->wanted.bytes, read->wanted.len) != 0)
		return doubt_file(cu);
	cu->doubts = 0;
	return read->got;
}
