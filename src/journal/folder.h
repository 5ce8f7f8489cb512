/*
 * Checks the journal's folder before anything is written to it, for the start
 * and for --check; and logs, once at the start, what the operator can rely on.
 */
#ifndef RINGTICK_JOURNAL_FOLDER_H
#define RINGTICK_JOURNAL_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

#include "config/settings.h"

/* Whether the folder exists and can be written to; true without a journal.
 * false with err and errno: what is wrong, and what mends it. */
bool journal_folder_check(const struct settings *s, char *err, size_t err_len);

/* For --check: the folder, its owner, its free space, and whether a daemon uses
 * it now, as one line without a newline. */
void journal_folder_text(const struct settings *s, char *buf, size_t buf_len);

/*
 * For --check: whether a start finds room and can read what earlier runs have
 * left.  false with err and errno as the start would end.  warning: what it
 * would warn of or do, one sentence a line; "" if nothing.
 */
bool journal_folder_foresee(const struct settings *s, char *warning,
			    size_t warning_len, char *err, size_t err_len);

/* Logs the line event=promise: which records can be lost, and when. */
void journal_promise_log(const struct settings *s);

#endif
