/*
 * The two forms of an accepted update, and the way from one to the other:
 *
 *   frame    IPC header | (`upd;`trade; | +`time`sym`price! | (columns))
 *   record                (`upd;`trade;                     | (columns))
 *
 * Subscribers get the frame, the journal has the record (tick-contract.md 2.7,
 * 3).  What differs is constant for a table, so that either is the other's
 * bytes with another beginning.
 */
#ifndef RINGTICK_SCHEMA_RECORD_H
#define RINGTICK_SCHEMA_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "schema/schema.h"

/* The table of a published frame that is no mark. Such a frame is ours: the
 * table exists. */
const struct schema_table *record_table(const struct schema *schema,
					const uint8_t *frame);

/* Bytes that a frame of the table is longer than its record. */
size_t record_saves(const struct schema_table *t);

/* Writes the record of a frame. Returns its length. */
size_t record_from_frame(const struct schema_table *t, const uint8_t *frame,
			 size_t frame_len, uint8_t *at);

/* Writes the frame of a record that record_from_frame made, record_saves more
 * bytes than the record has. */
void record_to_frame(const struct schema_table *t, const uint8_t *record,
		     size_t record_len, uint8_t *at);

/* Bytes of a frame, or of a record, that are constant for the table (but for
 * the frame's length): what follows is the same in both. */
size_t record_frame_start_len(const struct schema_table *t);
size_t record_start_len(const struct schema_table *t);

/* Writes the first record_frame_start_len bytes of a record's frame. */
void record_write_frame_start(const struct schema_table *t, size_t record_len,
			      uint8_t *at);

#endif
