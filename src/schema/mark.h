/*
 * A mark: the frame (`.u.end;day), asynchronous (tick-contract.md 2.3), which
 * ends a day among the published frames.  Days count from 2000.01.01.  Pure.
 */
#ifndef RINGTICK_SCHEMA_MARK_H
#define RINGTICK_SCHEMA_MARK_H

#include <stdint.h>

enum { MARK_BYTES = 27 };

/* Writes MARK_BYTES bytes. */
void mark_write(uint8_t *at, int32_t day);

/* The day that a mark ends.  Only for a frame that mark_write wrote. */
int32_t mark_day(const uint8_t *frame);

#endif
