/*
 * Batches: what has become visible of the main stream goes into the others as
 * one message of each table, with all rows, in the order of the tables' names
 * (tick-contract.md 2.5).
 *
 *   main stream    t q t t q | t q q t | t t        | where it became visible
 *   a stream       [q  ][t  ]  [q ][t ]  [t ]
 *
 * A batch ends where the main stream's visible part does, at a mark, where it
 * would be longer than a message may be, or where another stream goes on.
 */
#ifndef RINGTICK_BATCH_H
#define RINGTICK_BATCH_H

#include <stddef.h>
#include <stdint.h>

struct streams;

/* 0 or -ENOMEM. */
int batch_open(struct streams *all, size_t message_max);

/* Accepts what was never opened. */
void batch_close(struct streams *all);

/* Bytes that batch_open would take. */
uint64_t batch_memory(size_t message_max);

/* Feeds those at all->here, from one place in the main stream to another. */
void batch_feed(struct streams *all, uint64_t from, uint64_t to,
		int64_t now_ns);

#endif
