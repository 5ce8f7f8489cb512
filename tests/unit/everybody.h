/*
 * The rights of a client who may do all, for tests without a configuration.
 */
#ifndef RINGTICK_TESTS_EVERYBODY_H
#define RINGTICK_TESTS_EVERYBODY_H

#include "config/rights.h"

static const struct rights everybody = {
	.may = RIGHT_ASK | RIGHT_PAST | RIGHT_ADMINISTER,
	.publishes_all = true,
	.publish = { UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX },
	.subscribe = { UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX },
	.policy = -1,
	.spill_limit = -1,
};

#endif
