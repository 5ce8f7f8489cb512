#include "config.h"

#include "epoch.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "torn_tail.h"
#include "util.h"

static void
path_of(const char *directory, const char *name, const char *suffix, char *path,
	size_t path_len)
{
	(void)snprintf(path, path_len, "%s/%s.epoch%s", directory, name,
		       suffix);
}

static int
write_lines(const struct epochs *e, const char *state, FILE *f)
{
	char date[16];

	(void)fprintf(f, "%" PRIu64 " %s\n", e->now, state);
	for (unsigned i = 0; i < e->cnt; i++)
		(void)fprintf(f, "%" PRIu64 " %d %s %" PRIu64 "\n",
			      e->begins[i].epoch, e->begins[i].day,
			      clock_date_text(date, e->begins[i].day),
			      e->begins[i].records);
	return ferror(f) || fflush(f) != 0 || fsync(fileno(f)) != 0 ? -EIO : 0;
}

/* Whole or not at all: written aside, then renamed.  0 or -errno. */
static int
store(const struct epochs *e, const char *directory, const char *name,
      const char *state)
{
	char path[PATH_MAX], aside[PATH_MAX];
	FILE *f;
	int err;

	path_of(directory, name, "", path, sizeof(path));
	path_of(directory, name, ".new", aside, sizeof(aside));
	f = fopen(aside, "we");
	if (f == NULL)
		return -errno;
	err = write_lines(e, state, f);
	if (fclose(f) != 0 && err == 0)
		err = -errno;
	if (err == 0 && rename(aside, path) != 0)
		err = -errno;
	return err == 0 ? sync_directory_of(path) : err;
}

static void
add(struct epochs *e, struct epoch_begin begin)
{
	if (e->cnt == EPOCHS_KEPT) {
		memmove(&e->begins[0], &e->begins[1],
			(EPOCHS_KEPT - 1) * sizeof(e->begins[0]));
		e->cnt--;
	}
	e->begins[e->cnt++] = begin;
}

/* 0 or -errno; and whether the last run ended well. No file: there was none. */
static int
load(struct epochs *e, const char *path, bool *out_was_clean)
{
	struct epoch_begin begin;
	char state[8] = "";
	FILE *f = fopen(path, "re");

	*e = (struct epochs){ 0 };
	*out_was_clean = true;
	if (f == NULL)
		return errno == ENOENT ? 0 : -errno;
	if (fscanf(f, "%" SCNu64 " %7s", &e->now, state) != 2)
		state[0] = '\0';
	while (fscanf(f, "%" SCNu64 " %d %*s %" SCNu64, &begin.epoch,
		      &begin.day, &begin.records) == 3)
		add(e, begin);
	(void)fclose(f);
	*out_was_clean = strcmp(state, "clean") == 0;
	return 0;
}

bool
epoch_begin(struct epochs *e, const char *directory, const char *name,
	    int32_t day, uint64_t records, bool *out_was_clean, char *err,
	    size_t err_len)
{
	char path[PATH_MAX];
	int res;

	path_of(directory, name, "", path, sizeof(path));
	res = load(e, path, out_was_clean);
	if (res != 0) {
		(void)snprintf(err, err_len, "%s cannot be read: %s", path,
			       strerror(-res));
		errno = -res;
		return false;
	}
	if (!*out_was_clean) {
		e->now++;
		add(e, (struct epoch_begin){ e->now, day, records });
	}
	res = store(e, directory, name, "open");
	if (res == 0)
		return true;
	(void)snprintf(err, err_len, "%s cannot be written: %s", path,
		       strerror(-res));
	errno = -res;
	return false;
}

int
epoch_end(const struct epochs *e, const char *directory, const char *name)
{
	return store(e, directory, name, "clean");
}

uint64_t
epoch_sure_records(const struct epochs *e, uint64_t epoch, int32_t day,
		   uint64_t records)
{
	/* Each later epoch's beginning must be known. */
	uint64_t known = e->cnt == 0 ? e->now + 1 : e->begins[0].epoch;

	if (epoch > e->now || (epoch < e->now && known > epoch + 1))
		return 0;
	for (unsigned i = 0; i < e->cnt; i++) {
		if (e->begins[i].epoch <= epoch)
			continue;
		/* What a crash left of another day's file is not known. */
		if (e->begins[i].day != day)
			return 0;
		records = min_u64(records, e->begins[i].records);
	}
	return records;
}
