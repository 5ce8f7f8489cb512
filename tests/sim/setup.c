/*
 * The configuration: at the first start all of it is drawn, and at a later one
 * some of it anew, the schema too.  So what a run finds was often left by one
 * with other settings.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "doors.h"

enum { CONFIG_MAX = 65536, AUTH_MAX = 32768, MINUTE_S = 60 };

static const char *const after_names[] = { "ring", "journal", "sync" };
static const char *const sync_names[] = { "none", "interval", "batch" };
static const unsigned limits_ms[] = { 50, 1000, 5000 };

static const struct zone_name {
	const char *name;
	int minutes; /* east of Greenwich */
} zones[] = { { "utc", 0 },
	      { "+09:00", 540 },
	      { "-05:30", -330 },
	      { "local", 0 } };

/* With the last one the clock goes back from midnight to eleven, and forward
 * from midnight to one. */
static const char *const rules[] = { "CET-1CEST,M3.5.0,M10.5.0/3",
				     "EST5EDT,M3.2.0,M11.1.0",
				     "BRT3BRST,M10.3.0/0,M2.3.0/0" };

static struct setup {
	const struct zone_name *zone;
	bool has_zone_changed;
	unsigned receive_kb;
	bool has_reserve;
	char slow[64], groups[256]; /* as they were drawn */
} setup;

/* ---- the day ---- */

static int64_t
offset_ns(int64_t utc_ns)
{
	time_t s = (time_t)(utc_ns / NS_PER_S) + CLOCK_KDB_EPOCH_S;
	struct tm tm;

	if (strcmp(setup.zone->name, "local") != 0)
		return setup.zone->minutes * MINUTE_S * NS_PER_S;
	(void)localtime_r(&s, &tm);
	return tm.tm_gmtoff * NS_PER_S;
}

bool
setup_take_zone_change(void)
{
	bool has = setup.has_zone_changed;

	setup.has_zone_changed = false;
	return has;
}

int64_t
setup_local_ns(int64_t utc_ns)
{
	return utc_ns + offset_ns(utc_ns);
}

int32_t
setup_day(int64_t utc_ns)
{
	return clock_day(setup_local_ns(utc_ns));
}

/* The first moment of a day, or when its offset changes. */
static int64_t
find_moment(int64_t utc_ns, bool is_of_offset)
{
	int64_t step_ns = NS_PER_DAY / 2, off_ns = offset_ns(utc_ns);
	int32_t day = setup_day(utc_ns);

	for (unsigned i = 0; i < 800; i++)
		if (is_of_offset ? offset_ns(utc_ns + step_ns) == off_ns
				 : setup_day(utc_ns + step_ns) <= day)
			utc_ns += step_ns;
	for (; step_ns > NS_PER_S; step_ns /= 2)
		if (is_of_offset ? offset_ns(utc_ns + step_ns) == off_ns
				 : setup_day(utc_ns + step_ns) <= day)
			utc_ns += step_ns;
	return utc_ns;
}

static void
draw_zone(void)
{
	setup.zone = &zones[sim_below(ARRAY_LEN(zones))];
}

int64_t
setup_open(void)
{
	int64_t utc_ns = (9823 + (int64_t)sim_below(300)) * NS_PER_DAY;

	utc_ns += (int64_t)sim_below((uint64_t)NS_PER_DAY);
	(void)setenv("TZ", rules[sim_below(ARRAY_LEN(rules))], 1);
	tzset();
	draw_zone();
	world.has_journal = !sim_chance(100);
	/* Midnight is near, mostly, or a change to or from summer time. */
	if (strcmp(setup.zone->name, "local") == 0 && sim_chance(400))
		utc_ns = find_moment(utc_ns, true) -
			 sim_between(0, 300 * NS_PER_S);
	else if (sim_chance(600))
		utc_ns = find_moment(utc_ns, false) -
			 sim_between(0, 300 * NS_PER_S);
	return utc_ns;
}

/* ---- what is drawn ---- */

static void
draw_journal(void)
{
	if (!world.has_journal)
		return;
	world.after = sim_below(3);
	world.sync = sim_below(3);
	/* With "none" nothing is ever on disk. */
	if (world.after == AFTER_SYNC && world.sync == SYNC_NONE)
		world.sync = SYNC_BATCH;
}

static void
draw_ring(void)
{
	world.ring_kb = messages_big_rows > 0 ? 4096 : 64u << sim_below(4);
}

static void
draw_batches(void)
{
	world.is_batched = sim_chance(200);
	world.interval_ms = world.is_batched ? 1u << sim_below(11) : 0;
	/* Types are then always checked. */
	schema.is_unchecked = schema.is_unchecked && !world.is_batched;
}

static void
draw_schema(void)
{
	unsigned table = 1u << sim_below(TABLES);

	schema = (struct schema_form){ .is_renamed = sim_chance(200) };
	switch (sim_below(5)) {
	case 0:
		schema.lacks = table;
		break;
	case 1:
		schema.mistyped = table;
		break;
	case 2:
		schema.widened = table;
		break;
	default:
		break;
	}
	schema.is_unchecked = !world.is_batched && sim_chance(200);
}

/* Sometimes anew, all by itself. */
static void
maybe(void (*draw)(void), bool is_first, unsigned per_thousand)
{
	if (is_first || sim_chance(per_thousand))
		draw();
}

/* What decides which records are sent: if it changes, claims are void. */
struct fit {
	struct schema_form schema;
	bool is_batched;
	unsigned message_kb;
};

static struct fit
fit_now(void)
{
	struct fit f;

	memset(&f, 0, sizeof(f));
	f.schema.lacks = schema.lacks;
	f.schema.mistyped = schema.mistyped;
	f.schema.widened = schema.widened;
	f.schema.is_renamed = schema.is_renamed;
	f.schema.is_unchecked = schema.is_unchecked;
	f.is_batched = world.is_batched;
	f.message_kb = world.ring_kb;
	return f;
}

void
setup_draw(void)
{
	bool is_first = world.ring_kb == 0;
	const struct zone_name *zone = setup.zone;
	unsigned stream = sim_use_stream(ACTOR_SETUP);
	struct fit before = fit_now(), now;
	bool is_kept = sim_act();

	if (is_first && sim_chance(100))
		messages_big_rows = 8000;
	setup.receive_kb = 4u << sim_below(5);
	world.block_limit_ns =
		limits_ms[sim_below(ARRAY_LEN(limits_ms))] * NS_PER_MS;
	setup.has_reserve = sim_chance(500);
	world.is_mgkdb = sim_chance(300);
	if (is_first || is_kept) {
		maybe(draw_journal, is_first, 200);
		maybe(draw_ring, is_first, 50);
		maybe(draw_zone, false, 20);
		maybe(draw_batches, is_first, 50);
		maybe(draw_schema, false, 100);
	}
	(void)sim_use_stream(stream);
	setup.has_zone_changed = setup.has_zone_changed || setup.zone != zone;
	now = fit_now();
	world.era += memcmp(&before, &now, sizeof(now)) != 0;
	world.fit = HASH_BEGIN;
	for (size_t i = 0; i < sizeof(now); i++)
		world.fit = hash_add(world.fit, ((const uint8_t *)&now)[i]);
}

static const char conf[] = "/etc/ringtick.conf";

static const char *const broken_ends[] = { "auth = {\n",
					   "log = { report = \"never\"; };\n",
					   "nothing = { here = 1; };\n" };

static void
write_conf(const char *end)
{
	static char text[CONFIG_MAX], auth[AUTH_MAX];
	char tables[1024], listen[512];

	put_schema(tables, sizeof(tables));
	doors_put_listen(listen, sizeof(listen));
	doors_put_auth(auth, sizeof(auth));
	(void)snprintf(
		text, sizeof(text),
		"%s"
		"connections = { max = 32; receive_buffer = \"%uK\";"
		" per_address = %u; };\n"
		"ring = { size = \"%uK\"; };\n"
		"journal = { directory = \"%s\"; sync = \"%s\";"
		" reserve = %s; };\n"
		"publish = { after = \"%s\"; interval = \"%ums\"; };\n"
		"slow = { block_limit = \"%lldms\"; %s };\n"
		"%s"
		"log = { report = \"1m\"; };\n"
		"day = { zone = \"%s\"; };\n"
		"compatibility = { sub_list = \"%s\"; };\n"
		"%s%s%s",
		listen, setup.receive_kb, doors_per_address(), world.ring_kb,
		world.has_journal ? "/journal" : "", sync_names[world.sync],
		setup.has_reserve ? "true" : "false", after_names[world.after],
		world.interval_ms, (long long)world.block_limit_ns / NS_PER_MS,
		setup.slow, auth, setup.zone->name,
		world.is_mgkdb ? "mgkdb" : "type", setup.groups, tables, end);
	sim_trace("the configuration:\n%s", text);
	fs_replace(conf, text);
}

void
setup_write(void)
{
	pressure_put_slow(setup.slow, sizeof(setup.slow));
	pressure_put_groups(setup.groups, sizeof(setup.groups));
	write_conf("");
}

/* Another schema needs another start. */
static void
write_other_schema(void)
{
	schema.is_renamed = !schema.is_renamed;
	write_conf("");
	schema.is_renamed = !schema.is_renamed;
}

void
setup_rewrite(bool is_broken)
{
	unsigned kind = (unsigned)sim_below(ARRAY_LEN(broken_ends) + 2);
	unsigned kept_kb = setup.receive_kb;

	if (!is_broken) {
		/* One more that only another start would take. */
		if (sim_chance(300))
			setup.receive_kb = 4u << sim_below(5);
		write_conf("");
		setup.receive_kb = kept_kb;
	} else if (kind < ARRAY_LEN(broken_ends)) {
		write_conf(broken_ends[kind]);
	} else if (kind == ARRAY_LEN(broken_ends)) {
		write_other_schema();
	} else {
		fs_replace(conf, NULL);
	}
}
