/*
 * `ringtick log --replay`: publishes records of a journal again.
 *
 * Owns the connection and what is gathered for one send.  Every function that
 * fails has told why on stderr.  Called by logtool.c.
 */
#ifndef RINGTICK_REPLAY_H
#define RINGTICK_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client.h"
#include "journal_file.h"
#include "payload.h"

enum { REPLAY_BATCH_BYTES = 256 << 10 };

struct replay {
	struct client_target target; /* set by the caller, and speed */
	double speed; /* of the gaps between times; 0: as fast as possible */
	struct client client;
	bool is_ending; /* a signal came; what was begun is sent */
	bool has_start;
	int64_t first_ns; /* the time in the first record that has one */
	int64_t start_ns; /* monotonic, when that was sent */
	int64_t open_ns;
	uint64_t records, rows, bytes;
	size_t len; /* bytes gathered */
	uint8_t batch[REPLAY_BATCH_BYTES];
};

/* 0 or -errno. */
int replay_open(struct replay *r);

/*
 * Sends the record, when its time has come; 0 or -errno.  The first of each
 * table is to be sent with is_sync, so that a refusal is told.
 */
int replay_record(struct replay *r, const struct journal_record *record,
		  const struct payload *payload, uint64_t number, bool is_sync);

/*
 * Unless err is not 0, waits until the server has taken all; prints the sum,
 * closes.  The exit status.
 */
int replay_close(struct replay *r, int err);

#endif
