/*
 * The file in which a journal continues: among the files of one name, such as
 * sym2026.11.22, that of the next day.
 */
#ifndef RINGTICK_TOOLS_LOG_NEXT_DAY_H
#define RINGTICK_TOOLS_LOG_NEXT_DAY_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the path ends in a date. */
bool log_next_day_has_date(const char *path);

/*
 * Finds the file in the same folder whose name differs only in the date: the
 * earliest later date whose file has records.  false, with *out empty, if there
 * is no such file.  A file with only a header does not count: it may get
 * records, or never get any if the daemon stopped just after the day began.
 * Before each file is looked at, see() is called with its path.
 */
bool log_next_day_find(const char *path, char *out, size_t out_len,
		       void (*see)(void *data, const char *other), void *data);

/* The path of the folder that holds `path`. */
void log_next_day_folder(const char *path, char *out, size_t out_len);

#endif
