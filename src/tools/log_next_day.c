#include "config.h"

#include "tools/log_next_day.h"

#include <dirent.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "journal/file.h"

static const char date_pattern[] = "[0-9][0-9][0-9][0-9].[0-9][0-9].[0-9][0-9]";

enum { DATE_LEN = sizeof("2026.11.22") - 1 };

static const char *
name_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

bool
log_next_day_has_date(const char *path)
{
	const char *name = name_of(path);
	size_t len = strlen(name);

	return len >= DATE_LEN &&
	       fnmatch(date_pattern, name + len - DATE_LEN, 0) == 0;
}

void
log_next_day_folder(const char *path, char *out, size_t out_len)
{
	size_t len = (size_t)(name_of(path) - path);

	(void)snprintf(out, out_len, "%.*s", len == 0 ? 1 : (int)len,
		       len == 0 ? "." : path);
}

static bool
has_records(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	       st.st_size > JOURNAL_HEADER_BYTES;
}

bool
log_next_day_find(const char *path, char *out, size_t out_len,
		  void (*see)(void *data, const char *other), void *data)
{
	const char *name = name_of(path);
	size_t len = strlen(name), folder_len = (size_t)(name - path);
	char folder[PATH_MAX], other[PATH_MAX];
	const struct dirent *entry;
	DIR *dir;

	out[0] = '\0';
	log_next_day_folder(path, folder, sizeof(folder));
	dir = opendir(folder);
	if (dir == NULL)
		return false;
	while ((entry = readdir(dir)) != NULL) {
		if (strlen(entry->d_name) != len ||
		    !log_next_day_has_date(entry->d_name) ||
		    strncmp(entry->d_name, name, len - DATE_LEN) != 0 ||
		    strcmp(entry->d_name, name) <= 0)
			continue;
		(void)snprintf(other, sizeof(other), "%.*s%s", (int)folder_len,
			       path, entry->d_name);
		see(data, other);
		if ((out[0] == '\0' || strcmp(other, out) < 0) &&
		    has_records(other))
			(void)snprintf(out, out_len, "%s", other);
	}
	(void)closedir(dir);
	return out[0] != '\0';
}
