/*
 * The operator of the doors: writes another version, asks the daemon to read it
 * by a signal, or as an administrator, and makes mistakes.  And what befalls
 * ringtick-login meanwhile.
 */
#include "config.h"

#include <signal.h>

#include "doors.h"

static void
draw_login_faults(void)
{
	static const struct login_faults none;

	login_faults = none;
	login_faults.slow_ns = NS_PER_MS << sim_below(13);
	if (sim_chance(500))
		return;
	login_faults.spawn_per_mille = 100;
	login_faults.fail_per_mille = (unsigned)sim_below(300);
	login_faults.mute_per_mille = 100;
	login_faults.die_per_mille = (unsigned)sim_below(200);
	login_faults.odd_per_mille = (unsigned)sim_below(50);
	login_faults.unknown_per_mille = (unsigned)sim_below(200);
}

static void
write_version(bool is_broken)
{
	unsigned number = doors_write(is_broken);

	setup_rewrite(is_broken && !doors_refuse_last());
	sim_trace("the operator writes version %u%s", number,
		  is_broken ? ", which is broken" : "");
}

static void
ask_daemon(void)
{
	if (sim_chance(400) && askers_reload())
		return;
	doors_ask_reload();
	process_signal(SIGHUP);
}

/* Mostly both; several, of which the daemon must see the last. */
static void
act(void)
{
	unsigned times = sim_chance(100) ? 4 : 1;

	if (sim_chance(300))
		draw_login_faults();
	for (; times > 0; times--) {
		if (sim_chance(800))
			write_version(sim_chance(200));
		ask_daemon();
	}
}

static void
tick(void *who, uint64_t what)
{
	bool is_kept = sim_act();

	(void)who;
	(void)what;
	if (world.is_ending)
		return;
	sim_at(world_after(sim_between(1, 60 * NS_PER_S >>
					      2 * sim_below(6))),
	       tick, NULL, 0);
	if (is_kept && process_is_running() && process_is_told_ready() &&
	    (!world.is_stopping || sim_chance(100)))
		act();
}

void
operator_open(void)
{
	if (!world_enter(ACTOR_OPERATOR) || !world.doors.is_on)
		return;
	draw_login_faults();
	if (world.doors.has_reloads)
		sim_at(sim_now_ns() + sim_between(0, 60 * NS_PER_S), tick,
		       NULL, 0);
}

void
operator_stops_daemon(void)
{
	if (world.doors.has_reloads && !world.is_ending && sim_chance(300))
		process_signal(SIGHUP);
}

void
operator_stop(void)
{
	static const struct login_faults none;

	login_faults = none;
	if (!world.doors.is_on || !process_is_running() || world.is_stopping)
		return;
	write_version(false);
	doors_ask_reload();
	process_signal(SIGHUP);
}
