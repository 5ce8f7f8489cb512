#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/exits.h"
#include "world.h"

enum { CONFIG_MAX = 8192 };

/* How long all may take to become quiet when the feeds have stopped. */
#define QUIET_NS (600 * NS_PER_S)

/* How long the daemon may take to see that its file was removed, and to bring
 * it back. */
#define BRING_BACK_NS (30 * NS_PER_S)

/* The longest time that a stop takes: stop.timeout, and what follows. */
#define STOP_NS (9 * NS_PER_S)
#define CUT_STOP_NS (20 * NS_PER_MS) /* a crash in a stop comes until then */

struct world world;

/* ---- the configuration ---- */

static const char *const after_names[] = { "ring", "journal", "sync" };
static const char *const sync_names[] = { "none", "interval", "batch" };

static void
draw_settings(void)
{
	world.after = sim_below(3);
	world.sync = sim_below(3);
	world.ring_kb = 64u << sim_below(4);
	if (sim_chance(100)) {
		world.ring_kb = 4096;
		messages_big_rows = 8000;
	}
	world.is_batched = sim_chance(200);
	if (world.is_batched)
		world.interval_ms = 1u << sim_below(11);
	/* With "none" nothing is ever on disk. */
	if (world.after == AFTER_SYNC && world.sync == SYNC_NONE)
		world.sync = SYNC_BATCH;
}

static void
write_configuration(void)
{
	static const unsigned limits_ms[] = { 50, 1000, 5000 };
	char text[CONFIG_MAX], users[2048], slow[64], groups[256];
	unsigned limit = (unsigned)sim_below(3);

	subscribers_put_policies(users, sizeof(users));
	pressure_put_slow(slow, sizeof(slow));
	pressure_put_groups(groups, sizeof(groups));
	world.block_limit_ns = limits_ms[limit] * NS_PER_MS;
	(void)snprintf(
		text, sizeof(text),
		"listen = { port = 5010; unix_socket = false; };\n"
		"connections = { max = 32; receive_buffer = \"%uK\"; };\n"
		"ring = { size = \"%uK\"; };\n"
		"journal = { directory = \"/journal\"; sync = \"%s\";"
		" reserve = %s; };\n"
		"publish = { after = \"%s\"; interval = \"%ums\"; };\n"
		"slow = { block_limit = \"%ums\"; %s users = ( %s ); };\n"
		"log = { report = \"1m\"; };\n"
		"day = { zone = \"utc\"; };\n"
		"%s%s",
		4u << sim_below(5), world.ring_kb,
		sync_names[world.sync], sim_chance(500) ? "true" : "false",
		after_names[world.after], world.interval_ms,
		limits_ms[limit], slow, users, groups, schema_text);
	sim_trace("the configuration:\n%s", text);
	fs_put("/etc/ringtick.conf", text);
}

/* ---- the daemon, from outside ---- */

/* Copies the value of a field of a line of the log. */
static bool
find_field(const char *line, size_t len, const char *name, char *out,
	   size_t room)
{
	const char *at = memmem(line, len, name, strlen(name));
	size_t n = 0;

	if (at == NULL)
		return false;
	at += strlen(name);
	while (at + n < line + len && at[n] != ' ' && n < room - 1)
		n++;
	memcpy(out, at, n);
	out[n] = '\0';
	return true;
}

/* Each end of a connection has a reason that can be so. */
static void
check_end(const char *line, size_t len)
{
	char reason[32], user[32];

	if (memmem(line, len, "event=disconnect ", 17) == NULL ||
	    !find_field(line, len, " reason=", reason, sizeof(reason)) ||
	    !find_field(line, len, " user=", user, sizeof(user)))
		return;
	SIM_CHECK(strcmp(reason, "peer_closed") == 0 ||
			  strcmp(reason, "peer_reset") == 0 ||
			  (strcmp(reason, "stopping") == 0 &&
			   world.is_stopping) ||
			  ((strcmp(reason, "journal") == 0 ||
			    strcmp(reason, "unreadable") == 0) &&
			   world.disk_faults > 0) ||
			  subscribers_may_end(user, reason) ||
			  (memcmp(user, "sub", 3) != 0 &&
			   memcmp(user, "feed", 4) != 0),
		  "%s is ended with reason %s", user, reason);
}

void
world_log(const char *line, size_t len)
{
	while (len > 0 && line[len - 1] == '\n')
		len--;
	sim_trace("log: %.*s", (int)len, line);
	accounts_logged(line, len);
	memory_printed(line, len);
	check_end(line, len);
	subscribers_told(line, len);
	if (memmem(line, len, "event=stop_cut ", 15) != NULL ||
	    (memmem(line, len, "event=unread ", 13) != NULL &&
	     !world.is_stop_plain))
		world.is_cut = true;
	if (memmem(line, len, "event=journal_unnamed ", 22) != NULL)
		(void)find_field(line, len, " copy=", world.rescued,
				 sizeof(world.rescued));
	if (memmem(line, len, "event=journal ", 14) != NULL)
		(void)find_field(line, len, " file=", world.journal,
				 sizeof(world.journal));
	(void)find_field(line, len, " new=", world.journal,
			 sizeof(world.journal));
}

void
world_watchdog(void)
{
	world.watchdog_ns = sim_now_ns();
}

void
world_daemon_ready(void)
{
	world.starts++;
	world.ready_ns = sim_now_ns();
	world.wants_figures = 0;
	world.is_stopping = world.is_cut = false;
	world.watchdog_ns = sim_now_ns();
	sim_trace("the daemon is ready");
	if (world.starts > 1)
		judge_recover(world.has_lost_power);
	world.has_lost_power = false;
}

/* ---- the disk ---- */

static void
heal_disk(void *who, uint64_t what)
{
	(void)who;
	/* A new illness has begun since. */
	if (what != 0 && what != world.disk_faults)
		return;
	disk.is_full = false;
	disk.eio_per_mille = disk.sync_per_mille = disk.short_per_mille = 0;
	disk.slow_ns = 0;
	world.is_disk_ill = false;
	world.healed_ns = sim_now_ns();
}

/* Nothing is lost if it is the file of the running day, and the daemon lives on
 * for long enough to bring it back. */
static void
remove_journal(void)
{
	sim_trace("somebody removes %s", world.journal);
	(void)fs_unlink(world.journal);
	world.removed_ns = sim_now_ns();
}

static void
make_disk_ill(void *who, uint64_t what)
{
	bool is_kept = sim_act();
	int64_t for_ns = sim_between(NS_PER_MS, NS_PER_S << sim_below(5));

	(void)who;
	(void)what;
	sim_at(sim_now_ns() + sim_between(NS_PER_S, 200 * NS_PER_S),
	       make_disk_ill, NULL, 0);
	if (!is_kept || !process_is_running() || world.is_stopping ||
	    world.is_ending)
		return;
	world.disk_faults++;
	world.is_disk_ill = true;
	switch (sim_below(6)) {
	case 0:
		disk.is_full = true;
		break;
	case 1:
		disk.eio_per_mille = 100 + (unsigned)sim_below(900);
		break;
	case 2:
		disk.short_per_mille = (unsigned)sim_below(900);
		break;
	case 3:
		disk.slow_ns = sim_between(NS_PER_MS, 3 * NS_PER_S);
		break;
	case 4:
		disk.sync_per_mille = 100;
		break;
	default:
		remove_journal();
		break;
	}
	sim_trace("the disk is ill for %lld ms", (long long)for_ns / 1000000);
	sim_at(sim_now_ns() + for_ns, heal_disk, NULL, world.disk_faults);
}

/* As the log asks the operator to do. */
static void
give_name_to_copy(void)
{
	if (world.rescued[0] != '/')
		return;
	sim_trace("%s becomes %s", world.rescued, world.journal);
	(void)fs_rename(world.rescued, world.journal, false);
	world.rescued[0] = '\0';
}

/* A start that the disk makes fail, or a failed sync. */
static bool
may_end_with(int status)
{
	return (status == EXIT_ROOM || status == EXIT_DISK) &&
	       world.is_disk_ill;
}

static void
daemon_ended(int status)
{
	sim_trace("the daemon has ended: %d", status);
	SIM_CHECK(status == 0 || status == PROCESS_CRASHED ||
			  may_end_with(status),
		  "the daemon has ended with status %d", status);
	SIM_CHECK(status != 0 || world.is_stopping,
		  "the daemon has stopped by itself");
	give_name_to_copy();
	judge_read_journal();
	subscribers_daemon_ended(status == 0 && !world.is_cut &&
				 world.is_stop_plain);
	feeds_daemon_ended(world.has_lost_power,
			   status == 0 && !world.is_cut);
	if (status == 0) {
		world.counts.stops++;
		return;
	}
	world.is_stopping = false;
	world.counts.crashes += status == PROCESS_CRASHED;
	world.unclean++;
	if (status == EXIT_DISK)
		heal_disk(NULL, 0);
	if (world.has_lost_power)
		fs_lose_power();
}

/* ---- what happens to it ---- */

static void
end_feeds(void *who, uint64_t what)
{
	(void)who;
	(void)what;
	world.is_ending = true;
	feeds_stop();
	askers_stop();
	subscribers_stop();
}

static void
stop(void)
{
	world.is_stop_plain = !world.is_disk_ill &&
			      (world.disk_faults == 0 ||
			       sim_now_ns() - world.healed_ns > BRING_BACK_NS);
	heal_disk(NULL, 0);
	world.stop_ns = sim_now_ns();
	world.is_stopping = true;
	feeds_stop_begins();
	process_signal(SIGTERM);
}

/* Everybody gets on, but for some time after a fault of the disk. */
static void
check_progress(void)
{
	bool is_excused = world.is_disk_ill || !process_is_running() ||
			  (world.disk_faults > 0 &&
			   sim_now_ns() - world.healed_ns < BRING_BACK_NS);

	feeds_check_progress(is_excused);
	subscribers_check_progress(is_excused);
}

/* However often it is asked to. */
static void
check_stop(void)
{
	if (!world.is_stopping || !process_is_running())
		return;
	SIM_CHECK(sim_now_ns() - world.stop_ns < STOP_NS,
		  "the daemon does not stop");
	if (sim_chance(300))
		process_signal(SIGTERM);
}

static void
look(void *who, uint64_t what)
{
	(void)who;
	(void)what;
	if (process_is_running()) {
		judge_read_journal();
		subscribers_check();
		accounts_check();
		SIM_CHECK(sim_now_ns() - world.watchdog_ns < WATCHDOG_NS,
			  "the watchdog was not fed");
	}
	check_progress();
	check_stop();
	if (world.is_ending && !world.is_stopping && process_is_running() &&
	    feeds_are_quiet() && subscribers_are_quiet()) {
		world.is_over = true;
		stop();
	}
	SIM_CHECK(sim_now_ns() < world.end_ns + QUIET_NS,
		  "the feeds have stopped, but it does not become quiet");
	sim_at(sim_now_ns() + sim_between(NS_PER_MS, 2 * NS_PER_S), look, NULL,
	       0);
}

/* A stop that nothing waits for: what it has not brought to the disk, or not
 * noted as the end of a run, the next start must find. */
static void
crash_stopping(void *who, uint64_t what)
{
	(void)who;
	(void)what;
	if (!process_is_running() || !world.is_stopping || world.is_ending)
		return;
	world.has_lost_power = sim_chance(500);
	process_crash();
}

static void
crash_now(void *who, uint64_t what)
{
	(void)who;
	(void)what;
	if (!process_is_running() || world.is_stopping || world.is_ending ||
	    sim_now_ns() - world.removed_ns < BRING_BACK_NS)
		return;
	if (sim_chance(300)) {
		stop();
		if (sim_chance(400))
			sim_at(sim_now_ns() + sim_between(0, CUT_STOP_NS),
			       crash_stopping, NULL, 0);
		return;
	}
	world.has_lost_power = sim_chance(500);
	process_crash();
}

static void
crash(void *who, uint64_t what)
{
	bool is_kept = sim_act();
	bool is_due = pressure_is_awaited();

	(void)who;
	(void)what;
	sim_at(sim_now_ns() + sim_between(NS_PER_S, 200 * NS_PER_S), crash,
	       NULL, 0);
	if (!is_kept)
		return;
	pressure_forget();
	if (is_due || sim_chance(400))
		crash_now(NULL, 0);
	else
		pressure_await(crash_now);
}

/* Never out of a day that has begun: where records then go is not for clients
 * to know. */
static void
step_clock(void *who, uint64_t what)
{
	bool is_kept = sim_act();
	int64_t utc_ns = sim_utc_ns();
	int64_t step_ns = sim_between(-NS_PER_S, NS_PER_S);

	(void)who;
	(void)what;
	if (sim_chance(500))
		step_ns *= sim_between(1, 7200);
	if (is_kept && clock_day(utc_ns + step_ns) >= clock_day(utc_ns)) {
		sim_trace("the clock steps by %lld ms",
			  (long long)step_ns / 1000000);
		sim_set_utc(utc_ns + step_ns);
	}
	sim_at(sim_now_ns() + sim_between(0, 200 * NS_PER_S), step_clock, NULL,
	       0);
}

bool
world_enter(unsigned actor)
{
	(void)sim_use_stream(actor);
	return sim_act();
}

static void
open_world(double days, unsigned faults)
{
	unsigned feeds, subscribers, askers;
	int64_t start_ns = (9823 + (int64_t)sim_below(300)) * NS_PER_DAY +
			   (int64_t)(sim_random() % (uint64_t)NS_PER_DAY);

	/* Midnight is near, mostly. */
	if (sim_chance(600))
		start_ns += NS_PER_DAY - start_ns % NS_PER_DAY -
			    sim_between(0, 300 * NS_PER_S);
	sim_set_utc(start_ns);
	world.faults = faults;
	world.end_ns = sim_now_ns() + (int64_t)(days * (double)NS_PER_DAY);
	fs_put("", NULL);
	fs_put("/etc", NULL);
	fs_put("/journal", NULL);
	draw_settings();
	if ((faults & FAULTS_NET) != 0)
		net_faults.torn_per_mille = (unsigned)sim_below(400);
	feeds = 1 + (unsigned)sim_below(4);
	subscribers = 1 + (unsigned)sim_below(10);
	askers = (unsigned)sim_below(5);
	sim_at(world.end_ns, end_feeds, NULL, 0);
	sim_at(sim_now_ns(), look, NULL, 0);
	feeds_open(feeds);
	subscribers_open(subscribers);
	askers_open(askers);
	if (world_enter(ACTOR_CLOCK) && sim_chance(300))
		sim_at(sim_now_ns() + sim_between(0, 200 * NS_PER_S),
		       step_clock, NULL, 0);
	if (world_enter(ACTOR_DISK) && (faults & FAULTS_DISK) != 0)
		sim_at(sim_now_ns() + sim_between(0, 100 * NS_PER_S),
		       make_disk_ill, NULL, 0);
	if (world_enter(ACTOR_CRASH) && (faults & FAULTS_CRASH) != 0)
		sim_at(sim_now_ns() + sim_between(0, 100 * NS_PER_S), crash,
		       NULL, 0);
}

void
world_run(double days, unsigned faults)
{
	open_world(days, faults);
	(void)sim_use_stream(0);
	while (!world.is_over) {
		int64_t pause_ns = sim_between(0, 10 * NS_PER_S);

		write_configuration();
		daemon_ended(process_run());
		if (!world.is_over)
			for (pause_ns += sim_now_ns(); sim_step(pause_ns);)
				;
	}
	judge_finish();
}
