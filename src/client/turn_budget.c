#include "config.h"

#include "client/turn_budget.h"

#include "base/util.h"

static void
look_at_clock(struct budget *b)
{
	b->looked_ns = b->clock_ns();
	b->unseen = 0;
	if (b->looked_ns >= b->share_until_ns)
		b->is_share_over = true;
	if (b->looked_ns >= b->turn_until_ns)
		b->is_turn_over = true;
}

void
budget_begin_turn(struct budget *b, int64_t now_ns)
{
	b->looked_ns = now_ns;
	b->turn_until_ns = now_ns + BUDGET_TURN_US * NS_PER_US;
	b->unseen = 0;
	b->is_turn_over = false;
	budget_begin_share(b);
}

void
budget_begin_share(struct budget *b)
{
	b->share_until_ns = b->looked_ns + BUDGET_SHARE_US * NS_PER_US;
	b->used = 0;
	b->is_share_over = false;
}

void
budget_charge(struct budget *b, unsigned steps)
{
	b->used += steps;
	b->unseen += steps;
	if (b->used >= BUDGET_SHARE_STEPS)
		b->is_share_over = true;
	if (b->unseen >= BUDGET_LOOK_STEPS)
		look_at_clock(b);
}

void
budget_charge_bytes(struct budget *b, size_t len)
{
	budget_charge(b, BUDGET_FRAME_STEPS +
				 (unsigned)(len / BUDGET_STEP_BYTES));
}
