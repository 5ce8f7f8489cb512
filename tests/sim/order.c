/*
 * What subscribers have seen, against the order, as soon as that is known.
 */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "subscriber.h"

bool
order_has_filter(struct selection sel)
{
	for (unsigned i = 0; i < TABLES; i++)
		if (sel.symbols[i] != SYMBOLS_ALL)
			return true;
	return false;
}

bool
order_sees_all(struct selection sel)
{
	return sel.tables == TABLES_ALL && !order_has_filter(sel);
}

/* In batches the order is one of each table. */
static unsigned
lane_of(struct update u)
{
	return world.is_batched ? update_table(u) : 0;
}

static unsigned
lanes(void)
{
	return world.is_batched ? TABLES : 1;
}

static void
set_place(struct subscriber *s, int32_t day, uint64_t idx)
{
	s->day = day;
	for (unsigned i = 0; i < TABLES; i++)
		s->idx[i] = idx;
	s->passed = idx;
}

/* The first record of a lane from the place on that the selection wants. */
static bool
find_wanted(const struct subscriber *s, unsigned lane, uint64_t *idx,
	    struct update *u)
{
	int64_t stamp_ns;

	for (*idx = s->idx[lane]; judge_knows(s->day, *idx, u, &stamp_ns);
	     (*idx)++)
		if (lane_of(*u) == lane && update_fits(*u) &&
		    update_is_wanted(*u, s->items_sel))
			return true;
	return false;
}

uint64_t
order_lacks(const struct subscriber *s)
{
	uint64_t first = UINT64_MAX, idx;
	struct update u;

	if (s->is_adrift)
		return first;
	for (unsigned lane = 0; lane < lanes(); lane++)
		if (find_wanted(s, lane, &idx, &u))
			first = min_u64(first, idx);
	return first;
}

/* Whether the next record of the selection is known, and then it is the item's:
 * else some other one was left out, or came twice. */
static bool
pass_update(struct subscriber *s, const struct item *item)
{
	unsigned lane = lane_of(item->u);
	struct update u;
	uint64_t idx;

	if (!world.is_batched && order_sees_all(s->items_sel) &&
	    s->idx[0] == judge_count(s->day))
		judge_tell(s->day, s->idx[0], item->u, item->stamp_ns);
	if (!find_wanted(s, lane, &idx, &u))
		return false;
	SIM_CHECK(u.feed == item->u.feed && u.number == item->u.number,
		  "%s gets update %u of feed %u, and record %" PRIu64
		  " of day %d is %u of %u",
		  s->c.user, item->u.number, item->u.feed, idx, s->day,
		  u.number, u.feed);
	judge_tell(s->day, idx, item->u, item->stamp_ns);
	account_placed(subscriber_id(s), item->port, s->day, idx, u);
	SIM_CHECK(world.after == AFTER_RING || world_has_disk_trouble() ||
			  judge_has_written(s->day, idx,
					    world.after == AFTER_SYNC),
		  "%s gets record %" PRIu64 " of day %d before it is %s",
		  s->c.user, idx, s->day,
		  world.after == AFTER_SYNC ? "on the disk" : "in the file");
	s->idx[lane] = idx + 1;
	s->passed++;
	return true;
}

/* The end of a day after which it is, and which it may not have seen whole. */
static bool
skip_to_end(struct subscriber *s, const struct item *item)
{
	SIM_CHECK(item->day >= s->day, "%s is in day %d and gets the end of %d",
		  s->c.user, s->day, item->day);
	set_place(s, judge_day_after(item->day), 0);
	return true;
}

/* It was told that all records left out are among these; with all tables these
 * are all. */
static bool
pass_skips(struct subscriber *s, const struct item *item)
{
	uint64_t idx;

	if (judge_count(s->day) < item->end_idx)
		return false;
	idx = order_lacks(s);
	SIM_CHECK(order_sees_all(s->items_sel) && order_fits_all() &&
				  !world.is_batched
			  ? idx == item->idx
			  : idx >= item->idx,
		  "%s is told that records from %" PRIu64 " to %" PRIu64
		  " are left out, and %" PRIu64 " is",
		  s->c.user, item->idx, item->end_idx, idx);
	for (unsigned i = 0; i < TABLES; i++) {
		SIM_CHECK(s->idx[i] <= item->end_idx,
			  "%s is told of skips before its place", s->c.user);
		s->idx[i] = item->end_idx;
	}
	s->passed = item->end_idx;
	return true;
}

bool
order_fits_all(void)
{
	return (schema.lacks | schema.mistyped | schema.widened) == 0;
}

static bool
pass_end(struct subscriber *s, const struct item *item)
{
	if (s->policy == POLICY_SKIP)
		return skip_to_end(s, item);
	SIM_CHECK(item->day == s->day, "%s is in day %d and gets the end of %d",
		  s->c.user, s->day, item->day);
	/* Older records that do not fit the schema any more are left out. */
	if (!judge_tell_end(s->day,
			    order_sees_all(s->items_sel) && order_fits_all()
				    ? s->passed
				    : UINT64_MAX))
		return false;
	SIM_CHECK(order_lacks(s) == UINT64_MAX,
		  "%s gets the end of day %d before its record %" PRIu64,
		  s->c.user, s->day, order_lacks(s));
	set_place(s, judge_day_after(s->day), 0);
	return true;
}

/* Its selection changed at a record: up to there it has had all of the old one.
 */
static bool
pass_change(struct subscriber *s, const struct item *item)
{
	if (judge_count(item->day) < item->idx)
		return false;
	/* A reply that was skipped over comes after the end of its day. */
	if (s->policy == POLICY_SKIP && item->day < s->day) {
		s->items_sel = item->sel;
		return true;
	}
	SIM_CHECK(item->day == s->day && (order_lacks(s) >= item->idx ||
					  s->policy == POLICY_SKIP),
		  "%s changes its selection at record %" PRIu64
		  ", and lacks record %" PRIu64,
		  s->c.user, item->idx, order_lacks(s));
	s->items_sel = item->sel;
	/* It may have been told already that records after it are left out. */
	set_place(s, item->day,
		  max_u64(item->idx, s->policy == POLICY_SKIP ? s->passed : 0));
	return true;
}

/* A question is answered after all that was published before it. */
static bool
pass_answer(const struct subscriber *s, const struct item *item)
{
	if (judge_count(item->day) < item->idx)
		return false;
	/* With publish.after = "sync" what is in the file may not be published
	 * yet. */
	SIM_CHECK(s->policy == POLICY_SKIP || world.after == AFTER_SYNC ||
			  (item->day == s->day && order_lacks(s) >= item->idx),
		  "%s is answered after record %" PRIu64
		  ", and lacks record %" PRIu64,
		  s->c.user, item->idx, order_lacks(s));
	return true;
}

static bool
pass(struct subscriber *s, const struct item *item)
{
	switch (item->kind) {
	case ITEM_UPDATE:
		return pass_update(s, item);
	case ITEM_END:
		return pass_end(s, item);
	case ITEM_SKIPS:
		return pass_skips(s, item);
	case ITEM_CHANGE:
		return pass_change(s, item);
	case ITEM_ANSWER:
		return pass_answer(s, item);
	case ITEM_JUMP:
		s->items_sel = item->sel;
		set_place(s, item->day, item->idx);
		return true;
	}
	return true;
}

void
order_check(struct subscriber *s)
{
	const struct item *items = (const void *)s->items.at;
	size_t n = 0, many = s->items.len / sizeof(*items);

	if (s->is_adrift)
		n = many;
	while (n < many && pass(s, &items[n]))
		n++;
	bytes_drop(&s->items, n * sizeof(*items));
}

void
subscribers_check(void)
{
	for (unsigned i = 0; i < subscribers_cnt; i++)
		order_check(&subscribers[i]);
}

void
order_add(struct subscriber *s, struct item item)
{
	item.port = s->c.socket->port;
	bytes_add(&s->items, &item, sizeof(item));
	order_check(s);
}
