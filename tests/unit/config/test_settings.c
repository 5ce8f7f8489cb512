#include "config.h"

#include "config/settings_load.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/slow_policy.h"
#include "config/options.h"
#include "base/util.h"

#define SCHEMA "schema = \"sym.q\";\n"

static char folder[] = "/tmp/ringtick-test-XXXXXX";
static char conf[PATH_MAX], schema_file[PATH_MAX];
static char error[1024];

/* ---- files ---- */

static void
write_bytes(const char *path, const char *bytes, size_t len)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

/* The text of a source file; the caller frees it. */
static char *
read_source(const char *name)
{
	const char *srcdir = getenv("srcdir");
	struct phrase path =
		phrase_of("%s/%s", srcdir == NULL ? "." : srcdir, name);
	FILE *file = fopen(path.text, "r");
	char *text = NULL;
	size_t room = 0;

	if (file == NULL)
		fail_msg("%s: %s", path.text, strerror(errno));
	if (getdelim(&text, &room, '\0', file) < 0)
		fail_msg("%s cannot be read", path.text);
	(void)fclose(file);
	return text;
}

static int
set_up(void **state)
{
	static const char schema[] =
		"trade:flip`time`sym`price!\"nsf\"$\\:()\n";

	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(conf, sizeof(conf), "%s/ringtick.conf", folder);
	snprintf(schema_file, sizeof(schema_file), "%s/sym.q", folder);
	write_bytes(schema_file, schema, strlen(schema));
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	(void)unlink(conf);
	(void)unlink(schema_file);
	return rmdir(folder);
}

/* ---- loading ---- */

static int
load(struct settings *s, const char *text)
{
	write_bytes(conf, text, strlen(text));
	return settings_load(s, conf, error, sizeof(error));
}

static void
assert_loads(struct settings *s, const char *text)
{
	if (load(s, text) != 0)
		fail_msg("%s\n%s", text, error);
}

/* `expected` is the error after the path of the configuration */
static void
assert_refuses(const char *text, const char *expected)
{
	static const struct settings empty;
	struct settings s;

	memset(&s, 1, sizeof(s));
	assert_int_equal(load(&s, text), -EINVAL);
	assert_memory_equal(&s, &empty, sizeof(s));
	assert_memory_equal(error, conf, strlen(conf));
	assert_string_equal(error + strlen(conf), expected);
}

static void
assert_same(const struct settings *a, const struct settings *b)
{
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		const struct option *o = &options[i];
		const char *left = (const char *)a + o->off;
		const char *right = (const char *)b + o->off;
		size_t len = o->kind == KIND_FLAG     ? sizeof(bool)
			     : o->kind == KIND_CHOICE ? sizeof(unsigned)
						      : sizeof(int64_t);

		if (o->kind == KIND_TEXT)
			assert_string_equal(*(char *const *)left,
					    *(char *const *)right);
		else if (memcmp(left, right, len) != 0)
			fail_msg("%s.%s differs", o->group, o->name);
	}
	assert_true(a->day.zone_is_local == b->day.zone_is_local);
	assert_int_equal(a->day.zone_offset_ns, b->day.zone_offset_ns);
}

/* ---- good values ---- */

static void
test_defaults(void **state)
{
	struct settings s;

	(void)state;
	assert_loads(&s, SCHEMA);
	assert_string_equal(s.listen.address, "127.0.0.1");
	assert_int_equal(s.listen.port, 5010);
	assert_true(s.listen.unix_socket);
	assert_int_equal(s.connections.receive_buffer, 262144);
	assert_int_equal(s.connections.handshake_timeout, 5 * NS_PER_S);
	assert_string_equal(s.connections.congestion, "");
	assert_int_equal(s.schema.check, CHECK_TYPES);
	assert_int_equal(s.ring.size, 64 << 20);
	assert_false(s.ring.huge_pages);
	assert_int_equal(s.streams.ring, 64 << 20);
	assert_int_equal(s.message.max, 16 << 20);
	assert_int_equal(s.engine.mode, ENGINE_AUTO);
	assert_int_equal(s.engine.spin, TIME_AUTO);
	assert_int_equal(s.engine.cpu, -1);
	assert_int_equal(s.slow.policy, SLOW_SPILL);
	assert_int_equal(s.slow.spill_limit, 0);
	assert_int_equal(s.auth.user_rows_cnt, 0);
	assert_int_equal(s.log.report, 10 * NS_PER_S);
	assert_string_equal(s.day.zone, "local");
	assert_true(s.day.zone_is_local);
	assert_int_equal(s.tables.tables_cnt, 1);
	assert_non_null(s.tables.tables[0].sub_reply);
	settings_fini(&s);
	settings_fini(&s);
}

static void
test_reads_each_kind(void **state)
{
	struct settings s;

	(void)state;
	assert_loads(&s, SCHEMA "listen: { address: \"::\", port = 0x10; "
				"unix_socket = FALSE };\n"
				"ring = { size = 65536; huge_pages = true; };\n"
				"connections = { receive_buffer = \"4K\"; };\n"
				"engine = { mode = \"direct\"; sq_cpu = 3L; "
				"spin = \"0\"; sq_idle = \"1000us\"; };\n"
				"slow = { policy = \"block\"; };\n"
				"stop = { timeout = 0; };\n");
	assert_string_equal(s.listen.address, "::");
	assert_int_equal(s.listen.port, 16);
	assert_false(s.listen.unix_socket);
	assert_int_equal(s.ring.size, 65536);
	assert_true(s.ring.huge_pages);
	assert_int_equal(s.engine.mode, ENGINE_DIRECT);
	assert_int_equal(s.engine.sq_cpu, 3);
	assert_int_equal(s.engine.spin, 0);
	assert_int_equal(s.engine.sq_idle, NS_PER_MS);
	assert_int_equal(s.slow.policy, SLOW_BLOCK);
	assert_int_equal(s.stop.timeout, 0);
	settings_fini(&s);
}

static void
test_reads_each_unit(void **state)
{
	static const struct {
		const char *written;
		uint64_t bytes;
	} sizes[] = {
		{ "1048576", 1 << 20 },	   { "\"1048576\"", 1 << 20 },
		{ "\"128K\"", 128 << 10 }, { "\"2M\"", 2 << 20 },
		{ "\"0002M\"", 2 << 20 },  { "134217728", 128 << 20 },
	};
	static const struct {
		const char *written;
		int64_t ns;
	} times[] = {
		{ "\"200000000ns\"", 200 * NS_PER_MS },
		{ "\"200000us\"", 200 * NS_PER_MS },
		{ "\"1500ms\"", 1500 * NS_PER_MS },
		{ "\"1s\"", NS_PER_S },
		{ "\"3m\"", 180 * NS_PER_S },
		{ "\"24h\"", 86400 * NS_PER_S },
	};
	struct settings s;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		assert_loads(&s, phrase_of(SCHEMA "ring = { size = "
						  "\"512M\"; };\n"
						  "message = { max = %s; };",
					   sizes[i].written)
					 .text);
		assert_int_equal(s.message.max, sizes[i].bytes);
		settings_fini(&s);
	}
	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		assert_loads(&s, phrase_of(SCHEMA "log = { report = %s; };",
					   times[i].written)
					 .text);
		assert_int_equal(s.log.report, times[i].ns);
		settings_fini(&s);
	}
}

static void
test_derives_what_zero_stands_for(void **state)
{
	struct settings s;

	(void)state;
	assert_loads(&s, SCHEMA "ring = { size = \"512M\"; };");
	assert_int_equal(s.streams.ring, 512 << 20);
	assert_int_equal(s.message.max, 16 << 20);
	settings_fini(&s);
	assert_loads(&s, SCHEMA "streams = { ring = \"1M\"; };");
	assert_int_equal(s.message.max, 256 << 10);
	settings_fini(&s);
	assert_loads(&s, SCHEMA "streams = { ring = \"1M\"; max = 0; };");
	assert_int_equal(s.message.max, 16 << 20);
	settings_fini(&s);
	/* One message is at most as long as the leave mark. */
	assert_loads(&s, SCHEMA "ring = { size = \"1M\"; };\n"
				"slow = { leave_percent = 10;"
				" return_percent = 5; };");
	assert_int_equal(s.message.max, (1 << 20) / 10);
	settings_fini(&s);
}

static void
test_reads_zones(void **state)
{
	static const struct {
		const char *zone;
		int minutes;
	} zones[] = {
		{ "utc", 0 },	   { "+00:00", 0 },   { "-00:30", -30 },
		{ "+09:00", 540 }, { "+05:45", 345 }, { "-14:00", -840 },
		{ "+14:00", 840 },
	};
	static const char *const bad[] = {
		"+14:01", "+15:00", "+09:60", "09:00", "9:00",	 "+9:00",
		"+09-00", "+0a:00", "UTC",    "Local", " 09:00", "*09:00",
	};
	struct settings s;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(zones); i++) {
		assert_loads(&s, phrase_of(SCHEMA "day = { zone = \"%s\"; };",
					   zones[i].zone)
					 .text);
		assert_false(s.day.zone_is_local);
		assert_int_equal(s.day.zone_offset_ns,
				 zones[i].minutes * 60 * NS_PER_S);
		settings_fini(&s);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_refuses(
			phrase_of(SCHEMA "day = { zone = \"%s\"; };", bad[i])
				.text,
			phrase_of(":2: setting day.zone: \"%s\" does not fit; "
				  "allowed: \"local\", \"utc\", or \"-14:00\" "
				  "to \"+14:00\"",
				  bad[i])
				.text);
}

/* The policy of a user. */
static enum slow_policy
policy_of(const struct settings *s, const char *user)
{
	return lag_policy_of(s, settings_rights_of(s, user));
}

static int64_t
spill_limit_of(const struct settings *s, const char *user)
{
	return lag_spill_limit_of(s, settings_rights_of(s, user));
}

static void
test_policies_by_user(void **state)
{
	struct settings s;

	(void)state;
	assert_loads(&s, SCHEMA
		     "slow = { policy = \"skip\"; };\n"
		     "auth = { rights = (\n"
		     "{ user = \"rdb\"; policy = \"block\"; },\n"
		     "{ policy = \"disconnect\"; user = \"\"; } ); };\n");
	assert_int_equal(s.auth.user_rows_cnt, 2);
	assert_int_equal(policy_of(&s, "rdb"), SLOW_BLOCK);
	assert_int_equal(policy_of(&s, "rdb2"), SLOW_SKIP);
	assert_int_equal(policy_of(&s, "rd"), SLOW_SKIP);
	assert_int_equal(policy_of(&s, ""), SLOW_DISCONNECT);
	/* A row without rights has those of everybody. */
	assert_true(settings_rights_of(&s, "rdb")->may & RIGHT_ADMINISTER);
	settings_fini(&s);
	assert_loads(&s, SCHEMA "auth = { rights = (); };");
	assert_int_equal(s.auth.user_rows_cnt, 0);
	settings_fini(&s);
}

/* Limits of a user: of the row, else of the first role that has one. */
static void
test_limits_by_user(void **state)
{
	const struct rights *gui, *other;
	struct settings s;

	(void)state;
	assert_loads(&s, SCHEMA
		     "connections = { max = 13000; };\n"
		     "auth = { role = \"guest\";\n"
		     "roles = ( { role = \"guest\"; requests = 5;"
		     " connections = 2; },\n"
		     "{ role = \"screen\"; symbols = 100; requests = 9; } );\n"
		     "rights = ( { user = \"gui\"; requests = 50;"
		     " buffers = 1; roles = ( \"screen\", \"guest\" ); } );\n"
		     "};\n");
	gui = settings_rights_of(&s, "gui");
	assert_int_equal(gui->limits[LIMIT_REQUESTS], 50);
	assert_int_equal(gui->limits[LIMIT_SYMBOLS], 100);
	assert_int_equal(gui->limits[LIMIT_BUFFERS], 1);
	assert_int_equal(gui->limits[LIMIT_CONNECTIONS], 2);
	other = settings_rights_of(&s, "anybody");
	assert_int_equal(other->limits[LIMIT_REQUESTS], 5);
	assert_int_equal(other->limits[LIMIT_SYMBOLS], 0);
	assert_int_equal(other->limits[LIMIT_CONNECTIONS], 2);
	settings_fini(&s);
}

/* Protects the journal from the folder in which the daemon happens to be
 * started: a relative path starts at the configuration's folder, as that of the
 * schema does. */
static void
test_folders(void **state)
{
	char wanted[PATH_MAX + 16];
	struct settings s;

	(void)state;
	assert_loads(&s, SCHEMA "journal = { directory = \"days/j\"; };");
	(void)snprintf(wanted, sizeof(wanted), "%.*s/days/j",
		       (int)(strrchr(conf, '/') - conf), conf);
	assert_string_equal(s.journal.directory, wanted);
	settings_fini(&s);
	assert_loads(&s, SCHEMA "journal = { directory = \"\"; };");
	assert_string_equal(s.journal.directory, "");
	settings_fini(&s);
}

/* Without a journal no consumer can spill: one with this policy, by name or by
 * default, is disconnected. */
static void
test_spill_needs_a_journal(void **state)
{
	static const char slow[] =
		"auth = { rights = (\n"
		"{ user = \"screen\"; policy = \"skip\"; },\n"
		"{ user = \"rdb\"; policy = \"spill\"; "
		"spill_limit = \"2m\"; } ); };\n";
	struct settings s;

	(void)state;
	assert_loads(&s, phrase_of(SCHEMA "%s", slow).text);
	assert_int_equal(s.slow.policy, SLOW_SPILL);
	assert_int_equal(policy_of(&s, "rdb"), SLOW_DISCONNECT);
	assert_int_equal(policy_of(&s, "other"), SLOW_DISCONNECT);
	assert_int_equal(policy_of(&s, "screen"), SLOW_SKIP);
	settings_fini(&s);
	assert_loads(&s, phrase_of(SCHEMA "%s journal = { directory = "
					  "\"/nowhere\"; };",
				   slow)
				 .text);
	assert_string_equal(s.journal.directory, "/nowhere");
	assert_int_equal(policy_of(&s, "rdb"), SLOW_SPILL);
	assert_int_equal(spill_limit_of(&s, "rdb"), 120 * NS_PER_S);
	assert_int_equal(spill_limit_of(&s, "screen"), 0);
	assert_int_equal(spill_limit_of(&s, "other"), 0);
	assert_int_equal(policy_of(&s, "other"), SLOW_SPILL);
	assert_int_equal(policy_of(&s, "screen"), SLOW_SKIP);
	settings_fini(&s);
}

/* ---- mistakes ---- */

/* `text` is the second line, after a good schema */
static const struct mistake {
	const char *text, *expected;
} mistakes[] = {
	/* the form */
	{ "ring = { size = \"1M\"; ",
	  ":3: syntax error, here or in the line before; allowed: GROUP = { "
	  "NAME = VALUE; ... };" },
	{ "ring = { size = 1; size = 2; };",
	  ":2: duplicate setting name, here or in the line before; allowed: "
	  "GROUP = { NAME = VALUE; ... };" },
	{ "@include \"x\"",
	  ":2: @ is not understood; allowed: one file, without @include" },
	/* names */
	{ "ring = { sise = \"1M\"; };",
	  ":2: setting ring.sise: is unknown; did you mean ring.size?" },
	{ "ring = { colour = 1; };",
	  ":2: setting ring.colour: is unknown; allowed: size, huge_pages, "
	  "in_core" },
	{ "ring = { port = 1; };",
	  ":2: setting ring.port: is unknown; did you mean listen.port?" },
	{ "rings = { size = 1; };",
	  ":2: setting rings: is unknown; did you mean ring?" },
	{ "port = 5010;",
	  ":2: setting port: is unknown; did you mean listen.port?" },
	{ "prt = 5010;",
	  ":2: setting prt: is unknown; allowed: listen, auth, connections, "
	  "schema, ring, streams, message, engine, slow, journal, publish, "
	  "log, "
	  "day, compatibility, stop" },
	{ "auth = { user = 1; };",
	  ":2: setting auth.user: is unknown; did you mean auth.users?" },
	{ "log = { x = 1; };",
	  ":2: setting log.x: is unknown; allowed: report, report_consumers" },
	{ "ring = 5;", ":2: setting ring: 5 is not a group; allowed: { NAME = "
		       "VALUE; ... }" },
	/* sizes */
	{ "ring = { size = \"64X\"; };",
	  ":2: setting ring.size: \"64X\" is not a size; allowed: 64K to 512M, "
	  "a power of two, such as \"64M\"" },
	{ "ring = { size = \"64k\"; };",
	  ":2: setting ring.size: \"64k\" is not a size; allowed: 64K to 512M, "
	  "a power of two, such as \"64M\"" },
	{ "ring = { size = \"\"; };",
	  ":2: setting ring.size: \"\" is not a size; allowed: 64K to 512M, a "
	  "power of two, such as \"64M\"" },
	{ "ring = { size = 1.5; };",
	  ":2: setting ring.size: 1.5 is not a size; allowed: 64K to 512M, a "
	  "power of two, such as \"64M\"" },
	{ "ring = { size = true; };",
	  ":2: setting ring.size: true is not a size; allowed: 64K to 512M, a "
	  "power of two, such as \"64M\"" },
	{ "ring = { size = \"3M\"; };",
	  ":2: setting ring.size: \"3M\" is not a power of two; allowed: 64K "
	  "to 512M, a power of two, such as \"64M\"" },
	{ "ring = { size = \"1G\"; };",
	  ":2: setting ring.size: \"1G\" is out of range; allowed: 64K to "
	  "512M, a power of two, such as \"64M\"" },
	{ "ring = { size = \"99999999999999999999G\"; };",
	  ":2: setting ring.size: \"99999999999999999999G\" is out of range; "
	  "allowed: 64K to 512M, a power of two, such as \"64M\"" },
	{ "ring = { size = \"17179869185G\"; };",
	  ":2: setting ring.size: \"17179869185G\" is out of range; allowed: "
	  "64K to 512M, a power of two, such as \"64M\"" },
	{ "ring = { size = 4362076160; };",
	  ":2: setting ring.size: 4362076160 is out of range; allowed: 64K to "
	  "512M, a power of two, such as \"64M\"" },
	{ "ring = { size = 0x104000000; };",
	  ":2: setting ring.size: 4362076160 is out of range; allowed: 64K to "
	  "512M, a power of two, such as \"64M\"" },
	{ "ring = { size = -4290772992; };",
	  ":2: setting ring.size: -4290772992 is out of range; allowed: 64K "
	  "to 512M, a power of two, such as \"64M\"" },
	{ "message = { max = \"129M\"; };",
	  ":2: setting message.max: \"129M\" is out of range; allowed: 0 to "
	  "128M" },
	/* times */
	{ "log = { report = 10; };",
	  ":2: setting log.report: 10 is not a time with its unit; allowed: "
	  "100ms to 24h, such as \"10s\"" },
	{ "log = { report = \"10\"; };",
	  ":2: setting log.report: \"10\" is not a time with its unit; "
	  "allowed: 100ms to 24h, such as \"10s\"" },
	{ "log = { report = \"10 s\"; };",
	  ":2: setting log.report: \"10 s\" is not a time with its unit; "
	  "allowed: 100ms to 24h, such as \"10s\"" },
	{ "log = { report = \"-1s\"; };",
	  ":2: setting log.report: \"-1s\" is not a time with its unit; "
	  "allowed: 100ms to 24h, such as \"10s\"" },
	{ "log = { report = \"99ms\"; };",
	  ":2: setting log.report: \"99ms\" is out of range; allowed: 100ms "
	  "to 24h, such as \"10s\"" },
	{ "log = { report = 0; };",
	  ":2: setting log.report: 0 is out of range; allowed: 100ms to 24h, "
	  "such as \"10s\"" },
	/* the other kinds */
	{ "listen = { port = 70000; };",
	  ":2: setting listen.port: 70000 is out of range; allowed: 0 to "
	  "65535" },
	{ "listen = { port = \"5010\"; };",
	  ":2: setting listen.port: \"5010\" is not an integer; allowed: 0 to "
	  "65535" },
	{ "engine = { cpu = -2; };",
	  ":2: setting engine.cpu: -2 is out of range; allowed: -1 to 4095" },
	{ "listen = { unix_socket = \"yes\"; };",
	  ":2: setting listen.unix_socket: \"yes\" is neither true nor false; "
	  "allowed: true or false" },
	{ "listen = { unix_socket = 1; };",
	  ":2: setting listen.unix_socket: 1 is neither true nor false; "
	  "allowed: true or false" },
	{ "listen = { address = 5; };",
	  ":2: setting listen.address: 5 is not a string; allowed: 0 to 255 "
	  "characters" },
	{ "listen = { address = \"\"; };",
	  ":2: setting listen.address: \"\" does not fit with "
	  "listen.unix_path \"\"; allowed: an address, unless "
	  "listen.unix_path is set" },
	{ "listen = { unix_mode = \"6\"; };",
	  ":2: setting listen.unix_mode: \"6\" is out of range; allowed: 3 to "
	  "4 characters" },
	{ "connections = { congestion = \"0123456789abcdef\"; };",
	  ":2: setting connections.congestion: \"0123456789abcdef\" is out of "
	  "range; allowed: 0 to 15 characters" },
	{ "slow = { policy = \"spil\"; };",
	  ":2: setting slow.policy: \"spil\" is not one of the choices; "
	  "allowed: \"spill\", \"disconnect\", \"skip\" or \"block\"" },
	{ "slow = { policy = 1; };",
	  ":2: setting slow.policy: 1 is not a string; allowed: "
	  "\"spill\", \"disconnect\", \"skip\" or \"block\"" },
	{ "engine = { mode = { }; };",
	  ":2: setting engine.mode: a group is not a string; allowed: "
	  "\"auto\", \"sqpoll\" or \"direct\"" },
	{ "engine = { mode = \"a\nb\x01\"; };",
	  ":2: setting engine.mode: \"a?b?\" is not one of the choices; "
	  "allowed: \"auto\", \"sqpoll\" or \"direct\"" },
	{ "engine = { spin = \"now\"; };",
	  ":2: setting engine.spin: \"now\" is not a time with its unit; "
	  "allowed: 0 to 1m, or \"auto\"" },
	{ "engine = { spin = -1; };",
	  ":2: setting engine.spin: -1 is not a time with its unit; "
	  "allowed: 0 to 1m, or \"auto\"" },
	{ "engine = { spin = \"2m\"; };",
	  ":2: setting engine.spin: \"2m\" is out of range; "
	  "allowed: 0 to 1m, or \"auto\"" },
	{ "engine = { sq_idle = \"auto\"; };",
	  ":2: setting engine.sq_idle: \"auto\" is not a time with its unit; "
	  "allowed: 1ms to 1m, such as \"20ms\"" },
	/* settings that conflict */
	{ "streams = { ring = 4096; };",
	  ":2: setting streams.ring: 4K does not fit; allowed: 0 for "
	  "ring.size, or a size that ring.size can have" },
	{ "message = { max = \"17M\"; };",
	  ":2: setting message.max: 17M does not fit with ring.size 64M, "
	  "streams.ring 64M, streams.max 64; allowed: at most a quarter of "
	  "ring.size and, where streams.max is above 0, of streams.ring" },
	{ "\nstreams = { ring = \"1M\"; };\nmessage = { max = \"1M\"; };",
	  ":4: setting message.max: 1M does not fit with ring.size 64M, "
	  "streams.ring 1M, streams.max 64; allowed: at most a quarter of "
	  "ring.size and, where streams.max is above 0, of streams.ring" },
	{ "slow = { leave_percent = 10; return_percent = 5; };\n"
	  "message = { max = \"16M\"; };",
	  ":3: setting message.max: 16M does not fit with "
	  "slow.leave_percent 10, ring.size 64M, streams.ring 64M; allowed: "
	  "at most slow.leave_percent of ring.size and, where streams.max is "
	  "above 0, of streams.ring: one message must not make its reader "
	  "slow" },
	{ "engine = { span_max = \"16M\"; };",
	  ":2: setting engine.span_max: 16M does not fit with "
	  "engine.in_flight_max 8M; allowed: at most engine.in_flight_max" },
	{ "slow = { return_percent = 60;\nleave_percent = 50; };",
	  ":2: setting slow.return_percent: 60 does not fit with "
	  "slow.leave_percent 50; allowed: below slow.leave_percent" },
	{ "slow = { leave_percent = 50; };",
	  ":2: setting slow.return_percent: 50 does not fit with "
	  "slow.leave_percent 50; allowed: below slow.leave_percent" },
	/* rights */
	{ "slow = { users = (); };",
	  ":2: setting slow.users: is unknown; did you mean auth.users?" },
	{ "auth = { rights = 5; };",
	  ":2: setting auth.rights: 5 is not a list; allowed: ( { ... }, ... "
	  ")" },
	{ "auth = { rights = ( \"rdb\" ); };",
	  ":2: setting auth.rights[0]: \"rdb\" is not a group with a name; "
	  "allowed: { user = ...; publish = ...; ... }" },
	{ "auth = { rights = ( { user = \"a\"; x = 1; } ); };",
	  ":2: setting auth.rights[0].x: is unknown; allowed: publish, "
	  "subscribe, ask, past, administer, policy, spill_limit, "
	  "connections, buffers, requests and symbols" },
	{ "auth = { rights = ( { user = \"a\"; connections = 0; } ); };",
	  ":2: setting auth.rights[0].connections: 0 is out of range; "
	  "allowed: 1 to 13000" },
	{ "auth = { rights = ( { user = \"a\"; buffers = 65; } ); };",
	  ":2: setting auth.rights[0].buffers: 65 is out of range; "
	  "allowed: 1 to 64" },
	{ "auth = { roles = ( { role = \"a\"; requests = \"5\"; } ); };",
	  ":2: setting auth.roles[0].requests: \"5\" is not an integer; "
	  "allowed: 1 to 1000000" },
	{ "auth = { rights = ( { user = \"a\"; symbols = 4194305; } ); };",
	  ":2: setting auth.rights[0].symbols: 4194305 is out of range; "
	  "allowed: 1 to 4194304" },
	{ "auth = { rights = ( { user = 5; } ); };",
	  ":2: setting auth.rights[0].user: 5 is not a string; allowed: a "
	  "name, such as \"rdb\"" },
	{ "auth = { rights = ( { user = \"a\"; },\n{ user = \"a\"; } ); };",
	  ":3: setting auth.rights[1].user: \"a\" is listed twice, or built "
	  "in; allowed: each name once" },
	{ "auth = { roles = ( { role = \"all\"; } ); };",
	  ":2: setting auth.roles[0].role: \"all\" is listed twice, or built "
	  "in; allowed: each name once" },
	{ "auth = { rights = ( { user = \"a\"; policy = \"slip\"; } ); };",
	  ":2: setting auth.rights[0].policy: \"slip\" is not one of the "
	  "choices; allowed: \"spill\", \"disconnect\", \"skip\" or "
	  "\"block\"" },
	{ "auth = { rights = ( { user = \"a\"; roles = \"b\"; } ); };",
	  ":2: setting auth.rights[0].roles: \"b\" is not a role; allowed: "
	  "\"all\", \"none\", \"admin\", or a role of auth.roles" },
	{ "auth = { rights = ( { user = \"a\"; publish = \"b\"; } ); };",
	  ":2: setting auth.rights[0].publish: \"b\" is not in the schema; "
	  "allowed: \"*\" (all tables), or tables of the schema" },
	{ "auth = { rights = ( { user = \"a\"; ask = 1; } ); };",
	  ":2: setting auth.rights[0].ask: 1 is not a flag; allowed: true or "
	  "false" },
	{ "auth = { role = \"b\"; };",
	  ":2: setting auth.role: \"b\" is not a role; allowed: \"all\", "
	  "\"none\", \"admin\", or a role of auth.roles" },
};

static void
test_names_each_mistake(void **state)
{
	char text[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(mistakes); i++) {
		snprintf(text, sizeof(text), SCHEMA "%s\n", mistakes[i].text);
		assert_refuses(text, mistakes[i].expected);
	}
}

/* each text is a whole file */
static const struct mistake schema_mistakes[] = {
	{ "", ": setting schema: is missing; allowed: schema = \"sym.q\", "
	      "or a group with file or tables" },
	{ "schema = { check = \"shape\"; };",
	  ": setting schema: is missing; allowed: schema = \"sym.q\", "
	  "or a group with file or tables" },
	{ "schema = 5;",
	  ":1: setting schema: 5 is not a group; allowed: a path, or { "
	  "NAME = VALUE; ... }" },
	{ "schema = { file = 5; };",
	  ":1: setting schema.file: 5 is not a string; allowed: the "
	  "path of a schema, such as \"sym.q\"" },
	{ "schema = { file = \"sym.q\"; tables = ( ); };",
	  ":1: setting schema.tables: a list is a second schema; "
	  "allowed: one of schema.file and schema.tables" },
	{ "schema = { tables = ( ); file = \"sym.q\"; };",
	  ":1: setting schema.file: \"sym.q\" is a second schema; "
	  "allowed: one of schema.file and schema.tables" },
	{ "schema = { tables = ( ); };",
	  ":1: setting schema: there is no table in it" },
	{ "schema = { tables = { }; };",
	  ":1: setting schema.tables: a group is not a list; allowed: "
	  "( { name = ...; columns = ...; }, ... )" },
	{ "schema = { tables = ( { name = \"t\"; } ); };",
	  ":1: setting schema.tables[0]: a group is not complete; "
	  "allowed: { name = ...; columns = ...; }" },
	{ "schema = { tables = ( { name = 5; columns = ( ); } ); };",
	  ":1: setting schema.tables[0].name: 5 is not a string; "
	  "allowed: a name, such as \"trade\"" },
	{ "schema = { tables = ( { name = \"a\nb\"; columns = (); } ); "
	  "};",
	  ":1: setting schema.tables[0].name: \"a?b\" cannot be a "
	  "name; allowed: a letter, then letters, digits and _, 127 in "
	  "all" },
	{ "schema = { tables = ( { name = \"t\"; columns = 5; } ); };",
	  ":1: setting schema.tables[0].columns: 5 is not a list; "
	  "allowed: ( \"time timespan\", \"sym symbol\", ... )" },
	{ "schema = { tables = ( { name = \"t\"; columns = ( \"time "
	  "n\",\n"
	  "5 ); } ); };",
	  ":2: setting schema.tables[0].columns[1]: 5 is not a string; "
	  "allowed: a column, such as \"price float\"" },
	{ "schema = { tables = ( { name = \"t\"; columns = ( \" \" ); "
	  "} ); };",
	  ":1: setting schema.tables[0].columns[0]: \" \" is not a "
	  "column; allowed: \"NAME\", \"NAME TYPE\" or \"NAME TYPE "
	  "ATTRIBUTE\", with s, u, p or g" },
	{ "schema = { tables = ( { name = \"t\"; columns = ( \"time n "
	  "x\" ); } ); };",
	  ":1: setting schema.tables[0].columns[0]: \"time n x\" is "
	  "not a column; allowed: \"NAME\", \"NAME TYPE\" or \"NAME "
	  "TYPE ATTRIBUTE\", with s, u, p or g" },
	{ "schema = { tables = ( { name = \"t\"; columns = ( \"time n "
	  "s s\" ); } ); };",
	  ":1: setting schema.tables[0].columns[0]: \"time n s s\" is "
	  "not a column; allowed: \"NAME\", \"NAME TYPE\" or \"NAME "
	  "TYPE ATTRIBUTE\", with s, u, p or g" },
	{ "schema = { tables = ( { name = \"t\"; columns = ( \"time "
	  "float\" ); } ); };",
	  ":1: setting schema.tables[0].columns[0]: column time of "
	  "table t is a float; allowed: timespan, timestamp, time" },
	{ "schema = { tables = ( { name = \"t\"; columns = ( \"time "
	  "n\" ); } ); };",
	  ":1: setting schema: table t does not begin with columns "
	  "time and sym" },
};

static void
test_names_mistakes_in_the_schema(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(schema_mistakes); i++)
		assert_refuses(schema_mistakes[i].text,
			       schema_mistakes[i].expected);
}

static void
test_refuses_values_out_of_range(void **state)
{
	struct settings s;

	(void)state;
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		const struct option *o = &options[i];
		const char *quote = o->kind == KIND_TIME ? "\"" : "";
		const char *unit = o->kind == KIND_TIME ? "ns" : "";

		if (o->kind != KIND_SIZE && o->kind != KIND_TIME &&
		    o->kind != KIND_COUNT)
			continue;
		for (int step = -1; step <= 2; step++) {
			int64_t value =
				step < 1 ? o->min + step : o->max + step - 1;
			bool is_out = step == -1 || step == 2;
			char text[256];
			int res;

			if (value < 0 && o->kind == KIND_TIME)
				continue;
			snprintf(text, sizeof(text),
				 SCHEMA "%s = { %s = %s%" PRId64 "%s%s; };",
				 o->group, o->name, quote, value, unit, quote);
			res = load(&s, text);
			if (is_out != (res != 0 && strstr(error, "range")))
				fail_msg("%s\n%s", text, res ? error : "good");
			settings_fini(&s);
		}
	}
}

static void
test_large_integers_keep_their_size(void **state)
{
	struct settings s;

	(void)state;
	assert_loads(&s, SCHEMA "# 5000000000\n// 5000000000\n/* 5000000000\n"
				"\"*/ listen = { address = \"5000000000\"; };\n"
				"day = { zone = \"utc\" /* \\\" */ ; };");
	assert_string_equal(s.listen.address, "5000000000");
	settings_fini(&s);
	assert_loads(&s, SCHEMA
		     "listen = { address = \"\\\" 5000000000 \\\\\"; };");
	assert_string_equal(s.listen.address, "\" 5000000000 \\");
	settings_fini(&s);
	assert_refuses(SCHEMA "listen = { port = 99999999999999999999; };",
		       ":2: setting listen.port: 9223372036854775807 is out "
		       "of range; allowed: 0 to 65535");
	assert_refuses(SCHEMA "listen = { port = 4294972306L; };",
		       ":2: setting listen.port: 4294972306 is out of range; "
		       "allowed: 0 to 65535");
}

/* ---- the schema ---- */

static void
test_reads_tables_in_the_configuration(void **state)
{
	struct settings s;
	const struct schema_column *c;

	(void)state;
	assert_loads(&s,
		     "schema = { check = \"shape\"; tables = (\n"
		     "{ name = \"trade\"; columns = ( \"time timespan\", "
		     "\"sym symbol g\", \" price\tfloat\" ); },\n"
		     "{ columns = [ \"time P s\", \"sym\", \"note string\", "
		     "\"x list u\" ]; name = \"quote\"; } ); };\n");
	assert_int_equal(s.schema.check, CHECK_SHAPE);
	assert_int_equal(s.tables.tables_cnt, 2);
	assert_string_equal(s.tables.tables[0].name, "quote");
	c = s.tables.tables[0].columns;
	assert_int_equal(c[0].type, 12);
	assert_int_equal(c[0].attr, 1);
	assert_int_equal(c[1].type, 0);
	assert_true(c[2].is_string);
	assert_false(c[3].is_string);
	assert_int_equal(c[3].attr, 2);
	c = s.tables.tables[1].columns;
	assert_int_equal(c[1].type, 11);
	assert_int_equal(c[1].attr, 4);
	settings_fini(&s);
}

static void
test_names_the_place_in_a_schema_file(void **state)
{
	static const char bad[] = "/ x\nt:([]time:`tmespan$();sym:`$())";
	struct settings s;
	char path[PATH_MAX], text[2 * PATH_MAX];

	(void)state;
	snprintf(path, sizeof(path), "%s/bad.q", folder);
	write_bytes(path, bad, strlen(bad));
	assert_int_equal(load(&s, "schema = { file = \"bad.q\"; };"), -EINVAL);
	assert_memory_equal(error, path, strlen(path));
	assert_string_equal(error + strlen(path),
			    ":2:11: \"tmespan\" is no type of a column; "
			    "allowed: types of q by name or letter, such as "
			    "timespan or n, and string, list");

	write_bytes(path, "/ t\n", 4);
	snprintf(text, sizeof(text), "schema = \"%s\";", path);
	assert_int_equal(load(&s, text), -EINVAL);
	assert_memory_equal(error, path, strlen(path));
	assert_non_null(strstr(error, ":1:1: there is no table in it"));

	assert_int_equal(unlink(path), 0);
	assert_int_equal(load(&s, text), -EINVAL);
	assert_memory_equal(error, conf, strlen(conf));
	assert_memory_equal(error + strlen(conf), ":1: setting schema: cannot ",
			    27);
	assert_non_null(strstr(error, strerror(ENOENT)));
}

static void
test_refuses_a_table_that_cannot_be_published(void **state)
{
	char text[32768];
	size_t len = (size_t)snprintf(text, sizeof(text),
				      "connections = { receive_buffer = 4096; "
				      "};\nmessage = { max = 4096; };\n"
				      "schema = { tables = ( { name = \"t\"; "
				      "columns = ( \"time n\", \"sym s\"");

	(void)state;
	for (int i = 0; i < 400; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					", \"column%03d j\"", i);
	snprintf(text + len, sizeof(text) - len, " ); } ); };");
	assert_refuses(text, ":3: setting schema: a row of table t takes 6860 "
			     "bytes or more; allowed: message.max, here 4096");
}

/* ---- files that cannot be read ---- */

static void
test_names_files_that_cannot_be_read(void **state)
{
	struct settings s;
	char small[8];

	(void)state;
	write_bytes(conf, SCHEMA "\0;", sizeof(SCHEMA) + 1);
	assert_int_equal(settings_load(&s, conf, error, sizeof(error)),
			 -EINVAL);
	assert_string_equal(error + strlen(conf),
			    ": cannot be read: it contains a NUL");
	assert_int_equal(unlink(conf), 0);
	assert_int_equal(settings_load(&s, conf, error, sizeof(error)),
			 -ENOENT);
	assert_memory_equal(error, conf, strlen(conf));
	assert_string_equal(
		error + strlen(conf),
		phrase_of(": cannot be read: %s", strerror(ENOENT)).text);
	/* without an end */
	assert_int_equal(settings_load(&s, "/dev/zero", error, sizeof(error)),
			 -ENXIO);
	assert_non_null(strstr(error, "not a file"));
	write_bytes(conf, "", 0);
	assert_int_equal(truncate(conf, 1 << 30), 0);
	assert_int_equal(settings_load(&s, conf, error, sizeof(error)), -EFBIG);
	assert_non_null(strstr(error, strerror(EFBIG)));
	assert_int_equal(settings_load(&s, folder, small, sizeof(small)),
			 -ENXIO);
	assert_memory_equal(small, folder, sizeof(small) - 1);
	assert_int_equal(small[sizeof(small) - 1], '\0');
	settings_fini(&s);
}

/* ---- what is written about the settings ---- */

/* Runs of blanks, line ends and # become one blank. */
static void
join_lines(char *text)
{
	char *to = text;

	for (const char *at = text; *at != '\0'; at++) {
		if (strchr(" \t\n#", *at) == NULL)
			*to++ = *at;
		else if (to > text && to[-1] != ' ')
			*to++ = ' ';
	}
	*to = '\0';
}

static void
assert_contains(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("not there: %s", part);
}

static void
test_sample_has_every_sentence_and_default(void **state)
{
	char *text = read_source("etc/ringtick.conf");
	char part[512];

	(void)state;
	join_lines(text);
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		snprintf(part, sizeof(part), "%s %s = %s;", options[i].sentence,
			 options[i].name, options[i].written);
		assert_contains(text, part);
	}
	for (size_t i = 0; i < EXTRA_COUNT; i++) {
		snprintf(part, sizeof(part), "%s %s = ", extras[i].sentence,
			 extras[i].name);
		assert_contains(text, part);
	}
	free(text);
}

static void
assert_sample_is_default(const char *text)
{
	struct settings sample, defaults;

	assert_loads(&defaults, SCHEMA);
	assert_loads(&sample, text);
	assert_same(&sample, &defaults);
	settings_fini(&sample);
	settings_fini(&defaults);
}

static void
test_sample_equals_the_defaults(void **state)
{
	char *text = read_source("etc/ringtick.conf");
	unsigned settings_cnt = 0;

	(void)state;
	assert_sample_is_default(text);
	/* and again with the commented lines taken in */
	for (char *line = text; line != NULL; line = strchr(line, '\n')) {
		size_t len = strcspn(++line, "\n");
		char name[32], rest;

		if (sscanf(line, "\t# %31[a-z_] = %c", name, &rest) != 2 ||
		    line[len - 1] != ';')
			continue;
		line[1] = ' ';
		settings_cnt++;
	}
	assert_int_equal(settings_cnt, OPTION_COUNT);
	assert_sample_is_default(text);
	free(text);
}

static void
test_manual_has_a_row_for_each_setting(void **state)
{
	char *text = read_source("doc/configuration.md");
	char row[1024];

	(void)state;
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		const struct option *o = &options[i];

		snprintf(row, sizeof(row), "\n| `%s.%s` | `%s` | %s | %s |\n",
			 o->group, o->name, o->written, option_limits(o).text,
			 o->sentence);
		assert_contains(text, row);
	}
	for (size_t i = 0; i < EXTRA_COUNT; i++) {
		const struct extra *e = &extras[i];

		snprintf(row, sizeof(row), "\n| `%s.%s` |  | %s | %s |\n",
			 e->group, e->name, e->limits, e->sentence);
		assert_contains(text, row);
	}
	free(text);
}

/* The errors in the manual are among those above, but for the line number,
 * which is 3. */
static void
test_manual_shows_real_errors(void **state)
{
	static const char start[] = "`ringtick.conf:3";
	char *text = read_source("doc/configuration.md");
	unsigned errors_cnt = 0;

	(void)state;
	for (char *at = text; (at = strstr(at, start)) != NULL; errors_cnt++) {
		size_t len;
		bool is_known = false;

		at += strlen(start);
		len = strcspn(at, "`");
		for (size_t i = 0; i < ARRAY_LEN(mistakes); i++)
			is_known |=
				strlen(mistakes[i].expected) == len + 2 &&
				memcmp(mistakes[i].expected + 2, at, len) == 0;
		if (!is_known)
			fail_msg("no such error: %.*s", (int)len, at);
	}
	assert_true(errors_cnt >= 7);
	free(text);
}

static void
test_help_has_each_setting(void **state)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	assert_non_null(out);
	settings_print_help(out);
	assert_int_equal(fclose(out), 0);
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		const struct option *o = &options[i];

		assert_contains(text,
				phrase_of("%s.%s ", o->group, o->name).text);
		assert_contains(text, o->sentence);
	}
	for (size_t i = 0; i < EXTRA_COUNT; i++)
		assert_contains(text, extras[i].sentence);
	free(text);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_reads_each_kind),
		cmocka_unit_test(test_reads_each_unit),
		cmocka_unit_test(test_derives_what_zero_stands_for),
		cmocka_unit_test(test_reads_zones),
		cmocka_unit_test(test_policies_by_user),
		cmocka_unit_test(test_limits_by_user),
		cmocka_unit_test(test_folders),
		cmocka_unit_test(test_spill_needs_a_journal),
		cmocka_unit_test(test_names_each_mistake),
		cmocka_unit_test(test_names_mistakes_in_the_schema),
		cmocka_unit_test(test_refuses_values_out_of_range),
		cmocka_unit_test(test_large_integers_keep_their_size),
		cmocka_unit_test(test_reads_tables_in_the_configuration),
		cmocka_unit_test(test_names_the_place_in_a_schema_file),
		cmocka_unit_test(test_refuses_a_table_that_cannot_be_published),
		cmocka_unit_test(test_names_files_that_cannot_be_read),
		cmocka_unit_test(test_sample_has_every_sentence_and_default),
		cmocka_unit_test(test_sample_equals_the_defaults),
		cmocka_unit_test(test_manual_has_a_row_for_each_setting),
		cmocka_unit_test(test_manual_shows_real_errors),
		cmocka_unit_test(test_help_has_each_setting),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
