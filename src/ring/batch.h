/*
 * Batches: what has become visible of the main stream goes into the others as
 * one message of each table, with all rows, in the order of the tables' names
 * (tick-contract.md 2.5).
 *
 *   main stream    t q t t q | t q q t | t t        | where it became visible
 *   a stream       [q  ][t  ]  [q ][t ]  [t ]
 *
 * A batch ends where the main stream's visible part does, at a mark, where it
 * would be longer than a unit may be, or where another stream goes on.
 */
#ifndef RINGTICK_RING_BATCH_H
#define RINGTICK_RING_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ring/selection.h"
#include "schema/row_ops.h"

struct streams;

/* Batches have unit_max bytes at most, or are one update.  0 or -ENOMEM. */
int batch_open(struct streams *all, size_t message_max, size_t unit_max);

/* Accepts what was never opened. */
void batch_close(struct streams *all);

/* Bytes that batch_open would take. */
uint64_t batch_memory(size_t message_max);

/* Feeds those at all->group, from one place in the main stream to another. */
void batch_feed(struct streams *all, uint64_t from, uint64_t to,
		int64_t now_ns);

/* Writes a message that is a batch alone, for who has all its rows.  Returns
 * its length, at most the frame's. */
size_t batch_write_alone(const struct schema_table *t, const uint8_t *frame,
			 uint8_t *at);

/* ---- one batch by hand, for one selection ---- */

void batch_start(struct streams *all);

/*
 * Takes in the rows of a message whose frame has frame_len bytes; they must
 * stay until batch_write.  false if the batch could then have more than max
 * bytes, or has too many messages.  max is message_max at most.
 */
bool batch_take(struct streams *all, const struct schema_table *t,
		struct rows rows, size_t frame_len, size_t max);

/* Writes what the selection leaves of the batch, at most the bytes that
 * batch_take allowed. Returns their number. */
size_t batch_write(struct streams *all, const struct selection *selection,
		   uint8_t *at);

#endif
