/* The daemon's counters: a struct with one field per row of counters.def. */
#ifndef RINGTICK_CONFIG_COUNTERS_H
#define RINGTICK_CONFIG_COUNTERS_H

#include <stdint.h>

struct counters {
#define COUNTER(name, unit, sentence) uint64_t name;
#include "config/counters.def"
#undef COUNTER
};

#endif
