/*
 * The start of a journal: finding, checking, mending and creating its files.
 * Synchronous; nothing here runs while updates flow, but for opening the next
 * day's file.
 */
#ifndef RINGTICK_JOURNAL_START_H
#define RINGTICK_JOURNAL_START_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "history.h"

/* `<directory>/<name>YYYY.MM.DD`, absolute. false with err and errno if the
 * directory is not there. */
bool journal_path(const char *directory, const char *name, int32_t day,
		  char *path, size_t path_len, char *err, size_t err_len);

/*
 * Opens the journal at path, creating it with its header if it is not there,
 * takes the lock (another ringtick on the same file would destroy it), checks
 * and indexes every record, and cuts a torn tail into `path.torn.N`.  The
 * caller frees the file, or gives it to the history.  NULL with err and errno.
 */
struct history_file *journal_open_file(const char *path, bool may_create,
				       char *err, size_t err_len);

#endif
