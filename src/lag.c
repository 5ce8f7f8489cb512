#include "config.h"

#include "lag.h"

#include "util.h"

static enum lag_action
act(const struct lag_state *state, const struct lag_limits *limits,
    enum slow_policy policy, int64_t now_ns)
{
	switch (policy) {
	case SLOW_SPILL:
		return LAG_LEAVE;
	case SLOW_DISCONNECT:
		return LAG_DISCONNECT;
	case SLOW_SKIP:
		return LAG_SKIP;
	case SLOW_BLOCK:
		if (now_ns - state->slow_since_ns >= limits->block_limit_ns)
			return LAG_EXPEL;
		return LAG_HOLD;
	}
	return LAG_NOTHING;
}

enum lag_action
lag_judge(struct lag_state *state, const struct lag_limits *limits,
	  enum slow_policy policy, uint64_t lag_bytes, uint64_t ring_bytes,
	  int64_t now_ns)
{
	uint64_t leave = percent_of(ring_bytes, limits->leave_percent);
	uint64_t back = percent_of(ring_bytes, limits->return_percent);

	if (!state->is_slow && lag_bytes > leave) {
		state->is_slow = true;
		state->slow_since_ns = now_ns;
	} else if (state->is_slow && lag_bytes < back) {
		state->is_slow = false;
	}
	return state->is_slow ? act(state, limits, policy, now_ns)
			      : LAG_NOTHING;
}
