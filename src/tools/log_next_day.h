/*
 * Where a journal goes on: of the files of one name, sym2026.11.22 and so on,
 * the one of the day after.
 */
#ifndef RINGTICK_TOOLS_LOG_NEXT_DAY_H
#define RINGTICK_TOOLS_LOG_NEXT_DAY_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the path ends in a date. */
bool log_next_day_has_date(const char *path);

/*
 * The path of the file beside it whose name differs in the date only, of the
 * earliest date behind its own that has records.  false if there is none, with
 * *out empty.  Files with a header only may get some, or never: where a day was
 * begun and the daemon stopped.  see() is called for each, before it is looked
 * at, with its path.
 */
bool log_next_day_find(const char *path, char *out, size_t out_len,
		       void (*see)(void *data, const char *other), void *data);

/* The folder of a path, as a path. */
void log_next_day_folder(const char *path, char *out, size_t out_len);

#endif
