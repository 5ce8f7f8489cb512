#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/exits.h"
#include "doors.h"

/* How long all may take to become quiet when the feeds have stopped; and each
 * answer that waits for a sync, one after the other. */
#define QUIET_NS (600 * NS_PER_S)
#define SYNC_NS	 (2 * NS_PER_S)

/* How long the daemon may take to see that its file was removed, and to bring
 * it back. */
#define BRING_BACK_NS (30 * NS_PER_S)

/* The longest time that a stop takes: stop.timeout, and what follows. */
#define STOP_NS (9 * NS_PER_S)
#define CUT_STOP_NS (20 * NS_PER_MS) /* a crash in a stop comes until then */

/* So much of a long run is busy, at the beginning of each period. */
#define BUSY_DAYS 0.01
#define PERIOD_NS (3600 * NS_PER_S)

/* How long the end of a day may have to wait. */
#define END_OF_DAY_NS (30 * NS_PER_S)

/* What was due while the process was stopped is done by then. */
#define PAUSED_NS (2 * NS_PER_S)

/* The longest time that the daemon lives after a failed fdatasync. */
#define GIVE_UP_NS (15 * NS_PER_S)

struct world world;

static bool is_power_off; /* which ends the daemon */

/* ---- the daemon, from outside ---- */

/* Which day an unclean end has left is seen by when the next day's file was
 * made; and in another zone that was another time of the day. */
static void
note_start(void)
{
	int32_t running;

	if (setup_take_zone_change() && judge_find_running(&running) &&
	    running > world.latest_day)
		world.latest_day = running;
}

bool
world_find_field(const char *line, size_t len, const char *name, char *out,
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

bool
world_has_disk_trouble(void)
{
	return world.is_disk_ill ||
	       (world.disk_faults > 0 &&
		sim_now_ns() - world.healed_ns < BRING_BACK_NS);
}

/* Each end of a connection has a reason that can be so. */
static void
check_end(const char *line, size_t len)
{
	char reason[32], user[32];

	if (memmem(line, len, "event=disconnect ", 17) == NULL ||
	    !world_find_field(line, len, " reason=", reason, sizeof(reason)) ||
	    !world_find_field(line, len, " user=", user, sizeof(user)))
		return;
	SIM_CHECK(strcmp(reason, "peer_closed") == 0 ||
			  strcmp(reason, "peer_reset") == 0 ||
			  (strcmp(reason, "stopping") == 0 &&
			   world.is_stopping) ||
			  ((strcmp(reason, "journal") == 0 ||
			    strcmp(reason, "unreadable") == 0) &&
			   world.disk_faults > 0) ||
			  subscribers_may_end(user, reason) ||
			  doors_check_end(line, len, user, reason) ||
			  (memcmp(user, "sub", 3) != 0 &&
			   memcmp(user, "feed", 4) != 0),
		  "%s is ended with reason %s", user, reason);
}

/* ---- its date ---- */

static bool
find_date(const char *line, size_t len, const char *name, int32_t *out)
{
	char date[16];

	return world_find_field(line, len, name, date, sizeof(date)) &&
	       clock_read_date(date, out);
}

static void
note_clock(void)
{
	int32_t day = setup_day(sim_utc_ns());

	if (day > world.latest_day)
		world.latest_day = day;
}

/* A day ends when the clock says so, or a client. */
static void
check_end_of_day(const char *line, size_t len)
{
	char records[24];
	int32_t day;

	SIM_CHECK(find_date(line, len, " date=", &day) &&
			  world_find_field(line, len, " records=", records,
					   sizeof(records)),
		  "which day ends?");
	world.ended_day = day;
	world.before_day = strtoull(records, NULL, 10);
	judge_tell_next(day, day + 1 + world.skipped_days);
	world.skipped_days = 0;
	note_clock();
	if (day < world.latest_day)
		return;
	SIM_CHECK(world.asked_ends > 0, "day %d ends before its time", day);
	world.asked_ends = 0;
	world.latest_day = day + 1;
}

/* A clock that was ahead is right again, and the day that it said is empty. */
static void
date_corrected(const char *line, size_t len)
{
	int32_t from, to;
	char date[16];

	SIM_CHECK(find_date(line, len, " from=", &from) &&
			  find_date(line, len, " to=", &to),
		  "which date was corrected?");
	note_clock();
	SIM_CHECK(setup_day(sim_utc_ns()) <= to && to < from,
		  "the date was day %d, and now it is %d", from, to);
	world.latest_day = to;
	if (!world.has_journal)
		return;
	SIM_CHECK(judge_count(from) == 0,
		  "day %d is left, and it has records", from);
	(void)snprintf(world.journal, sizeof(world.journal), "/journal/sym%s",
		       clock_date_text(date, from));
	damage_is_left(world.journal);
	(void)snprintf(world.journal, sizeof(world.journal), "/journal/sym%s",
		       clock_date_text(date, to));
	judge_correct_day(to);
	judge_read_journal();
	subscribers_date_corrected(from, to, judge_count(to));
}

/* A day that is over ends soon, if nothing is in the way. */
static void
check_date(bool is_excused)
{
	int32_t running = 0;

	note_clock();
	if (!judge_find_running(&running) || is_excused ||
	    setup_day(sim_utc_ns()) <= running)
		world.on_time_ns = sim_now_ns();
	SIM_CHECK(sim_now_ns() - world.on_time_ns < END_OF_DAY_NS,
		  "day %d is over and does not end", running);
	SIM_CHECK(!process_is_running() || running <= world.latest_day,
		  "day %d has begun before its time", running);
}

void
world_log(const char *line, size_t len)
{
	char days[16];

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
	world.is_behind = world.is_behind ||
			  (memmem(line, len, "event=stop_cut ", 15) != NULL &&
			   memmem(line, len, " journal=behind ", 16) != NULL);
	if (memmem(line, len, "event=journal_unnamed ", 22) != NULL)
		(void)world_find_field(line, len, " copy=", world.rescued,
				 sizeof(world.rescued));
	/* Files for the right date are taken with event=date_corrected. */
	if (memmem(line, len, "event=journal ", 14) != NULL &&
	    !process_is_running())
		(void)world_find_field(line, len, " file=", world.journal,
				 sizeof(world.journal));
	damage_told(line, len);
	doors_told(line, len);
	if (memmem(line, len, "event=stopping ", 15) != NULL) {
		SIM_CHECK(!world.is_told_stopping, "a stop begins anew");
		world.is_told_stopping = true;
	}
	if (memmem(line, len, "event=date_corrected ", 21) != NULL)
		date_corrected(line, len);
	if (memmem(line, len, "event=days_skipped ", 19) != NULL &&
	    world_find_field(line, len, " days=", days, sizeof(days)))
		world.skipped_days = (int)strtol(days, NULL, 10);
	if (memmem(line, len, "event=end_of_day ", 17) != NULL)
		check_end_of_day(line, len);
	(void)world_find_field(line, len, " new=", world.journal,
			 sizeof(world.journal));
}

/* Another process may read the journal at any moment. */
void
world_wrote(void)
{
	static unsigned writes;

	if (process_is_running() && writes++ % 4 == 0)
		judge_read_journal();
}

/* From then on systemd waits for the watchdog: a start that waits for
 * ringtick-login may take longer. */
void
world_told_ready(void)
{
	world.watchdog_ns = sim_now_ns();
}

/* Half of the time that systemd allows lies between two of its notes: less
 * would be load, and more an end for a daemon that is only busy. */
void
world_watchdog(void)
{
	int64_t apart_ns = sim_now_ns() - world.watchdog_noted_ns;

	SIM_CHECK(sim_now_ns() - world.watchdog_ns < WATCHDOG_NS,
		  "the watchdog was not fed");
	SIM_CHECK(apart_ns > WATCHDOG_NS / 4,
		  "the watchdog is fed again after %lld us",
		  (long long)(apart_ns / NS_PER_US));
	world.watchdog_ns = world.watchdog_noted_ns = sim_now_ns();
}

/* What the run finds was left by one with the schema that was. */
static struct schema_form schema_before;

static void
draw_setup(void)
{
	setup_draw();
	if (world.starts > 0)
		subscribers_change_policies();
	doors_draw();
	setup_write();
}

static void
recover(void)
{
	struct schema_form now = schema;

	schema = schema_before;
	judge_recover(world.has_lost_power);
	schema = now;
}

void
world_sync_failed(void)
{
	if (world.sync_failed_ns == 0)
		world.sync_failed_ns = sim_now_ns();
}

void
world_daemon_ready(void)
{
	world.starts++;
	world.ended_day = INT32_MIN;
	world.before_day = 0;
	world.ready_ns = sim_now_ns();
	world.wants_figures = 0;
	world.is_ready = true;
	world.is_stopping = world.is_cut = world.is_told_stopping = false;
	world.sync_failed_ns = world.paused_until_ns = 0;
	world.watchdog_ns = world.watchdog_noted_ns = sim_now_ns();
	sim_trace("the daemon is ready");
	doors_ready();
	note_clock();
	note_start();
	if (world.starts > 1)
		recover();
	schema_before = schema;
	world.fit_before = world.fit;
	world.has_lost_power = world.is_tampered = false;
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

static void
make_disk_ill(void *who, uint64_t what)
{
	bool is_kept = sim_act();
	int64_t for_ns = sim_between(NS_PER_MS, NS_PER_S << sim_below(5));

	(void)who;
	(void)what;
	sim_at(world_after(sim_between(NS_PER_S, 200 * NS_PER_S)),
	       make_disk_ill, NULL, 0);
	if (!is_kept || !process_is_running() || world.is_stopping ||
	    world.is_ending || world.is_damaged || !world.has_journal)
		return;
	world.disk_faults++;
	world.is_disk_ill = true;
	switch (sim_below(8)) {
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
	case 5:
		heal_disk(NULL, 0);
		damage_journal();
		return;
	case 6:
		heal_disk(NULL, 0);
		damage_next_name();
		return;
	default:
		damage_name();
		break;
	}
	sim_trace("the disk is ill for %lld ms", (long long)for_ns / 1000000);
	sim_at(sim_now_ns() + for_ns, heal_disk, NULL, world.disk_faults);
}

void
world_slow_disk(int64_t for_ns)
{
	if ((world.faults & FAULTS_DISK) == 0 || world.is_disk_ill ||
	    world.is_stopping || world.is_damaged || !world.has_journal)
		return;
	world.disk_faults++;
	world.is_disk_ill = true;
	disk.slow_ns = 3 * NS_PER_S;
	sim_trace("the disk is slow for %lld ms", (long long)for_ns / 1000000);
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

static bool has_crashed_unsynced; /* some run */

/* A start that the disk makes fail, or a failed sync; or ringtick-login, which
 * does not start. */
static bool
may_end_with(int status)
{
	static unsigned failed_starts;
	bool has_failed = failed_starts != login_failed_starts();

	failed_starts = login_failed_starts();
	if (status == EXIT_MEND)
		return has_failed && !process_is_told_ready();
	return (status == EXIT_ROOM || status == EXIT_DISK) &&
	       world.is_disk_ill;
}

/* A note of doubt that the disk has refused, too, is gone with the power: then
 * a start refuses, and nobody knows what is lost. */
static bool
may_lose_power(void)
{
	const struct inode *note = fs_find("/journal/sym.unsynced");

	return note == NULL || fs_size_on_disk(note) == fs_size(note);
}

/* After a stop the machine may be turned off: nothing is lost then, but for
 * what others have done to its names, and nobody has synced; and of a run that
 * has crashed without syncs the days that the next one does not open. */
static void
maybe_turn_off(void)
{
	if (!world.is_stop_plain || world.is_cut || sim_digest() % 4 != 0 ||
	    world.removed_ns >= world.ready_ns || has_crashed_unsynced)
		return;
	sim_trace("the machine is turned off");
	fs_lose_power();
}

static void
daemon_ended(int status)
{
	sim_trace("the daemon has ended: %d", status);
	if (status == PROCESS_CRASHED && disk.is_power_loss &&
	    disk.crash_in == 0)
		is_power_off = true;
	is_power_off = is_power_off && may_lose_power();
	world.has_lost_power = world.has_lost_power || is_power_off;
	disk.crash_in = 0;
	disk.is_power_loss = false;
	SIM_CHECK(status == 0 || status == PROCESS_CRASHED ||
			  may_end_with(status),
		  "the daemon has ended with status %d", status);
	SIM_CHECK(status != 0 || world.is_stopping,
		  "the daemon has stopped by itself");
	if (status == 0)
		maybe_turn_off();
	else if (world.sync == SYNC_NONE)
		has_crashed_unsynced = true;
	if (!is_power_off)
		damage_name_end();
	give_name_to_copy();
	if (world.is_ready) {
		judge_read_journal();
		subscribers_daemon_ended(status == 0 && !world.is_cut &&
					 world.is_stop_plain);
	}
	world.is_ready = world.is_told_stopping = false;
	feeds_daemon_ended(world.has_lost_power,
			   status == 0 && !world.is_cut);
	world.unclean += status != 0 || world.is_behind;
	world.is_behind = false;
	if (status == 0) {
		world.counts.stops++;
		return;
	}
	world.is_stopping = false;
	world.counts.crashes += status == PROCESS_CRASHED;
	if (status == EXIT_DISK)
		heal_disk(NULL, 0);
	if (is_power_off) {
		fs_lose_power();
		damage_name_end();
	}
	is_power_off = false;
}

/* ---- what happens to it ---- */

static void
end_feeds(void *who, uint64_t what)
{
	(void)who;
	(void)what;
	world.is_ending = true;
	world.answers_ns = (int64_t)feeds_most_asked() * SYNC_NS;
	feeds_stop();
	askers_stop();
	subscribers_stop();
	operator_stop();
}

static void
stop(void)
{
	world.is_stop_plain = !world_has_disk_trouble();
	heal_disk(NULL, 0);
	if (world.is_over)
		disk.crash_in = 0;
	world.stop_ns = sim_now_ns();
	if (world.stop_ns < world.paused_until_ns)
		world.stop_ns = world.paused_until_ns;
	world.is_stopping = true;
	feeds_stop_begins();
	operator_stops_daemon();
	process_signal(SIGTERM);
}

/* Everybody gets on, but for some time after a fault of the disk. */
static void
check_progress(void)
{
	bool is_paused = sim_now_ns() - world.paused_until_ns < PAUSED_NS;
	bool is_excused = !process_is_running() || is_paused ||
			  world_has_disk_trouble();

	check_date(is_excused);
	damage_check(!process_is_running() || is_paused);
	judge_check_synced(is_excused);
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
		SIM_CHECK(!process_is_told_ready() ||
				  sim_now_ns() - world.watchdog_ns <
					  WATCHDOG_NS,
			  "the watchdog was not fed");
		SIM_CHECK(world.sync_failed_ns == 0 ||
				  sim_now_ns() - world.sync_failed_ns <
					  GIVE_UP_NS,
			  "the daemon goes on after a failed fdatasync");
	}
	check_progress();
	check_stop();
	doors_check();
	if (world.is_ending && !world.is_stopping && process_is_running() &&
	    !world.is_damaged && feeds_are_quiet() && doors_are_quiet() &&
	    subscribers_are_quiet()) {
		world.is_over = true;
		stop();
	}
	SIM_CHECK(sim_now_ns() < world.end_ns + QUIET_NS + world.answers_ns,
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
	is_power_off = sim_chance(500);
	process_crash();
}

static void
crash_now(void *who, uint64_t what)
{
	(void)who;
	(void)what;
	if (!process_is_running() || world.is_stopping || world.is_ending ||
	    world.is_damaged ||
	    (disk.failed_ns != 0 &&
	     sim_now_ns() - disk.failed_ns < BRING_BACK_NS) ||
	    sim_now_ns() - world.removed_ns < BRING_BACK_NS)
		return;
	if (sim_chance(450)) {
		stop();
		if (sim_chance(400))
			sim_at(sim_now_ns() + sim_between(0, CUT_STOP_NS),
			       crash_stopping, NULL, 0);
		return;
	}
	/* At once, or at a call of its own, soon or in a later start. */
	if (sim_chance(500)) {
		disk.crash_in = 1 + sim_below(10u << sim_below(8));
		disk.is_power_loss = sim_chance(500);
		return;
	}
	is_power_off = sim_chance(500);
	process_crash();
}

static void
crash(void *who, uint64_t what)
{
	bool is_kept = sim_act();
	bool is_due = pressure_is_awaited();

	(void)who;
	(void)what;
	sim_at(world_after(sim_between(NS_PER_S, 200 * NS_PER_S)), crash, NULL,
	       0);
	if (!is_kept)
		return;
	pressure_forget();
	if (is_due || sim_chance(250))
		crash_now(NULL, 0);
	else
		pressure_await(crash_now);
}

/* In the middle of what a start does with files; now and then several times. */
static void
maybe_crash_start(void)
{
	unsigned before = sim_use_stream(ACTOR_CRASH);

	if ((world.faults & FAULTS_CRASH) != 0 && !world.is_ending &&
	    sim_act() && sim_chance(100)) {
		disk.crash_in = 1 + sim_below(100);
		disk.is_power_loss = sim_chance(500);
	}
	(void)sim_use_stream(before);
}

static void
maybe_tamper(void)
{
	unsigned before = sim_use_stream(ACTOR_DISK);

	if ((world.faults & FAULTS_DISK) != 0 && !world.is_ending &&
	    world.has_journal && world.starts > 0 && sim_act() &&
	    sim_chance(100))
		damage_between_runs();
	(void)sim_use_stream(before);
}

/* Also of the start itself, which then may fail: and be tried again. */
static void
maybe_make_start_ill(void)
{
	unsigned before = sim_use_stream(ACTOR_DISK);

	if ((world.faults & FAULTS_DISK) != 0 && !world.is_ending &&
	    world.has_journal && world.starts > 0 && sim_act() &&
	    sim_chance(100)) {
		world.disk_faults++;
		world.is_disk_ill = true;
		if (sim_chance(500))
			disk.sync_per_mille = 400;
		else
			disk.eio_per_mille = 100;
		sim_trace("the disk is ill at the start");
		sim_at(sim_now_ns() + sim_between(NS_PER_MS, 5 * NS_PER_S),
		       heal_disk, NULL, world.disk_faults);
	}
	(void)sim_use_stream(before);
}

static void
step(int64_t step_ns)
{
	note_clock();
	sim_trace("the clock steps by %lld ms", (long long)step_ns / 1000000);
	sim_set_utc(sim_utc_ns() + step_ns);
	world.stepped_ns += step_ns > 0 ? step_ns : 0;
	world.clock_steps++;
}

static void
step_back(void *who, uint64_t by_ns)
{
	(void)who;
	step(-(int64_t)by_ns);
}

/* For a while it is days ahead, as that of a machine that has just booted, and
 * mostly whoever sends updates waits until it is right. */
static void
leap_ahead(void)
{
	int64_t by_ns = sim_between(NS_PER_DAY / 2, 4 * NS_PER_DAY);
	int64_t right_ns = sim_now_ns() + sim_between(1, 20 * NS_PER_S);

	step(by_ns);
	sim_at(right_ns, step_back, NULL, (uint64_t)by_ns);
	if (sim_chance(800))
		world.calm_until_ns = right_ns + 5 * NS_PER_S;
}

static void
maybe_boot(void)
{
	unsigned before = sim_use_stream(ACTOR_CLOCK);

	if (!world.is_ending && sim_act() && sim_chance(50))
		leap_ahead();
	(void)sim_use_stream(before);
}

/* Also out of its day, and to days later. */
static void
step_clock(void *who, uint64_t what)
{
	bool is_kept = sim_act();
	int64_t step_ns = sim_between(-NS_PER_S, NS_PER_S);

	(void)who;
	(void)what;
	if (sim_chance(500))
		step_ns *= sim_between(1, 7200);
	else if (sim_chance(50))
		step_ns += sim_between(-2, 3) * NS_PER_DAY;
	if (is_kept && sim_chance(50))
		leap_ahead();
	else if (is_kept)
		step(step_ns);
	sim_at(world_after(sim_between(0, 200 * NS_PER_S)), step_clock, NULL,
	       0);
}

bool
world_enter(unsigned actor)
{
	(void)sim_use_stream(actor);
	return sim_act();
}

/* Of each period. */
static int64_t
busy_ns(void)
{
	double part = BUSY_DAYS / world.days;

	return part >= 1 ? PERIOD_NS : (int64_t)((double)PERIOD_NS * part);
}

int64_t
world_after(int64_t pause_ns)
{
	int64_t at_ns = sim_now_ns() + pause_ns;
	int64_t in_ns = (at_ns - world.begin_ns) % PERIOD_NS;

	if (in_ns < busy_ns())
		return at_ns;
	return at_ns - in_ns + PERIOD_NS + in_ns % NS_PER_S;
}

static void
open_world(double days, unsigned faults)
{
	unsigned feeds, subscribers, askers;

	doors_open();
	(void)sim_use_stream(0);
	sim_set_utc(setup_open());
	world.faults = faults;
	world.days = days;
	world.begin_ns = sim_now_ns();
	world.end_ns = sim_now_ns() + (int64_t)(days * (double)NS_PER_DAY);
	fs_put("", NULL);
	fs_put("/etc", NULL);
	fs_put("/journal", NULL);
	if ((faults & FAULTS_NET) != 0)
		net_faults.torn_per_mille = (unsigned)sim_below(400);
	if ((faults & FAULTS_NET) != 0 && sim_chance(300))
		net_faults.accept_per_mille = (unsigned)sim_below(500);
	feeds = 1 + (unsigned)sim_below(4);
	subscribers = 1 + (unsigned)sim_below(10);
	askers = (unsigned)sim_below(5);
	sim_at(world.end_ns, end_feeds, NULL, 0);
	sim_at(sim_now_ns(), look, NULL, 0);
	feeds_open(feeds);
	subscribers_open(subscribers);
	askers_open(askers);
	work_open();
	strangers_open();
	operator_open();
	pressure_open();
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

		draw_setup();
		damage_end();
		maybe_tamper();
		maybe_make_start_ill();
		maybe_boot();
		maybe_crash_start();
		daemon_ended(process_run());
		if (!world.is_over)
			for (pause_ns += sim_now_ns(); sim_step(pause_ns);)
				;
	}
	judge_finish();
}
