/*
 * A tickerplant in memory: the rules of .u.*, the streams, and cursors in place
 * of subscribers.  For bench/worst_message_cost.c and bench/filter_cost.c.
 */
#ifndef RINGTICK_BENCH_TICK_IN_MEMORY_H
#define RINGTICK_BENCH_TICK_IN_MEMORY_H

#include "base/util.h"
#include "tick/dispatch.h"

static struct settings settings;
static struct counters counters;
static struct journal_state journal;
static struct history history;
static struct streams streams;
static struct tick tick;
static struct cursor cursors[1001];
static unsigned cursors_cnt;

static void
attach(const struct selection *selection)
{
	/* Each from an address of its own. */
	struct stream *s = streams_find(&streams, selection, cursors_cnt);

	CHECK(s != NULL && cursors_cnt < ARRAY_LEN(cursors));
	cursor_attach(&cursors[cursors_cnt++], s, s->visible_pos);
}

static void
open_tick(const struct streams_options *options)
{
	CHECK(streams_open(&streams, &settings.tables, options) == 0);
	CHECK(tick_open(&tick, &settings, &streams, &counters, &journal,
			&history) == 0);
	CHECK(tick_set_time(&tick, (int64_t)tick.day * NS_PER_DAY, 1));
}

static void
close_tick(void)
{
	while (cursors_cnt > 0)
		streams_detach(&cursors[--cursors_cnt]);
	tick_close(&tick);
	streams_close(&streams);
}

#endif
