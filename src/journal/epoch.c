#include "config.h"

#include "journal/epoch.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/util.h"

enum {
	FILE_VERSION = 3,
	LINE_MAX_BYTES = 96,
	TEXT_MAX = (EPOCHS_KEPT + EPOCH_FILES + 8) * LINE_MAX_BYTES,
};

const char *const epoch_found_names[] = { "clean", "clean", "unclean",
					  "unknown" };

static void
path_of(const char *directory, const char *name, const char *suffix, char *path,
	size_t path_len)
{
	(void)snprintf(path, path_len, "%s/%s.epoch%s", directory, name,
		       suffix);
}

/* ---- writing ---- */

struct epoch_text {
	char at[TEXT_MAX];
	size_t len;
};

__attribute__((format(printf, 2, 3))) static void
put(struct epoch_text *t, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(t->at + t->len, sizeof(t->at) - t->len, format, args);
	va_end(args);
	CHECK(n > 0 && (size_t)n < sizeof(t->at) - t->len);
	t->len += (size_t)n;
}

static void
put_lines(struct epoch_text *t, const struct epochs *e, const char *state)
{
	char date[16];

	put(t, "ringtick-epochs %d\nepoch %" PRIu64 " %s\n", FILE_VERSION,
	    e->now, state);
	if (e->day != INT32_MIN)
		put(t, "day %" PRId32 " %s\n", e->day,
		    clock_date_text(date, e->day));
	if (e->has_settings)
		put(t, "settings %016" PRIx64 "\n", e->settings);
	for (unsigned i = 0; i < e->files_cnt; i++)
		put(t,
		    "file %" PRId32 " %s %" PRIu64 " %" PRIu64 " %" PRIu64
		    " %" PRIu64 "\n",
		    e->files[i].day, clock_date_text(date, e->files[i].day),
		    e->files[i].records, e->files[i].bytes, e->files[i].since,
		    e->files[i].since_epoch);
	for (unsigned i = 0; i < e->begins_cnt; i++)
		put(t, "begin %" PRIu64 " %" PRId32 " %s %" PRIu64 "\n",
		    e->begins[i].epoch, e->begins[i].day,
		    clock_date_text(date, e->begins[i].day),
		    e->begins[i].records);
	put(t, "end\n");
}

/* Replaces the file in one step: writes a new one and renames it.  0 or
 * -errno. */
static int
replace_file(const struct epochs *e, const char *directory, const char *name,
	     const char *state)
{
	char path[PATH_MAX], aside[PATH_MAX];
	struct epoch_text t = { .len = 0 };
	int err;

	put_lines(&t, e, state);
	path_of(directory, name, "", path, sizeof(path));
	path_of(directory, name, ".new", aside, sizeof(aside));
	err = fs_write_file(aside, t.at, t.len);
	if (err == 0 && rename(aside, path) != 0)
		err = -errno;
	return err == 0 ? fs_sync_directory_of(path) : err;
}

/* ---- reading ---- */

static void
add_begin(struct epochs *e, struct epoch_begin begin)
{
	if (e->begins_cnt == EPOCHS_KEPT) {
		memmove(&e->begins[0], &e->begins[1],
			(EPOCHS_KEPT - 1) * sizeof(e->begins[0]));
		e->begins_cnt--;
	}
	e->begins[e->begins_cnt++] = begin;
}

static bool
read_state(const char *word, enum epoch_found *out)
{
	if (strcmp(word, "clean") == 0)
		*out = EPOCH_CLEAN;
	else if (strcmp(word, "open") == 0)
		*out = EPOCH_OPEN;
	else
		return false;
	return true;
}

/* Whether sscanf has read all fields of the line, up to its end. */
static bool
is_whole(const char *line, int got, int wanted, int end)
{
	return got == wanted && line[end] == '\0';
}

/* Reads a line of version 2 or 3, which has since_epoch.  false if it is no
 * such line. */
static bool
read_line(struct epochs *e, const char *line, enum epoch_found *out)
{
	struct epoch_begin b;
	struct epoch_file f;
	char word[8];
	int end = 0, n;

	n = sscanf(line, "epoch %" SCNu64 " %7s%n", &e->now, word, &end);
	if (is_whole(line, n, 2, end))
		return read_state(word, out);
	n = sscanf(line, "day %" SCNd32 " %*s%n", &e->day, &end);
	if (is_whole(line, n, 1, end))
		return true;
	n = sscanf(line, "settings %" SCNx64 "%n", &e->settings, &end);
	if (is_whole(line, n, 1, end)) {
		e->has_settings = true;
		return true;
	}
	n = sscanf(line,
		   "file %" SCNd32 " %*s %" SCNu64 " %" SCNu64 " %" SCNu64
		   "%n %" SCNu64 "%n",
		   &f.day, &f.records, &f.bytes, &f.since, &end, &f.since_epoch,
		   &end);
	if (n == 4)
		f.since_epoch = EPOCH_NEVER;
	if (n >= 4 && line[end] == '\0' && e->files_cnt < EPOCH_FILES) {
		e->files[e->files_cnt++] = f;
		return true;
	}
	n = sscanf(line, "begin %" SCNu64 " %" SCNd32 " %*s %" SCNu64 "%n",
		   &b.epoch, &b.day, &b.records, &end);
	if (!is_whole(line, n, 3, end))
		return false;
	add_begin(e, b);
	return true;
}

/* Reads a line of version 1: the first has the epoch and its state, the others
 * are beginnings.  No line names the version. */
static bool
read_line_1(struct epochs *e, const char *line, bool is_first,
	    enum epoch_found *out)
{
	struct epoch_begin b;
	char word[8];
	int end = 0, n;

	if (is_first) {
		n = sscanf(line, "%" SCNu64 " %7s%n", &e->now, word, &end);
		return is_whole(line, n, 2, end) && read_state(word, out);
	}
	n = sscanf(line, "%" SCNu64 " %" SCNd32 " %*s %" SCNu64 "%n", &b.epoch,
		   &b.day, &b.records, &end);
	if (!is_whole(line, n, 3, end))
		return false;
	add_begin(e, b);
	return true;
}

/* Reads all lines; *out_version stays as it is if the first one names no
 * version. */
static enum epoch_found
read_text(struct epochs *e, char *text, int *out_version)
{
	enum epoch_found found = EPOCH_SPOILT;
	bool is_good = true, has_end = false, is_first = true;
	char *line, *next;

	for (line = text; *line != '\0'; line = next, is_first = false) {
		next = strchr(line, '\n');
		if (next == NULL) /* cut off */
			is_good = false;
		else
			*next = '\0';
		next = next == NULL ? line + strlen(line) : next + 1;
		if (is_first &&
		    sscanf(line, "ringtick-epochs %d", out_version) == 1)
			continue;
		if (*out_version > FILE_VERSION)
			break;
		if (*out_version > 1 && strcmp(line, "end") == 0)
			has_end = true;
		else if (*out_version > 1)
			is_good = read_line(e, line, &found) && is_good;
		else
			is_good = read_line_1(e, line, is_first, &found) &&
				  is_good;
	}
	has_end = has_end || *out_version == 1;
	return is_good && has_end ? found : EPOCH_SPOILT;
}

bool
epoch_load(struct epochs *e, const char *directory, const char *name,
	   enum epoch_found *out, char *err, size_t err_len)
{
	char path[PATH_MAX], text[TEXT_MAX + 1];
	FILE *f;
	int version = 1, res;
	size_t len;

	*e = (struct epochs){ .day = INT32_MIN };
	*out = EPOCH_NONE;
	path_of(directory, name, "", path, sizeof(path));
	f = fopen(path, "re");
	if (f == NULL && errno == ENOENT)
		return true;
	errno = f == NULL ? errno : 0;
	len = f == NULL ? 0 : fread(text, 1, TEXT_MAX, f);
	res = f == NULL || ferror(f) ? errno : 0;
	if (f != NULL)
		(void)fclose(f);
	if (res != 0) {
		(void)snprintf(err, err_len, "%s cannot be read: %s", path,
			       strerror(res));
		errno = res;
		return false;
	}
	text[len] = '\0';
	*out = read_text(e, text, &version);
	if (version <= FILE_VERSION)
		return true;
	(void)snprintf(err, err_len,
		       "%s is of a newer ringtickd (version %d, this one knows "
		       "%d): start that one, or move the file away; then "
		       "subscribers have to begin the day anew",
		       path, version, FILE_VERSION);
	errno = EINVAL;
	return false;
}

/* ---- a run ---- */

static const struct epoch_file *
find_file(const struct epochs *e, int32_t day)
{
	for (unsigned i = 0; i < e->files_cnt; i++)
		if (e->files[i].day == day)
			return &e->files[i];
	return NULL;
}

/* Whether a file cannot be the one that a clean stop left.  After a crash it
 * may well be shorter. */
static bool
has_lost(const struct epochs *e, enum epoch_found found,
	 const struct epoch_file *is)
{
	const struct epoch_file *was = find_file(e, is->day);

	return found == EPOCH_CLEAN && was != NULL &&
	       (is->records < was->records || is->bytes < was->bytes ||
		(is->records == was->records && is->bytes != was->bytes));
}

bool
epoch_synced(const struct epochs *e, enum epoch_found found,
	     const struct epoch_file *is, struct epoch_file *out)
{
	const struct epoch_file *was = find_file(e, is->day);

	if ((found != EPOCH_CLEAN && found != EPOCH_OPEN) || was == NULL ||
	    is->bytes < was->bytes || is->records < was->records ||
	    (found == EPOCH_CLEAN && is->bytes != was->bytes))
		return false;
	*out = *was;
	return true;
}

static bool
has_settings(const struct epochs *e, const struct epoch_run *run)
{
	return e->has_settings && e->settings == run->settings;
}

/*
 * Sets the record from which on all runs had the same settings, so that the
 * records that fit now are those that were sent.  A file that no run has noted
 * was begun by the last one.
 */
static void
set_since(const struct epochs *e, const struct epoch_run *run,
	  struct epoch_file *is)
{
	const struct epoch_file *was = find_file(e, is->day);
	struct epoch_file before = { .since = 0 };

	if (!has_settings(e, run))
		before = (struct epoch_file){ .since = is->records,
					      .since_epoch = EPOCH_NEVER };
	else if (was != NULL)
		before = *was;
	is->since = min_u64(before.since, is->records);
	is->since_epoch =
		is->since == 0 ? 0 : min_u64(before.since_epoch, e->now + 1);
}

/* Moves to an epoch after all earlier ones.  No claim in it is older than this
 * run: the records that it counts were sent under these settings. */
static void
skip_to(struct epochs *e, uint64_t at_least, struct epoch_file *files,
	unsigned cnt)
{
	if (e->now >= at_least)
		return;
	e->now = at_least;
	for (unsigned i = 0; i < cnt; i++)
		files[i].since = 0;
}

bool
epoch_begin(struct epochs *e, const char *directory, const char *name,
	    enum epoch_found found, const struct epoch_run *run,
	    bool *out_is_changed, char *err, size_t err_len)
{
	struct epoch_file files[EPOCH_FILES];
	uint64_t sure[EPOCH_FILES];
	bool has_records = false;
	int res;

	*out_is_changed = false;
	for (unsigned i = 0; i < run->files_cnt; i++) {
		files[i] = run->files[i];
		set_since(e, run, &files[i]);
		has_records = has_records || files[i].records > 0;
		/* The file may be another one: no record is sure. */
		sure[i] = files[i].records;
		if (has_lost(e, found, &files[i])) {
			*out_is_changed = true;
			sure[i] = 0;
		}
	}
	if (found == EPOCH_SPOILT || (found == EPOCH_NONE && has_records)) {
		skip_to(e, run->at_least, files, run->files_cnt);
		found = EPOCH_SPOILT;
	}
	if (found == EPOCH_OPEN || found == EPOCH_SPOILT || *out_is_changed ||
	    (has_records && !has_settings(e, run))) {
		e->now++;
		for (unsigned i = 0; i < run->files_cnt; i++)
			add_begin(e, (struct epoch_begin){ e->now, files[i].day,
							   sure[i] });
	}
	e->day = run->day;
	e->has_settings = true;
	e->settings = run->settings;
	e->files_cnt = run->files_cnt;
	memcpy(e->files, files, run->files_cnt * sizeof(files[0]));
	res = replace_file(e, directory, name, "open");
	if (res == 0)
		return true;
	(void)snprintf(err, err_len, "%s/%s.epoch cannot be written: %s",
		       directory, name, strerror(-res));
	errno = -res;
	return false;
}

void
epoch_next(struct epochs *e, const struct epoch_begin *begins, unsigned cnt)
{
	e->now++;
	for (unsigned i = 0; i < cnt; i++) {
		struct epoch_begin begin = begins[i];

		begin.epoch = e->now;
		add_begin(e, begin);
	}
}

int
epoch_store(const struct epochs *e, const char *directory, const char *name)
{
	return replace_file(e, directory, name, "open");
}

int
epoch_note_file(struct epochs *e, const char *directory, const char *name,
		struct epoch_file file)
{
	if (e->files_cnt == EPOCH_FILES)
		e->files[0] = e->files[--e->files_cnt];
	e->files[e->files_cnt++] = file;
	return replace_file(e, directory, name, "open");
}

int
epoch_end(const struct epochs *e, const char *directory, const char *name)
{
	return replace_file(e, directory, name, "clean");
}

/* Whether the beginnings of all epochs after this one are still known. */
static bool
is_known(const struct epochs *e, uint64_t epoch)
{
	uint64_t oldest =
		e->begins_cnt == 0 ? e->now + 1 : e->begins[0].epoch;

	/* The oldest one kept may have lost one of its two files. */
	if (e->begins_cnt == EPOCHS_KEPT)
		oldest++;
	return epoch <= e->now && (epoch == e->now || oldest <= epoch + 1);
}

bool
epoch_sure_records(const struct epochs *e, uint64_t epoch, int32_t day,
		   uint64_t records, uint64_t *out)
{
	uint64_t next = epoch + 1; /* its beginning is looked for */

	if (!is_known(e, epoch))
		return false;
	for (unsigned i = 0; i < e->begins_cnt; i++) {
		const struct epoch_begin *b = &e->begins[i];

		if (b->epoch <= epoch || b->day != day)
			continue;
		/* The file was not open at the beginning of an epoch between:
		 * what was left of it then is not known. */
		if (b->epoch != next)
			return false;
		records = min_u64(records, b->records);
		next++;
	}
	*out = records;
	return next == e->now + 1;
}
