/*
 * Time and randomness, as the daemon asks for them.  Asking takes a moment: so
 * that work which is bounded by a clock ends.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

#include "base/clock.h"
#include "sim.h"
#include "wrap.h"

enum { ASKING_NS = 20 };

WRAP(int, clock_gettime, clockid_t clock, struct timespec *out)
{
	int64_t ns = sim_now_ns();

	(void)REAL(clock_gettime);
	sim_spend(ASKING_NS);
	if (clock == CLOCK_REALTIME)
		ns = sim_utc_ns() + CLOCK_KDB_EPOCH_S * NS_PER_S;
	*out = (struct timespec){ .tv_sec = ns / NS_PER_S,
				  .tv_nsec = ns % NS_PER_S };
	return 0;
}

WRAP(int, nanosleep, const struct timespec *time, struct timespec *rest)
{
	(void)REAL(nanosleep);
	(void)rest;
	sim_spend(time->tv_sec * NS_PER_S + time->tv_nsec);
	return 0;
}

WRAP(ssize_t, getrandom, void *at, size_t len, unsigned flags)
{
	(void)REAL(getrandom);
	(void)flags;
	for (size_t i = 0; i < len; i += 8) {
		uint64_t r = sim_random();

		memcpy((char *)at + i, &r, (size_t)min_u64(8, len - i));
	}
	return (ssize_t)len;
}
