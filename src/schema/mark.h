/*
 * (`.u.end;day), asynchronous (tick-contract.md 2.3): the end of a day among
 * published frames.  Pure.
 */
#ifndef RINGTICK_SCHEMA_MARK_H
#define RINGTICK_SCHEMA_MARK_H

#include <stdint.h>

enum { MARK_BYTES = 27 };

void mark_write(uint8_t *at, int32_t day);

/* The day that a mark ends. */
int32_t mark_day(const uint8_t *frame);

#endif
