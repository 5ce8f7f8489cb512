/*
 * Which records of a journal a subscriber is sent: all that this run writes,
 * and of those from before it the ones that fit.  A client counts what it is
 * sent, so that its count means the same in two runs only if the same fits in
 * both.  Pure.
 */
#ifndef RINGTICK_JOURNAL_FITS_H
#define RINGTICK_JOURNAL_FITS_H

#include <stdint.h>

#include "config/settings.h"

/* The same for two runs in which the same records fit. */
uint64_t fits_fingerprint(const struct settings *settings);

#endif
