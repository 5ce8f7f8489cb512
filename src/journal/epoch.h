/*
 * The epochs, and other facts that a run leaves for the next one in
 * `<directory>/<name>.epoch`:
 *
 *   ringtick-epochs 3
 *   epoch 3 open                 the running one; "clean" after a clean stop
 *   day 9822 2026.11.22          the days before it have ended, and may not run
 *   settings 8d1f02c93a5be6f7    which records are sent (settings_hash.h)
 *   file 9821 2026.11.21 511 40960 0 0
 *   file 9822 2026.11.22 0 8 0 0 a journal's file: day, records, bytes, and the
 *                                record from which on claims can be checked in
 *                                epochs before the last number
 *   begin 2 9820 2026.11.20 104  epoch, day, and records left in its file
 *   begin 3 9821 2026.11.21 511
 *   end
 *
 * Invariant: an fdatasync had brought all bytes that a "file" line counts to
 * the disk before the line was written, whatever journal.sync is.
 *
 * The epoch is a number that grows whenever records may be gone that
 * subscribers have: at each start after an unclean stop, and when the files
 * have lost records.  It also grows when the settings decide anew which records
 * are sent: a count of an earlier epoch is then one of other records.
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
	uint64_t records; /* ... and the records that were left in it */
};

struct epoch_file {
	int32_t day;
	uint64_t records;
	uint64_t bytes;
	uint64_t since; /* from this record on, the records that fit the
			   settings now are those that were sent ... */
	uint64_t since_epoch; /* ... in earlier epochs; in this one and later
				 ones all of them are.  EPOCH_NEVER: in no
				 epoch of this run */
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

#define EPOCH_NEVER UINT64_MAX

/* How the last run ended. */
enum epoch_found {
	EPOCH_NONE, /* no file: there was no run, or the file was deleted */
	EPOCH_CLEAN,
	EPOCH_OPEN,
	EPOCH_SPOILT, /* the lines of the file that can be read are kept */
};

extern const char *const epoch_found_names[];

/* Reads the file; true as well if there is no file.  false with err and errno
 * if it cannot be read, or was written by a newer ringtickd. */
bool epoch_load(struct epochs *e, const char *directory, const char *name,
		enum epoch_found *out, char *err, size_t err_len);

/*
 * Which part of the file `is` an earlier run has brought to the disk, by its
 * last fdatasync that is known: *out has the bytes and records.  false if that
 * is not known, or if the file is not the one that the run has left.
 */
bool epoch_synced(const struct epochs *e, enum epoch_found found,
		  const struct epoch_file *is, struct epoch_file *out);

/* The state that a run finds at its start. */
struct epoch_run {
	uint64_t settings;
	uint64_t at_least; /* later than every earlier epoch: for the case that
			      the last epoch is not known */
	int32_t day;
	struct epoch_file files[EPOCH_FILES]; /* oldest first; without
						 `since` */
	unsigned files_cnt;
};

/*
 * Begins a run and stores that: in the next epoch if the last run did not end
 * well or had other settings, or if a file is shorter than at its end, or has
 * other records (*out_is_changed).  Sets e->files, with their `since`.  false
 * with err and errno if it cannot be stored.
 */
bool epoch_begin(struct epochs *e, const char *directory, const char *name,
		 enum epoch_found found, const struct epoch_run *run,
		 bool *out_is_changed, char *err, size_t err_len);

/* The open run will continue in a file that already has records: adds the file,
 * and stores e.  0 or -errno. */
int epoch_note_file(struct epochs *e, const char *directory, const char *name,
		    struct epoch_file file);

/* Begins the next epoch while the daemon runs.  begins: the records left in
 * each file that claims can be for, oldest first; their `epoch` is not used.
 * The caller must store e. */
void epoch_next(struct epochs *e, const struct epoch_begin *begins,
		unsigned cnt);

/* Stores e while the run continues.  0 or -errno. */
int epoch_store(const struct epochs *e, const char *directory,
		const char *name);

/* Stores e at a clean end of the run.  0 or -errno. */
int epoch_end(const struct epochs *e, const char *directory, const char *name);

/*
 * How many of the `records` that a day's file has now it also had in an epoch:
 * *out, counted from the first one.  false if that is not known: then not even
 * the first record is sure to be the same.
 */
bool epoch_sure_records(const struct epochs *e, uint64_t epoch, int32_t day,
			uint64_t records, uint64_t *out);

#endif
