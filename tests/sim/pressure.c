/*
 * Pressure: settings so small that their limits are reached, and ends of the
 * daemon in the moments in which much is going on.
 */
#include "config.h"

#include <stdio.h>

#include "base/clock.h"
#include "world.h"

static struct {
	unsigned leave_percent, return_percent;
	/* What waits for a cue. */
	void (*run)(void *who, uint64_t what);
	enum cue cue;
	bool has_filled; /* the journal's buffer */
	bool has_pauses; /* of the process */
} pressure;

/* ---- settings ---- */

void
pressure_put_slow(char *to, size_t room)
{
	static const unsigned leave[] = { 75, 75, 50, 25 };

	pressure.leave_percent = leave[sim_below(ARRAY_LEN(leave))];
	pressure.return_percent =
		pressure.leave_percent / (2 + (unsigned)sim_below(3));
	(void)snprintf(to, room, "leave_percent = %u; return_percent = %u;",
		       pressure.leave_percent, pressure.return_percent);
}

void
pressure_put_groups(char *to, size_t room)
{
	unsigned span_kb, buffers, timeout_s;

	/* Long ones wait for a buffer, and for much room. */
	if (world.starts == 0 && messages_big_rows == 0 && sim_chance(300))
		messages_big_rows = world.ring_kb * 4;
	timeout_s = sim_chance(500) ? 30 : 5;
	buffers = 2 + (unsigned)sim_below(3);
	span_kb = 4u << sim_below(9);
	(void)snprintf(to, room,
		       "engine = { span_max = \"%uK\"; };\n"
		       "message = { buffers = %u; timeout = \"%us\"; };\n",
		       span_kb, buffers, timeout_s);
}

uint64_t
pressure_leave_bytes(void)
{
	return world.ring_kb * UINT64_C(1024) / 100 * pressure.leave_percent;
}

unsigned
pressure_return_percent(void)
{
	return pressure.return_percent;
}

/* ---- a process that is stopped ---- */

/* For longer than most limits of time, or only a little. */
static void
stop_process(void)
{
	int64_t for_ns = sim_between(NS_PER_MS, NS_PER_S << sim_below(5));

	if (world.is_ending || !process_is_running())
		return;
	sim_trace("the process is stopped for %lld ms",
		  (long long)for_ns / NS_PER_MS);
	world.paused_until_ns = sim_now_ns() + for_ns;
	world.watchdog_ns = world.paused_until_ns;
	world.stop_ns += for_ns;
	if (world.sync_failed_ns != 0)
		world.sync_failed_ns += for_ns;
}

static void
pause_process(void *who, uint64_t what)
{
	bool is_kept = sim_act();

	(void)who;
	(void)what;
	sim_at(world_after(sim_between(NS_PER_S, 300 * NS_PER_S)),
	       pause_process, NULL, 0);
	if (is_kept)
		stop_process();
}

int64_t
world_paused_until_ns(void)
{
	return world.paused_until_ns;
}

/* ---- storms ---- */

/* More than some rings hold, less than others: all of it costs the simulation
 * time. */
enum { STORM_BYTES = 256 << 10, BIG_STORM_BYTES = 10 << 20, BIG_ROWS = 8000 };

/* Longer than the limits of policies. */
#define STORM_NS (8 * NS_PER_S)

static void
end_storm(void *who, uint64_t what)
{
	(void)who;
	(void)what;
	subscribers_go_on();
}

static void
end_day(void *who, uint64_t what)
{
	(void)who;
	(void)what;
	askers_end_day();
}

static void
stop_in_storm(void *who, uint64_t what)
{
	(void)who;
	(void)what;
	stop_process();
}

static void
storm(void *who, uint64_t what)
{
	bool is_kept = sim_act();
	int64_t for_ns = sim_between(NS_PER_MS, STORM_NS);
	size_t bytes = STORM_BYTES;

	(void)who;
	(void)what;
	sim_at(world_after(for_ns + sim_between(NS_PER_S, 300 * NS_PER_S)),
	       storm, NULL, 0);
	if (!is_kept || world.is_ending || !process_is_running())
		return;
	sim_trace("a storm of %lld ms", (long long)for_ns / NS_PER_MS);
	subscribers_stall();
	/* Once the journal's buffer, too, if the disk is slow. */
	if (messages_big_rows >= BIG_ROWS && !pressure.has_filled) {
		pressure.has_filled = true;
		bytes = BIG_STORM_BYTES;
		if (sim_chance(500))
			world_slow_disk(for_ns);
	}
	feeds_flood(bytes / feeds_cnt());
	if (sim_chance(300))
		sim_at(sim_now_ns() + sim_between(0, for_ns >> sim_below(8)),
		       end_day, NULL, 0);
	sim_at(sim_now_ns() + for_ns, end_storm, NULL, 0);
	/* In the middle of what they send. */
	if (pressure.has_pauses && sim_chance(500))
		sim_at(sim_now_ns() + sim_between(0, 5 * NS_PER_MS),
		       stop_in_storm, NULL, 0);
}

void
pressure_open(void)
{
	pressure.has_pauses = world_enter(ACTOR_PAUSE) && sim_chance(500);
	if (pressure.has_pauses)
		sim_at(sim_now_ns() + sim_between(0, 200 * NS_PER_S),
		       pause_process, NULL, 0);
	if (world_enter(ACTOR_STORM) && sim_chance(600))
		sim_at(sim_now_ns() + sim_between(0, 100 * NS_PER_S), storm,
		       NULL, 0);
}

/* ---- moments ---- */

void
pressure_await(void (*run)(void *who, uint64_t what))
{
	pressure.run = run;
	pressure.cue = sim_chance(300) ? CUE_BURST : sim_below(CUES);
}

void
pressure_cue(enum cue cue)
{
	unsigned before;

	if (pressure.run == NULL || pressure.cue != cue)
		return;
	before = sim_use_stream(ACTOR_CRASH);
	sim_at(sim_now_ns() + sim_between(0, 300 * NS_PER_US), pressure.run,
	       NULL, 0);
	(void)sim_use_stream(before);
	pressure.run = NULL;
}

bool
pressure_is_awaited(void)
{
	return pressure.run != NULL;
}

void
pressure_forget(void)
{
	pressure.run = NULL;
}
