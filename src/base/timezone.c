#include "config.h"

#include "base/timezone.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCALTIME "/etc/localtime"
#define ZONES	  "/usr/share/zoneinfo"

/* ---- POSIX rules ---- */

/* Three letters or more; or, between < and >, three letters, digits or signs or
 * more. */
static bool
skip_name(const char **at)
{
	const char *from = *at;
	bool is_quoted = *from == '<';

	*at += is_quoted;
	while (isalpha((unsigned char)**at) ||
	       (is_quoted && (isdigit((unsigned char)**at) || **at == '+' ||
			      **at == '-')))
		++*at;
	if (!is_quoted)
		return *at - from >= 3;
	return *(*at)++ == '>' && *at - from >= 3 + 2;
}

/* A number of at most three digits, from min to max. */
static bool
skip_number(const char **at, int min, int max)
{
	int n = 0, digits = 0;

	for (; isdigit((unsigned char)**at) && digits < 4; digits++)
		n = 10 * n + (*(*at)++ - '0');
	return digits > 0 && n >= min && n <= max;
}

/* [+-]hh[:mm[:ss]] */
static bool
skip_time(const char **at, int hours_max)
{
	if (**at == '+' || **at == '-')
		++*at;
	if (!skip_number(at, 0, hours_max))
		return false;
	for (int part = 0; part < 2 && **at == ':'; part++) {
		++*at;
		if (!skip_number(at, 0, 59))
			return false;
	}
	return true;
}

/* ,Mm.w.d or ,Jn or ,n, and /time */
static bool
skip_change(const char **at)
{
	bool is_good;

	if (*(*at)++ != ',')
		return false;
	if (**at == 'M') {
		++*at;
		is_good = skip_number(at, 1, 12) && *(*at)++ == '.' &&
			  skip_number(at, 1, 5) && *(*at)++ == '.' &&
			  skip_number(at, 0, 6);
	} else if (**at == 'J') {
		++*at;
		is_good = skip_number(at, 1, 365);
	} else {
		is_good = skip_number(at, 0, 365);
	}
	if (!is_good || **at != '/')
		return is_good;
	++*at;
	return skip_time(at, 167);
}

bool
timezone_is_rule(const char *text)
{
	const char *at = text;

	if (!skip_name(&at) || !skip_time(&at, 24))
		return false;
	if (*at == '\0')
		return true;
	if (!skip_name(&at))
		return false;
	if (*at != '\0' && *at != ',' && !skip_time(&at, 24))
		return false;
	return *at == '\0' ||
	       (skip_change(&at) && skip_change(&at) && *at == '\0');
}

/* ---- files ---- */

static bool
is_zone_file(const char *path)
{
	char magic[4];
	struct stat st;
	FILE *f;
	bool is_zone;

	if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
		return false;
	f = fopen(path, "re");
	if (f == NULL)
		return false;
	is_zone = fread(magic, 1, sizeof(magic), f) == sizeof(magic) &&
		  memcmp(magic, "TZif", sizeof(magic)) == 0;
	(void)fclose(f);
	return is_zone;
}

/* Looks where libc looks. */
static bool
is_named_zone(const char *name)
{
	const char *folder = getenv("TZDIR");
	char path[PATH_MAX];
	int n;

	if (name[0] == '/')
		return is_zone_file(name);
	n = snprintf(path, sizeof(path), "%s/%s",
		     folder == NULL || folder[0] == '\0' ? ZONES : folder,
		     name);
	return n > 0 && (size_t)n < sizeof(path) && is_zone_file(path);
}

/* UTC is known even on a host without zone files. */
static bool
is_utc(const char *name)
{
	return name[0] == '\0' || strcmp(name, "UTC") == 0 ||
	       strcmp(name, "Etc/UTC") == 0 || strcmp(name, "GMT") == 0;
}

bool
timezone_is_known(char *err, size_t err_len)
{
	const char *zone = getenv("TZ");
	struct stat st;

	if (zone == NULL) {
		if (is_zone_file(LOCALTIME) ||
		    (lstat(LOCALTIME, &st) != 0 && errno == ENOENT))
			return true;
		(void)snprintf(err, err_len,
			       "day.zone = \"local\": " LOCALTIME
			       " is no time zone, and days would end in UTC; "
			       "mend it with: timedatectl set-timezone ZONE, "
			       "or set day.zone");
		return false;
	}
	if (zone[0] == ':')
		zone++;
	if (is_utc(zone) || is_named_zone(zone) || timezone_is_rule(zone))
		return true;
	(void)snprintf(err, err_len,
		       "day.zone = \"local\": this system knows no time zone "
		       "TZ=\"%.64s\", and days would end in UTC; names are "
		       "as in timedatectl list-timezones, such as "
		       "Europe/Zurich; or set day.zone",
		       zone);
	return false;
}

const char *
timezone_source(char *buf, size_t buf_len)
{
	const char *zone = getenv("TZ");
	char path[PATH_MAX];

	if (zone != NULL)
		(void)snprintf(buf, buf_len, "%s", zone);
	else if (realpath(LOCALTIME, path) != NULL)
		(void)snprintf(buf, buf_len, "%s", path);
	else
		(void)snprintf(buf, buf_len, "none");
	return buf;
}
