/*
 * `ringtick log --replay`: publishes records of a journal again.
 *
 * Owns the connection and the bytes gathered for one send.  Every function that
 * fails has said why on stderr.  Called by log.c.
 */
#ifndef RINGTICK_TOOLS_LOG_REPLAY_H
#define RINGTICK_TOOLS_LOG_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "journal/file.h"
#include "tools/client.h"
#include "tools/log_payload.h"
#include "tools/log_replay_kinds.h"

enum { REPLAY_BATCH_BYTES = 256 << 10, REPLAY_TYPES = 20 };

struct log_replay {
	struct client_target target; /* set by the caller, as is speed */
	double speed; /* divides the gaps between times; 0: no gaps */
	struct client client;
	bool is_ending; /* a signal came; only an unfinished message is still
			   sent */
	int64_t start_ns; /* monotonic, when the first record with a time was
			     sent; 0: none yet */
	int64_t passed_ns; /* the journal's time since then */
	/* For each type of time: the value at passed_ns 0.  It is lowered by a
	 * day when times of day pass midnight. */
	int64_t base_ns[REPLAY_TYPES];
	bool has_base[REPLAY_TYPES];
	int64_t open_ns, told_ns;
	uint64_t at_off, file_len; /* progress in the file, set by the caller */
	bool is_telling; /* shows progress, on a terminal */
	uint64_t refused;
	struct kinds kinds;
	uint64_t records, rows, bytes;
	size_t len; /* bytes gathered */
	uint8_t batch[REPLAY_BATCH_BYTES];
};

/* Connects.  0 or -errno. */
int log_replay_open(struct log_replay *r);

/*
 * Sends the record when its time has come.  0 or -errno.  The first record of
 * each kind is sent synchronously; records of a refused kind are not sent.
 */
int log_replay_record(struct log_replay *r, const struct journal_record *record,
		      const struct log_payload *payload, uint64_t number);

/*
 * If err is 0, waits until the server has taken everything.  Then prints the
 * totals and the refused records, and closes the connection.  Returns the exit
 * status.
 */
int log_replay_close(struct log_replay *r, int err);

#endif
