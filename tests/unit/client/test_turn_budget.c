#include "config.h"

#include "client/turn_budget.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/util.h"

static int64_t now_ns;
static unsigned looks;
static struct budget budget;

static int64_t
clock_ns(void)
{
	looks++;
	return now_ns;
}

static int
start(void **state)
{
	(void)state;
	now_ns = 5 * NS_PER_S;
	looks = 0;
	budget = (struct budget){ .clock_ns = clock_ns };
	budget_begin_turn(&budget, now_ns);
	return 0;
}

/* Work of any kind ends a share; the next share is whole. */
static void
test_share_of_steps(void **state)
{
	unsigned frames = 0;

	(void)state;
	for (; !budget_is_spent(&budget); frames++)
		budget_charge_bytes(&budget, 10);
	assert_int_equal(frames, BUDGET_SHARE_STEPS / BUDGET_FRAME_STEPS);
	assert_false(budget_was_dear(&budget));
	budget_begin_share(&budget);
	assert_false(budget_is_spent(&budget));
	budget_charge_bytes(&budget, BUDGET_SHARE_STEPS * BUDGET_STEP_BYTES);
	assert_true(budget_is_spent(&budget));
	budget_begin_share(&budget);
	budget_charge(&budget, BUDGET_DEAR_STEPS);
	assert_true(budget_was_dear(&budget));
	budget_begin_share(&budget);
	assert_false(budget_was_dear(&budget));
	/* a few reads of the clock for all that */
	assert_in_range(looks, 1, 4 * BUDGET_SHARE_STEPS / BUDGET_LOOK_STEPS);
}

/* Slow steps end the share sooner, and finally the turn. */
static void
test_share_of_time(void **state)
{
	(void)state;
	budget_charge(&budget, BUDGET_LOOK_STEPS);
	assert_false(budget_is_spent(&budget));
	now_ns += BUDGET_SHARE_US * NS_PER_US;
	budget_charge(&budget, BUDGET_LOOK_STEPS - 1);
	assert_false(budget_is_spent(&budget));
	budget_charge(&budget, 1);
	assert_true(budget_is_spent(&budget));
	budget_begin_share(&budget);
	assert_false(budget_is_spent(&budget));
	now_ns += BUDGET_TURN_US * NS_PER_US;
	budget_charge(&budget, BUDGET_LOOK_STEPS);
	budget_begin_share(&budget);
	assert_true(budget_is_spent(&budget));
	budget_begin_turn(&budget, now_ns);
	assert_false(budget_is_spent(&budget));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_share_of_steps, start),
		cmocka_unit_test_setup(test_share_of_time, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
