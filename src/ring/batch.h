/*
 * Batches: the updates that have become visible in the main stream are copied
 * to the filtered streams as one message per table, with all its rows, in the
 * order of the tables' names (tick-contract.md 2.5).
 *
 *   main stream    t q t t q | t q q t | t t        | where it became visible
 *   a stream       [q  ][t  ]  [q ][t ]  [t ]
 *
 * A batch ends at the end of the main stream's visible part, before a mark,
 * before the update that would make it longer than unit_max, or at the place up
 * to which other streams have already been fed.
 */
#ifndef RINGTICK_RING_BATCH_H
#define RINGTICK_RING_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ring/selection.h"
#include "schema/row_ops.h"

struct streams;

/* Batches have at most unit_max bytes, unless a batch is a single update.
 * Returns 0 or -ENOMEM; batch_close must follow in either case. */
int batch_open(struct streams *all, size_t message_max, size_t unit_max);

/* Does nothing if batch_open was never called. */
void batch_close(struct streams *all);

/* Bytes of memory that batch_open would map. */
uint64_t batch_memory(size_t message_max);

/* Feeds the streams in all->group with the part [from, to) of the main stream;
 * both are frame boundaries. now_ns is monotonic. */
void batch_feed(struct streams *all, uint64_t from, uint64_t to,
		int64_t now_ns);

/* ---- a batch of one selection, made outside the streams ---- */

void batch_start(struct streams *all);

/*
 * Adds the rows of a message whose frame has frame_len bytes; the rows must
 * stay in memory until batch_write.  Returns false, and adds nothing, if the
 * batch could then exceed max bytes, or if it has too many messages. max is at
 * most message_max.
 */
bool batch_take(struct streams *all, const struct schema_table *t,
		struct rows rows, size_t frame_len, size_t max);

/* Writes the rows of the batch that the selection wants, at most as many bytes
 * as batch_take allowed.  Returns the number of bytes. */
size_t batch_write(struct streams *all, const struct selection *selection,
		   uint8_t *at);

#endif
