/*
 * The straddle self-test: a real kdb+ message is put across the ring's seam,
 * sent by the real engine from the registered buffer over a socket pair, and
 * compared byte for byte.  It proves, on this machine, with this kernel and
 * these limits, the property on which the whole design rests.
 */
#ifndef RINGTICK_DAEMON_SELFTEST_H
#define RINGTICK_DAEMON_SELFTEST_H

#include <stdbool.h>
#include <stddef.h>

#include "config/settings.h"
#include "io/engine.h"
#include "ring/ring.h"

/*
 * Uses slots 0 and 1 of the engine and bytes around the ring's seam; the ring
 * must be registered and empty.  The message starts `before` bytes before the
 * seam.  false, with the reason in err.
 */
bool selftest_straddle(struct engine *e, const struct ring *ring,
		       size_t before, char *err, size_t err_len);

/* Length of the message that selftest_straddle sends. */
size_t selftest_message_len(void);

/*
 * ringtickd --self-test: rings and engines of its own, in both modes, at every
 * offset around the seam; a line for each mode on stdout.  Returns whether all
 * of them passed.
 */
bool selftest_run(const struct settings *settings);

#endif
