/*
 * `ringtick log --replay`: publishes records of a journal again.
 *
 * Owns the connection and what is gathered for one send.  Every function that
 * fails has told why on stderr.  Called by log.c.
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
	struct client_target target; /* set by the caller, and speed */
	double speed; /* of the gaps between times; 0: as fast as possible */
	struct client client;
	bool is_ending; /* a signal came; what was begun is sent */
	int64_t start_ns; /* monotonic, when the first with a time was sent */
	int64_t passed_ns; /* of the journal's time since then: ... */
	/* ... what a time of each type is less that; times of day grow past
	 * midnight. */
	int64_t base_ns[REPLAY_TYPES];
	bool has_base[REPLAY_TYPES];
	int64_t open_ns, told_ns;
	uint64_t at_off, file_len; /* how far in the file, set by the caller */
	bool is_telling; /* progress, on a terminal */
	uint64_t refused;
	struct kinds kinds;
	uint64_t records, rows, bytes;
	size_t len; /* bytes gathered */
	uint8_t batch[REPLAY_BATCH_BYTES];
};

/* 0 or -errno. */
int log_replay_open(struct log_replay *r);

/*
 * Sends the record, when its time has come; 0 or -errno.  The first of each
 * kind is sent synchronously; those like one that was refused are not sent.
 */
int log_replay_record(struct log_replay *r, const struct journal_record *record,
		      const struct log_payload *payload, uint64_t number);

/*
 * Unless err is not 0, waits until the server has taken all; prints the sum,
 * and what was refused, closes.  The exit status.
 */
int log_replay_close(struct log_replay *r, int err);

#endif
