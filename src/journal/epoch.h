/*
 * What a run leaves for the next one, in `<directory>/<name>.epoch`:
 *
 *   ringtick-epochs 2
 *   epoch 3 open                 the running one; "clean" after a clean stop
 *   day 9822 2026.11.22          no earlier day may run: it has ended
 *   settings 8d1f02c93a5be6f7    what decides which records are sent (fits.h)
 *   file 9821 2026.11.21 511 40960 0
 *   file 9822 2026.11.22 0 8 0   a journal's file: day, records, bytes, and the
 *                                record from which on claims can be checked
 *   begin 2 9820 2026.11.20 104  epoch, day, and what was left in its file
 *   begin 3 9821 2026.11.21 511
 *   end
 *
 * The epoch is a number that grows with each start after an unclean stop,
 * because then records may be gone that subscribers have.
 */
#ifndef RINGTICK_JOURNAL_EPOCH_H
#define RINGTICK_JOURNAL_EPOCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	EPOCHS_KEPT = 64,
	EPOCH_FILES = 2, /* the running day's and the one before it */
};

struct epoch_begin {
	uint64_t epoch;
	int32_t day;	  /* of a file that was open when it began ... */
	uint64_t records; /* ... and what was left in it */
};

struct epoch_file {
	int32_t day;
	uint64_t records;
	uint64_t bytes;
	uint64_t since; /* from this record on, what fits the schema now is what
			   was sent then */
};

struct epochs {
	uint64_t now;
	int32_t day; /* INT32_MIN: not known */
	bool has_settings;
	uint64_t settings;
	struct epoch_file files[EPOCH_FILES]; /* oldest first */
	unsigned files_cnt;
	struct epoch_begin begins[EPOCHS_KEPT]; /* oldest first */
	unsigned begins_cnt;
};

/* How the run before ended. */
enum epoch_found {
	EPOCH_NONE, /* there was none, or somebody has deleted its file */
	EPOCH_CLEAN,
	EPOCH_OPEN,
	EPOCH_SPOILT, /* what can be read of its file is kept */
};

extern const char *const epoch_found_names[];

/* Reads the file.  false with err and errno if it cannot be read, or is of a
 * newer ringtickd. */
bool epoch_load(struct epochs *e, const char *directory, const char *name,
		enum epoch_found *out, char *err, size_t err_len);

/* What a run finds. */
struct epoch_run {
	uint64_t settings;
	uint64_t at_least; /* an epoch that none before was as late as, for
			      where the number is not known */
	int32_t day;
	struct epoch_file files[EPOCH_FILES]; /* oldest first; since is not
						 looked at */
	unsigned files_cnt;
};

/*
 * Begins a run: the next epoch if the last one did not end well, or if a file
 * has lost what it had then (*out_is_changed).  Sets `since` of its files.
 * false with err and errno.
 */
bool epoch_begin(struct epochs *e, const char *directory, const char *name,
		 enum epoch_found found, const struct epoch_run *run,
		 bool *out_is_changed, char *err, size_t err_len);

/* The run that is open goes on in a file with records that it has not begun. 0
 * or -errno. */
int epoch_note_file(struct epochs *e, const char *directory, const char *name,
		    struct epoch_file file);

/* The next epoch begins while the daemon runs: of each file that claims can be
 * for only so much is left, oldest first.  To be stored. */
void epoch_next(struct epochs *e, const struct epoch_begin *begins,
		unsigned cnt);

/* Stores what is in e now, of a run that goes on. 0 or -errno. */
int epoch_store(const struct epochs *e, const char *directory,
		const char *name);

/* The run has ended well, with what is in e now. 0 or -errno. */
int epoch_end(const struct epochs *e, const char *directory, const char *name);

/*
 * How many records of a day's file, of which it has `records` now, are those
 * that it had in an epoch.  false where nothing is known of that: then not even
 * the beginning of the day is what it was.
 */
bool epoch_sure_records(const struct epochs *e, uint64_t epoch, int32_t day,
			uint64_t records, uint64_t *out);

#endif
