/*
 * The policy for slow consumers, as a pure function of bytes and time.
 *
 *            lag > leave mark              lag < return mark
 *     live ------------------> slow ---------------------------> live
 *                               |
 *                  by policy:   spill (to the journal) | disconnect |
 *                                          skip | block (hold the feeds)
 *
 * Two marks, so that a consumer near one of them does not flap.
 */
#ifndef RINGTICK_CLIENT_SLOW_POLICY_H
#define RINGTICK_CLIENT_SLOW_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "config/settings.h"

enum lag_action {
	LAG_NOTHING,
	LAG_HOLD,	/* policy "block": take no updates from feeds until the
			   next look */
	LAG_LEAVE,	/* policy "spill": serve it from the journal */
	LAG_SKIP,	/* policy "skip": move the consumer to the head */
	LAG_DISCONNECT, /* policy "disconnect" */
	LAG_EXPEL,	/* policy "block", feeds were held for block_limit */
};

struct lag_limits {
	unsigned leave_percent;	 /* of the ring's size */
	unsigned return_percent; /* below leave_percent */
	int64_t block_limit_ns;
};

struct lag_state {
	bool is_slow;
	int64_t slow_since_ns; /* monotonic; valid while is_slow */
};

/*
 * Judges a consumer that lags lag_bytes in a ring of ring_bytes, and updates
 * *state.  now_ns is monotonic.
 */
enum lag_action lag_judge(struct lag_state *state,
			  const struct lag_limits *limits,
			  enum slow_policy policy, uint64_t lag_bytes,
			  uint64_t ring_bytes, int64_t now_ns);

/* A user's policy; never "spill" if there is no journal. */
enum slow_policy lag_policy_of(const struct settings *s,
			       const struct rights *rights);

/* How long a user's consumer may be served from the journal, in ns; 0: no
 * limit. */
int64_t lag_spill_limit_of(const struct settings *s,
			   const struct rights *rights);

#endif
