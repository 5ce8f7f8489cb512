/*
 * The journal's folder before anything is written to it, for the start and for
 * --check; and what the operator may rely on, said once at the start.
 */
#ifndef RINGTICK_JOURNAL_FOLDER_H
#define RINGTICK_JOURNAL_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

#include "config/settings.h"

/* Whether it is there and can be written to. false with err and errno: what is
 * wrong, and what mends it.  True without a journal. */
bool journal_folder_check(const struct settings *s, char *err, size_t err_len);

/* For --check: the folder, its owner, its room, and whether a daemon has it
 * now, as one line without an end. */
void journal_folder_text(const struct settings *s, char *buf, size_t buf_len);

/* The line event=promise: what is lost, and when. */
void journal_promise_log(const struct settings *s);

#endif
