/*
 * The two forms of an accepted update, and the way from one to the other:
 *
 *   frame    IPC header | (`upd;`trade; | +`time`sym`price! | (columns))
 *   record                (`upd;`trade;                     | (columns))
 *
 * Subscribers get the frame, the journal has the record (tick-contract.md 2.7,
 * 3).  The bytes before the columns are constant for a table but for the
 * frame's length, so that each form is the other with another start.  The
 * columns are the same bytes in both.  All lengths are in bytes.  Pure.
 */
#ifndef RINGTICK_SCHEMA_RECORD_H
#define RINGTICK_SCHEMA_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "schema/schema.h"

/* The table of a published frame that is not a mark.  Only for frames that this
 * process made with that schema: their table exists. */
const struct schema_table *record_table(const struct schema *schema,
					const uint8_t *frame);

/* How much shorter a record of the table is than its frame. */
size_t record_saves(const struct schema_table *t);

/* Writes the record of a frame.  Returns its length, frame_len less
 * record_saves.  The two must not overlap. */
size_t record_from_frame(const struct schema_table *t, const uint8_t *frame,
			 size_t frame_len, uint8_t *at);

/* Writes the frame of a record that record_from_frame made: record_len and
 * record_saves more bytes.  The two must not overlap. */
void record_to_frame(const struct schema_table *t, const uint8_t *record,
		     size_t record_len, uint8_t *at);

/* The length of the start of a frame and of a record: all bytes before the list
 * of columns. */
size_t record_frame_start_len(const struct schema_table *t);
size_t record_start_len(const struct schema_table *t);

/* Writes the start (record_frame_start_len bytes) of a record's frame. */
void record_write_frame_start(const struct schema_table *t, size_t record_len,
			      uint8_t *at);

#endif
