#include "config.h"

#include "client/slow_policy.h"

#include <string.h>

#include "base/util.h"

static enum lag_action
action_of(const struct lag_state *state, const struct lag_limits *limits,
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
	return state->is_slow ? action_of(state, limits, policy, now_ns)
			      : LAG_NOTHING;
}

int64_t
lag_spill_limit_of(const struct settings *s, const struct rights *rights)
{
	return rights->spill_limit >= 0 ? rights->spill_limit
					: s->slow.spill_limit;
}

enum slow_policy
lag_policy_of(const struct settings *s, const struct rights *rights)
{
	enum slow_policy policy = rights->policy >= 0
					  ? (enum slow_policy)rights->policy
					  : s->slow.policy;

	if (policy == SLOW_SPILL && s->journal.directory[0] == '\0')
		policy = SLOW_DISCONNECT;
	return policy;
}
