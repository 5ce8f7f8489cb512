/*
 * Which records of a journal are sent to a subscriber: all records that this
 * run writes, and those from before this run that fit its settings.  A client
 * counts the records that it is sent, so its count means the same in two runs
 * only if the same records fit in both.  Pure.
 */
#ifndef RINGTICK_JOURNAL_SETTINGS_HASH_H
#define RINGTICK_JOURNAL_SETTINGS_HASH_H

#include <stdint.h>

#include "config/settings.h"

/* A hash of all settings that decide which records fit: if it is equal in two
 * runs, the same records fit in both. */
uint64_t settings_hash(const struct settings *settings);

#endif
