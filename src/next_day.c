#include "config.h"

#include "next_day.h"

#include <dirent.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static const char date_pattern[] = "[0-9][0-9][0-9][0-9].[0-9][0-9].[0-9][0-9]";

enum { DATE_LEN = sizeof("2026.11.22") - 1 };

static const char *
name_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

bool
next_day_has_date(const char *path)
{
	const char *name = name_of(path);
	size_t len = strlen(name);

	return len >= DATE_LEN &&
	       fnmatch(date_pattern, name + len - DATE_LEN, 0) == 0;
}

bool
next_day_lock_path(const char *path, char *out, size_t out_len)
{
	if (!next_day_has_date(path))
		return false;
	(void)snprintf(out, out_len, "%.*s.lock",
		       (int)(strlen(path) - DATE_LEN), path);
	return true;
}

void
next_day_folder(const char *path, char *out, size_t out_len)
{
	size_t len = (size_t)(name_of(path) - path);

	(void)snprintf(out, out_len, "%.*s", len == 0 ? 1 : (int)len,
		       len == 0 ? "." : path);
}

bool
next_day_find(const char *path, char *out, size_t out_len)
{
	const char *name = name_of(path);
	size_t len = strlen(name);
	char folder[PATH_MAX], best[NAME_MAX + 1] = "";
	const struct dirent *entry;
	DIR *dir;

	out[0] = '\0';
	next_day_folder(path, folder, sizeof(folder));
	dir = opendir(folder);
	if (dir == NULL)
		return false;
	while ((entry = readdir(dir)) != NULL) {
		const char *other = entry->d_name;

		if (strlen(other) == len && next_day_has_date(other) &&
		    strncmp(other, name, len - DATE_LEN) == 0 &&
		    strcmp(other, name) > 0 &&
		    (best[0] == '\0' || strcmp(other, best) < 0))
			(void)snprintf(best, sizeof(best), "%s", other);
	}
	(void)closedir(dir);
	if (best[0] == '\0')
		return false;
	(void)snprintf(out, out_len, "%.*s%s", (int)(name - path), path, best);
	return true;
}
